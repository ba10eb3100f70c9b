"""What asking models comes to: outcomes, attempts, money, flags and the next route, with models that do as told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from orchestrator.egress.gate import FieldError
from orchestrator.gateway.gateway import FALLBACK, REJECTED, ROTATED, GatewayConfig
from orchestrator.gateway.limits import Limit
from orchestrator.gateway.outcomes import NotProduced, Produced
from orchestrator.gateway.port import ModelReply, ModelRequest, Provider, ProviderFailure, TokenUsage
from orchestrator.gateway.routes import ModelRoute
from orchestrator.gateway.sizes import prompt_size
from orchestrator.store.database import open_database
from orchestrator.store.usage import UsageStore
from tests.doubles.gateway_stand import FAST, HERE, PRICES, STRONG, Script, Stand, reply, small_prompt

PROMPT = small_prompt()
EXACT = Decimal("0.0005")  # 400 tokens at 1 and 20 at 5 dollars for a million
ERRORS = (FieldError(place="claims.0", kind="schema", message="There is no such source."),)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UsageStore]:
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('usage') / 'record.db'}")
    yield UsageStore(database)
    database.close()


def asked(stand: Stand, **more: Any) -> Any:
    """Produce once; what is in the ledger must be what was handed out."""

    async def once() -> Any:
        try:
            return await stand.produce(PROMPT, **more)
        finally:
            await stand.gateway.close()

    outcome = asyncio.run(once())
    remote = [one for one in outcome.attempts if one.provider == "anthropic"]
    assert [(r.id, r.number, r.outcome, r.cost) for r in stand.rows()] == [
        (a.id, a.number, a.outcome, a.cost) for a in remote
    ]
    assert stand.balance().billionths == sum((a.cost for a in remote), Decimal(0)).scaleb(9)
    return outcome


def outcomes(outcome: Produced | NotProduced) -> list[tuple[str, str]]:
    return [(one.route, one.outcome) for one in outcome.attempts]


def most(request: ModelRequest) -> Decimal:
    """The most that a request to the fast model can cost."""
    price, size = PRICES.price("anthropic", request.model), prompt_size(request)
    assert price is not None
    return price.most(size.most, request.max_output_tokens, cached_tokens=size.cacheable)


# Each way in which an attempt can end: how often the route is asked, what each attempt costs, the reason in the end.
ENDS: dict[str, tuple[int, str, str]] = {
    "rate_limited": (3, "nothing", "exhausted"),
    "overloaded": (3, "nothing", "exhausted"),
    "server_error": (3, "nothing", "exhausted"),
    "unreachable": (3, "nothing", "exhausted"),
    "timeout": (3, "most", "exhausted"),
    "garbled": (3, "most", "exhausted"),
    "spend_limit": (1, "nothing", "exhausted"),
    "bad_request": (1, "nothing", "exhausted"),
    "not_allowed": (1, "nothing", "exhausted"),
    "bad_credential": (1, "nothing", "exhausted"),
    "truncated": (1, "exact", "truncated"),
    "refused": (1, "exact", "refused"),
    "context_full": (1, "exact", "context_full"),
    "cut": (3, "most", "exhausted"),
}


def ending(kind: str) -> ModelReply | ProviderFailure:
    return reply(kind) if kind in ("truncated", "refused", "context_full", "cut") else ProviderFailure(kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ENDS)
def test_each_end_of_an_attempt_is_typed_and_metered(store: UsageStore, kind: str) -> None:
    """How often a route is asked, what each attempt costs, whether that is estimated, and the reason in the end."""
    times, money, reason = ENDS[kind]
    stand = Stand(store, {"fast": Script(otherwise=ending(kind))}, FAST)
    outcome = asked(stand)
    assert isinstance(outcome, NotProduced)
    assert (outcomes(outcome), outcome.reason) == ([("fast", kind)] * times, reason)
    costs = {"nothing": Decimal(0), "exact": EXACT, "most": most(stand.asked("fast")[0])}
    assert costs["most"] > EXACT
    assert {(one.cost, one.estimated) for one in outcome.attempts} == {(costs[money], money == "most")}
    assert [one.number for one in outcome.attempts] == list(range(1, times + 1))
    assert outcome.flags == ((REJECTED,) if kind == "bad_request" else ())


@pytest.mark.parametrize("kind", ENDS)
def test_after_each_end_the_next_route_answers(store: UsageStore, kind: str) -> None:
    """No way of failing of one model ends the search, and the asker learns that another one answered."""
    stand = Stand(store, {"fast": Script(otherwise=ending(kind)), "strong": Script(reply())})
    outcome = asked(stand)
    assert isinstance(outcome, Produced)
    assert outcome.route == "strong"
    assert FALLBACK in outcome.flags
    assert outcomes(outcome)[-1] == ("strong", "end")


def test_a_good_answer_costs_what_was_used(store: UsageStore) -> None:
    """One attempt, priced to the billionth from the tokens that the provider told; nothing is degraded."""
    stand = Stand(store, {"fast": Script(reply(cache_read=1_001, cache_write=3)), "strong": Script()})
    outcome = asked(stand)
    (attempt,) = outcome.attempts
    assert attempt.cost == EXACT + Decimal("0.0001001") + Decimal("0.00000375")
    assert (outcome.text, outcome.flags, attempt.estimated) == ("It opens at 11:30.", (), False)
    assert (outcome.level, outcome.decision.allowed) == (1, True)


def test_what_a_broken_stream_had_used_is_paid_for(store: UsageStore) -> None:
    """A failure that tells its usage costs that, not nothing."""
    failure = ProviderFailure("overloaded", usage=TokenUsage(input=400, output=20))
    outcome = asked(Stand(store, {"fast": Script(failure, reply())}, FAST))
    assert [one.cost for one in outcome.attempts] == [EXACT, EXACT]


@pytest.mark.parametrize(("retry_after", "waited"), [(None, [0.25, 0.5]), (3.0, [3.0, 3.0])])
def test_waits_follow_what_the_provider_asks(store: UsageStore, retry_after: float | None, waited: list[float]) -> None:
    """Half of 0.5 and of 1 second by jitter; what the provider asks for is the least."""
    limited = ProviderFailure("rate_limited", retry_after_s=retry_after)
    stand = Stand(store, {"fast": Script(limited, limited, reply())}, FAST)
    assert isinstance(asked(stand), Produced)
    assert stand.time.slept == waited


def test_a_wait_beyond_the_deadline_goes_on_to_the_next_route_at_once(store: UsageStore) -> None:
    """Nobody sleeps for two hours: the next model is asked in the same moment."""
    limited = ProviderFailure("rate_limited", retry_after_s=7_200)
    stand = Stand(store, {"fast": Script(otherwise=limited), "strong": Script(reply())})
    outcome = asked(stand)
    assert outcomes(outcome) == [("fast", "rate_limited"), ("strong", "end")]
    assert stand.time.slept == []


# Credentials


def test_a_key_that_was_rotated_is_read_once_more(store: UsageStore) -> None:
    """The attempt is made again over connections with the new key, the old ones are closed, and the asker is told."""
    old, new = Script(ProviderFailure("bad_credential")), Script(reply())
    stand = Stand(store, {"fast": [old, new]}, FAST)
    outcome = asked(stand)
    assert outcomes(outcome) == [("fast", "bad_credential"), ("fast", "end")]
    assert (outcome.flags, stand.opened, old.closed) == ((ROTATED,), ["fast", "fast"], True)


def test_a_key_that_stays_bad_is_renewed_once(store: UsageStore) -> None:
    """Two attempts, then the next route; another model behind the same key is left out."""
    scripts = [Script(otherwise=ProviderFailure("bad_credential")) for _ in range(3)]
    twin = replace(FAST, name="twin", model="large")
    other = replace(STRONG, name="zother")
    stand = Stand(store, {"fast": scripts, "twin": Script(), "zother": Script(reply())}, FAST, twin, other)
    outcome = asked(stand)
    assert outcomes(outcome) == [("fast", "bad_credential")] * 2 + [("zother", "end")]
    assert (outcome.flags, stand.opened.count("fast")) == ((FALLBACK,), 2)


def test_a_bad_key_says_nothing_of_another_server(store: UsageStore) -> None:
    """Servers at other addresses are asked although they go by the same name of a key."""
    other = replace(FAST, name="other", model="large", base_url="http://127.0.0.1:9/v1")
    down = Script(otherwise=ProviderFailure("bad_credential"))
    stand = Stand(store, {"fast": down, "other": Script(reply())}, FAST, other)
    assert asked(stand).route == "other"


def test_connections_of_dead_keys_do_not_pile_up(store: UsageStore) -> None:
    """Each production with a dead key opens new connections once, and all but the newest are closed by then."""
    scripts = [Script(otherwise=ProviderFailure("bad_credential")) for _ in range(5)]
    stand = Stand(store, {"fast": scripts}, FAST)

    async def all_of_them() -> list[bool]:
        for _ in range(4):
            await stand.produce(PROMPT)
        return [script.closed for script in scripts]

    assert asyncio.run(all_of_them()) == [True, True, True, True, False]


def test_a_missing_secret_is_an_attempt_that_was_not_sent(store: UsageStore) -> None:
    """It is metered with the error's code, and the next route is asked."""
    stand = Stand(store, {"fast": [], "strong": Script(reply())})
    outcome = asked(stand)
    assert outcomes(outcome) == [("fast", "bad_credential"), ("strong", "end")]
    assert outcome.attempts[0].detail == "secret_missing"


