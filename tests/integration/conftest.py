"""Homes with real parts: ledger, index and workers; the encoder is the real one only where words must be understood."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import orchestrator.services
from ingest.tags import Classification
from orchestrator.services import Services, open_services
from orchestrator.settings import Settings
from retrieval.access import Principal
from tests.doubles.encoder import HashEncoder
from tests.doubles.screener import MarkScreener

Open = Callable[..., AbstractAsyncContextManager[Services]]


@pytest.fixture
def hash_encoder(monkeypatch: pytest.MonkeyPatch) -> HashEncoder:
    """Stands in for the model where its meaning does not matter, and with it a screener that needs none."""
    encoder = HashEncoder()
    monkeypatch.setattr(orchestrator.services, "_open_encoder", lambda _: encoder)
    monkeypatch.setattr(orchestrator.services, "_open_screener", MarkScreener)
    return encoder


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Opens the home of the test."""

    @asynccontextmanager
    async def open_home(**settings: Any) -> AsyncIterator[Services]:
        async with open_services(Settings(home=tmp_path / "home", workers=1, **settings)) as services:
            yield services

    return open_home


def person(subject: str, *groups: str, clearance: Classification = Classification.internal) -> Principal:
    """A principal of the default tenant."""
    return Principal(subject=subject, groups=frozenset(groups), clearance=clearance)


def write_records(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    """A .jsonl file of records."""
    path.write_text("\n".join(json.dumps(record) for record in records), "utf-8")
    return path
