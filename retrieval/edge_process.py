"""The child process that owns the Edge engine: one frame in, one frame out, until its input ends.

The engine holds Python's global lock while it works, so it lives here and not in the parent. Started by
`retrieval/edge.py`; imports nothing but the engine and the standard library, so that it starts fast and stays small.

A folder holds `lock` (held while a child lives; the text is the parent's process id), `shape.json` (the IndexConfig it
was made with) and `points/` (the engine's files).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import qdrant_edge as edge

from retrieval.edge_access import GUARD, MARKS, AccessMarks
from retrieval.edge_convert import (
    access_indexes,
    edge_changes,
    edge_config,
    edge_filter,
    edge_request,
    field_indexes,
    gathering_filter,
)
from retrieval.edge_wire import frame, read_frame

FILTERS_KEPT = 512  # converted filters that are kept
TIES_FACTOR = 16  # how far past its limit a query is read to find the end of a tie, as a multiple of the limit
GUARDS_READ = 1_000_000  # far more than are used
BUSY_PATIENCE = 2.0  # seconds for which a folder may look busy, as when its owner is just going
SEGMENTS_SEARCHED = 8  # segments that are searched at the same time, where there are that many cores


class Refused(Exception):
    """A request cannot be served: error class, item, code, cause and next step for the parent to raise."""

    def __init__(self, error: str, item: object, code: str, cause: str, next_step: str) -> None:
        super().__init__(cause)
        self.parts = [error, str(item), code, cause, next_step]


class Engine:
    """One open folder and the engine's shard in it."""

    def __init__(self, folder: Path, shape: Mapping[str, Any], *, owner: int, patience: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder, owner, patience)
        _check_shape(folder, shape)
        self._shard = _open_shard(folder, shape)
        self._marks = AccessMarks(shape["access"], _guards(self._shard) if shape["access"] else [])
        self._scopes = Scopes(self._shard, self._marks)

    def update(self, changes: Sequence[Mapping[str, Any]], buffers: Sequence[memoryview]) -> None:
        """Apply checked changes in order; every change is built before the first one is applied."""
        vectors = iter(buffers)
        operations = [edge_changes(self._marked(change), vectors) for change in changes]
        self._scopes.forget()
        for operation in operations:
            self._shard.update(operation)

    def _marked(self, change: Mapping[str, Any]) -> Mapping[str, Any]:
        if "payloads" in change:
            return {**change, "payloads": [self._marks.marked(payload) for payload in change["payloads"]]}
        if self._marks.concerns(change.get("payload", {})):
            return {**change, "payload": self._marks.marked(change["payload"])}
        return change

    def query(self, requests: Sequence[Mapping[str, Any]], buffers: Sequence[memoryview]) -> list[list[Any]]:
        """Ids, scores and payloads of each request, as one batch over one state."""
        read = [_read(request) for request in requests]
        offsets = _buffer_offsets(requests)
        found: list[Any] = [None] * len(requests)
        open_ones = list(range(len(requests)))
        while open_ones:
            batch = [self._request(requests[n], read[n], buffers[offsets[n] :]) for n in open_ones]
            for n, points in zip(open_ones, self._shard.query_batch(edge.QueryBatchRequest(batch)), strict=True):
                found[n] = points
            open_ones = [n for n in open_ones if _tie_at_limit(found[n], requests[n]["limit"], read[n])]
            for n in open_ones:
                read[n] *= 4
        return [_best(points, request["limit"]) for points, request in zip(found, requests, strict=True)]

    def _request(self, plain: Mapping[str, Any], limit: int, buffers: Sequence[memoryview]) -> edge.QueryRequest:
        where = self._scopes.narrowed(plain["filter"])
        corpus = self._scopes.corpus(plain["idf"]) if "idf" in plain else None
        return edge_request({**plain, "limit": limit}, iter(buffers), where, corpus)

    def count(self, where: str) -> int:
        """The exact number of points that match."""
        return int(self._shard.count(edge.CountRequest(exact=True, filter=edge_filter(json.loads(where)))))

    def flush(self) -> None:
        """Return when everything applied so far survives a loss of power."""
        self._shard.flush()

    def optimise(self) -> bool:
        """Quantise and merge what has grown past the thresholds of `edge_config`; blocks, up to seconds."""
        return bool(self._shard.optimize())

    def close(self) -> None:
        """Flush and release the folder."""
        self._shard.flush()
        self._shard.close()
        self._lock.close()


