"""How long the command line and the server take to start, in fresh processes.

    python -m benchmarks.startup

Commands alternate, so that other load on the machine hits all of them. Beside them stands what Python itself needs to
start and import click, below which no command can be.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import records
from benchmarks.ask import GROUNDWIRE, ROOT, ingest, server
from benchmarks.report import heading, percentile, table, verdict

HELP_S = 0.3  # target


def run(command: Sequence[str]) -> None:
    """Run to the end, quietly."""
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def until_ready(home: Path) -> float:
    """Seconds from the start of a server until it answers /readyz."""
    began = time.perf_counter()
    with server(home) as (url, _):
        while True:
            try:
                with urllib.request.urlopen(f"{url}/readyz", timeout=60) as response:
                    assert response.status == 200
                    return time.perf_counter() - began
            except urllib.error.URLError:
                time.sleep(0.01)  # it does not listen yet


def measure(home: Path, rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """Wall and processor seconds of every round, by command, after one round to warm the disk's cache."""
    question = "What is written about this?"
    ways: Mapping[str, Callable[[], object]] = {
        "python, click": lambda: run([sys.executable, "-c", "import click"]),
        "groundwire --help": lambda: run([*GROUNDWIRE, "--help"]),
        "groundwire --version": lambda: run([*GROUNDWIRE, "--version"]),
        "first search": lambda: run([*GROUNDWIRE, "search", question, "--home", str(home)]),
        "server ready": lambda: until_ready(home),
    }
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            began, busy = time.perf_counter(), _children_cpu()
            seconds = way()
            if number:
                found[name][0].append(seconds if isinstance(seconds, float) else time.perf_counter() - began)
                found[name][1].append(_children_cpu() - busy)
    return found


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def show(found: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    """Print the table."""
    rows = []
    for name, (wall, cpu) in found.items():
        figures = [statistics.median(wall), min(wall), percentile(wall, 95), statistics.median(cpu)]
        target = verdict(figures[0], HELP_S) if name == "groundwire --help" else ""
        rows.append([name, *(f"{figure:.2f}" for figure in figures), target])
    table(["", "median s", "least s", "p95 s", "median CPU s", ""], rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=50, help="in the home that is searched and served")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        report = ingest(home, list(records.made_up(given.records)))
        heading(
            "Start-up", f"a home of {report['chunks']} chunks; n = {given.rounds} rounds, fresh processes, files cached"
        )
        show(measure(home, given.rounds))


if __name__ == "__main__":
    main()
