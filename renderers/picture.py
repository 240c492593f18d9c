"""Pixels as JPEG or PNG: JPEG while something moves, losslessly once it rests."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
import simplejpeg
from isal import isal_zlib
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""Shape (height, width, 3), RGB, the top row first."""
SHIFTS = ((0.0, 0.0), (-0.375, 0.125), (0.375, -0.125), (0.125, 0.375), (-0.125, -0.375))
"""Where within a pixel the pictures are taken that make one with smooth edges."""
QUALITY_STILL = 95
"""Of the JPEG of a picture at rest, where the link does not carry a lossless one."""
QUICK = 2
"""ISA-L's level of compression: a quarter of the time that zlib's quickest takes, and no more bytes."""
STRIP = 64
"""Rows that are coded at once."""


class GivenUp(Exception):
    """The picture is not wanted any more."""


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


def halved(pixels: Pixels) -> Pixels:
    """Half the resolution each way: each pixel is the mean of two that lie across from each other."""
    height, width = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
    one, other = pixels[0:height:2, 0:width:2], pixels[1:height:2, 1:width:2]
    mean: Pixels = (one >> 1) + (other >> 1) + (one & other & 1)
    return mean


def jpeg(pixels: Pixels, quality: int) -> bytes:
    """A JPEG picture; colour is halved in resolution below quality 90."""
    return bytes(simplejpeg.encode_jpeg(pixels, quality, "RGB", "444" if quality >= 90 else "420", True))


def png(pixels: Pixels, *, small: bool = False, over: Callable[[], bool] = bool) -> bytes:
    """A PNG picture.  Every row is coded as its difference to the row above, which suits smooth pictures.

    ``over`` is asked now and then; raises GivenUp as soon as it says yes.
    """
    height, width, _ = pixels.shape
    made = Png(width, height, small=small)
    body = []
    for top in range(0, height, STRIP):
        if over():
            raise GivenUp
        body.append(made.add(pixels[top : top + STRIP]))
    body.append(made.end())
    return made.begin() + b"".join(body)


class Png:
    """A PNG picture that is written strip by strip, from the top."""

    def __init__(self, width: int, height: int, *, small: bool = False) -> None:
        """``small``: as few bytes as can be, however long that takes."""
        self._size = width, height
        self._zipped = zlib.compressobj(9) if small else isal_zlib.compressobj(QUICK)
        self._last = np.zeros(3 * width, np.uint8)

    def begin(self) -> bytes:
        """What stands before the strips."""
        header = struct.pack(">IIBBBBB", *self._size, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + _piece(b"IHDR", header)

    def add(self, strip: Pixels) -> bytes:
        """The next rows; what of the file has become ready, which may be nothing."""
        flat = strip.reshape(len(strip), 3 * self._size[0])
        rows = np.empty((len(strip), 1 + flat.shape[1]), np.uint8)
        rows[:, 0] = 2
        np.subtract(flat[0], self._last, out=rows[0, 1:])
        np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
        self._last = flat[-1].copy()
        return _data(self._zipped.compress(rows.data))

    def end(self) -> bytes:
        """What stands behind the strips."""
        return _data(self._zipped.flush()) + _piece(b"IEND", b"")


def smooth_png(draw: Callable[[tuple[float, float]], Pixels]) -> bytes:
    """A PNG picture with smooth edges of whatever ``draw`` draws, shifted by parts of a pixel; as small as can be."""
    blend = Blend()
    for shift in SHIFTS:
        blend.add(draw(shift))
    return png(blend.mean(), small=True)


def _data(content: bytes) -> bytes:
    return _piece(b"IDAT", content) if content else b""


def _piece(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", isal_zlib.crc32(kind + content))
