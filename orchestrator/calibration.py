"""What a confidence is worth, learned from labels: the chance of being right by score, and from which score to answer.

The curve is isotonic (Zadrozny and Elkan, 2002) or, where labels are few, logistic (Platt, 1999). The threshold is
chosen by fixed-sequence testing (Angelopoulos et al., "Learn then Test", 2021): from the strictest down, each threshold
must show by an exact binomial test that at most `risk` of its answers are wrong, and the first that cannot ends the
search. Whatever is chosen then breaks that promise with a chance of at most 1 - `confidence`, over sets of labels drawn
as these were. The labels say nothing about other documents, other askers or another rule.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ingest.errors import BadInput, DependencyDown

ISOTONIC_FROM: Final = 1_000  # labels below which a logistic curve is nearer (Niculescu-Mizil and Caruana, 2005)
FIRST_SHARE: Final = 0.2  # of all labels that the strictest threshold must let through: one bad label costs less there
# Thresholds that are tried, fixed before any label is seen: equal steps in log-odds, .9997 to .0003.
GRID: Final = 1.0 / (1.0 + np.exp(-np.arange(8.0, -8.01, -0.05)))

Floats = NDArray[np.float64]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Method = Literal["isotonic", "logistic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A threshold and what the labels say of it."""

    threshold: float  # least score that is answered
    answered: int  # labels at or above it
    wrong: int  # of those
    highest_risk: float  # Clopper-Pearson: what the share of wrong answers lies below, with the stated confidence


class Calibration(BaseModel):
    """A calibration as its file keeps it: for one rule and one encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str  # version of the confidence rule
    encoder: str  # id
    source: str  # name and revision of the golden set
    made: datetime
    n: int = Field(ge=1)  # labels
    wrong: int = Field(ge=0)  # of those, had all been answered
    risk: Share  # share of wrong answers that is tolerated
    confidence: Share  # that the threshold keeps to it
    threshold: Share  # score of the rule from which on answers are given
    coverage: Share  # share of the labels that it answers
    method: Method
    curve: tuple[tuple[Share, Share], ...] = Field(min_length=1)  # (score of the rule, chance of being right)

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        steps = list(zip(self.curve, self.curve[1:], strict=False))
        if any(b[0] <= a[0] or b[1] < a[1] for a, b in steps):
            raise ValueError("the curve does not ascend")
        return self

    def fits(self, rule: str, encoder: str) -> bool:
        """Whether scores of this rule over this encoder are what it was made for."""
        return (self.rule, self.encoder) == (rule, encoder)

    def chance(self, score: float) -> float:
        """The chance that an answer of this score is right: between two points of the curve on a straight line."""
        scores, chances = zip(*self.curve, strict=True)
        return float(np.interp(score, scores, chances))


def calibrate(
    scores: Sequence[float],
    right: Sequence[bool],
    *,
    rule: str,
    encoder: str,
    source: str,
    risk: float = 0.1,
    confidence: float = 0.9,
) -> Calibration:
    """The calibration of these labels: scores of the rule, and whether the answer was right, had it been given.

    Raises BadInput where they are too few, or too often wrong, to keep `risk` with `confidence`; it says how many it
    would take.
    """
    chosen = choose_threshold(scores, right, risk=risk, confidence=confidence)
    if chosen is None:
        raise _no_threshold(source, scores, right, risk, confidence)
    method, curve = fit(scores, right)
    return Calibration(
        rule=rule,
        encoder=encoder,
        source=source,
        made=datetime.now(UTC).replace(microsecond=0),
        n=len(scores),
        wrong=len(right) - sum(right),
        risk=risk,
        confidence=confidence,
        threshold=chosen.threshold,
        coverage=round(chosen.answered / len(scores), 4),
        method=method,
        curve=curve,
    )


# The threshold


def choose_threshold(
    scores: ArrayLike, right: ArrayLike, *, risk: float, confidence: float, grid: Floats = GRID
) -> Choice | None:
    """The lowest threshold of `grid` (descending) that keeps `risk` with `confidence`; None where none can be shown."""
    ranked, wrong_so_far = _ranked(scores, right)
    first = max(labels_needed(risk, confidence), math.ceil(FIRST_SHARE * len(ranked)))
    best: Choice | None = None
    for threshold in grid.tolist():
        answered = int(np.searchsorted(-ranked, -threshold, side="right"))
        if answered < first:
            continue
        wrong = int(wrong_so_far[answered])
        if binomial_cdf(wrong, answered, risk) > 1 - confidence:
            break
        highest = upper_bound(wrong, answered, confidence)
        best = Choice(threshold=float(threshold), answered=answered, wrong=wrong, highest_risk=highest)
    return best


def labels_needed(risk: float, confidence: float, wrong: float = 0.0) -> int:
    """The fewest answered labels that show `risk` with `confidence` when a share `wrong`, below `risk`, is wrong."""
    low, high = 0, 1
    while binomial_cdf(math.ceil(wrong * high), high, risk) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        shown = binomial_cdf(math.ceil(wrong * middle), middle, risk) <= 1 - confidence
        low, high = (low, middle) if shown else (middle, high)
    return high


def upper_bound(wrong: int, n: int, confidence: float) -> float:
    """The one-sided upper bound of a share by Clopper and Pearson (1934), to 1e-6."""
    low, high = wrong / n, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if binomial_cdf(wrong, n, middle) <= 1 - confidence else (middle, high)
    return high


def binomial_cdf(k: int, n: int, p: float) -> float:
    """The chance of at most k successes in n trials of chance p."""
    if k >= n or p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    logs = math.log(p), math.log1p(-p)
    terms = (_log_choose(n, i) + i * logs[0] + (n - i) * logs[1] for i in range(k + 1))
    return min(1.0, math.fsum(map(math.exp, terms)))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _ranked(scores: ArrayLike, right: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    """Scores from the highest down [n], and how many of the first 0, 1, … n are wrong [n + 1]."""
    values, good = np.asarray(scores, np.float64), np.asarray(right, bool)
    order = np.argsort(-values, kind="stable")
    return values[order], np.concatenate(([0], np.cumsum(~good[order])))


def _no_threshold(
    source: str, scores: Sequence[float], right: Sequence[bool], risk: float, confidence: float
) -> BadInput:
    needed = labels_needed(risk, confidence)
    promise = f"at most {risk:.0%} wrong answers with {confidence:.0%} confidence"
    if len(scores) < needed:
        cause = f"{len(scores)} labels cannot show {promise}, however right they are."
        return BadInput(
            source, "too_few_labels", cause, f"Label at least {needed} cases; three times as many are wise."
        )
    ranked, wrong = _ranked(scores, right)
    first = min(len(ranked), max(needed, math.ceil(FIRST_SHARE * len(ranked))))
    share = float(wrong[first]) / first
    cause = f"Of the {first} best-scored of {len(scores)} labels {share:.0%} are wrong, which does not show {promise}."
    if share >= risk:
        return BadInput(source, "risk_not_reached", cause, "Tolerate more with --risk, or improve the documents.")
    wanted = math.ceil(labels_needed(risk, confidence, share) / first * len(scores))
    return BadInput(source, "too_few_labels", cause, f"Label about {wanted} cases, or tolerate more with --risk.")


# The curve


def fit(scores: ArrayLike, right: ArrayLike) -> tuple[Method, tuple[tuple[float, float], ...]]:
    """The chance of being right by score, as points of an ascending curve, and how it was fitted."""
    values, good = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    if len(values) >= ISOTONIC_FROM:
        return "isotonic", isotonic(values, good)
    return "logistic", logistic(values, good)


def isotonic(scores: Floats, right: Floats) -> tuple[tuple[float, float], ...]:
    """Pool adjacent violators (Ayer et al., 1955): the mean of each block at the mean score of the block.

    One right and one wrong answer are added to each block, so that none promises certainty.
    """
    order = np.argsort(scores, kind="stable")
    blocks: list[list[float]] = []  # [sum of scores, right, labels]
    for score, good in zip(scores[order].tolist(), right[order].tolist(), strict=True):
        block = [score, good, 1.0]
        while blocks and _blocked(blocks[-1], block):
            block = [a + b for a, b in zip(blocks.pop(), block, strict=True)]
        blocks.append(block)
    points = [(total / n, (good + 1) / (n + 2)) for total, good, n in blocks]
    return _ascending(points)


def _blocked(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether two blocks become one: the later is no better, or has the very same scores."""
    return before[1] * after[2] >= after[1] * before[2] or before[0] / before[2] >= after[0] / after[2]


