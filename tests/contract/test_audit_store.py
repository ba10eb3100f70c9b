"""What the record promises, run over SQLite and PostgreSQL (GROUNDWIRE_TEST_POSTGRES_URL names a server of yours)."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator.audit.custody import Custody
from orchestrator.audit.port import RunLog
from orchestrator.store.database import Connection
from tests.doubles.audit_records import ask, check, custody_at
from tests.doubles.postgres import fresh_database

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'record.db'}"
        return
    with fresh_database(request.getfixturevalue("postgres")) as url:
        yield url


@pytest.fixture
def custody(url: str, tmp_path: Path) -> Iterator[Custody]:
    with custody_at(tmp_path, url, every=5) as custody:
        yield custody


def execute(custody: Custody, statement: str, **values: object) -> None:
    with custody.database.write() as db:
        db.execute(sa.text(statement), values)


def test_what_runs_note_is_kept_in_order_and_verifies(custody: Custody) -> None:
    """Events come back with facts and contents, numbered in their run and in one chain; checkpoints cover them."""
    for run in ("r1", "r2", "r3"):
        ask(custody, run)
    events = custody.events("default", "r2")
    assert [(event.seq, event.step, event.kind) for event in events] == [
        (5, 1, "run_started"),
        (6, 2, "prompted"),
        (7, 3, "model_attempt"),
        (8, 4, "run_finished"),
    ]
    assert events[2].facts == {"tokens": 12, "cost_usd": "0.001"}
    answer = custody.artefact("default", events[3].artefacts["answer"])
    assert answer is not None
    assert answer.json() == {"text": "At noon (r2)."}
    found = check(custody)
    assert found.ok
    assert (found.events, found.checkpoints, found.artefacts, found.erased) == (12, 2, 9, 0)
    assert [event.seq for event in custody.latest("default", kind="run_started", before=9)] == [5, 1]


def test_another_tenant_sees_nothing(custody: Custody) -> None:
    """Neither events nor contents are found under another tenant, even by their right names."""
    ask(custody, "r1")
    hash_ = custody.events("default", "r1")[0].artefacts["question"]
    assert custody.events("other", "r1") == []
    assert custody.latest("other") == []
    with pytest.raises(ValueError, match="no such artefact"):
        custody.artefact("other", hash_)


def test_a_run_goes_on_in_another_process(custody: Custody, url: str, tmp_path: Path) -> None:
    """A log that is opened again numbers its events after those that are there."""
    ask(custody, "r1")
    with custody_at(tmp_path, url) as other:
        ask(other, "r1")
    assert [event.step for event in custody.events("default", "r1")] == list(range(1, 9))
    assert check(custody).ok


def test_one_failing_write_takes_back_its_own_run_alone(custody: Custody) -> None:
    """Of runs that share a commit only the one whose write fails is told, and only its events and writes are undone."""
    execute(custody, "CREATE TABLE money (run VARCHAR(10) PRIMARY KEY)")

    def pay(run: str) -> Callable[[Connection], None]:
        return lambda db: db.execute(sa.text("INSERT INTO money VALUES (:run)"), {"run": run}) and None

    def overspend(db: Connection) -> None:
        pay("bad")(db)
        raise RuntimeError("no budget")

    async def both() -> list[BaseException | None]:
        logs: dict[str, RunLog] = {run: custody.open_run(run, "default", "ann") for run in ("a", "bad", "c")}
        for run, log in logs.items():
            log.add("run_started", {"run": run})
        flushes = [logs["a"].flush(pay("a")), logs["bad"].flush(overspend), logs["c"].flush(pay("c"), pay("c2"))]
        results = await asyncio.gather(*flushes, return_exceptions=True)
        logs["bad"].add("refused", {"reason": "no budget"})
        await logs["bad"].flush()
        return results

    a, bad, c = asyncio.run(both())
    assert (a, str(bad), c) == (None, "no budget", None)
    with custody.database.read() as db:
        assert sorted(db.scalars(sa.text("SELECT run FROM money"))) == ["a", "c", "c2"]
    assert [event.kind for event in custody.events("default", "bad")] == ["run_started", "refused"]
    assert check(custody).ok


def test_appending_shares_the_fate_of_the_other_transaction(custody: Custody) -> None:
    """What is appended within another store's transaction is there when that commits, and gone when it does not."""
    event = custody.event("policy_changed", {"version": "2"}, tenant="default")
    with custody.database.write() as db:
        custody.append(db, [event])
    with contextlib.suppress(RuntimeError), custody.database.write() as db:
        custody.append(db, [event, event])
        raise RuntimeError
    assert [found.seq for found in custody.latest("default")] == [1]
    assert check(custody).ok


