from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.injection import lexicon
from retrieval.injection.lexicon import ENGLISH_MASKS, INSIDE_TERMS, LEXICON
from retrieval.injection.lexicon_classes import Word
from retrieval.injection.lexicon_latin import LATIN
from retrieval.injection.lexicon_scripts import SCRIPTS


@given(word=st.text(st.characters(codec=None), max_size=40))
def test_any_word_has_a_mask(word: str) -> None:
    """Every text is looked up without an error and gets known classes only."""
    assert 0 <= LEXICON[word] < 1 << len(Word)


@pytest.mark.parametrize(
    ("word", "word_class"),
    [
        ("ignore", Word.OVERRIDE),
        ("anweisungen", Word.INSTRUCTION),
        ("инструкции", Word.INSTRUCTION),
        ("user@example.org", Word.ADDRESS),
        ("system_prompt", Word.PROMPT),
        ("'ignore'", Word.OVERRIDE),
        ("model's", Word.AI),
    ],
)
def test_forms_stems_and_parts_are_found(word: str, word_class: Word) -> None:
    """A word is found by its form, by its stem, and inside of quotes, underscores and a genitive."""
    assert LEXICON[word] & word_class


@pytest.mark.parametrize("word", ["ignorance", "ignores", "secretary", "ordinary", "table", "orderly"])
def test_words_that_only_look_similar_do_not_override(word: str) -> None:
    """Nouns and third persons are no orders, though they begin like one."""
    assert not LEXICON[word] & (Word.OVERRIDE | Word.INSTRUCTION)


def test_each_language_can_override_and_name_instructions() -> None:
    """All eighteen languages have the words of the commonest attack."""
    assert len(LATIN) + len(SCRIPTS) == 18
    for language in (*LATIN, *SCRIPTS):
        assert language[Word.OVERRIDE].split()
        assert language[Word.INSTRUCTION].split()


def test_english_forms_win_over_foreign_stems() -> None:
    """An English word that other languages share counts as English."""
    assert not any(LEXICON[word] & Word.FOREIGN for word in ENGLISH_MASKS)


def test_terms_inside_of_text_are_written_as_they_are_searched() -> None:
    """Terms are casefolded and hold no marks of the list's notation."""
    assert all(term == term.casefold() and "_" not in term and "*" not in term for term in INSIDE_TERMS)


def test_memory_of_unknown_words_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text of made-up words does not fill the memory."""
    monkeypatch.setattr(lexicon, "MAX_REMEMBERED", len(LEXICON) + 10)
    for number in range(100):
        LEXICON[f"zzq{number}"]
    assert len(LEXICON) <= lexicon.MAX_REMEMBERED
