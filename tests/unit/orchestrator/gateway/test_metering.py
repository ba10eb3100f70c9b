"""Entries of concurrent calls on their way to the ledger."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.tags import Classification
from orchestrator.gateway.bookkeeping import Entry, Refusal, Reserve, Settle
from orchestrator.gateway.metering import Meter
from orchestrator.gateway.routes import Demand
from tests.doubles.attempts import attempt

DEMAND = Demand(
    run_id="r",
    tenant="t",
    workflow="ask",
    task="answer",
    risk="low",
    classification=Classification.public,
)
REFUSAL = Refusal(owner="o", period="p", what="cost")


def reserve(name: str) -> Reserve:
    later = datetime(2026, 11, 20, 13, tzinfo=UTC)
    sent = attempt(id=name, outcome="sent")
    return Reserve(demand=DEMAND, attempt=sent, allowances=(), tokens=1, expires_at=later)


def settle(name: str) -> Settle:
    return Settle(demand=DEMAND, attempt=attempt(id=name))


class Ledger:
    """Notes what is booked; a transaction can be held up or fail."""

    def __init__(self) -> None:
        self.batches: list[list[Entry]] = []
        self.at_once = 0
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()
        self.fails: Exception | None = None
        self._lock = threading.Lock()

    def book(self, entries: Sequence[Entry]) -> Sequence[Refusal | None]:
        assert self._lock.acquire(blocking=False), "Two transactions at once."
        try:
            self.begun.set()
            assert self.go.wait(30)
            if self.fails:
                raise self.fails
            self.batches.append(list(entries))
            return [REFUSAL if entry.attempt.id.startswith("refused") else None for entry in entries]
        finally:
            self._lock.release()

    @property
    def entries(self) -> list[Entry]:
        return [entry for batch in self.batches for entry in batch]

    async def under_way(self) -> None:
        """A transaction has begun."""
        await asyncio.to_thread(self.begun.wait, 30)


def test_no_entry_of_two_hundred_callers_is_lost_or_doubled() -> None:
    """Each is written once, those of one caller in order, in batches of no more than what was asked for."""
    ledger = Ledger()

    async def scenario() -> None:
        meter = Meter(ledger.book, most=50)

        async def call(name: str) -> None:
            refusal = await meter.reserve(reserve(name))
            assert (refusal is REFUSAL) == name.startswith("refused")
            if refusal is None:
                await meter.settle(settle(name))

        await asyncio.gather(*(call(f"{'refused' if n % 10 == 0 else 'call'}-{n}") for n in range(200)))

    asyncio.run(scenario())
    written = Counter((type(entry).__name__, entry.attempt.id) for entry in ledger.entries)
    assert set(written.values()) == {1}
    assert Counter(kind for kind, _ in written) == {"Reserve": 200, "Settle": 180}
    order = {(type(entry).__name__, entry.attempt.id): place for place, entry in enumerate(ledger.entries)}
    assert all(order["Reserve", name] < place for (kind, name), place in order.items() if kind == "Settle")
    assert max(len(batch) for batch in ledger.batches) <= 50
    assert len(ledger.batches) <= 20


def test_entries_that_come_during_a_transaction_share_the_next() -> None:
    """So the ledger's speed bounds how long a call waits, not how many there are."""
    ledger = Ledger()
    ledger.go.clear()

    async def scenario() -> None:
        meter = Meter(ledger.book)
        async with asyncio.TaskGroup() as group:
            group.create_task(meter.reserve(reserve("first")))
            await ledger.under_way()
            for number in range(100):
                group.create_task(meter.reserve(reserve(str(number))))
            await asyncio.sleep(0)
            ledger.go.set()

    asyncio.run(scenario())
    assert [len(batch) for batch in ledger.batches] == [1, 100]
    assert [entry.attempt.id for entry in ledger.batches[1]] == [str(number) for number in range(100)]


@pytest.mark.parametrize("when", ["in its transaction", "in the queue"])
def test_the_settlement_of_a_cancelled_caller_is_written(when: str) -> None:
    """Whoever goes away, what was used is counted; those who wait beside them notice nothing."""
    ledger = Ledger()
    ledger.go.clear()

    async def scenario() -> None:
        meter = Meter(ledger.book)
        if when == "in the queue":
            meter.settle_later(settle("before"))
            await ledger.under_way()
        gone = asyncio.create_task(meter.settle(settle("gone")))
        beside = asyncio.create_task(meter.reserve(reserve("beside")))
        await ledger.under_way()
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        ledger.go.set()
        assert await beside is None
        await meter.drained()

    asyncio.run(scenario())
    assert Counter(entry.attempt.id for entry in ledger.entries)["gone"] == 1


def test_a_settlement_for_later_is_written_before_all_is_drained() -> None:
    """For those who cannot wait; a meter that wrote nothing is drained."""
    ledger = Ledger()

    async def scenario() -> None:
        meter = Meter(ledger.book, most=1)
        await meter.drained()
        for name in ("a", "b", "c"):
            meter.settle_later(settle(name))
        await meter.drained()

    asyncio.run(scenario())
    assert [entry.attempt.id for entry in ledger.entries] == ["a", "b", "c"]


def test_a_failure_reaches_all_of_its_transaction_and_no_other() -> None:
    """Each caller learns that nothing was written; the next transaction is tried; nothing goes to asyncio's log."""
    ledger = Ledger()
    logged: list[dict[str, Any]] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
        meter = Meter(ledger.book)
        ledger.fails = OSError("disk full")
        failed = await asyncio.gather(meter.reserve(reserve("a")), meter.settle(settle("b")), return_exceptions=True)
        meter.settle_later(settle("c"))
        await meter.drained()
        assert [str(one) for one in failed] == ["disk full", "disk full"]
        ledger.fails = None
        assert await meter.reserve(reserve("d")) is None

    asyncio.run(scenario())
    gc.collect()
    assert [entry.attempt.id for entry in ledger.entries] == ["d"]
    assert logged == []
