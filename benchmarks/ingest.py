"""The ingest, end to end, against its encoder alone and against plain sentence-transformers on the same chunks.

    python -m benchmarks.ingest FILE.jsonl --limit 500

Each round takes the files into a fresh home (parsing, chunking, encoding, ledger, index, until the index is tidy), then
encodes exactly the same chunk inputs in one call of the same encoder, then a sample of them with it and with
`SentenceTransformer.encode` in float32 with its default batch. Rounds alternate: read the ratios. Processor time is of
the whole tree of processes, and says on a busy machine what seconds cannot. `--profile` says where it goes.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import records
from benchmarks.processes import Usage
from benchmarks.report import heading, ratios, table, verdict

if TYPE_CHECKING:
    from benchmarks.ingest_profile import Profile
    from ingest.encoder import Encoder
    from ingest.ledger.store import Ledger

WITHIN_ENCODER, OVER_PLAIN = 0.9, 2.5  # targets: end to end to encoder alone, encoder alone to plain
SAMPLE = 256  # chunks that the plain encoder gets, which is the slow one


@dataclass(kw_only=True)
class Side:
    """One way, round by round."""

    chunks: int = 0
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def rates(self) -> list[float]:
        """Chunks a second."""
        return [self.chunks / seconds for seconds in self.wall]

    def cpu_ms(self) -> list[float]:
        """Milliseconds of processor time a chunk."""
        return [1e3 * seconds / self.chunks for seconds in self.cpu]


@dataclass(kw_only=True)
class Outcome:
    """All rounds."""

    whole: Side = field(default_factory=Side)
    encoder: Side = field(default_factory=Side)
    encoder_sample: Side = field(default_factory=Side)
    plain: Side = field(default_factory=Side)
    documents: int = 0
    failed: int = 0
    peak_mib: float = 0.0  # in the first round, before plain sentence-transformers is loaded
    profile: Profile | None = None


async def measure(
    paths: Sequence[Path], *, rounds: int, sample: int, plain: bool = True, profile: bool = False
) -> Outcome:
    """Take `paths` in `rounds` times, each time beside the others."""
    outcome = Outcome()
    for number in range(rounds):
        await _round(paths, outcome, first=number == 0, sample=sample, plain=plain, profile=profile)
    return outcome


async def _round(
    paths: Sequence[Path], outcome: Outcome, *, first: bool, sample: int, plain: bool, profile: bool
) -> None:
    from orchestrator.services import open_services
    from orchestrator.settings import Settings

    with tempfile.TemporaryDirectory() as home:
        async with open_services(Settings(home=Path(home))) as services:
            services.encoder.encode(["A text for the encoder to warm up on."] * 32)
            await services.publisher.count()  # what it imports is no part of an ingest
            with ExitStack() as stack:
                usage = stack.enter_context(Usage())
                if profile:
                    from benchmarks.ingest_profile import Profile

                    outcome.profile = stack.enter_context(Profile(services.encoder, usage))
                report = await services.ingest(paths, {"owner": "benchmark", "allow": ["group:all"]})
                await services.publisher.count()  # waits behind the tidying of the index
            inputs = encoder_inputs(services.ledger)
            outcome.documents, outcome.failed = report.documents, len(report.failed)
            _add(outcome.whole, report.chunks, usage.wall, usage.cpu)
            if first:
                outcome.peak_mib = usage.peak_mib
            _timed(outcome.encoder, services.encoder, inputs)
            part = random.Random(7).sample(inputs, min(sample, len(inputs)))
            if plain:
                _timed(outcome.encoder_sample, services.encoder, part)
                _timed(outcome.plain, _plain(), part)


def encoder_inputs(ledger: Ledger) -> list[str]:
    """What the encoder saw of everything in the ledger, each text once, in the order of documents."""
    from ingest.chunker import encoder_input

    texts: dict[str, str] = {}
    for key, number in ledger.serving_keys():
        staged = ledger.version(key, number)
        for chunk in staged.chunks:
            text = staged.version.text[chunk.start : chunk.end]
            texts[chunk.encoding_hash] = encoder_input(staged.version.title, chunk.headings, text)[0]
    return list(texts.values())


class _Plain:
    """sentence-transformers as its documentation uses it: float32, default batch, sentence vectors only."""

    def __init__(self) -> None:
        from sentence_transformers import SentenceTransformer

        from ingest.encoders import EncoderConfig
        from ingest.encoders.model_folder import open_model_folder

        self._model = SentenceTransformer(str(open_model_folder(EncoderConfig().model).path), local_files_only=True)
        self._model.encode(["A text to warm up on."] * 32, show_progress_bar=False)

    def encode(self, texts: Sequence[str]) -> object:
        return self._model.encode(list(texts), show_progress_bar=False)


_loaded: list[_Plain] = []


def _plain() -> _Plain:
    if not _loaded:
        _loaded.append(_Plain())
    return _loaded[0]


def _timed(side: Side, encoder: Encoder | _Plain, texts: Sequence[str]) -> None:
    began, busy = time.perf_counter(), time.process_time()
    encoder.encode(texts)
    _add(side, len(texts), time.perf_counter() - began, time.process_time() - busy)


def _add(side: Side, chunks: int, wall: float, cpu: float) -> None:
    side.chunks = chunks
    side.wall.append(wall)
    side.cpu.append(cpu)


def limited(paths: Sequence[Path], limit: int | None, folder: Path) -> list[Path]:
    """The paths, or of each .jsonl file a sample of `limit` records, and of each folder as many files."""
    if limit is None:
        return list(paths)
    found: list[Path] = []
    for number, path in enumerate(paths):
        if path.suffix == ".jsonl":
            found.append(records.write(folder / f"{number}.jsonl", records.sampled(path, limit)))
        elif path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
            found += random.Random(7).sample(files, min(limit, len(files)))
        else:
            found.append(path)
    return found


def show(outcome: Outcome, rounds: int) -> None:
    """Print the tables."""
    whole, encoder, sampled, plain = outcome.whole, outcome.encoder, outcome.encoder_sample, outcome.plain
    print(
        f"n = {outcome.documents} documents, {whole.chunks} chunks, {encoder.chunks} inputs of the encoder,"
        f" {outcome.failed} failed; {rounds} rounds, medians; the sample is {plain.chunks} inputs;"
        f" peak resident memory of all processes {outcome.peak_mib:.0f} MiB\n"
    )
    sides = [("ingest, end to end", whole), ("encoder alone", encoder)]
    if plain.wall:
        sides += [("encoder alone, sample", sampled), ("plain sentence-transformers, sample", plain)]
    table(
        ["", "s", "chunks/s", "CPU s", "CPU ms a chunk"],
        [
            [name, *(f"{statistics.median(v):.1f}" for v in (side.wall, side.rates(), side.cpu, side.cpu_ms()))]
            for name, side in sides
        ],
    )
    print()
    rows = [_compared("ingest / encoder alone", whole, encoder, WITHIN_ENCODER)]
    if plain.wall:
        rows.append(_compared("encoder alone / plain", sampled, plain, OVER_PLAIN))
    table(["ratio", "by seconds", "by CPU", "by seconds, against the target"], rows)


def _compared(name: str, upper: Side, lower: Side, target: float) -> list[Any]:
    median = statistics.median(a / b for a, b in zip(upper.rates(), lower.rates(), strict=True))
    return [
        name,
        ratios(upper.rates(), lower.rates()),
        ratios(lower.cpu_ms(), upper.cpu_ms()),
        verdict(median, target, least=True),
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", type=Path, nargs="*", metavar="PATH", help="default: records that are made up")
    parser.add_argument("--limit", type=int, help="records of each .jsonl file, files of each folder; default: all")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sample", type=int, default=SAMPLE, help="chunks for the plain encoder")
    parser.add_argument("--no-plain", action="store_true", help="leave plain sentence-transformers out")
    parser.add_argument("--profile", action="store_true", help="where processor time goes; costs a few per cent")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = limited(given.paths, given.limit, Path(folder))
        if not paths:
            paths = [records.write(Path(folder) / "made-up.jsonl", list(records.made_up(given.limit or 500)))]
        heading("Ingest", f"corpus: {', '.join(map(str, given.paths)) or 'made up'}")
        options = {"sample": given.sample, "plain": not given.no_plain, "profile": given.profile}
        outcome = asyncio.run(measure(paths, rounds=given.rounds, **options))
    show(outcome, given.rounds)
    if outcome.profile is not None:
        outcome.profile.show(outcome.whole.chunks, outcome.encoder.cpu_ms()[-1])


if __name__ == "__main__":
    main()
