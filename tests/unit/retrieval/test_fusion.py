"""One score from several legs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.fusion import Fusion, FusionConfig, Legs, asks_number, named, reads, standard

CONFIG = FusionConfig()
finite = st.floats(-1e6, 1e6)


def legs(lexical: list[float], dense: list[float] | None = None, **more: list[float]) -> Legs:
    size = len(lexical)
    column = {name: np.array(more.get(name, [0.0] * size)) for name in ("named", "digits")}
    return Legs(lexical=np.array(lexical), dense=np.array(dense or [0.0] * size), **column)


def test_the_rule_is_the_stated_sum() -> None:
    """The final score is z(lexical) + 0.5 z(dense) + 1.25 z(late) + 8 named + 3 digits / 0.15, as documented."""
    found = legs([3.0, 1.0, 2.0], [0.2, 0.9, 0.4], named=[0.0, 0.5, 0.0], digits=[0.3, 0.0, 0.075])
    late = np.array([0.1, 0.3, 0.8], np.float32)
    scores = Fusion("How many vans?", 1.0, found, CONFIG).final(np.arange(3), late)
    expected = standard(found.lexical) + 0.5 * standard(found.dense) + 1.25 * standard(late)
    assert scores == pytest.approx(expected + 8 * found.named + 3 * np.array([1.0, 0.0, 0.5]))


def test_an_encoder_that_cannot_read_the_question_is_not_heard() -> None:
    """At a familiarity of 0.2 or less the order is that of BM25."""
    found = legs([3.0, 1.0, 2.0], [0.1, 0.9, 0.5])
    scores = Fusion("вопрос", 0.2, found, CONFIG).final(np.arange(3), np.array([0.0, 0.9, 0.1], np.float32))
    assert scores.tolist() == standard(found.lexical).tolist()
    assert [reads(f, CONFIG) for f in (0.0, 0.2, 0.45, 0.7, 1.0)] == pytest.approx([0, 0, 0.5, 1, 1])


def test_a_leg_that_tells_nothing_apart_says_nothing() -> None:
    """A question without any known term leaves the order to the others."""
    found = legs([0.0, 0.0, 0.0], [0.1, 0.9, 0.5])
    assert np.argsort(-Fusion("x", 1.0, found, CONFIG).first).tolist() == [1, 2, 0]


def test_digits_count_only_when_a_number_is_asked_for() -> None:
    """A table gains nothing from a question that asks for no number."""
    found = legs([1.0, 1.0], digits=[0.2, 0.0])
    assert Fusion("Who drives the van?", 1.0, found, CONFIG).first.tolist() == [0.0, 0.0]
    assert Fusion("How much does the van cost?", 1.0, found, CONFIG).first.tolist() == [3.0, 0.0]


@pytest.mark.parametrize("question", ["How many vans?", "What was the gross margin?", "Revenue in $ of 2022"])
def test_asks_number(question: str) -> None:
    """Amounts, ratios, counts and currencies are recognised."""
    assert asks_number(question)
    assert not asks_number("Who totalled the car?")


def test_a_name_counts_from_a_third_on() -> None:
    """Below 35% of a name shared words are chance; of two named documents the one that shares more stands out."""
    strengths = named(np.array([4.0, 2.0, 1.0]), np.array([1.0, 0.6, 0.3]), CONFIG)
    assert strengths == pytest.approx([0.65, 0.125, 0.0])
    assert named(np.zeros(0), np.zeros(0), CONFIG).tolist() == []


@given(st.lists(finite, max_size=30))
def test_standard_scores(values: list[float]) -> None:
    """Mean 0 and deviation 1, or all 0; never anything that is not a number."""
    scores = standard(np.array(values))
    assert np.isfinite(scores).all()
    if scores.any():
        assert scores.mean() == pytest.approx(0, abs=1e-6)
        assert scores.std() == pytest.approx(1, abs=1e-6)


@given(st.lists(st.tuples(finite, finite, st.floats(0, 0.65), st.floats(0, 1)), min_size=1, max_size=20))
def test_order_of_candidates_changes_no_score(rows: list[tuple[float, ...]]) -> None:
    """A candidate's score does not depend on where it stands among the others."""
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    table = np.array(rows)
    late = table[:, 1].astype(np.float32)

    def scores(which: np.ndarray) -> np.ndarray:
        lexical, dense, name, digits = table[which].T
        fusion = Fusion("How many?", 0.9, Legs(lexical=lexical, dense=dense, named=name, digits=digits), CONFIG)
        return fusion.final(np.arange(len(which)), late[which])

    assert scores(order) == pytest.approx(scores(np.arange(len(rows)))[order], rel=1e-6, abs=1e-6)
