"""A finding: something about a wall that somebody should know."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["error", "warning", "note"]


def count(number: int, what: str) -> str:
    """“1 node”, “2 nodes”."""
    return f"{number} {what}{'' if number == 1 else 's'}"


class Finding(msgspec.Struct, frozen=True):
    """One of them."""

    level: Level
    """Errors show a wrong picture or none; warnings are probably slips; notes are worth knowing."""
    code: str
    """For scripts; see docs/wall.md."""
    sentence: str
    where: str = ""
    """Names of the screens, tiles or keys that it is about."""