# Time


def test_one_deadline_holds_over_all_attempts(store: UsageStore) -> None:
    """Each attempt may take no longer than what is left, nothing starts after the end, and the reason says so."""
    script = Script()
    stand = Stand(store, {"fast": script, "strong": Script()})

    def slow(request: ModelRequest) -> ProviderFailure:
        stand.time.pass_(min(10.0, script.timeouts[-1]))
        return ProviderFailure("timeout")

    script.enqueue(slow, slow, slow)
    outcome = asked(stand, seconds=18.0)
    assert outcome.reason == "deadline"
    assert script.timeouts == [10.0, 7.75]  # a quarter of a second went by in waiting
    assert stand.asked("strong") == []


def test_nothing_is_sent_when_the_time_was_up_before(store: UsageStore) -> None:
    """No attempt, no money."""
    stand = Stand(store, {"fast": Script(), "strong": Script()})
    outcome = asked(stand, seconds=0.0)
    assert (outcome.reason, outcome.attempts) == ("deadline", ())


def test_opening_a_provider_takes_of_the_same_time(store: UsageStore) -> None:
    """A source of secrets that hangs holds nobody beyond the deadline."""

    class Hanging(Stand):
        async def _open(self, route: ModelRoute) -> Provider:
            await asyncio.Event().wait()
            return await super()._open(route)

    outcome = asked(Hanging(store, {"fast": Script(), "strong": Script()}), seconds=0.01)
    assert outcome.attempts == ()


