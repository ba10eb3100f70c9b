"""The way to models: routing, one deadline, money reserved and settled, retries, fallback, every attempt metered."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from ingest.errors import GroundwireError
from orchestrator.gateway.breaker import Breaker, BreakerConfig, BreakerState
from orchestrator.gateway.calling import Caller, Ended, Order
from orchestrator.gateway.concurrency import Slots
from orchestrator.gateway.connections import ConnectionKey, Connections, ProviderFactory, connection_key
from orchestrator.gateway.limits import Limit
from orchestrator.gateway.metering import Book, Meter
from orchestrator.gateway.outcomes import Attempt, AttemptOutcome, NoOutput, NotProduced, Produced, Purpose, produced
from orchestrator.gateway.port import ModelRequest, Provider, Turn
from orchestrator.gateway.prices import PriceTable
from orchestrator.gateway.repair import repair_turns
from orchestrator.gateway.retries import RetryConfig, wait_before_retry
from orchestrator.gateway.routes import Demand, ModelRoute, Routes
from orchestrator.gateway.routing import Candidate, Health, Plan, RoutingConfig, WhyNotRoute, plan_routes
from orchestrator.gateway.sizes import prompt_size
from orchestrator.policy.decisions import Decision

if TYPE_CHECKING:
    from orchestrator.egress.gate import FieldError
    from orchestrator.prompts.rendering import Prompted

BeforeSend = Callable[[], Awaitable[None]]
RoutePolicy = Callable[[Demand, ModelRoute], Decision]

FALLBACK: Final = "model_fallback"  # a weaker or later choice answered, because a better one could not
REJECTED: Final = "model_request_rejected"  # a provider takes no such request: a mistake of ours
ROTATED: Final = "credential_renewed"  # a key was turned down in mid-flight, and another one worked

# Reasons for which a stronger route was left out that the asker has to know of.
_DEGRADES: Final[frozenset[WhyNotRoute]] = frozenset(
    {"breaker_open", "context_full", "policy", "region", "invalid_before"}
)
# Ends that every model behind the same credential and address would meet as well.
_OF_THE_CREDENTIAL: Final[frozenset[AttemptOutcome]] = frozenset({"spend_limit", "bad_credential"})
# Ends in which a model gave what it gives for this prompt: asked again, it would give much the same.
_ANSWERED: Final[frozenset[AttemptOutcome]] = frozenset({"end", "truncated", "refused", "context_full"})
_TELLING: Final[tuple[NoOutput, ...]] = ("over_budget", "over_quota", "context_full", "truncated", "refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """How the gateway behaves."""

    routing: RoutingConfig = field(default_factory=RoutingConfig)
    retries: RetryConfig = field(default_factory=RetryConfig)
    breaker: BreakerConfig = field(default_factory=BreakerConfig)
    limits: tuple[Limit, ...] = ()
    slot_wait_s: float = 5.0  # longest wait for other calls of the route to end
    count_s: float = 2.0  # longest wait for a provider to count tokens
    overstay_s: float = 0.25  # after which a provider that ignores its time is cut off
    settle_s: float = 60.0  # after the end of its time a call is lost if it was not settled
    remembered_runs: int = 10_000  # whose prompts are known to have been answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What tests put in the place of time and chance."""

    clock: Callable[[], float] = time.monotonic  # seconds
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    random: Callable[[], float] = random.random  # 0 up to 1
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Gateway:
    """Asks models. Used from one event loop; `close` ends its connections when everything is on disk."""

    def __init__(
        self,
        routes: Routes,
        prices: PriceTable,
        *,
        policy: RoutePolicy,
        book: Book,
        providers: ProviderFactory,
        credentials: Callable[[str], bool],
        config: GatewayConfig | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        """`credentials` says whether a secret of that name is there; `book` writes to the ledger of attempts."""
        self._routes = routes
        self._prices = prices
        self._policy = policy
        self._credentials = credentials
        self._config = config or GatewayConfig()
        self._around = surroundings or Surroundings()
        self._connections = Connections(providers)
        self._meter = Meter(book)
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._answered: OrderedDict[str, set[tuple[str, str, str]]] = OrderedDict()  # run: (prompt, model)
        self._caller = Caller(self._meter, Slots(), self._config, self._around)

    @property
    def usable(self) -> tuple[ModelRoute, ...]:
        """The routes whose credential is there."""
        found = (one for one in self._routes.routes if one.credential is None or self._credentials(one.credential))
        return tuple(found)

    @property
    def breakers(self) -> dict[tuple[str, str], BreakerState]:
        """State of each breaker, by provider and model; a model that was never asked has none."""
        now = self._around.clock()
        return {key: breaker.state(now) for key, breaker in list(self._breakers.items())}

    def stays_here(self, route: str | None) -> bool:
        """Whether no model outside of this process would be asked; `route` is the asker's wish."""
        return all(one.in_process for one in self.usable if route in (None, one.name))

    def known(self, route: str) -> bool:
        """Whether there is such a route."""
        return self._routes.named(route) is not None

    def stronger(self, demand: Demand, level: int) -> bool:
        """Whether a route above this level may be asked, as far as it can be said before the prompt is measured.

        A model that has answered in this run was asked already, for a second opinion or before it was given up.
        """
        answered = {(provider, model) for _, provider, model in self._answered.get(demand.run_id, ())}
        asked_before = [one.name for one in self._routes.routes if (one.provider, one.model) in answered]
        above = replace(demand, above_level=level)
        return bool(self._plan(above, 0, 0, asked_before).candidates)

    async def produce(
        self,
        prompted: Prompted,
        demand: Demand,
        *,
        ends: float,
        budget: Decimal | None = None,
        number_from: int = 1,
        purpose: Purpose = "answer",
        before_send: BeforeSend | None = None,
    ) -> Produced | NotProduced:
        """Ask the routes that may be asked, one after another, until one gives an output.

        `ends` is the moment of the gateway's clock at which the time of the whole run is up (`until`), `budget` the
        most that the whole run may cost in US dollars, `before_send` is awaited before anything leaves the process. A
        route that answered this prompt in this run is not asked again. Raises GroundwireError when the ledger of
        attempts cannot be written: nothing is sent then.
        """
        key = _prompt_key(prompted)
        order = Order(
            demand=demand, purpose=purpose, number_from=number_from, ends=ends, budget=budget, prompted=prompted
        )
        request = _request(prompted, (Turn(role="user", text=prompted.user),))
        return await self._try_all(order, request, key, before_send)

    async def repair(
        self,
        invalid: Produced,
        errors: Sequence[FieldError],
        demand: Demand,
        *,
        ends: float,
        budget: Decimal | None = None,
        number_from: int = 1,
        before_send: BeforeSend | None = None,
    ) -> Produced | NotProduced:
        """The one repair turn: the model that wrote the output is told what is wrong with it; else as `produce`."""
        turns = repair_turns(invalid, errors)
        key = _prompt_key(invalid.prompted, "repair")
        order = Order(
            demand=replace(demand, route=invalid.route, above_level=-1, without=frozenset()),
            purpose="repair",
            number_from=number_from,
            ends=ends,
            budget=budget,
            prompted=invalid.prompted,
        )
        return await self._try_all(order, _request(invalid.prompted, turns), key, before_send)

    def until(self, seconds: float) -> float:
        """The moment of the gateway's clock that is so many seconds away."""
        return self._around.clock() + seconds

    async def close(self) -> None:
        """End the connections, when every attempt is on disk."""
        await self._meter.drained()
        await self._connections.close()

    # one production

    async def _try_all(
        self, order: Order, request: ModelRequest, key: str, before_send: BeforeSend | None
    ) -> Produced | NotProduced:
        size = prompt_size(request)
        plan = self._plan(order.demand, size.likely, request.max_output_tokens, self._asked_before(order, key))
        if not plan.candidates:
            skipped = tuple(await self._skipped(order, plan))
            return NotProduced(reason=_no_route(plan), attempts=skipped, detail=plan.why())
        if plan.leaves_process and before_send is not None:
            await before_send()
        attempts = await self._skipped(order, plan)
        flags: dict[str, None] = {}
        ends: list[NoOutput] = []
        turned_down: set[ConnectionKey] = set()  # whose credentials are of no use now
        for candidate in plan.candidates:
            if connection_key(candidate.route) in turned_down:
                continue
            ended = await self._try_route(order, candidate, request, attempts, flags)
            if ended.attempt is not None and ended.attempt.outcome in _ANSWERED:
                self._remember(order, key, candidate.route)
            if ended.reply is not None:
                flags |= dict.fromkeys(_fallback(order.demand, plan, candidate))
                route, decision = candidate.route, candidate.decision
                return produced(order.prompted, route, ended.reply, attempts, flags=tuple(flags), decision=decision)
            ends.append(ended.reason)
            if ended.reason == "deadline":
                break
            if ended.attempt is not None and ended.attempt.outcome in _OF_THE_CREDENTIAL:
                turned_down.add(connection_key(candidate.route))
        if self._around.clock() >= order.ends:
            ends.append("deadline")
        return NotProduced(
            reason=_reason(ends),
            attempts=tuple(attempts),
            flags=tuple(flags),
            detail="; ".join(f"{one.route}: {one.outcome}" for one in attempts),
        )

    async def _skipped(self, order: Order, plan: Plan) -> list[Attempt]:
        """Attempts for the routes that a breaker keeps from being asked: what was not tried is metered too."""
        routes = [one.route for one in plan.left_out if one.reason == "breaker_open"]
        return list(
            await asyncio.gather(
                *(self._caller.not_sent(order, route, n, "breaker_open") for n, route in enumerate(routes))
            )
        )

    async def _try_route(
        self,
        order: Order,
        candidate: Candidate,
        request: ModelRequest,
        attempts: list[Attempt],
        flags: dict[str, None],
    ) -> Ended:
        """One route, with its retries."""
        route = candidate.route
        price = self._prices.price(route.provider, route.model) if route.costs else None
        most = min(request.max_output_tokens, route.max_output_tokens)
        asked = replace(request, model=route.model, max_output_tokens=most)
        tried, turned_down, ended = 0, None, Ended()
        while True:
            try:
                provider = await self._opened(order, route, turned_down)
            except TimeoutError:
                return Ended(reason="deadline")
            except GroundwireError as error:
                if turned_down is not None:
                    return ended
                attempt = await self._caller.not_sent(order, route, len(attempts), "bad_credential", error.code)
                attempts.append(attempt)
                return Ended(attempt=attempt)
            async with self._connections.used(provider):
                ended = await self._caller.call(
                    order, route, provider, asked, self._breaker(route), price, self._prices.version, len(attempts)
                )
            tried += 1
            if ended.attempt is not None:
                attempts.append(ended.attempt)
            if ended.reply is not None or ended.attempt is None:
                if turned_down is not None and ended.reply is not None:
                    flags[ROTATED] = None
                return ended
            outcome = ended.attempt.outcome
            if outcome == "bad_request":
                flags[REJECTED] = None
            if outcome == "bad_credential" and turned_down is None:
                turned_down = provider
                continue
            wait = wait_before_retry(
                outcome,
                tried=tried,
                retry_after_s=ended.retry_after_s,
                left_s=order.ends - self._around.clock(),
                needed_s=min(route.latency_s, route.attempt_s),
                config=self._config.retries,
                random=self._around.random(),
            )
            if wait is None:
                return ended
            await self._around.sleep(wait)

    async def _opened(self, order: Order, route: ModelRoute, turned_down: Provider | None) -> Provider:
        """The provider of the route, another one than that which was turned down; TimeoutError when time is up."""
        left = order.ends - self._around.clock()
        if left <= 0:
            raise TimeoutError
        async with asyncio.timeout(left):
            return await self._connections.provider(route, turned_down)

    def _plan(self, demand: Demand, prompt: int, output: int, asked_before: Sequence[str]) -> Plan:
        now = self._around.clock()
        closed = {key for key, breaker in self._breakers.items() if breaker.closed_to(now)}
        health = Health(
            credentials=self._credentials,
            open_breakers=[one.name for one in self._routes.routes if (one.provider, one.model) in closed],
            invalid_before=asked_before,
        )
        return plan_routes(
            self._routes,
            demand,
            lambda route: self._policy(demand, route),
            health,
            self._prices,
            prompt_tokens=prompt,
            output_tokens=output,
            config=self._config.routing,
        )

    def _breaker(self, route: ModelRoute) -> Breaker | None:
        if route.in_process:
            return None
        return self._breakers.setdefault((route.provider, route.model), Breaker(self._config.breaker))

    def _asked_before(self, order: Order, key: str) -> list[str]:
        answered = self._answered.get(order.demand.run_id, set())
        return [one.name for one in self._routes.routes if (key, one.provider, one.model) in answered]

    def _remember(self, order: Order, key: str, route: ModelRoute) -> None:
        self._answered.setdefault(order.demand.run_id, set()).add((key, route.provider, route.model))
        if len(self._answered) > self._config.remembered_runs:
            self._answered.popitem(last=False)


def _request(prompted: Prompted, turns: tuple[Turn, ...]) -> ModelRequest:
    return ModelRequest(
        model="",  # that of each route
        system=prompted.system,
        turns=turns,
        schema=prompted.schema,
        cacheable=prompted.cacheable,
        max_output_tokens=prompted.settings.max_output_tokens,
        effort=prompted.settings.effort,
        context=prompted.context,
    )


def _prompt_key(prompted: Prompted, turn: str = "") -> str:
    parts = (prompted.content_hash, prompted.system, prompted.user, turn)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _fallback(demand: Demand, plan: Plan, answered: Candidate) -> Sequence[str]:
    """Whether something less than what was meant has answered."""
    if answered is not plan.candidates[0]:
        return [FALLBACK]
    missed = (one for one in plan.left_out if one.reason in _DEGRADES and one.route.level > answered.route.level)
    return [FALLBACK] if demand.route is None and any(missed) else []


def _no_route(plan: Plan) -> NoOutput:
    """Why nothing could be asked, by the nearest miss."""
    reasons = {one.reason for one in plan.left_out}
    if "context_full" in reasons:
        return "context_full"
    return "exhausted" if "breaker_open" in reasons else "no_route"


def _reason(ends: Sequence[NoOutput]) -> NoOutput:
    """One reason for all routes: that of the last where time was up, else the most telling one that any gave."""
    if ends[-1] == "deadline":
        return "deadline"
    return next((one for one in _TELLING if one in ends), "exhausted")
