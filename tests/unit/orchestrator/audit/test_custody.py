"""Flushing: durable when it returns, shared by concurrent runs, and whole after a crash at any line."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import DependencyDown
from orchestrator.audit.custody import RunRecord
from orchestrator.audit.port import RunLog
from orchestrator.audit.witness import Witness, read_witness
from tests.doubles.audit_records import ask, check, custody_at

ROOT = Path(__file__).parents[4]


def test_nothing_is_there_before_the_flush_and_all_after(tmp_path: Path) -> None:
    """`add` notes, `flush` writes; a second flush with nothing noted writes nothing."""

    async def run(log: RunLog) -> list[int]:
        counts = []
        log.add("run_started", {})
        counts.append(len(custody.events("default", "r1")))
        for _ in range(2):
            await log.flush()
            counts.append(len(custody.events("default", "r1")))
        return counts

    with custody_at(tmp_path) as custody:
        assert asyncio.run(run(custody.open_run("r1", "default", "ann"))) == [0, 1, 1]


def test_what_was_noted_cannot_be_changed_afterwards(tmp_path: Path) -> None:
    """Facts and contents are taken as they were when they were noted."""
    facts: dict[str, Any] = {"list": [1]}
    content: dict[str, Any] = {"text": "as it was"}
    with custody_at(tmp_path) as custody:
        log = custody.open_run("r1", "default", "ann")
        log.add("run_started", facts, {"answer": content})
        facts["list"].append(2)
        content["text"] = "another"
        asyncio.run(log.flush())
        (event,) = custody.events("default", "r1")
        artefact = custody.artefact("default", event.artefacts["answer"])
    assert event.facts == {"list": [1]}
    assert artefact is not None
    assert artefact.json() == {"text": "as it was"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", object(), {1, 2}])
def test_what_json_cannot_hold_is_refused_when_it_is_noted(tmp_path: Path, value: Any) -> None:
    """And the run goes on without it."""
    with custody_at(tmp_path) as custody:
        log = custody.open_run("r1", "default", "ann")
        with pytest.raises(ValueError, match="JSON"):
            log.add("run_started", {"value": value})
        with pytest.raises(ValueError, match="JSON"):
            log.add("run_started", {}, {"answer": value})
        log.add("run_started", {"value": "\ud800 half a pair, \x00 and a zero"})
        asyncio.run(log.flush())
        assert len(custody.events("default", "r1")) == 1
        assert check(custody).ok


def test_concurrent_runs_share_commits(tmp_path: Path) -> None:
    """Of a hundred runs that flush at once most share a commit: there are far fewer signed heads than runs."""

    async def all_runs() -> None:
        logs = [custody.open_run(f"r{number}", "default", "ann") for number in range(100)]
        for log in logs:
            log.add("run_started", {})
        release = threading.Event()
        first = asyncio.ensure_future(RunRecord(custody, "first", "default", "ann").flush(lambda _: release.wait()))  # type: ignore[arg-type, return-value]
        others = [asyncio.ensure_future(log.flush()) for log in logs]
        await asyncio.sleep(0)  # each is in the queue
        release.set()
        await asyncio.gather(first, *others)

    with custody_at(tmp_path) as custody:
        asyncio.run(all_runs())
        heads = list(read_witness(custody.config.witness, 10**6))
        assert len(heads) <= 3
        assert check(custody).events == 100


def test_a_flush_whose_caller_gave_up_is_not_written_twice(tmp_path: Path) -> None:
    """The commit goes on without its caller, and the run's next flush goes after it."""

    async def run() -> None:
        log = custody.open_run("r1", "default", "ann")
        log.add("run_started", {})
        release = threading.Event()
        flush = asyncio.ensure_future(log.flush(lambda _: release.wait() and None))
        await asyncio.sleep(0)
        while custody._queue.qsize():  # until the writer has it
            await asyncio.sleep(0)
        flush.cancel()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await flush
        log.add("run_finished", {})
        await log.flush()

    with custody_at(tmp_path) as custody:
        asyncio.run(run())
        assert [(one.step, one.kind) for one in custody.events("default", "r1")] == [
            (1, "run_started"),
            (2, "run_finished"),
        ]