def test_time_that_ends_while_money_is_put_aside_gives_it_back(store: UsageStore) -> None:
    """The call is not made, and its reservation costs nothing."""
    stand = Stand(store, {"fast": Script()}, FAST, book=lambda entries: passing(entries))

    def passing(entries: Any) -> Any:
        stand.time.pass_(100)
        return store.book(entries)

    async def once() -> Any:
        try:
            return await stand.produce(PROMPT)
        finally:
            await stand.gateway.close()

    assert asyncio.run(once()).reason == "deadline"
    assert stand.asked("fast") == []
    assert [(one.outcome, one.cost) for one in stand.rows()] == [("cancelled", Decimal(0))]
    assert (stand.balance().billionths, stand.balance().tokens) == (0, 0)


def test_a_provider_that_overstays_is_cut_off(store: UsageStore) -> None:
    """A provider that ignores its time is ended a moment later, as a timeout at the most that it can cost."""

    class Deaf(Script):
        async def complete(self, request: ModelRequest, *, timeout_s: float) -> ModelReply:
            self.history.append(request)
            await asyncio.Event().wait()
            raise AssertionError

    config = GatewayConfig(overstay_s=0.01)
    stand = Stand(store, {"fast": Deaf()}, replace(FAST, attempt_s=0.01), config=config)
    outcome = asked(stand)
    assert outcomes(outcome) == [("fast", "timeout")] * 3
    assert {one.cost for one in outcome.attempts} == {most(stand.asked("fast")[0])}


# Which routes


def test_a_wanted_route_is_asked_and_no_other(store: UsageStore) -> None:
    """When it fails there is no output, although another model would have answered."""
    scripts = {"fast": Script(), "strong": Script(reply("refused"))}
    stand = Stand(store, scripts)
    outcome = asked(stand, demand=replace(stand.demand, route="strong"))
    assert (outcome.reason, outcomes(outcome)) == ("refused", [("strong", "refused")])


