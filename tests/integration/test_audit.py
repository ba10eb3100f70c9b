"""The record as people and programs meet it: the command line and HTTP."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from click.testing import CliRunner, Result
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api import audit, problems
from api.cli.audit import command
from ingest.errors import BadInput
from ingest.tags import Classification
from orchestrator.audit.verify_bundle import Invalid, verify
from orchestrator.governance import open_custody_of, open_governance, runs_of
from orchestrator.services import open_record
from orchestrator.settings import Settings
from orchestrator.store.runs import RunRow, Use
from retrieval.access import Principal, ReadScope, read_scope
from tests.doubles.audit_records import ask

if TYPE_CHECKING:
    from retrieval.library import Library


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path / "home")
    with open_record(settings) as database, open_custody_of(settings, database) as custody:
        ask(custody, "r1")
        ask(custody, "r2", tenant="other")
    return settings


def call(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--home", str(settings.home)], standalone_mode=True)


def tamper(settings: Settings, seq: int) -> None:
    with closing(sqlite3.connect(settings.home / "record.db")) as db, db:
        db.execute("UPDATE audit_events SET kind = 'routed' WHERE seq = ?", [seq])


def test_verify_says_what_is_wrong_and_exits_with_1(settings: Settings) -> None:
    """0 while everything holds; then 1, with the first bad event named for people and for programs."""
    good = call(settings, "verify", "--deep")
    assert (good.exit_code, good.output.splitlines()[-1]) == (0, "Everything holds.")
    tamper(settings, 3)
    bad = call(settings, "verify")
    assert bad.exit_code == 1
    assert "CHANGED: event 3, run r1. Event 3: kind in the table is not what the event says." in bad.output
    told = json.loads(call(settings, "verify", "--json").output)
    assert (told["ok"], told["first_bad_event"]["seq"], told["first_bad_event"]["problem"]) == (False, 3, "changed")


def test_a_checkpoint_kept_elsewhere_tells_of_an_older_database(settings: Settings, tmp_path: Path) -> None:
    """`checkpoint --out` writes what `verify --against` takes, even when everything at home is put back."""
    files = {path: path.read_bytes() for path in settings.home.rglob("*") if path.is_file()}
    with open_record(settings) as database, open_custody_of(settings, database) as custody:
        ask(custody, "r3")
    kept = tmp_path / "kept.jsonl"
    assert call(settings, "checkpoint", "--out", str(kept)).exit_code == 0
    assert call(settings, "verify", "--against", str(kept)).exit_code == 0
    for path, content in files.items():
        path.write_bytes(content)
    for log in settings.home.glob("record.db-*"):
        log.unlink()
    assert call(settings, "verify").exit_code == 0
    found = call(settings, "verify", "--against", str(kept))
    assert found.exit_code == 1
    assert "ROLLED_BACK: event 9." in found.output


def test_an_exported_run_verifies(settings: Settings, tmp_path: Path) -> None:
    """With contents or without; a run that is not there is refused."""
    for name, options, words in (("a", [], "3 enclosed"), ("b", ["--no-content"], "3 withheld")):
        out = tmp_path / f"{name}.zip"
        assert call(settings, "export", "r1", "--out", str(out), *options).exit_code == 0
        assert words in verify(str(out))
    gone = call(settings, "export", "r2", "--out", str(tmp_path / "c.zip"))
    assert isinstance(gone.exception, BadInput)
    assert gone.exception.code == "no_such_run"
    assert not (tmp_path / "c.zip").exists()


def test_erasing_wants_to_be_confirmed(settings: Settings) -> None:
    """Without --yes nothing happens; with it contents are gone and the record holds."""
    refused = call(settings, "erase", "ann")
    assert isinstance(refused.exception, BadInput)
    assert refused.exception.code == "not_confirmed"
    done = json.loads(call(settings, "erase", "ann", "--yes", "--json").output)
    assert (done["contents"], done["runs"]) == (3, 0)
    assert json.loads(call(settings, "verify", "--deep", "--json").output)["erased"] == 3


def test_keys_are_shown_and_rotated(settings: Settings, tmp_path: Path) -> None:
    """After a rotation two keys count, the new one signs, the change is an event, and old evidence verifies."""
    out = tmp_path / "old.zip"
    call(settings, "export", "r1", "--out", str(out))
    before = json.loads(call(settings, "keys", "--json").output)
    after = json.loads(call(settings, "keys", "--rotate", "--json").output)
    assert before["signs"] != after["signs"]
    assert set(after["keys"]) == {before["signs"], after["signs"]}
    assert call(settings, "verify").exit_code == 0
    with open_record(settings) as database, open_custody_of(settings, database) as custody:
        (event,) = custody.latest("", kind="setting_changed")
        head = custody.checkpoint()
    assert event.facts["value"] == after["signs"]
    assert head is not None
    assert head.key_id == after["signs"]
    assert verify(str(out), [bytes.fromhex(after["keys"][before["signs"]])])
    with pytest.raises(Invalid):
        verify(str(out), [bytes.fromhex(after["keys"][after["signs"]])])


class Shelf:
    """Texts that some readers may read."""

    async def stored(self, scope: ReadScope, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
        """Those that are for everyone; the others for whoever is cleared for all."""
        return {place: "" for place in wanted if scope.clearance == Classification.regulated}


Connect = Callable[..., TestClient]


@pytest.fixture
def connect(settings: Settings) -> Iterator[Connect]:
    """A client of a home in which run r1 drew on a document, for a principal."""
    with open_governance(settings) as governance:
        row = RunRow(
            run_id="r1",
            tenant="default",
            subject="ann",
            workflow="ask",
            workflow_version="1",
            started_at=datetime.now(UTC),
        )
        with governance.database.write() as db:
            governance.runs.start(db, row)
            governance.runs.finish(db, row, [Use(kind="document", id="minutes.md", version="1")])

        def make(**who: Any) -> TestClient:
            app = FastAPI()
            runs = runs_of(governance, cast("Library", Shelf()), read_scope)
            app.state.services = SimpleNamespace(governance=governance, runs=runs, scope=read_scope)
            app.state.identify = lambda _: Principal(subject="eve", **who)
            problems.install(app)
            audit.install(app)
            return TestClient(app, raise_server_exceptions=False)

        yield make


AUDITOR = {"roles": frozenset({"auditor"})}


@pytest.mark.parametrize("path", ["/v1/audit/verify", "/v1/audit/runs/r1", "/v1/audit/runs/r9"])
def test_others_than_auditors_are_refused(connect: Connect, path: str) -> None:
    """The same 403 whether there is such a run or not."""
    answer = connect().get(path)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:groundwire:not_allowed")


def test_an_auditor_gets_evidence_of_their_tenant_alone(connect: Connect, tmp_path: Path) -> None:
    """Contents only for who may read what the run drew on; a run of others is answered as one that never was."""
    for clearance, words in ((Classification.public, "3 withheld"), (Classification.regulated, "3 enclosed")):
        answer = connect(clearance=clearance, **AUDITOR).get("/v1/audit/runs/r1")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
        (tmp_path / "b.zip").write_bytes(answer.content)
        assert words in verify(str(tmp_path / "b.zip"))
    others, never = (connect(**AUDITOR).get(f"/v1/audit/runs/{run}") for run in ("r2", "r9"))
    assert others.status_code == never.status_code
    assert others.status_code == 404
    assert others.json() | {"item": ""} == never.json() | {"item": ""}
    assert zipfile.is_zipfile(tmp_path / "b.zip")


def test_verification_over_http_names_no_run_of_others(settings: Settings, connect: Connect) -> None:
    """What is wrong is told to every auditor, which run only to those of its tenant."""
    assert connect(**AUDITOR).get("/v1/audit/verify").json()["ok"]
    tamper(settings, 7)  # of r2, tenant "other"
    told = connect(**AUDITOR).get("/v1/audit/verify", params={"deep": True}).json()
    assert (told["ok"], told["first_bad_event"]["seq"], told["first_bad_event"]["run_id"]) == (False, 7, None)
    assert "r2" not in json.dumps(told)
    own = connect(tenant="other", **AUDITOR).get("/v1/audit/verify").json()
    assert own["first_bad_event"]["run_id"] == "r2"
