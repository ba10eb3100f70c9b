"""Figures of retrieval and of answers, as pure functions.

Retrieval metrics are those of trec_eval and BEIR (Thakur et al., "BEIR", 2021): a ranking is a list of ids, best first,
each once; `gains` maps the relevant ids of a query to their relevance, which is greater than 0, and is not empty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ranking = Sequence[str]
Gains = Mapping[str, float]
Rows = NDArray[np.int64]  # numbers of cases, with repetitions

RESAMPLES = 1_000  # Efron and Tibshirani, "An Introduction to the Bootstrap", 1993: about 1,000 for percentiles
_NORMAL_975 = 1.959963984540054  # quantile of the normal distribution for 95%, both sides


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A value with its 95% interval; all three are None where nothing was there to measure."""

    value: float | None
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, float | None]:
        """`{value, low, high}`, to four decimals."""
        return {"value": rounded(self.value), "low": rounded(self.low), "high": rounded(self.high)}


NOTHING = Figure(value=None, low=None, high=None)


def rounded(value: float | None) -> float | None:
    """To four decimals, as reports print figures."""
    return None if value is None else round(value, 4)


def ndcg(ranking: Ranking, gains: Gains, k: int) -> float:
    """Normalised discounted cumulative gain of the first k, with linear gain and log2 discount, as in trec_eval."""
    found = _dcg([gains.get(name, 0.0) for name in ranking[:k]])
    return found / _dcg(sorted(gains.values(), reverse=True)[:k])


def recall(ranking: Ranking, gains: Gains, k: int) -> float:
    """Share of the relevant ids that stand among the first k."""
    return sum(name in gains for name in ranking[:k]) / len(gains)


def success(ranking: Ranking, gains: Gains, k: int) -> float:
    """1 when a relevant id stands among the first k, else 0."""
    return float(any(name in gains for name in ranking[:k]))


def reciprocal_rank(ranking: Ranking, gains: Gains, k: int) -> float:
    """1 / rank of the first relevant id among the first k, else 0."""
    return next((1.0 / rank for rank, name in enumerate(ranking[:k], start=1) if name in gains), 0.0)


def auroc(positives: ArrayLike, negatives: ArrayLike) -> float | None:
    """Chance that a positive scores above a negative, ties count half (Mann and Whitney, 1947); None without both."""
    above, below = np.asarray(positives, np.float64), np.sort(np.asarray(negatives, np.float64))
    if not len(above) or not len(below):
        return None
    lower = np.searchsorted(below, above, side="left")
    not_higher = np.searchsorted(below, above, side="right")
    return float((lower + not_higher).sum() / (2 * len(above) * len(below)))


def accepted_at(scores: ArrayLike, wrong: ArrayLike, limit: float) -> int:
    """The most answers that some least score lets through with at most `limit` of them wrong.

    A point of the risk-coverage curve (El-Yaniv and Wiener, 2010). Answers of one score come and go together.
    """
    values, errors = np.asarray(scores, np.float64), np.asarray(wrong, np.float64)
    order = np.argsort(-values, kind="stable")
    values, errors = values[order], np.cumsum(errors[order])
    counts = np.arange(1, len(values) + 1)
    last_of_score = np.append(values[1:] != values[:-1], True)[: len(values)]
    allowed = counts[last_of_score & (errors <= limit * counts + 1e-9)]
    return int(allowed.max(initial=0))


