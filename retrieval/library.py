"""Reads of stored text, each within a ReadScope. The only way from the ledger to a reader.

A version that is current (or is about to be) is guarded by its own tags. One that was superseded is guarded by its own
and by those of the present version: taking something out and opening the document must not open what was taken out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ingest.elements import HiddenText
from ingest.ledger.rows import PassageRow, VersionRow, document_key
from ingest.ledger.store import Ledger
from retrieval.access import ReadScope
from retrieval.evidence import Passage

if TYPE_CHECKING:
    from ingest.encoder import TokenVectors

_PAGE = 500


class Library:
    """Stored text and token vectors, for readers. What a reader may not read is as if it were not there."""

    def __init__(self, ledger: Ledger, encoder_id: str) -> None:
        self._ledger = ledger
        self._encoder_id = encoder_id

    async def passages(self, scope: ReadScope, chunk_ids: Sequence[str]) -> dict[str, Passage]:
        """Those of the chunks that exist and may be read; of a document in two versions the newer alone."""
        rows = await asyncio.to_thread(self._ledger.passages, scope.tenant, chunk_ids)
        rows = [row for row in rows if _permits(scope, row)]
        newest: dict[str, int] = {}
        for row in rows:
            newest[row.key] = max(row.number, newest.get(row.key, 0))
        return {row.chunk.id: _passage(row) for row in rows if row.number == newest[row.key]}

    async def tokens(self, scope: ReadScope, chunk_ids: Sequence[str]) -> dict[str, TokenVectors]:
        """Token vectors of what the encoder saw of those of the chunks that may be read."""
        rows = await asyncio.to_thread(self._ledger.token_bits, scope.tenant, self._encoder_id, chunk_ids)
        return {row.chunk_id: row.tokens for row in rows if scope.permits(row.tags)}

    async def neighbours(self, scope: ReadScope, chunk_id: str) -> list[Passage]:
        """The passages right before and after a chunk, in reading order."""
        ids = await asyncio.to_thread(self._ledger.neighbours, scope.tenant, chunk_id)
        found = await self.passages(scope, ids)
        return [found[chunk] for chunk in ids if chunk in found]

    async def versions(self, scope: ReadScope, document_id: str) -> list[VersionRow]:
        """The versions of a document that may be read, oldest first, without their text; empty when there are none."""
        return await self._versions(scope, document_id, text=False)

    async def stored(self, scope: ReadScope, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], VersionRow]:
        """For each (document id, version) that may be read at this moment, the version with its text."""
        found: dict[tuple[str, int], VersionRow] = {}
        for document_id, numbers in _grouped(wanted).items():
            for row in await self._versions(scope, document_id, text=True):
                if row.number in numbers:
                    found[document_id, row.number] = row
        return found

    async def current(self, scope: ReadScope, reference: str) -> VersionRow | None:
        """The current version, with its text, of the document with this id or source URI; None when there is none."""
        key = await asyncio.to_thread(self._ledger.find, scope.tenant, reference)
        if key is None:
            return None
        rows = await asyncio.to_thread(self._ledger.versions_of, key, text=True)
        return next((row for row in rows if row.state == "current" and scope.permits(row.tags)), None)

    async def documents(self, scope: ReadScope, *, after: str = "", limit: int = 100) -> list[VersionRow]:
        """Documents that may be read, sorted by id, from the first after `after`; without their text."""
        found: list[VersionRow] = []
        while len(found) < limit:
            page = await asyncio.to_thread(self._ledger.current_versions, scope.tenant, after=after, limit=_PAGE)
            found += [row for row in page if scope.permits(row.tags)]
            if len(page) < _PAGE:
                break
            after = page[-1].document_id
        return found[:limit]

    async def hidden(self, scope: ReadScope, version: VersionRow) -> list[HiddenText]:
        """The hidden text that was kept out of a version that may be read."""
        if not scope.permits(version.tags):
            return []
        return await asyncio.to_thread(self._ledger.hidden_of, version.key, version.number)

    async def _versions(self, scope: ReadScope, document_id: str, *, text: bool) -> list[VersionRow]:
        key = document_key(scope.tenant, document_id)
        rows = await asyncio.to_thread(self._ledger.versions_of, key, text=text)
        current = next((row for row in rows if row.state == "current"), rows[-1] if rows else None)
        if current is None or not scope.permits(current.tags):
            return []
        return [row for row in rows if scope.permits(row.tags)]


def _permits(scope: ReadScope, row: PassageRow) -> bool:
    if not scope.permits(row.tags):
        return False
    return row.state != "superseded" or (row.current_tags is not None and scope.permits(row.current_tags))


def _passage(row: PassageRow) -> Passage:
    return Passage(
        chunk_id=row.chunk.id,
        document_id=row.document_id,
        version=row.number,
        title=row.title,
        source_uri=row.source_uri,
        text=row.text,
        start=row.chunk.start,
        end=row.chunk.end,
        page=row.chunk.page,
        page_end=row.chunk.page_end,
        headings=row.chunk.headings,
        classification=row.tags.classification,
        region=row.tags.region,
        integrity=row.integrity,
        screening=row.screening,
    )


def _grouped(wanted: Iterable[tuple[str, int]]) -> dict[str, set[int]]:
    groups: dict[str, set[int]] = {}
    for document_id, number in wanted:
        groups.setdefault(document_id, set()).add(number)
    return groups
