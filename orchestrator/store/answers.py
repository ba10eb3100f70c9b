"""Kept answers as rows: encrypted, numbered under their key, with the documents that each was made from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.store.database import Connection, Database
from orchestrator.store.tables import metadata

_INSERTS: Final[Mapping[str, Callable[[sa.Table], Any]]] = {
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
}

_keys = sa.Table(
    "kept_answer_keys",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("answers", sa.Integer, nullable=False),  # that were ever kept under it
    sa.Column("kept_at", sa.String(32), nullable=False),  # of the last one; UTC, ISO 8601
    sa.Index("kept_answer_keys_by_subject", "tenant", "subject", "kept_at"),
)
_answers = sa.Table(
    "kept_answers",
    metadata,
    sa.Column("key", sa.ForeignKey("kept_answer_keys.key", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # counts from 1
    sa.Column("run_id", sa.String(36), nullable=False),  # that gave it
    sa.Column("kept_at", sa.String(32), nullable=False),
    sa.Column("recalled_at", sa.String(32)),
    sa.Column("recalled_because", sa.Text),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Index("kept_answers_by_time", "kept_at"),
)
_sources = sa.Table(
    "kept_answer_sources",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("document_id", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.ForeignKeyConstraint(["key", "number"], ["kept_answers.key", "kept_answers.number"], ondelete="CASCADE"),
    sa.Index("kept_answer_sources_by_document", "document_id", "version"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRow:
    """One kept answer, encrypted."""

    number: int  # among the answers of its key, counts from 1
    run_id: str
    kept_at: datetime  # UTC
    recalled_at: datetime | None
    recalled_because: str | None
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A kept answer that is not given again, since a document behind it was recalled."""

    run_id: str  # that gave it
    subject: str  # whose answer it is
    key: str
    number: int


class KeptAnswerStore:
    """Reads and writes kept answers. What shares a transaction takes its connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        db: Connection,
        key: str,
        tenant: str,
        subject: str,
        *,
        run_id: str,
        sealed: bytes,
        sources: Collection[tuple[str, int]],
        at: datetime,
        keep: int,
        most: int,
    ) -> int:
        """Write an answer, keeping `keep` of its key and `most` keys of the subject; returns its number."""
        row = {"key": key, "tenant": tenant, "subject": subject, "answers": 0, "kept_at": _stamp(at)}
        db.execute(_INSERTS[db.dialect.name](_keys).values(row).on_conflict_do_nothing())
        counted = {"answers": _keys.c.answers + 1, "kept_at": _stamp(at)}
        db.execute(sa.update(_keys).where(_keys.c.key == key).values(counted))  # holds the row to the end
        number = int(db.execute(sa.select(_keys.c.answers).where(_keys.c.key == key)).scalar_one())
        place = {"key": key, "number": number}
        db.execute(sa.insert(_answers).values(**place, run_id=run_id, kept_at=_stamp(at), sealed=sealed))
        rows = [{**place, "document_id": document, "version": version} for document, version in sorted(set(sources))]
        if rows:
            db.execute(sa.insert(_sources), rows)
        db.execute(sa.delete(_answers).where(_answers.c.key == key, _answers.c.number <= number - keep))
        self._drop_oldest(db, key, tenant, subject, most)
        return number

    def answers(self, key: str, tenant: str, subject: str) -> list[KeptRow]:
        """The answers of a key that are kept, the newest first."""
        of = _answers.c
        wanted = sa.select(of.number, of.run_id, of.kept_at, of.recalled_at, of.recalled_because, of.sealed)
        wanted = wanted.join(_keys, _keys.c.key == of.key).order_by(of.number.desc())
        wanted = wanted.where(of.key == key, _keys.c.tenant == tenant, _keys.c.subject == subject)
        with self._database.read() as db:
            return [_row(dict(row)) for row in db.execute(wanted).mappings()]

    def recall(
        self, db: Connection, tenant: str, document_id: str, version: int | None, at: datetime, because: str
    ) -> list[Recalled]:
        """Mark the answers that a document (in any version, where none is named) was shown for; returns them anew."""
        of = _sources.c
        wanted = sa.select(_answers.c.run_id, _keys.c.subject, of.key, of.number).distinct()
        wanted = wanted.join(_answers, sa.and_(_answers.c.key == of.key, _answers.c.number == of.number))
        wanted = wanted.join(_keys, _keys.c.key == of.key).order_by(of.key, of.number)
        wanted = wanted.where(_keys.c.tenant == tenant, of.document_id == document_id)
        wanted = wanted.where(_answers.c.recalled_at.is_(None))
        if version is not None:
            wanted = wanted.where(of.version == version)
        found = [Recalled(run_id=r, subject=s, key=k, number=n) for r, s, k, n in db.execute(wanted)]
        marks = {"recalled_at": _stamp(at), "recalled_because": because}
        for one in found:
            mine = sa.and_(_answers.c.key == one.key, _answers.c.number == one.number)
            db.execute(sa.update(_answers).where(mine).values(marks))
        return found

    def delete_subject(self, db: Connection, tenant: str, subject: str) -> int:
        """Remove all that is kept for a subject; returns how many questions it was."""
        return db.execute(sa.delete(_keys).where(_keys.c.tenant == tenant, _keys.c.subject == subject)).rowcount

    def expire(self, db: Connection, before: datetime) -> int:
        """Remove answers kept before that time; returns how many."""
        gone = db.execute(sa.delete(_answers).where(_answers.c.kept_at < _stamp(before))).rowcount
        db.execute(sa.delete(_keys).where(_keys.c.kept_at < _stamp(before)))
        return gone

    def _drop_oldest(self, db: Connection, key: str, tenant: str, subject: str, most: int) -> None:
        mine = sa.and_(_keys.c.tenant == tenant, _keys.c.subject == subject)
        over = sa.select(_keys.c.key).where(mine, _keys.c.key != key).order_by(_keys.c.kept_at.desc(), _keys.c.key)
        names = list(db.scalars(over.offset(most - 1).limit(100)))
        if names:
            db.execute(sa.delete(_keys).where(_keys.c.key.in_(names)))


def _stamp(at: datetime) -> str:
    """In UTC and always as long, so that text sorts as time does."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _row(values: Mapping[str, Any]) -> KeptRow:
    """The row, its times as times."""
    recalled = values["recalled_at"]
    times = {
        "kept_at": datetime.fromisoformat(values["kept_at"]),
        "recalled_at": datetime.fromisoformat(recalled) if recalled else None,
    }
    return KeptRow(**{**values, **times})
