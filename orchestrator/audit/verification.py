"""Verifies the whole record: the chain, what was signed of it, the file beside the database, and all contents if asked.

The first event that is bad is named. A chain is compared with every genuine statement about it: the head, the
checkpoints, and each line of the witness file and of files that are kept elsewhere.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from orchestrator.audit import merkle
from orchestrator.audit.chain import GENESIS, Statement, is_genuine, read_statement
from orchestrator.audit.contents import Contents
from orchestrator.audit.findings import Finding, Problem, explain, fits
from orchestrator.audit.keys import AuditKeys
from orchestrator.audit.witness import Remembered, read_witness, size
from orchestrator.store import audit as store
from orchestrator.store.audit import EventRow
from orchestrator.store.database import Connection, Database

_DELETING: Final = ("subject_erased", "contents_expired")
MOST_FINDINGS: Final = 100  # that are kept: the first one matters
_Claim = Statement | Remembered  # that an event has a hash: genuine, of the database; or a line, to be looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found."""

    events: int  # that fit, from the first one on
    checkpoints: int
    remembered: int  # lines of files that were compared
    artefacts: int
    erased: int  # artefacts whose subject was erased, or whose retention was over
    deep: bool  # whether each content was decrypted and compared
    findings: tuple[Finding, ...]  # the first bad event first

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def first(self) -> Finding | None:
        """What is wrong first."""
        return self.findings[0] if self.findings else None

    def as_json(self) -> dict[str, Any]:
        """For programs; `first_bad_event` is the first of `findings`."""
        found = asdict(self)
        return {"ok": self.ok, "first_bad_event": next(iter(found["findings"]), None)} | found


def verify(
    database: Database, keys: AuditKeys, *, witness: Path, against: Sequence[Path] = (), deep: bool = False
) -> Verification:
    """Verify the record as it is at one moment; others may go on writing.

    `witness` is the file beside the database (a missing one counts as empty), `against` are files kept elsewhere.
    Raises BadInput for one of those that cannot be read.
    """
    files = [(witness, size(witness, must_exist=False))]  # before the database, which is never behind them
    files += [(path, size(path, must_exist=True)) for path in against]
    with store.snapshot(database) as db:
        scan = _Scan(db, keys.public_keys(), [file for file in files if file[1]], Contents(db, keys) if deep else None)
        return scan.run()


