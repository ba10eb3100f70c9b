"""The vector index on synthetic points: build, memory, and filtered hybrid queries at five selectivities.

    python -m benchmarks.index --points 20000 100000

A point has a dense unit vector of 384 numbers, about 150 terms of a Zipf distribution, a name on one point in eight,
and the payload that a chunk has. A query is what `retrieval.candidates` asks: dense top 50, lexical top 150 and names
top 8 in one batch, then the dense leg over what only the lexical one found and 8 names weighed whole; the access filter
is on each request and its IDF corpus. `plain` tags are what most companies have (one tenant, nothing denied, no
expiry); in `mixed` every condition of the filter separates something. Owners differ in both.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np

from ingest.tags import AccessTags, Classification
from retrieval.access import Principal, index_payload, read_scope
from retrieval.chunk_index import DIGITS, DOCUMENT, FIRST, NAME, TERMS, VERSION, index_config
from retrieval.edge import EdgeIndex, open_edge
from retrieval.index import DENSE, IndexPoint, ScoredPoint, SetPayload, SparseVector, Upsert

if TYPE_CHECKING:
    from qdrant_client import models

DIMENSIONS = 384
WORDS = 150  # per point, with repetition
VOCABULARY = 50_000
BATCH = 1_000  # points per update
FLUSHED = 10_000  # points per flush, which syncs some fifty files: 1 s on a slow disk, whatever its size
SHARES = {"all": 1.0, "half": 0.5, "tenth": 0.1, "hundredth": 0.01, "thousandth": 0.001}
TODAY = date(2026, 1, 1)
CONFIG = index_config(DIMENSIONS)


class Synthetic:
    """A reproducible stream of points and queries of one distribution."""

    def __init__(self, *, mixed: bool) -> None:
        self._random = np.random.default_rng(7)
        self._mixed = mixed
        self._centres = self._random.normal(size=(200, DIMENSIONS)).astype(np.float32)
        weights = 1 / np.arange(1, VOCABULARY + 1) ** 1.05
        self._cumulative = np.cumsum(weights / weights.sum())

    def points(self, start: int, count: int) -> list[IndexPoint]:
        """Points `start` to `start + count`."""
        return [self._point(start + n, dense) for n, dense in enumerate(self.dense(count))]

    def dense(self, count: int) -> np.ndarray:
        """Unit vectors [count, 384] around common centres, as passages on common topics have them."""
        centres = self._centres[self._random.integers(0, len(self._centres), count)]
        rows = centres + 1.5 * self._random.normal(size=(count, DIMENSIONS)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def terms(self, count: int) -> SparseVector:
        """Term ids as 32-bit hashes, with BM25's saturated frequencies."""
        ranks, frequency = np.unique(np.searchsorted(self._cumulative, self._random.random(count)), return_counts=True)
        indices = (ranks.astype(np.uint64) * 2_654_435_761 % 2**32).astype(np.uint32)
        return SparseVector(indices=indices, values=(frequency * 2.2 / (frequency + 1.2)).astype(np.float32))

    def _point(self, number: int, dense: np.ndarray) -> IndexPoint:
        sparse = {TERMS: self.terms(WORDS)} | ({NAME: self.terms(6)} if number % 8 == 0 else {})
        payload: dict[str, object] = {
            **index_payload(self._tags()),
            DOCUMENT: f"document-{number // 8}",
            VERSION: 1,
            FIRST: number % 8 == 0,
            DIGITS: float(self._random.random()),
        }
        return IndexPoint(id=str(UUID(int=number + 1)), dense=dense, sparse=sparse, payload=payload)

    def _tags(self) -> AccessTags:
        chance = self._random.random
        allow = {f"group:{name}" for name, share in SHARES.items() if chance() < share}
        owner = f"user{self._random.integers(500)}"
        if not self._mixed:
            return AccessTags(owner=owner, allow=frozenset(allow), classification=Classification.internal)
        return AccessTags(
            owner=owner,
            allow=frozenset(allow),
            tenant="default" if chance() < 0.98 else "other",
            deny=frozenset({"group:guests"} if chance() < 0.9 else {"group:contractors", "role:asker"}),
            classification=Classification.internal if chance() < 0.97 else Classification.regulated,
            region="eu" if chance() < 0.3 else "apac" if chance() < 0.02 else None,
            valid_from=date(2027, 1, 1) if (until := chance()) < 0.01 else None,
            valid_to=date(2025, 1, 1) if until > 0.99 else None,
        )


