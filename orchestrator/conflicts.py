"""Sentences of two sources that are about the same and cannot both be true.

Looked for by name, as support is: another value of the same unit, another date, or a denial, in sentences that share
most of their words. Which of the two is right is for people to say; that there are two is for the answer to show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from ingest.terms import terms
from orchestrator.extractive import Pool, Sentence
from orchestrator.support.dates import Date
from orchestrator.support.names import missing_names, read_names
from orchestrator.support.polarity import negation_differs, read_polarity
from orchestrator.support.quantities import Quantity, same_quantity
from orchestrator.support.units import BARE
from orchestrator.support.values import Values, read_values

ConflictKind = Literal["value", "date", "negation"]
Words = Callable[[str], frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictConfig:
    """Which sentences are compared, and when two are about the same."""

    most_sentences: int = 20  # of the pool, the best ones
    alike: float = 0.5  # shared words of all words of the two sentences, from which on they are about the same
    shared: int = 3  # words that two sentences about the same have in common at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """What a chosen sentence says and another source says otherwise."""

    chosen: Sentence
    other: Sentence
    kind: ConflictKind


def disagreements(
    chosen: Sequence[Sentence], pool: Pool, config: ConflictConfig | None = None
) -> tuple[Disagreement, ...]:
    """For each chosen sentence the best one of another document that contradicts it, where there is one."""
    config = config or ConflictConfig()
    others = [pool.sentences[index] for index in pool.order[: config.most_sentences]]
    words = cache(_words)  # each sentence meets every other one; nothing of it outlives this question
    found: list[Disagreement] = []
    for sentence in chosen:
        for other in others:
            if other.passage.document_id == sentence.passage.document_id:
                continue
            kind = conflict(sentence.text, other.text, config, words)
            if kind is not None:
                found.append(Disagreement(chosen=sentence, other=other, kind=kind))
                break
    return tuple(found)


def conflict(
    one: str, other: str, config: ConflictConfig | None = None, words: Words | None = None
) -> ConflictKind | None:
    """How two sentences contradict each other; None where they do not, or are about different things.

    `words` reads the words of a sentence, for callers that remember them.
    """
    config = config or ConflictConfig()
    if not _about_the_same(one, other, config, words or _words):
        return None
    mine, theirs = read_values(one), read_values(other)
    if _other_dates(mine.dates, theirs.dates):
        return "date"
    if _other_quantities(mine, theirs):
        return "value"
    left, right = read_polarity(one), read_polarity(other)
    return "negation" if negation_differs(left, [right]) or negation_differs(right, [left]) else None


def _about_the_same(one: str, other: str, config: ConflictConfig, words: Words) -> bool:
    """Most words in common, and no name on both sides that the other side does not have."""
    left, right = words(one), words(other)
    shared = len(left & right)
    if shared < config.shared or shared < config.alike * len(left | right):
        return False
    mine, theirs = read_names(one), read_names(other)
    return not (missing_names(mine, [theirs]) and missing_names(theirs, [mine]))


def _words(text: str) -> frozenset[str]:
    return frozenset(term for term in terms(text) if not any(map(str.isdigit, term)))


def _other_quantities(one: Values, other: Values) -> bool:
    """Whether, of a unit that both name equally often, they have no value in common."""
    for dimension in {quantity.unit.dimension for quantity in one.quantities}:
        mine, theirs = _of(one, dimension), _of(other, dimension)
        if mine and len(mine) == len(theirs) and not any(same_quantity(a, b) for a in mine for b in theirs):
            return True
    return False


def _of(values: Values, dimension: str) -> list[Quantity]:
    """The quantities of one dimension; spelled-out numbers without a unit ("one of them") are no values."""
    found = [quantity for quantity in values.quantities if quantity.unit.dimension == dimension]
    return [quantity for quantity in found if not (quantity.word and quantity.unit == BARE)]


_PARTS: Final = ("year", "month", "day")


def _other_dates(one: Sequence[Date], other: Sequence[Date]) -> bool:
    """Whether each names one date, and the two differ in a part that both state."""
    if len(one) != 1 or len(other) != 1 or one[0].either != other[0].either:
        return False
    parts = [(getattr(one[0], part), getattr(other[0], part)) for part in _PARTS]
    return any(a is not None and b is not None and a != b for a, b in parts)
