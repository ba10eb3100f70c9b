"""How many calls of a route are under way at once."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.gateway.concurrency import Busy, Slots
from orchestrator.gateway.routes import ModelRoute

LONG = 60.0  # seconds that no test waits


def route(name: str = "a", concurrency: int = 2) -> ModelRoute:
    return ModelRoute(name=name, provider="scripted", model="m", concurrency=concurrency)


class Calls:
    """Calls that hold a slot until they are let go."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.under_way: list[str] = []
        self.order: list[str] = []
        self.most = 0
        self._ends: dict[str, asyncio.Event] = {}

    async def call(self, name: str, of: ModelRoute, wait_s: float = LONG) -> None:
        self._ends[name] = asyncio.Event()
        async with self.slots.slot(of, wait_s=wait_s):
            self.under_way.append(name)
            self.order.append(name)
            self.most = max(self.most, len(self.under_way))
            try:
                await self._ends[name].wait()
            finally:
                self.under_way.remove(name)

    def end(self, name: str) -> None:
        self._ends[name].set()


async def settled() -> None:
    """All tasks that can go on have gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_never_more_than_the_route_takes_and_who_came_first_is_first() -> None:
    """A hundred callers of a route of three: never four at once, in order of arrival."""

    async def scenario() -> None:
        calls = Calls(Slots())
        names = [str(number) for number in range(100)]
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(calls.call(name, route(concurrency=3)))
            await settled()
            for name in names:
                assert len(calls.under_way) <= 3
                calls.end(name)
                await settled()
        assert (calls.most, calls.order, calls.under_way) == (3, names, [])

    asyncio.run(scenario())


def test_who_waits_goes_before_who_comes_when_a_slot_gets_free() -> None:
    """A newcomer does not take the slot that was just given back for one who waits."""

    async def scenario() -> None:
        calls = Calls(Slots())
        one = route(concurrency=1)
        async with asyncio.TaskGroup() as group:
            for name in ("first", "waiting"):
                group.create_task(calls.call(name, one))
            await settled()
            calls.end("first")
            group.create_task(calls.call("newcomer", one))
            await settled()
            assert calls.under_way == ["waiting"]
            calls.end("waiting")
            await settled()
            calls.end("newcomer")
        assert calls.order == ["first", "waiting", "newcomer"]

    asyncio.run(scenario())


def test_waiting_has_an_end() -> None:
    """Busy after the wait; the slot is given to the next all the same, and a free one needs no wait at all."""

    async def scenario() -> None:
        slots = Slots()
        one = route(concurrency=1)
        async with slots.slot(one, wait_s=0):
            with pytest.raises(Busy):
                async with slots.slot(one, wait_s=0):
                    pytest.fail("There was no slot.")
        async with slots.slot(one, wait_s=0):
            pass

    asyncio.run(scenario())


def test_a_deadline_of_the_call_itself_is_not_a_busy_route() -> None:
    """A TimeoutError from within the call stays one, and its slot is given back."""

    async def scenario() -> None:
        slots = Slots()
        one = route(concurrency=1)
        with pytest.raises(TimeoutError):
            async with slots.slot(one, wait_s=LONG):
                raise TimeoutError
        async with slots.slot(one, wait_s=0):
            pass

    asyncio.run(scenario())


@pytest.mark.parametrize("who", ["holder", "waiter", "waiter whose turn has come"])
def test_cancelled_callers_give_their_slot_back(who: str) -> None:
    """Whether under way, waiting, or cancelled in the moment in which the slot gets free: none is lost."""

    async def scenario() -> None:
        calls = Calls(Slots())
        one = route(concurrency=1)
        holder = asyncio.create_task(calls.call("holder", one))
        waiter = asyncio.create_task(calls.call("waiter", one))
        await settled()
        if who == "holder":
            holder.cancel()
            await settled()
            assert calls.under_way == ["waiter"]
            calls.end("waiter")
        else:
            if who == "waiter":
                waiter.cancel()
                await settled()
            calls.end("holder")
            await asyncio.sleep(0)
            waiter.cancel()
        await asyncio.gather(holder, waiter, return_exceptions=True)
        async with calls.slots.slot(one, wait_s=0):
            pass

    asyncio.run(scenario())


def test_routes_do_not_wait_for_each_other() -> None:
    """Each route has slots of its own."""

    async def scenario() -> None:
        slots = Slots()
        async with slots.slot(route("a", 1), wait_s=0), slots.slot(route("b", 1), wait_s=0):
            pass

    asyncio.run(scenario())
