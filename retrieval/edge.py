"""The vector index in one process: the Qdrant Edge engine, owned by one spawned child.

The parent checks and flattens requests and never blocks its event loop; the child (`retrieval/edge_process.py`) holds
the engine. One request is in flight at a time; queries that wait behind it go to the child as one batch.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ingest.errors import BadInput, DependencyDown, GroundwireError, HomeBusy
from retrieval.edge_wire import Buffer, frame, receive_frame
from retrieval.index import Change, IndexConfig, IndexPoint, ScoredPoint, SetPayload, Upsert
from retrieval.index_checks import check_changes, check_filter, check_requests, listed

if TYPE_CHECKING:
    from qdrant_client import models

BATCH_REQUESTS: Final = 16  # requests of waiting callers that go to the child together
_ERRORS: Final = {error.__name__: error for error in (BadInput, DependencyDown, HomeBusy)}
_ROOT: Final = str(Path(__file__).resolve().parent.parent)  # where the child finds this package
_CHILD: Final = "import sys; sys.path.insert(0, sys.argv[1]); from retrieval.edge_process import main; main()"


async def open_edge(folder: Path, config: IndexConfig, *, deadline: float = 30.0) -> EdgeIndex:
    """Open the index in `folder`, made if it is not there.

    `deadline` is in seconds and bounds every call. Raises HomeBusy when another process owns the folder, BadInput when
    it was made with another `config`, DependencyDown when the engine cannot use it.
    """
    index = EdgeIndex(folder, config, deadline=deadline)
    try:
        await index.start()
    except BaseException:
        await index.close()
        raise
    return index


@dataclass(slots=True, kw_only=True)
class _Job:
    """One call on its way to the child."""

    body: dict[str, Any]
    buffers: Sequence[Buffer] = ()
    reply: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class EdgeIndex:
    """`VectorIndex` over a child process. Made by `open_edge`.

    When the child dies, the call in flight raises DependencyDown and the next one starts a child anew from disk, where
    everything is that was acknowledged. An update cut off in that way is to be repeated: a part of it may be there.
    """

    def __init__(self, folder: Path, config: IndexConfig, *, deadline: float) -> None:
        self._folder = folder
        self._config = config
        self._deadline = deadline
        self._bools = frozenset(key for key, kind in config.payload.items() if kind == "bool")
        self._child: asyncio.subprocess.Process | None = None
        self._waiting: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def child_pid(self) -> int | None:
        """Process id of the child, None while there is none."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Start the child and the task that talks to it."""
        await self._start_child()
        self._pump = asyncio.create_task(self._run(), name="edge index")

    async def update(self, changes: Sequence[Change]) -> None:
        """See `VectorIndex.update`."""
        body, buffers = await asyncio.to_thread(self._plain_changes, changes)
        await self._ask(body, buffers)

    async def flush(self) -> None:
        """See `VectorIndex.flush`. Afterwards, behind this call, the child tidies up what has grown large."""
        await self._ask({"op": "flush"})
        self._submit(_Job(body={"op": "optimise"}))

    async def query(self, requests: Sequence[models.QueryRequest]) -> list[list[ScoredPoint]]:
        """See `VectorIndex.query`."""
        check_requests(requests, self._config)
        if not requests:
            return []
        body, buffers = self._plain_requests(requests)
        return [self._points(*answer) for answer in await self._ask(body, buffers)]

    async def count(self, where: models.Filter) -> int:
        """See `VectorIndex.count`."""
        check_filter(where, self._config)
        return int(await self._ask({"op": "count", "where": _filter_text(where)}))

    async def close(self) -> None:
        """Flush, let the child end, and wait for it; safe to call again."""
        if self._closed:
            return
        self._closed = True
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        for job in self._waiting:
            job.reply.cancel()
        await self._stop_child()

    async def _ask(self, body: dict[str, Any], buffers: Sequence[Buffer] = ()) -> Any:
        if self._closed:
            raise DependencyDown("index", "index_closed", "The index was closed.", "Open it again.")
        job = _Job(body=body, buffers=buffers)
        self._submit(job)
        try:
            async with asyncio.timeout(self._deadline):
                return await job.reply
        except TimeoutError:
            cause = f"The index did not answer within {self._deadline:g} s."
            raise DependencyDown("index", "index_slow", cause, "Try again; if it stays so, restart.") from None

    def _submit(self, job: _Job) -> None:
        self._waiting.append(job)
        self._arrived.set()

    async def _run(self) -> None:
        """Take what waits to the child, one exchange at a time, until cancelled."""
        while True:
            await self._arrived.wait()
            jobs = self._next_jobs()
            if not jobs:
                self._arrived.clear()
                continue
            try:
                answers = await self._exchange(jobs)
            except Exception as error:  # noqa: BLE001 - the callers must hear of it, and the next ones be served
                for job in jobs:
                    _settle(job.reply, error)
            except asyncio.CancelledError:
                for job in jobs:
                    job.reply.cancel()
                raise
            else:
                for job, answer in zip(jobs, answers, strict=True):
                    _settle(job.reply, answer)

    def _next_jobs(self) -> list[_Job]:
        """The next job, with the queries right behind it when it is a query: updates keep their place."""
        jobs: list[_Job] = []
        size = 0
        while self._waiting:
            job = self._waiting[0]
            size += len(job.body.get("requests", ()))
            if jobs and (job.body["op"] != "query" or jobs[0].body["op"] != "query" or size > BATCH_REQUESTS):
                break
            self._waiting.popleft()
            if not job.reply.done():
                jobs.append(job)
        return jobs

    async def _exchange(self, jobs: Sequence[_Job]) -> list[Any]:
        """One round trip; the answers in the order of the jobs."""
        if self._child is None:
            await self._start_child()
        if jobs[0].body["op"] != "query":
            return [await self._round_trip(jobs[0].body, jobs[0].buffers)]
        requests = [request for job in jobs for request in job.body["requests"]]
        buffers = [buffer for job in jobs for buffer in job.buffers]
        answers = iter(await self._round_trip({"op": "query", "requests": requests}, buffers))
        return [[next(answers) for _ in job.body["requests"]] for job in jobs]

    async def _round_trip(self, body: Mapping[str, Any], buffers: Sequence[Buffer] = ()) -> Any:
        child = self._child
        if child is None or child.stdin is None or child.stdout is None:
            raise self._died()
        try:
            child.stdin.writelines(frame(body, buffers))
            await child.stdin.drain()
            reply: Any = await receive_frame(child.stdout.readexactly)
        except (OSError, asyncio.IncompleteReadError):
            self._child = None
            await _end(child)
            raise self._died() from None
        if "error" in reply:
            kind, *parts = reply["error"]
            raise _ERRORS[kind](*parts)
        return reply["ok"]

    async def _start_child(self) -> None:
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _CHILD, _ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**22, start_new_session=True,
        )  # fmt: skip
        lists = {"sparse": list(self._config.sparse), "access": list(self._config.access)}
        shape = {**asdict(self._config), **lists, "payload": dict(self._config.payload)}
        opening = {"folder": str(self._folder), "shape": shape, "owner": os.getpid(), "patience": self._deadline / 2}
        try:
            async with asyncio.timeout(self._deadline):
                await self._round_trip(opening)
        except TimeoutError:
            await self._stop_child()
            cause = f"The index did not open within {self._deadline:g} s."
            raise DependencyDown(str(self._folder), "index_slow", cause, "Try again with a longer deadline.") from None
        except GroundwireError:
            await self._stop_child()
            raise

    async def _stop_child(self) -> None:
        """Close the pipe, which makes the child flush and end; kill it when it does not within the deadline."""
        child, self._child = self._child, None
        if child is None or child.stdin is None:
            return
        child.stdin.close()
        try:
            async with asyncio.timeout(self._deadline):
                await child.wait()
        except TimeoutError:
            await _end(child)

    def _died(self) -> DependencyDown:
        cause = "The process that holds the index ended before it answered."
        return DependencyDown(str(self._folder), "index_died", cause, "Repeat the call: the next one starts it anew.")

    def _plain_changes(self, changes: Sequence[Change]) -> tuple[dict[str, Any], list[Buffer]]:
        check_changes(changes, self._config)
        plain: list[dict[str, Any]] = []
        buffers: list[Buffer] = []
        for change in changes:
            if isinstance(change, Upsert):
                if change.points:
                    plain.append(self._plain_points(change.points, buffers))
            elif isinstance(change, SetPayload):
                plain.append({"where": _filter_text(change.where), "payload": self._stored(change.payload)})
            else:
                plain.append({"where": _filter_text(change.where)})
        return {"op": "update", "changes": plain}, buffers

    def _plain_points(self, points: Sequence[IndexPoint], buffers: list[Buffer]) -> dict[str, Any]:
        buffers.append(np.stack([point.dense for point in points]).astype("<f4", copy=False).tobytes())
        sparse: dict[str, list[tuple[int, int]]] = {}
        for name in self._config.sparse:
            rows = [(n, point.sparse[name]) for n, point in enumerate(points) if name in point.sparse]
            if rows:
                sparse[name] = [(n, len(vector.indices)) for n, vector in rows]
                buffers.append(np.concatenate([vector.indices for _, vector in rows]).astype("<u4").tobytes())
                buffers.append(np.concatenate([vector.values for _, vector in rows]).astype("<f4").tobytes())
        payloads = [self._stored(point.payload) for point in points]
        return {"ids": [point.id for point in points], "sparse": sparse, "payloads": payloads}

    def _stored(self, payload: Mapping[str, object]) -> dict[str, object]:
        """The payload as the engine keeps it: Edge 0.9 has no working look-up for booleans, so they are 0 and 1."""
        return {key: _number(value) if key in self._bools else value for key, value in payload.items()}

    def _plain_requests(self, requests: Sequence[models.QueryRequest]) -> tuple[dict[str, Any], list[Buffer]]:
        texts: dict[int, str] = {}  # filters are shared within a batch: each is flattened once
        buffers: list[Buffer] = []
        plain = [_plain_request(request, texts, buffers) for request in requests]
        return {"op": "query", "requests": plain}, buffers

    def _points(self, ids: list[str], scores: list[float], payloads: list[dict[str, Any]]) -> list[ScoredPoint]:
        for payload in payloads:
            for key in self._bools & payload.keys():
                payload[key] = bool(payload[key])
        return [ScoredPoint(id=i, score=s, payload=p) for i, s, p in zip(ids, scores, payloads, strict=True)]


