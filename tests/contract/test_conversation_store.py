"""What the store of conversations promises, over SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest

from orchestrator.store.conversations import ConversationKey, ConversationStore
from orchestrator.store.database import Database

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVER = DAY - timedelta(days=1_000)
ANN = ConversationKey(tenant="default", subject="ann", id="trip")


def add(database: Database, key: ConversationKey = ANN, *, minutes: float = 0, keep: int = 50, most: int = 50) -> int:
    with database.write() as db:
        sealed = f"{key.subject} {minutes}".encode()
        return ConversationStore(database).add(db, key, sealed, DAY + timedelta(minutes=minutes), keep=keep, most=most)


def numbers(database: Database, key: ConversationKey = ANN, since: datetime = EVER) -> list[int]:
    return [row.number for row in ConversationStore(database).turns(key, since=since)]


def test_turns_come_back_in_order(database: Database) -> None:
    """Each has its number, its time in UTC and its bytes; a time in another zone is the same time."""
    here = (DAY + timedelta(minutes=5)).astimezone(timezone(timedelta(hours=9)))
    with database.write() as db:
        ConversationStore(database).add(db, ANN, b"\x00first", here, keep=5, most=5)
    assert add(database, minutes=6.5) == 2
    first, second = ConversationStore(database).turns(ANN, since=EVER)
    assert (first.number, first.sealed, first.said_at) == (1, b"\x00first", here)
    assert (second.number, second.said_at) == (2, DAY + timedelta(minutes=6.5))
    assert numbers(database, since=DAY + timedelta(minutes=6)) == [2]
    add(database, minutes=7)
    assert [row.number for row in ConversationStore(database).turns(ANN, since=EVER, latest=2)] == [2, 3]


@pytest.mark.parametrize("other", [{"subject": "bob"}, {"tenant": "x"}, {"id": "trip2"}])
def test_the_same_id_of_another_is_another_conversation(database: Database, other: dict[str, str]) -> None:
    """Neither reading, writing nor deleting tells that somebody else has a conversation of this name."""
    add(database)
    key = ConversationKey(**{"tenant": "default", "subject": "ann", "id": "trip"} | other)
    store = ConversationStore(database)
    assert numbers(database, key) == []
    with database.write() as db:
        assert not store.delete(db, key)
    assert add(database, key) == 1
    assert numbers(database) == [1]


def test_old_turns_and_old_conversations_make_room(database: Database) -> None:
    """Of a conversation the latest turns stay with their numbers, of a subject the latest conversations."""
    assert [add(database, minutes=n, keep=2) for n in range(4)] == [1, 2, 3, 4]
    assert numbers(database) == [3, 4]
    bob = ConversationKey(tenant="default", subject="bob", id="trip")
    add(database, bob, minutes=-50, most=2)
    for n, name in enumerate("abc"):
        add(database, ConversationKey(tenant="default", subject="ann", id=name), minutes=10 + n, most=2)
    assert numbers(database) == []
    assert numbers(database, bob) == [1]
    listed = ConversationStore(database).listed("default", "ann", since=EVER)
    assert listed == [("c", DAY + timedelta(minutes=12)), ("b", DAY + timedelta(minutes=11))]


def test_deleting_leaves_nothing(database: Database) -> None:
    """Of a conversation, of a subject, and of what is older than it may be."""
    store = ConversationStore(database)
    bob = ConversationKey(tenant="default", subject="bob", id="trip")
    add(database)
    add(database, minutes=60)
    add(database, bob)
    with database.write() as db:
        assert store.expire(db, DAY + timedelta(minutes=30)) == 2
    assert (numbers(database), numbers(database, bob)) == ([2], [])
    with database.write() as db:
        assert store.delete(db, ANN)
    assert numbers(database) == []
    add(database)
    with database.write() as db:
        assert store.delete_subject(db, "default", "ann") == 1
        assert store.delete_subject(db, "default", "ann") == 0
    assert numbers(database) == []


def test_a_turn_is_written_with_its_transaction_or_not_at_all(database: Database) -> None:
    """What fails after the turn takes the turn with it."""

    def die() -> None:
        with database.write() as db:
            ConversationStore(database).add(db, ANN, b"x", DAY, keep=5, most=5)
            raise RuntimeError("died")

    with pytest.raises(RuntimeError, match="died"):
        die()
    assert numbers(database) == []


def test_turns_at_the_same_time_have_different_numbers(database: Database) -> None:
    """Writers wait for each other: none fails, and no number is given twice."""
    given: list[int] = []

    def write() -> None:
        given.extend(add(database) for _ in range(5))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(given) == numbers(database) == list(range(1, 21))
