"""What comes of asking models: an output, or the reason why there is none, with every attempt that was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from orchestrator.gateway.port import FailureKind, Stop, TokenUsage

if TYPE_CHECKING:
    from orchestrator.prompts.rendering import Prompted

AttemptOutcome = Stop | FailureKind | Literal["breaker_open", "cancelled", "busy"]
Purpose = Literal["answer", "repair", "escalation", "critique", "second_opinion"]
NoOutput = Literal[
    "refused",  # every route that was tried declined
    "truncated",
    "context_full",
    "deadline",
    "exhausted",  # every route failed
    "over_budget",  # the money for a call could not be reserved
    "over_quota",  # the team's or the workflow's rate or token quota is used up
    "no_route",  # the policy, the region or the wanted capability leaves no route
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of one model, metered whatever came of it."""

    number: int  # within the run, from 1
    purpose: Purpose
    route: str
    provider: str
    model: str
    outcome: AttemptOutcome
    started_at: datetime  # UTC
    seconds: float
    usage: TokenUsage
    cost: Decimal  # US dollars, after the price table
    priced_by: str  # version of the price table
    request_id: str | None = None
    status: int | None = None  # of HTTP
    detail: str | None = None  # never content


_SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """What a model wrote for a prompt. Made by the gateway alone; nothing of it may leave before egress."""

    prompted: Prompted
    route: str
    model: str
    text: str = field(repr=False)
    attempts: tuple[Attempt, ...]  # of this production, failed ones too
    flags: tuple[str, ...] = ()  # model_fallback, repaired, ...: degradation that the asker sees
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("A Produced is made by orchestrator.gateway.gateway.Gateway only.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotProduced:
    """No model gave an output that can be looked at."""

    reason: NoOutput
    attempts: tuple[Attempt, ...]
    flags: tuple[str, ...] = ()
    detail: str = ""  # for people: which routes, and what each said
