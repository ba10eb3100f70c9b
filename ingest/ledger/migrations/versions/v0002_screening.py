"""What screening found, and where each token begins beside its vector, which screening needs.

Encodings made before do not have the latter. They are dropped, and the encoder's name says so: the home asks for
`groundwire reindex`, which encodes anew from the stored text. Documents taken in before are unscreened, and their text
stays out of answers until `groundwire rescan`.
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
    for column in (
        sa.Column("screener", sa.String(), nullable=True),
        sa.Column("screening_failed", sa.Text(), nullable=True),
        sa.Column("findings", sa.Text(), nullable=True),
        sa.Column("peaks", sa.Text(), nullable=True),
    ):
        op.add_column("versions", column)
    op.add_column("chunks", sa.Column("findings", sa.Text(), server_default="[]", nullable=False))
