from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.question import MAX_CHARACTERS, holds_answer_kind, read_question


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("How many days of leave do I get?", "number"),
        ("What percentage of the fee is refunded?", "number"),
        ("When does the notice period end?", "time"),
        ("In which year was the office opened?", "time"),
        ("Who approves travel?", "person"),
        ("Where is the server room?", "place"),
        ("Which country hosts the backup?", "place"),
        ("How do I reset my password?", "other"),
        ("Wie viele Tage Urlaub gibt es?", "number"),
        ("Wer genehmigt Reisen?", "person"),
        ("Quand ferme le bureau ?", "time"),
        ("¿Dónde está la oficina?", "place"),
        ("退款期限是多少天？", "number"),
        ("谁批准差旅？", "person"),
        ("Сколько дней отпуска?", "number"),
        ("", "other"),
    ],
)
def test_the_kind_of_answer_is_read_from_the_question(text: str, kind: str) -> None:
    """Question words of several languages say whether a person, a place, a time or a number is asked for."""
    assert read_question(text).kind == kind


def test_shaping_words_are_not_looked_for() -> None:
    """What only makes a sentence a question is left out; a question of nothing else keeps its words."""
    assert read_question("How many days did Anna Weber have?").terms == ("day", "anna", "weber")
    assert read_question("What did they do?").terms == ("did", "they", "do")


def test_names_and_numbers_are_told_apart() -> None:
    """Capitalised words are names unless they begin the question or all words are capitalised; digits are numbers."""
    question = read_question("Was Anna Weber paid 1,200.50 EUR in 2024?")
    assert {"anna", "weber"} <= question.names
    assert question.numbers == {"1,200.50", "2024"}
    assert read_question("WHO PAID THE FEE").names == frozenset()
    assert read_question("Warsaw lies where?").names == frozenset()
    assert read_question("Wie viele Tage Urlaub bekommen die Mitarbeiter?").names == frozenset()


def test_negation_in_a_question_is_counted() -> None:
    """A question that negates is known as one."""
    assert read_question("Which plan does not include support?").negations == 1
    assert read_question("Welcher Tarif enthält keinen Support?").negations == 1
    assert read_question("Which plan includes support?").negations == 0


@pytest.mark.parametrize(
    ("question", "held", "lacking"),
    [
        ("How many days?", "It takes 14 days.", "It takes some days."),
        ("How many days after 2020?", "It takes two days.", "It took days."),
        ("When does it start?", "It starts on 3 May.", "It starts soon."),
        ("Who leads Support?", "the team is led by Ines Roth", "the team is led by a manager of Support"),
        ("Where is the archive?", "it is kept in Lisbon", "it is kept in a room"),
    ],
)
def test_a_sentence_holds_the_kind_that_is_asked_for(question: str, held: str, lacking: str) -> None:
    """A number, a time or a name that the question does not itself hold is what such a question wants."""
    read = read_question(question)
    assert holds_answer_kind(held, read)
    assert not holds_answer_kind(lacking, read)


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_is_read(question: str, sentence: str) -> None:
    """Any string is a question, and any string may be held against it."""
    read = read_question(question)
    assert read.names <= set(read.terms)
    assert holds_answer_kind(sentence, read) in (True, False)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("unit", ["a", "A ", "1.", "? ", "Ab-", "wer "])
def test_a_huge_question_is_read_in_part(unit: str) -> None:
    """Of a megabyte no more than the first characters are read."""
    assert len(read_question(unit * (1_000_000 // len(unit))).text) <= MAX_CHARACTERS
