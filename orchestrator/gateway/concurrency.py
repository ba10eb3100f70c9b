"""How many calls of a route are under way at once: a queue in order of arrival, with an end to waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestrator.gateway.routes import ModelRoute


class Busy(Exception):
    """No call of the route ended in time."""


class Slots:
    """The slots of all routes. Used from one event loop."""

    def __init__(self) -> None:
        self._free: dict[str, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def slot(self, route: ModelRoute, *, wait_s: float) -> AsyncIterator[None]:
        """Hold a slot of the route. Who came first is served first; raises Busy after `wait_s` seconds."""
        free = self._free.setdefault(route.name, asyncio.Semaphore(route.concurrency))
        if free.locked():
            try:
                async with asyncio.timeout(wait_s):
                    await free.acquire()
            except TimeoutError:
                raise Busy from None
        else:
            await free.acquire()
        try:
            yield
        finally:
            free.release()
