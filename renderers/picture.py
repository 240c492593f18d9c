"""Pixels as JPEG or PNG: JPEG while something moves, losslessly once it rests."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
import simplejpeg
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""Shape (height, width, 3), RGB, the top row first."""
SHIFTS = ((0.0, 0.0), (-0.375, 0.125), (0.375, -0.125), (0.125, 0.375), (-0.125, -0.375))
"""Where within a pixel the pictures are taken that make one with smooth edges."""


class Blend:
    """The mean of pictures that are shifted by parts of a pixel: one with smooth edges, made in steps that can stop."""

    def __init__(self) -> None:
        self._sum = np.zeros((0, 0, 3), np.uint16)
        self.taken = 0
        self.seconds = 0.0
        """Time spent on it, for whoever measures."""

    def add(self, pixels: Pixels) -> None:
        """One more picture of the same size."""
        if self.taken == 0:
            self._sum = pixels.astype(np.uint16)
        else:
            self._sum += pixels
        self.taken += 1

    def mean(self) -> Pixels:
        """The picture."""
        return ((self._sum + self.taken // 2) // self.taken).astype(np.uint8)


def jpeg(pixels: Pixels, quality: int) -> bytes:
    """A JPEG picture; colour is halved in resolution below quality 90."""
    return bytes(simplejpeg.encode_jpeg(pixels, quality, "RGB", "444" if quality >= 90 else "420", True))


def png(pixels: Pixels, level: int = 1) -> bytes:
    """A PNG picture.  Every row is coded as its difference to the row above, which suits smooth pictures."""
    height, width, _ = pixels.shape
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    flat = pixels.reshape(height, 3 * width)
    rows[:, 0] = 2
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(rows.data, level)
    return b"\x89PNG\r\n\x1a\n" + _piece(b"IHDR", header) + _piece(b"IDAT", body) + _piece(b"IEND", b"")


def smooth_png(draw: Callable[[tuple[float, float]], Pixels]) -> bytes:
    """A PNG picture with smooth edges of whatever ``draw`` draws, shifted by parts of a pixel; as small as can be."""
    blend = Blend()
    for shift in SHIFTS:
        blend.add(draw(shift))
    return png(blend.mean(), level=9)


def _piece(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
