"""Opens the orchestrator's database: SQLite at home, or the same PostgreSQL as the ledger, in tables of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from ingest.ledger.engine import Schema, open_engine

Connection = sa.Connection  # of a transaction that stores share

SCHEMA: Final = Schema(
    name="record",
    migrations=Path(__file__).parent / "migrations",
    revision="r0001",
    version_table="record_version",
)


class Database:
    """Connections for the stores. Safe to use from several threads; blocking, so call it from one of those."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(immediate=True)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`, for the few statements that differ."""
        return self._engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for queries."""
        with self._engine.connect() as db:
            yield db

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction: committed, and on disk, when the block ends; rolled back when it raises.

        On SQLite it takes the write lock at once, so what is read within cannot change before it is written. On
        PostgreSQL lock the rows that must not change (`with_for_update`). Stores take the connection as an argument
        where their write has to share a transaction with another store's.
        """
        with self._writing.begin() as db:
            yield db

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def open_database(url: str) -> Database:
    """Open the database at an SQLAlchemy URL and bring its tables up to date; raises as `open_engine` does."""
    return Database(open_engine(url, SCHEMA))
