"""Keeps the record: runs note events, one writer puts those of many runs on disk together, readers get them back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ingest.errors import DependencyDown
from orchestrator.audit.appending import Appender
from orchestrator.audit.chain import NO_RUN, Event, NewEvent, Statement, canonical, read_statement, salted, unpacked
from orchestrator.audit.keys import AuditKeys
from orchestrator.audit.port import EventKind, Json, Write
from orchestrator.audit.subject_keys import SubjectKeys, open_artefact
from orchestrator.audit.witness import Witness
from orchestrator.store import audit as store
from orchestrator.store.audit import ArtefactRow, EventRow
from orchestrator.store.database import Connection, Database

_STOP: Final = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyConfig:
    """How the record is kept."""

    witness: Path  # file beside the database that remembers every signed head and checkpoint
    checkpoint_every: int = 1_000  # events; a proof of inclusion then has ten hashes
    max_group: int = 256  # runs that share a commit, so that no caller waits long for others


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """The content of an artefact."""

    hash: str
    salt: bytes = field(repr=False)
    content: bytes = field(repr=False)  # canonical JSON; hash = SHA-256(salt || content)

    def json(self) -> Any:
        """The content as a value."""
        return json.loads(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What was erased."""

    keys: int  # 0: nothing was kept of the subject under a key
    artefacts: int


class RunRecord:
    """A `RunLog`. Used by one task."""

    def __init__(self, custody: Custody, run_id: str, tenant: str, subject: str) -> None:
        self._custody = custody
        self._noted: list[NewEvent] = []
        self.run_id = run_id
        self.tenant = tenant
        self.subject = subject

    def add(self, kind: EventKind, facts: Mapping[str, Json], artefacts: Mapping[str, Json] | None = None) -> None:
        """Note an event. Raises ValueError for what JSON cannot hold (and notes nothing then)."""
        self._noted.append(
            self._custody.event(kind, facts, artefacts, tenant=self.tenant, subject=self.subject, run_id=self.run_id)
        )

    async def flush(self, *writes: Write) -> None:
        """Put all that was noted on disk, with `writes`, in one transaction; raises what that raises.

        What was noted stays noted when it fails, and goes with the next flush. A caller who gives up waiting stops
        nothing.
        """
        events, self._noted = self._noted, []
        if not events and not writes:
            return
        try:
            await asyncio.wrap_future(self._custody.submit(events, writes))
        except asyncio.CancelledError:
            raise  # what was handed over is written all the same
        except BaseException:
            self._noted = events + self._noted
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flush:
    events: Sequence[NewEvent]
    writes: Sequence[Write]
    done: Future[None] = field(default_factory=Future)


