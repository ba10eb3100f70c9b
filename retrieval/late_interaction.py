"""Late interaction: how well each token of a question meets its best match in a passage (MaxSim).

From Khattab and Zaharia, "ColBERT", 2020, over the token vectors of the encoder itself. A passage keeps one bit per
dimension, its vector's sign: +1 or -1 over the root of the dimensions. A token of the question counts by its weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.encoder import QueryEncoding

BLOCK: Final = 512  # passage tokens that are unpacked at once: 0.8 MB at 384 dimensions, which stays in the cache
MAX_TOKENS: Final = 32  # of the question, the weightiest: further ones change no order and cost as much as the first
NEGLIGIBLE: Final = 0.05  # weight, as a share of the greatest, below which a token of the question is left out


def max_sim(question: QueryEncoding, passages: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """The similarity of `question` to each passage, -1 to 1; 0 for one without tokens. Passages as `Encodings.tokens`.

    Weighted mean over the tokens of the question of their greatest cosine with a token of the passage.
    """
    if not passages:
        return np.zeros(0, np.float32)
    lengths = np.array([len(bits) for bits in passages])
    ends = np.cumsum(lengths)
    return max_sim_segments(question, np.concatenate(passages), np.stack([ends - lengths, ends], axis=1))


def max_sim_segments(
    question: QueryEncoding, bits: NDArray[np.uint8], segments: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The similarity of `question` to each of `segments` [n, 2], rows [start, end) of `bits`; 0 for an empty one.

    Segments may overlap and leave rows out, as the sentences of passages do.
    """
    scores = np.zeros(len(segments), np.float32)
    tokens = _weighted(question)
    filled = np.flatnonzero(segments[:, 1] > segments[:, 0])
    if not len(tokens) or not len(filled):
        return scores
    similarities = _similarities(tokens, bits)
    # reduceat takes [start, end) from neighbouring indices; what lies between two segments is every second result.
    bounds = segments[filled].ravel()
    padded = np.concatenate([similarities, np.zeros((len(tokens), 1), np.float32)], axis=1)
    scores[filled] = np.maximum.reduceat(padded, bounds, axis=1)[:, ::2].sum(axis=0)
    return scores


def _weighted(question: QueryEncoding) -> NDArray[np.float32]:
    """The tokens that count, each times its weight over the sum of weights: a maximum may then be summed as it is."""
    weights = question.weights
    if not len(weights) or weights.max() <= 0:
        return np.zeros((0, question.tokens.shape[-1]), np.float32)
    kept = np.flatnonzero(weights > NEGLIGIBLE * weights.max())
    kept = np.sort(kept[np.argsort(-weights[kept], kind="stable")[:MAX_TOKENS]])
    share = weights[kept] / weights[kept].sum()
    return np.ascontiguousarray(question.tokens[kept] * share[:, None], dtype=np.float32)


def _similarities(tokens: NDArray[np.float32], bits: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Inner products [tokens, rows of `bits`] of weighted tokens with unpacked, unit-length rows."""
    table = _signs(tokens.shape[1])
    found = np.empty((len(tokens), len(bits)), np.float32)
    for start in range(0, len(bits), BLOCK):
        block = table.take(bits[start : start + BLOCK], axis=0).reshape(-1, tokens.shape[1])
        np.matmul(tokens, block.T, out=found[:, start : start + BLOCK])
    return found


@cache
def _signs(dimensions: int) -> NDArray[np.float32]:
    """[256, 8]: the eight signs that a byte of `np.packbits` stands for, over the root of `dimensions`."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    signs: NDArray[np.float32] = (2 * bits.astype(np.float32) - 1) / np.float32(dimensions**0.5)
    return signs
