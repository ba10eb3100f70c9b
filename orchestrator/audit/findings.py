"""What may be wrong with a chain, and how the first event that does not fit is told from its neighbours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from orchestrator.audit.chain import event_hash
from orchestrator.store.audit import EVENT_COLUMNS, EventRow

Problem = Literal[
    "changed",  # an event is not what it was
    "removed",
    "inserted",
    "reordered",
    "truncated",  # the head that was signed last lies beyond the last event
    "rolled_back",  # the witness file knows of more than the database holds
    "forked",  # two signed statements contradict each other, or one contradicts the chain
    "unknown_key",  # signed, by none of the known keys
    "bad_signature",
    "checkpoint_changed",
    "checkpoint_removed",
    "head_removed",
    "witness_altered",  # a line of the file beside the database has no good signature
    "artefact_changed",
    "artefact_removed",
    "artefact_inserted",
    "subject_key_changed",
    "subject_key_removed",  # and no event says that the subject was erased
]
_FIELDS: Final = EVENT_COLUMNS[:6]  # seq, run_id, step, tenant, kind, at: the body states them as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong."""

    problem: Problem
    detail: str  # a whole sentence
    seq: int | None = None  # the first event that is known to be bad; None: it belongs to no event
    since: int | None = None  # where events before it may have been rewritten with their hashes: the first of them
    run_id: str | None = None


def fits(row: EventRow, seq: int, prev: bytes) -> bool:
    """Whether a row is the event `seq` after an event with the hash `prev`, by body, hash and every column."""
    try:
        inner = json.loads(row[6])
        return (
            row[0] == seq
            and row[7] == prev
            and row[8] == event_hash(prev, row[6])
            and row[:6] == tuple(inner[name] for name in _FIELDS)
            and type(inner["facts"]) is type(inner["artefacts"]) is dict
        )
    except (TypeError, ValueError, KeyError, RecursionError):  # a value of another type was put there
        return False


def explain(row: EventRow, seq: int, prev: bytes, before: EventRow | None, after: EventRow | None) -> Finding:
    """What became of the first row that does not fit as event `seq`; `before` and `after` are its neighbours.

    A row is trusted where the row after it was chained to it: who changes an event with its hash leaves a successor
    that names another.
    """
    own, body_seq = row[0], _inner(row).get("seq")
    if own < seq:
        return _finding("inserted", own, row, f"Event {own} stands before the first of the chain.")
    if own > seq:
        return _finding("removed", seq, None, f"Event {seq} is missing: {own} follows {seq - 1}.")
    if after is not None and after[7] == prev and _inner(after).get("seq") == seq and row[7] != after[8]:
        return _finding("inserted", seq, row, f"Event {seq} was put between two that follow each other.")
    if _belongs(row, seq, prev):
        inner = _inner(row)
        wrong = ", ".join(name for name, value in zip(_FIELDS, row, strict=False) if inner.get(name) != value)
        return _finding("changed", seq, row, f"Event {seq}: {wrong} in the table is not what the event says.")
    if _is_whole(row):
        return _misplaced(row, seq, body_seq, before, after)
    if isinstance(body_seq, int) and body_seq != seq:
        return _finding("reordered", seq, row, f"In the place of event {seq} stands what was event {body_seq}.")
    return _finding("changed", seq, row, f"Event {seq} does not have the hash that was recorded.")


def _misplaced(row: EventRow, seq: int, body_seq: object, before: EventRow | None, after: EventRow | None) -> Finding:
    """A row that is whole in itself, and was chained to another event than the one before it."""
    if not isinstance(body_seq, int) or body_seq == seq:
        if before is None:
            return _finding("changed", seq, row, f"Event {seq} was chained to another event than the one before it.")
        text = f"Event {seq - 1} was changed with its hash: event {seq} was chained to another."
        return _finding("changed", seq - 1, before, text)
    if body_seq < seq:
        if before is not None and before[7] == row[7]:
            text = f"Event {seq - 1} was put before what was event {body_seq}."
            return _finding("inserted", seq - 1, before, text)
    elif after is None or _inner(after).get("seq") == body_seq + 1:
        return _finding("removed", seq, None, f"Event {seq} is missing: what follows was event {body_seq}.")
    return _finding("reordered", seq, row, f"In the place of event {seq} stands what was event {body_seq}.")


def _belongs(row: EventRow, seq: int, prev: bytes) -> bool:
    try:
        return bool(row[0] == seq and row[7] == prev and row[8] == event_hash(prev, row[6]))
    except TypeError:  # a value of another type was put there
        return False


def _is_whole(row: EventRow) -> bool:
    try:
        return bool(row[8] == event_hash(row[7], row[6]))
    except TypeError:
        return False


def _inner(row: EventRow) -> Mapping[str, Any]:
    try:
        inner = json.loads(row[6])
    except (TypeError, ValueError, RecursionError):
        return {}
    return inner if isinstance(inner, dict) else {}


def _finding(problem: Problem, seq: int, row: EventRow | None, detail: str) -> Finding:
    run_id = _inner(row).get("run_id", row[1]) if row is not None else None
    return Finding(problem=problem, seq=seq, run_id=str(run_id) if run_id else None, detail=detail)
