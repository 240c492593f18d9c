"""What is done differently while somebody measures: a mark in the picture, no coarse surfaces, or no drawing at all.

The mark says which pointer position a picture answers: thirteen blocks along the upper left edge, each a fortieth of
the width and a thirty-sixth of the height: white, black, and eleven bits of how far from the left the pointer was,
the highest first.  It survives every codec and scaling.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from renderers.picture import Pixels
from streamer.wire.view import Input

BITS = 11
ACROSS, DOWN = 40, 36


class NoReel(RuntimeError):
    """A file that holds no pictures: which, and what is expected."""

    exit_code = 2


class Reel:
    """Pictures that are shown in turn as the pointer moves, instead of drawn ones."""

    def __init__(self, pictures: NDArray[np.uint8]) -> None:
        self._pictures = pictures

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self._pictures.shape[1:3]
        return height, width

    def picture(self, state: Input, into: Pixels) -> None:
        """The picture for a pointer position."""
        across = state.pointer[0] if state.pointer is not None else 0.5
        np.copyto(into, self._pictures[int(200 * across) % len(self._pictures)])


class Trial(NamedTuple):
    """How pictures are to differ from those that people see."""

    latency_marker: bool = False
    full_detail: bool = False
    reel: Reel | None = None

    def mark(self, pixels: Pixels, pointer: tuple[float, float] | None) -> None:
        """Draws the mark into a picture, if it is wanted."""
        if not self.latency_marker:
            return
        height, width = pixels.shape[:2]
        share = pointer[0] if pointer is not None else 0.5
        number = min(2**BITS - 1, max(0, round(share * (2**BITS - 1))))
        for i, white in enumerate((1, 0, *(number >> place & 1 for place in reversed(range(BITS))))):
            pixels[: height // DOWN, i * width // ACROSS : (i + 1) * width // ACROSS] = 255 * white


NO_TRIAL = Trial()


def reel(path: Path) -> Reel:
    """The pictures in a .npy file.  Raises NoReel."""
    try:
        pictures = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as why:
        raise NoReel(f"{path} cannot be read as a .npy file: {why}") from None
    if pictures.ndim != 4 or pictures.dtype != np.uint8 or pictures.shape[3] != 3 or not len(pictures):
        raise NoReel(
            f"{path} holds {pictures.dtype} of shape {pictures.shape}; (n, height, width, 3) uint8 is expected"
        )
    return Reel(np.asarray(pictures))
