"""What the store of kept answers promises, over SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from orchestrator.store.answers import KeptAnswerStore, Recalled
from orchestrator.store.database import Database

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "a" * 64


def add(
    database: Database,
    key: str = KEY,
    *,
    subject: str = "ann",
    tenant: str = "default",
    sources: tuple[tuple[str, int], ...] = (("d1", 1),),
    minutes: int = 0,
    keep: int = 5,
    most: int = 50,
) -> int:
    at = DAY + timedelta(minutes=minutes)
    with database.write() as db:
        return KeptAnswerStore(database).add(
            db,
            key,
            tenant,
            subject,
            run_id=f"run-{key[:2]}-{minutes}",
            sealed=bytes([minutes]),
            sources=sources,
            at=at,
            keep=keep,
            most=most,
        )


def numbers(database: Database, key: str = KEY, subject: str = "ann", tenant: str = "default") -> list[int]:
    return [row.number for row in KeptAnswerStore(database).answers(key, tenant, subject)]


def test_a_new_answer_supersedes_and_the_old_stay(database: Database) -> None:
    """The newest comes first, each keeps its number, and the oldest make room."""
    assert [add(database, minutes=n, keep=3) for n in range(5)] == [1, 2, 3, 4, 5]
    assert numbers(database) == [5, 4, 3]
    newest = KeptAnswerStore(database).answers(KEY, "default", "ann")[0]
    assert (newest.run_id, newest.kept_at, newest.sealed) == ("run-aa-4", DAY + timedelta(minutes=4), b"\x04")
    assert newest.recalled_at is None


def test_a_key_is_of_no_use_to_another(database: Database) -> None:
    """Not even the very key finds an answer for another subject or tenant."""
    add(database)
    assert numbers(database, subject="bob") == []
    assert numbers(database, tenant="x") == []


def test_a_recall_marks_all_that_was_made_from_a_document(database: Database) -> None:
    """By version or whole, in one tenant alone, each answer once; what is marked stays as it was marked."""
    add(database, "a" * 64, sources=(("d1", 1), ("d1", 2), ("d2", 1)))
    add(database, "b" * 64, subject="bob", sources=(("d1", 2),))
    add(database, "c" * 64, tenant="x", sources=(("d1", 1),))
    store = KeptAnswerStore(database)
    with database.write() as db:
        assert store.recall(db, "default", "d1", 1, DAY, "wrong") == [
            Recalled(run_id="run-aa-0", subject="ann", key="a" * 64, number=1)
        ]
        later = store.recall(db, "default", "d1", None, DAY + timedelta(days=1), "gone")
        assert [one.key for one in later] == ["b" * 64]
        assert store.recall(db, "default", "nothing", None, DAY, "x") == []
    (first,) = store.answers("a" * 64, "default", "ann")
    assert (first.recalled_at, first.recalled_because) == (DAY, "wrong")
    (other,) = store.answers("c" * 64, "x", "ann")
    assert other.recalled_at is None


def test_old_questions_make_room_for_new_ones(database: Database) -> None:
    """Of a subject the latest keys stay; another's are not touched."""
    add(database, "f" * 64, subject="bob")
    for minute, key in enumerate("abcd"):
        add(database, key * 64, minutes=minute, most=2)
    assert [bool(numbers(database, key * 64)) for key in "abcd"] == [False, False, True, True]
    assert numbers(database, "f" * 64, "bob") == [1]


def test_deleting_leaves_nothing(database: Database) -> None:
    """Of a subject, and of what is older than it may be, sources included."""
    store = KeptAnswerStore(database)
    add(database)
    add(database, minutes=60)
    add(database, "b" * 64, subject="bob")
    with database.write() as db:
        assert store.expire(db, DAY + timedelta(minutes=30)) == 2
    assert (numbers(database), numbers(database, "b" * 64, "bob")) == ([2], [])
    with database.write() as db:
        assert store.delete_subject(db, "default", "ann") == 1
        assert store.recall(db, "default", "d1", None, DAY, "x") == []
    assert numbers(database) == []


def test_answers_at_the_same_time_have_different_numbers(database: Database) -> None:
    """Writers of one key wait for each other: none fails."""
    given: list[int] = []
    threads = [threading.Thread(target=lambda: given.append(add(database))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(given) == [1, 2, 3, 4, 5, 6]
