from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.errors import BadInput
from ingest.tags import Classification
from orchestrator.egress.contracts import CONTRACTS, OutputContract
from orchestrator.egress.rules import RULES, Rule, RuleFacts, RuleSet, language_group, load_rules, values_at

QUOTES = [{"source": 1, "quote": "q"}]


def field(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value, "quotes": QUOTES, "confidence": 1.0}


def extraction(*fields: dict[str, Any]) -> OutputContract:
    return CONTRACTS["extraction"].model.model_validate({"fields": fields})


def message(body: str, *disclaimers: str, subject: str = "s") -> OutputContract:
    output = {"subject": subject, "body": body, "disclaimers": disclaimers, "citations": QUOTES}
    return CONTRACTS["drafted_message"].model.model_validate(output)


def triage(priority: str = "low") -> OutputContract:
    output = {"category": "c", "suggested_team": "t", "confidence": 1.0, "rationale": "r", "citations": QUOTES}
    return CONTRACTS["classification"].model.model_validate(output | {"priority": priority})


def told(contract: str, **changes: Any) -> dict[str, Any]:
    base = {"id": "r", "owner": "somebody", "text": "A rule.", "severity": "stop", "contracts": [contract]}
    return base | changes


def places(
    condition: Mapping[str, Any], contract: str, output: OutputContract, facts: RuleFacts | None = None
) -> list[str]:
    rule = Rule.model_validate(told(contract, condition=condition))
    return [error.place for error in rule.check(contract, output, facts or RuleFacts())]


def test_allowed_values_are_the_only_ones() -> None:
    """A value that is not in the list is told, letter for letter."""
    condition = {"kind": "allowed_values", "field": "priority", "values": ["low", "high"]}
    assert places(condition, "classification", triage("low")) == []
    assert places(condition, "classification", triage("Low")) == ["priority"]


def test_a_number_lies_in_its_range() -> None:
    """A number out of bounds, two numbers and none are told; other fields are not looked at."""
    condition = {"kind": "number_range", "field": "fields.*.value", "low": 1, "high": 30.5, "name": "days"}
    fields = [field("days", value) for value in ("25 days", "31", "soon", "1 or 2", "0")]
    assert places(condition, "extraction", extraction(*fields, field("price", "9,000 EUR"))) == [
        "fields.1.value",
        "fields.2.value",
        "fields.3.value",
        "fields.4.value",
    ]
    share = {"kind": "number_range", "field": "confidence", "low": 0.5, "high": 0.9}
    assert places(share, "classification", triage()) == ["confidence"]


def test_a_text_has_at_most_so_many_characters() -> None:
    """One more than allowed is told."""
    condition = {"kind": "max_length", "field": "body", "characters": 5}
    assert places(condition, "drafted_message", message("12345")) == []
    assert places(condition, "drafted_message", message("123456")) == ["body"]


@pytest.mark.parametrize(
    ("asked_for", "question", "level", "required"),
    [
        ({}, "Anything?", "public", True),
        ({"from_classification": "confidential"}, "Anything?", "internal", False),
        ({"from_classification": "confidential"}, "Anything?", "regulated", True),
        ({"topics": ["tax return"]}, "What of my tax return?", "public", True),
        ({"topics": ["tax return"]}, "What of my tax?", "public", False),
        ({"topics": ["tax"], "from_classification": "regulated"}, "Taxi?", "public", False),
    ],
)
def test_a_disclaimer_is_required_by_data_or_topic(
    asked_for: dict[str, Any], question: str, level: str, required: bool
) -> None:
    """It is asked for from a classification on, or where a topic is named, and satisfied word for word."""
    condition = {"kind": "required_disclaimer", "disclaimer": "No advice.", **asked_for}
    facts = RuleFacts(question=question, classification=Classification[level])
    assert places(condition, "drafted_message", message("b"), facts) == ["disclaimers"] * required
    assert places(condition, "drafted_message", message("b", "No advice."), facts) == []
    assert places(condition, "drafted_message", message("b", "No advice"), facts) == ["disclaimers"] * required


def test_a_phrase_is_forbidden_unless_a_citation_has_it() -> None:
    """Words one after the other, in any letter case; a part of a word is none."""
    condition = {"kind": "forbidden_phrases", "fields": ["subject", "body"], "phrases": ["we guarantee"]}
    outputs = [
        message("So WE  guarantee it."),
        message("b", subject="We guarantee"),
        message("we guaranteed"),
        message("we do"),
    ]
    assert [places(condition, "drafted_message", one) for one in outputs] == [["body"], ["subject"], [], []]
    cited = RuleFacts(quotes=("We guarantee delivery.",))
    assert places(condition, "drafted_message", outputs[0], cited) == ["body"]
    assert places(condition | {"unless_cited": True}, "drafted_message", outputs[0], cited) == []


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("What is the rate of the loan and when is it due?", "english"),
        ("Wie hoch ist der Zins und wann wird er fällig?", "not_english"),
        ("Сколько дней отпуска положено?", "cyrillic"),
        ("有給休暇は何日ありますか", "kana"),
        ("年假有多少天", "han"),
        ("휴가는 며칠입니까", "hangul"),
        ("كم يوما من الإجازة", "arabic"),
        ("SAP ID 4711", None),
        ("", None),
    ],
)
def test_languages_are_told_apart_by_script_and_frequent_words(text: str, group: str | None) -> None:
    """Where neither tells, nothing is said, so that short texts and codes are in every language."""
    assert language_group(text) == group


