"""The language between a renderer and a browser: fixed little-endian headers over a binary WebSocket.

The control plane passes these messages on without opening them.  Input goes up with a sequence
number and is *state*, not an event: the newest one holds all that matters.  Frames come down with
the number of the last input that they show.  ``display_clients/web/wire.js`` is the same in
JavaScript; golden bytes shared by both test suites keep them alike.
"""

from __future__ import annotations

import struct
from typing import Literal, NamedTuple

from streamer.wire.header import Refused

VERSION = 1
MAX_UP = 1024
"""A message from a browser is never longer."""

MAX_PIXELS = 4096 * 2160
"""The most pixels of a picture: anybody may ask for one, and memory and time go with them."""

JPEG, PNG, NOTE = 1, 2, 3
"""Codecs of a frame: two picture formats, and a note (JSON text about the scene, no picture)."""
KEY, STILL, DEGRADED = 1, 2, 4
"""Flags of a frame: decodes by itself; the refined picture after rest; less than full detail."""

_FRAME = struct.Struct("<BBHIIIQHHffI")
FRAME_HEADER = _FRAME.size
_INPUT = struct.Struct("<BBHIHH6f")
_ACK = struct.Struct("<BBHIf")
_OPEN, _CLOSE = 3, 4


class Frame(NamedTuple):
    """What stands before a picture (40 bytes)."""

    codec: int
    flags: int
    frame: int
    """Counts up from 1 for each viewer."""
    input: int
    """Sequence number of the last input that the picture shows."""
    step: int
    """The time cursor: index along axis 0 (reserved; 0)."""
    position: int
    """Log position that the picture shows: all entries before it."""
    width: int
    height: int
    render_ms: float
    encode_ms: float


class Camera(NamedTuple):
    """An orbiting camera, in units of the scene's radius and radians."""

    azimuth: float
    elevation: float
    distance: float
    target: tuple[float, float, float]


class Input(NamedTuple):
    """The latest state of a viewer."""

    sequence: int
    width: int
    height: int
    moving: bool
    camera: Camera
    ratio: float = 1.0
    """Pixels of the picture to one of the page's own, by which words and lines grow; in sixteenths, below 16."""


class Acknowledged(NamedTuple):
    """The viewer has shown a frame."""

    frame: int
    decode_ms: float


class Opened(NamedTuple):
    """A viewer has come; from the relay, not from the browser."""


class Closed(NamedTuple):
    """A viewer has gone; from the relay, not from the browser."""


def encode_frame(frame: Frame) -> bytes:
    """The header; the picture follows it in the same message."""
    return _FRAME.pack(
        VERSION, frame.codec, frame.flags, frame.frame, frame.input, frame.step, frame.position,
        frame.width, frame.height, frame.render_ms, frame.encode_ms, 0,
    )  # fmt: skip


def decode_frame(raw: bytes | memoryview) -> Frame:
    """The header of a message that holds a frame.  Raises Refused."""
    if len(raw) < FRAME_HEADER:
        raise Refused(f"a frame of {len(raw)} bytes; its header alone has {FRAME_HEADER}")
    version, *fields, _ = _FRAME.unpack_from(raw)
    if version != VERSION:
        raise Refused(f"a frame of version {version}; this side speaks {VERSION}")
    return Frame(*fields)


def encode_input(state: Input) -> bytes:
    """A viewer's state."""
    camera = state.camera
    return _INPUT.pack(
        1, VERSION, int(state.moving) | _sixteenths(state.ratio) << 8, state.sequence, state.width, state.height,
        camera.azimuth, camera.elevation, camera.distance, *camera.target,
    )  # fmt: skip


def _sixteenths(ratio: float) -> int:
    return min(255, max(1, round(16 * ratio)))


def encode_ack(ack: Acknowledged) -> bytes:
    """A viewer's acknowledgement."""
    return _ACK.pack(2, VERSION, 0, ack.frame, ack.decode_ms)


def encode_presence(here: Literal["opened", "closed"]) -> bytes:
    """The relay's word that a viewer has come or gone."""
    return bytes((_OPEN if here == "opened" else _CLOSE, VERSION))


def decode_up(raw: bytes | memoryview) -> Input | Acknowledged | Opened | Closed:
    """A message from a viewer.  Raises Refused on anything else, NaN and sizes out of bounds included."""
    if not 2 <= len(raw) <= MAX_UP:
        raise Refused(f"a viewer's message of {len(raw)} bytes; 2 to {MAX_UP} are allowed")
    kind, version = raw[0], raw[1]
    if version != VERSION:
        raise Refused(f"the viewer speaks version {version}, this side {VERSION}: reload the page")
    if kind == 1 and len(raw) == _INPUT.size:
        _, _, flags, sequence, width, height, azimuth, elevation, distance, *target = _INPUT.unpack(raw)
        numbers = (azimuth, elevation, distance, *target)
        if not all(abs(n) < 1e6 for n in numbers) or distance <= 0:
            raise Refused("a camera with a number that is not finite, or too large, or no distance")
        if not (16 <= width <= 8192 and 16 <= height <= 8192 and width * height <= MAX_PIXELS):
            raise Refused(f"a picture of {width}x{height} pixels; 16 to 8192 are allowed, and {MAX_PIXELS:,} in all")
        x, y, z = target
        camera = Camera(azimuth, elevation, distance, (x, y, z))
        return Input(sequence, width, height, bool(flags & 1), camera, (flags >> 8) / 16 or 1.0)
    if kind == 2 and len(raw) == _ACK.size:
        _, _, _, frame, decode_ms = _ACK.unpack(raw)
        return Acknowledged(frame, decode_ms)
    if kind == _OPEN:
        return Opened()
    if kind == _CLOSE:
        return Closed()
    raise Refused(f"a viewer's message of kind {kind} with {len(raw)} bytes is unknown")
