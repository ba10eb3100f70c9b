"""Before any model is asked: which of the evidence counts, and how well it carries the question.

Older editions count only where the newer ones that were found beside them do not carry it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from ingest.encoder import QueryEncoding
from orchestrator.confidence import Circumstances, Judge, Judgement
from orchestrator.conflicts import Disagreement, disagreements
from orchestrator.contract import Claim
from orchestrator.editions import superseded
from orchestrator.extractive import Pool, Sentence, choose, pool
from orchestrator.question import Question, read_question
from retrieval.evidence import Hit

OLDER_LEFT_OUT: Final = "older_edition_left_out"  # a newer edition of the same document was found beside it
OLDER_CITED: Final = "older_edition_cited"  # the newer one does not answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """The evidence that counts, with what is to be known of it."""

    hits: tuple[Hit, ...]
    pool: Pool  # its sentences, scored for the question
    judged: Judgement
    older: frozenset[str]  # documents among them of which a newer edition was found
    left_out: frozenset[str]  # documents that do not count, because a newer edition does

    def flag(self, claims: Sequence[Claim]) -> str | None:
        """What is to be said of editions in an answer made of these claims."""
        if self.left_out:
            return OLDER_LEFT_OUT
        cited = {citation.document_id for claim in claims for citation in claim.citations}
        return OLDER_CITED if cited & self.older else None

    def disagreements(self, claims: Sequence[Claim]) -> tuple[Disagreement, ...]:
        """Sentences of other documents that contradict the ones that the claims quote."""
        quoted = [
            sentence
            for claim in claims
            for citation in claim.citations
            for sentence in self.pool.sentences
            if sentence.passage.document_id == citation.document_id
            and sentence.passage.version == citation.version
            and sentence.start < citation.end
            and citation.start < sentence.end
        ]
        once = {(sentence.passage.document_id, sentence.start): sentence for sentence in quoted}
        return disagreements(tuple(once.values()), self.pool)


def weigh(asked: str, encoding: QueryEncoding, hits: Sequence[Hit], today: date, judge: Judge) -> Weighed:
    """Decide which hits count for the question as it is asked of the documents. `today` tells what is in force."""
    question = read_question(asked)
    older = superseded(asked, [hit.passage for hit in hits], today)
    newer = [hit for hit in hits if hit.passage.document_id not in older]
    weighed = _weighed(question, encoding, newer, frozenset(), judge)
    if not older:
        return weighed
    if weighed.judged.carries:
        return replace(weighed, left_out=older)
    return _weighed(question, encoding, hits, older, judge)


def _weighed(
    question: Question, encoding: QueryEncoding, hits: Sequence[Hit], older: frozenset[str], judge: Judge
) -> Weighed:
    evidence = pool(question, encoding, hits)
    best = tuple(choose(evidence))
    circumstances = Circumstances(conflict=bool(disagreements(best, evidence)), stale=_is_from(best, older))
    judged = judge.judge(question, evidence, hits, circumstances)
    return Weighed(hits=tuple(hits), pool=evidence, judged=judged, older=older, left_out=frozenset())


def _is_from(sentences: Sequence[Sentence], documents: Collection[str]) -> bool:
    return any(sentence.passage.document_id in documents for sentence in sentences)
