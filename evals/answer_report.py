"""What came out of the cases of a golden set, and the figures over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evals import metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came out of one case. `--cases` writes one a line."""

    id: str
    answerable: bool
    has_reference: bool  # whether the case says what a right answer cites
    status: str  # of the answer, or "error"
    kind: str | None = None  # as the case says
    error: str | None = None  # code
    score: float | None = None  # confidence
    calibrated: bool = False  # whether the score is a chance of being right
    answer: str = ""
    flags: tuple[str, ...] = ()  # of the answer
    cited: tuple[str, ...] = ()  # documents, in order, each once
    correct: bool | None = None  # whether cited text holds a reference; None where that cannot be told
    reference_cited: bool | None = None  # whether a document of reference_ids is cited
    evidence_precision: float | None = None  # share of the cited sentences that are references, where those are
    evidence_recall: float | None = None  # sentences; and share of the references that are cited
    must_cite_missing: tuple[str, ...] = ()
    must_not_cite: tuple[str, ...] = ()  # as the case says
    must_not_cited: tuple[str, ...] = ()
    citations: int = 0
    mismatches: int = 0  # citations whose quote is not the stored slice
    milliseconds: float = 0.0

    @property
    def answered(self) -> bool:
        """Whether an answer was given out."""
        return self.status == "answered"

    @property
    def right(self) -> bool | None:
        """Whether the answer that was given out is right: by its text, else by its documents; None where untold."""
        if not self.answered:
            return None
        return False if not self.answerable else self.reference_cited if self.correct is None else self.correct

    @property
    def wrong(self) -> bool | None:
        """Whether an answer should not have been given out; None where that cannot be told."""
        return True if not self.answerable else None if self.right is None else not self.right


def case_json(result: CaseResult) -> dict[str, Any]:
    """One line of `--cases`."""
    return asdict(result)


def summarise(results: Sequence[CaseResult]) -> dict[str, Any]:
    """The figures over all cases. An error counts as a question that was not answered, and not as an abstention."""
    answered = [r for r in results if r.answered]
    asked = [r for r in results if r.error is None]
    return {
        "n": len(results),
        "answerable": sum(r.answerable for r in results),
        "answered": len(answered),
        "errors": dict(Counter(r.error for r in results if r.error is not None)),
        **{name: figure.as_json() for name, figure in _figures(results).items()},
        "risk_coverage": _risk_coverage(results),
        "by_kind": {kind: _of_kind(kind, results) for kind in _kinds(results)},
        "flags": dict(sorted(Counter(flag for r in asked for flag in r.flags).items())),
        "citations": {"checked": sum(r.citations for r in results), "mismatches": sum(r.mismatches for r in results)},
        "must_cite_violations": [r.id for r in results if r.must_cite_missing],
        "must_not_cite_violations": [r.id for r in results if r.must_not_cited],
        "latency_ms": metrics.percentiles([r.milliseconds for r in asked]),
    }


def _figures(results: Sequence[CaseResult]) -> dict[str, metrics.Figure]:
    answered = [r for r in results if r.answered]
    asked = [r for r in results if r.error is None]
    abstained = [r for r in asked if not r.answered]
    precision = [r.evidence_precision for r in answered if r.evidence_precision is not None]
    recall = [r.evidence_recall for r in answered if r.evidence_recall is not None]
    return {
        "coverage": metrics.share(r.answered for r in results),
        "answered_correctly": metrics.share(r.correct for r in answered if r.correct is not None),
        "correct_of_answerable": metrics.share(r.correct is True for r in results if r.answerable and r.has_reference),
        "reference_cited": metrics.share(r.reference_cited for r in answered if r.reference_cited is not None),
        "evidence_precision": metrics.mean(precision) if precision else metrics.NOTHING,
        "evidence_recall": metrics.mean(recall) if recall else metrics.NOTHING,
        "abstention_recall": metrics.share(not r.answered for r in asked if not r.answerable),
        "abstention_precision": metrics.share(not r.answerable for r in abstained),
        "auroc": _auroc(asked, lambda r: r.answerable, lambda r: not r.answerable),
        "auroc_right": _auroc(asked, lambda r: r.right is True, lambda r: r.wrong is True),
        "wrong_at_full_coverage": metrics.share(r.wrong for r in answered if r.wrong is not None),
        "coverage_at_10_percent_wrong": _coverage_at(results, 0.1),
        "coverage_at_5_percent_wrong": _coverage_at(results, 0.05),
        "calibration_error": _calibration_error(answered),
        "must_not_cited": metrics.share(bool(r.must_not_cited) for r in answered if r.must_not_cite),
        "citations_equal": metrics.share(n >= r.mismatches for r in results for n in range(r.citations)),
    }


