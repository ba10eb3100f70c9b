"""Compares what events say of contents with what is kept: each artefact, and each key of a subject."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ingest.errors import DependencyDown
from orchestrator.audit.chain import unpacked
from orchestrator.audit.findings import Finding, Problem
from orchestrator.audit.keys import AuditKeys
from orchestrator.audit.subject_keys import open_artefact, unwrap
from orchestrator.store import audit as store
from orchestrator.store.audit import EventRow, SubjectKeyRow
from orchestrator.store.database import Connection


class Contents:
    """Takes the events page by page: `expect` those of a page, `compare` it, and `finish` after the last."""

    def __init__(self, db: Connection, keys: AuditKeys) -> None:
        self._db = db
        self._expected: dict[tuple[int, str], tuple[EventRow, str]] = {}
        self._erasures: dict[str, tuple[EventRow, int]] = {}  # key id to its event and how many artefacts it took
        self._expiries: dict[str, tuple[EventRow, int]] = {}  # run to its last such event and how many all took
        self._erased: Counter[str] = Counter()  # artefacts without content, by key
        self._expired: Counter[str] = Counter()  # and without a key, by run
        self._holders: dict[str, EventRow] = {}  # key id to an event with such an artefact
        self._broken: list[Finding] = []
        self._secrets: dict[str, bytes | None] = {}  # None: erased
        self._owners: dict[str, str] = {}  # key id to tenant
        for row in store.raw_subject_keys(db):
            self._read_key(row, keys.master_key())

    def expect(self, row: EventRow, inner: Mapping[str, Any]) -> None:
        """Note what an event of the next page names."""
        for name, hash_ in inner["artefacts"].items():
            self._expected[row[0], name] = (row, hash_)
        if row[4] == "subject_erased":
            self._erasures[str(inner["facts"].get("key_id"))] = (row, _deleted(inner))
        if row[4] == "contents_expired":
            before = self._expiries.get(row[1], (row, 0))[1]
            self._expiries[row[1]] = (row, before + _deleted(inner))

    def compare(self, after: int, upto: int) -> Iterator[Finding]:
        """What is wrong with the artefacts of the events (after, upto]."""
        for seq, name, hash_, key, sealed in store.raw_artefacts(self._db, after, upto):
            event, expected = self._expected.pop((seq, name), (None, None))
            if event is None:
                yield _finding("artefact_inserted", f"Event {seq} names no artefact {name}.", seq)
            elif hash_ != expected or not self._is_intact(event, hash_, key, sealed):
                yield _finding("artefact_changed", f"The artefact {name} of event {seq} was changed.", seq, event)
        for (seq, name), (event, _) in self._expected.items():
            yield _finding("artefact_removed", f"The artefact {name} of event {seq} is missing.", seq, event)
        self._expected.clear()

    def finish(self) -> Iterator[Finding]:
        """What is wrong with keys, now that every erasure is known."""
        yield from self._broken
        yield from self._expired_otherwise()
        for key, event in self._holders.items():
            if key not in self._erasures:
                text = f"The content of event {event[0]} is gone, and no event says that its subject was erased."
                yield _finding("artefact_removed", text, event[0], event)
        for key, secret in self._secrets.items():
            if secret is None and key not in self._erasures:
                text = f"The key {key} of a subject is gone, and no event says that it was erased."
                yield _finding("subject_key_removed", text)
        for key, (event, artefacts) in self._erasures.items():
            gone = key in self._secrets and self._secrets[key] is None and self._owners[key] == event[3]
            if not gone or self._erased[key] != artefacts:
                text = f"What is left of the subject's key {key} is not what its erasure, event {event[0]}, left."
                yield _finding("subject_key_changed", text, event[0], event)

    def _expired_otherwise(self) -> Iterator[Finding]:
        for run in self._expired.keys() | self._expiries.keys():
            event, artefacts = self._expiries.get(run, (None, 0))
            if self._expired[run] != artefacts:
                text = f"{self._expired[run]} contents of the run {run} are gone, and {artefacts} have expired."
                yield _finding("artefact_removed", text, event[0] if event else None, event)

    def _is_intact(self, event: EventRow, hash_: str, key: str, sealed: bytes | None) -> bool:
        secret = self._secrets.get(key)
        if sealed is None and key == "":
            self._expired[event[1]] += 1
            return True
        if sealed is None:
            self._erased[key] += 1
            self._holders.setdefault(key, event)
            return key in self._secrets and secret is None
        if secret is None:
            return False
        try:
            unpacked(open_artefact(secret, key, sealed, event[3], hash_), hash_)
        except (ValueError, TypeError, AttributeError):
            return False
        return True

    def _read_key(self, row: tuple[Any, ...], master: bytes) -> None:
        key, tenant, subject, master_id, wrapped = row
        self._owners[key] = tenant
        if (subject, master_id, wrapped) == (None, "", None):
            self._secrets[key] = None
            return
        try:
            self._secrets[key] = unwrap(
                SubjectKeyRow(key_id=key, tenant=tenant, subject=subject, master_id=master_id, wrapped=wrapped), master
            )
        except (ValueError, TypeError, AttributeError, DependencyDown):
            text = f"The key {key} of a subject cannot be opened: its row was changed, or the master key is another."
            self._broken.append(_finding("subject_key_changed", text))


def _deleted(inner: Mapping[str, Any]) -> int:
    """How many artefacts an event says that it deleted; a number that cannot be, when it is no number."""
    found = inner["facts"].get("artefacts")
    return found if isinstance(found, int) else -1


def _finding(problem: Problem, detail: str, seq: int | None = None, event: EventRow | None = None) -> Finding:
    return Finding(problem=problem, detail=detail, seq=seq, run_id=(event[1] or None) if event else None)
