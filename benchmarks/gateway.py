"""What the gateway adds to a call: routing, reservation, settlement and metering, against the provider by itself.

    python -m benchmarks.gateway [--calls 200] [--at-once 200]

The model is the double of the Messages API, in a process of its own. Calls by the gateway and calls of the same
provider take turns, so that other load hits both sides; what the gateway adds is the median of the differences, pair by
pair. Its ledger is SQLite in a temporary folder: a call takes two transactions, each on disk before it goes on. Calls
that are made at once share transactions.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.report import heading, percentile, ratios, table, verdict
from ingest.tags import Classification
from orchestrator.gateway.bookkeeping import Entry, Refusal
from orchestrator.gateway.gateway import Gateway, GatewayConfig
from orchestrator.gateway.limits import Limit
from orchestrator.gateway.outcomes import Produced
from orchestrator.gateway.port import ModelReply, ModelRequest, Provider, Turn
from orchestrator.gateway.prices import read_prices
from orchestrator.gateway.providers.anthropic_messages import AnthropicProvider
from orchestrator.gateway.routes import Demand, ModelRoute, Routes
from orchestrator.guarded_http import guarded_client
from orchestrator.network import allow_list
from orchestrator.policy.decisions import Decision
from orchestrator.prompts.rendering import Prompted
from orchestrator.store.database import open_database
from orchestrator.store.usage import UsageStore
from tests.doubles.gateway_stand import small_prompt

TARGET_MS: Final = 3.0  # that the gateway adds to a call, p50
ROUNDS: Final = 5  # of many calls at once
WARM_UP: Final = 10  # calls
DEADLINE_S: Final = 60.0
MODEL: Final = "claude-haiku-5-5"
LIMITS: Final = (
    Limit(of="team", per="month", cost_usd=Decimal(1_000)),
    Limit(of="workflow", per="minute", tokens=10**9),
)
ALLOWED: Final = Decision(allowed=True, action="route_model", policies=(), version="1", reason="For a benchmark.")
Call = Callable[[], Awaitable[object]]


@dataclass
class Times:
    """Milliseconds of each call."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    async def add(self, call: Call) -> None:
        began, began_cpu = time.perf_counter(), time.process_time()
        await call()
        self.seconds.append((time.perf_counter() - began) * 1e3)
        self.cpu.append((time.process_time() - began_cpu) * 1e3)


