"""The providers that are open: one for each credential and address, made once, and made anew when a key was rotated."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from orchestrator.gateway.port import Provider
from orchestrator.gateway.routes import ModelRoute

ProviderFactory = Callable[[ModelRoute], Awaitable[Provider]]  # raises GroundwireError where a secret is missing
ConnectionKey = tuple[str, str | None, str | None]


class Connections:
    """Used from one event loop."""

    def __init__(self, factory: ProviderFactory) -> None:
        self._factory = factory
        self._open: dict[ConnectionKey, Provider] = {}
        self._calls: Counter[Provider] = Counter()  # under way
        self._replaced: set[Provider] = set()  # closed when the last call on them ends
        self._locks: dict[ConnectionKey, asyncio.Lock] = {}

    async def provider(self, route: ModelRoute, turned_down: Provider | None = None) -> Provider:
        """The provider of the route, another one than `turned_down`. Raises as the factory does.

        Many whose credential was turned down at once get the same new one.
        """
        key = connection_key(route)
        present = self._open.get(key)
        if present is not None and present is not turned_down:
            return present
        async with self._locks.setdefault(key, asyncio.Lock()):
            present = self._open.get(key)
            if present is not None and present is not turned_down:
                return present
            made = self._open[key] = await self._factory(route)
        if present is not None:
            self._replaced.add(present)
            await self._close_unused(present)
        return made

    @asynccontextmanager
    async def used(self, provider: Provider) -> AsyncIterator[None]:
        """While a call is under way the provider stays open, even when another one takes its place."""
        self._calls[provider] += 1
        try:
            yield
        finally:
            self._calls[provider] -= 1
            await self._close_unused(provider)

    async def close(self) -> None:
        """End all connections."""
        closing = [*self._open.values(), *self._replaced]
        self._open, self._replaced = {}, set()
        await asyncio.gather(*(provider.close() for provider in closing))

    async def _close_unused(self, provider: Provider) -> None:
        if self._calls[provider] == 0:
            del self._calls[provider]
            if provider in self._replaced:
                self._replaced.discard(provider)
                await provider.close()


def connection_key(route: ModelRoute) -> ConnectionKey:
    """What routes have in common that use the same connections."""
    return route.provider, route.base_url, route.credential