def _of_kind(kind: str, results: Sequence[CaseResult]) -> dict[str, Any]:
    """One kind; AUROC is that of its answerable cases against all others, of its other ones against all answerable."""
    own = [r for r in results if kind in _kinds([r])]
    answered = [r for r in own if r.answered]
    asked = [r for r in results if r.error is None]
    answerable = any(r.answerable for r in own)

    def inside(r: CaseResult) -> bool:
        return kind in _kinds([r]) and r.answerable is answerable

    def above(r: CaseResult) -> bool:
        return inside(r) if answerable else r.answerable

    def below(r: CaseResult) -> bool:
        return not r.answerable if answerable else inside(r)

    figures = {
        "coverage": metrics.share(r.answered for r in own),
        "answered_correctly": metrics.share(r.correct for r in answered if r.correct is not None),
        "wrong": metrics.share(r.wrong for r in answered if r.wrong is not None),
        "auroc": _auroc(asked, above, below),
    }
    return {
        "n": len(own),
        "answerable": sum(r.answerable for r in own),
        **{name: figure.as_json() for name, figure in figures.items()},
    }


def _kinds(results: Sequence[CaseResult]) -> list[str]:
    """The kinds that are there, `a` before its own `a/b`."""
    given = {r.kind for r in results if r.kind}
    return sorted(given | {kind.split("/", 1)[0] for kind in given})


def _auroc(
    results: Sequence[CaseResult], above: Callable[[CaseResult], bool], below: Callable[[CaseResult], bool]
) -> metrics.Figure:
    scored = [(r, r.score) for r in results if r.score is not None]
    return metrics.auroc_figure([s for r, s in scored if above(r)], [s for r, s in scored if below(r)])


def _judged(results: Sequence[CaseResult]) -> list[CaseResult]:
    return [r for r in results if r.answered and r.wrong is not None]


def _risk_coverage(results: Sequence[CaseResult]) -> list[dict[str, Any]]:
    judged = _judged(results)
    return metrics.risk_coverage([r.score or 0.0 for r in judged], [bool(r.wrong) for r in judged], len(results))


def _calibration_error(answered: Sequence[CaseResult]) -> metrics.Figure:
    """Of the answers that were given out; nothing unless each score claims to be a chance of being right."""
    judged = _judged(answered)
    if not all(r.calibrated for r in judged):
        return metrics.NOTHING
    return metrics.calibration_error([r.score or 0.0 for r in judged], [not r.wrong for r in judged])


def _coverage_at(results: Sequence[CaseResult], tolerated: float) -> metrics.Figure:
    """Share of all questions that the best-scored answers cover with at most `tolerated` of them wrong."""
    judged = np.array([r.answered and r.wrong is not None for r in results])
    scores = np.array([r.score or 0.0 for r in results])
    wrong = np.array([bool(r.wrong) for r in results])

    def covered(rows: metrics.Rows) -> float:
        kept = rows[judged[rows]]
        return metrics.accepted_at(scores[kept], wrong[kept], tolerated) / len(rows)

    return metrics.bootstrap(covered, [len(results)])
