"""How the pictures of two eyes become what one output shows.

Halves (side by side, one above the other) are drawn straight into their part of the window, each eye with
the whole screen's frustum, so the picture is squeezed and the display stretches it again.  Rows and
squares (interlaced, checkerboard) and red/cyan are put together from two whole pictures.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from renderers.wall.records import Place, Stereo

Picture = NDArray[np.uint8]
SPLIT: tuple[Stereo, ...] = ("side-by-side", "top-bottom")
MIXED: tuple[Stereo, ...] = ("interlaced", "interlaced-columns", "checkerboard", "anaglyph")


class Pass(NamedTuple):
    """One drawing of the scene."""

    eye: str
    """``left``, ``right`` or ``middle``."""
    into: Place
    """The part of the output, in pixels from its upper left corner."""


def passes(stereo: Stereo, width: int, height: int, *, swap: bool = False) -> tuple[Pass, ...]:
    """What has to be drawn for one output of ``width`` × ``height`` pixels; ``swap`` exchanges the eyes."""
    whole = Place(0, 0, width, height)
    first, second = ("right", "left") if swap else ("left", "right")
    match stereo:
        case "mono":
            return (Pass("middle", whole),)
        case "left":
            return (Pass(first, whole),)
        case "right":
            return (Pass(second, whole),)
        case "side-by-side":
            half = width // 2
            return Pass(first, Place(0, 0, half, height)), Pass(second, Place(half, 0, width - half, height))
        case "top-bottom":
            half = height // 2
            return Pass(first, Place(0, 0, width, half)), Pass(second, Place(0, half, width, height - half))
        case _:
            return Pass(first, whole), Pass(second, whole)


def of_second(stereo: Stereo, width: int, height: int, offset: tuple[int, int] = (0, 0)) -> NDArray[np.bool_]:
    """Which values of a mixed picture, (height, width, 3), are the second eye's.

    ``offset`` is the window's place (x, y) on the display: which rows and squares polarise which way is fixed there.
    Raises ValueError for an output whose pictures are not mixed.
    """
    x, y = offset
    rows, columns = np.arange(height)[:, None, None] + y, np.arange(width)[None, :, None] + x
    match stereo:
        case "interlaced":
            second = rows % 2 == 1
        case "interlaced-columns":
            second = columns % 2 == 1
        case "checkerboard":
            second = (rows + columns) % 2 == 1
        case "anaglyph":
            second = np.array([False, True, True])[None, None, :]
        case _:
            raise ValueError(f"the pictures of an output that is {stereo} are not mixed")
    return np.broadcast_to(second, (height, width, 3))


def mix(stereo: Stereo, first: Picture, second: Picture, offset: tuple[int, int] = (0, 0)) -> Picture:
    """One picture of two whole ones, (height, width, 3), the top row first; ``offset`` and errors as ``of_second``."""
    height, width, _ = first.shape
    return np.where(of_second(stereo, width, height, offset), second, first)
