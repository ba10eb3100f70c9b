"""`groundwire eval calibrate`: learn from a golden set what the confidence of this installation is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evals import metrics
from evals.answer_report import CaseResult
from evals.answers import Progress, ask_all
from evals.own_home import fingerprint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orchestrator.calibration import Calibration
    from orchestrator.settings import Settings
    from retrieval.access import Principal

FOLDS = 5  # of the cross-validation by which the curve is judged


async def calibrate_answers(
    settings: Settings,
    golden: Path,
    asker: Principal,
    *,
    risk: float = 0.1,
    confidence: float = 0.9,
    corpus: Sequence[Path] = (),
    tags: Path | None = None,
    limit: int | None = None,
    progress: Progress = lambda _: None,
) -> tuple[dict[str, Any], Calibration]:
    """Ask every case, whatever its score, and fit curve and threshold to what came of it; writes nothing.

    Asked is what `evaluate_answers` asks. Raises BadInput for a set that cannot be used, or that has too few labels or
    too many wrong answers to keep `risk` with `confidence`.
    """
    from orchestrator.calibration import calibrate
    from orchestrator.confidence import RULE, Judge

    everything = Judge(threshold=0.0)
    asked = await ask_all(
        settings, golden, asker, corpus=corpus, tags=tags, limit=limit, judge=everything, progress=progress
    )
    scores, right = labels(asked.results)
    found = calibrate(
        scores,
        right,
        rule=RULE.version,
        encoder=asked.encoder,
        source=f"{golden.stem} {fingerprint([golden, *corpus])}",
        risk=risk,
        confidence=confidence,
    )
    errors = sum(result.error is not None for result in asked.results)
    return reliability_report(found, scores, right) | {"cases": len(asked.results), "errors": errors}, found


def labels(results: Sequence[CaseResult]) -> tuple[list[float], list[bool]]:
    """Scores, and whether the answer was right, of the cases that got an answer and say what is right."""
    told = [(result.score, not result.wrong) for result in results if result.answered and result.wrong is not None]
    return [score or 0.0 for score, _ in told], [good for _, good in told]


def reliability_report(found: Calibration, scores: Sequence[float], right: Sequence[bool]) -> dict[str, Any]:
    """The calibration with how far it can be trusted: `calibration_error` and `bins` are of cases not fitted on."""
    from orchestrator.calibration import upper_bound

    values, good = np.asarray(scores, np.float64), np.asarray(right, bool)
    answered = values >= found.threshold
    wrong = int((~good & answered).sum())
    chances = _cross_fitted(values, good)
    return {
        "n": found.n,
        "wrong": found.wrong,
        "risk": found.risk,
        "confidence": found.confidence,
        "threshold": found.threshold,
        "coverage": metrics.share(answered.tolist()).as_json(),
        "wrong_of_answered": metrics.share((~good[answered]).tolist()).as_json(),
        "highest_risk": round(upper_bound(wrong, int(answered.sum()), found.confidence), 4),
        "method": found.method,
        "calibration_error": metrics.calibration_error(chances.tolist(), list(right)).as_json(),
        "bins": [asdict(one) for one in metrics.reliability(chances, good)],
        "rule": found.rule,
        "encoder": found.encoder,
        "source": found.source,
    }


def _cross_fitted(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The chance of each case by a curve that was fitted on the others."""
    from orchestrator.calibration import fit

    fold = np.random.default_rng(0).permutation(len(scores)) % min(FOLDS, len(scores))
    chances = np.zeros(len(scores))
    for number in range(int(fold.max()) + 1):
        _, curve = fit(scores[fold != number], right[fold != number])
        known, known_chances = zip(*curve, strict=True)
        chances[fold == number] = np.interp(scores[fold == number], known, known_chances)
    return chances
