"""Runs as rows: who started what, how it ended, and what it used, so that a document or a prompt leads to its runs.

What was asked and answered is not here: that lies encrypted in the audit's artefacts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

import sqlalchemy as sa

from orchestrator.store.database import Connection, Database
from orchestrator.store.tables import metadata

UseKind = Literal["document", "prompt", "model", "policy", "code", "encoder", "screener", "rule", "calibration"]
# What a run's end does not write: its person may have been erased meanwhile.
_BEGINNING: Final = frozenset({"run_id", "tenant", "subject", "workflow", "workflow_version", "started_at"})
FORGOTTEN: Final = "(erased)"  # stands where the name of a person stood
UNFINISHED: Final = "running"  # status of a run that has not ended; for good, where its process died

_runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", sa.String(36), primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),  # who started it
    sa.Column("workflow", sa.String, nullable=False),
    sa.Column("workflow_version", sa.String, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("rule", sa.String),  # that routed it
    sa.Column("route", sa.String),  # of the model
    sa.Column("started_at", sa.String(32), nullable=False),  # UTC, ISO 8601
    sa.Column("finished_at", sa.String(32)),
    sa.Column("classification", sa.String(20)),  # the highest of what it read
    sa.Column("cost_usd", sa.String, nullable=False, server_default="0"),
    sa.Column("flags", sa.Text, nullable=False, server_default="[]"),  # JSON list
    sa.Column("recalled_at", sa.String(32)),
    sa.Column("recalled_because", sa.Text),
    sa.Column("expired_at", sa.String(32)),  # when its contents were deleted, because their time was over
    sa.Index("runs_by_retention", "classification", "expired_at", "started_at"),
    sa.Index("runs_by_person", "tenant", "subject", "started_at", "run_id"),
    sa.Index("runs_by_time", "tenant", "started_at", "run_id"),
)
_uses = sa.Table(
    "run_uses",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("version", sa.String, primary_key=True),
    sa.Column("cited", sa.Integer, nullable=False, server_default="0"),  # 1: the answer rests on it
    sa.Index("run_uses_by_thing", "kind", "id", "version"),
)
_onward = sa.Table(
    "sent_onward",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # within the run, from 1
    sa.Column("receiver", sa.String, nullable=False),  # person, system or tool
    sa.Column("at", sa.String(32), nullable=False),  # UTC, ISO 8601
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One thing that a run used."""

    kind: UseKind
    id: str
    version: str
    cited: bool = False  # whether the answer rests on it


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run."""

    run_id: str
    tenant: str
    subject: str
    workflow: str
    workflow_version: str
    started_at: datetime  # UTC
    status: str = UNFINISHED
    rule: str | None = None
    route: str | None = None
    finished_at: datetime | None = None
    classification: str | None = None
    cost_usd: Decimal = Decimal(0)
    flags: tuple[str, ...] = ()
    recalled_at: datetime | None = None
    recalled_because: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """Somebody or something outside that was sent the result of a run."""

    run_id: str
    receiver: str
    at: datetime  # UTC


class RunStore:
    """Reads and writes runs. What shares a transaction with the audit takes its connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, db: Connection, row: RunRow) -> None:
        """Write a run that begins."""
        db.execute(sa.insert(_runs), [_values(row)])

    def finish(self, db: Connection, row: RunRow, uses: Sequence[Use], onward: Sequence[Onward] = ()) -> None:
        """Write how the run ended and what it used."""
        ends = {name: value for name, value in _values(row).items() if name not in _BEGINNING}
        db.execute(sa.update(_runs).where(_runs.c.run_id == row.run_id).values(ends))
        kept = {(use.kind, use.id, use.version): use for use in sorted(uses, key=lambda use: use.cited)}
        if kept:
            db.execute(
                sa.insert(_uses),
                [
                    {"run_id": row.run_id, "kind": kind, "id": name, "version": version, "cited": int(use.cited)}
                    for (kind, name, version), use in kept.items()
                ],
            )
        if onward:
            db.execute(
                sa.insert(_onward),
                [
                    {"run_id": row.run_id, "number": n, "receiver": one.receiver, "at": one.at.isoformat()}
                    for n, one in enumerate(onward, start=1)
                ],
            )

    def get(self, tenant: str, run_id: str) -> RunRow | None:
        """A run of the tenant, None when there is none."""
        query = sa.select(_runs).where(_runs.c.tenant == tenant, _runs.c.run_id == run_id)
        with self._database.read() as db:
            row = db.execute(query).one_or_none()
        return _row(row) if row is not None else None

    def page(
        self, tenant: str, *, subject: str | None = None, before: str | None = None, limit: int = 50
    ) -> list[RunRow]:
        """Runs of the tenant, of one person where named, newest first; `before` is the id of the last one seen."""
        query = sa.select(_runs).where(_runs.c.tenant == tenant)
        if subject is not None:
            query = query.where(_runs.c.subject == subject)
        if before is not None:
            last = sa.select(_runs.c.started_at).where(_runs.c.run_id == before, _runs.c.tenant == tenant)
            place = sa.tuple_(_runs.c.started_at, _runs.c.run_id)
            query = query.where(place < sa.tuple_(last.scalar_subquery(), sa.literal(before)))
        query = query.order_by(_runs.c.started_at.desc(), _runs.c.run_id.desc()).limit(limit)
        with self._database.read() as db:
            return [_row(row) for row in db.execute(query)]

    def uses(self, run_id: str) -> list[Use]:
        """What a run used, sorted."""
        query = sa.select(_uses).where(_uses.c.run_id == run_id).order_by(_uses.c.kind, _uses.c.id, _uses.c.version)
        with self._database.read() as db:
            return [
                Use(kind=row.kind, id=row.id, version=row.version, cited=bool(row.cited)) for row in db.execute(query)
            ]

    def using(self, tenant: str, kind: UseKind, name: str, version: str | None = None) -> list[RunRow]:
        """The runs that used a thing, in any version where none is named; oldest first."""
        query = _using(tenant, kind, name, version).order_by(_runs.c.started_at, _runs.c.run_id)
        with self._database.read() as db:
            return [_row(row) for row in db.execute(query)]

    def onward(self, run_ids: Iterable[str]) -> list[Onward]:
        """What was sent onward of these runs."""
        query = sa.select(_onward).order_by(_onward.c.at, _onward.c.run_id, _onward.c.number)
        found: list[Onward] = []
        with self._database.read() as db:
            for some in _parts(sorted(run_ids)):
                rows = db.execute(query.where(_onward.c.run_id.in_(some)))
                found += [
                    Onward(run_id=row.run_id, receiver=row.receiver, at=datetime.fromisoformat(row.at)) for row in rows
                ]
        return found

    def forget(self, db: Connection, tenant: str, subject: str) -> int:
        """Take a person's name off their runs; how many there were."""
        query = sa.update(_runs).where(_runs.c.tenant == tenant, _runs.c.subject == subject)
        return int(db.execute(query.values(subject=FORGOTTEN)).rowcount)

    def due(self, classification: str | None, before: datetime, limit: int) -> list[tuple[str, str]]:
        """(tenant, run id) of runs over data of this class, begun before, whose contents have not expired yet."""
        query = (
            sa.select(_runs.c.tenant, _runs.c.run_id)
            .where(_runs.c.classification == classification if classification else _runs.c.classification.is_(None))
            .where(_runs.c.expired_at.is_(None), _runs.c.started_at < before.isoformat())
            .order_by(_runs.c.started_at)
            .limit(limit)
        )
        with self._database.read() as db:
            return [(row.tenant, row.run_id) for row in db.execute(query)]

    def mark_expired(self, db: Connection, run_ids: Iterable[str], at: datetime) -> None:
        """Note that the contents of these runs are gone."""
        for some in _parts(sorted(run_ids)):
            db.execute(sa.update(_runs).where(_runs.c.run_id.in_(some)).values(expired_at=at.isoformat()))

    def mark_recalled(self, db: Connection, run_ids: Iterable[str], at: datetime, because: str) -> None:
        """Mark runs as resting on something that was recalled; the first reason stays."""
        for some in _parts(sorted(run_ids)):
            query = sa.update(_runs).where(_runs.c.run_id.in_(some), _runs.c.recalled_at.is_(None))
            db.execute(query.values(recalled_at=at.isoformat(), recalled_because=because))


