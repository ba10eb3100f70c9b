"""What the store of runs promises, over SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from orchestrator.store.database import Database
from orchestrator.store.runs import UNFINISHED, Onward, RunRow, RunStore, Use

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


def run(name: str, *, tenant: str = "default", subject: str = "ann", minutes: int = 0) -> RunRow:
    return RunRow(
        run_id=name,
        tenant=tenant,
        subject=subject,
        workflow="ask",
        workflow_version="1.0.0",
        started_at=DAY + timedelta(minutes=minutes),
    )


def put(database: Database, row: RunRow, *uses: Use, onward: tuple[Onward, ...] = ()) -> RunRow:
    store = RunStore(database)
    ended = replace(
        row,
        status="answered",
        rule="answer",
        route="claude-haiku",
        finished_at=row.started_at + timedelta(seconds=2),
        classification="internal",
        cost_usd=Decimal("0.000123"),
        flags=("sources_disagree",),
    )
    with database.write() as db:
        store.start(db, row)
    with database.write() as db:
        store.finish(db, ended, uses, onward)
    return ended


def test_a_run_is_read_as_it_was_written(database: Database) -> None:
    """Every field comes back, money to the last digit; another tenant's run of that id does not exist."""
    ended = put(database, run("r1"))
    store = RunStore(database)
    assert store.get("default", "r1") == ended
    assert store.get("other", "r1") is None
    assert store.get("default", "r2") is None


def test_a_run_that_died_stays_visible(database: Database) -> None:
    """A run that was started and never finished is there, and says so."""
    store = RunStore(database)
    with database.write() as db:
        store.start(db, run("r1"))
    found = store.get("default", "r1")
    assert found is not None
    assert (found.status, found.finished_at) == (UNFINISHED, None)


def test_runs_are_paged_newest_first(database: Database) -> None:
    """Pages follow each other without gap or repetition, equal moments too; a person's page holds theirs alone."""
    for number in range(5):
        put(database, run(f"r{number}", minutes=number // 2, subject="ann" if number % 2 else "ben"))
    put(database, run("other", tenant="other"))
    store = RunStore(database)
    first = store.page("default", limit=2)
    second = store.page("default", before=first[-1].run_id, limit=2)
    third = store.page("default", before=second[-1].run_id, limit=2)
    assert [row.run_id for row in (*first, *second, *third)] == ["r4", "r3", "r2", "r1", "r0"]
    assert [row.run_id for row in store.page("default", subject="ann")] == ["r3", "r1"]


def test_a_thing_leads_to_the_runs_that_used_it(database: Database) -> None:
    """By document and version, prompt, or model; never to another tenant's runs. Cited wins over merely read."""
    old, new = (Use(kind="document", id="leave.md", version=number) for number in "12")
    put(database, run("r1"), old, replace(old, cited=True), Use(kind="prompt", id="grounded-answer", version="1.4.0"))
    put(database, run("r2", minutes=1), new, Use(kind="model", id="claude-haiku", version="claude-haiku-5-5"))
    put(database, run("r3", tenant="other"), old)
    store = RunStore(database)
    assert [row.run_id for row in store.using("default", "document", "leave.md")] == ["r1", "r2"]
    assert [row.run_id for row in store.using("default", "document", "leave.md", "1")] == ["r1"]
    assert [row.run_id for row in store.using("default", "prompt", "grounded-answer", "1.4.0")] == ["r1"]
    assert [row.run_id for row in store.using("default", "model", "claude-haiku")] == ["r2"]
    assert store.uses("r1")[0] == replace(old, cited=True)


def test_recalled_runs_say_why(database: Database) -> None:
    """The first reason and moment stay; what was sent onward of them is listed."""
    sent = Onward(run_id="r1", receiver="crm", at=DAY)
    put(database, run("r1"), onward=(sent,))
    put(database, run("r2", minutes=1))
    store = RunStore(database)
    for moment, reason in ((DAY, "wrong prices"), (DAY + timedelta(days=1), "again")):
        with database.write() as db:
            store.mark_recalled(db, ["r1"], moment, reason)
    found = store.get("default", "r1")
    assert found is not None
    assert (found.recalled_at, found.recalled_because) == (DAY, "wrong prices")
    assert store.onward(["r1", "r2"]) == [sent]
    other = store.get("default", "r2")
    assert other is not None
    assert other.recalled_at is None


def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    """A run and what shares its transaction are written together or not at all."""
    store = RunStore(database)

    def fail() -> None:
        with database.write() as db:
            store.start(db, run("r1"))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert store.get("default", "r1") is None
