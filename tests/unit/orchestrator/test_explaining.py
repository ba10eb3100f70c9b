"""What is said of the decisions that the system takes by itself."""

from __future__ import annotations

import dataclasses
import json
import shutil
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from orchestrator.confidence import Judge
from orchestrator.context import ContextConfig
from orchestrator.egress.gate import EgressConfig
from orchestrator.explaining import Explained, Parts, explain, parts_of
from orchestrator.gateway.breaker import BreakerConfig
from orchestrator.gateway.gateway import GatewayConfig
from orchestrator.gateway.limits import Limit
from orchestrator.gateway.retries import RetryConfig
from orchestrator.judging import RULE, OutputJudge
from orchestrator.kept_answers import KeptConfig
from orchestrator.personal_data.vault import RestorePolicy
from orchestrator.policy.engine import PolicyConfig, load_policy
from orchestrator.policy.files import SHIPPED
from orchestrator.routing import RULES
from orchestrator.settings import Settings
from orchestrator.support.gate import SupportConfig
from orchestrator.workflows import ASK, Thresholds
from retrieval.screening_policy import ScreeningPolicy, ScreeningRule


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    """What decides in a home without configuration."""
    return parts_of(Settings(home=tmp_path / "home"))


def by_id(decisions: tuple[Explained, ...]) -> dict[str, Explained]:
    return {one.id: one for one in decisions}


def test_every_decision_has_rule_place_and_owner(parts: Parts) -> None:
    """Each is a whole sentence, says where it is set and who answers for it, and is told once."""
    decisions = explain(ASK, parts)
    assert len({(one.tier, one.id) for one in decisions}) == len(decisions)
    for one in decisions:
        assert one.rule.endswith(".")
        assert one.where
        assert one.owner
    assert json.loads(json.dumps([dataclasses.asdict(one) for one in decisions]))


def test_no_decision_is_left_out(parts: Parts) -> None:
    """Every policy, retention rule, routing rule and business rule of the contract is there, and every tier's own."""
    found = by_id(explain(ASK, parts))
    assert {rule.id for rule in parts.policy.rules} <= found.keys()
    assert {rule.id for rule in parts.policy.retentions.values()} <= found.keys()
    assert RULES.keys() <= found.keys()
    for rule in parts.rules.rules:
        assert (rule.id in found) == (not rule.contracts or ASK.contract in rule.contracts)
    own = (
        "screening evidence-passages evidence-budget redaction prompt route-choice retries-and-fallback breaker repair"
    )
    own += " budget-and-deadline quotas contract quotes support safety evidence output second-looks kept-answers"
    assert set(own.split()) <= found.keys()


def test_a_home_without_configuration_can_be_explained(tmp_path: Path) -> None:
    """Nothing has to be there, and nothing is made: to explain is to read."""
    home = tmp_path / "home"
    assert explain(ASK, parts_of(Settings(home=home)))
    assert not home.exists()


RULE_OF_MINE = dataclasses.replace(RULE, version="mine", weights={**RULE.weights, "hedging": -7.25})


@pytest.mark.parametrize(
    ("change", "id_", "shown"),
    [
        ({"screening": ScreeningPolicy(act=0.875)}, "screening", {"act": 0.875}),
        (
            {"screening": ScreeningPolicy(rules=(ScreeningRule(action="review", kind="override"),))},
            "screening",
            {"rules": [{"action": "review", "kind": "override", "classification": None, "use": None}]},
        ),
        ({"evidence_k": 77}, "evidence-passages", {"passages": 77}),
        ({"context": ContextConfig(near=0.625)}, "evidence-budget", {"near": 0.625}),
        ({"restore": RestorePolicy(roles={"hr": frozenset({"PERSON"})})}, "redaction", {"roles": {"hr": ["PERSON"]}}),
        ({"gateway": GatewayConfig(retries=RetryConfig(tries=9))}, "retries-and-fallback", {"tries": 9}),
        ({"gateway": GatewayConfig(breaker=BreakerConfig(cooldown_s=7.5))}, "breaker", {"cooldown_s": 7.5}),
        ({"egress": EgressConfig(support=SupportConfig(threshold=0.625))}, "support", {"threshold": 0.625}),
        ({"judge": Judge(threshold=0.625)}, "evidence", {"threshold": 0.625}),
        ({"kept": KeptConfig(days=77)}, "kept-answers", {"days": 77}),
        ({"output_judge": OutputJudge(rule=RULE_OF_MINE)}, "output", {"weights": dict(RULE_OF_MINE.weights)}),
    ],
)
def test_what_decides_is_what_is_said(parts: Parts, change: dict[str, Any], id_: str, shown: dict[str, Any]) -> None:
    """A value that is changed where it decides is changed in what is said of it, and in nothing else."""
    before, after = explain(ASK, parts), explain(ASK, dataclasses.replace(parts, **change))
    assert by_id(after)[id_].values.items() >= shown.items()
    assert not by_id(before)[id_].values.items() >= shown.items()
    others = {one.id for one, other in zip(before, after, strict=True) if one != other} - {id_}
    assert others <= {"second-looks"}  # which is of the same rule as `output`


