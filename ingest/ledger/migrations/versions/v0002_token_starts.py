"""Where each token begins, beside its vector.

Encodings made before do not have it. They are dropped, and the encoder's name says so: the home asks for `groundwire
reindex`, which encodes anew from the stored text.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""

    op.execute("DELETE FROM encodings")
    op.execute("UPDATE facts SET value = value || ' (before token starts)' WHERE name = 'encoder'")
    with op.batch_alter_table("encodings") as table:
        table.add_column(sa.Column("starts", sa.LargeBinary(), nullable=False))
