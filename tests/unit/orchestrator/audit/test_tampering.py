"""Whoever changes the record is found, though they may write to every table."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from orchestrator.audit.chain import Signer, event_hash
from orchestrator.audit.findings import Finding
from orchestrator.audit.keys import KeyFolder
from orchestrator.audit.verification import Verification
from orchestrator.store.database import open_database
from tests.doubles.audit_records import ask, check_at, custody_at

TABLES = ("audit_events", "audit_head", "audit_checkpoints", "audit_artefacts", "subject_keys")


def record_at(home: Path) -> Path:
    """18 events with checkpoints up to 8 and to 16, one person is erased, a run of another has expired."""
    with custody_at(home, every=7) as custody:
        ask(custody, "r1", subject="ann")
        ask(custody, "r2", subject="bob")
        custody.erase("default", "ann")
        custody.expire("default", ["r2"])
        ask(custody, "r3", subject="cem")
        ask(custody, "r4", subject="cem")
    return home


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_at(tmp_path_factory.mktemp("record"))


@pytest.fixture(scope="module")
def erased(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two people more who were erased."""
    home = tmp_path_factory.mktemp("erased")
    shutil.copytree(original, home, dirs_exist_ok=True)
    with custody_at(home, every=7) as custody:
        ask(custody, "r5", subject="dan")
        custody.erase("default", "dan")
        custody.erase("default", "bob")
    assert verified(home).ok
    return home


