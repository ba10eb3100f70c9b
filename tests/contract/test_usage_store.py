"""What the ledger of model calls promises, over SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ingest.tags import Classification
from orchestrator.gateway.bookkeeping import Balance, Entry, Refusal, Reserve, Settle
from orchestrator.gateway.limits import Allowance
from orchestrator.gateway.outcomes import Attempt
from orchestrator.gateway.port import TokenUsage
from orchestrator.gateway.routes import Demand
from orchestrator.store.database import Database
from orchestrator.store.usage import CostPerGood, RunOutcome, UsageStore
from tests.doubles.attempts import attempt

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BILLIONTH = Decimal("1E-9")
RUN = Allowance(owner="run:r1", period="run", billionths=50_000_000)
TEAM = Allowance(owner="team:acme", period="2026-11-20")


def demand(run: str = "r1", *, tenant: str = "acme", workflow: str = "ask") -> Demand:
    return Demand(
        run_id=run,
        tenant=tenant,
        workflow=workflow,
        task="answer",
        risk="low",
        classification=Classification.public,
    )


def reserve(
    number: int = 1,
    *,
    cost: Decimal = Decimal("0.01"),
    tokens: int = 100,
    of: Sequence[Allowance] = (RUN, TEAM),
    expires_at: datetime = NOW,
) -> Reserve:
    sent = attempt(number=number, outcome="sent", cost=cost, usage=TokenUsage(), estimated=True)
    return Reserve(demand=demand(), attempt=sent, allowances=tuple(of), tokens=tokens, expires_at=expires_at)


def settle(held: Reserve, cost: Decimal = Decimal("0.004"), tokens: int = 30) -> Settle:
    usage = TokenUsage(input=tokens)
    return Settle(
        demand=held.demand,
        attempt=replace(held.attempt, outcome="end", cost=cost, usage=usage, estimated=False),
        reserved=held,
    )


def test_an_attempt_is_read_as_it_was_written(database: Database) -> None:
    """Every field comes back, money to the billionth and times to the microsecond; a run shows its own in order."""
    store = UsageStore(database)
    full = attempt(number=2, cost=Decimal("123456.000000001"), detail="usage_estimated", estimated=True)
    bare = attempt(number=1, outcome="breaker_open", cost=Decimal(0), request_id=None, status=None)
    elsewhere = attempt()
    store.book([Settle(demand=demand(), attempt=full), Settle(demand=demand("r2"), attempt=elsewhere)])
    store.book([Settle(demand=demand(), attempt=bare)])
    assert store.attempts("r1") == (bare, full)
    assert store.attempts("r2") == (elsewhere,)
    assert store.attempts("r3") == ()


def test_a_reservation_is_there_before_the_call_and_what_was_used_after_it(database: Database) -> None:
    """The ledger shows the attempt as sent at its bound, then as it ended; accounts follow."""
    store = UsageStore(database)
    held = reserve()
    assert list(store.book([held])) == [None]
    assert store.attempts("r1") == (held.attempt,)
    assert store.balance("run:r1", "run") == Balance(requests=1, tokens=100, billionths=10_000_000)
    ended = settle(held)
    assert list(store.book([ended])) == [None]
    assert store.attempts("r1") == (ended.attempt,)
    for account in (RUN.account, TEAM.account):
        assert store.balance(*account) == Balance(requests=1, tokens=30, billionths=4_000_000)
    assert store.balance("run:r2", "run") == Balance()


def test_a_second_settlement_changes_nothing(database: Database) -> None:
    """However often it is handed in, an attempt is counted once."""
    store = UsageStore(database)
    held = reserve()
    store.book([held, settle(held), settle(held, Decimal("0.001"))])
    store.book([settle(held, Decimal("0.002"))])
    assert store.balance("run:r1", "run").billionths == 4_000_000
    assert [one.cost for one in store.attempts("r1")] == [Decimal("0.004")]


def test_a_refused_reservation_leaves_no_trace(database: Database) -> None:
    """Not in the ledger, and on no account."""
    store = UsageStore(database)
    refusal = Refusal(owner="run:r1", period="run", what="cost")
    assert list(store.book([reserve(cost=Decimal("0.050000001"))])) == [refusal]
    assert store.attempts("r1") == ()
    assert store.balance("team:acme", "2026-11-20") == Balance()


def test_concurrent_reservations_never_exceed_a_budget_by_a_billionth(database: Database) -> None:
    """500 reservations from eight threads: the accounts hold exactly the sum of those that were taken."""
    store = UsageStore(database)
    costs = [Decimal(50_000 + number * 777) * BILLIONTH for number in range(500)]
    together = threading.Barrier(8)

    def some(first: int) -> list[Decimal]:
        entries: list[Entry] = [reserve(number, cost=costs[number]) for number in range(first, 500, 8)]
        together.wait(30)
        taken = []
        for start in range(0, len(entries), 4):
            batch = entries[start : start + 4]
            results = store.book(batch)
            taken += [entry.attempt.cost for entry, no in zip(batch, results, strict=True) if no is None]
        return taken

    with ThreadPoolExecutor(8) as threads:
        taken = [cost for found in threads.map(some, range(8)) for cost in found]
    held = store.balance("run:r1", "run")
    assert held == Balance(requests=len(taken), tokens=100 * len(taken), billionths=int(sum(taken) / BILLIONTH))
    assert held == store.balance("team:acme", "2026-11-20")
    assert held.billionths <= 50_000_000
    smallest_refused = min(set(costs) - set(taken))
    assert held.billionths + int(smallest_refused / BILLIONTH) > 50_000_000
    assert sorted(one.cost for one in store.attempts("r1")) == sorted(taken)


def test_concurrent_settlements_in_any_order_of_accounts_lose_nothing(database: Database) -> None:
    """Eight threads reserve and settle over accounts in opposite orders: no deadlock, and the sum is exact."""
    store = UsageStore(database)
    together = threading.Barrier(8)

    def some(number: int) -> int:
        of = [TEAM, replace(RUN, billionths=None)]
        spent = 0
        together.wait(30)
        for step in range(6):
            held = reserve(step, of=of[:: 1 if number % 2 else -1])
            used = Decimal(number * 10 + step) * BILLIONTH
            store.book([held])
            store.book([settle(held, used, tokens=1)])
            spent += number * 10 + step
        return spent

    with ThreadPoolExecutor(8) as threads:
        spent = sum(threads.map(some, range(8)))
    for account in (RUN.account, TEAM.account):
        assert store.balance(*account) == Balance(requests=48, tokens=48, billionths=spent)


def test_what_is_not_settled_in_time_is_lost_at_its_bound(database: Database) -> None:
    """The most that it can have cost stays counted; what still has time, or was settled, is left alone."""
    store = UsageStore(database)
    late, due, early, done = (
        reserve(1, expires_at=NOW - timedelta(seconds=1)),
        reserve(2, expires_at=NOW),
        reserve(3, expires_at=NOW + timedelta(microseconds=1)),
        reserve(4, expires_at=NOW - timedelta(seconds=1)),
    )
    store.book([late, due, early, done, settle(done)])
    lost = store.expire(NOW)
    assert {one.id for one in lost} == {late.attempt.id, due.attempt.id}
    assert {(one.outcome, one.cost, one.estimated) for one in lost} == {("lost", Decimal("0.01"), True)}
    assert [one.outcome for one in store.attempts("r1")] == ["lost", "lost", "sent", "end"]
    assert store.balance("run:r1", "run") == Balance(requests=4, tokens=330, billionths=34_000_000)
    assert store.expire(NOW) == ()


def test_a_lost_attempt_can_still_be_settled(database: Database) -> None:
    """Its process lived after all: it is counted as what it was, and is lost no more."""
    store = UsageStore(database)
    held = reserve()
    store.book([held])
    store.expire(NOW)
    ended = settle(held)
    store.book([ended])
    assert store.attempts("r1") == (ended.attempt,)
    assert store.balance("run:r1", "run") == Balance(requests=1, tokens=30, billionths=4_000_000)
    assert store.expire(NOW + timedelta(days=9)) == ()


def test_accounts_by_the_minute_go_after_a_day_and_no_others(database: Database) -> None:
    """Nothing reads them after their minute; those of days, months and runs stay."""
    store = UsageStore(database)
    stale, kept = "2026-11-19T11:59", "2026-11-19T12:00"
    periods = [stale, kept, "2026-11-18", "2026-09", "run"]
    store.book([reserve(of=[Allowance(owner="team:acme", period=period) for period in periods])])
    store.expire(NOW)
    left = [period for period in periods if store.balance("team:acme", period) != Balance()]
    assert left == periods[1:]


def test_many_entries_and_accounts_fit_one_transaction(database: Database) -> None:
    """More keys than one statement takes."""
    store = UsageStore(database)
    held = [reserve(number, of=[Allowance(owner=f"run:{number:04}", period="run")]) for number in range(900)]
    assert set(store.book(held)) == {None}
    assert set(store.book([settle(one) for one in held])) == {None}
    assert {store.balance(f"run:{number:04}", "run").billionths for number in (0, 399, 400, 899)} == {4_000_000}
    assert len(store.attempts("r1")) == 900


def test_added_attempts_are_written_once_and_with_the_transaction(database: Database) -> None:
    """A second time changes nothing, not even a settled attempt; a transaction that fails leaves nothing."""
    store = UsageStore(database)
    one, two = attempt(number=1), attempt(number=2)
    store.book([Settle(demand=demand(), attempt=one)])
    with database.write() as db:
        store.add(db, demand(), [replace(one, outcome="timeout"), two])
        store.add(db, demand(), [])
    with database.write() as db:
        store.add(db, demand(), [one, two])
    assert store.attempts("r1") == (one, two)

    def fails() -> None:
        with database.write() as db:
            store.add(db, demand("r2"), [attempt()])
            raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        fails()
    assert store.attempts("r2") == ()


def ended(run: str, route: str | None, good: bool, *, at: datetime = NOW, workflow: str = "ask") -> RunOutcome:
    return RunOutcome(run_id=run, tenant="acme", workflow=workflow, route=route, good=good, at=at)


def paid(store: UsageStore, run: str, *attempts: Attempt, tenant: str = "acme", workflow: str = "ask") -> None:
    of = demand(run, tenant=tenant, workflow=workflow)
    store.book([Settle(demand=of, attempt=one) for one in attempts])


def cost(route: str, dollars: str, at: datetime = NOW) -> Attempt:
    return attempt(route=route, cost=Decimal(dollars), started_at=at)


def test_what_a_good_output_costs_counts_the_vain_attempts(database: Database) -> None:
    """A route pays for all its attempts; the workflow's line holds all of them; other teams and times do not count."""
    store = UsageStore(database)
    paid(store, "r1", cost("cheap", "0.001"), cost("dear", "0.010"))  # cheap in vain, dear answered
    paid(store, "r2", cost("cheap", "0.002"))
    paid(store, "r3", cost("cheap", "0.003"))  # no good
    paid(store, "r4", cost("cheap", "0.5", NOW + timedelta(hours=1)))  # after `until`
    paid(store, "r5", cost("cheap", "0.7"), tenant="other")
    paid(store, "r6", cost("cheap", "0.000000001"), workflow="triage")
    with database.write() as db:
        for outcome in (
            ended("r1", "dear", True),
            ended("r2", "cheap", True),
            ended("r3", "cheap", False),
            ended("r4", "cheap", True, at=NOW + timedelta(hours=1)),
            ended("r0", "cheap", True, at=NOW - timedelta(microseconds=1)),
            ended("r7", "kept", True),  # a good output that took no attempt
        ):
            store.finish(db, outcome)
    found = store.cost_per_good_output("acme", NOW, NOW + timedelta(hours=1))
    assert found == (
        CostPerGood(workflow="ask", route=None, attempts=4, good=3, cost=Decimal("0.016")),
        CostPerGood(workflow="ask", route="cheap", attempts=3, good=1, cost=Decimal("0.006")),
        CostPerGood(workflow="ask", route="dear", attempts=1, good=1, cost=Decimal("0.01")),
        CostPerGood(workflow="ask", route="kept", attempts=0, good=1, cost=Decimal(0)),
        CostPerGood(workflow="triage", route=None, attempts=1, good=0, cost=BILLIONTH),
        CostPerGood(workflow="triage", route="cheap", attempts=1, good=0, cost=BILLIONTH),
    )
    assert [one.per_good for one in found[1:3]] == [Decimal("0.006"), Decimal("0.01")]
    assert found[-1].per_good is None
    assert store.cost_per_good_output("nobody", NOW, NOW + timedelta(hours=1)) == ()


def test_what_is_said_last_of_a_run_holds(database: Database) -> None:
    """A person who turns an answer down makes it no good output."""
    store = UsageStore(database)
    for good in (True, False):
        with database.write() as db:
            store.finish(db, ended("r1", "cheap", good))
    assert store.cost_per_good_output("acme", NOW, NOW + timedelta(hours=1)) == ()
    with database.write() as db:
        store.finish(db, ended("r1", None, True))
    (line,) = store.cost_per_good_output("acme", NOW, NOW + timedelta(hours=1))
    assert (line.route, line.good, line.attempts) == (None, 1, 0)
