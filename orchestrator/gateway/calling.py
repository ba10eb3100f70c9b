"""One attempt: a slot, a permit, money put aside, the call itself within its time, and what it came to in the ledger.

However an attempt ends, cancellation included, its slot and its permit are given back and its reservation is settled.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from orchestrator.gateway.bookkeeping import Refusal, Reserve, Settle
from orchestrator.gateway.concurrency import Busy, Slots
from orchestrator.gateway.limits import allowances
from orchestrator.gateway.outcomes import Attempt, AttemptOutcome, NoOutput, Purpose
from orchestrator.gateway.port import ModelReply, ModelRequest, Provider, ProviderFailure, TokenUsage
from orchestrator.gateway.sizes import PromptSize, prompt_size

if TYPE_CHECKING:
    from orchestrator.gateway.breaker import Breaker, Permit
    from orchestrator.gateway.gateway import GatewayConfig, Surroundings
    from orchestrator.gateway.metering import Meter
    from orchestrator.gateway.prices import Price
    from orchestrator.gateway.routes import Demand, ModelRoute
    from orchestrator.prompts.rendering import Prompted

# Ends after which the provider may bill without having said how much: the most that it can be stays counted.
_UNTOLD: Final[frozenset[AttemptOutcome]] = frozenset({"timeout", "garbled", "cut", "cancelled"})
# Ends that say something of the model's state; other failures are the request's, the credential's or the process's own.
_MODEL_FAILED: Final[frozenset[AttemptOutcome]] = frozenset(
    {"overloaded", "server_error", "unreachable", "timeout", "garbled", "cut"}
)
_MODEL_ANSWERED: Final[frozenset[AttemptOutcome]] = frozenset({"end", "truncated", "refused", "context_full"})
_REASONS: Final[dict[AttemptOutcome, NoOutput]] = {
    "refused": "refused",
    "truncated": "truncated",
    "context_full": "context_full",
}
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What all attempts of one production have in common."""

    demand: Demand
    purpose: Purpose
    number_from: int  # of the first attempt, within the run
    ends: float  # moment of the gateway's clock
    budget: Decimal | None  # US dollars, for the whole run
    prompted: Prompted


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an attempt, or all attempts of a route, ended."""

    reply: ModelReply | None = None  # one that the model wrote to the end
    attempt: Attempt | None = None  # None: nothing was tried
    reason: NoOutput = "exhausted"  # where there is no reply
    retry_after_s: float | None = None  # as the provider asks


class Caller:
    """Makes attempts. Used from one event loop."""

    def __init__(self, meter: Meter, slots: Slots, config: GatewayConfig, surroundings: Surroundings) -> None:
        self._meter = meter
        self._slots = slots
        self._config = config
        self._around = surroundings

    async def call(
        self,
        order: Order,
        route: ModelRoute,
        provider: Provider,
        request: ModelRequest,
        breaker: Breaker | None,
        price: Price | None,
        priced_by: str,
        made: int,
    ) -> Ended:
        """One attempt on a route; `made` others came before it. Raises GroundwireError when it cannot be metered."""
        started = self._begun(order, route, made, priced_by)
        if breaker is None:
            return await self._here(order, provider, request, started)
        wait_s = min(self._config.slot_wait_s, order.ends - self._around.clock())
        try:
            async with self._slots.slot(route, wait_s=max(0.0, wait_s)):
                permit = breaker.admit(self._around.clock())
                if permit is None:
                    return await self._unsent(order, started, "breaker_open")
                try:
                    return await self._permitted(order, route, provider, request, price, started, permit)
                finally:
                    permit.released()
        except Busy:
            return await self._unsent(order, started, "busy")

    async def not_sent(
        self, order: Order, route: ModelRoute, made: int, outcome: AttemptOutcome, detail: str | None = None
    ) -> Attempt:
        """Meter that a route could not be asked at all."""
        attempt = replace(self._begun(order, route, made, ""), outcome=outcome, detail=detail)
        await self._meter.settle(Settle(demand=order.demand, attempt=attempt))
        return attempt

    async def _here(self, order: Order, provider: Provider, request: ModelRequest, started: Attempt) -> Ended:
        """A model within this process: it costs nothing, and its attempt is written with the run."""
        began = self._around.clock()
        try:
            reply = await provider.complete(request, timeout_s=order.ends - began)
        except ProviderFailure as failure:
            attempt = _ended(started, failure.kind, self._around.clock() - began)
            return self._failed(replace(attempt, detail=failure.detail or None), failure)
        attempt = replace(
            started,
            outcome=reply.stop,
            usage=reply.usage,
            seconds=self._around.clock() - began,
            request_id=reply.request_id,
        )
        return _of_reply(reply, attempt)

    async def _unsent(self, order: Order, started: Attempt, outcome: AttemptOutcome) -> Ended:
        attempt = replace(started, outcome=outcome)
        await self._meter.settle(Settle(demand=order.demand, attempt=attempt))
        return Ended(attempt=attempt)

    async def _permitted(
        self,
        order: Order,
        route: ModelRoute,
        provider: Provider,
        request: ModelRequest,
        price: Price | None,
        started: Attempt,
        permit: Permit,
    ) -> Ended:
        reserve = self._reservation(order, route, request, price, started, prompt_size(request))
        refusal = await self._reserved(order, reserve)
        if isinstance(refusal, Refusal) and refusal.what != "requests":
            counted = await self._counted(order, provider, request)
            if counted is not None:
                reserve = self._reservation(order, route, request, price, started, counted)
                refusal = await self._reserved(order, reserve)
        if refusal == "deadline":
            return Ended(reason="deadline")
        if refusal is not None:
            return Ended(reason="over_budget" if refusal.what == "cost" else "over_quota")
        return await self._sent(order, route, provider, request, price, reserve, permit)

    async def _reserved(self, order: Order, reserve: Reserve) -> Refusal | Literal["deadline"] | None:
        """Put aside what the call may use. Nothing is sent when this is cut short, so it is given back."""
        try:
            async with asyncio.timeout(max(0.0, order.ends - self._around.clock())):
                refusal = await self._meter.reserve(reserve)
        except TimeoutError:
            self._give_back(order, reserve)
            return "deadline"
        except asyncio.CancelledError:
            self._give_back(order, reserve)
            raise
        if refusal is None and self._around.clock() >= order.ends:
            self._give_back(order, reserve)
            return "deadline"
        return refusal

    def _give_back(self, order: Order, reserve: Reserve) -> None:
        unsent = replace(reserve.attempt, outcome="cancelled", cost=_NOTHING, estimated=False)
        self._meter.settle_later(Settle(demand=order.demand, attempt=unsent, reserved=reserve))

    async def _sent(
        self,
        order: Order,
        route: ModelRoute,
        provider: Provider,
        request: ModelRequest,
        price: Price | None,
        reserve: Reserve,
        permit: Permit,
    ) -> Ended:
        began = self._around.clock()
        time_s = self._time(order, route)
        outcome: AttemptOutcome
        failure: ProviderFailure | None = None
        reply: ModelReply | None = None
        try:
            async with asyncio.timeout(time_s + self._config.overstay_s):
                reply = await provider.complete(request, timeout_s=time_s)
        except ProviderFailure as error:
            failure = error
        except TimeoutError:
            failure = ProviderFailure("timeout")
        except BaseException as error:  # cancelled, or a defect of the adapter: metered, then on its way
            outcome = "cancelled" if isinstance(error, asyncio.CancelledError) else "garbled"
            attempt = _ended(reserve.attempt, outcome, self._around.clock() - began)
            self._meter.settle_later(
                Settle(demand=order.demand, attempt=_priced(attempt, None, price, reserve), reserved=reserve)
            )
            raise
        outcome = reply.stop if reply else failure.kind if failure else "unreachable"
        if outcome in _MODEL_FAILED:
            permit.failed(self._around.clock())
        elif outcome in _MODEL_ANSWERED:
            permit.succeeded()
        attempt = replace(
            _ended(reserve.attempt, outcome, self._around.clock() - began),
            request_id=reply.request_id if reply else failure.request_id if failure else None,
            status=failure.status if failure else None,
            detail=(reply.detail if reply else failure.detail if failure else None) or None,
        )
        used = reply.usage if reply else failure.usage if failure else None
        attempt = _priced(attempt, used, price, reserve)
        await self._meter.settle(Settle(demand=order.demand, attempt=attempt, reserved=reserve))
        return _of_reply(reply, attempt) if reply else self._failed(attempt, failure)

    def _failed(self, attempt: Attempt, failure: ProviderFailure | None) -> Ended:
        return Ended(attempt=attempt, retry_after_s=failure.retry_after_s if failure else None)

    def _time(self, order: Order, route: ModelRoute) -> float:
        """Seconds that an attempt may take now."""
        return max(0.0, min(route.attempt_s, order.ends - self._around.clock()))

    async def _counted(self, order: Order, provider: Provider, request: ModelRequest) -> PromptSize | None:
        """The prompt as the provider counts it, which is less than the bound that holds for every tokeniser."""
        seconds = max(0.0, min(self._config.count_s, order.ends - self._around.clock()))
        try:
            async with asyncio.timeout(seconds):
                tokens = await provider.count_tokens(request, timeout_s=seconds)
        except (ProviderFailure, TimeoutError):
            return None
        return prompt_size(request).counted(tokens) if tokens is not None else None

    def _reservation(
        self,
        order: Order,
        route: ModelRoute,
        request: ModelRequest,
        price: Price | None,
        started: Attempt,
        size: PromptSize,
    ) -> Reserve:
        output = request.max_output_tokens
        most = price.most(size.most, output, cached_tokens=size.cacheable) if price else _NOTHING
        now = self._around.now()
        return Reserve(
            demand=order.demand,
            attempt=replace(started, cost=most, estimated=True),
            allowances=allowances(self._config.limits, order.demand, order.budget, now),
            tokens=size.most + output,
            expires_at=now + timedelta(seconds=self._time(order, route) + self._config.settle_s),
        )

    def _begun(self, order: Order, route: ModelRoute, made: int, priced_by: str) -> Attempt:
        return Attempt(
            number=order.number_from + made,
            purpose=order.purpose,
            route=route.name,
            provider=route.provider,
            model=route.model,
            outcome="sent",
            started_at=self._around.now(),
            seconds=0.0,
            usage=TokenUsage(),
            cost=_NOTHING,
            priced_by=priced_by,
        )


def _ended(attempt: Attempt, outcome: AttemptOutcome, seconds: float) -> Attempt:
    return replace(attempt, outcome=outcome, seconds=seconds)


def _priced(attempt: Attempt, used: TokenUsage | None, price: Price | None, reserve: Reserve) -> Attempt:
    """With what the attempt cost: after what was used where that was told, else nothing, or the most that it can be."""
    if attempt.outcome in _UNTOLD:
        return replace(attempt, usage=used or TokenUsage(), cost=reserve.attempt.cost, estimated=True)
    cost = price.cost(used) if price and used else _NOTHING
    return replace(attempt, usage=used or TokenUsage(), cost=cost, estimated=False)


def _of_reply(reply: ModelReply, attempt: Attempt) -> Ended:
    if reply.stop == "end":
        return Ended(reply=reply, attempt=attempt)
    return Ended(attempt=attempt, reason=_REASONS.get(reply.stop, "exhausted"))
