"""What others say to the conductor of a wall, and what it answers: the part of its language that is not its tiles'.

Framed as everything else: a header of at most 512 bytes (MessagePack, an array that begins with the record's name)
and at most one payload of 64 KiB.  The conductor's own module (``renderers.wall.messages``) has the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streamer.wire.header import MAX_HEADER, Refused
from streamer.wire.viewing import Head, View

MAX_SCENE = 1 << 16
"""Bytes of a payload."""
MAX_ANSWER = 1 << 20
"""Bytes of the payload of an answer: the figures of thousands of tiles."""


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What all messages share."""


class Refuse(Message, frozen=True):
    """No, and why; ``again``: say Join (once more)."""

    reason: str
    again: bool = False


class SetView(Message, frozen=True):
    """Show this from now on.  Payload: a ``View``; the head stays the wall's."""

    request: int = 0


class Change(Message, frozen=True):
    """Change some of the view.  Payload: a JSON merge patch of it as MessagePack (``streamer.wire.spelling``).

    With ``base``, the revision that it was made from, it is not done if the view is another one by now.  The answer's
    payload is a ``Viewed``.
    """

    request: int
    base: str = ""


class Play(Message, frozen=True):
    """Time shall run, or stop."""

    request: int
    playing: bool
    steps_per_s: float = 4.0
    loop: bool = True


class Ask(Message, frozen=True):
    """``What`` is asked of the conductor: ``figures``, ``scene`` or ``view``."""

    request: int
    what: str


class Answer(Message, frozen=True):
    """To Ask and others.  Payload: MessagePack."""

    request: int


class Viewed(msgspec.Struct, frozen=True):
    """What a wall shows, as the answer to Change and to Ask ``view``."""

    revision: str
    """Another one with each change of the view, also after the conductor was started anew."""
    view: View
    head: Head
    clash: bool = False
    """It was to be changed from another revision, and has not been."""
    flaw: str = ""
    """Why it could not be changed as asked, in a sentence."""


class Spread(msgspec.Struct, frozen=True):
    """How a time is distributed, over the last thousand of them; seconds."""

    count: int = 0
    p50_s: float = 0.0
    p99_s: float = 0.0
    longest_s: float = 0.0


class WallNews(msgspec.Struct, frozen=True):
    """How a wall stands: some of the conductor's figures, by the same names."""

    frames: int
    rate_hz: float
    """Frames shown in the last second."""
    position: int
    """So far it is in the run's log."""
    stale: tuple[str, ...]
    """Tiles that do not show what the wall shows, or that nobody shows."""
    missed_shows: int
    draw_to_show: Spread
    skew: Spread
    """Between the first and the last tile of each frame."""
    sensor_to_show: Spread
    chunk_to_show: Spread


Known = Answer | Refuse
_known: msgspec.msgpack.Decoder[Known] = msgspec.msgpack.Decoder(Known)


def encode(message: Message) -> bytes:
    """The header of a message.  Raises ValueError if it would be longer than a header may be."""
    raw = msgspec.msgpack.encode(message)
    if len(raw) > MAX_HEADER:
        raise ValueError(f"{type(message).__name__} takes {len(raw)} bytes; a header has {MAX_HEADER} at most")
    return raw


def heard(frames: Sequence[bytes]) -> tuple[Known, bytes]:
    """What a conductor has said to somebody who asks.  Raises Refused if it is none of that; sizes come first."""
    if not 1 <= len(frames) <= 2 or len(frames[0]) > MAX_HEADER or (len(frames) == 2 and len(frames[1]) > MAX_ANSWER):
        raise Refused("frames that are no answer of a conductor")
    try:
        return _known.decode(frames[0]), frames[1] if len(frames) == 2 else b""
    except (msgspec.MsgspecError, UnicodeDecodeError) as why:
        raise Refused(f"a header that is no answer of a conductor: {why}") from None
