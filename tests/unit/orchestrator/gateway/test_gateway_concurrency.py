"""Many callers at once, and callers who go away: nothing is held for ever, and the ledger is exact."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import groupby
from typing import Any

import pytest

from orchestrator.gateway.bookkeeping import Entry
from orchestrator.gateway.breaker import BreakerConfig
from orchestrator.gateway.gateway import GatewayConfig
from orchestrator.gateway.outcomes import NotProduced, Produced
from orchestrator.gateway.port import ModelReply, ModelRequest, ProviderFailure
from orchestrator.gateway.retries import RetryConfig
from orchestrator.store.database import open_database
from orchestrator.store.usage import UsageStore
from tests.doubles.gateway_stand import FAST, STRONG, Script, Stand, reply, small_prompt

PROMPT = small_prompt()
ONE_TRY = RetryConfig(tries=1)
NARROW = replace(FAST, concurrency=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UsageStore]:
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('usage') / 'record.db'}")
    yield UsageStore(database)
    database.close()


def runs(stand: Stand, number: int, **more: Any) -> list[Coroutine[Any, Any, Any]]:
    """Productions of as many runs of one team."""
    demands = [replace(stand.demand, run_id=f"{stand.run_id}-{n}") for n in range(number)]
    return [stand.produce(PROMPT, demand=demand, **more) for demand in demands]


class Held:
    """A model that answers when it is let."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, _: ModelRequest) -> ModelReply:
        self.arrived.set()
        await self.go.wait()
        return reply()


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# Those who go away


def test_a_call_that_is_cancelled_is_metered_at_the_most_it_can_cost(store: UsageStore) -> None:
    """One row, `cancelled`, estimated; the slot is free, so the next call of a route with one slot goes through."""

    async def story() -> Stand:
        held = Held()
        stand = Stand(store, {"fast": Script(held, reply())}, NARROW)
        task = asyncio.create_task(stand.produce(PROMPT))
        await held.arrived.wait()
        reserved = stand.balance()
        await cancelled(task)
        assert isinstance(await stand.produce(small_prompt("Who cooks?"), number_from=2), Produced)
        await stand.gateway.close()
        first, second = stand.rows()
        assert (first.outcome, first.estimated, second.outcome) == ("cancelled", True, "end")
        assert first.cost > second.cost
        assert first.cost.scaleb(9) == reserved.billionths
        return stand

    stand = asyncio.run(story())
    assert stand.balance().billionths == sum(one.cost for one in stand.rows()).scaleb(9)  # type: ignore[union-attr]


def test_a_probe_that_is_cancelled_makes_room_for_the_next(store: UsageStore) -> None:
    """A half-open breaker is not left without a verdict for ever."""

    async def story() -> None:
        held, config = Held(), GatewayConfig(retries=ONE_TRY, breaker=BreakerConfig(failures=1, cooldown_s=10))
        stand = Stand(store, {"fast": Script(ProviderFailure("overloaded"), held, reply())}, FAST, config=config)
        await stand.produce(PROMPT)
        assert stand.gateway.breakers == {("anthropic", "small"): "open"}
        stand.time.pass_(10)
        task = asyncio.create_task(stand.produce(PROMPT))
        await held.arrived.wait()
        await cancelled(task)
        assert isinstance(await stand.produce(PROMPT), Produced)
        assert stand.gateway.breakers == {("anthropic", "small"): "closed"}
        await stand.gateway.close()

    asyncio.run(story())


def test_who_goes_while_waiting_for_a_slot_leaves_nothing(store: UsageStore) -> None:
    """No row, no reservation, and the slot goes to those who are still there."""

    async def story() -> None:
        held = Held()
        stand = Stand(store, {"fast": Script(held, reply())}, NARROW)
        first, second, third = (asyncio.create_task(one) for one in runs(stand, 3))
        await held.arrived.wait()
        await asyncio.sleep(0)
        await cancelled(second)
        held.go.set()
        assert isinstance(await first, Produced)
        assert isinstance(await third, Produced)
        await stand.gateway.close()
        assert store.attempts(f"{stand.run_id}-1") == ()
        assert store.balance(f"run:{stand.run_id}-1", "run").billionths == 0

    asyncio.run(story())


