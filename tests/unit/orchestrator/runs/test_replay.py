"""What a replay begins with, and what counts as a difference."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadInput
from orchestrator.runs.replay import ASPECTS, Replay, compare, recorded_inputs

ANSWER: dict[str, Any] = {
    "run_id": "r1",
    "status": "answered",
    "answer": "At noon.",
    "claims": [
        {
            "text": "At noon.",
            "citations": [
                {"document_id": "a.md", "version": 1, "start": 3, "end": 11, "quote": "At noon.", "title": "A"}
            ],
        }
    ],
    "confidence": {"score": 0.9, "calibrated": False, "signals": {}},
    "flags": [],
    "model": "extractive",
    "prompt": None,
    "usage": {"cost_usd": 0.0},
    "timings_ms": {"total": 3.0},
}
CHANGES: dict[str, Any] = {
    "status": "abstained",
    "answer": "",
    "claims": [],
    "confidence": {"score": 0.1, "calibrated": False, "signals": {}},
    "flags": ["sources_disagree"],
    "model": "claude-haiku",
    "prompt": {"name": "grounded-answer", "version": "1.0.0"},
}


def shown(**more: Any) -> Any:
    contents = {"question": "When?", "earlier": ["Lunch?"], "asked": "When is lunch?", "answer": ANSWER}
    hits = [{"chunk_id": "c1", "score": 1.5, "legs": {"dense": 0.5}}]
    base = {
        "row": SimpleNamespace(run_id="r1"),
        "readable": True,
        "contents": contents,
        "events": [SimpleNamespace(kind="retrieved", facts={"hits": hits})],
    }
    return SimpleNamespace(**(base | more))


def test_the_same_answer_has_no_difference() -> None:
    """Ids, times and usage are always other ones, and do not count."""
    again = copy.deepcopy(ANSWER) | {"run_id": "r2", "usage": {"cost_usd": 1.0}, "timings_ms": {"total": 9.0}}
    assert compare(ANSWER, again) == ()


@given(st.sets(st.sampled_from(ASPECTS)))
def test_exactly_what_differs_is_named(aspects: set[str]) -> None:
    """Each aspect that changed, and no other."""
    again = ANSWER | {aspect: CHANGES[aspect] for aspect in aspects}
    assert {one.aspect for one in compare(ANSWER, again)} == aspects


def test_another_place_is_a_difference() -> None:
    """The same words cited elsewhere are not the same answer."""
    again = copy.deepcopy(ANSWER)
    again["claims"][0]["citations"][0]["start"] = 4
    assert [one.aspect for one in compare(ANSWER, again)] == ["claims"]


def test_inputs_are_those_of_the_record() -> None:
    """Question, questions before it, what was asked of the documents, and the hits with their scores."""
    found = recorded_inputs(shown())
    assert (found.question, found.earlier, found.asked) == ("When?", ("Lunch?",), "When is lunch?")
    assert [(one.chunk_id, one.score, dict(one.legs)) for one in found.found] == [("c1", 1.5, {"dense": 0.5})]
    assert found.model == "extractive"


@pytest.mark.parametrize("lost", ["question", "earlier", "asked", "answer"])
def test_what_was_erased_is_not_replayed(lost: str) -> None:
    """A run of which a content is gone, or was never there, is refused."""
    contents = dict(shown().contents) | {lost: None}
    with pytest.raises(BadInput, match="erased"):
        recorded_inputs(shown(contents=contents))


def test_what_may_not_be_read_is_not_replayed() -> None:
    """Whoever may not read a document of the run cannot do it again either."""
    with pytest.raises(BadInput) as refusal:
        recorded_inputs(shown(readable=False))
    assert refusal.value.code == "not_replayable"


def test_a_passage_that_is_gone_is_no_same_replay() -> None:
    """Where something that was found then cannot be read now, the replay is not the same, whatever came out."""
    assert Replay(run_id="a", replay_id="b", unread=(), differences=()).same
    assert not Replay(run_id="a", replay_id="b", unread=("c1",), differences=()).same
