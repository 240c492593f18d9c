"""Compression and checksums of what travels: zstd at level 1, CRC-32C.

A chunk's labels are compressed exactly as the chunk of a Zarr v3 array with the codecs ``bytes``
(little endian) and ``zstd`` would be, so that the archive writes the bytes that the worker made.
"""

from __future__ import annotations

import threading

import google_crc32c
import numpy as np
import zstandard
from numpy.typing import NDArray

from streamer.wire.grid import Triple
from streamer.wire.header import Refused

Buffer = bytes | bytearray | memoryview
Labels = NDArray[np.uint32]

LEVEL = 1
_UINT32 = np.dtype("<u4")
WINDOW = 8 << 20
"""The window that every zstd decoder must have (RFC 8878, section 3.1.1.1.2)."""
_FRAME_HEADER = 18
"""Bytes of a zstd frame's header at most, its magic number included."""
_PROBE = 4096
"""Bytes at the start of a chunk that are looked at first: nearly always they show that it is not constant."""


class _Zstd(threading.local):
    """Making a (de)compressor costs more than a small chunk does; one may serve one thread only."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False, write_content_size=True)
        self.decompressor = zstandard.ZstdDecompressor()


_zstd = _Zstd()


def crc32c(raw: Buffer) -> int:
    """The CRC-32C of some bytes."""
    # The library takes read-only buffers alone; an array's view of the bytes is one, without a copy.
    return int(google_crc32c.value(raw if isinstance(raw, bytes) else np.frombuffer(raw, "u1")))


def compress(raw: Buffer | NDArray[np.generic]) -> bytes:
    """One zstd frame that states its content's size and carries no checksum of its own."""
    flat = np.ascontiguousarray(raw).data.cast("B") if isinstance(raw, np.ndarray) else raw
    return _zstd.compressor.compress(flat)


def check_frame(raw: Buffer, size: int, what: str) -> None:
    """Raises Refused unless this begins like a zstd frame of ``size`` bytes that any reader can unpack.

    Only the frame's header is looked at: what follows has been checked by its CRC, and is unpacked by others.
    """
    try:
        stated = zstandard.get_frame_parameters(raw[:_FRAME_HEADER])
    except zstandard.ZstdError as why:
        raise Refused(f"{what}: not a zstd frame ({why})") from None
    if stated.content_size != size:
        found = "no size" if stated.content_size == zstandard.CONTENTSIZE_UNKNOWN else f"{stated.content_size} bytes"
        raise Refused(f"{what}: the frame states {found} where {size} bytes belong")
    if stated.dict_id or stated.window_size > max(size, WINDOW):
        raise Refused(
            f"{what}: the frame needs dictionary {stated.dict_id} and a window of {stated.window_size} bytes; "
            f"no dictionary and {max(size, WINDOW)} bytes are allowed"
        )


def decompress(raw: Buffer, size: int, what: str) -> bytes:
    """The ``size`` bytes in a zstd frame.  Raises Refused, before taking memory, if it does not hold so many."""
    try:
        stated = zstandard.frame_content_size(raw)
        if stated != size:
            raise Refused(f"{what}: the frame states {stated} bytes where {size} belong")
        # The frame's own statement, which has just been compared, is what the library takes memory by.
        return _zstd.decompressor.decompress(raw)
    except zstandard.ZstdError as why:
        raise Refused(f"{what}: not a zstd frame ({why})") from None


def encode_labels(core: Labels, chunk: Triple) -> tuple[bytes, int]:
    """A core's labels, padded with 0 to the full chunk shape: (zstd bytes, −1), or (b"", label) if all are alike."""
    whole = core.shape == chunk
    if not (whole and core.dtype == _UINT32 and core.flags.c_contiguous):
        full = np.zeros(chunk, "<u4")
        full[tuple(slice(0, n) for n in core.shape)] = core
        core = full
    raw = core.data.cast("B")
    probe = bytes(raw[:_PROBE])
    if probe == probe[:4] * (len(probe) // 4) and bool((core == core.flat[0]).all()):
        return b"", int(core.flat[0])
    return _zstd.compressor.compress(raw), -1


def decode_labels(raw: Buffer, constant: int, chunk: Triple) -> Labels:
    """Labels of the full chunk shape (z, y, x), uint32.  Raises Refused on anything else."""
    if constant >= 0:
        return np.full(chunk, constant, "<u4")
    z, y, x = chunk
    return np.ndarray(chunk, _UINT32, decompress(raw, 4 * z * y * x, "labels"))
