"""Conversations as rows. What was said lies encrypted; a conversation is known to its tenant and subject alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

_conversations = sa.Table(
    "conversations",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("subject", sa.String, primary_key=True),
    sa.Column("id", sa.String, primary_key=True),  # of the subject's own choice: others may use the same
    sa.Column("turns", sa.Integer, nullable=False),  # that were ever written
    sa.Column("said_at", sa.String(32), nullable=False),  # of the last turn; UTC, ISO 8601
    sa.Index("conversations_by_time", "said_at"),
)
_turns = sa.Table(
    "conversation_turns",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("subject", sa.String, primary_key=True),
    sa.Column("conversation", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # counts from 1
    sa.Column("said_at", sa.String(32), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.ForeignKeyConstraint(
        ["tenant", "subject", "conversation"],
        ["conversations.tenant", "conversations.subject", "conversations.id"],
        ondelete="CASCADE",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationKey:
    """Names one conversation of one subject."""

    tenant: str
    subject: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRow:
    """One turn, encrypted."""

    number: int
    said_at: datetime  # UTC
    sealed: bytes


class ConversationStore:
    """Reads and writes conversations. What shares a transaction takes its connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, db: Connection, key: ConversationKey, sealed: bytes, at: datetime, *, keep: int, most: int) -> int:
        """Write the next turn, keeping `keep` of the conversation and `most` conversations; returns its number."""
        fresh = {"tenant": key.tenant, "subject": key.subject, "id": key.id, "turns": 0, "said_at": _stamp(at)}
        db.execute(_INSERTS[db.dialect.name](_conversations).values(fresh).on_conflict_do_nothing())
        mine = _is(_conversations, key)
        counted = {"turns": _conversations.c.turns + 1, "said_at": _stamp(at)}
        db.execute(sa.update(_conversations).where(mine).values(counted))  # holds the row until the transaction ends
        number = int(db.execute(sa.select(_conversations.c.turns).where(mine)).scalar_one())
        row = {"tenant": key.tenant, "subject": key.subject, "conversation": key.id, "number": number}
        db.execute(sa.insert(_turns).values(**row, said_at=_stamp(at), sealed=sealed))
        db.execute(sa.delete(_turns).where(_is_turn_of(key), _turns.c.number <= number - keep))
        self._drop_oldest(db, key, most)
        return number

    def turns(self, key: ConversationKey, *, since: datetime, latest: int | None = None) -> list[TurnRow]:
        """The turns not older than `since`, or the latest of them, in order; none where the conversation is unknown."""
        wanted = sa.select(_turns.c.number, _turns.c.said_at, _turns.c.sealed)
        wanted = wanted.where(_is_turn_of(key), _turns.c.said_at >= _stamp(since))
        wanted = wanted.order_by(_turns.c.number.desc()).limit(latest)
        with self._database.read() as db:
            rows = db.execute(wanted).all()
        return [
            TurnRow(number=n, said_at=datetime.fromisoformat(at), sealed=sealed) for n, at, sealed in reversed(rows)
        ]

    def listed(self, tenant: str, subject: str, *, since: datetime) -> list[tuple[str, datetime]]:
        """Ids of the subject's conversations, the latest first, with the time of their last turn."""
        of = _conversations.c
        wanted = sa.select(of.id, of.said_at).where(of.tenant == tenant, of.subject == subject)
        wanted = wanted.where(of.said_at >= _stamp(since)).order_by(of.said_at.desc(), of.id)
        with self._database.read() as db:
            return [(name, datetime.fromisoformat(at)) for name, at in db.execute(wanted)]

    def delete(self, db: Connection, key: ConversationKey) -> bool:
        """Remove a conversation; whether there was one."""
        return db.execute(sa.delete(_conversations).where(_is(_conversations, key))).rowcount > 0

    def delete_subject(self, db: Connection, tenant: str, subject: str) -> int:
        """Remove all conversations of a subject; returns how many there were."""
        of = _conversations.c
        return db.execute(sa.delete(_conversations).where(of.tenant == tenant, of.subject == subject)).rowcount

    def expire(self, db: Connection, before: datetime) -> int:
        """Remove turns said before that time, and conversations without any since; returns how many turns."""
        gone = db.execute(sa.delete(_turns).where(_turns.c.said_at < _stamp(before))).rowcount
        db.execute(sa.delete(_conversations).where(_conversations.c.said_at < _stamp(before)))
        return gone

    def _drop_oldest(self, db: Connection, key: ConversationKey, most: int) -> None:
        of = _conversations.c
        others = sa.select(of.id).where(of.tenant == key.tenant, of.subject == key.subject, of.id != key.id)
        names = list(db.scalars(others.order_by(of.said_at.desc(), of.id).offset(most - 1).limit(100)))
        if names:
            mine = sa.and_(of.tenant == key.tenant, of.subject == key.subject)
            db.execute(sa.delete(_conversations).where(mine, of.id.in_(names)))


def _stamp(at: datetime) -> str:
    """In UTC and always as long, so that text sorts as time does."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _is(table: sa.Table, key: ConversationKey) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.tenant == key.tenant, table.c.subject == key.subject, table.c.id == key.id)


def _is_turn_of(key: ConversationKey) -> sa.ColumnElement[bool]:
    of = _turns.c
    return sa.and_(of.tenant == key.tenant, of.subject == key.subject, of.conversation == key.id)
