"""The last gate: what happens with a validated output. A router takes nothing else, and only it makes an `Approved`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from orchestrator.contract import Confidence

if TYPE_CHECKING:
    from orchestrator.egress.gate import Validated

Outcome = Literal["answer", "abstain", "escalate", "review", "act"]

_SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """A validated output with where it goes. Made by `route` alone."""

    validated: Validated
    outcome: Literal["answer", "abstain", "review", "act"]
    confidence: Confidence
    queue: str | None  # where it waits for a person
    rule: str  # id of the rule that decided, as `workflows explain` lists it
    threshold: float | None  # that the score was held against
    reason: str  # one sentence for people
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("An Approved is made by orchestrator.routing.route only.")