def access_filter(group: str) -> models.Filter:
    """The filter of a member of one group."""
    principal = Principal(
        subject="asker",
        groups=frozenset({group}),
        roles=frozenset({"asker"}),
        clearance=Classification.confidential,
        regions=frozenset({"eu"}),
    )
    return read_scope(principal, today=TODAY).conditions()


def first_batch(data: Synthetic, where: models.Filter) -> list[models.QueryRequest]:
    """Dense top 50, lexical top 150 and names top 8 for one question of six terms."""
    from qdrant_client import models as m

    dense = m.QueryRequest(
        query=data.dense(1)[0].tolist(), using=DENSE, filter=where, limit=50, with_payload=[DOCUMENT, DIGITS]
    )
    terms = data.terms(6)
    return [dense, lexical(terms, TERMS, where, where, 150), lexical(terms, NAME, first(where), first(where), 8)]


def second_batch(
    asked: list[models.QueryRequest], found: list[list[ScoredPoint]], data: Synthetic
) -> list[models.QueryRequest]:
    """The dense leg over the first 50 of the lexical one that it has not found, and 8 names."""

    near, matched, names = ([point.id for point in points] for points in found)
    where = asked[0].filter
    unread = sorted(set(matched[:50]) - set(near))
    requests = [asked[0].model_copy(update={"filter": among(unread, where), "limit": len(unread)})] if unread else []
    return requests + [lexical(data.terms(6), NAME, among([name], where), first(where), 1) for name in names]


def lexical(
    terms: SparseVector, using: str, where: models.Filter, corpus: models.Filter, limit: int
) -> models.QueryRequest:
    """A request of a sparse leg."""
    from qdrant_client import models as m

    return m.QueryRequest(
        query=m.SparseVector(indices=terms.indices.tolist(), values=[1.0] * len(terms.indices)),
        using=using,
        filter=where,
        limit=limit,
        params=m.SearchParams.model_construct(idf=m.IdfCorpusParams(corpus=corpus)),
    )


def first(where: models.Filter) -> models.Filter:
    """First chunks alone."""
    from qdrant_client import models as m

    return m.Filter(must=[where, m.FieldCondition(key=FIRST, match=m.MatchValue(value=True))])


def among(ids: list[str], where: models.Filter) -> models.Filter:
    """These points alone."""
    from qdrant_client import models as m

    return m.Filter(must=[where, m.HasIdCondition(has_id=ids)])


async def build(index: EdgeIndex, data: Synthetic, count: int) -> float:
    """Seconds that the index took for `count` points, tidying included, generation excluded."""
    seconds = 0.0
    where = access_filter("all")
    for start in range(0, count, BATCH):
        points = data.points(start, min(BATCH, count - start))
        began = time.perf_counter()
        await index.update([Upsert(points=points)])
        if (start + BATCH) % FLUSHED == 0 or start + BATCH >= count:
            await index.flush()
        await index.count(where)  # stands behind the tidying
        seconds += time.perf_counter() - began
    return seconds


