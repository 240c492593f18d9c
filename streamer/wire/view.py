"""The language between a renderer and a browser: fixed little-endian headers over a binary WebSocket.

The control plane passes these messages on without opening them.  Input goes up with a sequence
number and is *state*, not an event: the newest one holds all that matters.  Frames come down with
the number of the last input that they show.  Who comes, to which view and with which right to move it
is said by the relay alone (Opened).  ``display_clients/web/wire.js`` is the same in
JavaScript; golden bytes shared by both test suites keep them alike.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import NamedTuple

from streamer.wire.camera import Camera as Camera
from streamer.wire.header import Refused
from streamer.wire.keeping import STORED, STORED_HEADER, Stored, decode_stored
from streamer.wire.looking import (
    LOOKING,
    MAX_LOOK,
    POINTING,
    USUAL,
    Looking,
    Pointing,
    decode_looking,
    decode_pointing,
)
from streamer.wire.presence import AT, DRAWN, MOST_BYTES, NAMED, WISH, Said, decode_said
from streamer.wire.viewing import View

VERSION = 2
MAX_UP = MAX_LOOK + STORED_HEADER
"""A message to a renderer is never longer."""

MAX_PIXELS = 4096 * 2160
"""The most pixels of a picture: anybody may ask for one, and memory and time go with them."""

MAX_NAME = 64
"""Bytes of a view's name."""
KEY_BYTES = 16
"""What tells a viewer from all others, also when it comes again."""
NO_KEY = bytes(KEY_BYTES)

JPEG, PNG, NOTE, H264, FILE, KEEP = 1, 2, 3, 4, 5, 16
"""Codecs of a frame: two picture formats, a note (JSON text about the scene, no picture), and a picture that follows
from the one before it, unless it has the flag KEY (H.264 in Annex B, BT.709, an even width and height).  No browser
gets a piece of a file (``streamer.wire.taking``), nor what the relay is to have kept (``streamer.wire.keeping``)."""
KEY, STILL, DEGRADED, LAST, LATER = 1, 2, 4, 8, 16
"""Flags of a frame: decodes by itself (all but most of H264 do); the refined picture after rest; less than full detail;
a note after which the renderer does not listen any more, so that the relay closes the line; the next picture does not
wait for the acknowledgement of this one, which may come with the viewer's next state."""
LOOK, FOLLOW, LEAD = 0, 1, 2
"""What a viewer may in a shared view: see it; be handed the lead as well; take the lead by itself.  A private view's
only viewer always leads."""

NEVER, THIN, ALWAYS = 0, 1, 2
"""When a viewer wants H264 while something moves: he cannot decode it; where his link is thin; whatever the link is."""

_FRAME = struct.Struct("<BBHIIIQHHffI")
FRAME_HEADER = _FRAME.size
_INPUT = struct.Struct("<BBHIHH6fHH")
_ACK = struct.Struct("<BBHIf")
_TENTHS = 65535
"""The most tenths of a millisecond that an acknowledgement says it was held back."""
_OPENED = struct.Struct("<BBBB16s")
_HAND = struct.Struct("<BBHI")
_VIDEO_WISH = struct.Struct("<BBH")
_OPEN, _CLOSE, _LEAD, _BEAT, _VIDEO = 3, 4, 5, 6, 7
TAKE = 8
"""The kind of a wish for a file."""
_MOVING, _EXACT = 1, 2
_NOWHERE, _ACROSS = 65535, 65534


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


class Input(NamedTuple):
    """The latest state of a viewer."""

    sequence: int
    width: int
    height: int
    moving: bool
    camera: Camera
    ratio: float = 1.0
    """Pixels of the picture to one of the page's own, by which words and lines grow; in sixteenths, below 16."""
    pointer: tuple[float, float] | None = None
    """Where in the picture the pointer is, from the left and from the top, 0 to 1; None if it is elsewhere."""
    look: View = USUAL
    """What is seen, as far as a look has come; on the wire it is a message of its own (``streamer.wire.looking``)."""
    exact: bool = False
    """The still is to be without loss, however thin the link is: somebody keeps it."""


