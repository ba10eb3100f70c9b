"""The orchestrator's tables as migrations make them, over SQLite and PostgreSQL."""

from __future__ import annotations

import threading

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from ingest.ledger import schema as ledger
from ingest.ledger.store import open_ledger
from orchestrator.store.database import Database, open_database
from orchestrator.store.schema import all_tables


def test_migrations_make_the_tables_that_the_stores_use(database: Database) -> None:
    """No table, column, index or constraint differs between the migrated database and the code."""
    with database.read() as db:
        context = MigrationContext.configure(
            db,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _: kind != "table" or name != "record_version",
            },
        )
        assert compare_metadata(context, all_tables()) == []


def test_ledger_and_record_may_share_a_database(record_url: str) -> None:
    """Both schemas live beside each other, each with its own version: no table has the name of another's."""
    assert not set(all_tables().tables) & set(ledger.metadata.tables)
    open_ledger(record_url).close()
    open_database(record_url).close()
    open_ledger(record_url).close()
    engine = sa.create_engine(record_url)
    found = set(sa.inspect(engine).get_table_names())
    engine.dispose()
    assert found >= {*all_tables().tables, *ledger.metadata.tables, "alembic_version", "record_version"}


def test_first_openings_at_once_make_one_schema(record_url: str) -> None:
    """Processes that start together do not trip over each other's migration."""
    failures: list[BaseException] = []

    def start() -> None:
        try:
            open_database(record_url).close()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
