"""What is deleted in time, and what is left of a person who was erased, over a real home."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestrator.audit.verification import verify
from orchestrator.retention import erase, expire
from orchestrator.runs.story import ERASED
from orchestrator.services import Services
from orchestrator.store.runs import FORGOTTEN
from tests.doubles.encoder import HashEncoder
from tests.integration.conftest import Open, person

QUESTION = "When does the blue canteen open?"
RECORD = {"id": "canteen", "title": "Canteen", "text": "The blue canteen opens at 11:30.", "allow": ["public"]}
READER = person("zacharias")


def told(opened: Open, work: Callable[[Services, str], Awaitable[Any]]) -> Any:
    """What `work` gives after a question was asked in a conversation; it gets the id of the run."""

    async def run() -> Any:
        async with opened() as services:
            await services.ingest_records([RECORD], "default", "ann")
            answer = await services.ask(QUESTION, services.scope(READER), conversation="c1")
            return await work(services, answer.run_id)

    return asyncio.run(run())


def holds(services: Services) -> bool:
    custody = services.governance.custody
    return verify(custody.database, custody.keys, witness=custody.config.witness, deep=True).ok


def everything(home: Path) -> str:
    """All that the record's tables hold in clear."""
    with closing(sqlite3.connect(home / "record.db")) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return "\n".join(str(row) for name in names for row in db.execute(f'SELECT * FROM "{name}"'))


def test_contents_go_when_their_time_is_over(opened: Open, hash_encoder: HashEncoder) -> None:
    """Before, nothing goes; after, question and answer are gone, the story stands, and the chain verifies."""

    async def work(services: Services, run_id: str) -> None:
        governance, now = services.governance, datetime.now(UTC)
        assert expire(governance, now + timedelta(days=29)).contents == 0
        later = now + timedelta(days=366)
        assert expire(governance, later).contents > 0
        assert expire(governance, later).contents == 0
        shown = await services.runs.reader.show(services.scope(READER), run_id)
        story = " ".join(line.text for line in shown.story)
        assert ERASED in story
        assert QUESTION not in story
        assert holds(services)

    told(opened, work)


def test_an_erased_person_is_named_nowhere(opened: Open, hash_encoder: HashEncoder, tmp_path: Path) -> None:
    """No table holds their name or their words; the runs stand without it, and the chain verifies."""

    async def work(services: Services, run_id: str) -> None:
        assert READER.subject in everything(tmp_path / "home")
        done = erase(services.governance, "default", READER.subject)
        assert (done.runs, done.turns) == (1, 1)
        assert done.contents > 0
        row = services.governance.runs.get("default", run_id)
        assert row is not None
        assert row.subject == FORGOTTEN
        assert holds(services)
        files = [path.read_bytes() for path in (tmp_path / "home").glob("record.db*")]
        assert not any(READER.subject.encode() in content for content in files)

    told(opened, work)
    left = everything(tmp_path / "home")
    assert READER.subject not in left
    assert "blue canteen" not in left


def test_erasing_a_stranger_does_nothing(opened: Open, hash_encoder: HashEncoder) -> None:
    """What is kept of others stays."""

    async def work(services: Services, run_id: str) -> None:
        assert erase(services.governance, "default", "nobody").nothing
        assert erase(services.governance, "other", READER.subject).nothing
        shown = await services.runs.reader.show(services.scope(READER), run_id)
        assert shown.contents["question"] == QUESTION

    told(opened, work)
