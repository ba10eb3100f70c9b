"""Where the processor time of an ingest goes: by process, and in the main process by stage.

A stage is timed by the clock of its thread (`time.thread_time`), without what it calls that is a stage itself. Waiting
costs nothing there; the encoder's own threads are the rest of the main process.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

from benchmarks.processes import Usage
from benchmarks.report import table

if TYPE_CHECKING:
    from ingest.encoder import Encoder


class Profile:
    """`with Profile(encoder, usage) as profile: …`, then `show`."""

    def __init__(self, encoder: Encoder, usage: Usage) -> None:
        self._encoder = encoder
        self._usage = usage
        self._stack = ExitStack()
        self._local = threading.local()
        self._lock = threading.Lock()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()

    def __enter__(self) -> Self:
        for owner, name, stage in _seams(self._encoder):
            self._stack.enter_context(mock.patch.object(owner, name, self._timed(getattr(owner, name), stage)))
        self.process, self.loop = -time.process_time(), -time.thread_time()
        self._on_loop = threading.get_ident()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process += time.process_time()
        self.loop += time.thread_time()
        self._stack.close()

    def _timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **keywords: Any) -> Any:
            inner: list[float] = self._local.__dict__.setdefault("inner", [0.0])
            inner.append(0.0)
            began = time.thread_time()
            try:
                return function(*args, **keywords)
            finally:
                spent = time.thread_time() - began
                within = inner.pop()
                inner[-1] += spent
                with self._lock:
                    self.seconds[stage] += spent - within
                    self.calls[stage] += 1
                    if threading.get_ident() == self._on_loop:
                        self.seconds["event loop"] -= spent - within

        return timed

    def show(self, chunks: int, encoder_ms: float) -> None:
        """Print the tables; `encoder_ms` is the processor time of the encoder alone, a chunk."""
        live = self._usage.live
        main = self.process - self._usage.sampling
        parsers = self._usage.cpu - main - live.get("index", 0.0) - live.get("tracker", 0.0)
        print("\nProcessor time by process, ms a chunk\n")
        by_process = {"main": main, "index child": live.get("index", 0.0), "parsers, and rest": parsers}
        rows = [[name, f"{1e3 * seconds / chunks:.2f}"] for name, seconds in by_process.items()]
        whole = 1e3 * self._usage.cpu / chunks
        rows += [["all", f"{whole:.2f}"], ["of which encoder alone", f"{encoder_ms:.2f}"]]
        table(["process", "CPU ms a chunk"], [*rows, ["all but the encoder", f"{whole - encoder_ms:.2f}"]])
        print("\nThe main process by stage\n")
        stages = self.seconds.copy()
        stages["event loop"] += self.loop
        stages["encoder's own threads, and rest"] = main - sum(stages.values())
        stage_rows = [
            [stage, f"{1e3 * seconds / chunks:.3f}", f"{seconds / main:.1%}", self.calls[stage] or ""]
            for stage, seconds in sorted(stages.items(), key=lambda item: -item[1])
        ]
        table(["stage", "CPU ms a chunk", "of main", "calls"], stage_rows)


def _seams(encoder: Encoder) -> list[tuple[object, str, str]]:
    """Functions where the pipeline goes from one stage to the next: owner, name, what the stage is called."""
    from ingest import pipeline, preparation, workers
    from ingest.ledger.store import Ledger
    from retrieval import chunk_index, publisher
    from retrieval.edge import EdgeIndex

    return [
        (pipeline, "content_hash", "content hash"),
        (pipeline, "make_draft", "draft, rest"),
        (preparation, "canonicalise", "canonical text"),
        (type(encoder), "token_starts", "token starts, for chunking"),
        (preparation, "chunk", "chunking"),
        (preparation, "encoder_input", "encoder input"),
        (type(encoder), "encode", "encoder, Python side"),
        (pipeline, "_staged", "rows of a version"),
        (pipeline, "_hash", "hash of inputs"),
        (workers._Worker, "call", "pipe to parsers"),
        (workers._Worker, "__init__", "start of parsers"),
        (workers._Worker, "end", "end of parsers"),
        *((Ledger, name, f"ledger: {name}") for name in ("sweep", "source_states", "owners_of")),
        *((Ledger, name, f"ledger: {name}") for name in ("known_encodings", "stage", "settle")),
        (publisher, "chunk_points", "points, rest"),
        (chunk_index, "passage_weights", "BM25 weights"),
        (chunk_index, "name_weights", "name weights"),
        (chunk_index, "index_payload", "access payload"),
        (chunk_index, "digit_share", "digit share"),
        (chunk_index, "encoder_input", "encoder input"),
        (EdgeIndex, "_plain_changes", "points to the wire"),
    ]
