"""What the record costs: flushes of runs alone and together, verification, and evidence, side by side in one process.

    python -m benchmarks.audit [--events 50000] [--runs 200]

"Naive" is what one would write first. For flushes: each run's flush is a transaction of its own. For verification: each
row is read through typed columns, its body is built again from them and put into canonical form, and the Merkle root
is computed with the RFC's recursion. Seconds of processor time; where both sides are shown they alternate.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from benchmarks.report import heading, percentile, ratios, table, verdict
from orchestrator.audit import crypto
from orchestrator.audit.bundle import export_bundle
from orchestrator.audit.chain import GENESIS, canonical, read_statement
from orchestrator.audit.custody import Custody, CustodyConfig
from orchestrator.audit.keys import KeyFolder
from orchestrator.audit.verification import verify
from orchestrator.audit.verify_bundle import verify as verify_evidence
from orchestrator.store.database import open_database
from orchestrator.store.tables import metadata

VERIFY_PER_S = 50_000  # events, on one core
ROUNDS = 3
PROMPT = "Answer from the passages only. " * 200  # 6 kB, as a filled-in prompt has


@contextmanager
def record(max_group: int = 256) -> Iterator[Custody]:
    """A fresh one in SQLite."""
    with tempfile.TemporaryDirectory(prefix="groundwire-audit-") as folder:
        home = Path(folder)
        database = open_database(f"sqlite:///{home / 'record.db'}")
        config = CustodyConfig(witness=home / "checkpoints.jsonl", max_group=max_group)
        with Custody(database, KeyFolder(home / "keys"), config) as custody:
            yield custody
        database.close()


def cpu(work: Callable[[], object]) -> float:
    """Seconds of processor time."""
    began = time.process_time()
    work()
    return time.process_time() - began


async def run(custody: Custody, name: str, waits: list[float]) -> None:
    """One run: three flushes, ten events, three contents."""
    log = custody.open_run(name, "default", "ann")
    for kinds in (("run_started", "prompted"), ("model_attempt", "validated"), ("judged", "routed", "run_finished")):
        for kind in kinds:
            log.add(kind, {"tokens": 812, "cost_usd": "0.0011", "model": "claude-haiku-5-5"})  # type: ignore[arg-type]
        log.add("retrieved", {"n": 10}, {"content": PROMPT})
        began = time.perf_counter()
        await log.flush()
        waits.append((time.perf_counter() - began) * 1e3)


async def together(custody: Custody, first: int, many: int, waits: list[float]) -> None:
    """So many runs at once."""
    await asyncio.gather(*(run(custody, f"r{first + n}", waits) for n in range(many)))


def flushes(runs: int) -> None:
    """Runs one after another, all together, and all together without sharing commits."""
    ways = (("one run at a time", 1, 256), ("together", runs, 256), ("together, naive", runs, 1))
    rows = [(name, *flushed(runs, at_once, group)) for name, at_once, group in ways]
    table(("flushes", "per second", "CPU ms each", "wait ms p50 / p95", "commits"), rows)


def flushed(runs: int, at_once: int, group: int) -> tuple[object, ...]:
    """Flushes per second, processor ms of each, waits, and commits."""
    with record(max_group=group) as custody:
        asyncio.run(together(custody, -10, 1, []))
        waits: list[float] = []
        began = time.perf_counter()
        spent = cpu(lambda: [asyncio.run(together(custody, n, at_once, waits)) for n in range(0, runs, at_once)])
        took = time.perf_counter() - began
        commits = len(custody.config.witness.read_bytes().splitlines())
    wait = f"{statistics.median(waits):.2f} / {percentile(waits, 95):.2f}"
    return f"{len(waits) / took:.0f}", f"{spent / len(waits) * 1e3:.2f}", wait, commits


def fill(custody: Custody, events: int) -> None:
    """A chain without contents."""
    for start in range(0, events, 200):
        many = range(start, min(start + 200, events))
        facts = {"tokens": 812, "cost_usd": "0.0011", "model": "claude-haiku-5-5", "hash": "ab" * 32}
        made = [custody.event("model_attempt", facts, tenant="default", run_id=f"run-{n // 10}") for n in many]
        custody.record(*made)


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """The recursion of RFC 6962."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def naive_verify(custody: Custody) -> bool:
    """Verify as one would write it first."""
    events, checkpoints = metadata.tables["audit_events"], metadata.tables["audit_checkpoints"]
    keys, hashes, last = custody.keys.public_keys(), [], GENESIS
    with custody.database.read() as db:
        for row in db.execute(sa.select(events).order_by(events.c.seq)):
            inner = json.loads(row.body)
            names = ("seq", "run_id", "step", "tenant", "kind", "at")
            body = canonical(
                {**{name: getattr(row, name) for name in names}, **{k: inner[k] for k in ("facts", "artefacts")}}
            )
            if body != row.body or row.prev != last or hashlib.sha256(row.prev + body).digest() != row.hash:
                return False
            last = row.hash
            hashes.append(last)
        for row in db.execute(sa.select(checkpoints)):
            found = read_statement(row.body, row.signature)
            if not crypto.is_signed(keys[found.key_id], found.body, found.signature):
                return False
            if naive_root(hashes[found.covered : found.seq]) != found.root:
                return False
    return True


def verifications(events: int) -> None:
    """Ours and naive in turn, and with every content opened."""
    with record() as custody:
        fill(custody, events)
        witness = custody.config.witness
        ours, naive = [], []
        for _ in range(ROUNDS):
            ours.append(cpu(lambda: _must(verify(custody.database, custody.keys, witness=witness).ok)))
            naive.append(cpu(lambda: _must(naive_verify(custody))))
        best = events / statistics.median(ours)
        rows = [
            ("audit verify", f"{best:,.0f}", verdict(best, VERIFY_PER_S, least=True)),
            ("naive", f"{events / statistics.median(naive):,.0f}", f"takes {ratios(naive, ours)} times as long"),
        ]
    with record() as custody:
        for n in range(300):
            asyncio.run(run(custody, f"r{n}", []))
        spent = cpu(lambda: _must(verify(custody.database, custody.keys, witness=custody.config.witness, deep=True).ok))
        rows.append(("audit verify --deep, 3 contents of 6 kB in 10 events", f"{3000 / spent:,.0f}", ""))
    table((f"verification of {events:,} events", "events per CPU second", ""), rows)


def evidence(events: int) -> None:
    """A run in the middle of a long chain."""
    with record() as custody:
        fill(custody, min(events, 20_000))
        asyncio.run(run(custody, "wanted", []))
        custody.checkpoint()
        bundle = export_bundle(custody, "default", "wanted", lambda _: True)
        made = cpu(lambda: export_bundle(custody, "default", "wanted", lambda _: True))
        path = custody.config.witness.with_name("b.zip")
        path.write_bytes(bundle)
        checked = cpu(lambda: verify_evidence(str(path)))
    table(
        ("evidence of a run of 10 events", "CPU ms"),
        [(f"export ({len(bundle) / 1024:.0f} KiB)", f"{made * 1e3:.1f}"), ("verify_bundle.py", f"{checked * 1e3:.1f}")],
    )


def _must(held: bool) -> None:
    if not held:
        raise SystemExit("The record does not hold.")


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=200)
    given = parser.parse_args()
    heading("The record", packages=("groundwire", "sqlalchemy", "cryptography"))
    flushes(given.runs)
    print()
    verifications(given.events)
    print()
    evidence(given.events)


if __name__ == "__main__":
    main()