def test_the_asker_learns_of_a_stronger_model_that_the_policy_forbids(store: UsageStore) -> None:
    """It is never asked; what the weaker one says is flagged."""
    stand = Stand(store, {"fast": Script(reply()), "strong": Script()}, forbidden=frozenset({"strong"}))
    outcome = asked(stand)
    assert (outcome.route, outcome.flags, stand.opened) == ("fast", (FALLBACK,), ["fast"])


def test_no_route_says_why(store: UsageStore) -> None:
    """A policy that forbids all is no_route, a prompt that fits none is context_full; nothing is opened."""
    forbidden = Stand(store, {"fast": Script()}, FAST, forbidden=frozenset({"fast"}))
    outcome = asked(forbidden)
    assert (outcome.reason, "As the test says." in outcome.detail) == ("no_route", True)
    narrow = Stand(store, {"fast": Script()}, replace(FAST, context_tokens=100))
    assert asked(narrow).reason == "context_full"
    assert forbidden.opened == narrow.opened == []


@pytest.mark.parametrize("first", [reply(), reply("truncated"), reply("refused"), reply("context_full")])
def test_a_model_is_never_asked_the_same_twice_in_a_run(store: UsageStore, first: ModelReply) -> None:
    """The second production of the prompt goes to another model; another prompt, or another run, goes to the first."""
    stand = Stand(store, {"fast": Script(first, otherwise=reply()), "strong": Script(otherwise=reply("refused"))})

    async def story() -> None:
        await stand.produce(PROMPT)
        again = await stand.produce(PROMPT)
        assert [one.route for one in again.attempts] in (["strong"], [])
        assert len(stand.asked("strong")) == 1
        assert (await stand.produce(small_prompt("Who cooks?"))).route == "fast"
        assert (await stand.produce(PROMPT, demand=replace(stand.demand, run_id=f"{stand.run_id}b"))).route == "fast"
        await stand.gateway.close()

    asyncio.run(story())


def test_what_is_remembered_of_runs_is_bounded(store: UsageStore) -> None:
    """With room for one run, the run before it may ask again; its memory does not grow."""
    stand = Stand(store, {"fast": Script(otherwise=reply())}, FAST, config=GatewayConfig(remembered_runs=1))

    async def story() -> list[type]:
        other = replace(stand.demand, run_id=f"{stand.run_id}b")
        found = [type(await stand.produce(PROMPT, demand=one)) for one in (stand.demand, stand.demand, other)]
        found.append(type(await stand.produce(PROMPT)))
        await stand.gateway.close()
        return found

    assert asyncio.run(story()) == [Produced, NotProduced, Produced, Produced]


def test_stronger_holds_while_a_stronger_model_was_not_heard(store: UsageStore) -> None:
    """It is there above level 1, not above 2, not when forbidden, and not after it gave its answer in this run."""
    stand = Stand(store, {"fast": Script(reply()), "strong": Script(reply("refused"))})
    assert stand.gateway.stronger(stand.demand, 1)
    assert not stand.gateway.stronger(stand.demand, 2)
    forbidden = Stand(store, {}, forbidden=frozenset({"strong"}))
    assert not forbidden.gateway.stronger(forbidden.demand, 1)
    asked(stand, demand=replace(stand.demand, risk="high"))
    assert not stand.gateway.stronger(stand.demand, 1)


def test_what_is_known_of_routes(store: UsageStore) -> None:
    """Names, what is usable, and whether anything would leave the process."""
    mixed, here = Stand(store, {}, FAST, HERE), Stand(store, {}, HERE)
    assert mixed.gateway.known("fast")
    assert not mixed.gateway.known("other")
    assert mixed.gateway.usable == (FAST, HERE)
    assert (mixed.gateway.stays_here(None), mixed.gateway.stays_here("here")) == (False, True)
    assert here.gateway.stays_here(None)


# The repair turn


def test_the_repair_turn_goes_to_the_model_that_wrote_the_output(store: UsageStore) -> None:
    """It holds prompt, output and errors, asks nobody else, is numbered on, and there is only one."""
    fast = Script(reply(text="bad"), reply(text="good"))
    stand = Stand(store, {"fast": fast, "strong": Script()})

    async def story() -> list[Any]:
        first = await stand.produce(PROMPT)
        ends = stand.gateway.until(60)
        again = [await stand.gateway.repair(first, ERRORS, stand.demand, ends=ends, number_from=2) for _ in range(2)]
        await stand.gateway.close()
        return again

    mended, second = asyncio.run(story())
    assert [turn.role for turn in fast.history[1].turns] == ["user", "assistant", "user"]
    assert fast.history[1].turns[1].text == "bad"
    assert "claims.0: There is no such source." in fast.history[1].turns[2].text
    assert (mended.text, mended.attempts[0].purpose, mended.attempts[0].number) == ("good", "repair", 2)
    assert isinstance(second, NotProduced)
    assert len(fast.history) == 2


