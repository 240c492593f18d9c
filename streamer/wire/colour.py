"""The colour of an object: a function of its id alone, so that every screen agrees without a word.

Twelve hues for a dark room, each in three lightnesses.  They were searched for: of all sets of medium
chroma theirs has nearly the largest least distance under normal vision, protanopia, deuteranopia and
tritanopia alike (20 in CIE Lab, simulated after Machado et al. 2009); a test measures it.
``display_clients/web/colour.js`` is the same in JavaScript; a test compares them.
"""

from __future__ import annotations

from functools import lru_cache

HUES = (
    (0xD8, 0x24, 0x74), (0x38, 0x9C, 0x9C), (0xEC, 0xD8, 0x60), (0x88, 0x9C, 0x60),
    (0xC4, 0xD8, 0x88), (0x9C, 0xD8, 0xB0), (0x88, 0x74, 0x10), (0x88, 0x74, 0xEC),
    (0xC4, 0x9C, 0x10), (0xEC, 0x88, 0xEC), (0x74, 0xEC, 0xEC), (0xB0, 0x4C, 0xB0),
)  # fmt: skip
SHADES = (1.0, 0.82, 1.12)
_MASK = (1 << 64) - 1


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
