"""Schemas: what both providers take, and what is refused at start-up in place of at night."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.egress.contracts import CONTRACTS
from orchestrator.gateway.providers.structured_output import check_schema, portable_schema
from tests.doubles.messages_api_rules import check_schema as check_as_anthropic
from tests.doubles.openai_api import check_strict_schema as check_as_openai

TEXT = {"type": "string"}


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_contract_can_be_taken_as_pydantic_writes_it(name: str) -> None:
    """No problem is found, and both strict doubles take what is made of it; so does Anthropic's SDK, unchanged."""
    schema = CONTRACTS[name].model.model_json_schema()
    portable = portable_schema(schema)
    assert check_schema(schema) == []
    check_as_anthropic(portable, portable.get("$defs", {}))
    check_as_openai(portable)
    assert anthropic.transform_schema(dict(portable)) == portable


@pytest.mark.parametrize("name", CONTRACTS)
def test_what_is_portable_already_stays_as_it_is(name: str) -> None:
    """The contracts' own schemas go out unchanged, so that their recorded version says what was sent."""
    assert portable_schema(CONTRACTS[name].schema) == CONTRACTS[name].schema


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({}, "accepts anything"),
        (True, "accepts anything"),
        ({"description": "whatever"}, "accepts anything"),
        ({"type": ["string", "null"]}, "one word"),
        ({"type": "object", "additionalProperties": TEXT}, "free keys"),
        ({"type": "object"}, "free keys"),
        ({**obj(a=TEXT), "additionalProperties": True}, "free keys"),
        ({**obj(a=TEXT), "patternProperties": {"^x": TEXT}}, "`patternProperties`"),
        ({"type": "array"}, "what its items are"),
        ({"type": "array", "items": TEXT, "prefixItems": [TEXT]}, "`prefixItems`"),
        ({"type": "array", "items": {}}, "accepts anything"),
        ({"allOf": [TEXT]}, "`allOf`"),
        ({"type": "string", "not": {"const": "x"}}, "`not`"),
        ({"enum": []}, "empty"),
        ({"enum": [{"a": 1}]}, "must be strings"),
        ({"$ref": "#/$defs/Missing"}, "does not hold"),
        ({"$ref": "https://example.org/schema"}, "does not hold"),
        ({"$ref": "#/$defs/Tree"}, "no recursion"),
        ({"anyOf": [TEXT, {}]}, "accepts anything"),
    ],
)
def test_what_providers_cannot_take_is_named_with_its_place(part: Any, reason: str) -> None:
    """One problem or more, each with the path of the field and what to do."""
    schema = {**obj(field=part), "$defs": {"Tree": obj(children={"type": "array", "items": {"$ref": "#/$defs/Tree"}})}}
    problems = check_schema(schema)
    assert problems
    assert any(problem.startswith("field") and reason in problem for problem in problems)


@pytest.mark.parametrize(
    "schema", [TEXT, {}, {"$ref": "#/$defs/A", "$defs": {"A": obj(a=TEXT)}}, {"anyOf": [obj(a=TEXT)]}]
)
def test_the_answer_must_be_an_object(schema: dict[str, Any]) -> None:
    """Both providers refuse anything else at the root."""
    assert check_schema(schema) == ["the schema: the answer must be an object."]


def test_what_cannot_be_enforced_is_told() -> None:
    """Ranges, lengths and odd formats move into the description; one item at least stays a rule."""
    schema = obj(
        share={"type": "number", "minimum": 0, "maximum": 1, "description": "How much.", "default": 0.5},
        words={"type": "array", "items": {"type": "string", "minLength": 1, "format": "path"}, "minItems": 1},
        day={"type": "string", "format": "date"},
    )
    properties = portable_schema(schema)["properties"]
    assert properties["share"] == {"type": "number", "description": "How much. (minimum: 0, maximum: 1)"}
    assert properties["words"] == {
        "type": "array",
        "minItems": 1,
        "items": {"type": "string", "description": "(minLength: 1, format: path)"},
    }
    assert properties["day"] == {"type": "string", "format": "date"}


leaves = st.one_of(
    st.sampled_from(["string", "integer", "number", "boolean", "null"]).map(lambda kind: {"type": kind}),
    st.just({"type": "integer", "minimum": 1, "default": 3, "title": "T"}),
    st.just({"type": "string", "pattern": "^a", "maxLength": 9, "format": "email"}),
    st.lists(st.sampled_from(["a", 1, None, True]), min_size=1, max_size=3).map(lambda values: {"enum": values}),
    st.just({"const": "x"}),
    st.just({"$ref": "#/$defs/Leaf"}),
    st.just({}),
    st.just({"type": "object", "additionalProperties": {"type": "string"}}),
)
names = st.sampled_from(["a", "b", "c"])
parts = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda items: {"type": "array", "items": items, "minItems": 2, "uniqueItems": True}),
        st.lists(inner, min_size=1, max_size=2).map(lambda choices: {"anyOf": choices}),
        st.lists(inner, min_size=1, max_size=2).map(lambda choices: {"oneOf": choices}),
        st.dictionaries(names, inner, min_size=1).map(lambda found: {"type": "object", "properties": found}),
    ),
    max_leaves=8,
)


@given(st.dictionaries(names, parts, min_size=1))
def test_a_schema_without_problems_is_taken_by_both(properties: dict[str, Any]) -> None:
    """Whatever `check_schema` lets pass, neither of two strict servers refuses once it is made portable."""
    schema = {"type": "object", "properties": properties, "$defs": {"Leaf": obj(x={"type": "string", "minLength": 1})}}
    if check_schema(schema) == []:
        portable = portable_schema(schema)
        check_as_anthropic(portable, portable["$defs"])
        check_as_openai(portable)
        assert check_schema(portable) == []
        assert portable_schema(portable) == portable
