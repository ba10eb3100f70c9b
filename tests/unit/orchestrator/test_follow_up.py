"""Follow-up questions that are made to stand alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.follow_up import stand_alone


@pytest.mark.parametrize(
    ("earlier", "question", "topic"),
    [
        (["What does the Veltrim K3 grinder cost?"], "Does it come with a lid?", "Veltrim K3"),
        (["How long is parental leave?", "Who approves it?"], "And when?", "parental leave"),
        (["Wie lange gilt die Garantie der Mühle?"], "Wer zahlt dafür?", "Garantie"),
    ],
)
def test_a_question_without_a_topic_gets_that_of_the_conversation(
    earlier: list[str], question: str, topic: str
) -> None:
    """A pronoun that refers to nothing in the question, or hardly a word, brings the topic in behind the question."""
    made = stand_alone(question, earlier)
    assert made.topic == topic
    assert made.text == f"{question} ({topic})"


@pytest.mark.parametrize(
    "question",
    [
        "What does the customer pay when the parcel is lost and it was insured?",
        "Is it possible to return a grinder after ninety days of use?",
        "How many people work in the Osaka branch?",
    ],
)
def test_a_question_with_a_topic_stays_as_it_is(question: str) -> None:
    """What a pronoun stands for may be in the question, and "it is possible" stands for nothing."""
    assert stand_alone(question, ["How long is parental leave?"]).text == question


def test_without_a_conversation_nothing_is_added() -> None:
    """The first question of a conversation is asked as it is."""
    assert stand_alone("And then?", []).topic is None
    assert stand_alone("And then?", ["", "   "]).topic is None


@given(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=4))
def test_the_question_itself_is_never_lost(question: str, earlier: list[str]) -> None:
    """Whatever was said, the question comes first, and what is added are words of the conversation."""
    made = stand_alone(question, earlier)
    assert made.text.startswith(question.rstrip())
    assert made.topic is None or any(made.topic in turn for turn in earlier)