class Scopes:
    """Filters made ready for the engine: access rules as marks, and without the conditions that every point meets.

    To gather the points that meet a filter is the dearest part of a search. A condition is left out while it is true of
    every point, as an access rule is for someone who may read everything; the engine is asked for that once, and what
    was learned is forgotten before any change is applied.
    """

    def __init__(self, shard: edge.EdgeShard, marks: AccessMarks) -> None:
        self._shard = shard
        self._marks = marks
        self._narrowed: dict[str, tuple[edge.Filter | None, edge.Filter]] = {}
        self._met_by_all: dict[str, bool] = {}

    def forget(self) -> None:
        """Points are about to change."""
        self._narrowed.clear()
        self._met_by_all.clear()

    def narrowed(self, text: str) -> edge.Filter | None:
        """The filter to search with; None when every point meets it."""
        return self._entry(text)[0]

    def corpus(self, text: str) -> edge.Filter:
        """The filter to count term frequencies with: never none at all, which the engine would count differently."""
        return self._entry(text)[1]

    def _entry(self, text: str) -> tuple[edge.Filter | None, edge.Filter]:
        if text in self._narrowed:
            return self._narrowed[text]
        plain = self._marks.rewritten(json.loads(text))
        kept = self._kept(plain)
        first = {"must": plain["must"][:1]} if plain.get("must") else plain
        made = gathering_filter(kept or first)
        entry = made if kept else None, made
        if not any("ids" in condition for condition in plain.get("must", ())):  # which will not come again
            if len(self._narrowed) >= FILTERS_KEPT:
                self.forget()
            self._narrowed[text] = entry
        return entry

    def _kept(self, plain: Mapping[str, Any]) -> dict[str, list[Any]]:
        kept = {part: list(conditions) for part, conditions in plain.items()}
        for part, opposite in (("must", "must_not"), ("must_not", "must")):
            kept[part] = [c for c in plain.get(part, []) if "key" not in c or not self._is_met_by_all(opposite, c)]
        return {part: conditions for part, conditions in kept.items() if conditions}

    def _is_met_by_all(self, opposite: str, condition: Mapping[str, Any]) -> bool:
        violators = {opposite: [condition]}
        text = json.dumps(violators)
        if text not in self._met_by_all:
            records, _ = self._shard.scroll(
                edge.ScrollRequest(limit=1, filter=edge_filter(violators), with_payload=False, with_vector=False)
            )
            self._met_by_all[text] = not records
        return self._met_by_all[text]


