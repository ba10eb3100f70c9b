"""What teams, workflows and runs may use: rates, tokens and money, by the minute, the day and the month (UTC).

Periods are those of the calendar: a limit by the minute counts from second 0 to 59, so that two halves of a minute
that follow each other may hold twice as much as one full minute may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.gateway.prices import BILLIONTH
from orchestrator.gateway.routes import Demand
from orchestrator.yaml_files import read_strictly, refused

Owner = Literal["team", "workflow"]
Period = Literal["minute", "day", "month"]
Count = Annotated[int, Field(ge=0)]

_STAMPS: Final[dict[Period, str]] = {"minute": "%Y-%m-%dT%H:%M", "day": "%Y-%m-%d", "month": "%Y-%m"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What may be used in one period. One with a `name` takes the place of the one for all of its kind and period."""

    __pydantic_config__: ClassVar[Any] = ConfigDict(extra="forbid")

    of: Owner  # a team is a tenant; a workflow counts for each team by itself
    per: Period
    name: str | None = None  # of the team or workflow; None: each of them
    requests: Count | None = None
    tokens: Count | None = None  # of prompts and outputs together
    cost_usd: Annotated[Decimal, Field(ge=0, le=1_000_000_000)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The most that one account may hold; None: no limit of that kind."""

    owner: str  # run:ID, team:TENANT, workflow:TENANT/NAME
    period: str  # 2026-11-20T10:05, 2026-11-20, 2026-11, or `run`
    requests: int | None = None
    tokens: int | None = None
    billionths: int | None = None  # of a US dollar

    @property
    def account(self) -> tuple[str, str]:
        """The key of the account."""
        return self.owner, self.period


class _LimitsFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limits: tuple[Limit, ...]


def read_limits(file: Path) -> tuple[Limit, ...]:
    """The limits of a file; raises BadInput with file, place, cause and next step."""
    limits = read_strictly(file, _LimitsFile).limits
    seen: set[tuple[str, str, str | None]] = set()
    for number, limit in enumerate(limits):
        if (key := (limit.of, limit.per, limit.name)) in seen:
            cause = "There is a limit for the same team or workflow and period already."
            raise refused(file, f"limits.{number}", "duplicate_limit", cause, "Put the two together.")
        seen.add(key)
    return limits


def billionths(dollars: Decimal) -> int:
    """US dollars as whole billionths, rounded down: a limit is never above what was written."""
    return int(dollars.quantize(BILLIONTH, ROUND_DOWN).scaleb(9))


def allowances(limits: Sequence[Limit], demand: Demand, budget: Decimal | None, now: datetime) -> tuple[Allowance, ...]:
    """The accounts that a call at `now` (UTC) counts against, the run's own among them when it has a budget."""
    found = (
        [Allowance(owner=f"run:{demand.run_id}", period="run", billionths=billionths(budget))]
        if budget is not None
        else []
    )
    owners = {"team": (demand.tenant, f"team:{demand.tenant}")}
    owners["workflow"] = (demand.workflow, f"workflow:{demand.tenant}/{demand.workflow}")
    for (of, per), limit in _holding(limits, {of: name for of, (name, _) in owners.items()}).items():
        cost = None if limit.cost_usd is None else billionths(limit.cost_usd)
        found.append(
            Allowance(
                owner=owners[of][1],
                period=now.strftime(_STAMPS[per]),
                requests=limit.requests,
                tokens=limit.tokens,
                billionths=cost,
            )
        )
    return tuple(found)


def _holding(limits: Sequence[Limit], names: dict[str, str]) -> dict[tuple[Owner, Period], Limit]:
    """The limit of each kind and period that holds for these names."""
    holding: dict[tuple[Owner, Period], Limit] = {}
    for limit in sorted(limits, key=lambda limit: limit.name is not None):
        if limit.name in (None, names[limit.of]):
            holding[limit.of, limit.per] = limit
    return holding
