"""Opens a database, SQLite or PostgreSQL, with its schema brought up to date: that of the ledger, or another."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from ingest.errors import BadInput, DependencyDown

_WAIT_S: Final = 30.0  # for another process that writes
_MIGRATION_LOCK: Final = 0x67726F756E64  # any number that nobody else locks


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Tables that are brought up to date together. Several schemas may live in one database."""

    name: str  # as errors call it
    migrations: Path  # Alembic's folder
    revision: str  # the newest migration
    version_table: str  # where the database keeps the revision it has


LEDGER: Final = Schema(
    name="ledger",
    migrations=Path(__file__).parent / "migrations",
    revision="0002",
    version_table="alembic_version",
)


def open_engine(url: str, schema: Schema = LEDGER) -> sa.Engine:
    """Connect to the database at an SQLAlchemy URL and bring the tables of `schema` up to date.

    Raises BadInput for a URL that names no database or a driver that is not installed, DependencyDown when the
    database cannot be reached, does not count characters, or was made by a newer Groundwire.
    """
    engine = _engine(url)
    try:
        with engine.execution_options(immediate=True).begin() as db:
            if db.dialect.name == "postgresql":
                _check_postgres(db)
            _migrate(db, schema)
    except sa.exc.OperationalError as error:  # no connection, no event
        raise _down(error.orig) from error
    return engine


def _engine(url: str) -> sa.Engine:
    try:
        if url.startswith("sqlite"):
            engine = sa.create_engine(url, connect_args={"timeout": _WAIT_S})
            sa.event.listen(engine, "connect", _prepare_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
        else:
            options = {"connect_timeout": 10, "client_encoding": "utf8"}
            engine = sa.create_engine(url, pool_pre_ping=True, connect_args=options)
    except (sa.exc.ArgumentError, ImportError) as error:
        cause = f"The URL of the ledger cannot be used ({type(error).__name__})."
        step = "Write postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, and install `groundwire[postgres]`."
        raise BadInput("database_url", "bad_database_url", cause, step) from error
    sa.event.listen(engine, "handle_error", _explain)
    return engine


def _check_postgres(db: sa.Connection) -> None:
    """Offsets count characters, so the database must; and processes that start together migrate one by one."""
    encoding = db.scalar(sa.text("SHOW server_encoding"))
    if encoding != "UTF8":
        cause = f"The database has the encoding {encoding}, in which places in a text cannot be counted."
        raise DependencyDown("ledger", "ledger_encoding", cause, "Make it with CREATE DATABASE … ENCODING 'UTF8'.")
    db.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def _prepare_sqlite(connection: Any, _record: object) -> None:
    _use_wal(connection)
    connection.isolation_level = None  # transactions begin where SQLAlchemy says, schema changes included
    for pragma in (
        "synchronous=FULL",  # the index is flushed before a version settles: the ledger must not forget it
        "foreign_keys=ON",
        "secure_delete=ON",  # a deleted source leaves no readable bytes in the file
        "cache_size=-32768",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _use_wal(connection: Any) -> None:
    """Two first openings at once refuse each other at the change to WAL, for which SQLite does not wait by itself."""
    last = time.monotonic() + _WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > last:
                raise
            time.sleep(0.01)


def _begin_sqlite(db: sa.Connection) -> None:
    db.exec_driver_sql("BEGIN IMMEDIATE" if db.get_execution_options().get("immediate") else "BEGIN")


def _explain(context: sa.engine.ExceptionContext) -> BaseException | None:
    """What SQLAlchemy raises in place of its own error."""
    if isinstance(context.sqlalchemy_exception, sa.exc.OperationalError) or context.is_disconnect:
        return _down(context.original_exception)
    return None


def _down(error: BaseException | None) -> DependencyDown:
    return DependencyDown(
        "ledger",
        "ledger_down",
        f"The ledger cannot be used ({error}).",
        "Check that the database runs, that its folder can be written and that the disk is not full.",
    )


def _migrate(db: sa.Connection, schema: Schema) -> None:
    known = sa.inspect(db).has_table(schema.version_table)
    version = sa.table(schema.version_table, sa.column("version_num"))
    revision = db.scalar(sa.select(version.c.version_num)) if known else None
    if revision == schema.revision:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(schema.migrations))
    config.attributes["connection"] = db
    config.attributes["version_table"] = schema.version_table
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise DependencyDown(
            str(revision),
            f"newer_{schema.name}",
            f"The {schema.name} has a schema that this version does not know ({error}).",
            "Use the version of Groundwire that wrote it, or a newer one.",
        ) from error
