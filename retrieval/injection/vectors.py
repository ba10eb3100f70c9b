"""Sentence vectors pooled from the token vectors that the encoder made of the chunks: nothing is encoded again.

A token vector is stored as the signs of its dimensions. The mean of the signs over a sentence's tokens keeps the
direction of the mean of the vectors themselves, as random hyperplanes do (Charikar, 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.screening import ChunkTokens

FEW_TOKENS: Final = 5.0  # of a sentence: then half of its direction is chance, and counts for half


def pooled_signs(
    spans: NDArray[np.int64], chunks: Sequence[ChunkTokens], silent: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean sign of each dimension over the tokens of each sentence, and how many tokens there are.

    `spans` are [start, end) of the sentences, ascending, without overlap: [sentences, 2]. `silent` tells for each
    character of the text whether its token is left out. Gives [sentences, dimensions] from -1 to 1, all 0 for a
    sentence without tokens, and [sentences].
    """
    dimensions = max((chunk.tokens.shape[1] * 8 for chunk in chunks), default=0)
    sums = np.zeros((len(spans), dimensions), np.float32)
    counts = np.zeros(len(spans), np.float32)
    for chunk in chunks:
        owner = spans[:, 0].searchsorted(chunk.starts, side="right") - 1
        inside = (owner >= 0) & (chunk.starts < spans[owner, 1]) & ~silent[chunk.starts]
        owner, tokens = owner[inside], chunk.tokens[inside]
        if not len(owner):
            continue
        first = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
        sizes = np.diff(np.r_[first, len(owner)])
        ones = np.add.reduceat(np.unpackbits(tokens, axis=1), first, axis=0, dtype=np.int32)
        sums[owner[first]] += 2 * ones - sizes[:, None]
        counts[owner[first]] += sizes
    sums /= np.maximum(counts, 1)[:, None]
    return sums, counts


def centred(signs: NDArray[np.float32], counts: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows without the direction that all texts share: what is left tells sentences apart.

    They are of unit length but for sentences of few tokens, whose rows are shorter.
    """
    rest = signs - mean
    length = np.maximum(np.linalg.norm(rest, axis=1), 1e-6)
    scale = counts / (counts + FEW_TOKENS) / length
    return np.asarray(rest * scale[:, None], np.float32)
