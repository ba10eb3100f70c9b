"""How `benchmarks.peers` talks to the systems that it compares: each in a process of its own, one JSON value a line.

Every system does the same work on request and times it itself, so that starting it and talking to it cost nothing.
Standard library only: it runs in the environment of the peers too.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol

Record = dict[str, Any]
HITS = 10  # of each question
DEPTH = 50  # candidates of each leg


class System(Protocol):
    """A hybrid search over records {id, title, text, allow}; a query sees those that allow one of its tokens."""

    packages: Sequence[str]  # whose versions matter

    def ingest(self, records: Sequence[Record]) -> int:
        """Take records in; how many chunks they became."""
        ...

    def finish(self) -> None:
        """Everything that has to be done once after the last record."""
        ...

    def use(self, tokens: Sequence[str]) -> None:
        """Prepare what can be prepared for an asker with these access tokens; takes no part in a query's time."""
        ...

    def query(self, question: str) -> list[list[str]]:
        """For each hit, best first, the access tokens of its document."""
        ...

    def encode(self, question: str) -> object:
        """The question's vector, to tell what share of a query it is."""
        ...


def answer(system: System, command: Record) -> Record:
    """Obey one command of `benchmarks.peers`."""
    match command["do"]:
        case "ingest":
            began, busy = time.perf_counter(), time.process_time()
            chunks = system.ingest(command["records"])
            return {"chunks": chunks, "s": time.perf_counter() - began, "cpu": time.process_time() - busy}
        case "finish":
            began = time.perf_counter()
            system.finish()
            return {"s": time.perf_counter() - began}
        case "query":
            return _queries(system, command["tokens"], command["questions"])
        case _:
            from importlib.metadata import version

            return {"versions": [f"{name} {version(name)}" for name in system.packages]}


def _queries(system: System, tokens: Sequence[str], questions: Sequence[str]) -> Record:
    began = time.perf_counter()
    system.use(tokens)
    prepared = time.perf_counter() - began
    times, encodings, hits, foreign = [], [], 0, 0
    for question in questions:
        began = time.perf_counter()
        found = system.query(question)
        times.append(1e3 * (time.perf_counter() - began))
        hits += len(found)
        foreign += sum(set(allow).isdisjoint(tokens) for allow in found)
        began = time.perf_counter()
        system.encode(question)
        encodings.append(1e3 * (time.perf_counter() - began))
    return {"ms": times, "encode_ms": encodings, "hits": hits, "foreign": foreign, "prepare_s": prepared}


def serve(system: System) -> None:
    """Obey commands from stdin until it ends; replies alone go to stdout."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    replies.write("ready\n")
    replies.flush()
    with contextlib.suppress(KeyboardInterrupt):
        for line in sys.stdin:
            replies.write(json.dumps(answer(system, json.loads(line))) + "\n")
            replies.flush()