def logistic(scores: Floats, right: Floats) -> tuple[tuple[float, float], ...]:
    """Platt's sigmoid of the score's log-odds, with his targets, by Newton's method; a falling one becomes level."""
    x = _log_odds(scores)
    n_right = float(right.sum())
    targets = np.where(right > 0, (n_right + 1) / (n_right + 2), 1 / (len(right) - n_right + 2))
    design = np.column_stack((x, np.ones_like(x)))
    weights = np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (p - targets) + 1e-6 * weights
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    slope, level = max(0.0, float(weights[0])), float(weights[1])
    if weights[0] < 0:
        share = float(targets.mean())
        level = math.log(share / (1 - share))
    within = GRID[::10][(GRID[::10] > scores.min()) & (GRID[::10] < scores.max())]
    knots = np.concatenate(([scores.min()], within[::-1], [scores.max()]))  # nothing is known beyond
    chances = 1 / (1 + np.exp(-np.clip(slope * _log_odds(knots) + level, -30, 30)))
    return _ascending(list(zip(knots.tolist(), chances.tolist(), strict=True)))


def _log_odds(scores: Floats) -> Floats:
    within = np.clip(scores, 1e-4, 1 - 1e-4)
    odds: Floats = np.log(within / (1 - within))
    return odds


def _ascending(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Rounded for the file, short of certainty; of points that then share a score the last stays."""
    chances = np.maximum.accumulate([min(0.9999, max(0.0001, round(chance, 4))) for _, chance in points]).tolist()
    return tuple({round(score, 5): chance for (score, _), chance in zip(points, chances, strict=True)}.items())


# The file


def read_calibration(path: Path) -> Calibration | None:
    """The calibration in a file, None where there is no file. Raises BadInput for one that cannot be used."""
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        step = "Remove the file, or make it anew with `groundwire eval calibrate`."
        raise BadInput(str(path), "bad_calibration", "The calibration cannot be read.", step) from error


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Put it in place of the one before, whole or not at all. Raises DependencyDown."""
    part = path.with_suffix(".part")
    content = json.dumps(calibration.model_dump(mode="json"), indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with part.open("w", encoding="utf-8") as out:
            out.write(content + "\n")
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except OSError as error:
        cause = f"The calibration cannot be written ({error.strerror})."
        raise DependencyDown(str(path), "home_not_writable", cause, "Correct the permissions of the folder.") from error
