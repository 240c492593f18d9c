"""Others present: what a viewer says of himself to those who look at the same run, and what he wants of them.

A name, a pointer and a wish, and the word that the pointers of others were drawn: small messages of fixed bounds, of
which only the wishes are events.  The pointer is a place of the picture in heights of it from the middle, so that it
is the same place of the scene in windows of any shape that one camera fills.
"""

from __future__ import annotations

import struct
import unicodedata
from typing import Literal, NamedTuple, get_args

from streamer.wire.header import Refused

NAMED, AT, WISH, DRAWN = 32, 33, 34, 35
"""Kinds of the messages."""
MOST_LETTERS = 32
MOST_BYTES = 128
"""Of a name: letters, and bytes of them."""
REACH = 4.0
"""A pointer is no farther from the picture's middle, in heights of the picture."""

_NAMED = struct.Struct("<BBH")
_AT = struct.Struct("<BBHhh")
_WISH = struct.Struct("<BBHI")
_DRAWN = struct.Struct("<BB")
_STEPS = 8000
"""Of a pointer's place, in one height."""
_NOWHERE = -32768

What = Literal["ask", "withdraw", "refuse", "invite", "end", "accept", "decline", "leave", "see", "taken"]
WHAT: tuple[What, ...] = get_args(What)
"""Of the lead: ask for it, ask no more, refuse it to who asks.  Of following: ask all to follow, ask no more and let go
of who does, accept, decline, leave.  See what another sees, once.  What was set from outside has been taken over."""


class Named(NamedTuple):
    """A viewer without an account says what he is called."""

    name: str


class At(NamedTuple):
    """Where a viewer's pointer is."""

    place: tuple[float, float] | None
    """To the right and down from the middle of his picture, in heights of it; None: it is elsewhere."""


class Wish(NamedTuple):
    """What a viewer wants of the others."""

    what: What
    whom: int = 0
    """The number of another viewer, where it is about one."""


class Drawn(NamedTuple):
    """The pointers of the others have been drawn: more may come."""


Said = Named | At | Wish | Drawn


def cleaned(name: str) -> str:
    """A name as it is shown: one line of at most 32 letters that can be seen; empty if nothing is left."""
    there = unicodedata.normalize("NFC", name[: 8 * MOST_LETTERS])
    seen = "".join(" " if one.isspace() else one for one in there if one.isspace() or _seen(one))
    short = " ".join(seen.split())[:MOST_LETTERS].strip()
    return short.encode("utf-8", "ignore")[:MOST_BYTES].decode("utf-8", "ignore")


def _seen(letter: str) -> bool:
    # Controls, marks that turn the writing round, halves of letters: what can make one name look like another.
    return unicodedata.category(letter) not in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")


def encode_named(named: Named, version: int) -> bytes:
    """A name.  Raises Refused if it is too long."""
    text = named.name.encode()
    if len(text) > MOST_BYTES:
        raise Refused(f"a name of {len(text)} bytes; {MOST_BYTES} are allowed")
    return _NAMED.pack(NAMED, version, len(text)) + text


def encode_at(at: At, version: int) -> bytes:
    """A pointer."""
    if at.place is None:
        return _AT.pack(AT, version, 0, _NOWHERE, _NOWHERE)
    x, y = (round(_STEPS * min(REACH, max(-REACH, n))) for n in at.place)
    return _AT.pack(AT, version, 0, x, y)


def encode_wish(wish: Wish, version: int) -> bytes:
    """A wish."""
    return _WISH.pack(WISH, version, WHAT.index(wish.what), wish.whom)


def encode_drawn(version: int) -> bytes:
    """The pointers have been drawn."""
    return _DRAWN.pack(DRAWN, version)


def decode_said(raw: bytes | memoryview) -> Said:
    """One of these messages.  Raises Refused."""
    kind = raw[0]
    if kind == NAMED and len(raw) >= _NAMED.size:
        return _named(bytes(raw))
    if kind == AT and len(raw) == _AT.size:
        _, _, _, x, y = _AT.unpack(raw)
        if _NOWHERE in (x, y):
            return At(None)
        if max(abs(x), abs(y)) > REACH * _STEPS:
            raise Refused("a pointer that is far beside the picture")
        return At((x / _STEPS, y / _STEPS))
    if kind == WISH and len(raw) == _WISH.size:
        _, _, what, whom = _WISH.unpack(raw)
        if what >= len(WHAT):
            raise Refused(f"a wish of kind {what}; there are {len(WHAT)}")
        return Wish(WHAT[what], whom)
    if kind == DRAWN and len(raw) == _DRAWN.size:
        return Drawn()
    raise Refused(f"a viewer's message of kind {kind} with {len(raw)} bytes is unknown")


def _named(raw: bytes) -> Named:
    length, text = _NAMED.unpack_from(raw)[2], raw[_NAMED.size :]
    if length != len(text) or length > MOST_BYTES:
        raise Refused(f"a name that is said to have {length} bytes and has {len(text)}; {MOST_BYTES} are allowed")
    try:
        return Named(cleaned(text.decode()))
    except UnicodeDecodeError:
        raise Refused("a name that is no UTF-8") from None