@pytest.fixture
def home(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def sql(home: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(home / "record.db", isolation_level=None)) as db:
        yield db


def verified(home: Path, *against: Path) -> Verification:
    database = open_database(f"sqlite:///{home / 'record.db'}")
    try:
        return check_at(database, home, *against)
    finally:
        database.close()


def first(home: Path, *against: Path) -> Finding:
    found = verified(home, *against).first
    assert found is not None
    return found


def rehash(db: sqlite3.Connection, start: int, stop: int | None = None) -> None:
    """Chain the events from `start` on anew, as someone does who knows how the record works."""
    (last,) = db.execute("SELECT hash FROM audit_events WHERE seq = ?", [start - 1]).fetchone() or (bytes(32),)
    for seq, body in db.execute("SELECT seq, body FROM audit_events WHERE seq >= ? ORDER BY seq", [start]).fetchall():
        if stop is not None and seq > stop:
            return
        fresh = event_hash(last, body)
        db.execute("UPDATE audit_events SET prev = ?, hash = ? WHERE seq = ?", [last, fresh, seq])
        last = fresh


def edit_body(db: sqlite3.Connection, seq: int) -> None:
    (body,) = db.execute("SELECT body FROM audit_events WHERE seq = ?", [seq]).fetchone()
    db.execute("UPDATE audit_events SET body = ? WHERE seq = ?", [body.replace(b'"tokens":12', b'"tokens":13'), seq])


def test_the_record_holds_before_anybody_touches_it(home: Path) -> None:
    """Otherwise the other tests would prove nothing."""
    found = verified(home)
    assert (found.findings, found.events, found.checkpoints, found.erased) == ((), 18, 2, 6)


def test_a_changed_body_is_named(home: Path, sql: sqlite3.Connection) -> None:
    """The event, its run, and that it was changed."""
    edit_body(sql, 7)
    found = first(home)
    assert (found.problem, found.seq, found.run_id) == ("changed", 7, "r2")


def test_a_changed_body_with_its_hash_is_named(home: Path, sql: sqlite3.Connection) -> None:
    """Who makes the event whole again leaves a successor that was chained to another."""
    edit_body(sql, 7)
    rehash(sql, 7, 7)
    found = first(home)
    assert (found.problem, found.seq, found.run_id) == ("changed", 7, "r2")


def test_a_chain_that_was_made_anew_from_an_event_on_contradicts_what_was_signed(
    home: Path, sql: sqlite3.Connection
) -> None:
    """With every later hash made right, the next signed statement tells; the first event it may be is named."""
    edit_body(sql, 7)
    rehash(sql, 7)
    found = first(home)
    assert found.problem in ("changed", "forked")
    assert found.seq is not None
    assert (found.since or found.seq) <= 7 <= found.seq <= 8


@pytest.mark.parametrize("upto", [12, 15])
@pytest.mark.parametrize("name", ["body", "seq"])
def test_two_events_that_changed_places_are_named(home: Path, sql: sqlite3.Connection, name: str, upto: int) -> None:
    """Whether the bodies alone were swapped or the whole rows."""
    if name == "body":
        bodies = dict(sql.execute("SELECT seq, body FROM audit_events").fetchall())
        for seq, other in ((11, upto), (upto, 11)):
            sql.execute("UPDATE audit_events SET body = ? WHERE seq = ?", [bodies[other], seq])
    else:
        for old, new in ((11, 99), (upto, 11), (99, upto)):
            sql.execute("UPDATE audit_events SET seq = ? WHERE seq = ?", [new, old])
    found = first(home)
    assert (found.problem, found.seq) == ("reordered", 11)


def test_an_event_that_was_taken_out_with_the_numbers_made_right_is_named(home: Path, sql: sqlite3.Connection) -> None:
    """The rows after it say in their bodies which number they had."""
    sql.execute("DELETE FROM audit_events WHERE seq = 7")
    sql.execute("UPDATE audit_events SET seq = seq - 1 WHERE seq > 7")
    found = first(home)
    assert (found.problem, found.seq) == ("removed", 7)


@pytest.mark.parametrize("whole", [True, False])
def test_an_event_that_was_put_in_between_is_named(home: Path, sql: sqlite3.Connection, whole: bool) -> None:
    """Whether it is whole in itself or junk."""
    sql.execute("UPDATE audit_events SET seq = seq + 100 WHERE seq >= 7")
    sql.execute("UPDATE audit_events SET seq = seq - 99 WHERE seq >= 100")
    prev, body = sql.execute("SELECT prev, body FROM audit_events WHERE seq = 8").fetchone()
    body = body.replace(b'"tokens":12', b'"tokens":99') if whole else body
    hash_ = event_hash(prev, body) if whole else bytes(32)
    sql.execute("INSERT INTO audit_events VALUES (7, 'r2', 99, 'default', 'x', 'now', ?, ?, ?)", [body, prev, hash_])
    found = first(home)
    assert (found.problem, found.seq) == ("inserted", 7)


def head_after(home: Path, seq: int) -> tuple[bytes, bytes]:
    """The head that was signed for an event, from the file beside the database."""
    from orchestrator.audit.witness import read_witness

    for _, found in read_witness(home / "audit" / "checkpoints.jsonl", 10**6):
        if found is not None and found.type == "head" and found.seq == seq:
            return found.body, found.signature
    raise AssertionError(seq)


def cut(home: Path, sql: sqlite3.Connection, seq: int) -> None:
    """Take away all after an event, and put the head back that was good then."""
    sql.execute("DELETE FROM audit_events WHERE seq > ?", [seq])
    sql.execute("DELETE FROM audit_artefacts WHERE seq > ?", [seq])
    sql.execute("UPDATE audit_head SET body = ?, signature = ?", head_after(home, seq))


def test_a_tail_that_was_cut_with_the_old_head_restored_is_found_by_the_file(
    home: Path, sql: sqlite3.Connection
) -> None:
    """The database alone would look whole; the file beside it remembers later heads."""
    cut(home, sql, 16)
    found = first(home)
    assert (found.problem, found.seq) == ("rolled_back", 17)


def test_a_file_kept_elsewhere_finds_what_the_one_at_home_no_longer_tells(
    home: Path, sql: sqlite3.Connection, tmp_path: Path
) -> None:
    """Who can also rewrite the file beside the database is found by a copy that they could not reach."""
    witness = home / "audit" / "checkpoints.jsonl"
    copy = tmp_path / "kept.jsonl"
    shutil.copy(witness, copy)
    cut(home, sql, 16)
    witness.write_bytes(b"".join(witness.read_bytes().splitlines(keepends=True)[:-1]))
    assert verified(home).ok
    assert first(home, copy).problem == "rolled_back"


def test_a_record_that_went_on_after_it_was_cut_is_found(home: Path, sql: sqlite3.Connection) -> None:
    """The file knows other hashes for the numbers that were used again."""
    cut(home, sql, 16)
    sql.close()
    with custody_at(home, every=7) as custody:
        ask(custody, "new")
    found = first(home)
    assert (found.problem, found.seq) == ("forked", 18)
    assert found.since == 17


def test_a_database_that_was_put_back_whole_is_found(home: Path, tmp_path: Path) -> None:
    """An older copy of everything but the file."""
    shutil.copy(home / "record.db", tmp_path / "older.db")
    with custody_at(home, every=7) as custody:
        ask(custody, "r5")
    for left in home.glob("record.db*"):
        left.unlink()
    shutil.copy(tmp_path / "older.db", home / "record.db")
    found = first(home)
    assert (found.problem, found.seq) == ("rolled_back", 19)


def test_a_head_alone_that_was_put_back_is_found(home: Path, sql: sqlite3.Connection) -> None:
    """It is good in itself, and older than events that were signed."""
    sql.execute("UPDATE audit_head SET body = ?, signature = ?", head_after(home, 16))
    found = first(home)
    assert (found.problem, found.seq) == ("rolled_back", 17)


def test_a_record_that_was_signed_anew_with_another_key_is_found(home: Path, tmp_path: Path) -> None:
    """A record that is whole in itself counts for nothing when the key is none of ours."""
    forged = record_at(tmp_path / "forged")
    for table in ("record.db", "record.db-wal", "record.db-shm"):
        (home / table).unlink(missing_ok=True)
        if (forged / table).exists():
            shutil.copy(forged / table, home / table)
    found = first(home)
    assert (found.problem, found.seq) == ("unknown_key", 1)


def test_a_home_whose_keys_were_replaced_too_is_found_by_what_was_kept_elsewhere(home: Path, tmp_path: Path) -> None:
    """The lines that were kept are signed with a key that the new home does not know, and contradict it."""
    forged = record_at(tmp_path / "forged")
    assert verified(forged).ok
    found = first(forged, home / "audit" / "checkpoints.jsonl")
    assert (found.problem, found.seq) == ("unknown_key", 1)


def test_a_forked_checkpoint_is_found(home: Path, tmp_path: Path) -> None:
    """Two checkpoints of one number, both signed by us, though the events below them agree."""
    with custody_at(home) as custody:
        witness = home / "audit" / "checkpoints.jsonl"
        before = witness.read_bytes()
        copy = tmp_path / "copy"
        shutil.copytree(home, copy)
        custody.checkpoint()
        witness.write_bytes(before)
    with custody_at(copy) as other:
        other.record(other.event("policy_changed", {}, tenant="default"))
        other.checkpoint()
    found = first(home, copy / "audit" / "checkpoints.jsonl")
    assert (found.problem, found.seq) == ("forked", 17)


def test_a_checkpoint_in_the_place_of_the_head_is_found(home: Path, sql: sqlite3.Connection) -> None:
    """It is genuine, and speaks of the same event; what it was signed as counts too."""
    cut(home, sql, 16)
    sql.execute(
        "UPDATE audit_head SET (body, signature) = (SELECT body, signature FROM audit_checkpoints WHERE number = 2)"
    )
    assert "bad_signature" in {found.problem for found in verified(home).findings}


def test_missing_contents_are_found_without_opening_any(home: Path, sql: sqlite3.Connection) -> None:
    """Their number is compared with what events name."""
    sql.execute("DELETE FROM audit_artefacts WHERE seq = 12")
    database = open_database(f"sqlite:///{home / 'record.db'}")
    found = check_at(database, home, deep=False).first
    database.close()
    assert found is not None
    assert found.problem == "artefact_removed"


def test_a_checkpoint_of_a_fork_in_the_place_of_ours_is_found(home: Path, tmp_path: Path) -> None:
    """Both are signed by us over the same events; the next checkpoint says which it followed."""
    shutil.copytree(home, tmp_path / "fork")
    with custody_at(tmp_path / "fork") as other:
        other.event("routed", {}, tenant="default")  # the clock goes on
        forked = other.checkpoint()
    with custody_at(home) as custody:
        ours = custody.checkpoint()
        ask(custody, "r5")
        custody.checkpoint()
    assert forked is not None
    assert ours is not None
    assert (forked.hash, forked.root, forked.number) == (ours.hash, ours.root, ours.number)
    with closing(sqlite3.connect(home / "record.db", isolation_level=None)) as db:
        place = [forked.body, forked.signature, forked.number]
        db.execute("UPDATE audit_checkpoints SET body = ?, signature = ? WHERE number = ?", place)
    (home / "audit" / "checkpoints.jsonl").unlink()
    assert first(home).problem == "checkpoint_changed"


def test_a_checkpoint_with_another_root_is_found_though_we_signed_it(home: Path, sql: sqlite3.Connection) -> None:
    """Evidence is proved against roots, so each is computed again."""
    (body,) = sql.execute("SELECT body FROM audit_checkpoints WHERE number = 2").fetchone()
    parts = json.loads(body) | {"root": "00" * 32}
    for name in ("at", "key_id"):
        del parts[name]
    signer = Signer(KeyFolder(home / "keys").signing_key())
    made = signer.statement(datetime(2026, 1, 1, tzinfo=UTC), **parts)
    sql.execute("UPDATE audit_checkpoints SET body = ?, signature = ? WHERE number = 2", [made.body, made.signature])
    details = [found.detail for found in verified(home).findings]
    assert any("do not have the root that was signed" in detail for detail in details)


def test_a_line_of_the_file_that_was_forged_is_found(home: Path) -> None:
    """A line for an event that never was, with a signature that is none."""
    witness = home / "audit" / "checkpoints.jsonl"
    lines = witness.read_bytes().splitlines(keepends=True)
    witness.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b'\\"seq\\":18', b'\\"seq\\":99')]))
    assert first(home).problem == "witness_altered"


