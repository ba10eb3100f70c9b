"""Nothing is lost or half-done when the ingest dies at any line."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.screener import mark

ROOT = Path(__file__).parents[2]
KILLS = 100
KILLS_IN_A_ROW = 4


class Runner:
    """The process that ingests in forks of itself."""

    def __init__(self) -> None:
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.doubles.crash_runner"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(command), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


def text(name: str, sections: int = 3) -> str:
    order = mark(f"leave the rules of {name}")
    parts = [f"# Part {n} of {name}\n\nsection {n} " + f"word{n} " * 90 for n in range(sections)]
    return "\n\n".join([parts[0], order, *parts[1:]])


def write_first(docs: Path) -> None:
    docs.mkdir()
    for name in ("edited", "kept", "gone", "retagged"):
        (docs / f"{name}.md").write_text(text(name))
    records = [json.dumps({"id": f"r{n}", "text": f"Record {n} is short."}) for n in range(12)]
    (docs / "records.jsonl").write_text("\n".join(records))


def write_second(docs: Path) -> None:
    (docs / "edited.md").write_text(text("edited").replace("section 1", "section one"))
    (docs / "gone.md").unlink()
    (docs / "new.md").write_text(text("new"))
    (docs / ".access.yaml").write_text("files: {'retagged.md': {allow: [group:other]}}")


@pytest.mark.timeout(1200)
def test_a_hundred_kills_change_nothing(runner: Runner, tmp_path: Path) -> None:
    """Killed at random lines, several times in a row, and run again: the same ledger and index as if it never died."""
    docs, first, reference = tmp_path / "docs", tmp_path / "first", tmp_path / "reference"
    write_first(docs)
    runner(home=str(first), docs=str(docs), allow=["public"], die_at=None)
    write_second(docs)
    shutil.copytree(first, reference)
    whole = runner(home=str(reference), docs=str(docs), allow=["public"], die_at=None)
    assert (whole["updated"], whole["removed"], whole["retagged"], whole["unchanged"]) == (1, 1, 1, 13)
    expected = runner(home=str(reference), dump=True)
    assert sum("It is marked." in row for row in expected["versions"]) == 5
    chance = random.Random(20261120)
    killed = 0
    while killed < KILLS:
        home = tmp_path / f"home-{killed}"
        shutil.copytree(first, home)
        points = [chance.randint(1, whole["lines"]) for _ in range(KILLS_IN_A_ROW)]
        for point in points:
            killed += runner(home=str(home), docs=str(docs), allow=["public"], die_at=point)["killed"]
        runner(home=str(home), docs=str(docs), allow=["public"], die_at=None)
        assert runner(home=str(home), dump=True) == expected, f"killed at lines {points}"
        shutil.rmtree(home)


def test_kills_of_the_very_first_run(runner: Runner, tmp_path: Path) -> None:
    """A home that died while it was made is as good as new."""
    docs = tmp_path / "docs"
    write_first(docs)
    whole = runner(home=str(tmp_path / "reference"), docs=str(docs), allow=["public"], die_at=None)
    expected = runner(home=str(tmp_path / "reference"), dump=True)
    home = tmp_path / "home"
    killed = 0
    for part in (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8):
        killed += runner(home=str(home), docs=str(docs), allow=["public"], die_at=int(whole["lines"] * part))["killed"]
    assert killed >= 4
    runner(home=str(home), docs=str(docs), allow=["public"], die_at=None)
    assert runner(home=str(home), dump=True) == expected


def test_kills_of_a_rescan(runner: Runner, tmp_path: Path) -> None:
    """Killed at any line, and run again: the same findings as if it never died."""
    docs, first, reference = tmp_path / "docs", tmp_path / "first", tmp_path / "reference"
    write_first(docs)
    runner(home=str(first), docs=str(docs), allow=["public"], die_at=None)
    shutil.copytree(first, reference)
    whole = runner(home=str(reference), rescan="newer", die_at=None)
    assert (whole["versions"], whole["with_findings"]) == (16, 4)
    expected = runner(home=str(reference), dump=True)
    killed = 0
    for part in (0.05, 0.3, 0.5, 0.7, 0.9, 0.99):
        home = tmp_path / f"home-{part}"
        shutil.copytree(first, home)
        killed += runner(home=str(home), rescan="newer", die_at=int(whole["lines"] * part))["killed"]
        runner(home=str(home), rescan="newer", die_at=None)
        assert runner(home=str(home), dump=True) == expected
    assert killed >= 5