class Acknowledged(NamedTuple):
    """The viewer has shown a frame."""

    frame: int
    decode_ms: float
    held_ms: float = 0.0
    """How long ago, when this was sent; in tenths on the wire, at most 6.5 s."""


class Opened(NamedTuple):
    """A viewer has come; from the relay, not from the browser."""

    view: str = ""
    """The shared view that it comes to; empty: one of its own."""
    role: int = LEAD
    """What it may there: LOOK, FOLLOW or LEAD."""
    key: bytes = NO_KEY
    """Who it is, so that it takes its seat again after a loss; NO_KEY: nobody that was here before."""
    name: str = ""
    """What its account is called; empty: it has none, and may say what it is called."""


class Closed(NamedTuple):
    """A viewer has gone; from the relay, not from the browser."""


class Handed(NamedTuple):
    """The lead of a shared view is to be another's."""

    to: int
    """The viewer's number there, as its note names it; 0: the sender asks for it."""


class Video(NamedTuple):
    """What a viewer can make of H264.  The next such picture decodes by itself: the ones before are lost to him."""

    wish: int
    """NEVER, THIN or ALWAYS."""


class Beat(NamedTuple):
    """A viewer that has heard nothing for a while asks whether anybody is there; a note answers."""


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


def encode_goodbye(code: int, why: str) -> bytes:
    """The note before a line is closed: with which code, and why.

    A proxy need not pass on what a WebSocket is closed with (jupyter-server-proxy does not), but it passes on messages.
    """
    return (
        encode_frame(Frame(NOTE, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0))
        + json.dumps({"goodbye": {"code": code, "why": why}}).encode()
    )


def encode_input(state: Input, shown: Acknowledged | None = None) -> bytes:
    """A viewer's state; ``shown``: what he has shown meanwhile."""
    camera = state.camera
    flags = _MOVING * state.moving | _EXACT * state.exact | _sixteenths(state.ratio) << 8
    said = _INPUT.pack(
        1, VERSION, flags, state.sequence, state.width, state.height,
        camera.azimuth, camera.elevation, camera.distance, *camera.target, *_shares(state.pointer),
    )  # fmt: skip
    return said if shown is None else said + encode_ack(shown)


def _shares(pointer: tuple[float, float] | None) -> tuple[int, int]:
    if pointer is None:
        return _NOWHERE, _NOWHERE
    x, y = (round(_ACROSS * min(1.0, max(0.0, share))) for share in pointer)
    return x, y


def _sixteenths(ratio: float) -> int:
    return min(255, max(1, round(16 * ratio)))


def encode_ack(ack: Acknowledged) -> bytes:
    """A viewer's acknowledgement."""
    return _ACK.pack(2, VERSION, min(_TENTHS, round(10 * ack.held_ms)), ack.frame, ack.decode_ms)


def encode_hand(handed: Handed) -> bytes:
    """A viewer's wish that another leads."""
    return _HAND.pack(_LEAD, VERSION, 0, handed.to)


def encode_video(video: Video) -> bytes:
    """A viewer's word about H264."""
    return _VIDEO_WISH.pack(_VIDEO, VERSION, video.wish)


def encode_opened(opened: Opened) -> bytes:
    """The relay's word that a viewer has come.  Raises Refused if a name is too long."""
    view, name = opened.view.encode(), opened.name.encode()
    if len(view) > MAX_NAME or len(name) > MOST_BYTES:
        raise Refused(
            f"a view's name of {len(view)} bytes and a viewer's of {len(name)}; {MAX_NAME} and {MOST_BYTES} are allowed"
        )
    return _OPENED.pack(_OPEN, VERSION, opened.role, len(view), opened.key) + view + name


def encode_beat() -> bytes:
    """A viewer's question whether anybody is there."""
    return bytes((_BEAT, VERSION))


def encode_closed() -> bytes:
    """The relay's word that a viewer has gone."""
    return bytes((_CLOSE, VERSION))


def is_acknowledged(frames: Sequence[bytes]) -> bool:
    """Whether a message says no more than that a picture has been shown."""
    return len(frames) == 1 and len(frames[0]) == _ACK.size and frames[0][0] == 2


def of_relay(raw: bytes) -> bool:
    """Whether a message is of the kind that only a relay may send."""
    return raw[:1] in (bytes((_OPEN,)), bytes((_CLOSE,)), bytes((TAKE,)), bytes((STORED,)))


