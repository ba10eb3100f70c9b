"""Runs at a higher risk, over a real wire: the model's own critique, and what a second model says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest.tags import Classification
from orchestrator.contract import Answer
from orchestrator.gateway.outcomes import Attempt
from retrieval.access import Principal
from tests.doubles.encoder import HashEncoder
from tests.doubles.messages_api import MessagesDouble, messages_api
from tests.integration.conftest import Open

READER = Principal(subject="ann", clearance=Classification.internal)
QUESTION = "When does the canteen open?"


@pytest.fixture
def wire() -> Iterator[tuple[str, MessagesDouble]]:
    with messages_api() as (url, double):
        yield url, double


def routes(folder: Path, url: str, *models: str) -> Path:
    """A routes file with these models of the double, the later the stronger, beside the extractive one."""
    shared = {
        "provider": "anthropic",
        "credential": "anthropic",
        "base_url": url,
        "region": "us",
        "capabilities": ["structured_output", "streaming"],
    }
    found: list[dict[str, Any]] = [
        {"name": "extractive", "provider": "extractive", "model": "extractive", "capabilities": ["structured_output"]}
    ]
    found[0]["tasks"] = ["grounded_answer"]
    found += [{**shared, "name": model, "model": model, "level": n} for n, model in enumerate(models, start=1)]
    file = folder / "routes.yaml"
    file.write_text(yaml.safe_dump({"routes": found}))
    return file


def ask(opened: Open, file: Path, double: MessagesDouble, **wishes: Any) -> tuple[Answer, tuple[Attempt, ...]]:
    """The answer, and the attempts that the ledger has of it."""
    record = {"id": "canteen", "title": "Canteen", "text": "The canteen opens at 11:30.", "allow": ["public"]}

    async def run() -> tuple[Answer, tuple[Attempt, ...]]:
        async with opened(routes_file=file, secrets={"anthropic": double.key}) as services:
            await services.ingest_records([record], "default", "ann")
            answer = await services.ask(QUESTION, services.scope(READER), **wishes)
            return answer, services.governance.usage.attempts(answer.run_id)

    return asyncio.run(run())


def test_high_risk_asks_for_both_looks(
    hash_encoder: HashEncoder, opened: Open, tmp_path: Path, wire: tuple[str, MessagesDouble]
) -> None:
    """A critique by the same model and an answer by another one are signals of the score, and both are metered."""
    url, double = wire
    file = routes(tmp_path, url, "claude-haiku-5-5", "claude-sonnet-5-5")
    answer, attempts = ask(opened, file, double, risk="high")
    purposes = [attempt.purpose for attempt in attempts]
    assert {"answer", "critique", "second_opinion"} <= set(purposes)
    assert len({attempt.route for attempt in attempts if attempt.purpose != "critique"}) == 2
    assert {"critique", "agreement"} <= set(answer.confidence.signals)
    assert not {"critique_skipped", "agreement_skipped"} & set(answer.flags)


def test_a_look_that_cannot_be_had_is_seen(
    hash_encoder: HashEncoder, opened: Open, tmp_path: Path, wire: tuple[str, MessagesDouble]
) -> None:
    """With one model there is no second opinion: its signal is missing, and the asker is told."""
    url, double = wire
    answer, _ = ask(opened, routes(tmp_path, url, "claude-haiku-5-5"), double, risk="high")
    assert "agreement_skipped" in answer.flags
    assert "agreement" not in answer.confidence.signals


def test_low_risk_takes_no_second_look(
    hash_encoder: HashEncoder, opened: Open, tmp_path: Path, wire: tuple[str, MessagesDouble]
) -> None:
    """One call, and nothing is flagged as skipped."""
    url, double = wire
    file = routes(tmp_path, url, "claude-haiku-5-5", "claude-sonnet-5-5")
    answer, _ = ask(opened, file, double, model="claude-haiku-5-5")
    assert double.calls() == 1
    assert not [flag for flag in answer.flags if flag.endswith("_skipped")]
