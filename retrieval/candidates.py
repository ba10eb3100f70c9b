"""The candidates of a question: what the legs find in the index, each scored by every leg.

1. Three legs in one batch: BM25, the dense vector, and names of documents that the question holds.
2. The dense leg scores what only BM25 found; meanwhile, how much of each name it is that the question holds.
3. Documents that are named bring candidates of their own.

BM25 is not asked again for what only the dense leg found, since each time the engine counts the documents with each
term over the whole scope, the dearest part of a search: it scores deeper than it is read instead.

Each request carries the scope as its filter and as the corpus of its IDF, so what may not be read changes no score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingest.terms import Weights, query_weights
from retrieval.chunk_index import DIGITS, DOCUMENT, FIRST, NAME, SOURCE, TERMS, TITLE, readable
from retrieval.index import DENSE, ScoredPoint, VectorIndex
from retrieval.titles import name_weights, naming_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from qdrant_client import models

    from ingest.encoder import QueryEncoding
    from retrieval.access import ReadScope

    Strength = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


@dataclass(slots=True, kw_only=True)
class Candidate:
    """A chunk that a leg found, and what the legs say of it."""

    id: str
    document: str  # its key
    digits: float  # share of digits in its text
    dense: float  # cosine
    lexical: float = 0.0  # BM25
    named: float = 0.0  # how clearly the question names its document


@dataclass(frozen=True, slots=True, kw_only=True)
class Depths:
    """How many points each leg looks for."""

    leg: int = 50  # candidates of the lexical and of the dense leg
    scored: int = 150  # points that the lexical leg scores; deeper ones lie between 0 and the last, and count as half
    names: int = 8  # documents whose names are compared with the question
    name_words: float = 0.2  # share of the words of a name below which its IDF mass is not looked up
    named: int = 20  # candidates that named documents bring, of each leg


class Gathering:
    """Finds the candidates of one question within one scope."""

    def __init__(
        self, index: VectorIndex, scope: ReadScope, question: str, encoding: QueryEncoding, depths: Depths
    ) -> None:
        from qdrant_client import models as m

        self._index = index
        self._depths = depths
        self._dense: list[float] = encoding.dense.tolist()
        self._terms = _sparse(query_weights(question))
        self._naming = _sparse(naming_weights(question))
        self._naming_ids = frozenset(self._naming.indices) if self._naming else frozenset()
        self._readable = readable(scope)
        self._firsts = self._within(m.FieldCondition(key=FIRST, match=m.MatchValue(value=True)))
        self._found: dict[str, Candidate] = {}
        self._lexical: dict[str, float] = {}
        self._floor = 0.0  # BM25 of what lies deeper

    async def run(self, strength: Strength) -> list[Candidate]:
        """All candidates, sorted by id, in two round trips to the index, four where the question names documents.

        `strength` tells from the IDF masses [n] that question and names share, and from what parts of the names they
        are [n], how clearly each document is named; 0 for not at all.
        """
        names, matched = await self._look(self._readable, self._depths.leg, self._depths.scored, self._by_name())
        if len(self._lexical) == self._depths.scored:
            self._floor = min(self._lexical.values()) / 2
        strengths = await self._complete(matched, names, strength)
        if strengths:
            await self._bring(list(strengths))
        for candidate in self._found.values():
            candidate.lexical = self._lexical.get(candidate.id, self._floor)
            candidate.named = strengths.get(candidate.document, 0.0)
        return [self._found[key] for key in sorted(self._found)]

    async def _look(
        self, where: models.Filter, limit: int, scored: int, others: Sequence[models.QueryRequest] = ()
    ) -> tuple[list[ScoredPoint], list[str]]:
        """One round trip for both legs: what `others` answer, and the first `limit` ids of the lexical leg."""
        terms = [] if self._terms is None else [_request(self._terms, TERMS, where, self._readable, scored, [])]
        dense, *rest = await self._index.query([self._by_dense(where, limit), *terms, *others])
        self._note(dense)
        matched = rest.pop(0) if terms else []
        self._lexical |= {point.id: point.score for point in matched}
        return [point for points in rest for point in points], [point.id for point in matched[:limit]]

    async def _complete(
        self, matched: Sequence[str], names: Sequence[ScoredPoint], strength: Strength
    ) -> dict[str, float]:
        """Adds what the lexical leg matched; how clearly each document of `names` is named, if at all."""
        names = [point for point in names if self._holds(point)]
        requests = [*self._by_id(matched), *(self._by_whole_name(point) for point in names)]
        answers = await self._index.query(requests) if requests else []
        for points in answers[: len(requests) - len(names)]:
            self._note(points)
        whole = answers[len(requests) - len(names) :]
        shared = np.array([point.score for point in names])
        mass = np.array([points[0].score if points else np.inf for points in whole])
        shares = np.divide(shared, mass, out=np.zeros_like(shared), where=mass > 0)
        found = zip(names, strength(shared, shares).tolist(), strict=True)
        return {str(point.payload[DOCUMENT]): value for point, value in found if value > 0}

    async def _bring(self, documents: list[str]) -> None:
        """Adds candidates out of these documents."""
        from qdrant_client import models as m

        inside = self._within(m.FieldCondition(key=DOCUMENT, match=m.MatchAny(any=documents)))
        _, matched = await self._look(inside, self._depths.named, self._depths.leg)
        if requests := self._by_id(matched):
            self._note((await self._index.query(requests))[0])

    def _note(self, points: Sequence[ScoredPoint]) -> None:
        for point in points:
            document, digits = str(point.payload[DOCUMENT]), float(str(point.payload[DIGITS]))
            self._found[point.id] = Candidate(id=point.id, document=document, digits=digits, dense=point.score)

    def _within(self, *more: models.Condition) -> models.Filter:
        from qdrant_client import models as m

        return m.Filter(must=[self._readable, *more])

    def _by_id(self, ids: Sequence[str]) -> list[models.QueryRequest]:
        """A request for those of the points that are no candidates yet; none where all are."""
        from qdrant_client import models as m

        unread = [key for key in ids if key not in self._found]
        return [self._by_dense(self._within(m.HasIdCondition(has_id=list(unread))), len(unread))] if unread else []

    def _by_dense(self, where: models.Filter, limit: int) -> models.QueryRequest:
        from qdrant_client import models as m

        return m.QueryRequest(
            query=self._dense, using=DENSE, filter=where, limit=limit, with_payload=[DOCUMENT, DIGITS]
        )

    def _by_name(self) -> list[models.QueryRequest]:
        if self._naming is None:
            return []
        keys = [DOCUMENT, TITLE, SOURCE]
        return [_request(self._naming, NAME, self._firsts, self._firsts, self._depths.names, keys)]

    def _holds(self, point: ScoredPoint) -> bool:
        """Whether the question holds enough words of a name that its IDF mass is worth a request."""
        words = name_weights(str(point.payload[TITLE]), str(point.payload[SOURCE]))[0].tolist()
        return len(self._naming_ids.intersection(words)) >= self._depths.name_words * len(words)

    def _by_whole_name(self, point: ScoredPoint) -> models.QueryRequest:
        """The IDF mass of a name: what a question that holds all of it would score."""
        from qdrant_client import models as m

        whole = _sparse(name_weights(str(point.payload[TITLE]), str(point.payload[SOURCE])))
        assert whole is not None, "a name that shares a term with a question has one"
        return _request(whole, NAME, self._within(m.HasIdCondition(has_id=[point.id])), self._firsts, 1, [])


def _request(
    vector: models.SparseVector, using: str, where: models.Filter, corpus: models.Filter, limit: int, keys: list[str]
) -> models.QueryRequest:
    from qdrant_client import models as m

    # Built without validation, which would try other types first and format the filter for each error, 0.3 ms a time.
    params = m.SearchParams.model_construct(idf=m.IdfCorpusParams(corpus=corpus))
    return m.QueryRequest(
        query=vector, using=using, filter=where, limit=limit, params=params, with_payload=keys or False
    )


def _sparse(weights: Weights) -> models.SparseVector | None:
    """A query over these terms, None where there are none."""
    from qdrant_client import models as m

    indices, values = weights
    return m.SparseVector(indices=indices.tolist(), values=values.tolist()) if len(indices) else None