def serve(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Answer frames until the input ends, which it also does when the parent dies."""
    engine: Engine | None = None
    while (message := read_frame(stdin)) is not None:
        request: Any = message[0]
        try:
            if engine is None:
                engine = Engine(Path(request.pop("folder")), **request)
                reply: object = {"ok": None}
            else:
                reply = {"ok": _answer(engine, request, message[1])}
        except Refused as error:
            reply = {"error": error.parts}
        except BaseException as error:  # noqa: BLE001 - the engine raises panics past Exception; the parent must hear of all
            reply = {"error": _failure(error)}
        try:
            stdout.writelines(frame(reply))
            stdout.flush()
        except BrokenPipeError:  # the parent went while it waited
            break
    if engine is not None:
        with contextlib.suppress(Exception):
            engine.close()


def _answer(engine: Engine, request: Mapping[str, Any], buffers: Sequence[memoryview]) -> object:
    match request["op"]:
        case "query":
            return engine.query(request["requests"], buffers)
        case "update":
            engine.update(request["changes"], buffers)
        case "count":
            return engine.count(request["where"])
        case "flush":
            engine.flush()
        case "optimise":
            return engine.optimise()
        case unknown:
            raise ValueError(f"unknown request {unknown!r}")
    return None


def _failure(error: BaseException) -> list[str]:
    cause = f"The engine failed: {type(error).__name__}: {str(error)[:300]}."
    return ["DependencyDown", "index", "index_failed", cause, "Check disk space and rights, then run it again."]


def _lock(folder: Path, owner: int, patience: float) -> Any:
    """The folder's lock, taken; the child of a dead owner is waited for to the end, a living owner but briefly."""
    file = (folder / "lock").open("a+")
    began = time.monotonic()
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            file.seek(0)
            holder = file.read().strip()
            lives = holder.isdigit() and _is_alive(int(holder))
            if time.monotonic() - began > (min(patience, BUSY_PATIENCE) if lives else patience):
                cause = f"Process {holder or 'unknown'} has this index open, and an index has one owner."
                step = "Stop that process, or ask through it (groundwire serve)."
                raise Refused("HomeBusy", folder, "index_busy", cause, step) from None
            time.sleep(0.05)
    file.truncate(0)
    file.write(str(owner))
    file.flush()
    return file


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state != "Z"  # killed, and its parent has not taken note yet


def _check_shape(folder: Path, shape: Mapping[str, Any]) -> None:
    """Write the shape of a new folder; refuse a folder that was made with another one."""
    path = folder / "shape.json"
    if not path.exists():
        draft = folder / "shape.json.new"
        with draft.open("w") as file:
            json.dump(shape, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        return
    try:
        found = json.loads(path.read_text())
    except ValueError:
        raise _unreadable(path, "it is no JSON") from None
    if found != shape:
        different = sorted(key for key in {*found, *shape} if found.get(key) != shape.get(key))
        cause = f"The index was made with another shape ({', '.join(different)} differ)."
        step = "Use the configuration that it was made with, or rebuild it with groundwire reindex."
        raise Refused("BadInput", folder, "index_shape", cause, step)


def _open_shard(folder: Path, shape: Mapping[str, Any]) -> edge.EdgeShard:
    """The engine over `points/`, made whole under another name first, swept of what a killed optimiser left."""
    points = folder / "points"
    config = edge_config(shape, min(SEGMENTS_SEARCHED, os.cpu_count() or 1))
    if not points.exists():
        draft = folder / "points.new"
        shutil.rmtree(draft, ignore_errors=True)
        shard = edge.EdgeShard.create(str(draft), config)
        for operation in (*field_indexes(shape["payload"], shape["tenant_key"]), *access_indexes(shape["access"])):
            shard.update(operation)
        shard.flush()
        shard.close()
        draft.replace(points)
    shutil.rmtree(points / "temp_segments", ignore_errors=True)
    try:
        return edge.EdgeShard.load(str(points), config)
    except Exception as error:  # noqa: BLE001 - the engine names no classes; all mean that the files cannot be used
        raise _unreadable(points, str(error)[:300]) from None


def _guards(shard: edge.EdgeShard) -> list[str]:
    """Every guard that a point has."""
    return [str(hit.value) for hit in shard.facet(edge.FacetRequest(key=GUARD, limit=GUARDS_READ, exact=True)).hits]


def _unreadable(path: Path, why: str) -> Refused:
    step = "Rebuild the index from the ledger with groundwire reindex."
    return Refused("DependencyDown", path, "index_unreadable", f"The index cannot be read: {why}.", step)


def _buffer_offsets(requests: Sequence[Mapping[str, Any]]) -> list[int]:
    """Where the buffers of each request begin: a sparse query takes two, a dense one takes one."""
    offsets = [0]
    for request in requests:
        offsets.append(offsets[-1] + (2 if "idf" in request else 1))
    return offsets


def _read(request: Mapping[str, Any]) -> int:
    """How many points to read at first: cosines are hardly ever equal, lexical scores of short texts often are."""
    limit: int = request["limit"]
    return 2 * limit + 16 if "idf" in request else limit + 1


def _tie_at_limit(points: Sequence[edge.ScoredPoint], limit: int, read: int) -> bool:
    """Whether a tie reaches from inside the limit past what was read, so that the engine's order would show."""
    is_cut = len(points) == read and points[limit - 1].score == points[-1].score
    return is_cut and read < TIES_FACTOR * limit


def _best(points: Sequence[edge.ScoredPoint], limit: int) -> list[Any]:
    ordered = sorted(((-point.score, str(point.id), point.payload) for point in points), key=lambda p: p[:2])[:limit]
    return [[p[1] for p in ordered], [-p[0] for p in ordered], [_asked(p[2]) for p in ordered]]


def _asked(payload: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (payload or {}).items() if key not in (MARKS, GUARD)}


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the parent; whatever the engine prints goes to stderr."""
    stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, stdout


def main() -> None:
    """Entry point of the child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(*_private_streams())
