"""Metrics against the plainest way to compute them."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals import metrics

NAMES = "abcdefghijkl"
RANKINGS = st.lists(st.sampled_from(NAMES), unique=True)
GAINS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([1.0, 2.0, 3.0]), min_size=1)
CUT = st.integers(1, 12)
SCORES = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), max_size=12)
ANSWERS = st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.3, 0.6, 0.9]), st.booleans()), max_size=12)


def dcg(ranking: list[str], gains: dict[str, float], k: int) -> float:
    total = 0.0
    for place in range(min(k, len(ranking))):
        total += gains.get(ranking[place], 0.0) / math.log2(place + 2)
    return total


@given(RANKINGS, GAINS, CUT)
def test_ndcg_is_the_gain_over_the_best_possible_gain(ranking: list[str], gains: dict[str, float], k: int) -> None:
    """nDCG@k is DCG@k with linear gain, over the greatest DCG@k that any ranking of the relevant ids has."""
    best = dcg(sorted(gains, key=lambda name: -gains[name]), gains, k)
    assert metrics.ndcg(ranking, gains, k) == pytest.approx(dcg(ranking, gains, k) / best)


def test_ndcg_of_a_known_ranking() -> None:
    """The relevant documents at ranks 2 and 3, of gain 1 and 2: (1/log2 3 + 2/log2 4) / (2/log2 2 + 1/log2 3)."""
    expected = (0.6309297535714575 + 1.0) / (2.0 + 0.6309297535714575)
    assert metrics.ndcg(["x", "a", "b"], {"a": 1.0, "b": 2.0}, 10) == pytest.approx(expected)


@given(RANKINGS, GAINS, CUT)
def test_recall_success_and_reciprocal_rank_count_the_first_k(
    ranking: list[str], gains: dict[str, float], k: int
) -> None:
    """Recall is the share found, success whether anything was, reciprocal rank how early."""
    ranks = [place + 1 for place in range(len(ranking)) if ranking[place] in gains and place < k]
    assert metrics.recall(ranking, gains, k) == len(ranks) / len(gains)
    assert metrics.success(ranking, gains, k) == bool(ranks)
    assert metrics.reciprocal_rank(ranking, gains, k) == (1 / ranks[0] if ranks else 0)


@given(SCORES, SCORES)
def test_auroc_is_the_share_of_pairs_in_order(positives: list[float], negatives: list[float]) -> None:
    """AUROC is the share of (positive, negative) pairs in the right order, a tie counting half."""
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(positives, negatives)]
    expected = sum(pairs) / len(pairs) if pairs else None
    assert metrics.auroc(positives, negatives) == (None if expected is None else pytest.approx(expected))


@given(ANSWERS, st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]))
def test_accepted_at_is_the_widest_threshold_within_the_limit(answers: list[tuple[float, bool]], limit: float) -> None:
    """Of all thresholds on the score, the one that lets most answers through with at most `limit` of them wrong."""
    best = 0
    for threshold in {score for score, _ in answers}:
        through = [wrong for score, wrong in answers if score >= threshold]
        if sum(through) <= limit * len(through) + 1e-9:
            best = max(best, len(through))
    assert metrics.accepted_at([score for score, _ in answers], [wrong for _, wrong in answers], limit) == best


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_an_interval_of_a_share_holds_its_value_and_never_vanishes(hits: list[bool]) -> None:
    """Wilson's interval lies within [0, 1], around the value, and has a width even when all cases agree."""
    figure = metrics.share(hits)
    assert figure.value is not None
    assert figure.low is not None
    assert figure.high is not None
    assert 0 <= figure.low <= figure.value <= figure.high <= 1
    assert figure.high - figure.low > 0


def test_the_interval_of_a_share_is_wilsons() -> None:
    """8 of 10: [0.490, 0.943], as in Newcombe's tables (1998)."""
    assert metrics.share([True] * 8 + [False] * 2).as_json() == {"value": 0.8, "low": 0.4902, "high": 0.9433}


def test_nothing_measured_is_no_figure() -> None:
    """Without a case there is no value: neither 0 nor an exception."""
    nothing = {"value": None, "low": None, "high": None}
    assert metrics.share([]).as_json() == nothing
    assert metrics.mean([]).as_json() == nothing
    assert metrics.auroc_figure([0.3], []).as_json() == nothing
    assert metrics.percentiles([]) == {"p50": None, "p95": None}


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_bootstrap_interval_is_the_same_on_every_run(values: list[float]) -> None:
    """Two runs over the same values give the same interval, which lies within their range."""
    figure = metrics.mean(values)
    assert figure == metrics.mean(values)
    assert figure.low is not None
    assert figure.high is not None
    assert min(values) - 1e-9 <= figure.low <= figure.high <= max(values) + 1e-9


def test_the_bootstrap_interval_of_a_mean_is_near_the_normal_one() -> None:
    """Over 400 even values the interval is the mean and 1.96 standard errors on both sides, within a tenth of them."""
    values = [number % 2 * 1.0 for number in range(400)]
    figure = metrics.mean(values)
    assert figure.value == 0.5
    assert figure.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.005)
    assert figure.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.005)


def test_percentiles_are_of_what_was_timed() -> None:
    """p50 of 1 to 101 ms is 51 ms and p95 is 96 ms."""
    assert metrics.percentiles([float(ms) for ms in range(1, 102)]) == {"p50": 51.0, "p95": 96.0}


@settings(deadline=None)
@given(ANSWERS, st.integers(1, 25))
def test_the_risk_coverage_curve_says_what_each_of_its_thresholds_would_do(
    answers: list[tuple[float, bool]], points: int
) -> None:
    """Every point is what counting at its threshold gives; coverage rises; the last point is all answers."""
    curve = metrics.risk_coverage([score for score, _ in answers], [wrong for _, wrong in answers], 100, points)
    assert len(curve) <= points
    for point in curve:
        through = [wrong for score, wrong in answers if round(score, 4) >= point["threshold"]]
        assert point["coverage"] == len(through) / 100
        assert point["wrong"]["value"] == round(sum(through) / len(through), 4)
    coverage = [point["coverage"] for point in curve]
    assert coverage == sorted(set(coverage))
    assert not answers or coverage[-1] == len(answers) / 100


def test_a_promise_that_is_kept_has_no_error_and_a_boast_has_its_size() -> None:
    """Cases at .2 and .8 that come out as promised: 0; all of them promised at .9: half of them wrong, .4."""
    right = ([True] + [False] * 4) * 20 + ([True] * 4 + [False]) * 20
    assert metrics.calibration_error([0.2] * 100 + [0.8] * 100, right, bins=2).value == pytest.approx(0)
    assert metrics.calibration_error([0.9] * 200, right, bins=1).value == pytest.approx(0.4)
    assert metrics.calibration_error([], []).value is None


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=50), st.integers(1, 12))
def test_bins_hold_every_case_once(cases: list[tuple[float, bool]], bins: int) -> None:
    """Bins are of equal size but for one case, ascend in what they promise, and their right cases add up."""
    found = metrics.reliability([chance for chance, _ in cases], [good for _, good in cases], bins)
    assert sum(one.n for one in found) == len(cases)
    assert sum(one.n * one.right for one in found) == pytest.approx(sum(good for _, good in cases))
    assert not found or max(one.n for one in found) - min(one.n for one in found) <= 1
    promised = [one.promised for one in found]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(promised))
