"""How long an answer takes in a warm server, in all and by step, over real HTTP.

    python -m benchmarks.ask FILE.jsonl [--questions FILE] [-n 200]

A server of its own on loopback over a fresh home with the corpus; every question once to warm up, then the measured
ones, from 1, 4 and 16 askers at a time. Steps are what the server reports (`timings_ms`). "The rest" is the client's
round trip less encoding, retrieval, weighing the evidence and model: HTTP, the other tiers, the record, JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from benchmarks import records
from benchmarks.processes import cpu_seconds
from benchmarks.report import heading, percentile, spread, table, verdict

ROOT = Path(__file__).parents[1]
GROUNDWIRE = (sys.executable, "-c", "from api.cli import main; main()")
STEPS = ("encode", "retrieve", "weigh", "context", "prompt", "model", "egress")
APART = ("encode", "retrieve", "weigh", "model")  # what "the rest" leaves out
WHOLE_MS, REST_MS = 60.0, 5.0  # targets, p50


@dataclass(kw_only=True)
class Run:
    """All questions from so many askers, over all rounds."""

    askers: int
    served: list[Served] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0  # processor seconds of the server and its index


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One question as the client saw it."""

    ms: float  # round trip
    steps: dict[str, float]  # ms, as the server reports them
    answered: bool

    @property
    def rest(self) -> float:
        """All but encoding, index and model."""
        return self.ms - sum(self.steps[step] for step in APART)


@contextmanager
def server(home: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`groundwire serve` over a home on a free port, with no key; its address and process."""
    command = [*GROUNDWIRE, "serve", "--home", str(home), "--host", "127.0.0.1", "--port", "0", "--open", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"The server has ended with {process.wait()}; see its messages above.")
            yield json.loads(line)["url"], process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def ingest(home: Path, corpus: Sequence[records.Record]) -> dict[str, Any]:
    """Take records in as the local user, who may then read them all; the report."""
    with tempfile.TemporaryDirectory() as folder:
        path = records.write(Path(folder) / "corpus.jsonl", corpus)
        command = [*GROUNDWIRE, "ingest", str(path), "--home", str(home), "--json"]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"The ingest has ended with {done.returncode}.")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


async def ask_all(url: str, questions: Sequence[str], *, askers: int) -> list[Served]:
    """Every question, from so many askers at a time, each on a connection of its own."""
    waiting = iter(questions)
    served: list[Served] = []

    async def asker() -> None:
        async with httpx2.AsyncClient(base_url=url, timeout=120) as client:
            await client.get("/healthz")  # opens the connection
            for question in waiting:
                served.append(await _ask(client, question))  # noqa: PERF401 - others append as well

    await asyncio.gather(*(asker() for _ in range(askers)))
    return served


async def _ask(client: httpx2.AsyncClient, question: str) -> Served:
    began = time.perf_counter()
    response = await client.post("/v1/ask", json={"question": question})
    ms = 1e3 * (time.perf_counter() - began)
    response.raise_for_status()
    answer = response.json()
    return Served(ms=ms, steps=answer["timings_ms"], answered=answer["status"] == "answered")


def read_questions(path: Path) -> list[str]:
    """Questions of a file: one a line, or the field `question`, `text` or `query` of each record of a .jsonl file."""
    if path.suffix != ".jsonl":
        return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    names = ("question", "text", "query")
    return [next(str(record[name]) for name in names if name in record) for record in records.read(path)]


def show(runs: Sequence[Run]) -> None:
    """Print the tables."""
    parts = ("whole", *STEPS, "rest")
    rows = []
    for run in runs:
        cells = [spread([_part(one, name) for one in run.served]) for name in parts]
        count = len(run.served)
        rows.append([run.askers, f"{count / run.seconds:.1f}", f"{1e3 * run.cpu / count:.1f}", *cells])
    print("ms, p50 / p95; whole is the client's round trip; CPU is of the server and its index, a question\n")
    table(["askers", "questions/s", "CPU ms", *parts], rows)
    alone = runs[0].served
    whole = percentile([one.ms for one in alone], 50)
    rest = percentile([one.rest for one in alone], 50)
    print(f"\none asker: p50 {whole:.1f} ms, {verdict(whole, WHOLE_MS)}")
    print(f"all but encoding, index and model: p50 {rest:.1f} ms, {verdict(rest, REST_MS)}")


def _part(served: Served, name: str) -> float:
    return {"whole": served.ms, "rest": served.rest, **served.steps}[name]


async def measure(home: Path, questions: Sequence[str], askers: Sequence[int], rounds: int) -> list[Run]:
    """For each number of askers, all rounds of the questions, rounds taken in turns."""
    runs = [Run(askers=count) for count in askers]
    with server(home) as (url, process):
        await ask_all(url, questions[:20], askers=1)
        for _, run in itertools.product(range(rounds), runs):
            began, busy = time.perf_counter(), cpu_seconds(process.pid)
            run.served += await ask_all(url, questions, askers=run.askers)
            run.seconds += time.perf_counter() - began
            run.cpu += cpu_seconds(process.pid) - busy
    return runs


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ask", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, nargs="?", help="a .jsonl file of records; default: made up")
    parser.add_argument("--limit", type=int, help="records, drawn over the whole file; default: all, 1000 made up")
    parser.add_argument("--questions", type=Path, help="one a line, or .jsonl; default: made of the corpus's words")
    parser.add_argument("-n", type=int, default=200, help="questions")
    parser.add_argument("--askers", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--home", type=Path, help="a home that has the corpus already, to spare the ingest")
    given = parser.parse_args()
    corpus = records.sampled(given.corpus, given.limit) if given.corpus else list(records.made_up(given.limit or 1000))
    questions = read_questions(given.questions)[: given.n] if given.questions else records.questions(corpus, given.n)
    with tempfile.TemporaryDirectory() as folder:
        home = given.home or Path(folder) / "home"
        size = "as it is" if given.home else f"{ingest(home, corpus)['chunks']} chunks"
        heading(
            "Ask",
            f"corpus: {given.corpus or 'made up'}, {len(corpus)} records, {size}; n = {len(questions)} questions"
            f" ({given.questions or 'made of words of the corpus'}) x {given.rounds} rounds, extractive model",
        )
        runs = asyncio.run(measure(home, questions, given.askers, given.rounds))
    answered = sum(one.answered for one in runs[0].served) / len(runs[0].served)
    print(f"answered: {answered:.0%}\n")
    show(runs)


if __name__ == "__main__":
    main()
