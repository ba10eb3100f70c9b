"""One suite, several databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.store.database import Database, open_database
from tests.doubles.postgres import fresh_database


@pytest.fixture(params=["sqlite", "postgres"])
def record_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database for the orchestrator's tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'record.db'}"
        return
    with fresh_database(request.getfixturevalue("postgres")) as url:
        yield url


@pytest.fixture
def database(record_url: str) -> Iterator[Database]:
    """The same, open."""
    database = open_database(record_url)
    yield database
    database.close()
