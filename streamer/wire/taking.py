"""Something to take away: a picture or a film of a view, asked for by the control plane at the viewers' door.

The renderer answers with frames of codec FILE, whose payloads put together are the file; each is acknowledged as a
picture is, so that no more is on its way than is taken.  The last one has the flag LAST.  A note with LAST in their
place says in its ``text`` why there is no file, and in ``status`` as which answer of HTTP.
"""

from __future__ import annotations

import struct
from math import isfinite
from typing import Any, Literal

import msgspec

from streamer.wire.header import Refused
from streamer.wire.spelling import NoView, merged
from streamer.wire.view import MAX_UP, TAKE, VERSION, Camera
from streamer.wire.viewing import Placement, View

Kind = Literal["picture", "turn", "time"]
SMALLEST = 64
MOST_SCALE = 4
MOST_SIDE, MOST_PIXELS = 8192, 7680 * 4800
"""Of a picture, at its scale."""
FILM_WIDTH, FILM_HEIGHT = 1920, 1200
SHORTEST_S, LONGEST_S = 2.0, 30.0
"""Of a film."""
_TAKE = struct.Struct("<BBH")


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be made."""

    kind: Kind
    """A picture; a film of one turn around the scene; a film of the time axis."""
    width: int
    height: int
    camera: tuple[float, float, float, float, float, float]
    """Azimuth, elevation, distance, target."""
    scale: int = 1
    """Of a picture: pixels each way for each of ``width`` and ``height``."""
    seconds: float = 10.0
    """Of a film."""
    look: dict[str, Any] = {}
    """What of the usual view is to be otherwise (``spelling``)."""

    @property
    def view(self) -> View:
        """What is to be seen.  Raises NoView."""
        return merged(View(), self.look)

    @property
    def eye(self) -> Camera:
        """From where."""
        azimuth, elevation, distance, x, y, z = self.camera
        return Camera(azimuth, elevation, distance, (x, y, z))


def flaw(wish: Wish) -> str:
    """Why a wish cannot be fulfilled, in a sentence without a full stop; empty if it can."""
    width, height = wish.width * wish.scale, wish.height * wish.scale
    if not 1 <= wish.scale <= MOST_SCALE:
        return f"a picture at {wish.scale} times its size; 1 to {MOST_SCALE} are allowed"
    if min(wish.width, wish.height) < SMALLEST:
        return f"a picture of {wish.width}x{wish.height} pixels; each side has {SMALLEST} at least"
    if wish.kind == "picture" and (max(width, height) > MOST_SIDE or width * height > MOST_PIXELS):
        return f"a picture of {width}x{height} pixels; {MOST_SIDE} a side and {MOST_PIXELS:,} in all are allowed"
    if wish.kind != "picture" and (wish.scale != 1 or wish.width > FILM_WIDTH or wish.height > FILM_HEIGHT):
        return f"a film of {width}x{height} pixels; {FILM_WIDTH}x{FILM_HEIGHT} are allowed"
    if not SHORTEST_S <= wish.seconds <= LONGEST_S:
        return f"a film of {wish.seconds:g} s; {SHORTEST_S:g} to {LONGEST_S:g} are allowed"
    if not all(isfinite(n) and abs(n) < 1e6 for n in wish.camera) or wish.camera[2] <= 0:
        return "a camera with a number that is not finite, or too large, or no distance"
    try:
        view = wish.view
    except NoView as why:
        return str(why)
    if (view.placement, view.pattern) != (Placement(), False):
        return "a look that is a wall's: a browser's has no placement and no pattern"
    return ""


def encode_taking(wish: Wish) -> bytes:
    """A wish.  Raises Refused if its text is too long."""
    text = msgspec.json.encode(wish)
    if len(text) > MAX_UP - _TAKE.size:
        raise Refused(f"a wish of {len(text)} bytes; {MAX_UP - _TAKE.size} are allowed")
    return _TAKE.pack(TAKE, VERSION, len(text)) + text


def decode_taking(raw: bytes | memoryview) -> Wish:
    """A wish that can be fulfilled.  Raises Refused."""
    if not _TAKE.size <= len(raw) <= MAX_UP:
        raise Refused(f"a wish of {len(raw)} bytes; {_TAKE.size} to {MAX_UP} are allowed")
    _, version, length = _TAKE.unpack_from(raw)
    text = bytes(raw[_TAKE.size :])
    if version != VERSION or length != len(text):
        raise Refused(f"a wish of version {version} whose text is said to have {length} bytes and has {len(text)}")
    try:
        wish = msgspec.json.decode(text, type=Wish)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
        raise Refused(f"a wish that is none: {why}") from None
    if why_not := flaw(wish):
        raise Refused(why_not)
    return wish
