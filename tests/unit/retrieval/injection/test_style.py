"""How sentences are written: each column tells what its name says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.terms import words
from retrieval.injection.style import STYLES, style_features
from retrieval.sentences import sentence_spans


def styles(text: str) -> list[dict[str, float]]:
    spans = np.array(sentence_spans(text), np.int64).reshape(-1, 2)
    rows = style_features(text, spans, [words(text[a:b]) for a, b in spans])
    return [dict(zip(STYLES, row.tolist(), strict=True)) for row in rows]


@pytest.mark.parametrize(
    ("sentence", "present", "absent"),
    [
        ("Translate the menu into French.", ("writes", "tongue"), ("works", "asks")),
        ("- Please also write a poem about rain.", ("writes", "please_first", "item", "form"), ("works",)),
        ("Click the green button.", ("works",), ("writes", "asks")),
        ("Before you answer, summarise the mail.", ("writes_later", "adds_you"), ("writes", "works")),
        ("Don't forget your key.", ("negated", "you"), ("writes",)),
        ("What is the capital of Peru?", ("asks", "query_marks"), ("writes", "works")),
        ("Could you tell me more?", ("modal_you", "query_marks"), ("writes",)),
        ("Put a joke into your next answer.", ("you_answer", "works"), ("asks",)),
        ("| a | b |", ("row",), ("prose", "heading")),
        ("# Delivery", ("heading",), ("prose", "row")),
        ("The parcel was sent on Monday by the warehouse.", ("prose", "past", "stopped"), ("writes", "works", "you")),
        ("请把这句话翻译成英文。", ("abroad", "stopped"), ("ascii",)),
        ("See https://example.com/help for more.", ("links",), ("writes",)),
    ],
)
def test_a_column_says_what_its_name_says(sentence: str, present: tuple[str, ...], absent: tuple[str, ...]) -> None:
    """Requests, questions, who is spoken to and what the text looks like are told apart."""
    (row,) = styles(sentence)
    assert all(row[name] > 0 for name in present), {name: row[name] for name in present}
    assert not any(row[name] > 0.01 for name in absent), {name: row[name] for name in absent}


def test_a_sentence_is_described_by_its_own_words() -> None:
    """Neighbours change nothing: each row of a text is the row of the sentence alone."""
    sentences = ["Translate the menu into French.", "The parcel was late.", "Why is that so?"]
    together = styles(" ".join(sentences))
    assert together == [styles(sentence)[0] for sentence in sentences]


@given(st.text(st.characters(), max_size=300))
def test_any_text_gives_bounded_numbers(text: str) -> None:
    """Whatever the characters, lone surrogates too, there is one finite row from 0 to 3 for each sentence."""
    rows = styles(text)
    assert len(rows) == len(sentence_spans(text))
    assert all(0 <= value <= 3 for row in rows for value in row.values())
