"""How the tables of the books came to be what they are, step by step (Alembic)."""
