"""The gate between what a model wrote and anything that uses it: contract, rules, citations, support, safety."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from orchestrator.contract import Claim
from orchestrator.egress.contracts import OutputContract

if TYPE_CHECKING:
    from orchestrator.citations import Dropped
    from orchestrator.gateway.outcomes import Produced
    from orchestrator.support.gate import Unsupported

InvalidKind = Literal["malformed", "schema", "rule", "placeholder", "safety", "uncited", "quote", "unsupported"]

_SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One thing that is wrong with an output, for the repair turn and for the record."""

    place: str  # path in the output, as claims.0.quotes.1
    kind: InvalidKind
    message: str  # what is wrong, for a model to correct; holds nothing of the stored texts
    rule: str | None = None  # id of the business rule or filter that failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """An output that may leave once it is routed. Made by `validate` alone."""

    produced: Produced
    output: OutputContract  # as the contract says
    claims: tuple[Claim, ...]  # verified and supported, with the values that stood behind placeholders
    support: tuple[float, ...]  # of the claims, 0 to 1
    dropped: tuple[Dropped | Unsupported, ...]  # claims that could not be kept; the rest stands
    warnings: tuple[FieldError, ...] = ()  # rules that are to be seen, and do not stop it
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("A Validated is made by orchestrator.egress.gate.validate only.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """An output that never leaves."""

    produced: Produced
    errors: tuple[FieldError, ...]
    repairable: bool  # whether telling the model what is wrong may help
