"""The network that ships with CaveCast: ``model=demo``.  What it was trained on, and what it can do: PROVENANCE.md."""

from __future__ import annotations

from pathlib import Path

NAME = "demo"


def path() -> Path:
    """Its file."""
    return Path(__file__).parent / "rivers.keras"


def located(model: str) -> Path:
    """Where a model lies that was asked for by a path, or by ``demo``; absolute."""
    return path() if model == NAME else Path(model).expanduser().absolute()