def test_what_could_not_be_written_goes_with_the_next_flush(tmp_path: Path) -> None:
    """A write that fails takes the events of its flush back, not away."""

    async def run() -> None:
        log = custody.open_run("r1", "default", "ann")
        log.add("run_started", {})
        with pytest.raises(ZeroDivisionError):
            await log.flush(lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
        log.add("refused", {})
        await log.flush()

    with custody_at(tmp_path) as custody:
        asyncio.run(run())
        assert [one.kind for one in custody.events("default", "r1")] == ["run_started", "refused"]
        assert check(custody).ok


def test_closing_waits_for_what_was_flushed(tmp_path: Path) -> None:
    """A flush that nobody waited for is on disk when the record is closed."""

    async def run() -> None:
        log = custody.open_run("r1", "default", "ann")
        log.add("run_started", {})
        asyncio.ensure_future(log.flush())  # noqa: RUF006
        await asyncio.sleep(0)

    with custody_at(tmp_path) as custody:
        asyncio.run(run())
    with custody_at(tmp_path) as custody:
        assert len(custody.events("default", "r1")) == 1


def test_without_the_witness_file_nothing_more_is_committed(tmp_path: Path) -> None:
    """The flush that finds it gone is on disk and says so; the next is refused until the file can be written."""
    with custody_at(tmp_path) as custody:
        witness = custody.config.witness
        witness.mkdir(parents=True)  # a folder in the file's place
        ask_one = lambda run: _flush_one(custody.open_run(run, "default", "ann"))  # noqa: E731
        ask_one("r1")
        with pytest.raises(DependencyDown, match="outside the database"):
            ask_one("r2")
        witness.rmdir()
        ask_one("r3")
        assert [len(custody.events("default", run)) for run in ("r1", "r2", "r3")] == [1, 0, 1]
        assert [found.seq for _, found in read_witness(witness, 10**6) if found] == [1, 2]
        assert check(custody).ok


def _flush_one(log: RunLog) -> None:
    log.add("run_started", {})
    asyncio.run(log.flush())


def test_a_line_that_was_cut_short_is_no_fault(tmp_path: Path) -> None:
    """A crash in the middle of a line leaves a file that is read up to there and written on after it."""
    with custody_at(tmp_path) as custody:
        ask(custody, "r1")
        witness = custody.config.witness
        witness.write_bytes(witness.read_bytes()[:-20])
        assert check(custody).ok
        ask(custody, "r2")
        lines = [found is not None for _, found in read_witness(witness, 10**6)]
        assert lines == [True, False, True, True]
        assert check(custody).ok


def test_a_witness_elsewhere_may_be_given(tmp_path: Path) -> None:
    """A file of single checkpoints, as `audit checkpoint --out` writes it."""
    with custody_at(tmp_path) as custody:
        ask(custody, "r1")
        made = custody.checkpoint()
        assert made is not None
        assert custody.checkpoint() == made
        Witness(tmp_path / "kept.jsonl").append([made], durable=True)
        assert check(custody, tmp_path / "kept.jsonl").ok


def test_an_empty_record_verifies(tmp_path: Path) -> None:
    """Nothing recorded is nothing wrong, and there is nothing to sign."""
    with custody_at(tmp_path) as custody:
        assert check(custody).ok
        assert custody.checkpoint() is None
        assert check(custody).ok


def test_a_crash_at_any_line_leaves_a_record_that_verifies_and_goes_on(tmp_path: Path) -> None:
    """A process that dies at line after line of the record's code: each time the record verifies, and every flush
    that returned is there."""
    command = [sys.executable, "-m", "tests.doubles.audit_crashes", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    crashes, finished = map(int, done.stdout.split())
    assert crashes >= 60
    assert finished >= 1
