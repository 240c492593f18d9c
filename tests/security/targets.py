"""What bytes from others come to: each a function that returns why it refuses them, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from streamer.wire.block import (
    unpack_block,
    unpack_coarse,
    unpack_footprint,
    unpack_ids,
    unpack_layer,
    unpack_seam,
    unpack_stats,
)
from streamer.wire.grid import Grid
from streamer.wire.header import Refused, decode, encode
from streamer.wire.keys import BadKeys, judge, parse
from streamer.wire.looking import Looking, Pointing, encode_looking, encode_pointing
from streamer.wire.messages import Commit, Hello, Lease
from streamer.wire.view import VERSION, decode_up
from streamer.wire.viewing import Plane, View
from tests.streamer.runs import made, spec_of

SPEC = spec_of((4, 6, 6), (2, 3, 3))
MADE = made(SPEC)
GRID: Grid = SPEC.grid
BOUND_BYTES = 8 << 20
COMMIT: Commit = MADE[0][0]


def messages(raw: bytes) -> str:
    """A header and a payload."""
    try:
        decode([raw, raw])
    except Refused as why:
        return str(why)
    return ""


def block(raw: bytes) -> str:
    """Each part of a chunk, unpacked."""
    reason = ""
    for take in (
        lambda: unpack_block(GRID, COMMIT, raw, raw),
        lambda: unpack_seam(GRID, COMMIT.chunk, raw),
        lambda: unpack_coarse(GRID, COMMIT, raw),
        lambda: unpack_layer(GRID, COMMIT.chunk, raw),
        lambda: unpack_ids(COMMIT, raw),
        lambda: unpack_stats(COMMIT, raw),
        lambda: unpack_footprint(COMMIT, raw),
    ):
        try:
            take()
        except Refused as why:
            reason = str(why)
    return reason


def view(raw: bytes) -> str:
    """What a browser sends."""
    try:
        decode_up(raw)
    except Refused as why:
        return str(why)
    return ""


def keys(raw: bytes) -> str:
    """A file of keys, and a request at a door."""
    judge([raw[n::7] for n in range(7)], {"ingest": {bytes(32): "worker"}})
    try:
        parse(raw, "file")
    except BadKeys as why:
        return str(why)
    return ""


TARGETS: tuple[Callable[[bytes], str], ...] = (messages, block, view, keys)


def pieces_of(target: Callable[[bytes], str]) -> Iterator[bytes]:
    """True bytes for a target, to begin with."""
    if target is messages:
        for message in (COMMIT, Hello(1, "worker", "w"), Lease(1, 2, 3.0)):
            yield encode(message)
    elif target is block:
        yield from (bytes(raw) for raw in MADE[0][1])
    elif target is view:
        look = View("map", time=2.5, selected=(4, 5), planes=(Plane((0.5, 0.0, 0.0), (-1.0, 0.0, 0.0)),))
        yield encode_looking(Looking(3, look), VERSION)
        yield encode_pointing(Pointing(3, 0.5, 0.25), VERSION)
        yield b"\x02\x02" + bytes(2) + np.array([7], "<u4").tobytes() + np.array([1.5], "<f4").tobytes()
    else:
        yield b'role = "worker"\npublic = "' + b"0" * 40 + b'"\nsecret = "' + b"0" * 40 + b'"\n[peers]\nstreamer = ""\n'
