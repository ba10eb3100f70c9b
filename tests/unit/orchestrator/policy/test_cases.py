"""The tests beside the policies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ingest.errors import BadInput
from orchestrator.policy.cases import Case, check, read_cases
from orchestrator.policy.engine import PolicyConfig, load_policy
from orchestrator.policy.files import SHIPPED

POLICY = load_policy()
ASKS = Case(name="x", action="start", resource={"name": "ask"}, expect="allow", by="start-ask")


def test_the_shipped_set_passes_its_tests() -> None:
    """Every shipped policy is exercised by a test that passes."""
    report = check(POLICY, read_cases(SHIPPED))
    assert [one.case.name for one in report.outcomes if not one.passed] == []
    assert report.untested == ()


@pytest.mark.parametrize(
    "change",
    [
        {"expect": "deny"},
        {"by": "start-by-operators"},
        {"by": None},
        {"resource": {"name": "other"}},
    ],
)
def test_a_test_can_fail(change: dict[str, object]) -> None:
    """Another decision, another policy than the expected one, or one where none was expected: each fails."""
    assert check(POLICY, (ASKS,)).passed
    assert not check(POLICY, (ASKS.model_copy(update=change),)).passed


def test_a_policy_without_a_test_is_named(tmp_path: Path) -> None:
    """What no test that passes exercises is listed."""
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "policies"))
    rule = '@id("new") @owner("me") @description("x") forbid (principal, action == Action::"erase", resource);'
    (folder / "new.cedar").write_text(rule, "utf-8")
    policy = load_policy(PolicyConfig(folder=folder))
    assert "new" in check(policy, (ASKS,)).untested
    report = check(policy, read_cases(folder))
    assert not report.passed  # privacy officers erase no more
    denied = next(one for one in report.outcomes if one.case.action == "erase" and not one.passed)
    assert denied.decision.policies == ("new",)


def test_removing_any_policy_is_noticed(tmp_path: Path) -> None:
    """No policy of the shipped set can go without a shipped test failing."""
    texts = {one.text for one in POLICY.files.statements}
    for number, text in enumerate(sorted(texts)):
        folder = Path(shutil.copytree(SHIPPED, tmp_path / str(number)))
        for path in folder.glob("*.cedar"):
            path.write_text(path.read_text("utf-8").replace(text, ""), "utf-8")
        report = check(load_policy(PolicyConfig(folder=folder)), read_cases(folder))
        assert not report.passed, text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("cases: [", "no YAML"),
        ("cases: 3", "cases"),
        ("{}", "cases"),
        ("cases: [{name: x, action: fly, expect: allow}]", "action"),
        ("cases: [{name: x, action: start, expect: perhaps}]", "expect"),
        ("cases: [{name: x, action: start, expect: deny, colour: blue}]", "colour"),
    ],
)
def test_a_file_of_tests_is_checked(tmp_path: Path, text: str, word: str) -> None:
    """What is no list of tests is refused with its place."""
    (tmp_path / "tests.yaml").write_text(text, "utf-8")
    with pytest.raises(BadInput, match=word) as refused:
        read_cases(tmp_path)
    assert refused.value.code == "bad_policy_test"


@pytest.mark.parametrize(
    "change",
    [
        {"principal": {"rolls": ["operator"]}},
        {"resource": {}},
        {"context": {"classification": "internal"}},
        {"action": "route_model", "principal": {"name": "ask"}, "resource": {"retains_data": True}},
        {"action": "go_on", "principal": {"name": "a"}, "resource": {"acts": True, "classification": "secret"}},
    ],
)
def test_a_test_that_cannot_be_put_is_refused(change: dict[str, object]) -> None:
    """A mistyped fact would be tested as its default, so it is refused with the name of the test."""
    with pytest.raises(BadInput, match="`x`"):
        check(POLICY, (ASKS.model_copy(update=change),))


def test_a_set_may_have_no_tests(tmp_path: Path) -> None:
    """Then there are none, and every policy is untested."""
    assert read_cases(tmp_path) == ()
    assert len(check(POLICY, ()).untested) == len(POLICY.rules)
