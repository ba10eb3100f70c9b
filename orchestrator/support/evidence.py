"""Which few sentences of the evidence carry a claim together, and how well.

Each token of the claim is met by its most similar token of the chosen sentences (late interaction), each term by being
there. A claim often rests on two or three sentences, so they are chosen greedily: each next one is that which adds most
to what the ones before it leave uncovered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.terms import terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.encoder import QueryEncoding

READABLE: Final = 0.5  # `QueryEncoding.familiarity` below which late interaction says little (Thai, Russian, Turkish)
NEGLIGIBLE: Final = 0.05  # weight of a token of the claim, as a share of the greatest, that is not looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One sentence of the evidence."""

    text: str
    tokens: NDArray[np.uint8] | None = None  # [tokens, dimensions / 8], as in `TokenVectors.bits`; None without vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceConfig:
    """How much evidence is read, and how much of it carries a claim."""

    max_statements: int = 2_000  # read, from the first on
    max_characters: int = 2_000  # of one, as the longest quote
    max_tokens: int = 50_000  # of all together: 75 MB while they are compared
    max_selected: int = 4  # sentences that carry one claim
    # Of a further sentence, in the share of the claim that is covered. On WiCE's development set F1 with the sentences
    # that carry a claim is .68 from .06 to .1, .64 at .04.
    min_gain: float = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of a claim its evidence covers."""

    selected: tuple[int, ...]  # of the statements, the most telling first
    similarity: float  # weighted mean of the tokens' best cosines within the selected ones, -1 to 1; 0 without vectors
    weakest: float  # the same of the least covered fifth of the claim's weight
    words: float  # share of the idf mass of the claim's terms within the selected ones and the context
    best_words: float  # the same within the best single one
    missing: float  # terms that no statement has, their number over the root of the claim's
    vectors: bool  # whether similarity was measured


def cover(
    claim: str,
    statements: Sequence[Statement],
    encoding: QueryEncoding | None,
    context: str = "",
    config: EvidenceConfig | None = None,
) -> Coverage:
    """The coverage of `claim` by `statements`; `encoding` is the claim's, `context` is held by every statement."""
    config = config or EvidenceConfig()
    statements = statements[: config.max_statements]
    wanted, present, idf = _terms(claim, statements, context, config)
    matches, weights = _matches(encoding, statements, config)
    selected = _select(present * idf, matches * weights, config)
    held = present[selected].any(axis=0) if selected else np.zeros(len(wanted), bool)
    best = matches[selected].max(axis=0) if selected and matches.shape[1] else np.zeros(0, np.float32)
    return Coverage(
        selected=tuple(selected),
        similarity=float(best @ weights),
        weakest=_weakest(best, weights),
        words=float(idf @ held),
        best_words=float((present @ idf).max(initial=0.0)),
        missing=float((~present.any(axis=0)).sum() / max(1, len(wanted)) ** 0.5),
        vectors=bool(matches.shape[1]),
    )


@lru_cache(maxsize=2_048)
def term_set(text: str) -> frozenset[str]:
    """The search terms of a text."""
    return frozenset(terms(text))


def _terms(
    claim: str, statements: Sequence[Statement], context: str, config: EvidenceConfig
) -> tuple[list[str], NDArray[np.bool_], NDArray[np.float64]]:
    """The claim's terms, [statements, terms] whether each is there, and their share of the idf mass."""
    wanted = list(dict.fromkeys(terms(claim[: config.max_characters])))
    frame = term_set(context[: config.max_characters])
    own = [frame | term_set(statement.text[: config.max_characters]) for statement in statements]
    frequency = Counter(term for held in own for term in held)
    count = len(own)
    idf = np.array([np.log1p((count - frequency[t] + 0.5) / (frequency[t] + 0.5)) for t in wanted])
    present = np.array([[term in held for term in wanted] for held in own], bool).reshape(count, len(wanted))
    return wanted, present, idf / max(float(idf.sum()), 1e-12)


def _matches(
    encoding: QueryEncoding | None, statements: Sequence[Statement], config: EvidenceConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[statements, tokens of the claim] greatest cosine of each within each statement, and the tokens' weights, sum 1.

    No tokens where there are no vectors; 0 for a statement without.
    """
    nothing = np.zeros((len(statements), 0), np.float32), np.zeros(0, np.float32)
    if encoding is None or encoding.familiarity < READABLE or encoding.weights.max(initial=0.0) <= 0:
        return nothing
    kept = encoding.weights > NEGLIGIBLE * encoding.weights.max()
    weights = encoding.weights[kept] / encoding.weights[kept].sum()
    out = np.zeros((len(statements), len(weights)), np.float32)
    read = 0
    for row, statement in enumerate(statements):
        if statement.tokens is None or not len(statement.tokens) or read > config.max_tokens:
            continue
        read += len(statement.tokens)
        out[row] = (encoding.tokens[kept] @ _signs(statement.tokens).T).max(axis=1)
    return (out, weights) if read else nothing


def _signs(bits: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[tokens, dimensions] unit vectors of the signs that `np.packbits` keeps."""
    signs = 2.0 * np.unpackbits(bits, axis=1).astype(np.float32) - 1.0
    unit: NDArray[np.float32] = signs / np.float32(signs.shape[1] ** 0.5)
    return unit


def _select(words: NDArray[np.float64], matches: NDArray[np.float32], config: EvidenceConfig) -> list[int]:
    """Rows that together cover most of the claim, by half its terms and half its tokens, the most telling first."""
    gains = np.concatenate([words, matches], axis=1) / (2.0 if matches.shape[1] else 1.0)
    covered = np.zeros(gains.shape[1])
    chosen: list[int] = []
    while len(chosen) < min(config.max_selected, len(gains)):
        gain = np.maximum(gains - covered, 0.0).sum(axis=1)
        best = int(gain.argmax())
        if gain[best] <= (config.min_gain if chosen else 0.0):
            break
        chosen.append(best)
        covered = np.maximum(covered, gains[best])
    return chosen


def _weakest(best: NDArray[np.float32], weights: NDArray[np.float32], share: float = 0.2) -> float:
    """Weighted mean of the lowest cosines that make up `share` of the weight: there an unsupported detail shows."""
    if not len(best):
        return 0.0
    order = np.argsort(best, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    kept = np.minimum(weights[order], np.maximum(share - before, 0.0))
    return float(best[order] @ kept / max(float(kept.sum()), 1e-12))
