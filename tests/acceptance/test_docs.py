"""What the documents say is so: commands run, settings and commands are named, links lead somewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic_core import PydanticUndefined

from orchestrator.settings import Settings
from tests.acceptance.conftest import ROOT, Checkout, environment

pytestmark = pytest.mark.acceptance

README = (ROOT / "README.md").read_text("utf-8")
SETTINGS = (ROOT / "docs/settings.md").read_text("utf-8")
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not path.relative_to(ROOT).parts[0].startswith(".") and "company" not in path.parts
)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """What a reader types, in order."""
    lines = [line for block in blocks(README, "console") for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def test_the_readme_does_what_it_says(checkout: Checkout) -> None:
    """After the demo each `$` line of the README runs as it stands, in order, and ends with 0."""
    assert checkout.demo.returncode == 0
    printed = {}
    for command in commands():
        done = checkout.run(command)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        printed[command] = done.stdout
    assert len(printed) >= 15
    (refused,) = [out for command, out in printed.items() if "exit code" in command]
    assert "No answer" in refused
    assert "exit code 1" in refused
    (hidden,) = [out for command, out in printed.items() if "nda-heron" in command]
    assert "same_colour" in hidden


def test_the_answer_in_the_readme_is_an_answer(checkout: Checkout) -> None:
    """The JSON that the README shows has the fields of a real answer, and the same statement with the same place."""
    shown = json.loads(blocks(README, "json")[0])
    home = f"--home {checkout.home}"
    question = next(command for command in commands() if "return a product" in command)
    real = json.loads(checkout.run(f"{question} --json {home}").stdout)
    assert shown.keys() == real.keys()
    assert shown["answer"] == real["answer"]
    assert shape(shown["claims"]) == shape(real["claims"])
    for field in ("document_id", "version", "title", "page", "start", "end", "quote"):
        assert shown["claims"][0]["citations"][0][field] == real["claims"][0]["citations"][0][field]
    for field in ("status", "flags", "model", "prompt", "usage", "route"):
        assert shown[field] == real[field]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_http_examples_work(checkout: Checkout) -> None:
    """The curl lines of the README answer as the commands do, with the key that the first start shows."""
    command = [".venv/bin/groundwire", "serve", "--port", "0", "--json", "--home", str(checkout.home)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=checkout.folder, env=environment(), **pipes) as server:
        try:
            assert server.stdout
            assert server.stderr
            address = json.loads(server.stdout.readline())["url"].removeprefix("http://")
            key = server.stderr.readline().split()[-1]
            (block,) = (block for block in blocks(README, "sh") if "curl" in block)
            lines = block.replace("\\\n", " ").replace("localhost:8321", address).splitlines()
            answer, hits, listed, shown = (
                json.loads(checkout.run(f"KEY={key}; {line.replace('curl', 'curl -sS --fail')}").stdout)
                for line in lines
            )
        finally:
            server.terminate()
    assert answer["status"] == "answered"
    assert len(hits["hits"]) == 3
    assert len(listed["documents"]) == 10
    assert shown["document_id"] == "company/hr/leave.md"
    assert "annual leave" in shown["text"]


def shape(value: Any) -> Any:
    """The keys of a JSON value, without what they hold."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    """docs/settings.md has a line for each setting, with its default and the description in the code."""
    field = Settings.model_fields[name]
    assert field.default is not PydanticUndefined
    default = "" if field.default is None or field.default == "" else f"`{field.default}`"
    assert f"| `GROUNDWIRE_{name.upper()}` | {default} | {field.description} |\n" in SETTINGS


def test_no_setting_is_documented_that_does_not_exist() -> None:
    """Nothing that the documents name by its variable has gone from the code."""
    known = {f"GROUNDWIRE_{name.upper()}" for name in Settings.model_fields}
    for page in PAGES:
        named = set(re.findall(r"\bGROUNDWIRE_[A-Z_]*[A-Z]\b", page.read_text("utf-8")))
        assert {name for name in named if not name.startswith("GROUNDWIRE_TEST_")} <= known, page
    table = README[README.index("| Setting | Default") : README.index("## Keep it safe")]
    assert {f"GROUNDWIRE_{name}" for name in re.findall(r"`([A-Z_]{4,})`", table)} <= known


def test_every_command_is_named() -> None:
    """The README shows each command and subcommand of the command line at work or in words."""
    import click

    from api.cli import groundwire

    context = click.Context(groundwire)
    for name in groundwire.list_commands(context):
        command = groundwire.get_command(context, name)
        assert f"groundwire {name}" in README, name
        if isinstance(command, click.Group):
            for part in command.commands:
                assert f"{name} {part}" in README, f"{name} {part}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file, and each path of ours that is named in code letters, exists."""
    text = page.read_text("utf-8")
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    for link in links:
        assert link.startswith(("http://", "https://")) or (page.parent / unquote(link)).exists(), link
    if page.parent == ROOT:
        for path in re.findall(
            r"`((?:ingest|retrieval|orchestrator|api|evals|samples|docs|tests|benchmarks)/[\w./-]*)`", text
        ):
            assert (ROOT / path).exists(), path
