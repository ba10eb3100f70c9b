"""A run's record told in plain words."""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.audit.port import EventKind
from orchestrator.runs.story import ERASED, story


@dataclass(frozen=True, kw_only=True)
class Recorded:
    kind: str
    facts: dict[str, Any] = field(default_factory=dict)
    at: str = "2026-03-01T12:00:00+00:00"


STARTED = Recorded(
    kind="run_started",
    facts={
        "workflow": "ask",
        "workflow_version": "1.0.0",
        "roles": ["agent"],
        "clearance": "internal",
        "policies": ["start-ask"],
        "policy_version": "46e851d565c6c854",
        "model_wanted": "auto",
        "code": "0.1.0",
        "encoder": "e",
    },
)
ATTEMPT = Recorded(
    kind="model_attempt",
    facts={
        "number": 2,
        "purpose": "repair",
        "route": "claude-haiku",
        "model": "claude-haiku-5-5",
        "outcome": "rate_limited",
        "input_tokens": 10,
        "output_tokens": 4,
        "cost_usd": "0.0001",
    },
)
FINISHED = Recorded(
    kind="run_finished",
    facts={
        "status": "answered",
        "flags": ["model_fallback"],
        "citations": [{"document_id": "leave.md", "version": 3}],
        "cost_usd": "0.0001",
        "ms": {"total": 12.3},
    },
)


def told(*events: Recorded, **contents: Any) -> str:
    return "\n".join(line.text for line in story(events, contents))


def test_who_may_and_what_was_asked() -> None:
    """The beginning names roles, clearance, the policy that let the run in, and the question."""
    text = told(STARTED, question="When?")
    assert "with the roles agent, cleared for internal, started ask 1.0.0" in text
    assert "Allowed by start-ask, policies 46e851d565c6" in text
    assert "Asked: When?" in text


def test_an_erased_content_says_so() -> None:
    """Where the key of the person was deleted the story stands, without what was said."""
    text = told(STARTED, FINISHED, question=None, answer=None)
    assert text.count(ERASED) == 2
    assert "Cited leave.md version 3." in text


def test_an_attempt_tells_what_it_was_for_and_cost() -> None:
    """Purpose, model, outcome, tokens and money of each attempt."""
    line = "Attempt 2 (repair): claude-haiku (claude-haiku-5-5): rate limited, 10 tokens in, 4 out, $0.0001."
    assert told(ATTEMPT) == line


def test_degradation_is_told() -> None:
    """Flags of the answer stand in its story."""
    assert "Flags: model_fallback." in told(FINISHED, answer={"answer": "At noon."})
    assert "Answered: At noon." in told(FINISHED, answer={"answer": "At noon."})


def test_a_failed_run_says_why() -> None:
    """A run that ended in an error names its code."""
    failed = Recorded(kind="run_finished", facts={"status": "failed", "error": "index_down", "attempts": 0})
    assert told(failed) == "Failed: index_down."


@given(st.lists(st.sampled_from(["policy_changed", "setting_changed", "sent_onward", "subject_erased"]), max_size=5))
def test_every_event_has_a_sentence(kinds: list[str]) -> None:
    """No event is left out of the story, also of kinds that have no words of their own."""
    lines = story([Recorded(kind=kind) for kind in kinds], {})
    assert len(lines) == len(kinds)
    assert all(line.text[0] in string.ascii_uppercase for line in lines)
    assert set(kinds) <= set(get_args(EventKind))
