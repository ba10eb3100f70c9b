"""The first tables of the orchestrator."""

from __future__ import annotations

from alembic import op

from orchestrator.store.schema import all_tables

revision = "r0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    all_tables().create_all(op.get_bind())  # until the first release; then spelled out