class Custody:
    """The record of a database. Open one per process with `with`; closing it waits for what was flushed.

    Safe from several threads and event loops; all but `open_run` and `RunRecord` blocks. Raises DependencyDown when
    the database, the keys or the witness file cannot be used, or the chain's head is not signed by a known key.
    """

    def __init__(
        self,
        database: Database,
        keys: AuditKeys,
        config: CustodyConfig,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.database = database
        self.keys = keys
        self.config = config
        self.subjects = SubjectKeys(database, keys)
        self._clock = clock
        self._witness = Witness(config.witness)
        self._appender = Appender(keys, self.subjects, checkpoint_every=config.checkpoint_every, clock=clock)
        self._queue: queue.SimpleQueue[_Flush | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._remembering = threading.Lock()
        self._owed: list[Statement] = []  # committed, and not yet in the witness file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for what was flushed. The head is signed at every commit, so nothing else is due."""
        with self._starting:
            writer, self._writer = self._writer, None
        if writer is not None:
            self._queue.put(_STOP)
            writer.join()

    # writing

    def open_run(self, run_id: str, tenant: str, subject: str) -> RunRecord:
        """The log of a run that begins, or of one that goes on in another process."""
        return RunRecord(self, run_id, tenant, subject)

    def event(
        self,
        kind: EventKind,
        facts: Mapping[str, Json],
        artefacts: Mapping[str, Json] | None = None,
        *,
        tenant: str,
        subject: str = "",
        run_id: str = NO_RUN,
    ) -> NewEvent:
        """An event of now, to `append`. Raises ValueError for what JSON cannot hold."""
        contents = tuple(salted(name, content) for name, content in sorted((artefacts or {}).items()))
        return NewEvent(
            kind=kind,
            at=self._clock().astimezone(UTC),
            tenant=tenant,
            run_id=run_id,
            subject=subject,
            facts=canonical(dict(facts)),
            artefacts=contents,
        )

    def append(self, db: Connection, events: Sequence[NewEvent]) -> None:
        """Append within a transaction of another store. It holds the chain's lock from here to its end.

        Take this lock before those of other rows, as the writer does, or two such transactions may wait for each
        other. The witness file learns of it at the next flush.
        """
        tip = self._appender.extend(db, self._appender.lock(db), events)
        self._appender.seal(db, tip)

    def record(self, *events: NewEvent) -> None:
        """Append in a transaction of its own."""
        with self.database.write() as db:
            tip = self._appender.extend(db, self._appender.lock(db), events)
            made = self._appender.seal(db, tip)
        self._remember(made)

    def checkpoint(self) -> Statement | None:
        """Sign a checkpoint over what came since the last one. When nothing came, that one; None in an empty chain."""
        with self.database.write() as db:
            made = self._appender.seal(db, self._appender.lock(db), checkpoint=True)
            kept = store.checkpoint(db, made[-1].number)
        self._remember(made)
        return read_statement(*kept) if kept else None

    def erase(self, tenant: str, subject: str) -> Erasure:
        """Delete the subject's key and all that it encrypted, and record it. The record names the key, not whose."""
        with self.database.write() as db:
            tip = self._appender.lock(db)  # first: no run can make the key anew or use it meanwhile
            row = store.subject_key(db, tenant, subject)
            if row is None:
                return Erasure(keys=0, artefacts=0)
            artefacts = store.erase_key(db, row.key_id)
            facts: dict[str, Json] = {"key_id": row.key_id, "artefacts": artefacts}
            tip = self._appender.extend(db, tip, [self.event("subject_erased", facts, tenant=tenant)])
            made = self._appender.seal(db, tip)
        self._remember(made)
        store.scrub(self.database)
        return Erasure(keys=1, artefacts=artefacts)

    def expire(self, tenant: str, run_ids: Iterable[str]) -> int:
        """Delete the contents of runs whose retention is over, and record it in each; returns how many there were."""
        expired = 0
        with self.database.write() as db:
            tip = self._appender.lock(db)
            for run_id in run_ids:
                artefacts = store.expire_contents(db, tenant, run_id)
                if artefacts:
                    event = self.event("contents_expired", {"artefacts": artefacts}, tenant=tenant, run_id=run_id)
                    tip = self._appender.extend(db, tip, [event])
                    expired += artefacts
            made = self._appender.seal(db, tip)
        self._remember(made)
        store.scrub(self.database)
        return expired

    # reading

    def events(self, tenant: str, run_id: str) -> list[Event]:
        """The events of a run, in order; none when the tenant has no such run."""
        with self.database.read() as db:
            return [read_event(row) for row in store.run_events(db, tenant, run_id)]

    def length(self) -> int:
        """How many events the record has."""
        with self.database.read() as db:
            return store.last_seq(db)

    def latest(
        self, tenant: str, *, kind: EventKind | None = None, before: int | None = None, limit: int = 100
    ) -> list[Event]:
        """Events of the tenant, newest first; `before` is the seq of the last one seen."""
        with self.database.read() as db:
            return [read_event(row) for row in store.tenant_events(db, tenant, kind, before, limit)]

    def artefact(self, tenant: str, hash_: str) -> Artefact | None:
        """The content with this hash; None when it was erased or has expired.

        Raises ValueError when it was altered or the tenant has no such artefact.
        """
        with self.database.read() as db:
            row = store.artefact(db, tenant, hash_)
            key = store.key_by_id(db, row.key_id) if row else None
        if row is None:
            raise ValueError("There is no such artefact.")
        if row.sealed is None:
            return None
        if key is None or key.wrapped is None:
            raise ValueError("The key of the artefact was altered.")
        return read_artefact(row, tenant, self.subjects.unwrap(key))

    # the writer

    def submit(self, events: Sequence[NewEvent], writes: Sequence[Write]) -> Future[None]:
        """Queue a flush; the result comes when it is on disk."""
        flush = _Flush(events=events, writes=writes)
        flush.done.set_running_or_notify_cancel()  # from here on nobody can call it off
        with self._starting:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_all, name="audit-writer", daemon=True)
                self._writer.start()
            self._queue.put(flush)
        return flush.done

    def _write_all(self) -> None:
        while (first := self._queue.get()) is not _STOP:
            group, stop = self._group(first)
            self._commit(group)
            if stop:
                return

    def _group(self, first: _Flush) -> tuple[list[_Flush], bool]:
        """The flushes that wait, and whether the writer is to stop after them."""
        group = [first]
        while len(group) < self.config.max_group:
            try:
                flush = self._queue.get_nowait()
            except queue.Empty:
                break
            if flush is _STOP:
                return group, True
            group.append(flush)
        return group, False

    def _commit(self, group: Sequence[_Flush]) -> None:
        """One transaction for all; a flush that fails is taken back alone."""
        failed: dict[int, BaseException] = {}
        try:
            self._remember([])
            with self.database.write() as db:
                tip = self._appender.lock(db)
                for number, flush in enumerate(group):
                    try:
                        with db.begin_nested() if len(group) > 1 else contextlib.nullcontext():
                            for write in flush.writes:
                                write(db)
                            tip = self._appender.extend(db, tip, flush.events)
                    except Exception as error:
                        if len(group) == 1:
                            raise
                        failed[number] = error
                made = self._appender.seal(db, tip)
        except BaseException as error:  # noqa: BLE001 - each caller is told
            for flush in group:
                flush.done.set_exception(error)
            return
        self._remember_later(made)
        for number, flush in enumerate(group):
            if number in failed:
                flush.done.set_exception(failed[number])
            else:
                flush.done.set_result(None)

    def _remember(self, made: Sequence[Statement]) -> None:
        """Note in the witness file what was committed, with what could not be noted before. Raises DependencyDown.

        Never before the commit: a head that the database does not have would look like one that was taken away.
        """
        with self._remembering:
            self._owed += made
            if self._owed:
                self._witness.append(self._owed, durable=any(one.type == "checkpoint" for one in self._owed))
                self._owed = []

    def _remember_later(self, made: Sequence[Statement]) -> None:
        """As `_remember`; when the file cannot be written, what is committed stays so, and the next flush fails."""
        with contextlib.suppress(DependencyDown):
            self._remember(made)


def read_event(row: EventRow) -> Event:
    """An event from its row. Raises ValueError when its body is no JSON: `audit verify` says more."""
    seq, run_id, step, tenant, kind, at, body, prev, hash_ = row
    inner = json.loads(body)
    return Event(
        seq=seq,
        run_id=run_id,
        step=step,
        tenant=tenant,
        kind=kind,
        at=at,
        facts=inner["facts"],
        artefacts=inner["artefacts"],
        body=body,
        prev=prev,
        hash=hash_,
    )


def read_artefact(row: ArtefactRow, tenant: str, secret: bytes) -> Artefact:
    """The content of an artefact that was not erased. Raises ValueError when it was altered."""
    assert row.sealed is not None
    packed = open_artefact(secret, row.key_id, row.sealed, tenant, row.hash)
    salt, content = unpacked(packed, row.hash)
    return Artefact(hash=row.hash, salt=salt, content=content)
