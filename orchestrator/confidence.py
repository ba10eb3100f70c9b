"""Whether the evidence carries the question: a few signals, one score, one threshold.

Likeness cannot see a swapped name, a number that is not there or a lost negation, so those are looked for by name. The
signals are combined by a fixed logistic rule. Its weights are a versioned value, and its score is no calibrated
probability: it was fitted on other questions than yours. Labels of yours make it one (`orchestrator.calibration`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.calibration import Calibration, read_calibration
from orchestrator.citations import negations, numbers
from orchestrator.contract import Confidence
from orchestrator.extractive import Pool, Sentence, coverage
from orchestrator.opposites import has_opposite
from orchestrator.question import Question, holds_answer_kind
from retrieval.evidence import Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What other steps found out about the chosen evidence."""

    conflict: bool = False  # another source says otherwise
    stale: bool = False  # a newer edition is there


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceRule:
    """Score = logistic(bias + weights · signals); below the threshold the evidence does not carry the question."""

    version: str
    weights: Mapping[str, float]  # by signal
    bias: float
    threshold: float


# Fitted by logistic regression on half the articles or tasks of SQuAD 2.0's development set (answerable, adversarial,
# and asked with the article hidden), CLAP NQ (answerable, misleading, passage hidden), MTRAG-UN (last turns alone) and
# XQuAD in six languages, sets and kinds weighted so that none rules, then rounded. Likeness is that of the default
# encoder: another one needs weights of its own. On the other halves, area under the ROC curve against the answerable:
# SQuAD .988 hidden and .748 adversarial, CLAP NQ .965 hidden and .904 misleading, MTRAG-UN .847 hidden and .876
# unanswerable. How badly the worst-met words of the question are met was measured too, and adds nothing to these.
# The bias was chosen with those halves in view, so that the threshold answers 9 in 10 answerable English questions.
# The last two have no public set that labels them: their weights are a judgement.
RULE: Final = ConfidenceRule(
    version="2026-11-20.2",
    weights={
        "similarity": 6.0,
        "closeness": 4.5,
        "lead": 2.0,
        "coverage": 9.5,
        "familiar": -3.0,
        "names_missing": -1.9,
        "numbers_missing": -1.4,
        "negation_missing": -0.6,
        "negation_added": -0.3,
        "opposite": -1.1,
        "kind_missing": -0.4,
        "conflict": -0.7,
        "stale": -0.7,
    },
    bias=-2.1,
    threshold=0.5,
)
LEAD_TO: Final = 0.3  # lead of the best passage in late interaction beyond which it says no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What comes of a question's evidence."""

    confidence: Confidence
    carries: bool  # whether the answer may be given


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """The rule with what labels have taught about it, for one encoder. `open_judge` makes that of a home."""

    rule: ConfidenceRule = RULE
    calibration: Calibration | None = None  # of this very rule
    threshold: float | None = None  # least score of the rule that is answered, in place of theirs

    def judge(
        self, question: Question, pool: Pool, hits: Sequence[Hit], circumstances: Circumstances | None = None
    ) -> Judgement:
        """Score the evidence, and say whether it carries; the score is a chance of being right where labels say so."""
        confidence = assess(question, pool, hits, circumstances, self.rule)
        carries = bool(confidence.signals) and confidence.score >= self._least()
        if self.calibration is not None and confidence.signals:
            chance = round(self.calibration.chance(confidence.score), 4)
            confidence = Confidence(score=chance, calibrated=True, signals=confidence.signals)
        return Judgement(confidence=confidence, carries=carries)

    def _least(self) -> float:
        if self.threshold is not None:
            return self.threshold
        return self.calibration.threshold if self.calibration else self.rule.threshold


def open_judge(calibration: Path, encoder: str, rule: ConfidenceRule = RULE) -> Judge:
    """The judge with the calibration of this file, if there is one and it was made for this rule and encoder.

    Raises BadInput for a file that cannot be read: answers must not fall back to another threshold unseen.
    """
    found = read_calibration(calibration)
    return Judge(rule=rule, calibration=found if found and found.fits(rule.version, encoder) else None)


def assess(
    question: Question,
    pool: Pool,
    hits: Sequence[Hit],
    circumstances: Circumstances | None = None,
    rule: ConfidenceRule = RULE,
) -> Confidence:
    """How well the sentences of `pool`, made from `hits`, carry `question`; score 0 where there are none."""
    found = signals(question, pool, hits, circumstances or Circumstances())
    if not found:
        return Confidence(score=0.0, calibrated=False, signals={})
    logit = rule.bias + sum(weight * found[name] for name, weight in rule.weights.items())
    score = 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, logit))))
    return Confidence(score=round(score, 4), calibrated=False, signals={k: round(v, 4) for k, v in found.items()})


def signals(question: Question, pool: Pool, hits: Sequence[Hit], circumstances: Circumstances) -> dict[str, float]:
    """What speaks for and against the evidence; empty where there is none.

    similarity        late interaction of question and best sentence, as far as the encoder can read the question
    closeness         cosine of question and nearest passage, so far too
    lead              of the best passage before the next in late interaction, at most `LEAD_TO`, so far too
    coverage          share of the question's idf mass in the best sentence with its frame, as far as it cannot
    familiar          how far it can, 0 to 1
    names_missing     share of the question's names that the passage of the chosen sentence does not have
    numbers_missing   1 when a number of the question is not in the chosen sentence or its title
    negation_missing  1 when the question negates and the chosen sentence does not
    negation_added    1 when the chosen sentence negates and the question does not
    opposite          1 when the chosen sentence has the opposite of a word of the question, and not the word
    kind_missing      1 when the chosen sentence has nothing of the kind that is asked for
    conflict, stale   as in `Circumstances`
    """
    if not pool.sentences:
        return {}
    chosen = pool.sentences[pool.order[0]]
    covered = max(coverage(pool.idf, {*each.terms, *each.context}, frozenset()) for each in pool.sentences)
    asked_negated, negated = question.negations > 0, negations(chosen.text) > 0
    return {
        "similarity": pool.familiar * float(pool.similarity.max(initial=0.0)),
        "closeness": pool.familiar * max((hit.legs.get("dense", 0.0) for hit in hits), default=0.0),
        "lead": pool.familiar * _lead(hits),
        "coverage": (1.0 - pool.familiar) * covered,
        "familiar": pool.familiar,
        "names_missing": _names_missing(question, pool, chosen),
        "numbers_missing": float(bool(question.numbers - {*numbers(chosen.text), *numbers(chosen.passage.title)})),
        "negation_missing": float(asked_negated and not negated),
        "negation_added": float(negated and not asked_negated),
        "opposite": float(has_opposite(question.text, chosen.text)),
        "kind_missing": float(not holds_answer_kind(chosen.text, question)),
        "conflict": float(circumstances.conflict),
        "stale": float(circumstances.stale),
    }


def _lead(hits: Sequence[Hit]) -> float:
    late = sorted((hit.legs.get("late", 0.0) for hit in hits), reverse=True)
    return min(LEAD_TO, late[0] - late[1]) if len(late) > 1 else 0.0


def _names_missing(question: Question, pool: Pool, chosen: Sentence) -> float:
    held = set(chosen.context)
    for sentence in pool.sentences:
        if sentence.rank == chosen.rank:
            held.update(sentence.terms)
    return len(question.names - held) / max(1, len(question.names))