def test_signatures_of_a_key_that_was_retired_still_count(home: Path) -> None:
    """After a rotation old and new statements verify, and only the new key signs."""
    fresh = KeyFolder(home / "keys").rotate()
    with custody_at(home) as custody:
        ask(custody, "r5")
        checkpoint = custody.checkpoint()
    assert checkpoint is not None
    assert checkpoint.key_id == fresh
    assert verified(home).ok


def test_a_running_process_learns_of_a_rotation(home: Path) -> None:
    """It meets a head of a key that it does not know, looks again, and signs with the new key from then on."""
    with custody_at(home) as running, custody_at(home) as other:
        ask(running, "r5")
        fresh = KeyFolder(home / "keys").rotate()
        ask(other, "r6")  # still signs with the old one: its own head told it nothing
        with custody_at(home) as rotating:
            ask(rotating, "r7")
        ask(running, "r8")
        made = running.checkpoint()
    assert made is not None
    assert made.key_id == fresh
    assert verified(home).ok


def test_an_erased_content_under_another_erased_key_is_found(erased: Path, tmp_path: Path) -> None:
    """Each erasure says how many contents it took."""
    shutil.copytree(erased, tmp_path / "home")
    with closing(sqlite3.connect(tmp_path / "home" / "record.db", isolation_level=None)) as db:
        keys = [
            key for (key,) in db.execute("SELECT key_id FROM audit_artefacts WHERE sealed IS NULL AND key_id <> ''")
        ]
        one, other = keys[0], next(key for key in keys if key != keys[0])
        moved = "SELECT seq FROM audit_artefacts WHERE key_id = ? LIMIT 1"
        db.execute(f"UPDATE audit_artefacts SET key_id = ? WHERE seq = ({moved})", [other, one])
    assert {found.problem for found in verified(tmp_path / "home").findings} == {"subject_key_changed"}


