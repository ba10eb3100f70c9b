"""What the governed tiers cost beside retrieval, encoding and the model, over the sample company.

    python -m benchmarks.pipeline [-n 5] [--profile]

A fresh home with the sample company and the extractive model; every golden question once to warm up, then `-n` rounds,
one question at a time. Figures are the answer's own `timings_ms`.
"The rest" is the whole less encoding, retrieval and model, so it holds the writing of the record too. With
`--profile`, one more round under the profiler: functions of ours by processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benchmarks.report import heading, percentile, spread, table, verdict
from ingest.tags import Classification
from retrieval.access import Principal

if TYPE_CHECKING:
    from orchestrator.services import Services

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples"
APART = ("encode", "retrieve", "model")  # what "the rest" leaves out
REST_MS = 5.0  # target, p50
OWNER = "bench"
READER = Principal(
    subject="ines", groups=frozenset({"staff", "support", "leadership"}), clearance=Classification.confidential
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One question."""

    tiers: dict[str, float]  # ms, as the answer has them, `total` among them
    cpu: float  # ms of this process, the index's own excluded
    answered: bool

    @property
    def rest(self) -> float:
        """Ms of all but encoding, retrieval and model."""
        return self.tiers["total"] - sum(self.tiers.get(name, 0.0) for name in APART)


def questions() -> list[str]:
    """Those of the golden set."""
    lines = (SAMPLES / "golden.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines if line]


async def ask_all(services: Services, asked: Sequence[str]) -> list[Timed]:
    """Every question by the extractive model, one after another."""
    scope = services.scope(READER)
    found = []
    for question in asked:
        began = time.process_time()
        answer = await services.ask(question, scope, model="extractive")
        cpu = 1e3 * (time.process_time() - began)
        found.append(Timed(tiers=answer.timings_ms, cpu=cpu, answered=answer.status == "answered"))
    return found


def show(timed: Sequence[Timed]) -> None:
    """Print the table."""
    names = list(dict.fromkeys(name for one in timed for name in one.tiers))
    rows = [[name, spread([one.tiers.get(name, 0.0) for one in timed])] for name in names]
    rest = [one.rest for one in timed]
    rows += [["the rest", spread(rest)], ["CPU of the process", spread([one.cpu for one in timed])]]
    answered = sum(one.answered for one in timed)
    print(f"{len(timed)} questions, {answered} answered; ms, p50 / p95\n")
    table(["tier", "ms"], rows)
    middle = percentile(rest, 50)
    print(f"\nall tiers but encoding, retrieval and model: p50 {middle:.2f} ms, {verdict(middle, REST_MS)}")


async def measure(home: Path, rounds: int, *, profile: bool) -> None:
    """Fill a home, warm up, measure, and print."""
    from orchestrator.services import open_services
    from orchestrator.settings import Settings

    async with open_services(Settings(home=home, workers=2)) as services:
        await services.ingest([SAMPLES / "company"], {"owner": OWNER}, SAMPLES / "tags.jsonl")
        asked = questions()
        await ask_all(services, asked)
        show(await ask_all(services, asked * rounds))
        if profile:
            with patch.object(asyncio, "to_thread", _inline):
                await _profile(services, asked)


async def _profile(services: Services, asked: Sequence[str]) -> None:
    profiler = cProfile.Profile(time.process_time)
    profiler.enable()
    await ask_all(services, asked)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("cumulative").print_stats("orchestrator", 60)


async def _inline(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """In place of a thread, which the profiler would not see."""
    return function(*args, **kwargs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What the governed tiers cost.")
    parser.add_argument("-n", type=int, default=5, help="rounds over the golden questions")
    parser.add_argument("--profile", action="store_true", help="one more round under the profiler")
    args = parser.parse_args()
    heading("The governed pipeline", "extractive model, sample company, one asker")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder) / "home", args.n, profile=args.profile))


if __name__ == "__main__":
    main()
