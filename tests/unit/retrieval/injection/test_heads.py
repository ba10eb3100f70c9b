"""The learned heads and the file that holds them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from retrieval.injection.heads import (
    ALONE_COLUMNS,
    INSIDE_COLUMNS,
    MODEL_FILE,
    Network,
    Tail,
    load_model,
)


def test_the_shipped_model_fits_the_code_and_can_be_read() -> None:
    """It is one JSON file below half a megabyte that names its columns and holds finite numbers."""
    assert MODEL_FILE.stat().st_size < 500_000
    found = json.loads(MODEL_FILE.read_text(encoding="utf-8"))
    assert "train" in found["about"]
    assert found["alone"]["columns"] == list(ALONE_COLUMNS)
    assert found["inside"]["columns"] == list(INSIDE_COLUMNS)
    model = load_model()
    for head, columns in (
        (model.alone, len(ALONE_COLUMNS)),
        (model.overt, len(ALONE_COLUMNS) + len(model.mean)),
        (model.inside, len(INSIDE_COLUMNS) + len(model.mean)),
    ):
        assert head.network.linear.shape == (columns,)
        assert head.network.hidden.shape[1] == columns
        assert np.isfinite(head.network.logits(np.zeros((3, columns), np.float32))).all()


def test_another_file_has_another_id(tmp_path: Path) -> None:
    """Findings of two models can be told apart."""
    other = tmp_path / "model.json"
    other.write_text(MODEL_FILE.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert load_model(other).id != load_model().id


def test_a_model_for_other_columns_is_refused(tmp_path: Path) -> None:
    """Weights never meet columns that they were not made for."""
    found = json.loads(MODEL_FILE.read_text(encoding="utf-8"))
    found["alone"]["columns"].reverse()
    other = tmp_path / "model.json"
    other.write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(ValueError, match="train"):
        load_model(other)


def test_a_score_is_the_share_of_documents_without_as_high_a_sentence() -> None:
    """Drawn documents agree with it, whatever their length."""
    tail = Tail(knee=1.0, share=0.02, decay=0.5, exponent=1.0, soil=0.0)
    rng = np.random.default_rng(0)
    for sentences in (5, 50):
        beyond = rng.random((20_000, sentences)) < 0.02
        highest = np.where(beyond, 1.0 + rng.exponential(0.5, beyond.shape), 0.0).max(axis=1)
        for logit in (1.2, 2.0, 3.0):
            (score,) = tail.score(np.array([logit], np.float32), sentences)
            assert score == pytest.approx((highest < logit).mean(), abs=0.015)


def test_scores_rise_with_the_logit_and_fall_with_the_length() -> None:
    """A higher logit is never less suspicious, a long document has more chances; below the knee is nothing."""
    tail = Tail(knee=1.0, share=0.1, decay=0.5, exponent=0.5, soil=0.0)
    logits = np.linspace(-5, 9, 50).astype(np.float32)
    short, long = tail.score(logits, 4), tail.score(logits, 400)
    assert (np.diff(short) >= 0).all()
    assert (long <= short).all()
    assert short[logits < 1].max() == 0
    assert short[-1] > 0.999


def test_logits_are_the_regression_and_the_hidden_units() -> None:
    """Checked by hand on two columns; what is far out counts as three deviations; blocks change nothing."""
    network = Network(
        centre=np.array([1, 0], np.float32),
        scale=np.array([2, 1], np.float32),
        linear=np.array([0.5, -1], np.float32),
        hidden=np.array([[1, 1], [0, -1]], np.float32),
        hidden_bias=np.array([0, 1], np.float32),
        output=np.array([2, 3], np.float32),
        bias=0.25,
    )
    (logit,) = network.logits(np.array([[3, 0]], np.float32))  # standardised: 1, 0
    assert logit == pytest.approx(0.5 + 2 * 1 + 3 * 1 + 0.25)
    far, at_limit = network.logits(np.array([[1_000, 0], [7, 0]], np.float32))
    assert far == at_limit
    rows = np.random.default_rng(0).standard_normal((9_000, 2)).astype(np.float32)
    np.testing.assert_allclose(network.logits(rows)[4_090:4_100], network.logits(rows[4_090:4_100]), rtol=1e-5)
