"""Who may bring what where: decided from what is live, without a database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadInput
from orchestrator.prompts.definition import Prompt
from orchestrator.prompts.promotion import (
    Evaluation,
    PromotionRecord,
    PromotionRefused,
    Wish,
    decide_promotion,
    decide_rollback,
    read_evaluation,
)
from orchestrator.prompts.rendering import ENVIRONMENTS, Environment
from tests.doubles.prompts import OWNER, RolePolicy, make_prompt

PROMPTS = {version: make_prompt(version=version) for version in ("1.0.0", "1.1.0", "2.0.0")}
PASSED = Evaluation(sha256="ab" * 32, passed=True)
FAILED = Evaluation(sha256="cd" * 32, passed=False)
Live = dict[Environment, PromotionRecord]


def wish(why: str = "because") -> Wish:
    decision = RolePolicy().may(OWNER, "promote_prompt", {"name": "greet", "environment": "dev"})
    return Wish(principal=OWNER, why=why, at=datetime(2026, 11, 20, tzinfo=UTC), decision=decision)


def promoted(
    live: Live, version: str, to: Environment, evaluation: Evaluation | None = PASSED, required: bool = True
) -> PromotionRecord:
    return decide_promotion(live, PROMPTS[version], to, wish(), evaluation, evaluation_required=required)


def test_a_record_says_who_when_why_and_what_allowed_it() -> None:
    """All facts of a promotion are in its record, and in what the audit notes."""
    dev = promoted({}, "1.0.0", "dev")
    record = promoted({"dev": dev}, "1.0.0", "staging")
    facts = record.facts()
    assert facts == json.loads(json.dumps(facts))
    assert facts["subject"] == "ann"
    assert facts["why"] == "because"
    assert facts["policies"] == ["owners-dev"]
    assert facts["policy_version"] == "policy-1"
    assert (facts["evaluation_sha256"], facts["evaluation_passed"]) == ("ab" * 32, True)
    assert (facts["version"], facts["from_version"], facts["revision"]) == ("1.0.0", None, 1)


def test_no_environment_is_left_out() -> None:
    """A version that is not live one step before is refused, whatever else is live."""
    dev = promoted({}, "1.1.0", "dev")
    for to in ("staging", "prod"):
        with pytest.raises(PromotionRefused) as refusal:
            promoted({"dev": dev} if to == "prod" else {}, "1.1.0", to)
        assert refusal.value.code == "not_in_environment_before"
    with pytest.raises(PromotionRefused, match="not live in dev"):
        promoted({"dev": dev}, "2.0.0", "staging")


@pytest.mark.parametrize(("evaluation", "code"), [(None, "evaluation_missing"), (FAILED, "evaluation_failed")])
def test_prod_takes_a_passed_evaluation(evaluation: Evaluation | None, code: str) -> None:
    """Nothing comes to prod without it, unless the home says that none is needed."""
    live: Live = {"dev": promoted({}, "1.0.0", "dev")}
    live["staging"] = promoted(live, "1.0.0", "staging", evaluation=None)
    with pytest.raises(PromotionRefused) as refusal:
        promoted(live, "1.0.0", "prod", evaluation)
    assert refusal.value.code == code
    assert promoted(live, "1.0.0", "prod", evaluation, required=False).version == "1.0.0"
    assert promoted(live, "1.0.0", "prod").evaluation == PASSED


def test_what_is_live_is_not_promoted_again() -> None:
    """A promotion that would change nothing is no promotion."""
    with pytest.raises(PromotionRefused) as refusal:
        promoted({"dev": promoted({}, "1.0.0", "dev")}, "1.0.0", "dev")
    assert refusal.value.code == "already_live"


@given(st.lists(st.sampled_from([*PROMPTS, "back"]), max_size=30))
def test_a_rollback_undoes_the_last_promotion_that_stands(steps: list[str]) -> None:
    """Over any course of promotions and rollbacks, what is live is what a stack of versions says."""
    records: dict[int, PromotionRecord] = {}
    stack: list[str] = []
    here: PromotionRecord | None = None
    for step in steps:
        if step != "back":
            if stack and stack[-1] == step:
                continue
            here = promoted({"dev": here} if here else {}, step, "dev")
            stack.append(step)
        elif here and here.parent:
            here = decide_rollback(here, records[here.parent], wish())
            stack.pop()
        else:
            assert len(stack) <= 1
            continue
        records[here.revision] = here
        assert here.version == stack[-1]
        assert here.revision == len(records)


@given(st.lists(st.tuples(st.sampled_from([*PROMPTS]), st.sampled_from(ENVIRONMENTS)), max_size=30))
def test_prod_only_ever_gets_what_was_live_in_staging_and_dev(steps: list[tuple[str, Environment]]) -> None:
    """Whatever is tried in whatever order, a version that reaches an environment was live in the one before."""
    live: Live = {}
    seen: set[tuple[str, Environment]] = set()
    for version, to in steps:
        try:
            live[to] = promoted(live, version, to)
        except PromotionRefused:
            continue
        seen.add((version, to))
        before = ENVIRONMENTS[: ENVIRONMENTS.index(to)]
        assert {(version, environment) for environment in before} <= seen


def report(of: Prompt, **changes: Any) -> bytes:
    about = {"name": of.name, "version": of.version, "content_hash": of.content_hash}
    return json.dumps({"prompt": about, "gate": {"passed": True}, "n": 200} | changes).encode()


def test_an_evaluation_is_of_this_prompt() -> None:
    """The report is known by the hash of its bytes, and states this prompt and the outcome of its gate."""
    prompt = PROMPTS["1.1.0"]
    assert read_evaluation(report(prompt), prompt).passed
    assert not read_evaluation(report(prompt, gate={"passed": False}), prompt).passed
    assert read_evaluation(report(prompt) + b" ", prompt).sha256 != read_evaluation(report(prompt), prompt).sha256
    other = {"name": "greet", "version": "1.1.0", "content_hash": "0" * 64}
    for bad in (
        report(PROMPTS["1.0.0"]),
        report(prompt, prompt=other),
        report(prompt, prompt=None),
        report(prompt, gate={"passed": "yes"}),
        report(prompt, gate={}),
        report(prompt, gate=[]),
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b"",
    ):
        with pytest.raises(BadInput) as refusal:
            read_evaluation(bad, prompt)
        assert refusal.value.code == "bad_evaluation"
