"""The candidates of a question: what the legs find in the index, each scored by every leg.

1. Three legs in one batch: BM25, the dense vector, and names of documents that the question holds.
2. Each leg scores what only the other one found; meanwhile, how much of each name it is that the question holds.
3. Documents that are named bring candidates of their own.

Each request carries the scope as its filter and as the corpus of its IDF, so what may not be read changes no score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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

Leg = Literal["dense", "lexical"]


@dataclass(slots=True, kw_only=True)
class Candidate:
    """A chunk that a leg found, and what the legs say of it."""

    id: str
    document: str  # its key
    digits: float  # share of digits in its text
    dense: float | None = None  # cosine; None while it is not known
    lexical: float | None = None  # BM25; None while it is not known
    named: float = 0.0  # how clearly the question names its document


@dataclass(frozen=True, slots=True, kw_only=True)
class Depths:
    """How many points each leg looks for."""

    leg: int = 50  # of the lexical and of the dense leg
    names: int = 8  # documents whose names are compared with the question
    named: int = 20  # candidates that named documents bring, of each leg


class Gathering:
    """Finds the candidates of one question within one scope."""

    def __init__(
        self, index: VectorIndex, scope: ReadScope, question: str, encoding: QueryEncoding, depths: Depths
    ) -> None:
        from qdrant_client import models as m

        self._index = index
        self._scope = scope
        self._depths = depths
        self._dense: list[float] = encoding.dense.tolist()
        self._terms = _sparse(query_weights(question))
        self._naming = _sparse(naming_weights(question))
        self._all = readable(scope)
        self._firsts = readable(scope, m.FieldCondition(key=FIRST, match=m.MatchValue(value=True)))
        self._found: dict[str, Candidate] = {}

    async def run(self, strength: Strength) -> list[Candidate]:
        """All candidates, in two round trips to the index, or up to four where the question names documents.

        `strength` tells from the IDF masses [n] that question and names share, and from what parts of the names they
        are [n], how clearly each document is named; 0 for not at all.
        """
        names = await self._look(self._all, self._depths.leg, self._by_name())
        strengths = await self._complete(names[0] if names else [], strength)
        if strengths:
            await self._bring(list(strengths))
        for candidate in self._found.values():
            candidate.named = strengths.get(candidate.document, 0.0)
        return list(self._found.values())

    async def _look(
        self, where: models.Filter, limit: int, others: Sequence[models.QueryRequest] = ()
    ) -> list[list[ScoredPoint]]:
        return await self._ask({"dense": self._by_dense(where, limit), "lexical": self._by_terms(where, limit)}, others)

    async def _complete(self, names: Sequence[ScoredPoint], strength: Strength) -> dict[str, float]:
        """Scores what one leg alone has found; how clearly each document of `names` is named, if at all."""
        whole = await self._ask(self._missing(), [self._by_whole_name(point) for point in names])
        shared = np.array([point.score for point in names])
        mass = np.array([points[0].score if points else np.inf for points in whole])
        shares = np.divide(shared, mass, out=np.zeros_like(shared), where=mass > 0)
        found = zip(names, strength(shared, shares).tolist(), strict=True)
        return {str(point.payload[DOCUMENT]): value for point, value in found if value > 0}

    async def _bring(self, documents: list[str]) -> None:
        """Adds candidates out of these documents."""
        from qdrant_client import models as m

        inside = readable(self._scope, m.FieldCondition(key=DOCUMENT, match=m.MatchAny(any=documents)))
        await self._look(inside, self._depths.named)
        await self._ask(self._missing())

    async def _ask(
        self, legs: dict[Leg, models.QueryRequest | None], others: Sequence[models.QueryRequest] = ()
    ) -> list[list[ScoredPoint]]:
        """One round trip. Notes what the legs answer and returns what the others do."""
        asked = [(leg, request) for leg, request in legs.items() if request is not None]
        requests = [*(request for _, request in asked), *others]
        answers = await self._index.query(requests) if requests else []
        for (leg, _), points in zip(asked, answers, strict=False):
            for point in points:
                self._note(leg, point)
        return answers[len(asked) :]

    def _note(self, leg: Leg, point: ScoredPoint) -> None:
        candidate = self._found.get(point.id)
        if candidate is None:
            document, digits = str(point.payload[DOCUMENT]), float(str(point.payload[DIGITS]))
            candidate = self._found[point.id] = Candidate(id=point.id, document=document, digits=digits)
        if leg == "dense":
            candidate.dense = point.score
        else:
            candidate.lexical = point.score

    def _missing(self) -> dict[Leg, models.QueryRequest | None]:
        """Requests for the scores that are not there. A candidate without a term of the question stays without one."""
        unread = [candidate.id for candidate in self._found.values() if candidate.dense is None]
        unmatched = [candidate.id for candidate in self._found.values() if candidate.lexical is None]
        return {
            "dense": self._by_dense(self._only(unread), len(unread)) if unread else None,
            "lexical": self._by_terms(self._only(unmatched), len(unmatched)) if unmatched else None,
        }

    def _only(self, ids: list[str]) -> models.Filter:
        from qdrant_client import models as m

        return readable(self._scope, m.HasIdCondition(has_id=list(ids)))

    def _by_dense(self, where: models.Filter, limit: int) -> models.QueryRequest:
        from qdrant_client import models as m

        return m.QueryRequest(
            query=self._dense, using=DENSE, filter=where, limit=limit, with_payload=[DOCUMENT, DIGITS]
        )

    def _by_terms(self, where: models.Filter, limit: int) -> models.QueryRequest | None:
        if self._terms is None:
            return None
        return _request(self._terms, TERMS, where, self._all, limit, [DOCUMENT, DIGITS])

    def _by_name(self) -> list[models.QueryRequest]:
        if self._naming is None:
            return []
        keys = [DOCUMENT, TITLE, SOURCE]
        return [_request(self._naming, NAME, self._firsts, self._firsts, self._depths.names, keys)]

    def _by_whole_name(self, point: ScoredPoint) -> models.QueryRequest:
        """The IDF mass of a name: what a question that holds all of it would score."""
        whole = _sparse(name_weights(str(point.payload[TITLE]), str(point.payload[SOURCE])))
        assert whole is not None, "a name that shares a term with a question has one"
        return _request(whole, NAME, self._only([point.id]), self._firsts, 1, [])


def _request(
    vector: models.SparseVector, using: str, where: models.Filter, corpus: models.Filter, limit: int, keys: list[str]
) -> models.QueryRequest:
    from qdrant_client import models as m

    params = m.SearchParams(idf=m.IdfCorpusParams(corpus=corpus))
    return m.QueryRequest(
        query=vector, using=using, filter=where, limit=limit, params=params, with_payload=keys or False
    )


def _sparse(weights: Weights) -> models.SparseVector | None:
    """A query over these terms, None where there are none."""
    from qdrant_client import models as m

    indices, values = weights
    return m.SparseVector(indices=indices.tolist(), values=values.tolist()) if len(indices) else None
