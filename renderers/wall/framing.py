"""How what is said at a wall becomes bytes and back.

Framed as everywhere else (``streamer.wire.header``): a header of at most 512 bytes, MessagePack, an array that begins
with the record's name; names and fields that are not known are passed over.  What is larger, a ``Scene`` or a
``View``, is the one payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from renderers.wall.messages import VERSION, Follow, Join, Known, Scene, Tile, Welcome
from streamer.wire.conducting import MAX_SCENE as MAX_SCENE
from streamer.wire.conducting import encode as encode
from streamer.wire.header import MAX_HEADER, Refused, brief
from streamer.wire.viewing import View, head_flaw, near, view_flaw

MAX_NOTE = 500
MAX_TILES = 350
"""Bytes of a header that tiles may take."""
_NAMES = frozenset(kind.__name__ for kind in Known.__args__)
_NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError)
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Known] = msgspec.msgpack.Decoder(Known)
_scenes: msgspec.msgpack.Decoder[Scene] = msgspec.msgpack.Decoder(Scene)
_views: msgspec.msgpack.Decoder[View] = msgspec.msgpack.Decoder(View)
_start: msgspec.msgpack.Decoder[list[object]] = msgspec.msgpack.Decoder(list[object])


class Said(NamedTuple):
    """A message that came, and its payload."""

    message: Known | None
    """None: a name that a later version knows."""
    payload: bytes


def decode(frames: Sequence[bytes]) -> Said:
    """A message from its frames.  Raises Refused with a sentence if they are none; looks at sizes first."""
    if not 1 <= len(frames) <= 2:
        raise Refused(f"a message of {len(frames)} frames; it has one or two")
    if len(frames[0]) > MAX_HEADER:
        raise Refused(f"a header of {len(frames[0])} bytes; {MAX_HEADER} are allowed")
    if len(frames) == 2 and len(frames[1]) > MAX_SCENE:
        raise Refused(f"a payload of {len(frames[1])} bytes; {MAX_SCENE} are allowed")
    try:
        message = _decoder.decode(frames[0])
    except _NOT_DECODED as why:
        try:
            first = _start.decode(frames[0])
        except _NOT_DECODED:
            raise Refused(f"a header that is not MessagePack: {why}") from None
        if first and isinstance(first[0], str) and first[0] not in _NAMES:
            return Said(None, b"")
        raise Refused(f"a header that is no message: {why}") from None
    if isinstance(message, Join | Welcome | Follow) and message.version > VERSION:
        raise Refused(f"the peer speaks version {message.version}, this side {VERSION}: update CaveCast on this side")
    return Said(message, frames[1] if len(frames) == 2 else b"")


def encode_scene(scene: Scene) -> bytes:
    """A scene as a payload."""
    return _encoder.encode(scene)


def decode_scene(raw: bytes) -> Scene:
    """The scene in a payload, one that can be drawn.  Raises Refused."""
    try:
        scene = _scenes.decode(raw)
    except _NOT_DECODED as why:
        raise Refused(f"a payload that is no scene: {why}") from None
    if flaw := view_flaw(scene.view) or head_flaw(scene.head):
        raise Refused(f"a scene with {flaw}")
    if not near((scene.separation_mm, scene.sensed_at)) or not 0 <= scene.level <= 1:
        raise Refused("a scene with a number that is none")
    if len(scene.note) > MAX_NOTE:
        raise Refused(f"a scene with a note of {len(scene.note)} letters; {MAX_NOTE} are allowed")
    return scene


def encode_view(view: View) -> bytes:
    """A view as a payload."""
    return _encoder.encode(view)


def decode_view(raw: bytes) -> View:
    """The view in a payload, one that can be drawn.  Raises Refused."""
    try:
        view = _views.decode(raw)
    except _NOT_DECODED as why:
        raise Refused(f"a payload that is no view: {why}") from None
    if flaw := view_flaw(view):
        raise Refused(f"a view with {flaw}")
    return view


def decode_changes(raw: bytes) -> object:
    """The changes of a view in a payload; what they are, ``streamer.wire.spelling`` says.  Raises Refused."""
    try:
        return msgspec.msgpack.decode(raw)
    except _NOT_DECODED as why:
        raise Refused(f"a payload that holds no changes: {why}") from None


def fitting(tiles: tuple[str, ...]) -> tuple[str, ...]:
    """Names of tiles as Join says them: all, or none where they are too many for a header."""
    return tiles if len(_encoder.encode(tiles)) <= MAX_TILES // 2 else ()


def few(tiles: Sequence[Tile]) -> list[tuple[Tile, ...]]:
    """Tiles in portions that fit into a header each."""
    portions: list[tuple[Tile, ...]] = []
    room = 0
    for tile in tiles:
        size = len(_encoder.encode(tile))
        if size > room or not portions:
            portions, room = [*portions, ()], MAX_TILES
        portions[-1] += (tile,)
        room -= size
    return portions


def short(reason: str) -> str:
    """A reason that fits into a header."""
    return brief(reason, 300)
