"""What comes of asking models: an output, or the reason why there is none, with every attempt that was made."""

from __future__ import annotations

import uuid
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from orchestrator.gateway.port import FailureKind, ModelReply, Stop, TokenUsage
from retrieval.sealed import Seal, Sealed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.gateway.routes import ModelRoute
    from orchestrator.policy.decisions import Decision
    from orchestrator.prompts.rendering import Prompted

AttemptOutcome = (
    Stop
    | FailureKind
    | Literal[
        "breaker_open",  # not sent: the model has failed too often just now
        "busy",  # not sent: as many calls as the route takes were under way
        "cancelled",  # whoever asked went away
        "sent",  # under way; only the ledger shows it
        "lost",  # its process died in mid-call: counted at the most that it can have cost
    ]
)
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

_SEAL: Final = Seal("orchestrator.gateway.outcomes.produced")


def new_attempt_id() -> str:
    """An id that no other attempt has."""
    return uuid.uuid4().hex


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
    cost: Decimal  # US dollars, after the price table, in whole billionths, rounded up
    priced_by: str  # version of the price table
    request_id: str | None = None
    status: int | None = None  # of HTTP
    detail: str | None = None  # never content
    estimated: bool = False  # the provider did not tell what was used: `cost` is the most that it can have been
    id: str = field(default_factory=new_attempt_id)  # its key in the ledger: written twice, it is there once


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced(Sealed):
    """What a model wrote for a prompt. Made by `produced` alone; nothing of it may leave before egress."""

    prompted: Prompted
    route: str
    model: str
    text: str = field(repr=False)
    attempts: tuple[Attempt, ...]  # of this production, failed ones too
    flags: tuple[str, ...] = ()  # model_fallback, repaired, ...: degradation that the asker sees
    level: int = 0  # of the route; an escalation goes above it
    decision: Decision | None = None  # of the policy that let the data go to the route
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        _SEAL.check(self, seal)


def produced(
    prompted: Prompted,
    route: ModelRoute,
    reply: ModelReply,
    attempts: Sequence[Attempt],
    *,
    flags: Sequence[str] = (),
    decision: Decision | None = None,
) -> Produced:
    """What a model wrote, when it wrote it to the end. Raises ValueError for a reply that is not whole."""
    if reply.stop != "end":
        raise ValueError(f"A reply that ended with {reply.stop} is no output.")
    return Produced(
        prompted=prompted,
        route=route.name,
        model=reply.model,
        text=reply.text,
        attempts=tuple(attempts),
        flags=tuple(flags),
        level=route.level,
        decision=decision,
        seal=_SEAL,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NotProduced:
    """No model gave an output that can be looked at."""

    reason: NoOutput
    attempts: tuple[Attempt, ...]
    flags: tuple[str, ...] = ()
    detail: str = ""  # for people: which routes, and what each said
