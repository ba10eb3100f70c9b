"""What calls of models used: every attempt, the accounts that limits hold against, and what each good output cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from orchestrator.gateway.bookkeeping import Account, Balance, Entry, Refusal, Reserve, accounts, book
from orchestrator.gateway.limits import billionths
from orchestrator.gateway.outcomes import Attempt, AttemptOutcome
from orchestrator.gateway.port import TokenUsage
from orchestrator.gateway.routes import Demand
from orchestrator.store.database import Connection, Database
from orchestrator.store.tables import metadata

_attempts = sa.Table(
    "model_attempts",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("run_id", sa.String(36), nullable=False),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("workflow", sa.String, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),  # within the run, from 1
    sa.Column("purpose", sa.String(20), nullable=False),
    sa.Column("route", sa.String, nullable=False),
    sa.Column("provider", sa.String, nullable=False),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("outcome", sa.String(20), nullable=False),
    sa.Column("started_at", sa.String(32), nullable=False),  # UTC, ISO 8601
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("input", sa.BigInteger, nullable=False),  # tokens, these five
    sa.Column("output", sa.BigInteger, nullable=False),
    sa.Column("cache_read", sa.BigInteger, nullable=False),
    sa.Column("cache_write", sa.BigInteger, nullable=False),
    sa.Column("cache_write_long", sa.BigInteger, nullable=False),
    sa.Column("billionths", sa.BigInteger, nullable=False),  # of a US dollar
    sa.Column("estimated", sa.Integer, nullable=False),  # 1: the most that it can have cost
    sa.Column("priced_by", sa.String, nullable=False),
    sa.Column("request_id", sa.String),
    sa.Column("status", sa.Integer),
    sa.Column("detail", sa.Text),
    sa.Column("expires_at", sa.String(32)),  # UTC, ISO 8601; of a reservation that is not settled
    sa.Index("model_attempts_by_run", "run_id", "number"),
    sa.Index("model_attempts_by_time", "tenant", "workflow", "started_at"),
    sa.Index("model_attempts_open", "expires_at"),
)
_balances = sa.Table(
    "usage_balances",
    metadata,
    sa.Column("owner", sa.String, primary_key=True),  # run:ID, team:TENANT, workflow:TENANT/NAME
    sa.Column("period", sa.String(16), primary_key=True),
    sa.Column("requests", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("billionths", sa.BigInteger, nullable=False, server_default="0"),
)
_outcomes = sa.Table(
    "run_outcomes",
    metadata,
    sa.Column("run_id", sa.String(36), primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("workflow", sa.String, nullable=False),
    sa.Column("route", sa.String),  # whose output it was; null: there was none
    sa.Column("good", sa.Integer, nullable=False),  # 1: it left, or a person let it
    sa.Column("at", sa.String(32), nullable=False),  # UTC, ISO 8601
    sa.Index("run_outcomes_by_time", "tenant", "workflow", "at"),
)
_PER_STATEMENT: Final = 400  # keys in one statement, below SQLite's limit of variables
_MINUTES_KEPT: Final = timedelta(days=1)  # of accounts by the minute, which nothing reads after that minute


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """Whether a run came to an output worth its money."""

    run_id: str
    tenant: str
    workflow: str
    route: str | None  # whose output it was
    good: bool
    at: datetime  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPerGood:
    """What the good outputs of a route, or of all routes of a workflow, cost."""

    workflow: str
    route: str | None  # None: all of them together
    attempts: int
    good: int  # outputs
    cost: Decimal  # US dollars for all attempts, the vain ones too

    @property
    def per_good(self) -> Decimal | None:
        """US dollars for one good output, None when there was none."""
        return self.cost / self.good if self.good else None


class UsageStore:
    """The ledger of attempts and the accounts. Blocking; safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Made once: it takes longer than to execute them, and every call of a model does so twice.
        self._put_balances = self._upsert(_balances, "owner", "period")
        self._put_attempts = self._upsert(_attempts, "id")

    def book(self, entries: Sequence[Entry]) -> Sequence[Refusal | None]:
        """Reserve and settle in one transaction, as `orchestrator.gateway.bookkeeping.book` decides.

        Gives a result for each entry: None when it was taken. Exact however many processes do so at once: the accounts
        are locked, in one order, from before they are read until they are written.
        """
        with self._database.write() as db:
            known = _outcomes_of(db, [entry.attempt.id for entry in entries if not isinstance(entry, Reserve)])
            balances = _locked_balances(db, accounts(entries))
            booked = book(entries, balances, known)
            self._write_balances(db, {k: v for k, v in booked.balances.items() if balances.get(k) != v})
            self._write_attempts(db, [_row(entry) for entry in booked.rows.values()])
        return booked.results

    def add(self, db: Connection, demand: Demand, attempts: Iterable[Attempt]) -> None:
        """Write attempts in the caller's transaction. Those that the ledger has already stay as they are.

        For attempts within this process, which the gateway hands out and does not write.
        """
        rows = [_values(demand, attempt) for attempt in attempts]
        if rows:
            db.execute(self._insert(_attempts).on_conflict_do_nothing(), rows)

    def finish(self, db: Connection, outcome: RunOutcome) -> None:
        """Write, in the caller's transaction, whether the run was worth its money; what is said last holds."""
        row = {
            "run_id": outcome.run_id,
            "tenant": outcome.tenant,
            "workflow": outcome.workflow,
            "route": outcome.route,
            "good": int(outcome.good),
            "at": outcome.at.isoformat(),
        }
        db.execute(self._upsert(_outcomes, "run_id"), [row])

    def expire(self, now: datetime) -> tuple[Attempt, ...]:
        """Give up the reservations that should have been settled by `now` (UTC): their processes have died.

        They become `lost` attempts. The most that each can have cost stays counted against its accounts.
        """
        late = _attempts.c.expires_at <= now.isoformat()
        mine = (
            sa.select(_attempts.c.id).where(late).with_for_update(skip_locked=True)
        )  # one that is just settled is not
        lost = (
            sa.update(_attempts)
            .where(_attempts.c.id.in_(mine))
            .values(outcome="lost", expires_at=None)
            .returning(*_attempts.c)
        )
        stale = (now - _MINUTES_KEPT).strftime("%Y-%m-%dT%H:%M")
        old = (sa.func.length(_balances.c.period) == len(stale)) & (_balances.c.period < stale)
        with self._database.write() as db:
            rows = db.execute(lost).all()
            db.execute(sa.delete(_balances).where(old))
        return tuple(_attempt(row) for row in sorted(rows, key=lambda row: (row.started_at, row.id)))

    def attempts(self, run_id: str) -> tuple[Attempt, ...]:
        """The attempts of a run, in their order."""
        query = sa.select(_attempts).where(_attempts.c.run_id == run_id).order_by(_attempts.c.number, _attempts.c.id)
        with self._database.read() as db:
            return tuple(_attempt(row) for row in db.execute(query))

    def balance(self, owner: str, period: str) -> Balance:
        """What an account has used, reservations included."""
        query = sa.select(_balances).where(_balances.c.owner == owner, _balances.c.period == period)
        with self._database.read() as db:
            row = db.execute(query).one_or_none()
        return _balance(row) if row else Balance()

    def cost_per_good_output(self, tenant: str, since: datetime, until: datetime) -> tuple[CostPerGood, ...]:
        """For each workflow of the tenant: all routes together, then each route; times are UTC, `until` excluded.

        The cost of a route is that of all its attempts, of failed and invalid ones too; its good outputs are those of
        runs that ended well on it. What a cheap route cost in vain before another answered stays with the cheap one.
        """
        started, at = _attempts.c.started_at, _outcomes.c.at
        tried = (
            sa.select(_attempts.c.workflow, _attempts.c.route, sa.func.count(), sa.func.sum(_attempts.c.billionths))
            .where(_attempts.c.tenant == tenant, started >= since.isoformat(), started < until.isoformat())
            .group_by(_attempts.c.workflow, _attempts.c.route)
        )
        ended = (
            sa.select(_outcomes.c.workflow, _outcomes.c.route, sa.func.count())
            .where(_outcomes.c.tenant == tenant, at >= since.isoformat(), at < until.isoformat(), _outcomes.c.good == 1)
            .group_by(_outcomes.c.workflow, _outcomes.c.route)
        )
        with self._database.read() as db:
            costs = {(row[0], row[1]): (row[2], int(row[3])) for row in db.execute(tried)}
            good = {(row[0], row[1]): row[2] for row in db.execute(ended)}
        return _cost_per_good(costs, good)

    def _write_balances(self, db: Connection, balances: dict[Account, Balance]) -> None:
        rows = [
            {"owner": o, "period": p, "requests": b.requests, "tokens": b.tokens, "billionths": b.billionths}
            for (o, p), b in balances.items()
        ]
        if rows:
            db.execute(self._put_balances, rows)

    def _write_attempts(self, db: Connection, rows: list[dict[str, Any]]) -> None:
        if rows:
            db.execute(self._put_attempts, rows)

    def _upsert(self, table: sa.Table, *key: str) -> Any:
        statement = self._insert(table)
        changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in key}
        return statement.on_conflict_do_update(index_elements=list(key), set_=changed)

    def _insert(self, table: sa.Table) -> Any:
        return sqlite_insert(table) if self._database.dialect == "sqlite" else postgres_insert(table)