@pytest.mark.parametrize(
    ("change", "id_", "name"),
    [
        ({"evidence_tokens": 777}, "evidence-budget", "evidence_tokens"),
        ({"max_cost_usd": 7.77}, "budget-and-deadline", "max_cost_usd"),
        ({"deadline_s": 7.5}, "budget-and-deadline", "deadline_s"),
    ],
)
def test_a_workflows_own_limits_are_said(parts: Parts, change: dict[str, float], id_: str, name: str) -> None:
    """So is what the workflow sets."""
    [value] = change.values()
    assert by_id(explain(dataclasses.replace(ASK, **change), parts))[id_].values[name] == value  # type: ignore[arg-type]


def test_thresholds_are_said_by_risk(parts: Parts) -> None:
    """The router's rules show the thresholds that it holds scores against."""
    limits = MappingProxyType({"high": Thresholds(abstain=0.11, answer=0.99, review=True)})
    found = by_id(explain(dataclasses.replace(ASK, thresholds=limits, version="9.9.9"), parts))
    band = found["route-band-review"]
    assert band.version == "9.9.9"
    assert band.values["abstain"] == {"low": 0.5, "medium": 0.5, "high": 0.11}
    assert band.values["answer"] == {"low": 0.5, "medium": 0.5, "high": 0.99}
    assert band.values["review"] == {"low": False, "medium": False, "high": True}


def test_a_homes_own_policies_are_said(parts: Parts, tmp_path: Path) -> None:
    """A policy that is added, and a retention that is changed, are told with their place and version."""
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "policies"))
    text = (
        '@id("mine") @owner("me") @description("nobody asks") forbid (principal, action == Action::"start", resource);'
    )
    (folder / "mine.cedar").write_text(f"\n{text}", "utf-8")
    kept = folder / "retention.yaml"
    kept.write_text(kept.read_text("utf-8").replace("days: 30", "days: 31").replace("contents\n", "facts\n"), "utf-8")
    policy = load_policy(PolicyConfig(folder=folder))
    found = by_id(explain(ASK, dataclasses.replace(parts, policy=policy)))
    mine = found["mine"]
    assert (mine.tier, mine.rule, mine.owner, mine.version) == ("ingress", "Nobody asks.", "me", policy.version)
    assert mine.where == f"{folder / 'mine.cedar'}:2"
    assert found["retention-regulated"].rule == (
        "Of the contents of runs over regulated documents the facts alone are kept for 31 days."
    )


def test_limits_and_settings_reach_it(tmp_path: Path) -> None:
    """What the settings and the files of a home say is what is explained."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "limits.yaml").write_text("limits: [{of: team, per: day, cost_usd: 12.5}]\n")
    parts = parts_of(Settings(home=home, screening_act=0.96, evidence_k=3))
    assert parts.gateway.limits == (Limit(of="team", per="day", cost_usd=Decimal("12.5")),)
    found = by_id(explain(ASK, parts))
    assert found["screening"].values["act"] == 0.96
    assert found["evidence-passages"].values["passages"] == 3
    [limit] = found["quotas"].values["limits"]  # type: ignore[misc]
    assert limit["cost_usd"] == "12.5"  # type: ignore[index, call-overload]
