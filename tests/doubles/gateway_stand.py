"""A gateway over scripted models, a real ledger and a clock that only tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np

from ingest.encoder import QueryEncoding
from ingest.errors import BadInput
from ingest.tags import Classification
from orchestrator.context import assemble
from orchestrator.extractive import pool
from orchestrator.gateway.bookkeeping import Balance
from orchestrator.gateway.gateway import Gateway, GatewayConfig, Surroundings
from orchestrator.gateway.outcomes import Attempt
from orchestrator.gateway.port import ModelReply, ModelRequest, Provider, Stop, TokenUsage
from orchestrator.gateway.prices import Band, Price, PriceTable
from orchestrator.gateway.providers.scripted import ScriptedProvider, Step
from orchestrator.gateway.routes import Demand, ModelRoute, Routes
from orchestrator.personal_data.chain import standard_chain
from orchestrator.policy.decisions import Decision
from orchestrator.prompts.rendering import Prompted, render
from orchestrator.question import read_question
from orchestrator.store.usage import UsageStore
from retrieval.evidence import Hit, Passage
from retrieval.sanitising import sanitise
from retrieval.screening_policy import ScreeningPolicy
from tests.doubles.prompts import make_prompt

BEGUN: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FAST: Final = ModelRoute(
    name="fast", provider="anthropic", model="small", credential="key-fast", level=1, latency_s=1.0, attempt_s=10.0
)
STRONG: Final = replace(FAST, name="strong", model="large", credential="key-strong", level=2)
HERE: Final = ModelRoute(name="here", provider="scripted", model="here", level=0)
BUDGET: Final = Decimal(5)
_NUMBERS: Final = count(1)
_BLIND: Final = QueryEncoding(
    dense=np.zeros(384, np.float32),
    tokens=np.zeros((0, 384), np.float32),
    weights=np.zeros(0, np.float32),
    familiarity=0.0,
)


def _price(model: str, dollars: int) -> Price:
    """`dollars` for a million tokens of input, five times as many for output."""
    band = Band(
        input=Decimal(dollars),
        output=Decimal(5 * dollars),
        cache_read=Decimal(dollars) / 10,
        cache_write=Decimal(dollars) * 5 / 4,
        cache_write_long=Decimal(2 * dollars),
    )
    return Price(provider="anthropic", model=model, bands=(band,))


PRICES: Final = PriceTable(version="2026-11-20", prices=(_price("small", 1), _price("large", 3)))


def small_prompt(question: str = "When does the canteen open?") -> Prompted:
    """A prompt about one document."""
    text = "The canteen opens at 11:30. It serves soup."
    passage = Passage(
        chunk_id="c1",
        document_id="d1",
        version=1,
        title="Canteen",
        source_uri="",
        text=text,
        start=0,
        end=len(text),
        page=None,
        page_end=None,
        headings=(),
    )
    found = sanitise([Hit(passage=passage, score=1.0, legs={})], ScreeningPolicy())
    sentences = pool(read_question(question), _BLIND, found.readable)
    context = assemble(question, found, sentences, budget_tokens=1_000, open_chain=standard_chain, redact_types=())
    return render(make_prompt(), "dev", context)


def reply(stop: Stop = "end", text: str = "It opens at 11:30.", **usage: int) -> ModelReply:
    """One that used 400 tokens of prompt and 20 of output where nothing else is said."""
    return ModelReply(text=text, stop=stop, usage=TokenUsage(**{"input": 400, "output": 20} | usage), model="m-1")


class Script(ScriptedProvider):
    """Notes as well how long each attempt may take, and how often it was asked to count."""

    def __init__(self, *steps: Step, otherwise: Step | None = None, tokens: int | None = None) -> None:
        super().__init__(otherwise)
        self.enqueue(*steps)
        self.timeouts: list[float] = []
        self.counted = 0
        self._tokens = tokens

    async def complete(self, request: ModelRequest, *, timeout_s: float) -> ModelReply:
        self.timeouts.append(timeout_s)
        assert not self.closed, "a call on connections that are closed"
        return await super().complete(request, timeout_s=timeout_s)

    async def count_tokens(self, request: ModelRequest, *, timeout_s: float) -> int | None:
        self.counted += 1
        return self._tokens


@dataclass
class Clock:
    """Seconds that pass when somebody sleeps, or when a test says so."""

    at: float = 100.0
    slept: list[float] = field(default_factory=list)

    def pass_(self, seconds: float) -> None:
        self.at += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds
        await asyncio.sleep(0)


class Stand:
    """The gateway, what it asked, and what is in its ledger. Each one serves a run of its own."""

    def __init__(
        self,
        store: UsageStore,
        scripts: Mapping[str, Script | list[Script]],
        *routes: ModelRoute,
        config: GatewayConfig | None = None,
        forbidden: frozenset[str] = frozenset(),
        book: Any = None,
    ) -> None:
        """`scripts` by name of route; of a list, each opening of the route takes the next."""
        self.store = store
        self.time = Clock()
        self.run_id = f"run-{next(_NUMBERS)}"
        self.demand = Demand(
            run_id=self.run_id,
            tenant=self.run_id,  # whose accounts nobody else touches
            workflow="ask",
            task="answer",
            risk="low",
            classification=Classification.internal,
        )
        self.opened: list[str] = []
        self._scripts = {name: one if isinstance(one, list) else [one] for name, one in scripts.items()}
        self._forbidden = forbidden
        self.gateway = Gateway(
            Routes(routes=routes or (FAST, STRONG), version="1", source=Path("routes.yaml")),
            PRICES,
            policy=self._decide,
            book=book or store.book,
            providers=self._open,
            credentials=lambda _: True,
            config=config,
            surroundings=Surroundings(
                clock=lambda: self.time.at,
                now=lambda: BEGUN + timedelta(seconds=self.time.at),
                random=lambda: 0.5,
                sleep=self.time.sleep,
            ),
        )

    async def produce(self, prompted: Prompted, *, seconds: float = 60.0, **more: Any) -> Any:
        """Ask for an output within so many seconds."""
        wanted = {"budget": BUDGET} | more
        demand = wanted.pop("demand", self.demand)
        return await self.gateway.produce(prompted, demand, ends=self.gateway.until(seconds), **wanted)

    def asked(self, route: str) -> list[ModelRequest]:
        return [request for script in self._scripts[route] for request in script.history]

    def rows(self) -> tuple[Attempt, ...]:
        return self.store.attempts(self.run_id)

    def balance(self) -> Balance:
        """What the run has used of its budget."""
        return self.store.balance(f"run:{self.run_id}", "run")

    def _decide(self, _: Demand, route: ModelRoute) -> Decision:
        allowed = route.name not in self._forbidden
        return Decision(allowed=allowed, action="route_model", policies=(), version="1", reason="As the test says.")

    async def _open(self, route: ModelRoute) -> Provider:
        times = self.opened.count(route.name)
        self.opened.append(route.name)
        await asyncio.sleep(0)  # as long as others need to ask for the same
        if times >= len(self._scripts[route.name]):
            raise BadInput(route.name, "secret_missing", "There is no such secret.", "Add it.")
        return self._scripts[route.name][times]
