"""How a message becomes ZeroMQ frames, and what frames must be to become a message.

A message is ``[header][payload …]``.  The header is one record of ``streamer.wire.messages`` as MessagePack: an
array that starts with the record's name, at most 512 bytes.  Payloads are untouched bytes.  A reader skips fields
and names that it does not know, and refuses a newer major version in words.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streamer.wire.messages import Hello, Known, Message, Welcome

VERSION = 1
"""The major version of the protocol.  A peer that speaks a newer one is refused."""
MAX_HEADER = 512
MAX_PAYLOADS = 9
"""A chunk's entry: the commit's header, five parts, three layers."""
MAX_PAYLOAD_BYTES = 1 << 30
MAX_NAME = 64
MAX_REASON = 400
"""Bytes of a reason: what is left of a header when the record's other fields have had theirs."""


class Refused(ValueError):
    """Bytes that are not a message: what is wrong with them, in a sentence."""


_NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError)
"""What msgspec raises; the second where a text is not UTF-8."""
_NAMES = frozenset(kind.__name__ for kind in Known.__args__)
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Known] = msgspec.msgpack.Decoder(Known)
_start: msgspec.msgpack.Decoder[list[object]] = msgspec.msgpack.Decoder(list[object])


def encode(message: Message) -> bytes:
    """The header of a message.  Raises ValueError if it would be longer than a header may be."""
    raw = _encoder.encode(message)
    if len(raw) > MAX_HEADER:
        raise ValueError(f"{type(message).__name__} takes {len(raw)} bytes; a header has {MAX_HEADER} at most")
    return raw


def brief(text: str, size: int = MAX_REASON) -> str:
    """As much of a text as takes ``size`` bytes of UTF-8 at most, so that it fits into a header."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


def decode(frames: Sequence[bytes | memoryview]) -> tuple[Known | None, Sequence[bytes | memoryview]]:
    """A message from its frames: the record and its payloads; the record is None if its name is unknown.

    Raises Refused with a sentence if the frames are no message.  Looks at sizes before contents.
    """
    if not frames:
        raise Refused("a message without a header")
    if len(frames) > 1 + MAX_PAYLOADS:
        raise Refused(f"a message of {len(frames)} frames; {1 + MAX_PAYLOADS} are allowed")
    header = frames[0]
    if len(header) > MAX_HEADER:
        raise Refused(f"a header of {len(header)} bytes; {MAX_HEADER} are allowed")
    try:
        message = _decoder.decode(header)
    except _NOT_DECODED as why:
        _refuse_unless_unknown(header, why)
        return None, frames[1:]
    if isinstance(message, Hello | Welcome) and message.version > VERSION:
        raise Refused(_newer(message.version))
    return message, frames[1:]


def _refuse_unless_unknown(header: bytes | memoryview, why: Exception) -> None:
    """Returns for a well-formed message of a name not known here; raises Refused for all else."""
    try:
        first = _start.decode(header)
    except _NOT_DECODED:
        raise Refused(f"a header that is not MessagePack: {why}") from None
    if first and isinstance(first[0], str) and first[0] not in _NAMES:
        return
    if len(first) > 1 and first[0] in ("Hello", "Welcome") and isinstance(first[1], int) and first[1] > VERSION:
        raise Refused(_newer(first[1]))
    raise Refused(f"a header that is no message: {why}")


def _newer(version: int) -> str:
    return f"the peer speaks protocol {version}, this side {VERSION}: update CaveCast on this side"
