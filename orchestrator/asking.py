"""From a question to an answer: retrieve, choose, verify, judge. Each step takes what only the step before can make."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from ingest.encoder import Encoder, QueryEncoding
from orchestrator.citations import Draft, verify
from orchestrator.confidence import Circumstances, Judge, Judgement
from orchestrator.conflicts import Disagreement, disagreements
from orchestrator.contract import Answer, Claim, Conflict, Route
from orchestrator.editions import superseded
from orchestrator.extractive import NAME, Sentence, choose, claim_of, pool
from orchestrator.follow_up import stand_alone
from orchestrator.personal_data.presenting import Presenter
from orchestrator.question import Question, read_question
from orchestrator.support.gate import Supported, check_support
from retrieval.access import ReadScope
from retrieval.evidence import Hit
from retrieval.library import Library
from retrieval.sanitising import REVIEW, Sanitised
from retrieval.search import Retriever

LOW_INTEGRITY: Final = "low_integrity_source"  # a claim rests on text that outsiders could write
CLAIMS_DROPPED: Final = "claims_dropped"  # a quote was not found, or does not carry its claim
FOLLOW_UP: Final = "question_completed"  # `Answer.asked` is what was asked
OLDER_LEFT_OUT: Final = "older_edition_left_out"  # a newer edition of the same document was found beside it
OLDER_CITED: Final = "older_edition_cited"  # the newer one does not answer
CONFLICT: Final = "sources_disagree"  # see `Answer.conflicts`
KEPT_BACK: Final = "personal_data_kept_back"  # placeholders stand for what the reader's roles do not open
DETECTOR_FAILED: Final = "personal_data_unchecked"  # a detector failed: what it should have seen is withheld
REVIEW_QUEUE: Final = "review"

Stored = Mapping[tuple[str, int], str]


class Asker:
    """Answers questions with the extractive model. Stateless: nothing of one asker is there for the next."""

    def __init__(
        self,
        retriever: Retriever,
        library: Library,
        encoder: Encoder,
        presenter: Presenter,
        *,
        judge: Judge,
        k: int = 10,
    ) -> None:
        self._retriever = retriever
        self._library = library
        self._encoder = encoder
        self._presenter = presenter
        self._judge = judge
        self._k = k

    async def ask(
        self, question: str, scope: ReadScope, *, earlier: Sequence[str] = (), judge: Judge | None = None
    ) -> Answer:
        """Answer from what the scope may read, or abstain. Raises BadInput for a question that cannot be asked.

        `earlier` are the asker's own questions before this one, oldest first: a follow-up question takes its topic
        from them. `judge` decides in place of that of the installation.
        """
        clock = _Clock()
        self._retriever.check(question)
        asked = stand_alone(question, earlier).text
        with clock.timed("encode"):
            encoding = await asyncio.to_thread(self._encoder.encode_query, asked)
        with clock.timed("retrieve"):
            found = await self._retriever.search(asked, scope, k=self._k, encoding=encoding)
        with clock.timed("model"):
            choice = await asyncio.to_thread(
                _choose, asked, encoding, found.readable, scope.today, judge or self._judge
            )
        with clock.timed("verify"):
            stored = await self._stored(choice, scope)
            supported, dropped = _checked(choice, stored, found, self._encoder)
            conflicts = _conflicts(choice, supported, stored)
        answer = _answer(found, choice, supported.claims, conflicts, clock)
        answer = answer.model_copy(update={"asked": asked if asked != question else None})
        flags = [CLAIMS_DROPPED] if dropped else []
        flags += [FOLLOW_UP] if asked != question else []
        return self._presented(answer, flags, scope)

    async def _stored(self, choice: _Choice, scope: ReadScope) -> Stored:
        """The texts of all that is to be quoted, as the scope may read them at this moment."""
        wanted = _draft(choice.sentences).documents | _draft([one.other for one in choice.contrary]).documents
        rows = await self._library.stored(scope, wanted)
        return {place: row.text for place, row in rows.items()}

    def _presented(self, answer: Answer, flags: list[str], scope: ReadScope) -> Answer:
        roles = {token.removeprefix("role:") for token in scope.tokens if token.startswith("role:")}
        shown = self._presenter.present([*answer.claims, *map(_as_claim, answer.conflicts)], roles)
        claims, others = shown.claims[: len(answer.claims)], shown.claims[len(answer.claims) :]
        flags = [*answer.flags, *flags]
        flags += [KEPT_BACK] if shown.kept_back else []
        flags += [DETECTOR_FAILED] if shown.failed else []
        return answer.model_copy(
            update={
                "answer": " ".join(claim.text for claim in claims),
                "claims": claims,
                "conflicts": tuple(
                    one.model_copy(update={"text": other.text, "citations": other.citations})
                    for one, other in zip(answer.conflicts, others, strict=True)
                ),
                "flags": tuple(flags),
            }
        )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """The sentences that are to be the answer, and what is to be known of them."""

    sentences: tuple[Sentence, ...]
    contrary: tuple[Disagreement, ...]
    judged: Judgement
    flag: str | None = None


def _choose(asked: str, encoding: QueryEncoding, hits: Sequence[Hit], today: date, judge: Judge) -> _Choice:
    """Older editions answer only where the newer ones that were found beside them do not."""
    question = read_question(asked)
    older = superseded(asked, [hit.passage for hit in hits], today)
    newer = [hit for hit in hits if hit.passage.document_id not in older]
    choice = _chosen(question, encoding, newer, frozenset(), judge)
    if not older:
        return choice
    if choice.judged.carries:
        return replace(choice, flag=OLDER_LEFT_OUT)
    choice = _chosen(question, encoding, hits, older, judge)
    return replace(choice, flag=OLDER_CITED if _cites(choice.sentences, older) else None)


def _chosen(
    question: Question, encoding: QueryEncoding, hits: Sequence[Hit], older: Collection[str], judge: Judge
) -> _Choice:
    evidence = pool(question, encoding, hits)
    sentences = tuple(choose(evidence))
    contrary = disagreements(sentences, evidence)
    circumstances = Circumstances(conflict=bool(contrary), stale=_cites(sentences, older))
    judged = judge.judge(question, evidence, hits, circumstances)
    return _Choice(sentences=sentences, contrary=contrary, judged=judged)


def _cites(sentences: Sequence[Sentence], documents: Collection[str]) -> bool:
    return any(sentence.passage.document_id in documents for sentence in sentences)


def _draft(sentences: Sequence[Sentence]) -> Draft:
    return Draft(claims=tuple(map(claim_of, sentences)))


def _checked(choice: _Choice, stored: Stored, found: Sanitised, encoder: Encoder) -> tuple[Supported, bool]:
    """What is left of the choice behind both gates, and whether anything was dropped."""
    verified = verify(_draft(choice.sentences), stored)
    supported = check_support(verified, found.readable, encoder=encoder)
    return supported, bool(verified.dropped or supported.dropped)


def _conflicts(choice: _Choice, supported: Supported, stored: Stored) -> tuple[Conflict, ...]:
    """The disagreements about claims that are left, as far as the other source can be quoted."""
    places = {
        (citation.document_id, citation.start): number
        for number, claim in enumerate(supported.claims)
        for citation in claim.citations
    }
    found: list[Conflict] = []
    for one in choice.contrary:
        number = places.get((one.chosen.passage.document_id, one.chosen.start))
        other = verify(_draft([one.other]), stored).claims
        if number is not None and other:
            found.append(Conflict(claim=number, kind=one.kind, text=other[0].text, citations=other[0].citations))
    return tuple(found)


def _as_claim(conflict: Conflict) -> Claim:
    return Claim(text=conflict.text, citations=conflict.citations)


def _answer(
    found: Sanitised, choice: _Choice, claims: tuple[Claim, ...], conflicts: tuple[Conflict, ...], clock: _Clock
) -> Answer:
    waits = REVIEW in found.flags  # nothing leaves before a person has seen it
    answered = bool(claims) and choice.judged.carries and not waits
    flags = [*found.flags]
    if answered:
        flags += [choice.flag] if choice.flag else []
        flags += [CONFLICT] if conflicts else []
        cited = [citation for claim in claims for citation in claim.citations]
        flags += [LOW_INTEGRITY] if any(citation.integrity == "external" for citation in cited) else []
    return Answer(
        run_id=str(uuid.uuid4()),
        status="in_review" if waits else "answered" if answered else "abstained",
        answer="",
        claims=claims if answered else (),
        conflicts=conflicts if answered else (),
        confidence=choice.judged.confidence,
        flags=tuple(flags),
        model=NAME,
        route=_route(answered=answered, waits=waits),
        timings_ms=clock.all(),
    )


def _route(*, answered: bool, waits: bool) -> Route:
    if waits:
        return Route(decision="review", queue=REVIEW_QUEUE)
    return Route(decision="answer" if answered else "abstain")
