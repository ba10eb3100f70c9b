"""Hybrid search: what a scope may read of what a question asks for, best first.

The index gives candidates that each leg has scored (`retrieval.candidates`); late interaction reads the best of them;
one rule makes one score of it all (`retrieval.fusion`). Nothing outside of the scope takes part in any of it, and
nothing leaves but through the gate of `retrieval.sanitising`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ingest.encoder import Encoder, QueryEncoding, TokenVectors
from ingest.errors import BadInput
from retrieval.candidates import Candidate, Depths, Gathering
from retrieval.evidence import Hit, Passage
from retrieval.fusion import Fusion, FusionConfig, Legs, named
from retrieval.late_interaction import max_sim
from retrieval.sanitising import Sanitised, sanitise
from retrieval.screening_policy import ScreeningPolicy, Use

if TYPE_CHECKING:
    from retrieval.access import ReadScope
    from retrieval.index import VectorIndex


class Reader(Protocol):
    """The part of `retrieval.library.Library` that a search needs. What may not be read is missing from the answer."""

    async def passages(self, scope: ReadScope, chunk_ids: Sequence[str]) -> dict[str, Passage]:
        """Those of the chunks that may be read."""
        ...

    async def tokens(self, scope: ReadScope, chunk_ids: Sequence[str]) -> dict[str, TokenVectors]:
        """Token vectors of what the encoder saw of those of the chunks that may be read."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """How wide a search looks. Where more hits than that are asked for, it looks as wide as that."""

    depths: Depths = field(default_factory=Depths)
    late: int = 40  # candidates of late interaction, 1.5 ms; to take all of them gains nothing measurable
    fusion: FusionConfig = field(default_factory=FusionConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A hit as a run's record keeps it."""

    chunk_id: str
    score: float
    legs: Mapping[str, float]


class Retriever:
    """Finds passages. Every score depends on what the scope may read and on nothing else."""

    def __init__(
        self,
        index: VectorIndex,
        library: Reader,
        encoder: Encoder,
        *,
        max_characters: int = 10_000,
        config: SearchConfig | None = None,
        policy: ScreeningPolicy | None = None,
    ) -> None:
        self._index = index
        self._library = library
        self._encoder = encoder
        self._max_characters = max_characters
        self._config = config or SearchConfig()
        self._policy = policy or ScreeningPolicy()

    def check(self, question: str) -> None:
        """Raises BadInput for a question that cannot be asked."""
        if not question.strip():
            raise BadInput("question", "empty_question", "The question is empty.", "Ask something.")
        if len(question) > self._max_characters:
            cause = f"The question has more than {self._max_characters} characters."
            raise BadInput("question", "question_too_long", cause, "Shorten it.")

    async def search(
        self,
        question: str,
        scope: ReadScope,
        *,
        k: int = 10,
        encoding: QueryEncoding | None = None,
        per_document: int | None = None,
        use: Use = "answer",
    ) -> Sanitised:
        """The best `k` passages, best first, at most `per_document` of one document; equal scores in order of id.

        What of them may not be read for this `use` is taken out. `encoding` is that of the question where it is at
        hand. Raises BadInput for a question that cannot be asked and DependencyDown when the index does not answer.
        """
        self.check(question)
        if encoding is None:
            encoding = self._encoder.encode_query(question)
        found = await self._gather(question, encoding, scope, k)
        ranked = await self._ranked(question, encoding, scope, found, k)
        if per_document is not None:
            ranked = _at_most(ranked, per_document)
        return sanitise(await self._hits(ranked, scope, k), self._policy, use)

    async def reread(self, found: Sequence[Found], scope: ReadScope, *, use: Use = "answer") -> Sanitised:
        """Hits of an earlier search, as far as the scope may read them at this moment, screened as of now."""
        ids = [one.chunk_id for one in found]
        passages, tokens = await self._library.passages(scope, ids), await self._library.tokens(scope, ids)
        hits = [
            Hit(passage=passages[one.chunk_id], score=one.score, legs=one.legs, tokens=tokens.get(one.chunk_id))
            for one in found
            if one.chunk_id in passages
        ]
        return sanitise(hits, self._policy, use)

    async def _gather(self, question: str, encoding: QueryEncoding, scope: ReadScope, k: int) -> list[Candidate]:
        depths, config = self._config.depths, self._config.fusion
        wide = replace(depths, leg=max(depths.leg, k), scored=max(depths.scored, k))
        gathering = Gathering(self._index, scope, question, encoding, wide)
        return await gathering.run(lambda shared, shares: named(shared, shares, config))

    async def _ranked(
        self, question: str, encoding: QueryEncoding, scope: ReadScope, found: list[Candidate], k: int
    ) -> list[_Ranked]:
        """The best of the candidates with their final scores, best first."""
        fusion = Fusion(question, encoding.familiarity, _legs(found), self._config.fusion)
        first = np.argsort(-fusion.first, kind="stable")[: max(self._config.late, k)]
        tokens = await self._library.tokens(scope, [found[n].id for n in first])
        picked = np.array([n for n in first if found[n].id in tokens], np.intp)
        seen = [tokens[found[n].id] for n in picked]
        late = max_sim(encoding, [one.bits for one in seen])
        parts = zip(picked, fusion.final(picked, late).tolist(), late.tolist(), seen, strict=True)
        ranked = [_Ranked(candidate=found[n], score=s, late=close, tokens=rows) for n, s, close, rows in parts]
        return sorted(ranked, key=lambda one: (-one.score, one.candidate.id))

    async def _hits(self, ranked: list[_Ranked], scope: ReadScope, k: int) -> list[Hit]:
        """The first `k` that may be read at this moment."""
        hits: list[Hit] = []
        while ranked and len(hits) < k:
            part, ranked = ranked[: k - len(hits)], ranked[k - len(hits) :]
            passages = await self._library.passages(scope, [one.candidate.id for one in part])
            hits += [one.hit(passages[one.candidate.id]) for one in part if one.candidate.id in passages]
        return _newest(hits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranked:
    """A candidate with its final score."""

    candidate: Candidate
    score: float
    late: float
    tokens: TokenVectors

    def hit(self, passage: Passage) -> Hit:
        one = self.candidate
        legs = {"dense": one.dense, "lexical": one.lexical, "late": self.late, "named": one.named}
        return Hit(passage=passage, score=self.score, legs=legs, tokens=self.tokens)


def _legs(found: Sequence[Candidate]) -> Legs:
    return Legs(
        lexical=np.array([candidate.lexical for candidate in found]),
        dense=np.array([candidate.dense for candidate in found]),
        named=np.array([candidate.named for candidate in found]),
        digits=np.array([candidate.digits for candidate in found]),
    )


def _at_most(ranked: Sequence[_Ranked], limit: int) -> list[_Ranked]:
    """`ranked` without what stands behind `limit` others of its document."""
    seen: Counter[str] = Counter()
    kept = []
    for one in ranked:
        seen[one.candidate.document] += 1
        if seen[one.candidate.document] <= limit:
            kept.append(one)
    return kept


def _newest(hits: Sequence[Hit]) -> list[Hit]:
    """`hits` without older versions of a document that is there in a newer one, as while a version takes over."""
    newest: dict[str, int] = {}
    for hit in hits:
        newest[hit.passage.document_id] = max(hit.passage.version, newest.get(hit.passage.document_id, 0))
    return [hit for hit in hits if hit.passage.version == newest[hit.passage.document_id]]
