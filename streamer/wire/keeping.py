"""A shared view that is kept: what the control plane has written down of it, and what its viewers have made of it.

Two messages between relay and renderer; no browser sends or gets them.  Down goes what is written down, with a revision
that grows with each change: the renderer shows it, unless it is the echo of what came from there.  Up comes the state
to be written down, made from a revision: it is dropped if the view has another one by then.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import msgspec

from streamer.wire.camera import Camera
from streamer.wire.header import Refused
from streamer.wire.looking import MAX_LOOK, look_of, look_text, plain
from streamer.wire.viewing import View

STORED = 36
"""Kind of the message."""
_STORED = struct.Struct("<BBBBIQ6f")
STORED_HEADER = _STORED.size
_ECHO = 1
FARTHEST = 1e6


class Stored(NamedTuple):
    """A view as it is written down; from the relay, not from the browser."""

    revision: int
    """0: it is not kept (any more)."""
    camera: Camera
    view: View
    echo: bool = False
    """It came from here: nothing is to be shown anew."""


class Kept(msgspec.Struct, frozen=True):
    """What the viewers of a view have made of it."""

    revision: int
    """Of what it was made from."""
    state: dict[str, Any]
    """All of a look by the names of its fields."""
    camera: dict[str, Any]


def encode_stored(stored: Stored, version: int) -> bytes:
    """A view as it is written down.  Raises Refused if it is too long."""
    text, camera = look_text(stored.view), stored.camera
    numbers = camera.azimuth, camera.elevation, camera.distance, *camera.target
    echo = _ECHO * stored.echo
    return _STORED.pack(STORED, version, echo, 0, len(text), stored.revision, *numbers) + text


def decode_stored(raw: bytes | memoryview) -> Stored:
    """A view as it is written down.  Raises Refused."""
    if len(raw) < _STORED.size:
        raise Refused(f"a kept view of {len(raw)} bytes; its header alone has {_STORED.size}")
    _, _, flags, _, length, revision, *numbers = _STORED.unpack_from(raw)
    text = bytes(raw[_STORED.size :])
    if length != len(text) or length > MAX_LOOK:
        raise Refused(f"a kept view whose text is said to have {length} bytes and has {len(text)}")
    if not all(abs(n) < FARTHEST for n in numbers) or numbers[2] <= 0:
        raise Refused("a kept view whose camera is none")
    azimuth, elevation, distance, x, y, z = numbers
    return Stored(revision, Camera(azimuth, elevation, distance, (x, y, z)), look_of(text), bool(flags & _ECHO))


def encode_kept(revision: int, camera: Camera, view: View) -> bytes:
    """What the viewers have made of a view, as it stands behind the header of a frame."""
    return msgspec.json.encode(Kept(revision, plain(view), camera._asdict()))


def decode_kept(raw: bytes) -> Kept:
    """The same.  Raises Refused."""
    try:
        return msgspec.json.decode(raw, type=Kept)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as why:
        raise Refused(f"what is to be kept is no view: {why}") from None