def test_wherever_a_call_is_cancelled_nothing_is_held(store: UsageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled after each number of the loop's turns: the one slot is free, the account holds what the rows say."""
    monkeypatch.setattr(asyncio, "to_thread", in_turns)

    async def story(turns: int) -> tuple[list[str], bool]:
        opened_twice = [Script(otherwise=three_turns) for _ in range(2)]  # the first may be cancelled as well
        stand = Stand(store, {"fast": opened_twice}, NARROW)
        task = asyncio.create_task(stand.produce(PROMPT))
        for _ in range(turns):
            await asyncio.sleep(0)
        done = task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        later = await stand.produce(small_prompt("Who cooks?"), number_from=2)
        assert isinstance(later, Produced)
        await stand.gateway.close()
        rows = stand.rows()
        assert [row.outcome for row in rows if row.number == 2] == ["end"]
        assert stand.balance().billionths == sum((one.cost for one in rows), Decimal(0)).scaleb(9)
        return [row.outcome for row in rows if row.number == 1], done

    seen: list[list[str]] = []
    for turns in range(100):
        outcomes, done = asyncio.run(story(turns))
        seen.append(outcomes)
        if done:
            break
    found = [key for key, _ in groupby(seen)]
    assert found == [[], ["cancelled"], ["end"]], "before it began, before and during the call, after the answer"
    assert len(seen) > 8


async def in_turns(work: Callable[..., Any], *given: Any) -> Any:
    """In place of a thread, so that each turn of the loop is the test's."""
    await asyncio.sleep(0)
    done = work(*given)
    await asyncio.sleep(0)
    return done


async def three_turns(_: ModelRequest) -> ModelReply:
    for _turn in range(3):
        await asyncio.sleep(0)
    return reply()


@pytest.mark.parametrize("answered", [False, True])
def test_cancelled_while_the_ledger_writes_it_is_exact(store: UsageStore, answered: bool) -> None:
    """Before the call: nothing was sent and nothing is counted. After it: the row says what it really cost."""

    async def story() -> None:
        loop, entered, go = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        held_at = 1 if answered else 0
        calls: list[int] = []

        def book(entries: list[Entry]) -> Any:
            if len(calls) == held_at:
                loop.call_soon_threadsafe(entered.set)
                asyncio.run_coroutine_threadsafe(go.wait(), loop).result(timeout=20)
            calls.append(len(entries))
            return store.book(entries)

        script = Script(reply())
        stand = Stand(store, {"fast": script}, FAST, book=book)
        task = asyncio.create_task(stand.produce(PROMPT))
        await entered.wait()
        await cancelled(task)
        go.set()
        await stand.gateway.close()
        (row,) = stand.rows()
        expected = ("end", Decimal("0.0005"), 1) if answered else ("cancelled", Decimal(0), 0)
        assert (row.outcome, row.cost, len(script.history)) == expected
        assert stand.balance().billionths == row.cost.scaleb(9)
        assert not row.estimated

    asyncio.run(story())


def test_a_defect_of_an_adapter_is_metered_and_raised(store: UsageStore) -> None:
    """Whoever built it sees the error; the slot is free, and the most that it can have cost is counted."""

    def defect(_: ModelRequest) -> ModelReply:
        raise ZeroDivisionError

    async def story() -> None:
        stand = Stand(store, {"fast": Script(defect, reply())}, NARROW)
        with pytest.raises(ZeroDivisionError):
            await stand.produce(PROMPT)
        assert isinstance(await stand.produce(PROMPT, number_from=2), Produced)
        await stand.gateway.close()
        first = stand.rows()[0]
        assert (first.outcome, first.estimated, first.cost > Decimal("0.0005")) == ("garbled", True, True)

    asyncio.run(story())


# Many at once


def test_two_hundred_at_once_have_one_row_for_each_attempt(store: UsageStore) -> None:
    """Failures of every kind mixed in: rows, attempts handed out, and the team's account agree to the billionth."""
    ends: list[Callable[[], Any]] = [
        reply,
        lambda: reply("truncated"),
        lambda: reply("cut"),
        lambda: ProviderFailure("overloaded"),
    ]
    ends += [lambda: ProviderFailure("timeout"), lambda: ProviderFailure("bad_request"), reply, reply]
    turn = iter(range(100_000))

    async def mixed(_: ModelRequest) -> Any:
        number = next(turn)
        await asyncio.sleep(0)
        return ends[number % len(ends)]()

    async def story() -> tuple[Stand, list[Any]]:
        config = GatewayConfig(slot_wait_s=30.0, breaker=BreakerConfig(failures=10_000))
        stand = Stand(store, {"fast": Script(otherwise=mixed), "strong": Script(otherwise=mixed)}, config=config)
        found = await asyncio.gather(*runs(stand, 200, seconds=10_000.0))
        await stand.gateway.close()
        return stand, found

    stand, found = asyncio.run(story())
    for number, outcome in enumerate(found):
        run = f"{stand.run_id}-{number}"
        assert [(a.id, a.number, a.outcome, a.cost) for a in outcome.attempts] == [
            (r.id, r.number, r.outcome, r.cost) for r in store.attempts(run)
        ]
        used = store.balance(f"run:{run}", "run")
        assert used.billionths == sum((a.cost for a in outcome.attempts), Decimal(0)).scaleb(9)
        assert used.requests == len(outcome.attempts)
    assert sum(isinstance(one, Produced) for one in found) > 150


def test_no_more_calls_than_slots(store: UsageStore) -> None:
    """With three slots three calls of 39 are under way at once, never more, and all of them are answered."""
    under_way, highest = 0, 0

    async def story() -> list[Any]:
        three = asyncio.Barrier(3)

        async def counting(_: ModelRequest) -> ModelReply:
            nonlocal under_way, highest
            under_way += 1
            highest = max(highest, under_way)
            await three.wait()
            under_way -= 1
            return reply()

        config = GatewayConfig(slot_wait_s=30.0)
        stand = Stand(store, {"fast": Script(otherwise=counting)}, replace(FAST, concurrency=3), config=config)
        found = await asyncio.gather(*runs(stand, 39))
        await stand.gateway.close()
        return found

    assert all(isinstance(one, Produced) for one in asyncio.run(story()))
    assert highest == 3


def test_who_finds_no_slot_in_time_goes_on(store: UsageStore) -> None:
    """The attempt is `busy`, was never sent, costs nothing, and the next route answers."""

    async def story() -> None:
        held = Held()
        config = GatewayConfig(slot_wait_s=0.01)
        stand = Stand(store, {"fast": Script(held), "strong": Script(reply())}, NARROW, STRONG, config=config)
        first, second = (asyncio.create_task(one) for one in runs(stand, 2))
        outcome = await second
        held.go.set()
        await first
        await stand.gateway.close()
        assert [(a.route, a.outcome) for a in outcome.attempts] == [("fast", "busy"), ("strong", "end")]
        assert outcome.attempts[0].cost == 0
        assert [row.outcome for row in store.attempts(f"{stand.run_id}-1")] == ["busy", "end"]

    asyncio.run(story())


def test_an_open_breaker_lets_one_probe_through(store: UsageStore) -> None:
    """After five failures nobody asks; after the cooldown one of fifty does, and when it answers all others may."""

    async def story() -> None:
        held = Held()
        fails = [ProviderFailure("overloaded")] * 5
        config = GatewayConfig(retries=ONE_TRY, breaker=BreakerConfig(failures=5, cooldown_s=30.0))
        wide = replace(FAST, concurrency=50)
        stand = Stand(store, {"fast": Script(*fails, held, otherwise=reply())}, wide, config=config)
        for one in runs(stand, 5):
            await one
        closed_to = await stand.produce(PROMPT)
        assert (closed_to.reason, [a.outcome for a in closed_to.attempts]) == ("exhausted", ["breaker_open"])
        stand.time.pass_(30.0)
        tasks = [asyncio.create_task(one) for one in runs(stand, 50)]
        done, pending = await asyncio.wait(tasks, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        while len(pending) > 1:
            more, pending = await asyncio.wait(pending, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        assert {a.outcome for task in done for a in task.result().attempts} == {"breaker_open"}
        assert len(stand.asked("fast")) == 6
        held.go.set()
        assert isinstance(await pending.pop(), Produced)
        assert stand.gateway.breakers == {("anthropic", "small"): "closed"}
        assert isinstance(await stand.produce(small_prompt("Who cooks?")), Produced)
        await stand.gateway.close()

    asyncio.run(story())


def test_many_with_a_rotated_key_open_connections_once(store: UsageStore) -> None:
    """Thirty calls are turned down at once: one renewal serves all of them."""

    async def story() -> None:
        together = asyncio.Barrier(30)

        async def turned_down(_: ModelRequest) -> ProviderFailure:
            await together.wait()
            return ProviderFailure("bad_credential")

        old, new = Script(otherwise=turned_down), Script(otherwise=reply())
        stand = Stand(store, {"fast": [old, new]}, replace(FAST, concurrency=30))
        found = await asyncio.gather(*runs(stand, 30))
        assert all(one.flags == ("credential_renewed",) for one in found)
        assert stand.opened == ["fast", "fast"]
        assert [one.closed for one in (old, new)] == [True, False]
        await stand.gateway.close()
        assert [one.closed for one in (old, new)] == [True, True]

    asyncio.run(story())


def test_a_call_under_way_keeps_its_connections(store: UsageStore) -> None:
    """A key is renewed while an earlier call still writes: its connections are closed after it, not before."""

    async def story() -> None:
        held = Held()
        old, new = Script(held, ProviderFailure("bad_credential")), Script(reply())
        stand = Stand(store, {"fast": [old, new]}, FAST)
        first, second = (asyncio.create_task(one) for one in runs(stand, 2))
        assert isinstance(await second, Produced)
        closed = [old.closed]
        held.go.set()
        assert isinstance(await first, Produced)
        assert [*closed, old.closed] == [False, True]
        await stand.gateway.close()

    asyncio.run(story())


def test_a_shared_budget_is_never_overspent(store: UsageStore) -> None:
    """Fifty calls of one run at once, with money for a few: what is used at any moment is within the budget."""
    budget, seen = Decimal("0.02"), []

    async def story() -> None:
        async def watched(_: ModelRequest) -> ModelReply:
            seen.append(await asyncio.to_thread(lambda: stand.balance().billionths))
            return reply()

        stand = Stand(store, {"fast": Script(otherwise=watched)}, replace(FAST, concurrency=50))
        found = await asyncio.gather(*(stand.produce(PROMPT, budget=budget) for _ in range(50)))
        assert {one.reason for one in found if isinstance(one, NotProduced)} == {"over_budget"}
        assert stand.balance().billionths == sum(row.cost for row in stand.rows()).scaleb(9)  # type: ignore[union-attr]
        await stand.gateway.close()

    asyncio.run(story())
    assert 0 < max(seen) <= budget.scaleb(9)


def test_close_waits_for_the_ledger(store: UsageStore) -> None:
    """What a cancelled caller left to be written is on disk when `close` returns, before connections end."""

    async def story() -> None:
        loop, go = asyncio.get_running_loop(), asyncio.Event()
        held, script = Held(), Script()
        script.enqueue(held)
        open_still: list[bool] = []

        def book(entries: list[Entry]) -> Any:
            if open_still:
                asyncio.run_coroutine_threadsafe(go.wait(), loop).result(timeout=20)
            open_still.append(not script.closed)
            return store.book(entries)

        stand = Stand(store, {"fast": script}, FAST, book=book)
        task = asyncio.create_task(stand.produce(PROMPT))
        await held.arrived.wait()
        await cancelled(task)
        assert [row.outcome for row in stand.rows()] == ["sent"]
        closing = asyncio.create_task(stand.gateway.close())
        await asyncio.sleep(0)
        go.set()
        await closing
        assert [row.outcome for row in stand.rows()] == ["cancelled"]
        assert open_still == [True, True]
        assert script.closed

    asyncio.run(story())
