"""Compression and checksums of what travels: zstd at level 1, CRC-32C.

A chunk's labels are compressed exactly as the chunk of a Zarr v3 array with the codecs ``bytes``
(little endian) and ``zstd`` would be, so that the archive writes the bytes that the worker made.
"""

from __future__ import annotations

import google_crc32c
import numpy as np
import zstandard
from numpy.typing import NDArray

from streamer.wire.grid import Triple
from streamer.wire.messages import Refused

Buffer = bytes | bytearray | memoryview
Labels = NDArray[np.uint32]

LEVEL = 1


def crc32c(raw: Buffer) -> int:
    """The CRC-32C of some bytes."""
    return int(google_crc32c.value(raw if isinstance(raw, bytes) else bytes(raw)))


def compress(raw: Buffer | NDArray[np.generic]) -> bytes:
    """One zstd frame that states its content's size and carries no checksum of its own."""
    flat = np.ascontiguousarray(raw).data.cast("B") if isinstance(raw, np.ndarray) else raw
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=False, write_content_size=True).compress(flat)


def decompress(raw: Buffer, size: int, what: str) -> bytes:
    """The ``size`` bytes in a zstd frame.  Raises Refused, before taking memory, if it does not hold so many."""
    try:
        stated = zstandard.get_frame_parameters(raw).content_size
        if stated != size:
            raise Refused(f"{what}: the frame states {stated} bytes where {size} belong")
        return zstandard.ZstdDecompressor().decompress(raw, max_output_size=size)
    except zstandard.ZstdError as why:
        raise Refused(f"{what}: not a zstd frame ({why})") from None


def encode_labels(core: Labels, chunk: Triple) -> tuple[bytes, int]:
    """A core's labels, padded with 0 to the full chunk shape: (zstd bytes, −1), or (b"", label) if all are alike."""
    first = int(core.flat[0])
    if core.shape == chunk and bool((core == first).all()):
        return b"", first
    if first == 0 and not core.any():
        return b"", 0
    if core.shape != chunk:
        full = np.zeros(chunk, "<u4")
        full[tuple(slice(0, n) for n in core.shape)] = core
        core = full
    return compress(np.ascontiguousarray(core, "<u4")), -1


def decode_labels(raw: Buffer, constant: int, chunk: Triple) -> Labels:
    """Labels of the full chunk shape (z, y, x), uint32.  Raises Refused on anything else."""
    if constant >= 0:
        return np.full(chunk, constant, "<u4")
    z, y, x = chunk
    return np.frombuffer(decompress(raw, 4 * z * y * x, "labels"), "<u4").reshape(chunk)