def test_a_key_does_not_pass_to_a_neighbour_in_the_alphabet(home: Path, sql: sqlite3.Connection) -> None:
    """A letter that moves from the subject to the tenant makes another owner, for whom the key does not open."""
    sql.execute("UPDATE subject_keys SET tenant = tenant || 'c', subject = 'em' WHERE subject = 'cem'")
    assert "subject_key_changed" in {found.problem for found in verified(home).findings}


def test_a_key_that_was_taken_away_is_no_erasure(home: Path, sql: sqlite3.Connection) -> None:
    """Contents that cannot be read any more are a fault unless an event says that their subject was erased."""
    sql.execute("UPDATE subject_keys SET wrapped = NULL, subject = NULL, master_id = '' WHERE subject = 'cem'")
    assert {found.problem for found in verified(home).findings} >= {"subject_key_removed", "artefact_changed"}


def test_an_artefact_that_was_altered_is_not_handed_out(home: Path, sql: sqlite3.Connection) -> None:
    """It raises; the content of another artefact in its place does as well."""
    sql.execute(
        "UPDATE audit_artefacts SET sealed = (SELECT sealed FROM audit_artefacts WHERE seq = 12) WHERE seq = 11"
    )
    sql.close()
    with custody_at(home) as custody:
        event = custody.events("default", "r3")[0]
        with pytest.raises(ValueError, match="altered"):
            custody.artefact("default", event.artefacts["question"])


