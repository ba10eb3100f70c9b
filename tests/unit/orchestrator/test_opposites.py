from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.opposites import has_opposite


@pytest.mark.parametrize(
    ("one", "other"),
    [("before noon", "after noon"), ("the largest plan", "the smallest plan"), ("reported", "unreported")],
)
def test_opposites_are_seen_both_ways(one: str, other: str) -> None:
    """Words of the list and negating prefixes contradict, whichever text has which."""
    assert has_opposite(one, other)
    assert has_opposite(other, one)


def test_words_of_one_meaning_do_not_contradict() -> None:
    """ "Less" is no opposite of "fewer", and a text that has both words contradicts neither."""
    assert not has_opposite("fewer days", "less days")
    assert not has_opposite("more days", "more or less days")


@given(st.text(max_size=200))
def test_no_text_is_its_own_opposite(text: str) -> None:
    """Any string is taken, and none contradicts itself."""
    assert not has_opposite(text, text)
