"""A small record for tests: some runs with artefacts, by a clock that stands still between ticks."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestrator.audit.custody import Custody, CustodyConfig
from orchestrator.audit.keys import KeyFolder
from orchestrator.audit.verification import Verification, verify
from orchestrator.store.database import Database, open_database


def ticking() -> Callable[[], datetime]:
    """A clock that goes on by a second each time it is read."""
    seconds = itertools.count()
    return lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds))


@contextmanager
def custody_at(home: Path, url: str | None = None, *, every: int = 1_000) -> Iterator[Custody]:
    """The record of a home, in SQLite there unless a URL is given."""
    home.mkdir(parents=True, exist_ok=True)
    database = open_database(url or f"sqlite:///{home / 'record.db'}")
    config = CustodyConfig(witness=home / "audit" / "checkpoints.jsonl", checkpoint_every=every)
    try:
        with Custody(database, KeyFolder(home / "keys"), config, clock=ticking()) as custody:
            yield custody
    finally:
        database.close()


def ask(custody: Custody, run_id: str, *, tenant: str = "default", subject: str = "ann") -> None:
    """One run as the pipeline records it: four events in two commits."""

    async def run() -> None:
        log = custody.open_run(run_id, tenant, subject)
        log.add("run_started", {"workflow": "ask"}, {"question": f"When, {run_id}?"})
        log.add("prompted", {"prompt": "answer", "version": "1.0.0"}, {"prompt": ["data", "übung \ud800"]})
        await log.flush()
        log.add("model_attempt", {"tokens": 12, "cost_usd": "0.001"})
        log.add("run_finished", {"status": "answered"}, {"answer": {"text": f"At noon ({run_id})."}})
        await log.flush()

    asyncio.run(run())


def check(custody: Custody, *against: Path, deep: bool = True) -> Verification:
    """The record, verified."""
    return verify(custody.database, custody.keys, witness=custody.config.witness, against=against, deep=deep)


def check_at(database: Database, home: Path, *against: Path, deep: bool = True) -> Verification:
    """The record of a home in a database, verified."""
    return verify(
        database, KeyFolder(home / "keys"), witness=home / "audit" / "checkpoints.jsonl", against=against, deep=deep
    )