Edit = Callable[[Any], Any]


def _edited(value: Any, how: int, salt: int) -> Any:
    """Another value for a cell, near the old one or of another kind."""
    match how % 4, value:
        case 0, _:
            return None
        case 1, bytes():
            place = salt % max(len(value), 1)
            return value[:place] + bytes([value[place] ^ (1 + salt % 255)]) + value[place + 1 :] if value else b"x"
        case 1, str():
            return value + "x"
        case 1, int():
            return value + 1 + salt % 5
        case 2, bytes():
            return value[:-1] if salt % 2 else value.decode("latin-1")
        case 2, str():
            return value[:-1] if salt % 2 else value.encode()
        case 2, _:
            return salt
        case _:
            return [b"", "", "0", 0, -1][salt % 5]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_edit_of_any_cell_is_found(erased: Path, tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """Whatever single value of whatever row and column of the record is replaced by another: it is found."""
    home = tmp_path_factory.mktemp("edited")
    shutil.copytree(erased, home, dirs_exist_ok=True)
    with closing(sqlite3.connect(home / "record.db", isolation_level=None)) as db:
        table = data.draw(st.sampled_from(TABLES))
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        column = data.draw(st.sampled_from(columns))
        rows = db.execute(f"SELECT rowid, {column} FROM {table} ORDER BY rowid").fetchall()
        row, before = data.draw(st.sampled_from(rows))
        fresh = _edited(before, data.draw(st.integers(0, 3)), data.draw(st.integers(0, 1000)))
        everything = f"SELECT * FROM {table} ORDER BY rowid"
        was = db.execute(everything).fetchall()
        try:
            db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", [fresh, row])
        except sqlite3.Error:  # the database itself refuses it
            assume(False)
        assume(repr(db.execute(everything).fetchall()) != repr(was))
    assert not verified(home).ok, (table, column, row, before, fresh)
