"""Appends events to the one chain, within the caller's transaction, and signs its head before that commits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ingest.errors import DependencyDown
from orchestrator.audit import merkle
from orchestrator.audit.chain import (
    GENESIS,
    NewEvent,
    Signer,
    Statement,
    event_body,
    event_hash,
    is_genuine,
    read_statement,
)
from orchestrator.audit.keys import AuditKeys
from orchestrator.audit.subject_keys import SubjectKeys, seal_artefact
from orchestrator.store import audit as store
from orchestrator.store.audit import ArtefactRow, EventRow
from orchestrator.store.database import Connection

_NO_CHECKPOINT: Final = bytes(32)  # stands for the checkpoint before the first


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """Where the chain ends now. Only who holds the lock of the head has one."""

    seq: int
    hash: bytes
    number: int  # of the last checkpoint; 0: none yet
    covered: int  # seq up to which it goes


class Appender:
    """The chain's writer. `lock`, then `extend` any number of times, then `seal`, in one transaction."""

    def __init__(
        self, keys: AuditKeys, subjects: SubjectKeys, *, checkpoint_every: int, clock: Callable[[], datetime]
    ) -> None:
        self._keys = keys
        self._subjects = subjects
        self._every = checkpoint_every
        self._clock = clock
        self._signer = Signer(keys.signing_key())
        self._known: Mapping[str, bytes] = keys.public_keys()
        self._own: Statement | None = None  # the last head that was signed here: no need to verify it

    def lock(self, db: Connection) -> Tip:
        """The end of the chain, which nobody else extends until the transaction ends.

        Raises DependencyDown when the head is missing or signed by no known key: to go on would sign what somebody
        else wrote.
        """
        kept = store.locked_head(db)
        if kept is None:
            if store.has_events(db):
                raise _broken("The signed head of the chain is missing.")
            first = self._signed("head", Tip(seq=0, hash=GENESIS, number=0, covered=0))
            store.begin_head(db, first.body, first.signature)
            kept = store.locked_head(db)
            assert kept is not None
        return self._trusted(kept)

    def extend(self, db: Connection, tip: Tip, events: Sequence[NewEvent]) -> Tip:
        """Add events after the tip, each numbered after those that its run has."""
        rows: list[EventRow] = []
        artefacts: list[ArtefactRow] = []
        reached: dict[str, int] = {}
        seq, last = tip.seq, tip.hash
        for event in events:
            seq, prev = seq + 1, last
            step = self._next_step(db, reached, event.run_id)
            body = event_body(event, seq, step)
            last = event_hash(prev, body)
            at = event.at.isoformat(timespec="microseconds")
            rows.append((seq, event.run_id, step, event.tenant, event.kind, at, body, prev, last))
            artefacts += self._sealed(db, event, seq)
        if rows:
            store.add_events(db, rows)
        if artefacts:
            store.add_artefacts(db, artefacts)
        return replace(tip, seq=seq, hash=last)

    def seal(self, db: Connection, tip: Tip, *, checkpoint: bool = False) -> list[Statement]:
        """Sign the head, after a checkpoint where one is due or asked for; returns what was signed."""
        made = []
        due = tip.seq - tip.covered >= (1 if checkpoint else self._every)
        if due:
            made.append(self._checkpoint(db, tip))
            tip = replace(tip, number=tip.number + 1, covered=tip.seq)
        head = self._signed("head", tip)
        store.set_head(db, head.body, head.signature)
        self._own = head
        return [*made, head]

    def _trusted(self, kept: tuple[bytes, bytes]) -> Tip:
        head = self._own
        if head is None or kept != (head.body, head.signature):
            head = self._verified(kept)
        return Tip(seq=head.seq, hash=head.hash, number=head.number, covered=head.covered)

    def _verified(self, kept: tuple[bytes, bytes]) -> Statement:
        try:
            head = read_statement(*kept)
        except ValueError:
            raise _broken("The head of the chain cannot be read.") from None
        if head.key_id not in self._known:  # another process may have rotated the key since
            self._signer, self._known = Signer(self._keys.signing_key()), self._keys.public_keys()
        if head.type != "head" or not is_genuine(head, self._known):
            raise _broken(f"The head of the chain is not signed by a known key (it names {head.key_id}).")
        return head

    def _next_step(self, db: Connection, reached: dict[str, int], run_id: str) -> int:
        if run_id not in reached:
            reached[run_id] = store.last_step(db, run_id)
        reached[run_id] += 1
        return reached[run_id]

    def _sealed(self, db: Connection, event: NewEvent, seq: int) -> list[ArtefactRow]:
        if not event.artefacts:
            return []
        key = self._subjects.key_for(db, event.tenant, event.subject)
        return [
            ArtefactRow(
                seq=seq,
                name=one.name,
                hash=one.hash,
                key_id=key.key_id,
                sealed=seal_artefact(key, one.packed, event.tenant, one.hash),
            )
            for one in event.artefacts
        ]

    def _checkpoint(self, db: Connection, tip: Tip) -> Statement:
        before = store.checkpoint(db, tip.number) if tip.number else None
        if tip.number and before is None:
            raise _broken(f"Checkpoint {tip.number} is missing.")
        prev = read_statement(*before).digest if before else _NO_CHECKPOINT
        root = merkle.root(store.hashes(db, tip.covered, tip.seq))
        ahead = replace(tip, number=tip.number + 1)
        made = self._signed("checkpoint", ahead, root=root.hex(), prev=prev.hex())
        store.add_checkpoint(db, made.number, made.body, made.signature)
        return made

    def _signed(self, type_: str, tip: Tip, **more: str) -> Statement:
        place: dict[str, str | int] = {
            "seq": tip.seq,
            "hash": tip.hash.hex(),
            "number": tip.number,
            "covered": tip.covered,
        }
        return self._signer.statement(self._clock(), type=type_, **place, **more)


def _broken(cause: str) -> DependencyDown:
    step = "Nothing is recorded until it is put right: run `groundwire audit verify`."
    return DependencyDown("audit", "audit_broken", cause, step)