@contextmanager
def double() -> Iterator[str]:
    """Address of the double, in a process of its own."""
    command = [sys.executable, "-m", "tests.doubles.messages_api"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


class TimedLedger:
    """The ledger, and how long it took to write."""

    def __init__(self, store: UsageStore) -> None:
        self._store = store
        self.milliseconds: list[float] = []

    def book(self, entries: Sequence[Entry]) -> Sequence[Refusal | None]:
        began = time.perf_counter()
        results = self._store.book(entries)
        self.milliseconds.append((time.perf_counter() - began) * 1e3)
        return results


def gateway_over(provider: Provider, route: ModelRoute, ledger: TimedLedger) -> Gateway:
    """One route, two limits, and a budget for each run."""

    async def opened(_: ModelRoute) -> Provider:
        return provider

    return Gateway(
        Routes(routes=(route,), version="1", source=Path("routes.yaml")),
        read_prices(),
        policy=lambda _demand, _route: ALLOWED,
        book=ledger.book,
        providers=opened,
        credentials=lambda _: True,
        config=GatewayConfig(limits=LIMITS, slot_wait_s=DEADLINE_S),
    )


def sides(provider: Provider, gateway: Gateway, prompted: Prompted) -> tuple[Call, Call]:
    """A call of the provider, and the same call by the gateway, each for a run of its own."""
    numbers = count()
    request = ModelRequest(
        model=MODEL,
        system=prompted.system,
        turns=(Turn(role="user", text=prompted.user),),
        schema=prompted.schema,
        cacheable=prompted.cacheable,
        max_output_tokens=prompted.settings.max_output_tokens,
    )

    async def directly() -> ModelReply:
        return await provider.complete(request, timeout_s=DEADLINE_S)

    async def by_gateway() -> None:
        demand = Demand(
            run_id=f"run-{next(numbers)}",
            tenant="default",
            workflow="ask",
            task="answer",
            risk="low",
            classification=Classification.internal,
        )
        ends = gateway.until(DEADLINE_S)
        outcome = await gateway.produce(prompted, demand, ends=ends, budget=Decimal(1))
        assert isinstance(outcome, Produced), outcome

    return directly, by_gateway


async def one_by_one(directly: Call, by_gateway: Call, ledger: TimedLedger, calls: int) -> None:
    """The overhead of a call."""
    alone, governed = Times(), Times()
    for number in range(calls):
        pair = ((alone, directly), (governed, by_gateway))
        for times, call in pair if number % 2 else reversed(pair):
            await times.add(call)
    written = [a + b for a, b in zip(*[iter(ledger.milliseconds[-2 * calls :])] * 2, strict=True)]
    added = [b - a for a, b in zip(alone.seconds, governed.seconds, strict=True)]
    added_cpu = [b - a for a, b in zip(alone.cpu, governed.cpu, strict=True)]
    rows = [("the provider alone", alone.seconds, alone.cpu), ("by the gateway", governed.seconds, governed.cpu)]
    rows.append(("added, pair by pair", added, added_cpu))
    table(
        ("one call at a time", "p50 ms", "p95 ms", "CPU p50 ms"),
        [(n, f"{median(s):.2f}", f"{percentile(s, 95):.2f}", f"{median(c):.2f}") for n, s, c in rows]
        + [("of which the ledger writes", f"{median(written):.2f}", f"{percentile(written, 95):.2f}", "")],
    )
    print(f"\nAdded p50 {median(added):.2f} ms, {verdict(median(added), TARGET_MS)}\n")


async def at_once(directly: Call, by_gateway: Call, calls: int) -> None:
    """Many calls together, in rounds that take turns."""
    alone, governed = Times(), Times()

    async def together(call: Call) -> None:
        await asyncio.gather(*(call() for _ in range(calls)))

    for _ in range(ROUNDS):
        await alone.add(lambda: together(directly))
        await governed.add(lambda: together(by_gateway))
    rows = [("the provider alone", alone), ("by the gateway", governed)]
    table(
        (f"{calls} calls at once", "seconds p50", "ms a call", "CPU ms a call"),
        [
            (name, f"{median(t.seconds) / 1e3:.2f}", f"{median(t.seconds) / calls:.2f}", f"{median(t.cpu) / calls:.2f}")
            for name, t in rows
        ],
    )
    print(f"\nGateway to provider: seconds {ratios(governed.seconds, alone.seconds)}", end=", ")
    print(f"CPU {ratios(governed.cpu, alone.cpu)}")


async def measure(url: str, folder: Path, calls: int, together: int) -> None:
    """Both tables."""
    database = open_database(f"sqlite:///{folder / 'record.db'}")
    provider = AnthropicProvider(api_key="any", base_url=url, http_client=guarded_client(allow_list([url])))
    route = ModelRoute(
        name="claude",
        provider="anthropic",
        model=MODEL,
        credential="key",
        level=1,
        attempt_s=DEADLINE_S,
        concurrency=together,
    )
    ledger = TimedLedger(UsageStore(database))
    gateway = gateway_over(provider, route, ledger)
    directly, by_gateway = sides(provider, gateway, small_prompt())
    for _ in range(WARM_UP):
        await directly()
        await by_gateway()
    await one_by_one(directly, by_gateway, ledger, calls)
    await at_once(directly, by_gateway, together)
    await gateway.close()
    database.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What the gateway adds to a call of a model.")
    parser.add_argument("--calls", type=int, default=200, help="one at a time")
    parser.add_argument("--at-once", type=int, default=200)
    options = parser.parse_args()
    heading(
        "gateway",
        f"{options.calls} calls, {options.at_once} at once",
        packages=("groundwire", "anthropic", "sqlalchemy"),
    )
    with double() as url, tempfile.TemporaryDirectory(prefix="groundwire-gateway-") as folder:
        asyncio.run(measure(url, Path(folder), options.calls, options.at_once))


if __name__ == "__main__":
    main()
