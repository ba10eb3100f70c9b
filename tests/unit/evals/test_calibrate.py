"""Which cases are labels, and how a calibration is judged."""

from __future__ import annotations

import numpy as np
import pytest

from evals.answer_report import CaseResult
from evals.calibrate import labels, reliability_report
from orchestrator.calibration import calibrate


def case(**changes: object) -> CaseResult:
    plain = {"id": "c", "answerable": True, "has_reference": True, "status": "answered", "score": 0.5, "correct": True}
    return CaseResult(**(plain | changes))  # type: ignore[arg-type]


def test_labels_are_the_cases_of_which_right_and_wrong_are_known() -> None:
    """A right answer, a wrong one and one to a question that has none; not an error, an abstention or an unknown."""
    results = [
        case(score=0.9),
        case(score=0.8, correct=False),
        case(score=0.7, answerable=False, correct=None),
        case(correct=None),
        case(status="abstained", correct=None),
        case(status="in_review", correct=None),
        case(status="error", score=None, correct=None, error="index_slow"),
    ]
    assert labels(results) == ([0.9, 0.8, 0.7], [True, False, False])


def test_the_error_is_that_of_cases_the_curve_has_not_seen() -> None:
    """Scores without a meaning: what was fitted on them promises about the share that is right, to strangers too."""
    rng = np.random.default_rng(0)
    scores, right = rng.random(600), rng.random(600) < 0.95
    found = calibrate(scores.tolist(), right.tolist(), rule="r", encoder="e", source="s")
    report = reliability_report(found, scores.tolist(), right.tolist())
    assert report["calibration_error"]["value"] < 0.06
    assert report["coverage"]["value"] == pytest.approx(found.coverage, abs=1e-4)
    assert report["wrong_of_answered"]["value"] <= report["highest_risk"] <= 0.1
    assert [one["n"] for one in report["bins"]] == [60] * 10
