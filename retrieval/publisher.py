"""What the ingest writes, put into the index: the other side of `ingest.pipeline.ChunkSink`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ingest.pipeline import IndexedVersion
from ingest.tags import AccessTags
from retrieval.access import index_payload
from retrieval.chunk_index import chunk_points, everything, of_document, other_versions
from retrieval.index import Change, Delete, SetPayload, Upsert, VectorIndex

if TYPE_CHECKING:
    from retrieval.index import IndexPoint


class Publisher:
    """Writes chunks to an index. The order within an update lets no reader see a document twice or not at all."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index

    async def put(self, versions: Sequence[IndexedVersion]) -> None:
        """Show these versions in place of every other version of their documents, durably."""
        points = await asyncio.to_thread(_points, versions)
        changes: list[Change] = [Upsert(points=points)] if points else []
        for version in versions:
            row = version.staged.version
            if row.number > 1:
                changes.append(Delete(where=other_versions(row.key, row.number)))
        await self._index.update(changes)
        await self._index.flush()

    async def retag(self, key: str, tags: AccessTags) -> None:
        """Change who may read a document; touches no vector."""
        await self._index.update([SetPayload(payload=index_payload(tags), where=of_document(key))])

    async def remove(self, key: str) -> None:
        """Forget a document, durably."""
        await self._index.update([Delete(where=of_document(key))])
        await self._index.flush()

    async def count(self) -> int:
        """How many chunks the index holds, of all tenants."""
        return await self._index.count(everything())


def _points(versions: Sequence[IndexedVersion]) -> list[IndexPoint]:
    return [point for version in versions for point in chunk_points(version)]
