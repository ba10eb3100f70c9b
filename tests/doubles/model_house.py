"""A home whose routes lead to both doubles of model providers, opened once for many tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

import orchestrator.services
from ingest.tags import Classification
from orchestrator.contract import Answer
from orchestrator.gateway.outcomes import Attempt
from orchestrator.services import Services, open_services
from orchestrator.settings import Settings
from retrieval.access import Principal
from tests.doubles.encoder import HashEncoder
from tests.doubles.messages_api import MessagesDouble, messages_api
from tests.doubles.model_double import Mode
from tests.doubles.openai_api import OpenAiDouble, openai_api
from tests.doubles.screener import MarkScreener

T = TypeVar("T")

CLAUDE, LLAMA, EXTRACTIVE = "claude", "llama", "extractive"
_CAPABILITIES = ["structured_output", "streaming"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What came of one question, and what it took."""

    answer: Answer
    attempts: tuple[Attempt, ...]
    wire: dict[str, int]  # requests that came over the wire, by route

    @property
    def tried(self) -> list[tuple[str, str, str]]:
        """Route, purpose and outcome of each attempt in the ledger."""
        return [(one.route, one.purpose, one.outcome) for one in self.attempts]


@dataclass(kw_only=True)
class ModelHouse:
    """The open home and both doubles."""

    services: Services
    claude: MessagesDouble
    llama: OpenAiDouble
    settings: Settings
    run: Callable[[Awaitable[Any]], Any]
    close: Callable[[], None]  # so that another process or app can own the home; the doubles go on
    asked: int = 0

    def calm(self, claude: Mode = "good", llama: Mode = "good") -> None:
        """As if nothing had been asked before: no breaker open, nobody kept waiting, these modes from now on."""
        for double, mode in ((self.claude, claude), (self.llama, llama)):
            double.release()
            double.requests.clear()
            double.default = mode
        self.services.gateway._breakers.clear()

    def reader(self, subject: str | None = None, **fields: Any) -> Principal:
        """Somebody who has never asked before, unless named."""
        self.asked += 1
        fields.setdefault("clearance", Classification.internal)
        return Principal(subject=subject or f"reader-{self.asked}", **fields)

    def ask(self, question: str, principal: Principal | None = None, **wishes: Any) -> Asked:
        """Ask, and gather what is to be looked at. Evidence that is barely there carries: meaning is not at stake."""
        scope = self.services.scope(principal or self.reader())
        wishes.setdefault("judge", replace(self.services.asker._parts.judge, threshold=0.05))
        before = {CLAUDE: self.claude.calls(), LLAMA: self.llama.calls()}
        answer = self.run(self.services.ask(question, scope, **wishes))
        attempts = self.services.governance.usage.attempts(answer.run_id)
        wire = {CLAUDE: self.claude.calls() - before[CLAUDE], LLAMA: self.llama.calls() - before[LLAMA]}
        return Asked(answer=answer, attempts=attempts, wire=wire)

    def sent(self) -> str:
        """All that came over both wires, as text."""
        return "\n".join(str(one.body) for double in (self.claude, self.llama) for one in double.requests)


def write_routes(file: Path, claude: str, llama: str, **changes: Any) -> Path:
    """A routes file: the extractive model, Claude in the US, and a free model of one's own in the EU."""
    shared: dict[str, Any] = {"capabilities": _CAPABILITIES, "level": 1, "attempt_s": 0.3, "latency_s": 0.1, **changes}
    extractive = {"name": EXTRACTIVE, "provider": "extractive", "model": "extractive", "tasks": ["grounded_answer"]}
    routes = [
        {**extractive, "capabilities": ["structured_output"]},
        {
            **shared,
            "name": CLAUDE,
            "provider": "anthropic",
            "model": "claude-haiku-5-5",
            "credential": "anthropic",
            "base_url": claude,
            "region": "us",
        },
        {
            **shared,
            "name": LLAMA,
            "provider": "openai",
            "model": "llama-4-8b",
            "credential": "own",
            "base_url": llama,
            "region": "eu",
            "free": True,
        },
    ]
    file.write_text(yaml.safe_dump({"routes": routes}))
    return file


@contextmanager
def hash_parts() -> Iterator[None]:
    """An encoder and a screener that need no model."""
    encoder = HashEncoder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(orchestrator.services, "_open_encoder", lambda _: encoder)
        patch.setattr(orchestrator.services, "_open_screener", MarkScreener)
        yield


async def _at_once(_: float) -> None:
    """Waits before a retry are not sat through."""
    await asyncio.sleep(0)


@contextmanager
def model_house(
    folder: Path, records: list[dict[str, Any]], *, routes: Mapping[str, Any] | None = None, **settings: Any
) -> Iterator[ModelHouse]:
    """Open a home with these records, owned by ann; `routes` are fields of both remote routes."""
    with hash_parts(), messages_api() as (claude_url, claude), openai_api() as (llama_url, llama):
        file = write_routes(folder / "routes.yaml", claude_url, llama_url, **(routes or {}))
        secrets = {"anthropic": claude.key, "own": llama.key}
        made = Settings(home=folder / "home", workers=1, routes_file=file, secrets=secrets, **settings)
        with asyncio.Runner() as runner:
            stack = AsyncExitStack()
            services = runner.run(stack.enter_async_context(open_services(made)))

            def close() -> None:
                runner.run(stack.aclose())

            try:
                services.gateway._around = replace(services.gateway._around, sleep=_at_once)
                runner.run(services.ingest_records(records, "default", "ann"))
                yield ModelHouse(
                    services=services, claude=claude, llama=llama, settings=made, run=runner.run, close=close
                )
            finally:
                close()
