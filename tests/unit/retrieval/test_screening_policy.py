from __future__ import annotations

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from ingest.tags import Classification
from orchestrator.settings import Settings
from retrieval.screening_policy import ScreeningPolicy, ScreeningRule

CONFIDENTIAL, INTERNAL = Classification.confidential, Classification.internal


@pytest.mark.parametrize(
    ("score", "action"), [(0.0, None), (0.949, None), (0.95, "flag"), (0.989, "flag"), (0.99, "strip"), (1.0, "strip")]
)
def test_the_score_decides_first(score: float, action: str | None) -> None:
    """Left alone, shown, or acted on, from the thresholds upwards; without rules acting is stripping."""
    assert ScreeningPolicy().action("override", score, INTERNAL, "answer") == action


def test_a_document_that_holds_one_order_gets_no_benefit_of_the_doubt() -> None:
    """What is suspected beside something sure is acted on like it; what is weak stays as it is."""
    policy = ScreeningPolicy(rules=(ScreeningRule(action="mask"),))
    assert policy.action("task", 0.96, INTERNAL, "answer", peak=0.995) == "mask"
    assert policy.action("task", 0.96, INTERNAL, "answer", peak=0.96) == "flag"
    assert policy.action("task", 0.94, INTERNAL, "answer", peak=1.0) is None


def test_the_first_rule_that_is_met_decides() -> None:
    """By kind, by use, and by classification from the one that is named up; what no rule meets is stripped."""
    policy = ScreeningPolicy(
        rules=(
            ScreeningRule(action="quarantine", use="action"),
            ScreeningRule(action="review", kind="override", classification=CONFIDENTIAL),
            ScreeningRule(action="mask", kind="override"),
        )
    )
    assert policy.action("task", 1.0, INTERNAL, "action") == "quarantine"
    assert policy.action("override", 1.0, Classification.regulated, "answer") == "review"
    assert policy.action("override", 1.0, CONFIDENTIAL, "answer") == "review"
    assert policy.action("override", 1.0, INTERNAL, "answer") == "mask"
    assert policy.action("task", 1.0, CONFIDENTIAL, "answer") == "strip"
    assert policy.action("override", 0.96, CONFIDENTIAL, "answer") == "flag"


def test_rules_come_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON, with classifications by name."""
    rules = [{"action": "review", "kind": "override", "classification": "confidential"}, {"action": "mask"}]
    monkeypatch.setenv("GROUNDWIRE_SCREENING_RULES", json.dumps(rules))
    assert Settings().screening_rules == (
        ScreeningRule(action="review", kind="override", classification=CONFIDENTIAL),
        ScreeningRule(action="mask"),
    )


@pytest.mark.parametrize("rule", [{}, {"action": "burn"}, {"action": "mask", "kind": "x"}, {"action": "mask", "k": 1}])
def test_a_rule_that_means_nothing_is_refused(rule: dict[str, object]) -> None:
    """Without an action, with one that does not exist, or with a condition that would never be met."""
    with pytest.raises(ValidationError):
        TypeAdapter(ScreeningRule).validate_python(rule)
