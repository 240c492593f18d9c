"""Who may: a project for each run, tokens, sessions, the audit log; idempotency keys are of a project from now on."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
BEFORE = "default"
"""The project of the runs that are there already."""


def upgrade() -> None:
    """Adds the column and the tables."""
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("project", sa.String(64), nullable=False, server_default=BEFORE))
        runs.create_index("ix_runs_project", ["project"])
    op.create_table(
        "tokens",
        sa.Column("token_id", sa.String(32), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False, unique=True),
        sa.Column("project", sa.String(64), nullable=False, index=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("made_by", sa.String(320), nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.Column("expires", sa.Float(53)),
    )
    op.create_table(
        "sessions",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(320), nullable=False, index=True),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.Column("seen", sa.Float(53), nullable=False, index=True),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float(53), nullable=False, index=True),
        sa.Column("project", sa.String(64), nullable=False, index=True),
        sa.Column("entry", sa.Text, nullable=False),
    )
    books = op.get_bind()
    keys = sa.table("idempotency_keys", sa.column("place", sa.String), sa.column("key", sa.String))
    for place, key in books.execute(sa.select(keys.c.place, keys.c.key)).all():
        mine = sa.and_(keys.c.place == place, keys.c.key == key)
        of_project = hashlib.sha256(f"{BEFORE}\n{key}".encode()).hexdigest()
        books.execute(keys.update().where(mine).values(key=of_project))
