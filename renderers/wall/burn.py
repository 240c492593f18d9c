"""Numbers in the corner of a picture, for machines to read: which frame, which view, which position of the log.

Blocks of 3 × 3 pixels, black or white, 16 to a row from the upper left corner: a row of marks, frame, view and
position with 32 bits each, the highest first, and a CRC-32 of them.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK, ACROSS = 3, 16
MARKS = 0b1010011010010110
_NUMBERS = struct.Struct(">III")
ROWS = 1 + 2 * 4
WIDTH, HEIGHT = BLOCK * ACROSS, BLOCK * ROWS
"""Pixels of the whole."""


class Burned(NamedTuple):
    """What a picture says of itself; each number modulo 2³²."""

    frame: int
    view: int
    position: int


def blocks(burned: Burned) -> NDArray[np.uint8]:
    """The picture of the numbers, (HEIGHT, WIDTH, 3) uint8, the top row first."""
    raw = _NUMBERS.pack(*(number & 0xFFFFFFFF for number in burned))
    whole = MARKS.to_bytes(2, "big") + raw + zlib.crc32(raw).to_bytes(4, "big")
    bits = np.unpackbits(np.frombuffer(whole, np.uint8)).reshape(ROWS, ACROSS)
    large = np.repeat(np.repeat(bits * np.uint8(255), BLOCK, axis=0), BLOCK, axis=1)
    return np.ascontiguousarray(np.repeat(large[:, :, None], 3, axis=2))


def read_blocks(pixels: NDArray[np.uint8]) -> Burned | None:
    """The numbers in the upper left corner of a picture, (height, width, 3); None if there are none."""
    if pixels.shape[0] < HEIGHT or pixels.shape[1] < WIDTH:
        return None
    middles = pixels[BLOCK // 2 : HEIGHT : BLOCK, BLOCK // 2 : WIDTH : BLOCK, 0] > 127
    whole = np.packbits(middles).tobytes()
    raw = whole[2:14]
    if whole[:2] != MARKS.to_bytes(2, "big") or zlib.crc32(raw).to_bytes(4, "big") != whole[14:]:
        return None
    return Burned(*_NUMBERS.unpack(raw))