def risk_coverage(scores: ArrayLike, wrong: ArrayLike, of: int, points: int = 20) -> list[dict[str, Any]]:
    """The risk-coverage curve (El-Yaniv and Wiener, 2010): the share of wrong answers among the best-scored ones.

    `of` is what coverage counts in, all questions that were asked. At most `points` points, `{threshold, coverage,
    wrong}`, from the strictest threshold to the lowest score; answers of one score come together.
    """
    values, errors = np.asarray(scores, np.float64), np.asarray(wrong, bool)
    order = np.argsort(-values, kind="stable")
    values, errors = values[order], errors[order]
    last_of_score = np.flatnonzero(np.append(values[1:] != values[:-1], True)[: len(values)])
    if not len(values):
        return []
    wanted = np.ceil(np.arange(1, points + 1) * len(values) / points).astype(int) - 1
    ends = np.unique(last_of_score[np.searchsorted(last_of_score, wanted)]).tolist()
    return [
        {
            "threshold": rounded(float(values[end])),
            "coverage": rounded((end + 1) / of),
            "wrong": share(errors[: end + 1]).as_json(),
        }
        for end in ends
    ]


def calibration_error(chances: Sequence[float], right: Sequence[bool], bins: int = 10) -> Figure:
    """Expected calibration error over bins of equally many cases (Naeini et al., 2015; Nixon et al., 2019).

    The mean distance between the promised chance of being right and the share that is, with its bootstrap interval. A
    perfect calibration does not measure 0 but about the deviation of a share within one bin.
    """
    promised, good = np.asarray(chances, np.float64), np.asarray(right, np.float64)

    def error(rows: Rows) -> float:
        kept = reliability(promised[rows], good[rows], bins)
        return sum(one.n * abs(one.promised - one.right) for one in kept) / len(rows)

    return bootstrap(error, [len(promised)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Cases of about the same promised chance of being right."""

    n: int
    promised: float  # mean
    right: float  # share


def reliability(chances: ArrayLike, right: ArrayLike, bins: int = 10) -> list[Bin]:
    """The reliability diagram (DeGroot and Fienberg, 1983) over at most `bins` bins of equally many cases."""
    promised, good = np.asarray(chances, np.float64), np.asarray(right, np.float64)
    order = np.argsort(promised, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, len(order)) or 1) if len(part)]
    return [Bin(n=len(part), promised=float(promised[part].mean()), right=float(good[part].mean())) for part in parts]


def share(hits: Iterable[bool]) -> Figure:
    """A proportion with its interval by Wilson (1927), which also holds near 0 and 1."""
    found = list(hits)
    n = len(found)
    if n == 0:
        return NOTHING
    p, z2 = sum(found) / n, _NORMAL_975**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    spread = _NORMAL_975 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Figure(value=p, low=min(p, max(0.0, middle - spread)), high=max(p, min(1.0, middle + spread)))


def mean(values: Sequence[float]) -> Figure:
    """A mean with its bootstrap interval."""
    column = np.asarray(values, np.float64)
    return bootstrap(lambda rows: float(column[rows].mean()), [len(column)])


def auroc_figure(positives: Sequence[float], negatives: Sequence[float]) -> Figure:
    """`auroc` with its bootstrap interval; positives and negatives are drawn apart, so that none runs out."""
    above, below = np.asarray(positives, np.float64), np.asarray(negatives, np.float64)
    return bootstrap(lambda a, b: auroc(above[a], below[b]) or 0.0, [len(above), len(below)])


def bootstrap(statistic: Callable[..., float], sizes: Sequence[int]) -> Figure:
    """The statistic of all cases, with the percentile bootstrap interval; the same on every run.

    `statistic` takes one array of row numbers for each sample size in `sizes`. NOTHING when a sample is empty.
    """
    if 0 in sizes:
        return NOTHING
    value = statistic(*(np.arange(n) for n in sizes))
    rng = np.random.default_rng(0)
    drawn = [statistic(*(rng.integers(0, n, n) for n in sizes)) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Figure(value=value, low=float(low), high=float(high))


def percentiles(milliseconds: Sequence[float]) -> dict[str, float | None]:
    """Median and 95th percentile, to a tenth; None where nothing was timed."""
    if not milliseconds:
        return {"p50": None, "p95": None}
    p50, p95 = np.quantile(np.asarray(milliseconds), [0.5, 0.95])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1)}


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
