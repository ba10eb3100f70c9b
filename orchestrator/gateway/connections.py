"""The providers that are open: one for each credential and address, made once, and made anew when a key was rotated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from orchestrator.gateway.port import Provider
from orchestrator.gateway.routes import ModelRoute

ProviderFactory = Callable[[ModelRoute], Awaitable[Provider]]  # raises GroundwireError where a secret is missing
_Key = tuple[str, str | None, str | None]


class Connections:
    """Used from one event loop."""

    def __init__(self, factory: ProviderFactory) -> None:
        self._factory = factory
        self._open: dict[_Key, Provider] = {}
        self._replaced: list[Provider] = []  # calls of others may still be under way on them
        self._locks: dict[_Key, asyncio.Lock] = {}

    async def provider(self, route: ModelRoute) -> Provider:
        """The provider of the route; raises as the factory does."""
        return self._open.get(_key(route)) or await self._made(route, None)

    async def fresh(self, route: ModelRoute, old: Provider) -> Provider:
        """Another one than `old`, whose credential was turned down. Many who ask at once get the same one."""
        return await self._made(route, old)

    async def close(self) -> None:
        """End all connections."""
        closing = [*self._open.values(), *self._replaced]
        self._open, self._replaced = {}, []
        await asyncio.gather(*(provider.close() for provider in closing))

    async def _made(self, route: ModelRoute, old: Provider | None) -> Provider:
        key = _key(route)
        async with self._locks.setdefault(key, asyncio.Lock()):
            present = self._open.get(key)
            if present is not None and present is not old:
                return present
            made = self._open[key] = await self._factory(route)
            if present is not None:
                self._replaced.append(present)
            return made


def _key(route: ModelRoute) -> _Key:
    return route.provider, route.base_url, route.credential
