"""Reserving before a call and settling after it, over accounts: the decisions, as pure functions over values.

A reservation counts its upper bound as used at once. Settling puts what was really used in its place. So whatever ends
between the two leaves the bound counted, never nothing, and no interleaving of calls can use more than there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from orchestrator.gateway.limits import Allowance, billionths
from orchestrator.gateway.outcomes import Attempt, AttemptOutcome
from orchestrator.gateway.routes import Demand

Account = tuple[str, str]  # owner and period


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an account has used, reservations included."""

    requests: int = 0
    tokens: int = 0
    billionths: int = 0

    def plus(self, requests: int, tokens: int, billionths: int) -> Balance:
        """With that much more."""
        return Balance(
            requests=self.requests + requests,
            tokens=max(0, self.tokens + tokens),
            billionths=max(0, self.billionths + billionths),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """Before a call: count the most that it can use."""

    demand: Demand
    attempt: Attempt  # outcome `sent`; its cost is the most that it can be
    allowances: tuple[Allowance, ...]
    tokens: int  # the most that it can use
    expires_at: datetime  # UTC; not settled by then, it is lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """After a call, or in place of one: what came of it."""

    demand: Demand
    attempt: Attempt
    reserved: Reserve | None = None


Entry = Reserve | Settle


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The reservation would go over a limit; nothing was counted."""

    owner: str  # of the account
    period: str
    what: Literal["requests", "tokens", "cost"]


@dataclass(slots=True, kw_only=True)
class Booked:
    """What a batch of entries comes to."""

    results: list[Refusal | None] = field(default_factory=list)  # one for each entry
    balances: dict[Account, Balance]
    rows: dict[str, Entry] = field(default_factory=dict)  # by id of the attempt: its newest state, to be written


def book(entries: Sequence[Entry], balances: Mapping[Account, Balance], known: Mapping[str, AttemptOutcome]) -> Booked:
    """Take the entries one after another. `known` are the outcomes of those attempts that the ledger has already.

    An attempt that is settled is settled for good: a second settlement changes nothing. One that was given up as lost
    can still be settled, and is then counted as what it was.
    """
    booked = Booked(balances=dict(balances))
    states = dict(known)
    for entry in entries:
        if isinstance(entry, Reserve):
            refusal = _refusal(entry, booked.balances)
            booked.results.append(refusal)
            if refusal is None:
                _count(booked.balances, entry, 1, entry.tokens, billionths(entry.attempt.cost))
                booked.rows[entry.attempt.id], states[entry.attempt.id] = entry, "sent"
            continue
        booked.results.append(None)
        state = states.get(entry.attempt.id)
        if state not in (None, "sent", "lost"):
            continue
        if state is not None and entry.reserved is not None:
            _count(booked.balances, entry.reserved, 0, *_difference(entry.attempt, entry.reserved))
        booked.rows[entry.attempt.id], states[entry.attempt.id] = entry, entry.attempt.outcome
    return booked


def accounts(entries: Sequence[Entry]) -> list[Account]:
    """The accounts that the entries touch, in the order in which every process locks them."""
    reserves = (entry if isinstance(entry, Reserve) else entry.reserved for entry in entries)
    return sorted({allowance.account for reserve in reserves if reserve for allowance in reserve.allowances})


def _refusal(entry: Reserve, balances: Mapping[Account, Balance]) -> Refusal | None:
    cost = billionths(entry.attempt.cost)
    for allowance in entry.allowances:
        used = balances.get(allowance.account, Balance())
        checks: tuple[tuple[Literal["requests", "tokens", "cost"], int, int | None], ...] = (
            ("requests", used.requests + 1, allowance.requests),
            ("tokens", used.tokens + entry.tokens, allowance.tokens),
            ("cost", used.billionths + cost, allowance.billionths),
        )
        for what, wanted, most in checks:
            if most is not None and wanted > most:
                return Refusal(owner=allowance.owner, period=allowance.period, what=what)
    return None


def _difference(attempt: Attempt, reserved: Reserve) -> tuple[int, int]:
    """Tokens and billionths that the attempt used more than was reserved, mostly below zero."""
    used = reserved.tokens if attempt.estimated else attempt.usage.prompt + attempt.usage.output
    return used - reserved.tokens, billionths(attempt.cost) - billionths(reserved.attempt.cost)


def _count(balances: dict[Account, Balance], entry: Reserve, requests: int, tokens: int, cost: int) -> None:
    for allowance in entry.allowances:
        balances[allowance.account] = balances.get(allowance.account, Balance()).plus(requests, tokens, cost)
