"""Calibration on labels: the promise it makes, the curve it draws, the file it keeps."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import BadInput
from orchestrator.calibration import (
    ISOTONIC_FROM,
    Calibration,
    binomial_cdf,
    calibrate,
    choose_threshold,
    fit,
    isotonic,
    labels_needed,
    logistic,
    read_calibration,
    upper_bound,
    write_calibration,
)

RISK, CONFIDENCE = 0.1, 0.9
LABELS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def drawn(rng: np.random.Generator, n: int, slope: float, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and answers that are right with a chance that rises with them."""
    scores = rng.beta(5, 2, n)
    return scores, rng.random(n) < 1 / (1 + np.exp(-(slope * np.log(scores / (1 - scores)) + level)))


def made(scores: np.ndarray, right: np.ndarray, **changes: object) -> Calibration:
    given = {"rule": "r", "encoder": "e", "source": "set", "risk": RISK, "confidence": CONFIDENCE} | changes
    return calibrate(scores.tolist(), right.tolist(), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(("slope", "level"), [(1.5, 0.8), (1.0, 1.2), (2.0, 0.0), (0.0, 2.19)])
@pytest.mark.parametrize("n", [60, 250])
def test_the_threshold_breaks_its_promise_no_more_often_than_it_says(n: int, slope: float, level: float) -> None:
    """Over 300 sets of labels, more than 10% wrong among new answers in at most 10% of them, chance of counting aside.

    In the last world the score says nothing and just over a tenth is wrong: any threshold at all breaks the promise.
    """
    rng = np.random.default_rng(1)
    new_scores, new_right = drawn(rng, 100_000, slope, level)
    broken = 0
    for _ in range(300):
        chosen = choose_threshold(*drawn(rng, n, slope, level), risk=RISK, confidence=CONFIDENCE)
        broken += chosen is not None and (~new_right[new_scores >= chosen.threshold]).mean() > RISK
    assert broken / 300 <= (1 - CONFIDENCE) + 2 * (0.1 * 0.9 / 300) ** 0.5


def test_with_enough_labels_most_answers_that_could_be_given_are() -> None:
    """At 400 labels the threshold answers at least seven tenths of what the best threshold would."""
    rng = np.random.default_rng(2)
    scores, right = drawn(rng, 200_000, 1.5, 0.5)
    wrong = np.cumsum(~right[np.argsort(-scores)]) / np.arange(1, len(scores) + 1)
    best = np.flatnonzero(wrong <= RISK).max() / len(scores)
    chosen = [choose_threshold(*drawn(rng, 400, 1.5, 0.5), risk=RISK, confidence=CONFIDENCE) for _ in range(40)]
    answered = np.mean([(scores >= one.threshold).mean() if one else 0.0 for one in chosen])
    assert answered >= 0.7 * best > 0.4


@pytest.mark.parametrize(("k", "n", "p", "chance"), [(0, 22, 0.1, 0.9**22), (1, 2, 0.5, 0.75), (3, 3, 0.2, 1.0)])
def test_binomial_chances(k: int, n: int, p: float, chance: float) -> None:
    """Known values of the cumulative binomial distribution."""
    assert binomial_cdf(k, n, p) == pytest.approx(chance)


def test_bounds_and_numbers_that_books_print() -> None:
    """Clopper-Pearson: none wrong of 45 lies below 5% with 90% confidence, and 45 is the least; 3 of 50 below 13%."""
    assert upper_bound(0, 45, 0.9) == pytest.approx(1 - 0.1 ** (1 / 45), abs=1e-5)
    assert upper_bound(3, 50, 0.9) == pytest.approx(0.1287, abs=1e-3)
    assert labels_needed(0.05, 0.9) == 45
    assert labels_needed(0.1, 0.9) == 22


def test_too_few_labels_are_called_that_with_the_number_needed() -> None:
    """21 right answers cannot show 10% with 90% confidence, 22 can."""
    scores, right = np.linspace(0.6, 0.9, 22), np.ones(22, bool)
    with pytest.raises(BadInput) as caught:
        made(scores[:21], right[:21])
    assert caught.value.code == "too_few_labels"
    assert "at least 22" in caught.value.next_step
    assert made(scores, right).coverage == 1.0


def test_labels_that_are_too_often_wrong_are_called_that() -> None:
    """Where every third answer is wrong, whatever its score, no number of labels helps and none is asked for."""
    scores = np.linspace(0.1, 0.9, 300)
    with pytest.raises(BadInput) as caught:
        made(scores, np.arange(300) % 3 > 0)
    assert caught.value.code == "risk_not_reached"


def test_a_risk_that_is_nearly_shown_asks_for_more_labels() -> None:
    """Two wrong of forty, 5%, do not show 10%; the number asked for would at the same share."""
    right = np.ones(40, bool)
    right[[3, 20]] = False
    with pytest.raises(BadInput) as caught:
        made(np.full(40, 0.8), right)
    assert caught.value.code == "too_few_labels"
    wanted = int("".join(filter(str.isdigit, caught.value.next_step)))
    assert binomial_cdf(round(0.05 * wanted), wanted, RISK) <= 1 - CONFIDENCE


@given(LABELS)
def test_any_labels_give_a_curve_that_ascends_within_0_and_1(labels: list[tuple[float, bool]]) -> None:
    """Both fits, whatever the labels: points ascend in score, never fall in chance, and promise no certainty."""
    scores = np.array([score for score, _ in labels])
    right = np.array([float(good) for _, good in labels])
    for curve in (isotonic(scores, right), logistic(scores, right)):
        assert all(a[0] < b[0] and a[1] <= b[1] for a, b in itertools.pairwise(curve))
        assert all(0 < chance < 1 for _, chance in curve)


@pytest.mark.parametrize("n", [ISOTONIC_FROM // 2, 2 * ISOTONIC_FROM])
def test_the_curve_finds_the_chance_that_made_the_labels(n: int) -> None:
    """With few labels by a logistic curve, with many by an isotonic one, within .06 on average."""
    rng = np.random.default_rng(3)
    scores, right = drawn(rng, n, 1.5, -0.5)
    method, curve = fit(scores, right)
    assert method == ("isotonic" if n >= ISOTONIC_FROM else "logistic")
    truth = 1 / (1 + np.exp(-(1.5 * np.log(scores / (1 - scores)) - 0.5)))
    found = np.interp(scores, *np.array(curve).T)
    assert np.abs(found - truth).mean() < 0.06


@settings(max_examples=50)
@given(LABELS, st.floats(0, 1))
def test_a_lower_score_is_never_worth_more(labels: list[tuple[float, bool]], score: float) -> None:
    """The chance that a calibration gives does not fall as the score rises, also outside of its labels."""
    curve = isotonic(np.array([s for s, _ in labels]), np.array([float(good) for _, good in labels]))
    whole = made(np.full(22, 0.5), np.ones(22, bool)).model_copy(update={"curve": curve})
    assert whole.chance(0.0) <= whole.chance(score) <= whole.chance(1.0)


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    """Written, it reads back as it was, as JSON a person can read; where there is no file there is none."""
    path = tmp_path / "home" / "calibration.json"
    assert read_calibration(path) is None
    whole = made(np.linspace(0.5, 0.9, 80), np.ones(80, bool))
    write_calibration(path, whole)
    assert read_calibration(path) == whole
    assert json.loads(path.read_text("utf-8"))["risk"] == RISK
    assert list(path.parent.iterdir()) == [path]


def test_it_is_for_one_rule_and_one_encoder() -> None:
    """Scores of another rule, or over another encoder, are not what it was made for."""
    whole = made(np.full(30, 0.7), np.ones(30, bool))
    assert whole.fits("r", "e")
    assert not whole.fits("other", "e")
    assert not whole.fits("r", "other")


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"rule": "r"}', "\udcff"])
def test_a_damaged_file_is_bad_input(tmp_path: Path, content: str) -> None:
    """What cannot be read, or lacks fields, is named with its path; it is never taken for no calibration."""
    path = tmp_path / "calibration.json"
    path.write_text(content, "utf-8", errors="surrogateescape")
    with pytest.raises(BadInput) as caught:
        read_calibration(path)
    assert caught.value.code == "bad_calibration"
    assert caught.value.item == str(path)


def test_a_curve_that_falls_is_refused(tmp_path: Path) -> None:
    """A file whose curve was edited so that it falls is not used."""
    whole = made(np.full(30, 0.7), np.ones(30, bool)).model_dump(mode="json")
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(whole | {"curve": [[0.1, 0.9], [0.5, 0.2]]}), "utf-8")
    with pytest.raises(BadInput):
        read_calibration(path)