def test_two_writers_do_not_fork_the_chain(url: str, tmp_path: Path) -> None:
    """Two connections that append at once, flushes and single events mixed, leave one chain with every event in it."""

    def work(name: str) -> None:
        with custody_at(tmp_path, url, every=7) as custody:
            barrier.wait()
            for number in range(6):
                ask(custody, f"{name}-{number}")
                custody.record(custody.event("setting_changed", {"by": name}, tenant="default"))

    barrier = threading.Barrier(2)
    threads = [threading.Thread(target=work, args=[name]) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with custody_at(tmp_path, url) as custody:
        found = check(custody)
        assert (found.findings, found.events) == ((), 2 * 6 * 5)
        assert found.checkpoints >= 6


_PROCESS = """
import sys
from pathlib import Path
from tests.doubles.audit_records import ask, custody_at
with custody_at(Path(sys.argv[1]), sys.argv[2], every=4) as custody:
    for number in range(10):
        ask(custody, f"{sys.argv[3]}-{number}")
"""


def test_two_processes_do_not_fork_the_chain(custody: Custody, url: str, tmp_path: Path) -> None:
    """Two processes that begin with neither keys nor head agree on one key and one chain."""
    workers = [
        subprocess.Popen([sys.executable, "-c", _PROCESS, str(tmp_path), url, name], cwd=ROOT) for name in ("a", "b")
    ]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    found = check(custody)
    assert (found.findings, found.events) == ((), 80)


def test_erasing_a_subject_leaves_a_chain_that_verifies(custody: Custody) -> None:
    """The contents read as erased, those of others stay, and the event names a key, not a person."""
    ask(custody, "r1", subject="ann")
    ask(custody, "r2", subject="bob")
    ask(custody, "r3", subject="ann", tenant="other")
    sealed = custody.subjects.encrypt("default", "ann", b"a conversation")
    erasure = custody.erase("default", "ann")
    assert (erasure.keys, erasure.artefacts) == (1, 3)
    mine, others, same_name = (
        custody.artefact(tenant, custody.events(tenant, run)[0].artefacts["question"])
        for tenant, run in (("default", "r1"), ("default", "r2"), ("other", "r3"))
    )
    assert mine is None
    assert others is not None
    assert same_name is not None
    assert custody.subjects.decrypt("default", "ann", sealed) is None
    event = custody.latest("default")[0]
    assert (event.kind, event.facts["artefacts"]) == ("subject_erased", 3)
    assert b"ann" not in event.body
    found = check(custody)
    assert (found.findings, found.erased) == ((), 3)
    ask(custody, "r4", subject="ann")
    assert custody.erase("default", "nobody").keys == 0
    assert check(custody).ok


def test_contents_expire_run_by_run(custody: Custody) -> None:
    """Those of the run are gone and its story says so; others stay, twice is once, and the record holds."""
    for run in ("r1", "r2"):
        ask(custody, run)
    assert custody.expire("other", ["r1"]) == 0
    assert custody.expire("default", ["r1", "r9"]) == 3
    assert custody.expire("default", ["r1"]) == 0
    gone, kept = (custody.events("default", run) for run in ("r1", "r2"))
    assert (gone[-1].kind, gone[-1].facts, len(gone)) == ("contents_expired", {"artefacts": 3}, 5)
    assert custody.artefact("default", gone[0].artefacts["question"]) is None
    assert custody.artefact("default", kept[0].artefacts["question"]) is not None
    assert custody.erase("default", "ann").artefacts == 3
    assert check(custody).findings == ()


def test_no_byte_of_an_erased_key_is_left_in_the_database(custody: Custody, url: str, tmp_path: Path) -> None:
    """After an erasure neither the wrapped key nor a content lies in any file of an SQLite database."""
    if not url.startswith("sqlite"):
        pytest.skip("PostgreSQL keeps its files to itself")
    ask(custody, "r1")
    with custody.database.read() as db:
        secrets = list(db.scalars(sa.text("SELECT wrapped FROM subject_keys UNION SELECT sealed FROM audit_artefacts")))
    files = lambda: b"".join(path.read_bytes() for path in tmp_path.glob("record.db*"))  # noqa: E731
    before = files()
    assert all(secret[:40] in before for secret in secrets)
    custody.erase("default", "ann")
    after = files()
    assert not any(secret[:40] in after for secret in secrets)


def test_a_head_that_nobody_known_signed_stops_the_writers(custody: Custody) -> None:
    """Nothing is appended after a head that was tampered with: to sign it would make it true."""
    ask(custody, "r1")
    execute(custody, "UPDATE audit_head SET signature = :signature", signature=bytes(64))
    with pytest.raises(Exception, match="not signed by a known key"):
        ask(custody, "r2")
    execute(custody, "DELETE FROM audit_head")
    with pytest.raises(Exception, match="head of the chain is missing"):
        custody.record(custody.event("policy_changed", {}, tenant="default"))
    assert custody.events("default", "r2") == []


TAMPERINGS = {
    "change": ("UPDATE audit_events SET body = :junk WHERE seq = 7", "changed", 7),
    "change a column only": ("UPDATE audit_events SET tenant = 'x' WHERE seq = 7", "changed", 7),
    "delete": ("DELETE FROM audit_events WHERE seq = 7", "removed", 7),
    "delete the first": ("DELETE FROM audit_events WHERE seq = 1", "removed", 1),
    "truncate the tail": ("DELETE FROM audit_events WHERE seq > 9", "truncated", 10),
    "insert before the first": (
        "INSERT INTO audit_events SELECT 0, 'x', 1, tenant, kind, at, body, prev, hash FROM audit_events WHERE seq = 1",
        "inserted",
        0,
    ),
    "insert after the last": (
        "INSERT INTO audit_events SELECT 13, 'x', 1, tenant, kind, at, body, hash, hash FROM audit_events "
        "WHERE seq = 12",
        "inserted",
        13,
    ),
    "edit an artefact": ("UPDATE audit_artefacts SET sealed = :junk WHERE seq = 6", "artefact_changed", 6),
    "delete an artefact": ("DELETE FROM audit_artefacts WHERE seq = 6", "artefact_removed", 6),
    "empty an artefact": ("UPDATE audit_artefacts SET sealed = NULL WHERE seq = 6", "artefact_changed", 6),
    "empty an artefact as if it had expired": (
        "UPDATE audit_artefacts SET sealed = NULL, key_id = '' WHERE seq = 6",
        "artefact_removed",
        None,
    ),
    "delete a checkpoint": ("DELETE FROM audit_checkpoints WHERE number = 2", "checkpoint_removed", 7),
    "delete the first checkpoint": ("DELETE FROM audit_checkpoints WHERE number = 1", "checkpoint_removed", 1),
    "edit a checkpoint": ("UPDATE audit_checkpoints SET signature = :junk WHERE number = 2", "bad_signature", 7),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found(custody: Custody, name: str) -> None:
    """Each statement against the database is found, and the first bad event is named."""
    for run in ("r1", "r2", "r3"):
        ask(custody, run)
    assert check(custody).ok
    statement, problem, seq = TAMPERINGS[name]
    values = {"junk": b"junk" * 16} if ":junk" in statement else {}
    execute(custody, statement, **values)
    first = check(custody).first
    assert first is not None
    assert (first.problem, first.seq) == (problem, seq)