async def measure(index: EdgeIndex, data: Synthetic, repeats: int) -> list[str]:
    """One line per selectivity, of which the times are p50 / p95 of round trips in ms, or the child's CPU ms."""
    lines = []
    for group in SHARES:
        where = access_filter(group)
        for _ in range(8):
            await index.query(first_batch(data, where))
        asked = [first_batch(data, where) for _ in range(repeats)]
        first = await timed(index, asked)
        more = [second_batch(requests, await index.query(requests), data) for requests in asked]
        second = await timed(index, more)
        both = [one + two for one, two in zip(first.ms, second.ms, strict=True)]
        changed = []
        for requests in asked[: repeats // 4]:
            await change_one(index)
            changed += (await timed(index, [requests])).ms
        columns = [spread(first.ms), spread(second.ms), spread(both), f"{first.cpu_ms:.1f} + {second.cpu_ms:.1f}"]
        lines.append(" | ".join([f"| {group}", str(await index.count(where)), *columns, spread(changed), ""]).strip())
    return lines


async def change_one(index: EdgeIndex) -> None:
    """Touch one point, as a change of access does."""
    from qdrant_client import models as m

    one = m.Filter(must=[m.HasIdCondition(has_id=[str(UUID(int=1))])])
    await index.update([SetPayload(payload={VERSION: 2}, where=one)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What some round trips took."""

    ms: list[float]  # each
    cpu_ms: float  # of the child, on average


async def timed(index: EdgeIndex, batches: list[list[models.QueryRequest]]) -> Times:
    """Ask the batches one after the other."""
    cpu = cpu_seconds(index.child_pid)
    ms = []
    for requests in batches:
        began = time.perf_counter()
        await index.query(requests)
        ms.append((time.perf_counter() - began) * 1e3)
    return Times(ms=ms, cpu_ms=(cpu_seconds(index.child_pid) - cpu) / len(batches) * 1e3)


async def agreement(index: EdgeIndex, data: Synthetic, repeats: int) -> float:
    """Share of dense queries whose top 50 is the same with int8 and rescoring as with the stored vectors alone."""
    from qdrant_client import models as m

    same = 0
    for _ in range(repeats):
        request = first_batch(data, access_filter("half"))[0]
        exact = request.model_copy(update={"params": m.SearchParams(exact=True)})
        found, wanted = await index.query([request, exact])
        same += [point.id for point in found] == [point.id for point in wanted]
    return same / repeats


async def throughput(index: EdgeIndex, data: Synthetic, callers: int, repeats: int) -> float:
    """Questions per second with this many callers at a time, at a selectivity of a tenth."""
    where = access_filter("tenth")
    questions = [first_batch(data, where) for _ in range(callers * repeats)]

    async def caller(number: int) -> None:
        for requests in questions[number::callers]:
            await index.query(requests)

    began = time.perf_counter()
    await asyncio.gather(*(caller(n) for n in range(callers)))
    return len(questions) / (time.perf_counter() - began)


def spread(values: list[float]) -> str:
    """p50 / p95 in ms."""
    if len(values) < 2:
        return "-"
    return f"{statistics.median(values):.1f} / {statistics.quantiles(values, n=20)[-1]:.1f}"


def resident_mb(process: int | None) -> int:
    """Resident memory of a process, of which file-backed pages can be taken back; Linux only."""
    import psutil

    return int(psutil.Process(process).memory_info().rss / 2**20)


def cpu_seconds(process: int | None) -> float:
    """Processor time that a process has used, which a loaded machine does not lengthen much."""
    import psutil

    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)


async def report(count: int, *, mixed: bool, repeats: int) -> None:
    """Build an index of `count` points in a temporary folder and print its table."""
    data = Synthetic(mixed=mixed)
    with tempfile.TemporaryDirectory() as folder:
        index = await open_edge(Path(folder), CONFIG, deadline=300)
        seconds = await build(index, data, count)
        cpu = cpu_seconds(index.child_pid)
        built = resident_mb(index.child_pid)
        await index.close()
        began = time.perf_counter()
        index = await open_edge(Path(folder), CONFIG, deadline=300)
        opened = time.perf_counter() - began
        lines = await measure(index, data, repeats)
        print(
            f"\n{count} points, {'mixed' if mixed else 'plain'} tags: built in {seconds:.1f} s"
            f" ({count / seconds:.0f} points/s, {cpu:.1f} CPU-s in the child), {built} MB after the build,"
            f" opened in {opened:.2f} s, {resident_mb(index.child_pid)} MB after the queries"
        )
        print("| readable by | points | first ms | second ms | both ms | CPU ms of both | first after a change ms |")
        print("|---|---|---|---|---|---|---|", *lines, sep="\n")
        alone, together = await throughput(index, data, 1, 64), await throughput(index, data, 16, 8)
        print(f"top 50 equal to exact search: {await agreement(index, data, repeats):.1%}")
        print(f"questions/s with 1 caller {alone:.0f}, with 16 {together:.0f}")
        await index.close()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.index", description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--tags", choices=["plain", "mixed"], nargs="+", default=["plain", "mixed"])
    parser.add_argument("--repeats", type=int, default=40)
    arguments = parser.parse_args()
    for count in arguments.points:
        for tags in arguments.tags:
            asyncio.run(report(count, mixed=tags == "mixed", repeats=arguments.repeats))


if __name__ == "__main__":
    main()
