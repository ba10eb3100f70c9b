"""Carries entries to the ledger: those of concurrent calls share a transaction, and none is lost when a caller goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from orchestrator.gateway.bookkeeping import Entry, Refusal, Reserve, Settle

Book = Callable[[Sequence[Entry]], Sequence[Refusal | None]]  # one transaction; blocks; a result for each entry


class Meter:
    """Writes entries in the order in which they were handed in. Used from one event loop."""

    def __init__(self, book: Book, *, most: int = 500) -> None:
        """`most` entries go into one transaction."""
        self._book = book
        self._most = most
        self._waiting: list[tuple[Entry, asyncio.Future[Refusal | None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def reserve(self, entry: Reserve) -> Refusal | None:
        """On disk when this returns None. Raises as the ledger does; cancelled, the entry may still be written."""
        return await self._hand_in(entry)

    async def settle(self, entry: Settle) -> None:
        """On disk when this returns. Raises as the ledger does; cancelled, the entry is written all the same."""
        await self._hand_in(entry)

    def settle_later(self, entry: Settle) -> None:
        """For those who cannot wait, being cancelled. Where the ledger fails the reservation stays counted."""
        self._hand_in(entry)

    async def drained(self) -> None:
        """All that was handed in is written."""
        while self._writing is not None:
            await asyncio.wait([self._writing])

    def _hand_in(self, entry: Entry) -> asyncio.Future[Refusal | None]:
        future: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_seen)
        self._waiting.append((entry, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return future

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._write_batch(batch)
        finally:
            self._writing = None

    async def _write_batch(self, batch: list[tuple[Entry, asyncio.Future[Refusal | None]]]) -> None:
        try:
            results = await asyncio.to_thread(self._book, [entry for entry, _ in batch])
        except Exception as error:  # noqa: BLE001 -- handed on to each caller
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)


def _seen(future: asyncio.Future[Refusal | None]) -> None:
    """A failure that nobody waits for any more is no event for asyncio's log."""
    if not future.cancelled():
        future.exception()
