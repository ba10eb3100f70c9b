"""Training: what it fits, what its scores mean, and that it can be done again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ingest.encoders import EncoderConfig, open_encoder
from retrieval.injection.heads import ALONE_COLUMNS, Tail
from retrieval.injection.training import fit as fitting
from retrieval.injection.training.fit import fit
from retrieval.injection.training.train import tail, trained_model, written


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "STEPS", 60)
    monkeypatch.setattr(fitting, "BATCH", 512)


def test_it_learns_what_is_odd_only_together(few_steps: None) -> None:
    """Two columns that say nothing alone and everything together, which a regression cannot learn."""
    rng = np.random.default_rng(0)
    rows = rng.choice([-1.0, 1.0], (4_000, 2)).astype(np.float32)
    target = rows[:, 0] * rows[:, 1] > 0
    logits = fit(rows, target, 16, seed=1).logits(rows)
    assert logits[target].min() > logits[~target].max()


def test_the_same_seed_fits_the_same_weights(few_steps: None) -> None:
    """And another seed others."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((600, 5)).astype(np.float32)
    target = rows[:, 0] > 0.5
    first, again, other = (fit(rows, target, 4, seed).logits(rows) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_scores_are_set_on_clean_documents() -> None:
    """5 in 100 reach 0.95 and 1 in 100 reaches 0.99, and long ones no more often than short ones."""
    rng = np.random.default_rng(0)
    clean = [rng.standard_normal(size).astype(np.float32) for size in rng.integers(4, 90, 6_000)]
    own = Tail(**tail(clean))
    scores = np.array([own.score(logits, len(logits)).max() for logits in clean])
    assert (scores >= 0.95).mean() == pytest.approx(0.05, abs=0.012)
    assert (scores >= 0.99).mean() == pytest.approx(0.01, abs=0.005)
    is_long = np.array([len(logits) > 45 for logits in clean])
    assert abs((scores >= 0.95)[is_long].mean() - (scores >= 0.95)[~is_long].mean()) < 0.03


def test_a_model_is_trained_again_to_the_letter(few_steps: None) -> None:
    """From few texts and with few steps, but from the texts to the file: twice the same, complete, one key a line."""
    encoder = open_encoder(EncoderConfig(threads=1, allow_download=False))
    first = trained_model(encoder, 12, 24, 30)
    assert trained_model(encoder, 12, 24, 30) == first
    found = json.loads(first)
    assert list(found) == ["about", "mean", "alone", "overt", "inside"]
    assert found["alone"]["columns"] == list(ALONE_COLUMNS)
    assert len(found["mean"]) == encoder.dimensions


def test_the_file_keeps_numbers_on_one_line() -> None:
    """People can find a head's tail in it; programs read back what was written."""
    model = {"a": {"tail": {"knee": 1.5}, "columns": ["x", "y"], "hidden": [[1, 2], [3, 4]]}}
    text = written(model)
    assert json.loads(text) == model
    assert '"columns": ["x", "y"]' in text
    assert "[3, 4]" in text
