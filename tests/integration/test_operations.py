"""What operators rely on: a server's log, the hosts that it may talk to, and what `doctor` tells."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import urllib.request
from contextlib import closing
from pathlib import Path

import yaml

from orchestrator.diagnosis import diagnose
from orchestrator.policy.files import SHIPPED
from orchestrator.settings import Settings
from tests.doubles.encoder import HashEncoder

ROOT = Path(__file__).parents[2]

# A server whose process tries to reach a host of no setting when it is asked for its health.
STRAY = """
import socket, sys
from pathlib import Path
from api import http
from api.server import serve
from orchestrator.settings import Settings
import orchestrator.services
from tests.doubles.encoder import HashEncoder
from tests.doubles.screener import MarkScreener

orchestrator.services._open_encoder = lambda _: HashEncoder()
orchestrator.services._open_screener = MarkScreener
plain = http._add_health

def with_stray_call(app):
    plain(app)

    @app.get("/stray")
    def stray():
        for target in (("telemetry.example.com", 443), ("93.184.216.34", 443)):
            try:
                socket.create_connection(target, timeout=2).close()
            except OSError as error:
                yield_name = type(error).__name__
                if yield_name != "HostNotAllowed":
                    return {"refused": False, "by": yield_name}
            else:
                return {"refused": False, "by": None}
        return {"refused": True}

http._add_health = with_stray_call
serve(Settings(home=Path(sys.argv[1]), port=0, open_access=True, workers=1, log_format="json"), as_json=True)
"""


def _get(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.status, answer.read().decode()


def test_a_surprise_connection_of_the_server_fails(tmp_path: Path) -> None:
    """What no setting names cannot be reached from within; its own work goes on, and its log holds no question."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", textwrap.dedent(STRAY), str(tmp_path / "home")]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            assert json.loads(_get(f"{url}/stray")[1]) == {"refused": True}
            body = json.dumps({"question": "When does the canteen open?"}).encode()
            request = urllib.request.Request(
                f"{url}/v1/ask", data=body, headers={"Content-Type": "application/json"}, method="POST"
            )
            with urllib.request.urlopen(request, timeout=20) as answer:
                assert json.loads(answer.read())["status"] == "abstained"
            status, page = _get(f"{url}/metrics")
            assert status == 200
            counted = next(line for line in page.splitlines() if line.startswith("groundwire_refused_connections "))
            assert float(counted.split()[1]) >= 2
        finally:
            server.terminate()
            server.wait(timeout=20)
            assert server.stderr is not None
            log = server.stderr.read()
    assert "canteen" not in log, log


def test_doctor_tells_of_models_record_and_policies(hash_encoder: HashEncoder, tmp_path: Path) -> None:
    """A route without its key is missing, with it ready; an altered record and a failing policy test are failures."""
    home = tmp_path / "home"

    def states(**settings: object) -> dict[str, str]:
        found = asyncio.run(diagnose(Settings(home=home, workers=1, **settings)))  # type: ignore[arg-type]
        return {one.check: one.state for one in found}

    before = states()
    assert (before["route extractive"], before["route claude-haiku"]) == ("ok", "missing")
    assert (before["record"], before["policies"]) == ("ok", "ok")
    assert states(secrets={"anthropic": "key"})["route claude-haiku"] == "ok"
    own = tmp_path / "policies"
    shutil.copytree(SHIPPED, own)
    cases = yaml.safe_load((own / "tests.yaml").read_text("utf-8"))
    cases["cases"][0]["expect"] = "deny" if cases["cases"][0]["expect"] == "allow" else "allow"
    cases["cases"][0].pop("by", None)
    (own / "tests.yaml").write_text(yaml.safe_dump(cases), "utf-8")
    assert states(policies_folder=own)["policies"] == "failed"
    with closing(sqlite3.connect(home / "record.db")) as db, db:
        db.execute("UPDATE audit_events SET kind = 'routed' WHERE seq = 1")
    assert states()["record"] == "failed"
