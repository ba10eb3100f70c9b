"""`groundwire prompts`: what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.cli.prompts import command as prompts
from ingest.errors import BadInput
from tests.doubles.prompts import prompt_files, write_prompt

OWNER = ("--as", "ann", "--roles", "prompt-owner")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with two versions of a prompt of its own."""
    for version in ("1.0.0", "1.1.0"):
        write_prompt(tmp_path / "home" / "prompts", prompt_files(f"Be brief.\nVersion {version}.", version=version))
    return tmp_path / "home"


def called(home: Path, *args: str | Path) -> Result:
    return CliRunner().invoke(prompts, [*map(str, args), "--home", str(home)])


def told(home: Path, *args: str | Path, code: int = 0) -> Any:
    done = called(home, *args, "--json")
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def test_a_list_says_what_is_live_where(home: Path) -> None:
    """What ships is live everywhere in the order of promotion; what a home brings is listed and not live."""
    found = {one["name"]: one for one in told(home, "list")["prompts"]}
    assert list(found["grounded-answer"]["live"]) == ["dev", "staging", "prod"]
    assert found["greet"] == {
        "name": "greet",
        "title": "Greet",
        "owner": "ann",
        "contract": "summary",
        "versions": ["1.0.0", "1.1.0"],
        "live": {},
    }
    assert "greet  (not live)  Greet" in called(home, "list").output


def test_a_prompt_is_shown_in_three_ways(home: Path) -> None:
    """As it is live, as a version, and as what ran under a hash; the hash must be of that prompt."""
    live = told(home, "show", "summary")
    assert live == told(home, "show", "summary", "--version", "1.0.0")
    ran = told(home, "show", "summary", "--hash", live["content_hash"][:12])
    assert (ran["files"], ran["version"]) == (live["files"], "1.0.0")
    assert "{{ evidence }}" in called(home, "show", "summary", "--env", "dev").output
    wrong = called(home, "show", "critique", "--hash", live["content_hash"])
    assert isinstance(wrong.exception, BadInput)
    assert wrong.exception.code == "no_such_prompt"


def test_a_diff_shows_what_changes(home: Path) -> None:
    """File by file, between versions or what is live in two environments."""
    changed = told(home, "diff", "greet", "1.0.0", "1.1.0")
    assert set(changed["files"]) == {"prompt.yaml", "system.md.j2"}
    assert "-Version 1.0.0.\n+Version 1.1.0." in changed["files"]["system.md.j2"]
    assert "They are the same." in called(home, "diff", "summary", "dev", "prod").output


def test_a_check_exits_with_1_and_names_the_places(home: Path, tmp_path: Path) -> None:
    """All that would fail in a run is told, of a folder or of the home; a good one exits with 0."""
    assert called(home, "check").exit_code == 0
    assert told(home, "check", home / "prompts" / "greet" / "1.0.0")["passed"]
    bad = write_prompt(tmp_path / "drafts", prompt_files("Fine.\n{% include 'http://127.0.0.1/' %}"))
    found = told(home, "check", tmp_path / "drafts", code=1)
    assert found["prompts"][0]["folder"] == str(bad)
    assert found["prompts"][0]["problems"][0]["place"] == "system.md.j2:2"
    done = called(home, "check", tmp_path / "drafts")
    assert done.exit_code == 1
    assert "system.md.j2:2: `include` is not for prompts." in done.output


def test_a_bad_prompt_of_the_home_can_be_checked(home: Path) -> None:
    """The check tells what is wrong even where the home would not open."""
    (home / "prompts" / "greet" / "1.0.0" / "user.md.j2").write_text("{{ question }}")
    assert not told(home, "check", code=1)["passed"]
    assert isinstance(called(home, "list").exception, BadInput)


def test_a_version_is_promoted_and_rolled_back(home: Path, tmp_path: Path) -> None:
    """Step by step, with a report for prod; each step prints its record, and the history keeps it."""
    for version in ("1.0.0", "1.1.0"):
        for to in ("dev", "staging"):
            told(home, "promote", "greet", version, "--to", to, "--why", "try", *OWNER)
        report = tmp_path / "report.json"
        report.write_text(json.dumps({"prompt": {"name": "greet", "version": version}, "gate": {"passed": True}}))
        command = ("promote", "greet", version, "--to", "prod", "--why", "better", "--evaluation", report)
        record = told(home, *command, *OWNER)
    assert (record["kind"], record["subject"], record["from_version"]) == ("promoted", "ann", "1.0.0")
    assert record["policies"] == ["prompt-by-owners"]
    done = called(home, "rollback", "greet", "--env", "prod", "--why", "worse", *OWNER)
    assert done.output == "greet 1.0.0 is live in prod, in place of 1.1.0.\n"
    history = told(home, "history", "greet")["history"]
    assert [(one["kind"], one["version"]) for one in history] == [
        ("rolled_back", "1.0.0"),
        ("promoted", "1.1.0"),
        ("promoted", "1.0.0"),
    ]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("promote", "greet", "1.0.0", "--to", "dev", "--why", "x"), "not_allowed"),
        (("promote", "greet", "1.0.0", "--to", "prod", "--why", "x", *OWNER), "not_in_environment_before"),
        (("rollback", "summary", "--env", "prod", "--why", "x", *OWNER), "nothing_before"),
    ],
)
def test_a_refusal_is_the_answer_no(home: Path, args: tuple[str, ...], code: str) -> None:
    """What policy or rules refuse exits with 1, and says why to people and programs."""
    assert told(home, *args, code=1)["error"]["code"] == code
    assert called(home, *args).stderr.count("\n") == 3


@pytest.mark.parametrize("which", ["7.0.0", "nonsense", ""])
def test_an_unknown_version_is_bad_input(home: Path, which: str) -> None:
    """It is no refusal: the command cannot be used like this."""
    done = called(home, "promote", "greet", which, "--to", "dev", "--why", "x", *OWNER)
    assert isinstance(done.exception, BadInput)
    assert done.exception.code == "no_such_prompt"


def test_the_command_loads_no_web_framework() -> None:
    """Listing prompts needs neither FastAPI nor a model's SDK, and help needs no template engine."""
    script = (
        "import sys; from click.testing import CliRunner; from api.cli.prompts import command\n"
        "assert CliRunner().invoke(command, ['--help']).exit_code == 0\n"
        "assert not {'jinja2', 'sqlalchemy', 'yaml'} & set(sys.modules)\n"
        "import tempfile\n"
        "assert CliRunner().invoke(command, ['list', '--home', tempfile.mkdtemp()]).exit_code == 0\n"
        "assert not {'fastapi', 'anthropic', 'openai', 'torch'} & set(sys.modules)\n"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, timeout=120)
