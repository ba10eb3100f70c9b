"""The providers that are open, and what becomes of them when a key is rotated."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ingest.errors import DependencyDown
from orchestrator.gateway.connections import Connections, connection_key
from orchestrator.gateway.port import ModelInfo, ModelReply, ModelRequest
from orchestrator.gateway.routes import ModelRoute


class Line:
    """A provider that knows how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def complete(self, request: ModelRequest, *, timeout_s: float) -> ModelReply:
        raise NotImplementedError

    async def count_tokens(self, request: ModelRequest, *, timeout_s: float) -> int | None:
        raise NotImplementedError

    async def models(self, *, timeout_s: float) -> Sequence[ModelInfo]:
        raise NotImplementedError

    async def close(self) -> None:
        self.closed += 1


class Factory:
    """Makes lines, slowly; fails where it is told to."""

    def __init__(self) -> None:
        self.made: list[Line] = []
        self.fails = False

    async def __call__(self, route: ModelRoute) -> Line:
        await asyncio.sleep(0)
        if self.fails:
            raise DependencyDown(route.name, "secret_missing", "There is no key.", "Add one.")
        self.made.append(Line())
        return self.made[-1]


def route(name: str = "a", *, base_url: str | None = None, credential: str | None = "key") -> ModelRoute:
    return ModelRoute(name=name, provider="anthropic", model=name, base_url=base_url, credential=credential)


def test_routes_with_one_credential_and_address_share_a_provider() -> None:
    """However many ask at once, it is made once; another address or credential has one of its own."""

    async def scenario() -> None:
        factory = Factory()
        connections = Connections(factory)
        same = await asyncio.gather(*(connections.provider(route(f"r{number}")) for number in range(20)))
        assert set(same) == {factory.made[0]}
        others = [route(base_url="http://127.0.0.1:1"), route(credential="other"), route(credential=None)]
        assert len({connection_key(one) for one in [*others, route()]}) == 4
        found = [await connections.provider(one) for one in others]
        assert len({*found, *same}) == len(factory.made) == 4

    asyncio.run(scenario())


def test_many_whose_key_was_turned_down_get_the_same_new_provider() -> None:
    """A rotated key is read once; who comes late with the old provider gets the present one."""

    async def scenario() -> None:
        factory = Factory()
        connections = Connections(factory)
        old = await connections.provider(route())
        fresh = await asyncio.gather(*(connections.provider(route(), old) for _ in range(20)))
        assert set(fresh) == {factory.made[1]}
        assert await connections.provider(route(), old) is fresh[0]
        assert await connections.provider(route()) is fresh[0]
        assert len(factory.made) == 2

    asyncio.run(scenario())


def test_a_replaced_provider_is_closed_when_its_last_call_ends() -> None:
    """Calls under way on it go on; the one that took its place stays open."""

    async def scenario() -> None:
        connections = Connections(Factory())
        old = await connections.provider(route())
        assert isinstance(old, Line)
        async with connections.used(old):
            async with connections.used(old):
                new = await connections.provider(route(), old)
            assert old.closed == 0
        assert old.closed == 1
        async with connections.used(new):
            pass
        await connections.close()
        assert isinstance(new, Line)
        assert (old.closed, new.closed) == (1, 1)

    asyncio.run(scenario())


def test_a_replaced_provider_that_nobody_uses_is_closed_at_once() -> None:
    """No connection outlives its key for want of a call."""

    async def scenario() -> None:
        factory = Factory()
        connections = Connections(factory)
        await connections.provider(route(), await connections.provider(route()))
        assert [line.closed for line in factory.made] == [1, 0]

    asyncio.run(scenario())


def test_a_call_that_fails_or_is_cancelled_lets_its_provider_go() -> None:
    """Else a replaced provider would stay open for ever."""

    async def scenario() -> None:
        connections = Connections(Factory())
        old = await connections.provider(route())
        assert isinstance(old, Line)

        async def call() -> None:
            async with connections.used(old):
                await asyncio.Event().wait()

        task = asyncio.create_task(call())
        await asyncio.sleep(0)
        await connections.provider(route(), old)
        assert old.closed == 0
        task.cancel()
        await asyncio.wait([task])
        assert old.closed == 1

    asyncio.run(scenario())


def test_where_no_new_one_can_be_made_the_old_one_stays() -> None:
    """The factory's error reaches who asked; others keep what they have, and the next attempt may succeed."""

    async def scenario() -> None:
        factory = Factory()
        connections = Connections(factory)
        old = await connections.provider(route())
        factory.fails = True
        with pytest.raises(DependencyDown):
            await connections.provider(route(), old)
        assert await connections.provider(route()) is old
        assert factory.made[0].closed == 0
        factory.fails = False
        assert await connections.provider(route(), old) is factory.made[1]

    asyncio.run(scenario())


def test_closing_ends_all_that_is_open_once() -> None:
    """Those that were replaced while calls are under way too."""

    async def scenario() -> None:
        factory = Factory()
        connections = Connections(factory)
        old = await connections.provider(route())
        await connections.provider(route(credential="other"))
        async with connections.used(old):
            await connections.provider(route(), old)
            await connections.close()
        await connections.close()
        assert [line.closed for line in factory.made] == [1, 1, 1]

    asyncio.run(scenario())