Up = Input | Acknowledged | Opened | Closed | Handed | Beat | Video | Looking | Pointing | Stored | Said


def shown_with(raw: bytes | memoryview) -> Acknowledged | None:
    """What a viewer's state says that he has shown meanwhile, if that is what a message is."""
    if len(raw) != _INPUT.size + _ACK.size or raw[0] != 1:
        return None
    behind = raw[_INPUT.size :]
    if (behind[0], behind[1]) != (2, VERSION):
        return None
    return _acknowledged(behind)


def _acknowledged(raw: bytes | memoryview) -> Acknowledged:
    _, _, tenths, frame, decode_ms = _ACK.unpack(raw)
    return Acknowledged(frame, decode_ms if 0 <= decode_ms < 1e6 else 0.0, tenths / 10)


def decode_up(raw: bytes | memoryview) -> Up:
    """A message from a viewer.  Raises Refused on anything else, NaN and sizes out of bounds included."""
    if not 2 <= len(raw) <= MAX_UP:
        raise Refused(f"a viewer's message of {len(raw)} bytes; 2 to {MAX_UP} are allowed")
    kind, version = raw[0], raw[1]
    if version != VERSION:
        raise Refused(f"the viewer speaks version {version}, this side {VERSION}: reload the page")
    if kind == 1 and (len(raw) == _INPUT.size or shown_with(raw) is not None):
        fields = _INPUT.unpack_from(raw)
        _, _, flags, sequence, width, height, azimuth, elevation, distance, *target, across, down = fields
        numbers = (azimuth, elevation, distance, *target)
        if not all(abs(n) < 1e6 for n in numbers) or distance <= 0:
            raise Refused("a camera with a number that is not finite, or too large, or no distance")
        if not (16 <= width <= 8192 and 16 <= height <= 8192 and width * height <= MAX_PIXELS):
            raise Refused(f"a picture of {width}x{height} pixels; 16 to 8192 are allowed, and {MAX_PIXELS:,} in all")
        x, y, z = target
        camera = Camera(azimuth, elevation, distance, (x, y, z))
        pointer = None if _NOWHERE in (across, down) else (across / _ACROSS, down / _ACROSS)
        ratio = (flags >> 8) / 16 or 1.0
        moving, exact = bool(flags & _MOVING), bool(flags & _EXACT)
        return Input(sequence, width, height, moving, camera, ratio, pointer, exact=exact)
    if kind == 2 and len(raw) == _ACK.size:
        return _acknowledged(raw)
    if kind == _OPEN and len(raw) >= _OPENED.size:
        return _opened(bytes(raw))
    if kind == _CLOSE:
        return Closed()
    if kind == _LEAD and len(raw) == _HAND.size:
        return Handed(_HAND.unpack(raw)[3])
    if kind == _BEAT and len(raw) == 2:
        return Beat()
    if kind == _VIDEO and len(raw) == _VIDEO_WISH.size:
        wish = _VIDEO_WISH.unpack(raw)[2]
        if wish > ALWAYS:
            raise Refused(f"a viewer that wants H.264 in the way {wish}; {NEVER} to {ALWAYS} are known")
        return Video(wish)
    if kind == LOOKING:
        return decode_looking(raw)
    if kind == POINTING:
        return decode_pointing(raw)
    if kind == STORED:
        return decode_stored(raw)
    if kind in (NAMED, AT, WISH, DRAWN):
        return decode_said(raw)
    raise Refused(f"a viewer's message of kind {kind} with {len(raw)} bytes is unknown")


def _opened(raw: bytes) -> Opened:
    _, _, role, length, key = _OPENED.unpack_from(raw)
    view, name = raw[_OPENED.size :][:length], raw[_OPENED.size + length :]
    if length != len(view) or length > MAX_NAME or len(name) > MOST_BYTES or role > LEAD:
        raise Refused(f"a viewer of role {role} that comes to a view whose name is said to have {length} bytes")
    try:
        return Opened(view.decode(), role, key, name.decode())
    except UnicodeDecodeError:
        raise Refused("a view whose name is no UTF-8") from None
