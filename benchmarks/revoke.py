"""How long until nobody finds a document whose access was revoked.

    python -m benchmarks.revoke --chunks 10000 --documents 500

For each document: it is found; the clock starts; `Services.set_access` takes its readers away; the same search begins
at once. A search that still finds it after the call has returned would break the promise, and is counted. The home is
filled with drawn vectors (`benchmarks.synthetic_home`); questions are encoded beforehand, and calls of the encoder
for passages are counted.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from benchmarks import records
from benchmarks.report import heading, percentile, table, verdict
from benchmarks.synthetic_home import fill
from ingest.tags import Classification
from orchestrator.services import Services, open_services
from orchestrator.settings import Settings
from retrieval.access import Principal

if TYPE_CHECKING:
    from ingest.encoder import QueryEncoding
    from retrieval.access import ReadScope

P99_MS = 50.0  # target


@dataclass(kw_only=True)
class Outcome:
    """All documents."""

    revoked: list[float] = field(default_factory=list)  # ms until set_access returned
    unseen: list[float] = field(default_factory=list)  # ms until a search that began then came back without it
    searched: list[float] = field(default_factory=list)  # ms of the search before, for comparison
    still_found: int = 0
    never_found: int = 0
    encoded: int = 0  # calls of the encoder for passages


async def measure(services: Services, documents: Sequence[records.Record]) -> Outcome:
    """Revoke the access to each document in turn."""
    outcome = Outcome()
    scope = services.scope(Principal(subject="asker", groups=frozenset({"all"}), clearance=Classification.internal))
    encodings = [services.encoder.encode_query(document["title"]) for document in documents]
    original = type(services.encoder).encode

    def counted(*args: Any, **keywords: Any) -> Any:
        outcome.encoded += 1
        return original(*args, **keywords)

    with mock.patch.object(type(services.encoder), "encode", counted):
        for document, encoding in zip(documents, encodings, strict=True):
            await _revoke(services, document, encoding, scope, outcome)
    return outcome


async def _revoke(
    services: Services, document: records.Record, encoding: QueryEncoding, scope: ReadScope, outcome: Outcome
) -> None:
    began = time.perf_counter()
    if not await _finds(services, document, encoding, scope):
        outcome.never_found += 1
        return
    started = time.perf_counter()
    await services.set_access("default", document["id"], {"allow": []})
    returned = time.perf_counter()
    outcome.still_found += await _finds(services, document, encoding, scope)
    outcome.searched.append(1e3 * (started - began))
    outcome.revoked.append(1e3 * (returned - started))
    outcome.unseen.append(1e3 * (time.perf_counter() - started))


async def _finds(services: Services, document: records.Record, encoding: QueryEncoding, scope: ReadScope) -> bool:
    hits = await services.retriever.search(document["title"], scope, k=10, encoding=encoding)
    return any(hit.passage.document_id == document["id"] for hit in hits)


def show(outcome: Outcome) -> None:
    """Print the table."""
    rows = [
        ["a search, before", *_figures(outcome.searched), ""],
        ["set_access has returned", *_figures(outcome.revoked), verdict(percentile(outcome.revoked, 99), P99_MS)],
        ["a search has come back without it", *_figures(outcome.unseen), ""],
    ]
    table(["from the call of set_access until", "p50 ms", "p95 ms", "p99 ms", "most ms", "target for p99"], rows)
    print(
        f"\nn = {len(outcome.revoked)}; not found to begin with {outcome.never_found}; found after the call had"
        f" returned {outcome.still_found} (must be 0); calls of the encoder {outcome.encoded} (must be 0)"
    )


def _figures(values: Sequence[float]) -> list[str]:
    return [f"{percentile(values, percent):.1f}" for percent in (50, 95, 99)] + [f"{max(values):.1f}"]


async def _run(chunks: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with open_services(Settings(home=Path(folder))) as services:
            documents = await fill(services, chunks)
            heading("Revoke", f"a home of {chunks} chunks, {len(documents)} documents")
            step = max(1, len(documents) // count)
            show(await measure(services, documents[::step][:count]))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.revoke", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--documents", type=int, default=500, help="whose access is revoked")
    given = parser.parse_args()
    asyncio.run(_run(given.chunks, given.documents))


if __name__ == "__main__":
    main()
