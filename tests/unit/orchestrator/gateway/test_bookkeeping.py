"""Reserving and settling over accounts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.tags import Classification
from orchestrator.gateway.bookkeeping import Account, Balance, Entry, Refusal, Reserve, Settle, accounts, book
from orchestrator.gateway.limits import Allowance
from orchestrator.gateway.outcomes import AttemptOutcome
from orchestrator.gateway.port import TokenUsage
from orchestrator.gateway.routes import Demand
from tests.doubles.attempts import attempt

LATER = datetime(2026, 11, 20, 13, tzinfo=UTC)
DEMAND = Demand(
    run_id="r",
    tenant="t",
    workflow="ask",
    task="answer",
    risk="low",
    classification=Classification.public,
)
RUN = Allowance(owner="run:r", period="run", billionths=100)
TEAM = Allowance(owner="team:t", period="2026-11-20", requests=6, tokens=90)
OPEN = Allowance(owner="workflow:t/ask", period="2026-11")  # counted, not limited


def reserve(name: str, *, cost: int = 10, tokens: int = 10, of: tuple[Allowance, ...] = (RUN, TEAM, OPEN)) -> Reserve:
    sent = attempt(id=name, outcome="sent", cost=Decimal(cost).scaleb(-9), usage=TokenUsage(), estimated=True)
    return Reserve(demand=DEMAND, attempt=sent, allowances=of, tokens=tokens, expires_at=LATER)


def settle(
    reserved: Reserve, *, cost: int = 4, tokens: int = 3, outcome: AttemptOutcome = "end", estimated: bool = False
) -> Settle:
    usage = TokenUsage(input=tokens)
    ended = replace(reserved.attempt, outcome=outcome, cost=Decimal(cost).scaleb(-9), usage=usage, estimated=estimated)
    return Settle(demand=DEMAND, attempt=ended, reserved=reserved)


def counted(requests: int, tokens: int, cost: int) -> dict[Account, Balance]:
    one = Balance(requests=requests, tokens=tokens, billionths=cost)
    return {allowance.account: one for allowance in (RUN, TEAM, OPEN)}


def test_a_reservation_counts_its_bound_and_a_settlement_what_was_used() -> None:
    """On every account that the call counts against, in one batch or in two."""
    held = reserve("a")
    first = book([held], {}, {})
    assert (first.results, first.balances, first.rows) == ([None], counted(1, 10, 10), {"a": held})
    ended = settle(held)
    second = book([ended], first.balances, {"a": "sent"})
    assert (second.results, second.balances, second.rows) == ([None], counted(1, 3, 4), {"a": ended})
    together = book([held, ended], {}, {})
    assert (together.balances, together.rows) == (second.balances, {"a": ended})


@pytest.mark.parametrize(
    ("allowance", "what"),
    [
        (Allowance(owner="o", period="p", requests=1), "requests"),
        (Allowance(owner="o", period="p", tokens=19), "tokens"),
        (Allowance(owner="o", period="p", billionths=19), "cost"),
    ],
)
def test_a_reservation_over_a_limit_is_refused_and_counts_nothing(allowance: Allowance, what: str) -> None:
    """Not on the accounts that had room either; the refusal names account and kind."""
    booked = book([reserve("a", of=(OPEN, allowance)), reserve("b", of=(OPEN, allowance))], {}, {})
    assert booked.results == [None, Refusal(owner="o", period="p", what=what)]  # type: ignore[arg-type]
    assert booked.balances[OPEN.account] == Balance(requests=1, tokens=10, billionths=10)
    assert list(booked.rows) == ["a"]


def test_the_whole_of_a_limit_may_be_used() -> None:
    """A limit is the most that may be used, to the billionth."""
    allowance = Allowance(owner="o", period="p", requests=2, tokens=20, billionths=20)
    booked = book([reserve(name, of=(allowance,)) for name in ("a", "b", "c")], {}, {})
    assert [result is None for result in booked.results] == [True, True, False]


def test_what_was_not_told_stays_counted_at_its_bound() -> None:
    """An estimated settlement gives nothing back."""
    held = reserve("a")
    booked = book([held, settle(held, cost=10, tokens=0, estimated=True)], {}, {})
    assert booked.balances == counted(1, 10, 10)


def test_what_was_given_up_can_still_be_settled() -> None:
    """A lost attempt that ends after all is counted as what it was."""
    booked = book([settle(reserve("a"))], counted(1, 10, 10), {"a": "lost"})
    assert booked.balances == counted(1, 3, 4)
    assert booked.rows["a"].attempt.outcome == "end"


def test_a_settled_attempt_stays_as_it_is() -> None:
    """A second settlement, in the same batch or later, changes neither balances nor the attempt."""
    held = reserve("a")
    first = settle(held)
    again = settle(held, cost=1, tokens=1, outcome="timeout")
    assert book([held, first, again], {}, {}).balances == counted(1, 3, 4)
    later = book([again], counted(1, 3, 4), {"a": "end"})
    assert (later.results, later.balances, later.rows) == ([None], counted(1, 3, 4), {})


def test_what_was_never_sent_is_noted_and_not_counted() -> None:
    """An attempt that ended before a reservation, as with an open breaker."""
    skipped = Settle(demand=DEMAND, attempt=attempt(id="a", outcome="breaker_open", usage=TokenUsage()))
    booked = book([skipped], {}, {})
    assert (booked.balances, booked.rows) == ({}, {"a": skipped})


def test_accounts_come_in_one_order() -> None:
    """Each once, sorted, from reservations and settlements alike: so no two processes wait for each other."""
    entries: list[Entry] = [reserve("a", of=(OPEN, RUN)), settle(reserve("b", of=(TEAM, RUN)))]
    entries.append(Settle(demand=DEMAND, attempt=attempt()))
    assert accounts(entries) == sorted([RUN.account, TEAM.account, OPEN.account])


@dataclass
class Call:
    """One call of an interleaving."""

    held: Reserve
    endings: list[Settle] = field(default_factory=list)  # the first is what came of it, the others are repetitions


@st.composite
def calls(draw: st.DrawFn) -> list[Call]:
    found = []
    for number in range(draw(st.integers(1, 8))):
        cost, tokens = draw(st.integers(0, 60)), draw(st.integers(0, 60))
        of = draw(st.sampled_from([(RUN, TEAM, OPEN), (RUN,), (TEAM, OPEN), (RUN, OPEN)]))
        call = Call(reserve(str(number), cost=cost, tokens=tokens, of=of))
        for _ in range(draw(st.integers(0, 3))):
            used = settle(call.held, cost=draw(st.integers(0, cost)), tokens=draw(st.integers(0, tokens)))
            call.endings.append(used)
        found.append(call)
    return found


@given(data=st.data(), planned=calls())
def test_no_interleaving_goes_over_a_limit_or_counts_twice(data: st.DataObject, planned: list[Call]) -> None:
    """However calls interleave and batches are cut, expiry included: no limit is passed and the sums are exact."""
    balances: Mapping[Account, Balance] = {}
    states: dict[str, AttemptOutcome] = {}
    waiting: list[tuple[Call, list[Entry]]] = [(call, [call.held, *call.endings]) for call in planned]
    refused: set[str] = set()
    counts: dict[str, tuple[int, int]] = {}  # tokens and billionths of each attempt that was taken
    while waiting:
        batch: list[Entry] = []
        for _ in range(data.draw(st.integers(1, 4))):
            if waiting:
                call, entries = data.draw(st.sampled_from(waiting))
                batch.append(entries.pop(0))
                if not entries:
                    waiting = [one for one in waiting if one[0] is not call]
        batch = [one for one in batch if one.attempt.id not in refused]
        booked = book(batch, balances, states)
        for entry, result in zip(batch, booked.results, strict=True):
            name = entry.attempt.id
            if result is not None:
                refused.add(name)
            elif isinstance(entry, Reserve):
                counts[name] = entry.tokens, int(entry.attempt.cost.scaleb(9))
            elif name not in refused and states.get(name) in (None, "sent", "lost"):
                states[name] = "end"
                counts[name] = entry.attempt.usage.prompt, int(entry.attempt.cost.scaleb(9))
        states |= {name: entry.attempt.outcome for name, entry in booked.rows.items() if name not in refused}
        states |= {name: "lost" for name, state in states.items() if state == "sent" and data.draw(st.booleans())}
        balances = booked.balances
        _within_limits(balances)
    expected: dict[Account, Balance] = defaultdict(Balance)
    for call in planned:
        if (used := counts.get(call.held.attempt.id)) is not None:
            for allowance in call.held.allowances:
                expected[allowance.account] = expected[allowance.account].plus(1, *used)
    assert balances == expected


def _within_limits(balances: Mapping[Account, Balance]) -> None:
    for allowance in (RUN, TEAM):
        held = balances.get(allowance.account, Balance())
        assert held.requests <= (allowance.requests or held.requests)
        assert held.tokens <= (allowance.tokens or held.tokens)
        assert held.billionths <= (allowance.billionths or held.billionths)
