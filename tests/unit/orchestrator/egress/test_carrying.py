from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.egress.carrying import carries_value, is_courtesy, says_nothing_new

LEAVE = "Every full-time employee receives 25 days of paid leave a year."


@pytest.mark.parametrize(
    ("value", "quote"),
    [
        ("25 days", LEAVE),
        ("25", LEAVE),
        ("paid leave", LEAVE),
        ("Full-Time Employee", LEAVE),
        ("2026-03-31", "The contract ends on 31 March 2026."),
        ("31.03.2026", "The contract ends on March 31, 2026."),
        ("1200 EUR", "Travel above €1,200 is approved."),
        ("EUR 1,200", "Travel above 1200 EUR is approved."),
        ("1.2 million", "It cost 1,200,000 in all."),
        ("30 days", "You have thirty days to appeal."),
        ("5", "Seats: 5"),
        ("A", "Grade A"),
        ("25天", "员工享有25天带薪假。"),
        ("not refundable", "The fee is not refundable."),
    ],
)
def test_a_value_that_stands_there_is_carried(value: str, quote: str) -> None:
    """As it is, or the same number or date written otherwise."""
    assert carries_value(value, [quote])


@pytest.mark.parametrize(
    ("value", "quote"),
    [
        ("30 days", LEAVE),
        ("25 weeks", LEAVE),
        ("2", LEAVE),
        ("5", LEAVE),
        ("leaves", LEAVE),
        ("paid", "Unpaid leave is granted."),
        ("refundable", "The fee is not refundable."),
        ("2026-04-30", "The contract ends on 31 March 2026."),
        ("1200 EUR bonus", "Travel above 1,200 EUR is approved."),
        ("25 days for contractors", LEAVE),
        ("yes", LEAVE),
        ("true", LEAVE),
        ("?", "What now?"),
        ("-5", "5 degrees"),
    ],
)
def test_a_value_that_does_not_is_not(value: str, quote: str) -> None:
    """Another number, another unit, a part of a word, what a negation took back, or words besides."""
    assert not carries_value(value, [quote])


def test_one_quote_has_to_hold_a_value_alone() -> None:
    """A value put together from two quotes stands in neither."""
    assert not carries_value("25 days from 1 May", [LEAVE, "It holds from 1 May."])
    assert not carries_value("25 days", [])


@pytest.mark.parametrize(
    "title",
    ["Paid leave", "Summary: paid leave of full-time employees", "Your question about leave", "25 days of leave"],
)
def test_a_title_in_words_of_its_sources_says_nothing_new(title: str) -> None:
    """Its words stand in the quotes, or only name a kind of text."""
    assert says_nothing_new(title, [LEAVE])


@pytest.mark.parametrize(
    "title", ["Leave is cancelled", "30 days of leave", "No paid leave", "Leave at Acme", "Your refund", "Urlaub"]
)
def test_a_title_that_says_more_does(title: str) -> None:
    """Another word, number or name, or a denial."""
    assert not says_nothing_new(title, [LEAVE])


@pytest.mark.parametrize(
    "text",
    [
        "Dear Anna Smith,",
        "Hi Anna,",
        "Thank you for your question.",
        "Please let us know if we can help further.",
        "Kind regards",
        "Your Support Team",
        "Sehr geehrte Frau Smith,",
        "Mit freundlichen Grüßen",
        "Bonjour madame,",
    ],
)
def test_a_greeting_needs_no_quote(text: str) -> None:
    """Greetings, thanks and closings, to somebody who is named in the question."""
    assert is_courtesy(text, ["What does Anna Smith get?"])


@pytest.mark.parametrize(
    "text",
    [
        "Dear Boris,",
        "Thank you, your refund is approved.",
        "Please contact us within 3 days.",
        "Please send us your password.",
        "Anna Smith",
        "Thanks Anna",
        "We will not help you.",
        "Hello, the form is online.",
        "",
        "...",
    ],
)
def test_a_sentence_that_says_something_needs_one(text: str) -> None:
    """A name that nobody gave, a number, a denial, or any word that is no courtesy."""
    assert not is_courtesy(text, ["What does Anna Smith get?"])


@settings(max_examples=300, deadline=None)
@given(st.text(), st.lists(st.text(), max_size=3))
def test_any_text_can_be_looked_at(text: str, held: list[str]) -> None:
    """None of the checks raises; no quote carries nothing, and a text with a digit is no courtesy."""
    carries_value(text, held)
    says_nothing_new(text, held)
    assert not carries_value(text, [])
    assert not (is_courtesy(text, held) and any(character.isdigit() for character in text))
