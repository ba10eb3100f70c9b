"""Sentence vectors pooled from the token vectors that the encoder made of the chunks: nothing is encoded again.

A token vector is stored as the signs of its dimensions. The mean of the signs over a sentence's tokens keeps the
direction of the mean of the vectors themselves, as random hyperplanes do (Charikar, 2002).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.screening import ChunkTokens


def pooled_signs(spans: NDArray[np.int64], chunks: Sequence[ChunkTokens]) -> NDArray[np.float32]:
    """The mean sign of each dimension over the tokens of each sentence: [sentences, dimensions], from -1 to 1.

    `spans` are [start, end) of the sentences, ascending, without overlap: [sentences, 2]. A sentence of which the
    chunks hold no token is all 0.
    """
    dimensions = max((chunk.tokens.shape[1] * 8 for chunk in chunks), default=0)
    sums = np.zeros((len(spans), dimensions), np.float32)
    counts = np.zeros(len(spans), np.float32)
    for chunk in chunks:
        owner = spans[:, 0].searchsorted(chunk.starts, side="right") - 1
        inside = (owner >= 0) & (chunk.starts < spans[owner, 1])
        owner, tokens = owner[inside], chunk.tokens[inside]
        if not len(owner):
            continue
        first = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
        sizes = np.diff(np.r_[first, len(owner)])
        ones = np.add.reduceat(np.unpackbits(tokens, axis=1), first, axis=0, dtype=np.int32)
        sums[owner[first]] += 2 * ones - sizes[:, None]
        counts[owner[first]] += sizes
    return sums / np.maximum(counts, 1)[:, None]


def centred(signs: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit rows without the direction that all texts share: what is left tells sentences apart."""
    rest: NDArray[np.float32] = np.where(signs.any(axis=1, keepdims=True), signs - mean, np.float32(0))
    return rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-6)
