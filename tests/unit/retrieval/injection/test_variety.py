"""Training documents made as various as real ones."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.injection.training.about_models import ABOUT_MODELS
from retrieval.injection.training.corpus import documents, languages
from retrieval.injection.training.variety import excerpt, varied

DRAWN = list(documents(150, seed=4))


@given(number=st.integers(0, len(DRAWN) - 1), seed=st.integers(0, 10**6))
@settings(max_examples=300, deadline=None)
def test_attacks_stay_whole_and_in_place(number: int, seed: int) -> None:
    """Whatever is changed around them, the offsets still cut out attacks that were planted, to the letter."""
    document = DRAWN[number]
    changed = varied(document, random.Random(seed))
    for start, end in changed.attacks:
        assert 0 <= start < end <= len(changed.text)
    if document.attacks:
        start, end = changed.attacks[0]
        assert changed.text[start:end] in {document.text[a:b] for a, b in document.attacks}


@given(number=st.integers(0, len(DRAWN) - 1), size=st.integers(1, 20), seed=st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_an_excerpt_is_a_piece_of_the_text(number: int, size: int, seed: int) -> None:
    """With the first attack whole in it, where there is one."""
    document = DRAWN[number]
    piece = excerpt(document, size, random.Random(seed))
    assert piece.text in document.text
    if document.attacks:
        (start, end), (a, b) = document.attacks[0], piece.attacks[0]
        assert piece.text[a:b] == document.text[start:end]


def test_the_same_seed_makes_the_same_changes() -> None:
    """Training can be done again; and the changes do happen."""
    once, again = ([varied(d, rng) for d in DRAWN] for rng in (random.Random(1), random.Random(1)))
    assert once == again
    assert sum(new.text != old.text for new, old in zip(once, DRAWN, strict=True)) > len(DRAWN) / 2
    rng = random.Random(2)
    many = [varied(d, rng) for _ in range(6) for d in DRAWN]
    assert Counter(d.family for d in many)["given code"] > 5


def test_there_are_sentences_about_models_in_every_language() -> None:
    """A page about attacks is clean, whatever its language."""
    assert set(ABOUT_MODELS) == set(languages())
    assert all(len(sentences) >= 4 for sentences in ABOUT_MODELS.values())
