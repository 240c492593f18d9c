"""What the parts of runs have used, by role; and which control plane writes of a place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Makes both tables."""
    op.create_table(
        "samples",
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("role", sa.String(32), primary_key=True),
        sa.Column("place", sa.String(64), nullable=False),
        sa.Column("series", sa.Text, nullable=False),
    )
    op.create_table(
        "terms",
        sa.Column("place", sa.String(64), primary_key=True),
        sa.Column("term", sa.BigInteger, nullable=False),
    )
