"""The encoder against plain sentence-transformers on the same chunks, side by side in one run.

    python -m benchmarks.encoder [--corpus FILE.jsonl | FOLDER] [--chunks 128] [--rounds 5]

Plain is `SentenceTransformer.encode` in float32 with its default batch size, sentence vectors only; ours gives token
signs as well. Rounds alternate between the two, so that other load on the machine hits both: read the ratio, and where
the machine is busy that of CPU time. Start-up and memory are taken in fresh processes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.encoders import EncoderConfig, open_encoder
from ingest.encoders.model_folder import open_model_folder

if TYPE_CHECKING:
    from ingest.encoder import Encoder

Taken = tuple[list[float], list[float]]  # seconds of each round: plain, ours

CHUNK_TOKENS = 220
QUESTIONS = [
    "How many days of leave does a new employee get?",
    "Who signs off a purchase above ten thousand dollars?",
    "What is the retention period of support tickets in the European region?",
    "When was the on-call rota last changed?",
]
FRESH_OURS = """
import sys, time
start = time.perf_counter()
from ingest.encoders import EncoderConfig, open_encoder
encoder = open_encoder(EncoderConfig(model=sys.argv[1], runtime=sys.argv[2]))
encoder.encode_query("Is it ready?")
ready = time.perf_counter() - start
encoder.encode(["A chunk of a document, about as long as most. " * 20] * 64)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(ready, int(peak.split()[1]) / 1024)
"""
FRESH_PLAIN = """
import sys, time
start = time.perf_counter()
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], local_files_only=True)
model.encode("Is it ready?", show_progress_bar=False)
ready = time.perf_counter() - start
model.encode(["A chunk of a document, about as long as most. " * 20] * 64, show_progress_bar=False)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(ready, int(peak.split()[1]) / 1024)
"""


def main() -> None:
    """Runs the comparison and prints its table."""
    arguments = _arguments()
    config = EncoderConfig(model=arguments.model, runtime=arguments.runtime)
    folder = open_model_folder(config.model)
    encoder = open_encoder(config)
    plain = _plain(str(folder.path))
    chunks = list(itertools.islice(_chunks(encoder, _texts(arguments.corpus)), arguments.chunks))
    wall, cpu = _alternate(
        lambda: plain.encode(chunks, show_progress_bar=False), lambda: encoder.encode(chunks), arguments.rounds
    )
    latencies, _ = _alternate(_each(plain.encode), _each(encoder.encode_query), 10 * arguments.rounds)
    lengths = [len(encoder.token_starts(chunk)) for chunk in chunks]
    print(f"{encoder.id}, {len(chunks)} chunks of {statistics.mean(lengths):.0f} tokens, {arguments.rounds} rounds")
    plain_rate, our_rate = (len(chunks) / statistics.median(seconds) for seconds in wall)
    plain_cpu, our_cpu = (1000 * statistics.median(seconds) / len(chunks) for seconds in cpu)
    _row("", "plain", "ours", "ratio")
    _row("chunks/s", f"{plain_rate:.1f}", f"{our_rate:.1f}", _ratios(*wall))
    _row("CPU ms a chunk", f"{plain_cpu:.1f}", f"{our_cpu:.1f}", _ratios(*cpu))
    plain_ms, our_ms = (1000 * statistics.median(seconds) / len(QUESTIONS) for seconds in latencies)
    _row("question p50, ms", f"{plain_ms:.1f}", f"{our_ms:.1f}", _ratios(*latencies))
    _fresh_rows(str(folder.path), arguments.model, arguments.runtime)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--corpus", type=Path, help="a .jsonl file of records with `text`, or a folder of text files")
    parser.add_argument("--model", default=EncoderConfig().model)
    parser.add_argument("--runtime", default="auto", choices=["auto", "openvino", "torch"])
    parser.add_argument("--chunks", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def _plain(path: str) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(path, local_files_only=True)


def _texts(corpus: Path | None) -> Iterator[str]:
    if corpus is None:
        yield _generated_text()
    elif corpus.is_dir():
        for file in sorted(corpus.rglob("*")):
            if file.suffix in {".txt", ".md", ".jsonl"}:
                yield from _texts(file)
    elif corpus.suffix == ".jsonl":
        with corpus.open(encoding="utf-8") as lines:
            yield from (str(json.loads(line).get("text", "")) for line in lines)
    else:
        yield corpus.read_text(encoding="utf-8", errors="replace")


def _generated_text(sentences: int = 8000) -> str:
    rng = random.Random(7)
    words = ["the", "of", "and", "to", "team", "policy", "review", "request", "customer", "account", "change", "system"]
    return " ".join(" ".join(rng.choices(words, k=14)).capitalize() + "." for _ in range(sentences))


def _chunks(encoder: Encoder, texts: Iterator[str]) -> Iterator[str]:
    """Cuts the texts, joined up to 100,000 characters at a time, into slices of `CHUNK_TOKENS` tokens."""
    joined = ""
    for text in texts:
        joined += "\n\n" + text
        if len(joined) > 100_000:
            yield from _slices(encoder, joined)
            joined = ""
    yield from _slices(encoder, joined)


def _slices(encoder: Encoder, text: str) -> Iterator[str]:
    starts = encoder.token_starts(text)[::CHUNK_TOKENS]
    for start, end in itertools.pairwise(starts):
        yield text[start:end].strip()


def _each(encode: Callable[[str], object]) -> Callable[[], None]:
    def run() -> None:
        for question in QUESTIONS:
            encode(question)

    return run


def _alternate(plain: Callable[[], object], ours: Callable[[], object], rounds: int) -> tuple[Taken, Taken]:
    """Wall and CPU seconds of each round of both, after one round to warm up."""
    wall: Taken = ([], [])
    cpu: Taken = ([], [])
    for _ in range(rounds + 1):
        for side, run in enumerate((plain, ours)):
            start, busy = time.perf_counter(), time.process_time()
            run()
            wall[side].append(time.perf_counter() - start)
            cpu[side].append(time.process_time() - busy)
    return (wall[0][1:], wall[1][1:]), (cpu[0][1:], cpu[1][1:])


def _ratios(plain: Sequence[float], ours: Sequence[float]) -> str:
    ratios = [slow / fast for slow, fast in zip(plain, ours, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _fresh_rows(path: str, model: str, runtime: str) -> None:
    plain = _fresh(FRESH_PLAIN, path)
    ours = _fresh(FRESH_OURS, model, runtime)
    for name, old, new in zip(("start to first question, s", "peak memory, MiB"), plain, ours, strict=True):
        _row(name, f"{old:.1f}", f"{new:.1f}", f"{old / new:.2f}")


def _fresh(program: str, *arguments: str) -> list[float]:
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


def _row(name: str, plain: str, ours: str, ratio: str) -> None:
    print(f"{name:<28}{plain:>10}{ours:>10}  {ratio}")


if __name__ == "__main__":
    main()
