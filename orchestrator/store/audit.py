"""The audit chain as rows: events, the signed head and checkpoints, artefacts, and the wrapped keys of subjects.

Every function takes the connection of the caller's transaction. Nothing here decides or hashes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from orchestrator.store.database import Connection, Database
from orchestrator.store.tables import metadata

_SEQ: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite numbers rows by INTEGER alone
_HEAD_ID: Final = 1

_events = sa.Table(
    "audit_events",
    metadata,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.String, nullable=False),  # "": of no run
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("prev", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Index("audit_events_by_run", "run_id", "step", unique=True),
)
_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # one row, whose lock orders all writers
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
)
_checkpoints = sa.Table(
    "audit_checkpoints",
    metadata,
    sa.Column("number", _SEQ, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
)
_artefacts = sa.Table(
    "audit_artefacts",
    metadata,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=False),  # of its event
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("hash", sa.String, nullable=False, unique=True),
    sa.Column("key_id", sa.String, nullable=False, index=True),  # "": expired
    sa.Column("sealed", sa.LargeBinary),  # NULL: erased or expired
)
_subject_keys = sa.Table(
    "subject_keys",
    metadata,
    sa.Column("key_id", sa.String, primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("subject", sa.String),  # NULL: erased
    sa.Column("master_id", sa.String, nullable=False),  # of the key that wraps it; "": erased
    sa.Column("wrapped", sa.LargeBinary),  # NULL: erased
    sa.UniqueConstraint("tenant", "subject"),
)

EventRow = tuple[Any, ...]  # seq, run_id, step, tenant, kind, at, body, prev, hash: as they lie in the database
EVENT_COLUMNS: Final = ("seq", "run_id", "step", "tenant", "kind", "at", "body", "prev", "hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectKeyRow:
    """The key of a subject."""

    key_id: str
    tenant: str
    subject: str | None  # None: erased
    master_id: str
    wrapped: bytes | None  # None: erased


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtefactRow:
    """The content of an artefact, encrypted."""

    seq: int
    name: str
    hash: str
    key_id: str  # "": expired
    sealed: bytes | None  # None: erased or expired


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """A connection on which every query sees the same moment."""
    with database.read() as db:
        if database.dialect == "postgresql":
            db = db.execution_options(isolation_level="REPEATABLE READ")
        yield db


# Written once: to build a statement costs as much as to run it.
_LOCK_HEAD: Final = sa.select(_head.c.body, _head.c.signature).where(_head.c.id == _HEAD_ID).with_for_update()
_SET_HEAD: Final = sa.update(_head).where(_head.c.id == _HEAD_ID)
_BEGIN_HEAD: Final = sa.text(
    "INSERT INTO audit_head (id, body, signature) VALUES (:id, :body, :signature) ON CONFLICT DO NOTHING"
)
_LAST_STEP: Final = sa.select(sa.func.max(_events.c.step)).where(_events.c.run_id == sa.bindparam("run"))
_ADD_EVENTS: Final = sa.insert(_events)
_ADD_ARTEFACTS: Final = sa.insert(_artefacts)
_SUBJECT_KEY: Final = sa.select(_subject_keys).where(
    _subject_keys.c.tenant == sa.bindparam("of_tenant"), _subject_keys.c.subject == sa.bindparam("of_subject")
)


def locked_head(db: Connection) -> tuple[bytes, bytes] | None:
    """Body and signature of the head, which no other transaction may change until this one ends."""
    found = db.execute(_LOCK_HEAD).one_or_none()
    return (found.body, found.signature) if found else None


def begin_head(db: Connection, body: bytes, signature: bytes) -> None:
    """Write the first head, unless another process has."""
    db.execute(_BEGIN_HEAD, {"id": _HEAD_ID, "body": body, "signature": signature})


def set_head(db: Connection, body: bytes, signature: bytes) -> None:
    """Replace the head."""
    db.execute(_SET_HEAD, {"body": body, "signature": signature})


def has_events(db: Connection) -> bool:
    """Whether there is any event."""
    return db.execute(sa.select(_events.c.seq).limit(1)).first() is not None


def last_seq(db: Connection) -> int:
    """Number of the newest event, 0 where there is none."""
    return db.scalar(sa.select(sa.func.max(_events.c.seq))) or 0


def last_step(db: Connection, run_id: str) -> int:
    """The number of events of a run."""
    return db.scalar(_LAST_STEP, {"run": run_id}) or 0


def add_events(db: Connection, rows: Sequence[EventRow]) -> None:
    """Append rows of EVENT_COLUMNS."""
    db.execute(_ADD_EVENTS, [dict(zip(EVENT_COLUMNS, row, strict=True)) for row in rows])


def add_artefacts(db: Connection, rows: Sequence[ArtefactRow]) -> None:
    """Keep encrypted contents."""
    names = ("seq", "name", "hash", "key_id", "sealed")
    db.execute(_ADD_ARTEFACTS, [{name: getattr(row, name) for name in names} for row in rows])


def add_checkpoint(db: Connection, number: int, body: bytes, signature: bytes) -> None:
    """Append a checkpoint."""
    db.execute(sa.insert(_checkpoints).values(number=number, body=body, signature=signature))


def checkpoint(db: Connection, number: int) -> tuple[bytes, bytes] | None:
    """Body and signature of a checkpoint."""
    row = db.execute(
        sa.select(_checkpoints.c.body, _checkpoints.c.signature).where(_checkpoints.c.number == number)
    ).one_or_none()
    return (row.body, row.signature) if row else None


def last_checkpoint(db: Connection) -> tuple[bytes, bytes] | None:
    """Body and signature of the newest checkpoint."""
    query = sa.select(_checkpoints.c.body, _checkpoints.c.signature).order_by(_checkpoints.c.number.desc()).limit(1)
    row = db.execute(query).one_or_none()
    return (row.body, row.signature) if row else None


def hashes(db: Connection, after: int, upto: int) -> list[bytes]:
    """Hashes of the events (after, upto], in order."""
    query = sa.select(_events.c.hash).where(_events.c.seq > after, _events.c.seq <= upto).order_by(_events.c.seq)
    return list(db.scalars(query))


def run_events(db: Connection, tenant: str, run_id: str) -> list[EventRow]:
    """The events of a run of the tenant, in order."""
    query = sa.select(_events).where(_events.c.run_id == run_id, _events.c.tenant == tenant).order_by(_events.c.step)
    return [tuple(row) for row in db.execute(query)]


def tenant_events(db: Connection, tenant: str, kind: str | None, before: int | None, limit: int) -> list[EventRow]:
    """Events of the tenant, of one kind where named, newest first, before a seq where given."""
    query = sa.select(_events).where(_events.c.tenant == tenant).order_by(_events.c.seq.desc()).limit(limit)
    if kind is not None:
        query = query.where(_events.c.kind == kind)
    if before is not None:
        query = query.where(_events.c.seq < before)
    return [tuple(row) for row in db.execute(query)]


def artefact(db: Connection, tenant: str, hash_: str) -> ArtefactRow | None:
    """An artefact of an event of the tenant."""
    query = (
        sa.select(_artefacts)
        .join(_events, _events.c.seq == _artefacts.c.seq)
        .where(_artefacts.c.hash == hash_, _events.c.tenant == tenant)
    )
    row = db.execute(query).one_or_none()
    return ArtefactRow(**row._mapping) if row else None


def subject_key(db: Connection, tenant: str, subject: str) -> SubjectKeyRow | None:
    """The key of a subject that was not erased."""
    row = db.execute(_SUBJECT_KEY, {"of_tenant": tenant, "of_subject": subject}).one_or_none()
    return SubjectKeyRow(**row._mapping) if row else None


def key_by_id(db: Connection, key_id: str) -> SubjectKeyRow | None:
    """A key, erased or not."""
    row = db.execute(sa.select(_subject_keys).where(_subject_keys.c.key_id == key_id)).one_or_none()
    return SubjectKeyRow(**row._mapping) if row else None


def add_subject_key(db: Connection, row: SubjectKeyRow) -> None:
    """Keep the key of a subject, unless another process has made one."""
    statement = sa.text(
        "INSERT INTO subject_keys (key_id, tenant, subject, master_id, wrapped)"
        " VALUES (:key_id, :tenant, :subject, :master_id, :wrapped) ON CONFLICT DO NOTHING"
    )
    names = ("key_id", "tenant", "subject", "master_id", "wrapped")
    db.execute(statement, {name: getattr(row, name) for name in names})


def erase_key(db: Connection, key_id: str) -> int:
    """Delete a key, whose it was, and what it encrypted; returns the number of artefacts."""
    nothing = {"wrapped": None, "subject": None, "master_id": ""}
    db.execute(sa.update(_subject_keys).where(_subject_keys.c.key_id == key_id).values(nothing))
    mine = (_artefacts.c.key_id == key_id) & _artefacts.c.sealed.is_not(None)
    return db.execute(sa.update(_artefacts).where(mine).values(sealed=None)).rowcount


def expire_contents(db: Connection, tenant: str, run_id: str) -> int:
    """Delete what the artefacts of a run hold; returns their number."""
    seqs = sa.select(_events.c.seq).where(_events.c.run_id == run_id, _events.c.tenant == tenant)
    mine = _artefacts.c.seq.in_(seqs) & _artefacts.c.sealed.is_not(None)
    return db.execute(sa.update(_artefacts).where(mine).values(sealed=None, key_id="")).rowcount


# Tables that hold something of a person, of this and of other stores.
_PERSONAL: Final = (
    "subject_keys, audit_artefacts, runs, kept_answer_keys, kept_answers, kept_answer_sources, conversations, "
    "conversation_turns"
)


def scrub(database: Database) -> None:
    """Take deleted bytes out of the database's own files, as far as it can.

    SQLite overwrites deleted bytes in the main file (`secure_delete`), yet older pages stay in the log until it is
    emptied. PostgreSQL gives dead rows free to be overwritten and does not wipe them; its write-ahead log and any
    backup are beyond reach, and go as they expire.
    """
    with database.read() as db:
        driver: Any = db.connection.driver_connection
        if database.dialect == "sqlite":
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        driver.autocommit = True
        try:
            driver.execute(f"VACUUM {_PERSONAL}")
        finally:
            driver.autocommit = False


# For verification: values as they lie there, of whatever type somebody may have put in a column.


def raw_head(db: Connection) -> list[tuple[Any, ...]]:
    """id, body and signature of every head: there should be one."""
    return [tuple(row) for row in db.execute(sa.text("SELECT id, body, signature FROM audit_head"))]


def raw_checkpoints(db: Connection) -> list[tuple[Any, ...]]:
    """number, body and signature of every checkpoint, in order."""
    return [
        tuple(row) for row in db.execute(sa.text("SELECT number, body, signature FROM audit_checkpoints ORDER BY 1"))
    ]


def raw_events(db: Connection, page: int = 2_000, after: int = -(2**63)) -> Iterator[Sequence[EventRow]]:
    """Pages of the rows of all events, in order; of those after a seq where given."""
    query = sa.text(
        f"SELECT {', '.join(EVENT_COLUMNS)} FROM audit_events WHERE seq > :after ORDER BY seq LIMIT :page"  # noqa: S608
    )
    while True:
        rows: Sequence[EventRow] = db.execute(query, {"after": after, "page": page}).fetchall()
        if rows:
            yield rows
            after = rows[-1][0]
        if len(rows) < page:
            return


def raw_artefacts(db: Connection, after: int, upto: int) -> list[tuple[Any, ...]]:
    """seq, name, hash, key_id and sealed content of the artefacts of the events (after, upto]."""
    query = sa.text(
        "SELECT seq, name, hash, key_id, sealed FROM audit_artefacts WHERE seq > :after AND seq <= :upto ORDER BY seq"
    )
    return [tuple(row) for row in db.execute(query, {"after": after, "upto": upto})]


def raw_subject_keys(db: Connection) -> list[tuple[Any, ...]]:
    """key_id, tenant, subject, master_id and wrapped key of every subject, erased ones too."""
    query = sa.text("SELECT key_id, tenant, subject, master_id, wrapped FROM subject_keys ORDER BY key_id")
    return [tuple(row) for row in db.execute(query)]


def counts(db: Connection) -> tuple[int, int]:
    """Number of artefacts, and of those whose content was erased or has expired."""
    row = db.execute(sa.text("SELECT count(*), count(*) - count(sealed) FROM audit_artefacts")).one()
    return int(row[0]), int(row[1])
