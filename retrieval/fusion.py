"""One score from several legs, by one rule for every collection and language.

    z(lexical) + reads * (0.5 z(dense) + 1.25 z(late interaction)) + 8 named + 3 asks_number * digits

z is the standard score over the question's own candidates, so that no statistic comes from outside of what the asker
may read. Every leg scores every candidate; late interaction, the dearest, the best of a first pass by the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import regex

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ASKS_NUMBER = regex.compile(
    r"\b(how much|how many|amount|ratio|margin|percent|percentage|average|growth rate|cagr|usd|total|turnover)\b"
    r"|[%$€£¥]",
    regex.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionConfig:
    """The weights, in units of the lexical leg's standard score, measured on 15 public collections in 12 languages."""

    dense: float = 0.5  # half, as late interaction over the same model says most of the same, better
    late: float = 1.25  # from 1.0 to 2.0 English gains .01 in recall@1 and half-read languages lose as much
    name: float = 8.0  # outweighs the text, since a passage of another document than the named one is no answer
    digits: float = 3.0  # tables above prose for a question that asks for a number
    read_from: float = 0.2  # familiarity at and below which the encoder is not listened to: it cannot read the question
    read_to: float = 0.7  # and from which it is fully
    name_from: float = 0.35  # share of a name that a question must hold; below it, shared words are chance
    digits_to: float = 0.15  # share of digits from which a passage counts as a table


@dataclass(frozen=True, slots=True, kw_only=True)
class Legs:
    """What is known of n candidates, before late interaction."""

    lexical: NDArray[np.float64]  # [n], BM25
    dense: NDArray[np.float64]  # [n], cosine
    named: NDArray[np.float64]  # [n], 0 to 1, how clearly the question names the candidate's document
    digits: NDArray[np.float64]  # [n], share of digits in the text


class Fusion:
    """The scores of one question's candidates."""

    def __init__(self, question: str, familiarity: float, legs: Legs, config: FusionConfig) -> None:
        self._config = config
        self._reads = reads(familiarity, config)
        self._lexical, self._dense = standard(legs.lexical), standard(legs.dense)
        self._bonus = config.name * legs.named
        if asks_number(question):
            self._bonus = self._bonus + config.digits * np.minimum(legs.digits / config.digits_to, 1.0)

    @property
    def first(self) -> NDArray[np.float64]:
        """[n], the scores by which candidates are picked for late interaction."""
        scores: NDArray[np.float64] = self._lexical + self._reads * self._dense + self._bonus
        return scores

    def final(self, picked: NDArray[np.intp], late: NDArray[np.float32]) -> NDArray[np.float64]:
        """[m], the scores of the candidates `picked` [m], with what late interaction says of them [m]."""
        read = self._config.dense * self._dense[picked] + self._config.late * standard(late)
        scores: NDArray[np.float64] = self._lexical[picked] + self._reads * read + self._bonus[picked]
        return scores


def reads(familiarity: float, config: FusionConfig) -> float:
    """How far the encoder is listened to, 0 to 1, from `QueryEncoding.familiarity`."""
    return min(1.0, max(0.0, (familiarity - config.read_from) / (config.read_to - config.read_from)))


def named(scores: NDArray[np.float64], shares: NDArray[np.float64], config: FusionConfig) -> NDArray[np.float64]:
    """How clearly a question names each of n documents, 0 to 1 - `name_from`.

    `scores` are the IDF masses that question and name share, `shares` the same as parts of the mass of the whole name.
    The best document counts in full, so that of two reports of one company the one of the year in question stands out.
    """
    if not len(scores) or scores.max() <= 0:
        return np.zeros(len(scores))
    strengths: NDArray[np.float64] = scores / scores.max() * np.clip(shares - config.name_from, 0.0, 1.0)
    return strengths


def asks_number(question: str) -> bool:
    """Whether an English question asks for an amount, a ratio or a count, or names a currency."""
    return _ASKS_NUMBER.search(question) is not None


def standard(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Standard scores: mean 0, deviation 1; all 0 where nothing tells the values apart."""
    if not len(values):
        return np.zeros(0)
    centred = values.astype(np.float64) - values.mean(dtype=np.float64)
    deviation = float(centred.std())
    return centred / deviation if deviation > 1e-9 else np.zeros(len(values))
