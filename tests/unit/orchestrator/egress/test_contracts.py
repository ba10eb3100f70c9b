from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel, Field

from orchestrator.egress.contracts import CONTRACTS, Critique, schema_of
from orchestrator.workflows import WORKFLOWS


def nodes(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield schema
    for one in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        yield from nodes(one)


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_schema_is_what_strict_providers_take(name: str) -> None:
    """Closed objects, every property required and described, known types, no references, no bounds."""
    for node in nodes(CONTRACTS[name].schema):
        assert node.keys() <= {
            "type",
            "description",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "minItems",
        }
        assert node["type"] in {"object", "array", "string", "number", "integer", "boolean"}
        assert node.get("minItems", 1) == 1
        if node["type"] == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == [*node["properties"]] != []
            assert all(one.get("description") for one in node["properties"].values())
    assert json.loads(json.dumps(CONTRACTS[name].schema)) == CONTRACTS[name].schema


@pytest.mark.parametrize("name", CONTRACTS)
def test_claude_takes_a_schema_as_it_is(name: str) -> None:
    """The SDK's own transformation for strict output changes nothing in it."""
    from anthropic import transform_schema

    assert transform_schema(dict(CONTRACTS[name].schema)) == CONTRACTS[name].schema


def test_the_fields_are_those_that_callers_know() -> None:
    """The names of the fields are a contract with prompts, workflows and whoever reads the output."""
    fields = {name: set(contract.schema["properties"]) for name, contract in CONTRACTS.items()}
    assert fields == {
        "grounded_answer": {"answerable", "claims", "confidence"},
        "extraction": {"fields"},
        "classification": {"category", "priority", "suggested_team", "confidence", "rationale", "citations"},
        "summary": {"title", "points"},
        "drafted_message": {"subject", "body", "disclaimers", "citations"},
        "critique": {"verdicts"},
    }
    assert "start" not in json.dumps(CONTRACTS["grounded_answer"].schema["properties"])


def test_every_workflow_names_a_contract() -> None:
    """What a workflow promises to give back is a contract that there is."""
    assert {workflow.contract for workflow in WORKFLOWS.values()} <= CONTRACTS.keys()


def test_a_version_is_that_of_what_a_model_is_told() -> None:
    """Contracts have different versions, the same in every process."""
    versions = {name: contract.version for name, contract in CONTRACTS.items()}
    assert len(set(versions.values())) == len(versions)
    script = "from orchestrator.egress.contracts import CONTRACTS; print(*(c.version for c in CONTRACTS.values()))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.split() == [*versions.values()]


def test_another_description_is_another_schema() -> None:
    """A reference is replaced by what it stands for, with the words of its place."""

    class Inner(BaseModel):
        """An inner one."""

        number: int = Field(ge=0, description="A number.")

    class Outer(BaseModel):
        """An outer one."""

        inner: Inner = Field(description="Where it stands.")

    inner = schema_of(Outer)["properties"]["inner"]
    assert inner["description"] == "Where it stands."
    assert inner["properties"] == {"number": {"type": "integer", "description": "A number."}}


def test_a_critique_says_nothing_to_anybody() -> None:
    """It has no statements, so that none of its words can leave."""
    assert list(Critique(verdicts=()).statements()) == []
