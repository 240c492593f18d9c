"""The colour of an object: a function of its id alone, so that every screen agrees without a word.

Twelve hues that stay apart under the common colour vision deficiencies (after Okabe & Ito 2008 and
Tol 2021, brightened for a dark room), each in three lightnesses.  ``display_clients/web/colour.js``
is the same in JavaScript; a test compares them.
"""

from __future__ import annotations

HUES = (
    (0xE6, 0x9F, 0x00), (0x56, 0xB4, 0xE9), (0x00, 0x9E, 0x73), (0xF0, 0xE4, 0x42),
    (0x44, 0x7F, 0xD6), (0xE0, 0x6C, 0x28), (0xCC, 0x79, 0xA7), (0x88, 0xCC, 0xEE),
    (0xB3, 0x5C, 0x8F), (0x9A, 0xC4, 0x4E), (0xDD, 0xCC, 0x77), (0x66, 0xCC, 0xBB),
)  # fmt: skip
SHADES = (1.0, 0.82, 1.12)
_MASK = (1 << 64) - 1


def object_colour(object_id: int) -> tuple[int, int, int]:
    """Red, green and blue in 0…255 of an object.  The id is mixed (splitmix64), so that neighbours in number differ."""
    z = (object_id + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    z ^= z >> 31
    shade = SHADES[(z // len(HUES)) % len(SHADES)]
    red, green, blue = (min(255, int(channel * shade)) for channel in HUES[z % len(HUES)])
    return red, green, blue
