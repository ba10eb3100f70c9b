"""Alembic's entry: applies the migrations on the connection that `ingest.ledger.engine` hands over."""

from __future__ import annotations

from alembic import context

from ingest.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    target_metadata=metadata,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
