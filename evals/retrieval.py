"""`groundwire eval retrieval`: each leg on its own and the fusion that the product serves, on a labelled collection."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evals import metrics
from evals.collection import Collection, Query
from evals.json_lines import spread
from evals.own_home import fingerprint, own_home
from ingest.errors import GroundwireError
from retrieval.access import Principal, ReadScope

if TYPE_CHECKING:
    from qdrant_client import models

    from ingest.encoder import QueryEncoding
    from ingest.report import IngestReport
    from orchestrator.services import Services
    from orchestrator.settings import Settings
    from retrieval.evidence import Passage

EVALUATOR: Final = "evaluation"  # owns the corpus in the home of the evaluation, and asks
DEPTH: Final = 100  # chunks of a ranking, before they are folded to documents or pages
LEGS: Final = ("dense", "lexical", "fused")
METRICS: Final[Mapping[str, Callable[[metrics.Ranking, metrics.Gains], float]]] = {
    "ndcg@10": lambda ranking, gains: metrics.ndcg(ranking, gains, 10),
    "recall@1": lambda ranking, gains: metrics.recall(ranking, gains, 1),
    "recall@10": lambda ranking, gains: metrics.recall(ranking, gains, 10),
    "recall@100": lambda ranking, gains: metrics.recall(ranking, gains, 100),
    "mrr@10": lambda ranking, gains: metrics.reciprocal_rank(ranking, gains, 10),
    "success@10": lambda ranking, gains: metrics.success(ranking, gains, 10),
}
_RECORDS_AT_ONCE = 50_000

Progress = Callable[[str], None]
Scores = dict[str, list[dict[str, float]]]  # by leg, query by query, by metric


@dataclass(kw_only=True)
class _Run:
    """One walk through the queries."""

    services: Services
    collection: Collection
    scope: ReadScope
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)  # chunk id to the corpus-ids that it stands for
    milliseconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    async def rankings(self, query: Query) -> dict[str, list[str]]:
        """The corpus-ids by leg, best first; empty, and counted, where the question cannot be asked."""
        try:
            started = time.perf_counter()
            encoding = self.services.encoder.encode_query(query.text)
            hits = await self.services.retriever.search(query.text, self.scope, k=DEPTH, encoding=encoding)
            self.milliseconds.append(1000 * (time.perf_counter() - started))
            self._learn(hit.passage for hit in hits)
            chunks = await self._single_legs(query.text, encoding)
            chunks["fused"] = [hit.passage.chunk_id for hit in hits]
        except GroundwireError as error:
            self.errors[error.code] += 1
            return {leg: [] for leg in LEGS}
        return {leg: self._fold(ids) for leg, ids in chunks.items()}

    async def _single_legs(self, text: str, encoding: QueryEncoding) -> dict[str, list[str]]:
        requests = leg_requests(text, encoding, self.scope)
        found = await self.services.index.query(list(requests.values()))
        ids = {leg: [point.id for point in points] for leg, points in zip(requests, found, strict=True)}
        unknown = list({id_ for column in ids.values() for id_ in column} - self.names.keys())
        self._learn((await self.services.library.passages(self.scope, unknown)).values())
        return {leg: [id_ for id_ in ids.get(leg, []) if id_ in self.names] for leg in ("dense", "lexical")}

    def _fold(self, chunks: Sequence[str]) -> list[str]:
        """Each corpus-id at the rank of its best chunk."""
        return list(dict.fromkeys(name for chunk in chunks for name in self.names[chunk]))

    def _learn(self, passages: Iterable[Passage]) -> None:
        for passage in passages:
            self.names[passage.chunk_id] = corpus_ids(passage, self.collection)


async def evaluate_retrieval(
    settings: Settings, collection: Collection, *, limit: int | None = None, progress: Progress = lambda _: None
) -> dict[str, Any]:
    """The report on `collection`, or on `limit` of its queries; the corpus is ingested into a home of its own."""
    from orchestrator.services import open_services
    from retrieval.search import SearchConfig

    started = time.monotonic()
    queries = spread(collection.queries, limit)
    async with open_services(own_home(settings, collection.name, [collection.corpus])) as services:
        taken = await _ingest(services, collection, progress)
        run = _Run(services=services, collection=collection, scope=services.scope(_evaluator()))
        scores: Scores = {leg: [] for leg in LEGS}
        for number, query in enumerate(queries, start=1):
            for leg, ranking in (await run.rankings(query)).items():
                scores[leg].append({name: metric(ranking, query.gains) for name, metric in METRICS.items()})
            progress(f"{number} of {len(queries)} queries")
        encoder = services.encoder.id
    return _report(scores) | {
        "collection": collection.name,
        "revision": fingerprint([collection.corpus.parent]),
        "level": collection.level,
        "documents": collection.documents,
        "not_taken": taken,
        "errors": dict(run.errors),
        "depth": DEPTH,
        "encoder": encoder,
        "rule": asdict(SearchConfig()),
        "latency_ms": metrics.percentiles(run.milliseconds),
        "seconds": round(time.monotonic() - started, 1),
    }


def leg_requests(text: str, encoding: QueryEncoding, scope: ReadScope) -> dict[str, models.QueryRequest]:
    """One request for each leg, as the product asks them, only deeper; no lexical one for a question without words."""
    from qdrant_client import models as m

    from ingest.terms import query_weights
    from retrieval.chunk_index import TERMS, readable
    from retrieval.index import DENSE

    where = readable(scope)
    requests = {"dense": m.QueryRequest(query=encoding.dense.tolist(), using=DENSE, filter=where, limit=DEPTH)}
    indices, values = query_weights(text)
    if len(indices):
        requests["lexical"] = m.QueryRequest(
            query=m.SparseVector(indices=indices.tolist(), values=values.tolist()),
            using=TERMS,
            filter=where,
            limit=DEPTH,
            params=m.SearchParams(idf=m.IdfCorpusParams(corpus=where)),
        )
    return requests


def corpus_ids(passage: Passage, collection: Collection) -> tuple[str, ...]:
    """What a passage stands for in the qrels: its document, or each page that it touches."""
    name = passage.document_id
    if collection.corpus.is_dir():
        name = name.removeprefix(f"{collection.corpus.resolve().name}/")
    if collection.level == "document":
        return (name,)
    first = passage.page or 1
    return tuple(f"{name}#{page}" for page in range(first, (passage.page_end or first) + 1))


async def _ingest(services: Services, collection: Collection, progress: Progress) -> dict[str, int]:
    """Take the corpus in, readable for the evaluator alone; how many documents were not taken, by error code."""

    def show(report: IngestReport) -> None:
        progress(f"{report.documents} documents, {report.chunks} chunks")

    failed: Counter[str] = Counter()
    if collection.corpus.is_dir():
        paths: Sequence[Path] = [collection.corpus]
        report = await services.ingest(paths, {"owner": EVALUATOR}, progress=show)
        failed.update(failure.error.code for failure in report.failed)
        return dict(failed)
    taken = 0
    for records in _batches(collection.records()):
        report = await services.ingest_records(records, "default", EVALUATOR)
        failed.update(failure.error.code for failure in report.failed)
        taken += report.documents
        progress(f"{taken} of {collection.documents} documents")
    return dict(failed)


def _batches(records: Iterator[dict[str, str]]) -> Iterator[list[dict[str, Any]]]:
    while some := [dict(record) for record in islice(records, _RECORDS_AT_ONCE)]:
        yield some


def _evaluator() -> Principal:
    from ingest.tags import Classification

    return Principal(subject=EVALUATOR, clearance=Classification.regulated)


def _report(scores: Scores) -> dict[str, Any]:
    """Plain means by leg and metric, as the contract has them, with their intervals beside them."""
    figures = {
        leg: {name: metrics.mean([row[name] for row in rows]) for name in METRICS} for leg, rows in scores.items()
    }
    plain = {leg: {name: metrics.rounded(figure.value) for name, figure in row.items()} for leg, row in figures.items()}
    intervals = {leg: {name: figure.as_json() for name, figure in row.items()} for leg, row in figures.items()}
    return {**plain, "n": len(scores["fused"]), "intervals": intervals}