def _using(tenant: str, kind: UseKind, name: str, version: str | None) -> sa.Select[tuple[object, ...]]:
    used = sa.select(_uses.c.run_id).where(_uses.c.kind == kind, _uses.c.id == name)
    if version is not None:
        used = used.where(_uses.c.version == version)
    return sa.select(_runs).where(_runs.c.tenant == tenant, _runs.c.run_id.in_(used))


def _parts(names: Sequence[str], size: int = 500) -> Iterable[Sequence[str]]:
    return (names[start : start + size] for start in range(0, len(names), size))


def _values(row: RunRow) -> dict[str, object]:
    return {
        "run_id": row.run_id,
        "tenant": row.tenant,
        "subject": row.subject,
        "workflow": row.workflow,
        "workflow_version": row.workflow_version,
        "status": row.status,
        "rule": row.rule,
        "route": row.route,
        "started_at": row.started_at.isoformat(),
        "finished_at": row.finished_at.isoformat() if row.finished_at else None,
        "classification": row.classification,
        "cost_usd": str(row.cost_usd),
        "flags": json.dumps(row.flags),
        "recalled_at": row.recalled_at.isoformat() if row.recalled_at else None,
        "recalled_because": row.recalled_because,
    }


def _row(row: sa.Row[tuple[object, ...]]) -> RunRow:
    moments = {
        name: datetime.fromisoformat(text) if (text := getattr(row, name)) else None
        for name in ("started_at", "finished_at", "recalled_at")
    }
    texts = {name: getattr(row, name) for name in ("run_id", "tenant", "subject", "workflow", "workflow_version")}
    ends = {name: getattr(row, name) for name in ("status", "rule", "route", "classification", "recalled_because")}
    return RunRow(
        **texts,
        **ends,
        **moments,  # type: ignore[arg-type]
        cost_usd=Decimal(row.cost_usd),
        flags=tuple(json.loads(row.flags)),
    )