def _plain_request(request: Any, texts: dict[int, str], buffers: list[Buffer]) -> dict[str, Any]:
    """A checked request without its vector, which is added to `buffers`."""

    def text(where: models.Filter) -> str:
        if id(where) not in texts:
            texts[id(where)] = _filter_text(where)
        return texts[id(where)]

    keys = request.with_payload
    plain = {"using": request.using, "limit": request.limit, "filter": text(request.filter)}
    plain["keys"] = list(keys) if isinstance(keys, list) and keys else keys is True
    params = request.params
    if isinstance(request.query, list):
        buffers.append(np.asarray(request.query, dtype="<f4").tobytes())
        plain["exact"] = bool(params and params.exact)
        if params and params.quantization:
            plain["quantization"] = params.quantization.model_dump(exclude_none=True)
        return plain
    buffers.append(np.asarray(request.query.indices, dtype="<u4").tobytes())
    buffers.append(np.asarray(request.query.values, dtype="<f4").tobytes())
    return {**plain, "idf": text(params.idf.corpus)}


def _filter_text(where: models.Filter) -> str:
    return json.dumps(plain_filter(where), separators=(",", ":"))


def plain_filter(where: models.Filter) -> dict[str, Any]:
    """A checked filter in plain lists and values, as it travels to the child."""
    parts = {"must": where.must, "should": where.should, "must_not": where.must_not}
    return {name: [_plain_condition(c) for c in listed(part)] for name, part in parts.items() if listed(part)}


def _plain_condition(condition: Any) -> dict[str, Any]:
    from qdrant_client import models as m

    if isinstance(condition, m.Filter):
        return plain_filter(condition)
    if isinstance(condition, m.HasIdCondition):
        return {"ids": list(condition.has_id)}
    if condition.range is not None:
        return {"key": condition.key, "range": condition.range.model_dump(exclude_none=True)}
    if isinstance(condition.match, m.MatchAny):
        return {"key": condition.key, "any": list(condition.match.any)}
    return {"key": condition.key, "value": _number(condition.match.value)}


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _settle(reply: asyncio.Future[Any], answer: object) -> None:
    if reply.done():
        return
    if isinstance(answer, Exception):
        reply.set_exception(answer)
        reply.exception()  # counted as seen: nobody waits for a tidying job
    else:
        reply.set_result(answer)


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        child.kill()
    await child.wait()
