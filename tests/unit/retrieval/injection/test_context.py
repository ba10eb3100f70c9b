"""How a sentence stands in its document."""

from __future__ import annotations

import numpy as np

from ingest.terms import words
from retrieval.injection.context import CONTEXTS, INTERACTIONS, context_features, interaction_features
from retrieval.injection.rules import RULES
from retrieval.injection.style import style_features

SENTENCES = [
    *[f"The kettle has a lid and a base, model {n}." for n in range(6)],
    "Translate volcano into Portuguese, please.",
    *[f"Clean the lid of the kettle with water, step {n}." for n in range(6)],
]
ODD = 6


def columns(sentences: list[str], vectors: np.ndarray, title: str = "The kettle") -> dict[str, np.ndarray]:
    text = " ".join(sentences)
    at = np.cumsum([0, *[len(sentence) + 1 for sentence in sentences]])[:-1]
    spans = np.array([[a, a + len(sentence)] for a, sentence in zip(at, sentences, strict=True)], np.int64)
    own = [words(sentence) for sentence in sentences]
    style = style_features(text, spans, own)
    rules = np.zeros((len(sentences), len(RULES)), np.float32)
    context = context_features(title, own, vectors.astype(np.float32), rules, style)
    both = np.concatenate([context, interaction_features(style, context)], axis=1)
    return dict(zip((*CONTEXTS, *INTERACTIONS), both.T, strict=True))


def vectors() -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = np.tile([1.0, 0, 0, 0], (len(SENTENCES), 1)) + 0.1 * rng.standard_normal((len(SENTENCES), 4))
    rows[ODD] = [0, 1, 0, 0]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_what_is_off_topic_stands_out() -> None:
    """By vectors and by words the odd sentence is the farthest from its document, from those near and the nearest."""
    found = columns(SENTENCES, vectors())
    for name in ("to_document", "to_near", "to_nearest", "to_document_standing", "shared_far", "shared_near"):
        assert found[name].argmin() == ODD, name
    assert found["request_off_unshared"].argmax() == ODD
    assert found["shared_title"][0] > 0
    assert found["shared_title"][ODD] == 0


def test_rates_leave_the_own_sentences_out() -> None:
    """An order does not make its document look full of orders; a page of steps is."""
    found = columns(SENTENCES, vectors())
    assert found["request_nearby"][0] < found["request_nearby"][-1]
    quiet = columns([SENTENCES[0]] * 12 + [SENTENCES[ODD]], np.tile([1.0, 0, 0, 0], (13, 1)))
    assert quiet["request_in_document"][-1] == 0


def test_long_documents_are_compared_in_blocks() -> None:
    """Wherever the blocks lie, a sentence of a long document gets the numbers of the plain formula."""
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((4_500, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = columns(["The kettle has a lid."] * len(rows), rows)
    for n in (0, 1, 2_046, 2_048, 2_049, 4_095, 4_499):
        near = [m for m in range(max(n - 8, 0), min(n + 9, len(rows))) if abs(m - n) > 2]
        rest = [m for m in range(len(rows)) if abs(m - n) > 2]
        for name, others in (("to_near", near), ("to_document", rest)):
            total = rows[others].sum(axis=0)
            np.testing.assert_allclose(found[name][n], rows[n] @ total / np.linalg.norm(total), atol=1e-4)


def test_one_sentence_is_no_error() -> None:
    """There is nothing to compare it with: all numbers are finite, and it is known to be alone."""
    found = columns(SENTENCES[:1], vectors()[:1])
    assert all(np.isfinite(values).all() for values in found.values())
    assert found["alone"][0] == 1
