"""From a question to an answer: retrieve, draft, verify, judge. Each step takes what only the step before can make."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ingest.encoder import Encoder
from orchestrator.citations import Draft, Verified, verify
from orchestrator.confidence import RULE, assess
from orchestrator.contract import Answer, Confidence, Route
from orchestrator.extractive import NAME, draft, pool
from orchestrator.question import read_question
from retrieval.access import ReadScope
from retrieval.library import Library
from retrieval.sanitising import REVIEW, Sanitised
from retrieval.search import Retriever

LOW_INTEGRITY: Final = "low_integrity_source"  # a claim rests on text that outsiders could write
REVIEW_QUEUE: Final = "review"


class Asker:
    """Answers questions with the extractive model. Stateless: nothing of one asker is there for the next."""

    def __init__(self, retriever: Retriever, library: Library, encoder: Encoder, *, k: int = 10) -> None:
        self._retriever = retriever
        self._library = library
        self._encoder = encoder
        self._k = k

    async def ask(self, question: str, scope: ReadScope) -> Answer:
        """Answer from what the scope may read, or abstain. Raises BadInput for a question that cannot be asked."""
        clock = _Clock()
        self._retriever.check(question)
        with clock.timed("encode"):
            encoding = await asyncio.to_thread(self._encoder.encode_query, question)
        with clock.timed("retrieve"):
            found = await self._retriever.search(question, scope, k=self._k, encoding=encoding)
        with clock.timed("model"):
            asked = read_question(question)
            evidence = await asyncio.to_thread(pool, asked, encoding, found.readable)
            drafted = draft(evidence)
        with clock.timed("verify"):
            verified = await self._verify(drafted, scope)
        with clock.timed("judge"):
            confidence = assess(asked, evidence)
        return _answer(found, verified, confidence, clock)

    async def _verify(self, drafted: Draft, scope: ReadScope) -> Verified:
        stored = await self._library.stored(scope, drafted.documents)
        return verify(drafted, {place: row.text for place, row in stored.items()})


class _Clock:
    """Milliseconds by step."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.steps: dict[str, float] = {}

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.steps[step] = round((time.perf_counter() - began) * 1e3, 3)

    def all(self) -> dict[str, float]:
        """Every step, and the whole."""
        return self.steps | {"total": round((time.perf_counter() - self._started) * 1e3, 3)}


def _answer(found: Sanitised, verified: Verified, confidence: Confidence, clock: _Clock) -> Answer:
    waits = REVIEW in found.flags  # nothing leaves before a person has seen it
    answered = bool(verified.claims) and confidence.score >= RULE.threshold and not waits
    flags = [*found.flags]
    if verified.dropped:
        flags.append("claims_dropped")
    if answered and any(c.integrity == "external" for claim in verified.claims for c in claim.citations):
        flags.append(LOW_INTEGRITY)
    return Answer(
        run_id=str(uuid.uuid4()),
        status="in_review" if waits else "answered" if answered else "abstained",
        answer=verified.text if answered else "",
        claims=verified.claims if answered else (),
        confidence=confidence,
        flags=tuple(flags),
        model=NAME,
        route=_route(answered=answered, waits=waits),
        timings_ms=clock.all(),
    )


def _route(*, answered: bool, waits: bool) -> Route:
    if waits:
        return Route(decision="review", queue=REVIEW_QUEUE)
    return Route(decision="answer" if answered else "abstain")
