"""What a viewer wants to see, and what he points at: two messages of the browser's language, longer than an input.

A look is all of a view but where its scene stands in a room, as a patch of the usual view in JSON (``spelling``): it is
state, as an input is, and takes a number of the same sequence, so that a picture's ``input`` tells both.  A pointer is
a question about one place of the picture.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import msgspec

from streamer.wire.header import Refused
from streamer.wire.spelling import NoView, merged, spelled
from streamer.wire.viewing import Placement, View

LOOKING, POINTING = 16, 17
"""Kinds of the messages."""
MAX_LOOK = 4096
"""Bytes of a look's text."""
MOST_ID = (1 << 63) - 1

_LOOKING = struct.Struct("<BBHI")
_POINTING = struct.Struct("<BBHIHH")
_ACROSS = 65534
USUAL = View()
_LEFT_OUT = ("placement", "pattern")
"""A matter of walls."""


class Looking(NamedTuple):
    """The view that somebody wants."""

    sequence: int
    """From the same row of numbers as those of inputs."""
    view: View


class Pointing(NamedTuple):
    """Somebody asks what is at a place of his picture."""

    number: int
    """Comes back with the answer."""
    x: float
    """From the left of the picture, 0 to 1."""
    y: float
    """From the top."""


def plain(view: View) -> dict[str, Any]:
    """A look by the names of its fields, as the page keeps it."""
    return {name: value for name, value in spelled(view).items() if name not in _LEFT_OUT}


def look_text(view: View) -> bytes:
    """A look as JSON.  Raises Refused if that is too long."""
    text = msgspec.json.encode(plain(view))
    if len(text) > MAX_LOOK:
        raise Refused(f"a look of {len(text)} bytes; {MAX_LOOK} are allowed")
    return text


def encode_looking(looking: Looking, version: int) -> bytes:
    """A look.  Raises Refused if its text is too long."""
    text = look_text(looking.view)
    return _LOOKING.pack(LOOKING, version, len(text), looking.sequence) + text


def encode_pointing(pointing: Pointing, version: int) -> bytes:
    """A question."""
    x, y = (round(_ACROSS * min(1.0, max(0.0, share))) for share in (pointing.x, pointing.y))
    return _POINTING.pack(POINTING, version, 0, pointing.number, x, y)


def decode_looking(raw: bytes | memoryview) -> Looking:
    """A look that can be drawn.  Raises Refused."""
    if len(raw) < _LOOKING.size:
        raise Refused(f"a look of {len(raw)} bytes; its header alone has {_LOOKING.size}")
    _, _, length, sequence = _LOOKING.unpack_from(raw)
    text = bytes(raw[_LOOKING.size :])
    if length != len(text) or length > MAX_LOOK:
        raise Refused(f"a look whose text is said to have {length} bytes and has {len(text)}")
    return Looking(sequence, look_of(text))


def look_of(text: bytes) -> View:
    """The view that a look's text spells, and that can be drawn.  Raises Refused."""
    try:
        changes = msgspec.json.decode(text)
        view = merged(USUAL, changes)
    except NoView as why:
        raise Refused(f"a look that is none: {why}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        raise Refused("a look whose text is no JSON") from None
    if (view.placement, view.pattern) != (Placement(), False):
        raise Refused("a look that is a wall's: a browser's has no placement and no pattern")
    if not all(0 < one <= MOST_ID for one in view.selected):
        raise Refused("a look that selects an object whose id is none")
    return view


def decode_pointing(raw: bytes | memoryview) -> Pointing:
    """A question.  Raises Refused."""
    if len(raw) != _POINTING.size:
        raise Refused(f"a question of {len(raw)} bytes; it has {_POINTING.size}")
    _, _, _, number, x, y = _POINTING.unpack(raw)
    if max(x, y) > _ACROSS:
        raise Refused("a question about a place beside the picture")
    return Pointing(number, x / _ACROSS, y / _ACROSS)