# Before anything is sent


def test_before_send_is_awaited_before_anything_leaves(store: UsageStore) -> None:
    """Neither a connection nor a call comes before it."""
    stand = Stand(store, {"fast": Script(reply())}, FAST)
    seen: list[int] = []

    async def keep() -> None:
        await asyncio.sleep(0)
        seen.append(len(stand.asked("fast")) + len(stand.opened))

    assert isinstance(asked(stand, before_send=keep), Produced)
    assert seen == [0]


def test_nothing_is_sent_when_it_cannot_be_put_on_record(store: UsageStore) -> None:
    """What `before_send` raises is raised, and no model was asked."""
    stand = Stand(store, {"fast": Script()}, FAST)

    async def keep() -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk"):
        asyncio.run(stand.produce(PROMPT, before_send=keep))
    assert (stand.opened, stand.rows()) == ([], ())


def test_a_model_within_the_process_sends_nothing(store: UsageStore) -> None:
    """`before_send` is not awaited, nothing is reserved, and the attempt costs nothing."""
    stand = Stand(store, {"here": Script("An answer.")}, HERE)

    async def keep() -> None:
        raise AssertionError

    outcome = asked(stand, before_send=keep, budget=Decimal(0))
    assert [(one.outcome, one.cost) for one in outcome.attempts] == [("end", Decimal(0))]


# Money


@pytest.mark.parametrize(
    ("budget", "limits", "reason", "counted"),
    [
        (Decimal("0.0001"), (), "over_budget", 1),
        (None, (Limit(of="team", per="day", cost_usd=Decimal("0.0001")),), "over_budget", 1),
        (None, (Limit(of="workflow", per="day", tokens=100),), "over_quota", 1),
        (None, (Limit(of="team", per="minute", requests=0),), "over_quota", 0),
    ],
)
def test_a_reservation_that_is_refused_sends_nothing(
    store: UsageStore, budget: Decimal | None, limits: tuple[Limit, ...], reason: str, counted: int
) -> None:
    """No attempt is numbered or metered; tokens are counted once by the provider where a smaller bound could help."""
    script = Script(tokens=400)
    stand = Stand(store, {"fast": script}, FAST, config=GatewayConfig(limits=limits))
    outcome = asked(stand, budget=budget)
    assert (outcome.reason, outcome.attempts, script.history, script.counted) == (reason, (), [], counted)


def test_a_count_can_save_a_call_from_its_bound(store: UsageStore) -> None:
    """What fits the budget once the provider has counted is sent."""
    script = Script(reply(), tokens=50)
    stand = Stand(store, {"fast": script}, FAST)
    assert isinstance(asked(stand, budget=Decimal("0.001")), Produced)
    assert script.counted == 1
    assert most(script.history[0]) > Decimal("0.001")


def test_a_refused_reservation_leaves_no_gap_in_the_numbers(store: UsageStore) -> None:
    """The dear model cannot be paid for; the cheap one's attempt is the first."""
    stand = Stand(store, {"fast": Script(reply()), "strong": Script()})
    outcome = asked(stand, budget=Decimal("0.006"), demand=replace(stand.demand, risk="high"), number_from=7)
    assert [(one.route, one.number) for one in outcome.attempts] == [("fast", 7)]
    assert outcome.flags == (FALLBACK,)


def test_free_routes_cost_nothing_even_when_they_time_out(store: UsageStore) -> None:
    """A server of one's own has no price."""
    route: ModelRoute = replace(FAST, free=True, model="own")
    outcome = asked(Stand(store, {"fast": Script(otherwise=ProviderFailure("timeout"))}, route), budget=Decimal(0))
    assert [one.cost for one in outcome.attempts] == [0, 0, 0]


def test_a_ledger_that_cannot_be_written_stops_the_call() -> None:
    """Its error is raised, and nothing was sent."""

    def broken(_: Any) -> Any:
        raise OSError("no ledger")

    script = Script()
    stand = Stand(None, {"fast": script}, FAST, book=broken)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="no ledger"):
        asyncio.run(stand.produce(PROMPT))
    assert script.history == []
