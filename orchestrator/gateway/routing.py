"""Which routes a call may take, in which order, and why the others are left out: a pure function over values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal

from orchestrator.gateway.port import TokenUsage
from orchestrator.gateway.prices import PriceTable
from orchestrator.gateway.routes import Demand, ModelRoute, Routes
from orchestrator.policy.decisions import Decision
from orchestrator.workflows import Risk

WhyNotRoute = Literal[
    "not_wanted",  # another route was asked for
    "invalid_before",  # it gave an invalid output for this prompt
    "task",
    "capability",
    "level",  # not stronger than what an escalation goes above
    "region",
    "no_credential",
    "context_full",  # the prompt would not fit
    "breaker_open",
    "policy",
]
PolicyCheck = Callable[[ModelRoute], Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingConfig:
    """Which strength a risk asks for. Whoever is weaker comes after all that are not."""

    levels: Mapping[Risk, int] = field(default_factory=lambda: MappingProxyType({"low": 1, "medium": 1, "high": 2}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is known at this moment, by name of route or credential."""

    credentials: Callable[[str], bool]  # whether a secret of that name is there
    open_breakers: Collection[str] = ()
    invalid_before: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A route that may be asked."""

    route: ModelRoute
    decision: Decision  # of the policy, that let the data go there
    cost: Decimal  # likely, in US dollars


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRoute:
    """A route that may not."""

    route: ModelRoute
    reason: WhyNotRoute
    detail: str  # one sentence for people
    decision: Decision | None = None  # of the policy, where it was asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The routes of a call, in the order in which they are asked."""

    candidates: tuple[Candidate, ...]
    left_out: tuple[NotRoute, ...]

    @property
    def leaves_process(self) -> bool:
        """Whether anything may be sent out of this process."""
        return any(not candidate.route.in_process for candidate in self.candidates)

    def why(self) -> str:
        """What was left out, for people."""
        return " ".join(f"{one.route.name}: {one.detail}" for one in self.left_out)


def plan_routes(
    routes: Routes,
    demand: Demand,
    policy: PolicyCheck,
    health: Health,
    prices: PriceTable,
    *,
    prompt_tokens: int,
    output_tokens: int,
    config: RoutingConfig,
) -> Plan:
    """Filter by what must hold, then order by strength for the risk, likely cost, latency and name."""
    candidates: list[Candidate] = []
    left_out: list[NotRoute] = []
    for route in routes.routes:
        why = _why_not(route, demand, health, prompt_tokens + min(output_tokens, route.max_output_tokens))
        if why is not None:
            left_out.append(NotRoute(route=route, reason=why[0], detail=why[1]))
            continue
        decision = policy(route)
        if decision.allowed:
            cost = likely_cost(route, prices, prompt_tokens, output_tokens)
            candidates.append(Candidate(route=route, decision=decision, cost=cost))
        else:
            left_out.append(NotRoute(route=route, reason="policy", detail=decision.reason, decision=decision))
    wanted = config.levels[demand.risk]
    candidates.sort(key=lambda c: (max(0, wanted - c.route.level), c.cost, c.route.latency_s, c.route.name))
    return Plan(candidates=tuple(candidates), left_out=tuple(left_out))


def likely_cost(route: ModelRoute, prices: PriceTable, prompt_tokens: int, output_tokens: int) -> Decimal:
    """US dollars for a call that writes as much as it may; nothing is said of caches."""
    price = prices.price(route.provider, route.model) if route.costs else None
    usage = TokenUsage(input=prompt_tokens, output=min(output_tokens, route.max_output_tokens))
    return price.cost(usage) if price else _NOTHING


_NOTHING: Final = Decimal(0)


def _why_not(route: ModelRoute, demand: Demand, health: Health, tokens: int) -> tuple[WhyNotRoute, str] | None:
    """The first hard rule that the route breaks, the policy apart. What is read in this place stays in its region."""
    missing = demand.needs - route.capabilities
    why: tuple[WhyNotRoute, str] | None = None
    if demand.route not in (None, route.name):
        why = "not_wanted", f"{demand.route} was asked for."
    elif route.name in demand.without or route.name in health.invalid_before:
        why = "invalid_before", "It has answered this prompt already."
    elif route.tasks and demand.task not in route.tasks:
        why = "task", f"It does no {demand.task}."
    elif missing:
        why = "capability", f"It has no {', '.join(sorted(missing))}."
    elif route.level <= demand.above_level:
        why = "level", f"Its level {route.level} is not above {demand.above_level}."
    elif demand.regions and route.region not in demand.regions | {"local"}:
        why = "region", f"The data must stay in {', '.join(sorted(demand.regions))}; it works in {route.region}."
    elif route.credential and not health.credentials(route.credential):
        why = "no_credential", f"There is no secret named {route.credential}."
    elif tokens > route.context_tokens:
        why = "context_full", f"About {tokens} tokens are wanted of the {route.context_tokens} that it takes."
    elif route.name in health.open_breakers:
        why = "breaker_open", "It has failed too often just now."
    return why
