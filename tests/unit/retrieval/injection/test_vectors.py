"""Sentence vectors from token vectors."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.screening import ChunkTokens
from retrieval.injection.vectors import centred, pooled_signs


def chunk_of(starts: list[int], signs: np.ndarray, end: int) -> ChunkTokens:
    return ChunkTokens(start=0, end=end, starts=np.array(starts, np.int64), tokens=np.packbits(signs > 0, axis=1))


@given(st.data())
def test_pooling_is_the_mean_sign_of_the_tokens_inside(data: st.DataObject) -> None:
    """Whatever the borders of chunks and sentences, each token counts once, for the sentence that it begins in."""
    length = data.draw(st.integers(4, 60))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    starts = np.unique(rng.integers(0, length, 20))
    signs = rng.choice([-1, 1], (len(starts), 16))
    cuts = np.unique(rng.integers(0, length + 1, 6))
    pairs = [pair for n, pair in enumerate(pairwise(cuts)) if n != 2]
    spans = np.array(pairs, np.int64).reshape(-1, 2)
    silent = rng.random(length) < 0.3
    middle = length // 2
    left = starts < middle
    chunks = [
        ChunkTokens(start=a, end=b, starts=starts[own].astype(np.int64), tokens=np.packbits(signs[own] > 0, axis=1))
        for a, b, own in ((0, middle, left), (middle, length, ~left))
    ]
    means, counts = pooled_signs(spans, chunks, silent)
    for (a, b), mean, count in zip(spans, means, counts, strict=True):
        inside = (starts >= a) & (starts < b) & ~silent[starts]
        assert count == inside.sum()
        np.testing.assert_allclose(mean, signs[inside].mean(axis=0) if inside.any() else np.zeros(16), atol=1e-6)


def test_a_sentence_of_few_tokens_has_a_short_vector() -> None:
    """Its direction is mostly chance; one without tokens has no direction at all."""
    signs = np.ones((41, 8))
    chunk = chunk_of(list(range(41)), signs, 41)
    spans = np.array([[0, 40], [40, 41], [50, 60]], np.int64)
    rows = centred(*pooled_signs(spans, [chunk], np.zeros(60, np.bool_)), np.full(8, 0.5, np.float32))
    lengths = np.linalg.norm(rows, axis=1)
    assert lengths[0] > 0.85
    assert 0 < lengths[1] < 0.2
    assert lengths[2] == 0