def _outcomes_of(db: Connection, ids: list[str]) -> dict[str, AttemptOutcome]:
    found: dict[str, AttemptOutcome] = {}
    for first in range(0, len(ids), _PER_STATEMENT):
        some = _attempts.c.id.in_(sorted(ids)[first : first + _PER_STATEMENT])
        query = sa.select(_attempts.c.id, _attempts.c.outcome).where(some).order_by(_attempts.c.id).with_for_update()
        found.update((row.id, row.outcome) for row in db.execute(query))
    return found


def _locked_balances(db: Connection, keys: list[Account]) -> dict[Account, Balance]:
    """The balances of these accounts, which nobody else can change until the transaction ends.

    An account that does not exist cannot be locked, so on PostgreSQL it is made first.
    """
    if keys and db.dialect.name == "postgresql":
        new = [{"owner": owner, "period": period} for owner, period in keys]
        db.execute(postgres_insert(_balances).on_conflict_do_nothing(), new)
    found: dict[Account, Balance] = {}
    for first in range(0, len(keys), _PER_STATEMENT):
        some = sa.tuple_(_balances.c.owner, _balances.c.period).in_(keys[first : first + _PER_STATEMENT])
        query = sa.select(_balances).where(some).order_by(_balances.c.owner, _balances.c.period).with_for_update()
        found.update(((row.owner, row.period), _balance(row)) for row in db.execute(query))
    return found


