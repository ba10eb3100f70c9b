"""MaxSim over one-bit token vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.encoder import QueryEncoding
from retrieval.late_interaction import BLOCK, MAX_TOKENS, max_sim, max_sim_segments

DIMENSIONS = 64


def question(tokens: int, seed: int = 0, weights: list[float] | None = None) -> QueryEncoding:
    rows = np.random.default_rng(seed).standard_normal((tokens, DIMENSIONS)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    weighed = np.array(weights if weights is not None else [1.0] * tokens, np.float32)
    return QueryEncoding(dense=np.zeros(DIMENSIONS, np.float32), tokens=rows, weights=weighed, familiarity=1.0)


def passage(tokens: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (tokens, DIMENSIONS // 8), dtype=np.uint8)


def plain(asked: QueryEncoding, bits: NDArray[np.uint8]) -> float:
    """The definition, token by token."""
    if not len(bits):
        return 0.0
    signs = (2.0 * np.unpackbits(bits, axis=1) - 1.0) / DIMENSIONS**0.5
    best = [max(float(token @ row) for row in signs) for token in asked.tokens]
    return float(np.dot(asked.weights, best) / asked.weights.sum())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 8), st.integers(0, 1000))
def test_agrees_with_the_definition(lengths: list[int], tokens: int, seed: int) -> None:
    """For passages of any length, none included, the score is the weighted mean of best cosines."""
    asked = question(tokens, seed, [1.0 + n for n in range(tokens)])
    passages = [passage(length, seed + n) for n, length in enumerate(lengths)]
    expected = [plain(asked, bits) for bits in passages]
    assert max_sim(asked, passages).tolist() == pytest.approx(expected, abs=1e-5)


def test_blocks_do_not_show() -> None:
    """A passage that spans several blocks scores as one."""
    asked, long = question(3), passage(2 * BLOCK + 7, 5)
    assert max_sim(asked, [long, long[:5]]).tolist() == pytest.approx([plain(asked, long), plain(asked, long[:5])])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted), max_size=8))
def test_segments_may_overlap_and_leave_rows_out(bounds: list[list[int]]) -> None:
    """Each segment scores as the passage that it is, in any order, the empty ones 0."""
    asked, bits = question(4), passage(30, 9)
    segments = np.array(bounds, np.int64).reshape(-1, 2)
    expected = [plain(asked, bits[start:end]) for start, end in segments]
    assert max_sim_segments(asked, bits, segments).tolist() == pytest.approx(expected, abs=1e-5)


def test_a_passage_that_holds_the_question_scores_best() -> None:
    """The signs of the question's own tokens are its best match."""
    asked = question(5)
    own = np.packbits(asked.tokens > 0, axis=1)
    scores = max_sim(asked, [passage(50, 1), np.concatenate([passage(10, 2), own]), passage(50, 3)])
    assert scores.argmax() == 1
    assert scores[1] > 0.7


@pytest.mark.parametrize("weights", [[0.0, 0.0], []])
def test_a_question_without_telling_tokens_scores_nothing(weights: list[float]) -> None:
    """Punctuation alone says nothing of any passage."""
    assert max_sim(question(len(weights), weights=weights), [passage(3, 1)]).tolist() == [0.0]


def test_no_passages() -> None:
    """Nothing in, nothing out."""
    assert max_sim(question(2), []).tolist() == []


def test_only_the_weightiest_tokens_are_compared() -> None:
    """Of a long question the tokens beyond the limit change nothing; negligible ones neither."""
    heavy = question(MAX_TOKENS)
    long = question(MAX_TOKENS + 50, weights=[1.0] * MAX_TOKENS + [0.5] * 50)
    long.tokens[:MAX_TOKENS] = heavy.tokens
    bits = [passage(20, 4), passage(30, 5)]
    assert max_sim(long, bits).tolist() == pytest.approx(max_sim(heavy, bits).tolist())