def test_another_language_than_the_question_is_told_once() -> None:
    """All fields together are held against the question."""
    condition = {"kind": "same_language", "fields": ["body"]}
    german = message("Der Zins wird mit der Rate fällig und ist nicht hoch.")
    facts = RuleFacts(question="When is the rate of the loan due and how high is it?")
    assert places(condition, "drafted_message", german, facts) == ["body"]
    assert (
        places(condition, "drafted_message", german, RuleFacts(question="Wann ist der Zins und die Rate fällig?")) == []
    )


def test_the_standard_rules_hold_their_own_descriptions() -> None:
    """Each rule can be explained: id, owner, plain words, severity, contracts and parameters, and ids are unique."""
    described = RULES.describe()
    assert len({one["id"] for one in described}) == len(described) == len(RULES.rules)
    for one in described:
        assert one.keys() == {"id", "owner", "text", "severity", "contracts", "condition"}
        assert one["text"].endswith(".")
        assert set(one["contracts"]) <= CONTRACTS.keys()


def test_a_rule_for_one_contract_leaves_the_others_alone() -> None:
    """The priorities of a classification do not judge a message."""
    stops, warnings = RULES.check("drafted_message", message("b"), RuleFacts())
    assert (stops, warnings) == ([], [])
    stops, _ = RULES.check("classification", triage("asap"), RuleFacts())
    assert [(one.place, one.rule, one.kind) for one in stops] == [("priority", "priorities", "rule")]


def test_the_version_is_the_same_in_every_process() -> None:
    """It is a hash of the rules, and another rule is another version."""
    script = "from orchestrator.egress.rules import RULES; print(RULES.version)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == RULES.version
    assert RuleSet(rules=RULES.rules[1:]).version != RULES.version


# Files

GOOD = """
rules:
  - id: priorities
    owner: service-desk
    text: A priority is a number.
    severity: warn
    contracts: [classification]
    condition: {kind: allowed_values, field: priority, values: [P1, P2]}
  - id: teams
    owner: service-desk
    text: There are two teams.
    severity: stop
    contracts: [classification]
    condition: {kind: allowed_values, field: suggested_team, values: [Billing, Support]}
"""


def test_a_file_adds_rules_and_replaces_standard_ones(tmp_path: Path) -> None:
    """A rule with the id of a standard one takes its place; the others stand."""
    path = tmp_path / "rules.yaml"
    path.write_text(GOOD, "utf-8")
    rules = load_rules(path)
    assert len(rules.rules) == len(RULES.rules) + 1
    stops, warnings = rules.check("classification", triage("low"), RuleFacts())
    assert [one.rule for one in stops] == ["teams"]
    assert [one.rule for one in warnings] == ["priorities"]
    assert len(load_rules(path, standard=None).rules) == 2


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("severity: stop", "severity: fatal", "rules.1.severity"),
        ("severity: stop", "severity: stop\n    severity: warn", "twice"),
        ("owner: service-desk\n    text: There", "text: There", "rules.1.owner"),
        ("kind: allowed_values, field: suggested_team", "kind: magic, field: suggested_team", "rules.1.condition"),
        ("field: suggested_team", "field: team", "no field team"),
        ("field: suggested_team", "field: citations", "no field citations"),
        ("[Billing, Support]", "[]", "values"),
        ("[Billing, Support]", "[1, 2]", "values.0"),
        ("[Billing, Support]}", "[Billing], extra: 1}", "extra"),
        ("[classification]", "[poem]", "poem"),
        ("id: teams", "id: priorities", "priorities"),
        ("id: teams", "id: Teams!", "rules.1.id"),
        ("rules:", "rule:", "rules"),
        ("rules:", "rules: !!python/object/apply:os.getcwd []\nx:", "YAML"),
        ("rules:", "rules: [", "YAML"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_right_is_refused_with_its_place(tmp_path: Path, old: str, new: str, place: str) -> None:
    """At start-up, with the place and the reason, never in a run."""
    path = tmp_path / "rules.yaml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new) if "text: There" in old else new.join(GOOD.rsplit(old, 1)), "utf-8")
    with pytest.raises(BadInput, match=place.replace(".", r"\.")):
        load_rules(path)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    path = tmp_path / "rules.yaml"
    with pytest.raises(BadInput, match=r"rules\.yaml"):
        load_rules(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"rules\.yaml"):
        load_rules(path)


_KEYS = st.sampled_from(["rules", "id", "owner", "condition", "kind", "x"])
_CONTENT = st.recursive(
    st.none() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(_CONTENT)
def test_any_yaml_is_rules_or_refused(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    """Nothing but BadInput is raised, whatever the file holds; only a list without rules is none."""
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump(value), "utf-8")
    if value == {"rules": []}:
        assert load_rules(path).version == RULES.version
    else:
        with pytest.raises(BadInput, match=r"rules\.yaml"):
            load_rules(path)


def test_a_range_that_holds_nothing_is_refused() -> None:
    """Bounds the wrong way round are a mistake of whoever wrote them."""
    condition = {"kind": "number_range", "field": "confidence", "low": 2, "high": 1}
    with pytest.raises(ValidationError, match="low must not be greater"):
        Rule.model_validate(told("classification", condition=condition))


def test_paths_reach_every_item() -> None:
    """A star stands for each item of a list; a path that leads nowhere gives nothing."""
    output = extraction(field("a", "1"), field("b", "2"))
    assert list(values_at(output, "fields.*.value")) == [("fields.0.value", "1"), ("fields.1.value", "2")]
    assert list(values_at(output, "fields.*.quotes.*.source")) == [
        ("fields.0.quotes.0.source", 1),
        ("fields.1.quotes.0.source", 1),
    ]
    assert list(values_at(output, "nothing.*.here")) == []