def _balance(row: sa.Row[Any]) -> Balance:
    return Balance(requests=row.requests, tokens=row.tokens, billionths=row.billionths)


def _row(entry: Entry) -> dict[str, Any]:
    expires = entry.expires_at.isoformat() if isinstance(entry, Reserve) else None
    return _values(entry.demand, entry.attempt) | {"expires_at": expires}


def _values(demand: Demand, attempt: Attempt) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "run_id": demand.run_id,
        "tenant": demand.tenant,
        "workflow": demand.workflow,
        "number": attempt.number,
        "purpose": attempt.purpose,
        "route": attempt.route,
        "provider": attempt.provider,
        "model": attempt.model,
        "outcome": attempt.outcome,
        "started_at": attempt.started_at.isoformat(),
        "seconds": attempt.seconds,
        "input": attempt.usage.input,
        "output": attempt.usage.output,
        "cache_read": attempt.usage.cache_read,
        "cache_write": attempt.usage.cache_write,
        "cache_write_long": attempt.usage.cache_write_long,
        "billionths": billionths(attempt.cost),
        "estimated": int(attempt.estimated),
        "priced_by": attempt.priced_by,
        "request_id": attempt.request_id,
        "status": attempt.status,
        "detail": attempt.detail,
        "expires_at": None,
    }


def _attempt(row: sa.Row[Any]) -> Attempt:
    usage = TokenUsage(
        input=row.input,
        output=row.output,
        cache_read=row.cache_read,
        cache_write=row.cache_write,
        cache_write_long=row.cache_write_long,
    )
    return Attempt(
        id=row.id,
        number=row.number,
        purpose=row.purpose,
        route=row.route,
        provider=row.provider,
        model=row.model,
        outcome=row.outcome,
        started_at=datetime.fromisoformat(row.started_at),
        seconds=row.seconds,
        usage=usage,
        cost=Decimal(row.billionths).scaleb(-9),
        priced_by=row.priced_by,
        request_id=row.request_id,
        status=row.status,
        detail=row.detail,
        estimated=bool(row.estimated),
    )


def _cost_per_good(
    costs: dict[tuple[str, str], tuple[int, int]], good: dict[tuple[str, str | None], int]
) -> tuple[CostPerGood, ...]:
    found: list[CostPerGood] = []
    for workflow in sorted({key[0] for key in costs} | {key[0] for key in good}):
        routes = sorted({r for w, r in costs if w == workflow} | {r for w, r in good if w == workflow and r})
        lines = [
            CostPerGood(
                workflow=workflow,
                route=route,
                attempts=costs.get((workflow, route), (0, 0))[0],
                good=good.get((workflow, route), 0),
                cost=Decimal(costs.get((workflow, route), (0, 0))[1]).scaleb(-9),
            )
            for route in routes
        ]
        together = CostPerGood(
            workflow=workflow,
            route=None,
            attempts=sum(line.attempts for line in lines),
            good=sum(count for (w, _), count in good.items() if w == workflow),
            cost=sum((line.cost for line in lines), Decimal(0)),
        )
        found += [together, *lines]
    return tuple(found)