@dataclass(slots=True)
class _Scan:
    """One verification."""

    db: Connection
    keys: Mapping[str, bytes]
    files: Sequence[tuple[Path, int]]  # and how much of each counts
    contents: Contents | None
    findings: list[Finding] = field(default_factory=list)
    claims: dict[int, list[_Claim]] = field(default_factory=dict)  # by event, each with another hash
    remembered: int = 0
    checkpoints: dict[int, Statement] = field(default_factory=dict)  # genuine ones of the database, by seq
    head: Statement | None = None
    confirmed: int = 0  # the last event that a genuine statement confirms
    named: int = 0  # artefacts that events name

    def run(self) -> Verification:
        """Look at everything, in the order in which faults explain each other."""
        self._read_head()
        numbers = self._read_checkpoints()
        self._read_lines()
        events, whole = self._walk()
        artefacts, erased = store.counts(self.db)
        if whole:
            self._check_end(events)
            if artefacts != self.named:
                self._count_artefacts(artefacts)
            if self.contents is not None:
                self.findings += self.contents.finish()
        self.findings.sort(key=lambda one: one.seq if one.seq is not None else 2**63)
        return Verification(
            events=events,
            checkpoints=numbers,
            remembered=self.remembered,
            artefacts=artefacts,
            erased=erased,
            deep=self.contents is not None,
            findings=tuple(self.findings[:MOST_FINDINGS]),
        )

    # statements

    def _read_head(self) -> None:
        rows = store.raw_head(self.db)
        if [row[0] for row in rows] == [1]:
            self.head = self._genuine(rows[0][1], rows[0][2], "The head of the chain", "head")
        elif rows or store.has_events(self.db):
            self._add("head_removed", "The chain has no signed head in its place.")

    def _read_checkpoints(self) -> int:
        last: Statement | None = None
        rows = store.raw_checkpoints(self.db)
        for place, (number, body, signature) in enumerate(rows, start=1):
            if number != place:
                self._add("checkpoint_removed", f"Checkpoint {place} is missing.", (last.seq if last else 0) + 1)
                break
            found = self._genuine(body, signature, f"Checkpoint {number}", "checkpoint")
            if found is None:
                break
            before = (last.number, last.seq, last.digest) if last else (0, 0, bytes(32))
            if (found.number - 1, found.covered, found.prev) != before or found.seq <= found.covered:
                text = f"Checkpoint {number} does not follow the one before it."
                self._add("checkpoint_changed", text, before[1] + 1)
                break
            self.checkpoints[found.seq] = last = found
        else:
            if self.head is not None and self.head.number > len(rows):
                self._add(
                    "checkpoint_removed", f"Checkpoint {len(rows) + 1} is missing.", (last.seq if last else 0) + 1
                )
        return len(self.checkpoints)

    def _genuine(self, body: Any, signature: Any, what: str, type_: str) -> Statement | None:
        """A statement of the database; its claim is noted. None, and a finding, when it is not genuine."""
        try:
            found = read_statement(body, signature)
        except (ValueError, TypeError, AttributeError):
            self._add("bad_signature", f"{what} cannot be read.")
            return None
        if found.type != type_ or not is_genuine(found, self.keys):
            problem, text = self._forgery(found)
            self._add(problem, f"{what} {text}", found.covered + 1)
            return None
        if found.seq:
            self.claims.setdefault(found.seq, []).append(found)
        return found

    def _forgery(self, found: Statement) -> tuple[Problem, str]:
        if found.key_id in self.keys:
            return "bad_signature", f"does not have a good signature of the key {found.key_id}."
        return "unknown_key", f"is signed with {found.key_id}, which is none of the known keys."

    def _read_lines(self) -> None:
        ours = {one.number: one for one in self.checkpoints.values()}
        for path, upto in self.files:
            for line, found in read_witness(path, upto):
                self.remembered += 1
                if found is None or not found.seq:
                    continue
                claims = self.claims.setdefault(found.seq, [])
                if all(claim.hash != found.hash for claim in claims):
                    claims.append(line)
                if found.type == "checkpoint" and found.number in ours and ours[found.number].digest != found.digest:
                    self._contradicted(line, f"there is another checkpoint {found.number}", found.covered + 1)

    def _contradicted(self, line: Remembered, how: str, since: int, seq: int | None = None) -> Problem:
        """A line says otherwise: what that means depends on who signed it."""
        found, seq = line.statement(), seq or since
        if is_genuine(found, self.keys):
            return self._add("forked", f"{line} was signed by us, and {how}.", seq, since)
        if found.key_id in self.keys:
            return self._add("witness_altered", f"{line} does not have a good signature.", seq, since)
        text = f"{line} is signed with {found.key_id}, which is none of the known keys, and {how}."
        return self._add("unknown_key", text, seq, since)

    # events

    def _walk(self) -> tuple[int, bool]:
        """How many events fit, and whether that was all of them."""
        seq, last, before = 0, GENESIS, None
        leaves: list[bytes] = []  # since the last checkpoint
        covered = max(self.checkpoints, default=0)
        for rows in store.raw_events(self.db):
            for place, row in enumerate(rows):
                if not fits(row, seq + 1, last):
                    after = rows[place + 1] if place + 1 < len(rows) else self._next(row[0])
                    self._blame(explain(row, seq + 1, last, before, after))
                    return seq, False
                seq, last, before = seq + 1, row[8], row
                if seq <= covered:
                    leaves.append(last)
                if seq in self.claims and not self._confirmed(seq, last, leaves, row):
                    return seq - 1, False
            self._look_inside(rows)
        return seq, True

    def _next(self, seq: int) -> EventRow | None:
        for page in store.raw_events(self.db, page=1, after=seq):
            return page[0]
        return None

    def _blame(self, found: Finding) -> None:
        """Keep what is wrong with the first event that does not fit, seen with what was signed."""
        seq, since = found.seq or 0, self.confirmed + 1
        if self.head is not None and seq > self.head.seq and found.problem != "removed":
            text = f"Event {seq} stands after the head that was signed."
            found = replace(found, problem="inserted", detail=text)
        elif found.problem == "changed" and "with its hash" in found.detail and since < seq:
            found = replace(found, since=since)
        self.findings.append(found)

    def _confirmed(self, seq: int, hash_: bytes, leaves: list[bytes], row: EventRow) -> bool:
        since = self.confirmed + 1
        for claim in self.claims[seq]:
            if claim.hash == hash_:
                continue
            if isinstance(claim, Statement):
                text = f"Event {seq} does not have the hash that the {claim.type} was signed for."
                self._add("changed", text, seq, since, row[1])
                return False
            if self._contradicted(claim, f"event {seq} has another hash now", since, seq) != "witness_altered":
                return False
        checkpoint = self.checkpoints.get(seq)
        if checkpoint is not None:
            if merkle.root(leaves) != checkpoint.root:
                text = f"The events {checkpoint.covered + 1} to {seq} do not have the root that was signed."
                self._add("changed", text, checkpoint.covered + 1)
                return False
            leaves.clear()
        self.confirmed = seq
        return True

    def _look_inside(self, rows: Sequence[EventRow]) -> None:
        """What events name: artefacts, and subjects that were erased."""
        for row in rows:
            if b'"artefacts":{}' in row[6][:16] and row[4] not in _DELETING:
                continue
            inner = json.loads(row[6])
            self.named += len(inner["artefacts"])
            if self.contents is not None:
                self.contents.expect(row, inner)
        if self.contents is not None:
            found = self.contents.compare(rows[0][0] - 1, rows[-1][0])
            self.findings += itertools.islice(found, MOST_FINDINGS)

    def _check_end(self, events: int) -> None:
        """Whether the chain ends where the head and the files say."""
        if self.head is not None and self.head.seq > events:
            self._add("truncated", f"Events {events + 1} to {self.head.seq} are missing at the end.", events + 1)
        elif self.head is not None and self.head.seq < self.confirmed:
            text = f"The head is that of event {self.head.seq}, and event {self.confirmed} was signed since."
            self._add("rolled_back", text, self.head.seq + 1)
        elif self.head is not None and self.head.seq < events:
            seq = self.head.seq + 1
            self._add("inserted", f"Event {seq} stands after the head that was signed.", seq)
        else:
            for seq in sorted(seq for seq in self.claims if seq > events):
                for claim in self.claims[seq]:
                    self._beyond(claim, seq, events)

    def _beyond(self, claim: _Claim, seq: int, events: int) -> None:
        """A claim on an event that is not there."""
        if isinstance(claim, Statement):
            self._add("truncated", f"A checkpoint was signed up to event {seq}.", events + 1)
        elif is_genuine(claim.statement(), self.keys):
            text = f"{claim} was signed by us for event {seq}; the database ends with {events}."
            self._add("rolled_back", text, events + 1)
        else:
            self._contradicted(claim, f"the database ends with event {events}", events + 1)

    def _count_artefacts(self, artefacts: int) -> None:
        problem: Problem = "artefact_removed" if artefacts < self.named else "artefact_inserted"
        text = f"The events name {self.named} artefacts and there are {artefacts}; `--deep` tells which."
        self._add(problem, text)

    def _add(
        self, problem: Problem, detail: str, seq: int | None = None, since: int | None = None, run_id: str | None = None
    ) -> Problem:
        first = since if since is not None and seq is not None and since < seq else None
        self.findings.append(Finding(problem=problem, detail=detail, seq=seq, since=first, run_id=run_id or None))
        return problem
