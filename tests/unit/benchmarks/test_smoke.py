"""Each benchmark at the size of a toy, so that it still runs on the day it is needed. No peer has to be installed."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ask, ingest, memory, peers, peers_protocol, records, report, revoke
from benchmarks.peers_groundwire import Groundwire
from benchmarks.processes import resident_mib
from benchmarks.synthetic_home import CHUNKS, fill
from ingest.encoders.transformer import TransformerEncoder
from orchestrator.services import open_services
from orchestrator.settings import Settings


def test_ingest_gives_the_encoder_alone_exactly_what_the_ingest_had_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both sides of the ratio do the same encoding, and the tables name every target."""
    seen: list[list[str]] = []
    encode = TransformerEncoder.encode
    monkeypatch.setattr(
        TransformerEncoder, "encode", lambda self, texts: (seen.append(list(texts)), encode(self, texts))[1]
    )
    path = records.write(tmp_path / "corpus.jsonl", list(records.made_up(8)))
    outcome = asyncio.run(ingest.measure([path], rounds=1, sample=4, plain=False, profile=True))
    _warm_up, *within, alone = seen
    assert sorted(itertools.chain(*within)) == sorted(alone)
    assert outcome.whole.chunks == outcome.encoder.chunks == len(alone) >= 8
    ingest.show(outcome, 1)
    assert outcome.profile is not None
    outcome.profile.show(outcome.whole.chunks, outcome.encoder.cpu_ms()[-1])
    printed = capsys.readouterr().out
    assert "target >= 0.9" in printed
    assert "BM25 weights" in printed


def test_revoked_documents_are_gone_and_nothing_is_encoded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The benchmark finds each document first, never afterwards, and counts calls of the encoder."""

    async def run() -> revoke.Outcome:
        async with open_services(Settings(home=tmp_path)) as services:
            documents = await fill(services, 24)
            assert len(documents) == 24 / CHUNKS
            return await revoke.measure(services, documents)

    outcome = asyncio.run(run())
    assert len(outcome.revoked) == 6
    assert (outcome.never_found, outcome.still_found, outcome.encoded) == (0, 0, 0)
    revoke.show(outcome)
    assert "target <= 50" in capsys.readouterr().out


def test_a_server_of_its_own_answers_over_http(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps of an answer add up to less than the client's round trip, and memory is told apart by process."""
    documents, _ = asyncio.run(memory.build(tmp_path, 8))
    questions = records.questions(documents, 3)
    runs = asyncio.run(ask.measure(tmp_path, questions, [1, 2], 1))
    assert [len(run.served) for run in runs] == [3, 3]
    assert all(0 < sum(one.steps[step] for step in ask.STEPS) < one.ms for run in runs for one in run.served)
    ask.show(runs)
    assert "target <= 60" in capsys.readouterr().out


def test_memory_tells_processes_apart() -> None:
    """A process without descendants is `main` alone."""
    import psutil

    found = memory.sizes(psutil.Process())
    assert set(resident_mib(psutil.Process())) <= set(found)
    assert found["all"] >= found["main"] > 10


class _Toy:
    """Finds everything, whoever asks."""

    packages = ("numpy",)

    def __init__(self) -> None:
        self.allow: list[list[str]] = []

    def ingest(self, records: Sequence[peers_protocol.Record]) -> int:
        self.allow += [record["allow"] for record in records]
        return len(records)

    def finish(self) -> None: ...

    def use(self, tokens: Sequence[str]) -> None: ...

    def query(self, question: str) -> list[list[str]]:
        return self.allow

    def encode(self, question: str) -> object:
        return question


def test_a_hit_that_the_asker_may_not_read_is_counted() -> None:
    """A peer whose filter leaks is seen to leak."""
    toy = _Toy()
    corpus = [{"id": "a", "allow": ["group:x"]}, {"id": "b", "allow": ["group:y"]}]
    assert peers_protocol.answer(toy, {"do": "ingest", "records": corpus})["chunks"] == 2
    done = peers_protocol.answer(toy, {"do": "query", "tokens": ["group:x"], "questions": ["one", "two"]})
    assert (done["hits"], done["foreign"], len(done["ms"])) == (4, 2, 2)


class _InProcess(peers.System):
    """Groundwire, spoken to as over its pipe, in this process."""

    def tell(self, command: Mapping[str, Any]) -> Any:
        return json.loads(json.dumps(peers_protocol.answer(self.process, json.loads(json.dumps(command)))))


def test_groundwire_is_driven_like_a_peer(capsys: pytest.CaptureFixture[str]) -> None:
    """It takes the corpus in, finds what each share may read and nothing else."""
    corpus = peers.with_shares(records.made_up(12))
    groundwire = Groundwire()
    try:
        ours = _InProcess(name="groundwire", process=groundwire)
        peers.measure([ours], corpus, slices=1, questions=2)
    finally:
        groundwire.close()
    assert ours.chunks >= len(corpus)
    assert ours.hits["all"] > 0
    assert ours.foreign == 0
    peers.show([ours], corpus)
    assert "may read hundredth" in capsys.readouterr().out


def test_shares_are_about_what_their_names_say() -> None:
    """A tenth of the corpus is readable for the group of that name, all of it for `all`."""
    corpus = peers.with_shares({"id": str(n), "title": None, "text": "x"} for n in range(2000))
    shares = {name: sum(f"group:{name}" in record["allow"] for record in corpus) for name in peers.SHARES}
    assert shares["all"] == 2000
    assert 150 < shares["tenth"] < 250
    assert corpus[0]["title"] == "0"


def test_a_limit_draws_records_from_the_whole_file(tmp_path: Path) -> None:
    """The part of a corpus is no head of the file, and the same at each run."""
    path = records.write(tmp_path / "corpus.jsonl", [{"id": n} for n in range(100)])
    (part,) = ingest.limited([path], 10, tmp_path)
    ids = [json.loads(line)["id"] for line in part.read_text("utf-8").splitlines()]
    assert len(set(ids)) == 10
    assert max(ids) > 20
    assert records.sampled(path, 10) == records.sampled(path, 10)


def test_questions_are_read_from_lines_and_from_records(tmp_path: Path) -> None:
    """Golden sets and plain lists both serve."""
    lines, golden = tmp_path / "q.txt", tmp_path / "q.jsonl"
    lines.write_text("One?\n\nTwo?\n", "utf-8")
    records.write(golden, [{"id": "1", "question": "One?"}, {"_id": "2", "text": "Two?"}])
    assert ask.read_questions(lines) == ask.read_questions(golden) == ["One?", "Two?"]


@pytest.mark.parametrize(("values", "percent", "wanted"), [([5.0], 99, 5.0), ([1.0, 2.0, 3.0], 50, 2.0)])
def test_percentiles(values: list[float], percent: int, wanted: float) -> None:
    """One value is every percentile of itself."""
    assert report.percentile(values, percent) == wanted


def test_ratios_and_verdicts_say_what_was_met() -> None:
    """The ratio is taken round by round; a target is the most or the least."""
    assert report.ratios([2.0, 9.0, 4.0], [1.0, 3.0, 2.0]) == "2.00 (2.00 to 3.00)"
    assert report.verdict(51.0, 50.0) == "target <= 50: MISSED"
    assert report.verdict(2.5, 2.5, least=True) == "target >= 2.5: met"


def test_made_up_records_are_the_same_at_each_run() -> None:
    """Figures of two days are of one corpus, and no two records are alike."""
    first: list[dict[str, Any]] = list(records.made_up(50))
    assert first == list(records.made_up(50))
    assert len({record["text"] for record in first}) == 50
