"""How much memory a warm server holds: its own process and the index's, by number of chunks.

    python -m benchmarks.memory --chunks 50000

The home is filled with drawn vectors (`benchmarks.synthetic_home`); `groundwire serve` then answers real questions with
the real encoder, and its memory is read. Resident memory has pages of files in it that the system can take back, such
as code and the index's mapped files; they are given apart.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks import records
from benchmarks.ask import ask_all, server
from benchmarks.processes import resident_mib
from benchmarks.report import heading, table, verdict
from benchmarks.synthetic_home import fill
from orchestrator.services import open_services
from orchestrator.settings import Settings

MOST_MIB = {50_000: 1024}  # targets


async def build(home: Path, chunks: int) -> tuple[list[records.Record], float]:
    """Fill a home; its documents and the seconds that it took."""
    began = time.perf_counter()
    async with open_services(Settings(home=home)) as services:
        documents = await fill(services, chunks)
    return documents, time.perf_counter() - began


def measure(home: Path, questions: list[str], askers: int) -> list[tuple[str, dict[str, float]]]:
    """Resident MiB by process: started, after the first questions, and after many at once."""
    found = []
    with server(home) as (url, process):
        main = psutil.Process(process.pid)
        asyncio.run(ask_all(url, [], askers=1))
        found.append(("ready", sizes(main)))
        asyncio.run(ask_all(url, questions[:10], askers=1))
        found.append(("after 10 questions", sizes(main)))
        asyncio.run(ask_all(url, questions, askers=askers))
        found.append((f"after {len(questions)}, from {askers} at a time", sizes(main)))
    return found


def sizes(main: psutil.Process) -> dict[str, float]:
    """MiB by role, and how much of it is pages of files."""
    found = resident_mib(main)
    shared = sum(getattr(one.memory_info(), "shared", 0) for one in [main, *main.children(recursive=True)])
    return {"all": sum(found.values()), "of files": shared / 2**20, **found}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chunks", type=int, nargs="+", default=[50_000])
    parser.add_argument("-n", type=int, default=100, help="questions")
    parser.add_argument("--askers", type=int, default=4)
    given = parser.parse_args()
    heading("Memory", f"n = {given.n} questions; MiB resident")
    rows = []
    for chunks in given.chunks:
        with tempfile.TemporaryDirectory() as folder:
            documents, seconds = asyncio.run(build(Path(folder), chunks))
            disk = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / 2**20
            print(f"{chunks} chunks, {len(documents)} documents: filled in {seconds:.0f} s, {disk:.0f} MiB on disk")
            for when, found in measure(Path(folder), records.questions(documents, given.n), given.askers):
                parts = [f"{found.get(name, 0.0):.0f}" for name in ("all", "main", "index", "of files")]
                limit = MOST_MIB.get(chunks)
                rows.append([chunks, when, *parts, verdict(found["all"], limit) if limit else ""])
    print()
    table(["chunks", "when", "all", "main", "index", "pages of files", "target for all"], rows)


if __name__ == "__main__":
    main()
