"""What the store of policy versions promises, over SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from orchestrator.policy.engine import load_policy
from orchestrator.store.database import Database
from orchestrator.store.policies import changed_since_last, history, put_in_force, texts

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ONE, TWO = {"a.cedar": "permit;", "b.cedar": "x"}, {"a.cedar": "forbid;", "c.cedar": "ü"}


def put(database: Database, version: str, files: dict[str, str], by: str = "ann") -> bool:
    with database.write() as db:
        return put_in_force(db, version, files, by=by, at=NOON)


def test_a_change_is_told_until_it_is_put_in_force(database: Database) -> None:
    """A new set is a change, with the files that differ, until it is noted; then it is none any more."""
    with database.read() as db:
        first = changed_since_last(db, "one", ONE)
    assert first is not None
    assert (first.before, first.after, first.changed) == (None, "one", ("a.cedar", "b.cedar"))
    assert put(database, "one", ONE)
    with database.read() as db:
        assert changed_since_last(db, "one", ONE) is None
        second = changed_since_last(db, "two", TWO | {"b.cedar": "x"})
    assert second is not None
    assert (second.before, second.changed) == ("one", ("a.cedar", "c.cedar"))


def test_every_version_can_be_read_again(database: Database) -> None:
    """The text of a set that was in force stays, also when it comes back; each time is in the history."""
    for version, files in (("one", ONE), ("two", TWO), ("one", ONE)):
        assert put(database, version, files, by=f"who ran {version}")
    with database.read() as db:
        assert texts(db, "one") == ONE
        assert texts(db, "two") == TWO
        assert texts(db, "three") is None
        found = history(db)
    assert [(one.version, one.by) for one in found] == [
        ("one", "who ran one"),
        ("two", "who ran two"),
        ("one", "who ran one"),
    ]
    assert {one.since for one in found} == {NOON}


def test_the_same_set_again_is_no_change(database: Database) -> None:
    """Starting again with the set in force notes nothing."""
    assert put(database, "one", ONE)
    assert not put(database, "one", ONE)
    with database.read() as db:
        assert len(history(db)) == 1


def test_of_two_that_start_together_one_notes_it(database: Database) -> None:
    """Processes that bring the same new set at once leave one line in the history."""
    noted: list[bool] = []
    workers = [threading.Thread(target=lambda: noted.append(put(database, "one", ONE))) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(noted) == [False] * 5 + [True]
    with database.read() as db:
        assert len(history(db)) == 1


def test_what_is_rolled_back_was_never_in_force(database: Database) -> None:
    """The version shares the transaction of its caller: when the audit cannot be written, it is not there either."""
    try:
        with database.write() as db:
            put_in_force(db, "one", ONE, by="ann", at=NOON)
            raise OSError
    except OSError:
        pass
    with database.read() as db:
        assert history(db) == []
        assert texts(db, "one") is None


def test_the_shipped_set_is_kept_whole(database: Database) -> None:
    """All files of the shipped set come back character for character."""
    files = load_policy().files
    put(database, files.version, files.texts)
    with database.read() as db:
        assert texts(db, files.version) == files.texts
