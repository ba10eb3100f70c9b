"""`groundwire policies` and `groundwire workflows`."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from api.cli.policies import command as policies
from api.cli.workflows import command as workflows
from ingest.errors import BadInput
from orchestrator.policy.engine import load_policy
from orchestrator.policy.files import SHIPPED
from orchestrator.services import open_record
from orchestrator.settings import Settings
from orchestrator.store.policies import put_in_force
from orchestrator.workflows import ASK


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped set."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "policies"))


def called(command: click.Command, *args: str | Path) -> Result:
    return CliRunner().invoke(command, [str(arg) for arg in args])


def told(command: click.Command, *args: str | Path) -> Any:
    done = called(command, *args, "--json")
    assert done.exit_code in (0, 1), done.output
    return json.loads(done.stdout)


def test_the_shipped_policies_check() -> None:
    """Without a folder the set in force is checked: each decision is printed with its policy, and the exit is 0."""
    done = called(policies, "check")
    assert done.exit_code == 0
    assert "start: everyone asks: allow (start-ask)" in done.output
    assert "0 failed" in done.output


def test_a_test_that_fails_is_the_answer_no(folder: Path) -> None:
    """A policy that contradicts a test makes the exit 1, and the report says what was expected and why it is not so."""
    rule = '@id("shut") @owner("me") @description("closed") forbid (principal, action == Action::"start", resource);'
    (folder / "shut.cedar").write_text(rule, "utf-8")
    done = called(policies, "check", folder)
    assert done.exit_code == 1
    assert "FAIL  start: everyone asks: deny (shut)" in done.output
    assert "expected allow by start-ask. Denied, since closed (shut)." in done.output
    report = told(policies, "check", folder)
    assert not report["passed"]
    failed = {case["name"]: case for case in report["cases"] if not case["passed"]}
    assert failed["everyone asks"]["policies"] == ["shut"]
    assert "start-ask" in report["untested"]


def test_what_cannot_be_read_is_bad_input(folder: Path) -> None:
    """A syntax error ends the command with the error that exits with 2, and names file and line."""
    (folder / "zebra.cedar").write_text("\npermit (", "utf-8")
    raised = called(policies, "check", folder).exception
    assert isinstance(raised, BadInput)
    assert raised.item == f"{folder / 'zebra.cedar'}:2"


def test_rules_are_shown_in_plain_words(tmp_path: Path) -> None:
    """`show` prints what each policy does and who answers for it, and the versions that were in force."""
    files = load_policy().files
    with open_record(Settings(home=tmp_path)) as database, database.write() as db:
        put_in_force(db, files.version, files.texts, by="ann", at=datetime(2026, 11, 20, tzinfo=UTC))
    done = called(policies, "show", "--home", tmp_path)
    assert done.exit_code == 0
    assert "forbid route_model: regulated data goes to no remote model" in done.output
    assert "since 2026-11-20T00:00:00+00:00 by ann" in done.output
    shown = told(policies, "show", "--home", tmp_path)
    assert shown["history"] == [{"version": files.version, "since": "2026-11-20T00:00:00+00:00", "by": "ann"}]
    assert {"id", "effect", "actions", "description", "owner", "file", "line"} == shown["policies"][0].keys()
    assert shown["retention"]["regulated"]["days"] == load_policy().retentions[3].days  # type: ignore[index]


def test_workflows_are_listed_and_shown() -> None:
    """Each workflow with its risk and owner; one of them with its thresholds."""
    assert "ask  (version" in called(workflows, "list").output
    assert [one["name"] for one in told(workflows, "list")["workflows"]] == ["ask"]
    shown = told(workflows, "show", "ask")
    assert shown["deadline_s"] == ASK.deadline_s
    assert shown["thresholds"]["high"] == {"abstain": 0.5, "answer": ASK.threshold("high").answer, "review": True}
    assert isinstance(called(workflows, "show", "fly").exception, BadInput)


def test_decisions_are_explained_to_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`explain` prints each decision with its threshold in force; a setting that changes shows."""
    monkeypatch.setenv("GROUNDWIRE_SCREENING_ACT", "0.9625")
    done = called(workflows, "explain", "--home", tmp_path)
    assert done.exit_code == 0, done.exception
    for word in ("INGRESS", "RECORD", "act: 0.9625", "[start-ask, version", "set in GROUNDWIRE_SCREENING_ACT"):
        assert word in done.output
    explained = told(workflows, "explain", "ask", "--home", tmp_path)
    [screening] = [one for one in explained["decisions"] if one["id"] == "screening"]
    assert screening["values"]["act"] == 0.9625
    assert {"tier", "id", "rule", "values", "version", "where", "owner"} == screening.keys()
