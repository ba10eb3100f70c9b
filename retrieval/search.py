"""Hybrid search: both legs within the reader's scope, fused."""

from __future__ import annotations

from ingest.encoder import Encoder, QueryEncoding
from ingest.errors import BadInput
from ingest.terms import query_weights
from retrieval.access import ReadScope
from retrieval.chunk_index import TERMS, readable
from retrieval.evidence import Hit
from retrieval.index import DENSE, VectorIndex
from retrieval.library import Library


class Retriever:
    """Finds passages. Every score depends on what the scope may read and on nothing else."""

    def __init__(self, index: VectorIndex, library: Library, encoder: Encoder, *, max_characters: int = 10_000) -> None:
        self._index = index
        self._library = library
        self._encoder = encoder
        self._max_characters = max_characters

    async def search(
        self, question: str, scope: ReadScope, *, k: int = 10, encoding: QueryEncoding | None = None
    ) -> list[Hit]:
        """The best `k` passages, best first."""
        from qdrant_client import models as m

        if not question.strip():
            raise BadInput("question", "empty_question", "The question is empty.", "Ask something.")
        if len(question) > self._max_characters:
            cause = f"The question has more than {self._max_characters} characters."
            raise BadInput("question", "question_too_long", cause, "Shorten it.")
        encoding = encoding or self._encoder.encode_query(question)
        where = readable(scope)
        indices, values = query_weights(question)
        requests = [m.QueryRequest(query=encoding.dense.tolist(), using=DENSE, filter=where, limit=50)]
        if len(indices):
            requests.append(
                m.QueryRequest(
                    query=m.SparseVector(indices=indices.tolist(), values=values.tolist()),
                    using=TERMS,
                    filter=where,
                    limit=50,
                    params=m.SearchParams(idf=m.IdfCorpusParams(corpus=where)),
                )
            )
        legs = await self._index.query(requests)
        dense = {point.id: point.score for point in legs[0]}
        lexical = {point.id: point.score for point in legs[1]} if len(legs) > 1 else {}
        score = {i: dense.get(i, 0.0) + lexical.get(i, 0.0) / 10 for i in dense | lexical}
        best = sorted(score, key=lambda i: (-score[i], i))[: 2 * k]
        passages = await self._library.passages(scope, best)
        tokens = await self._library.tokens(scope, best)
        return [
            Hit(
                passage=passages[i],
                score=score[i],
                legs={"dense": dense.get(i, 0.0), "lexical": lexical.get(i, 0.0)},
                tokens=tokens.get(i),
            )
            for i in best
            if i in passages
        ][:k]
