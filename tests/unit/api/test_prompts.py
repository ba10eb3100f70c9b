"""`/v1/prompts` over a real registry and the shipped policies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api import problems, prompts
from orchestrator.policy.engine import load_policy
from orchestrator.prompts.registry import PromptConfig, open_registry
from orchestrator.store.database import open_database
from retrieval.access import Principal
from tests.doubles.prompts import prompt_files, write_prompt

CALLERS = {
    "owner": Principal(subject="ann", roles=frozenset({"prompt-owner"})),
    "reader": Principal(subject="rita"),
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A server with two versions of a prompt of the home's own; callers are known by the header X-Test."""
    for version in ("1.0.0", "1.1.0"):
        write_prompt(tmp_path / "prompts", prompt_files(f"Version {version}.", version=version))
    database = open_database(f"sqlite:///{tmp_path / 'record.db'}")
    registry = open_registry(database, load_policy(), PromptConfig(folder=tmp_path / "prompts"))
    app = FastAPI()
    app.state.services = SimpleNamespace(governance=SimpleNamespace(prompts=registry))
    app.state.identify = lambda request: CALLERS.get(request.headers.get("x-test", ""))
    problems.install(app)
    prompts.install(app)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
    database.close()


def got(client: TestClient, path: str, caller: str = "reader", **params: Any) -> Any:
    response = client.get(f"/v1/prompts{path}", params=params, headers={"x-test": caller})
    assert response.status_code == 200, response.text
    return response.json()


def post(client: TestClient, path: str, caller: str = "owner", **body: Any) -> Any:
    return client.post(f"/v1/prompts{path}", json=body, headers={"x-test": caller})


def refused(response: Any, code: str) -> Any:
    assert response.headers["content-type"] == "application/problem+json", response.text
    found = response.json()
    assert found["type"] == f"urn:groundwire:{code}", found
    assert found["status"] == response.status_code >= 400
    return found


def test_no_one_reads_prompts_unknown(client: TestClient) -> None:
    """Every route wants to know who calls."""
    for path in ("", "/summary", "/summary/diff?from=dev&to=prod", "/summary/history"):
        response = client.get(f"/v1/prompts{path}")
        assert response.status_code == 401
        refused(response, "unknown_caller")
    body = {"version": "1.0.0", "to": "dev", "why": "x"}
    assert client.post("/v1/prompts/greet/promote", json=body).status_code == 401
    assert client.post("/v1/prompts/greet/rollback", json={"environment": "dev", "why": "x"}).status_code == 401


def test_prompts_are_listed_in_pages(client: TestClient) -> None:
    """Each page ends with the cursor of the next; together they are all, each once, sorted."""
    names: list[str] = []
    after: str | None = ""
    while after is not None:
        page = got(client, "", after=after, limit=3)
        names += [one["name"] for one in page["prompts"]]
        after = page["next"]
    assert names == sorted(set(names))
    assert {"greet", "grounded-answer"} < set(names)


def test_a_prompt_is_read_by_version_hash_and_environment(client: TestClient) -> None:
    """All three give the files; a hash of another prompt gives nothing."""
    live = got(client, "/summary")
    assert live == got(client, "/summary", version="1.0.0") == got(client, "/summary", environment="dev")
    assert got(client, "/summary", hash=live["content_hash"])["files"] == live["files"]
    response = client.get("/v1/prompts/greet", params={"hash": live["content_hash"]}, headers={"x-test": "reader"})
    refused(response, "no_such_prompt")
    refused(client.get("/v1/prompts/greet", headers={"x-test": "reader"}), "no_such_prompt")
    changed = got(client, "/greet/diff", **{"from": "1.0.0", "to": "1.1.0"})
    assert set(changed["files"]) == {"prompt.yaml", "system.md.j2"}


def test_a_version_goes_to_prod_and_back(client: TestClient) -> None:
    """With the report as text for prod; the history of it all is paged, newest first."""
    for version in ("1.0.0", "1.1.0"):
        for to in ("dev", "staging", "prod"):
            gate = {"prompt": {"name": "greet", "version": version}, "gate": {"passed": True}}
            done = post(client, "/greet/promote", version=version, to=to, why="better", evaluation=json.dumps(gate))
            assert done.status_code == 200, done.text
    assert got(client, "/greet")["version"] == "1.1.0"
    back = post(client, "/greet/rollback", environment="prod", why="worse")
    assert back.json()["version"] == "1.0.0"
    assert got(client, "/greet")["version"] == "1.0.0"
    first = got(client, "/greet/history", limit=2)
    rest = got(client, "/greet/history", limit=2, before=first["next"])
    assert [one["kind"] for one in first["history"] + rest["history"]] == ["rolled_back", "promoted", "promoted"]
    assert rest["next"] is None


def test_refusals_are_problems(client: TestClient) -> None:
    """Policy, rules and bad requests are told apart by code, and nothing has changed."""
    body = {"version": "1.0.0", "to": "dev", "why": "x"}
    response = post(client, "/greet/promote", "reader", **body)
    refused(response, "not_allowed")
    assert response.status_code == 403
    refused(post(client, "/greet/promote", **body | {"to": "prod"}), "not_in_environment_before")
    refused(post(client, "/greet/promote", **body | {"to": "moon"}), "invalid_request")
    refused(post(client, "/greet/promote", **body | {"why": ""}), "invalid_request")
    refused(post(client, "/greet/promote", **body | {"why": " "}), "bad_reason")
    refused(post(client, "/greet/promote", **body | {"version": "9.9.9"}), "no_such_prompt")
    refused(post(client, "/greet/promote", **body | {"evaluation": "x"}), "bad_evaluation")
    refused(post(client, "/summary/rollback", environment="prod", why="x"), "nothing_before")
    refused(post(client, "/summary/rollback", "reader", environment="prod", why="x"), "not_allowed")
    assert got(client, "/greet/history", environment="dev")["history"] == []
