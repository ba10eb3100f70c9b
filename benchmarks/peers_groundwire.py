"""Groundwire beside its peers, driven like them: a home on disk, durable after each batch of records.

Started by `benchmarks.peers` in the project's environment.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from benchmarks.peers_protocol import HITS, Record, serve

if TYPE_CHECKING:
    from retrieval.access import ReadScope

Result = TypeVar("Result")


class Groundwire:
    """See `peers_protocol.System`."""

    packages = ("groundwire", "openvino", "qdrant-edge-py")

    def __init__(self) -> None:
        from orchestrator.services import open_services
        from orchestrator.settings import Settings

        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._services = self._run(self._stack.enter_async_context(open_services(Settings(home=self._folder / "home"))))
        self._slices = 0
        self._allow: dict[str, list[str]] = {}
        self._scope: ReadScope | None = None

    def ingest(self, records: Sequence[Record]) -> int:
        self._allow |= {record["id"]: record["allow"] for record in records}
        self._slices += 1
        path = self._folder / f"{self._slices}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
        report = self._run(self._services.ingest([path], {"owner": "benchmark"}))
        self._run(self._services.publisher.count())  # waits behind the tidying of the index
        if report.failed:
            raise RuntimeError(str(report.failed[0]))
        return report.chunks

    def finish(self) -> None:
        """Nothing is left to do."""

    def use(self, tokens: Sequence[str]) -> None:
        from ingest.tags import Classification
        from retrieval.access import Principal

        groups = frozenset(token.removeprefix("group:") for token in tokens if token.startswith("group:"))
        self._scope = self._services.scope(Principal(subject="asker", groups=groups, clearance=Classification.internal))

    def query(self, question: str) -> list[list[str]]:
        assert self._scope is not None
        hits = self._run(self._services.retriever.search(question, self._scope, k=HITS))
        return [self._allow[hit.passage.document_id] for hit in hits]

    def encode(self, question: str) -> object:
        return self._services.encoder.encode_query(question)

    def close(self) -> None:
        self._run(self._stack.aclose())
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run_until_complete(work)


if __name__ == "__main__":
    system = Groundwire()
    try:
        serve(system)
    finally:
        system.close()
