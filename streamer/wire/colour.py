"""The colour of an object: a function of its id alone, so that every screen agrees without a word.

A look may have all objects in one colour instead (``ObjectLook``), which travels with it as ``#rrggbb``.

Twelve hues for a dark room, each in three lightnesses.  They were searched for: of all sets of medium
chroma theirs has nearly the largest least distance under normal vision, protanopia, deuteranopia and
tritanopia alike (20 in CIE Lab, simulated after Machado et al. 2009); a test measures it.
``display_clients/web/colour.js`` is the same in JavaScript; a test compares them.
"""

from __future__ import annotations

import re
from functools import lru_cache

HUES = (
    (0xD8, 0x24, 0x74), (0x38, 0x9C, 0x9C), (0xEC, 0xD8, 0x60), (0x88, 0x9C, 0x60),
    (0xC4, 0xD8, 0x88), (0x9C, 0xD8, 0xB0), (0x88, 0x74, 0x10), (0x88, 0x74, 0xEC),
    (0xC4, 0x9C, 0x10), (0xEC, 0x88, 0xEC), (0x74, 0xEC, 0xEC), (0xB0, 0x4C, 0xB0),
)  # fmt: skip
SHADES = (1.0, 0.82, 1.12)
_MASK = (1 << 64) - 1


ONE = {
    "grey": "#d2d8e0", "blue": "#56b4e9", "green": "#22a07c", "yellow": "#f0e442",
    "orange": "#e69f00", "red": "#d85a1e", "pink": "#cc79a7",
}  # fmt: skip
"""Colours that the page offers where all objects have one; those after Okabe and Ito, for a dark room.  The first one
is the usual one: next to it what is marked, and a field's colours, stand out most."""
_WRITTEN = re.compile("#[0-9a-fA-F]{6}")


def is_colour(text: str) -> bool:
    """Whether a text is a colour as a look has it: ``#rrggbb``."""
    return _WRITTEN.fullmatch(text) is not None


def rgb_of(text: str) -> tuple[int, int, int]:
    """Red, green and blue in 0…255 of a text for which ``is_colour`` holds."""
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


STEP = 5
"""From a hue to the next one that an object takes whose neighbour has its own; all twelve come before one again."""


def hue_of(object_id: int) -> int:
    """The place in ``HUES`` of an object's own hue."""
    return _mixed(object_id) % len(HUES)


@lru_cache(maxsize=1 << 16)
def object_colour(object_id: int, turn: int = 0) -> tuple[int, int, int]:
    """Red, green and blue in 0…255 of an object that has stepped aside ``turn`` times (``renderers.hues``)."""
    z = _mixed(object_id)
    shade = SHADES[(z // len(HUES)) % len(SHADES)]
    red, green, blue = (min(255, int(channel * shade)) for channel in HUES[(z + STEP * turn) % len(HUES)])
    return red, green, blue


def _mixed(object_id: int) -> int:
    """The id mixed (splitmix64), so that neighbours in number differ."""
    z = (object_id + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
