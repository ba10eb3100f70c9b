"""What tests of several kinds share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doubles.postgres import postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server; skips where there is none."""
    with postgres_server() as url:
        yield url
