"""OSC: trackers that send Open Sound Control, as phones, game engines and many converters do.

One address per thing, arguments as numbers; bundles (also nested) are read message by message.

    /cavecast/head x y z qx qy qz qw [stamp]      /cavecast/wand …       /tracker/{body}/pose …
    /cavecast/button/{n} 0|1|T|F      /cavecast/axis/{n} value      /cavecast/key/{name} 0|1
    /tracker/{body}/position x y z    /tracker/{body}/rotation qx qy qz qw    /tracker/{body}/lost

Positions and turns are in the axes and the unit that the wall file states for the source.  Messages are
decoded by python-osc, bundles here: its loop over a bundle never ends where an element's size is negative.
Source: The Open Sound Control 1.0 Specification (Wright 2002).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pythonosc.osc_message import OscMessage, ParseError

from renderers.wall.track.sensed import (
    MOST_AXES,
    MOST_BODIES,
    MOST_BUTTONS,
    Axis,
    Button,
    Decoder,
    Key,
    Lost,
    Record,
    pose,
)
from streamer.wire.viewing import NO_TURN, Quaternion, Vec3

LARGEST, DEEPEST, MOST_MESSAGES = 32_768, 8, 512
"""Bytes of a datagram, bundles within bundles, messages of a datagram."""
KNOWN_TYPES = frozenset("ifdhTFs")
BUNDLE = b"#bundle\0"


class Malformed(ValueError):
    """A message is not as it should be; the text is the reason under which it is counted."""


def elements(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """The messages of a datagram, as they lie in its bundles.  Raises Malformed."""
    if not data.startswith(BUNDLE):
        yield data
        return
    if depth == DEEPEST:
        raise Malformed("nested too deeply")
    at = len(BUNDLE) + 8
    if len(data) < at:
        raise Malformed("bundle")
    while at < len(data):
        if len(data) < at + 4:
            raise Malformed("bundle")
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if size <= 0 or size % 4 or at + size > len(data):
            raise Malformed("bundle")
        yield from elements(data[at : at + size], depth + 1)
        at += size


def numbers(message: OscMessage) -> list[float]:
    """The arguments as numbers.  Raises Malformed where one is none."""
    values = []
    for value in message.params:
        if not isinstance(value, (int, float)):  # a bool is an int
            raise Malformed("arguments")
        values.append(float(value))
    return values


class Osc(Decoder):
    """Decodes datagrams of one OSC sender.  ``head`` and ``wand`` are the bodies that the wall file names."""

    def __init__(self, source: int = 0, head: int = 0, wand: int = 1) -> None:
        super().__init__(source)
        self.head, self.wand = head, wand
        # Where position and turn come in messages of their own, the other half is the last that came.
        self._halves: dict[int, tuple[Vec3, Quaternion]] = {}

    def datagram(self, data: bytes) -> list[Record]:
        """The records of a datagram; what cannot be read is counted in ``garbage`` and left out."""
        self.packets += 1
        if len(data) > LARGEST:
            self.garbage["too long"] += 1
            return []
        records: list[Record] = []
        try:
            for count, element in enumerate(elements(data)):
                if count == MOST_MESSAGES:
                    raise Malformed("too many messages")
                try:
                    record = self._message(element)
                except Malformed as error:
                    self.garbage[str(error)] += 1
                else:
                    records.append(record)
        except Malformed as error:
            self.garbage[str(error)] += 1
        return records

    def _message(self, data: bytes) -> Record:
        if not data.startswith(b"/"):
            raise Malformed("not OSC")
        # python-osc logs a line for each type that it does not know, which a flood would turn into a full disk.
        comma = data.find(b"\0,")
        if comma < 0:
            raise Malformed("arguments")
        types = data[comma + 2 :].split(b"\0", 1)[0]
        if len(types) > 16 or not KNOWN_TYPES.issuperset(types.decode("latin-1")):
            raise Malformed("arguments")
        try:
            message = OscMessage(data)
        except (ParseError, ValueError, struct.error, IndexError, OverflowError) as error:
            raise Malformed("not OSC") from error
        return self._record(message.address.split("/")[1:], numbers(message))

    def _record(self, path: list[str], values: list[float]) -> Record:
        match path:
            case ["cavecast", "head"]:
                return self._pose(self.head, values)
            case ["cavecast", "wand"]:
                return self._pose(self.wand, values)
            case ["tracker", body, "pose"]:
                return self._pose(self._index(body, MOST_BODIES), values)
            case ["tracker", body, "position"] if len(values) == 3:
                number = self._index(body, MOST_BODIES)
                _, turn = self._halves.get(number, ((0.0, 0.0, 0.0), NO_TURN))
                return self._pose(number, [*values, *turn])
            case ["tracker", body, "rotation"] if len(values) == 4:
                number = self._index(body, MOST_BODIES)
                position, _ = self._halves.get(number, ((0.0, 0.0, 0.0), NO_TURN))
                return self._pose(number, [*position, *values])
            case ["tracker", body, "lost"]:
                return Lost(self.source, self._index(body, MOST_BODIES))
            case ["cavecast", "button", number]:
                return Button(self.source, self._index(number, MOST_BUTTONS), self._one(values) > 0.5)
            case ["cavecast", "axis", number]:
                value = self._one(values)
                if not -1.01 <= value <= 1.01:
                    raise Malformed("axis")
                return Axis(self.source, self._index(number, MOST_AXES), max(-1.0, min(1.0, value)))
            case ["cavecast", "key", name] if 0 < len(name) <= 32:
                return Key(self.source, name, self._one(values) > 0.5)
        raise Malformed("address")

    def _index(self, text: str, most: int) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) < most):
            raise Malformed("number in the address")
        return int(text)

    def _one(self, values: list[float]) -> float:
        if len(values) != 1:
            raise Malformed("arguments")
        return values[0]

    def _pose(self, body: int, values: list[float]) -> Record:
        if len(values) not in (7, 8):
            raise Malformed("arguments")
        x, y, z, qx, qy, qz, qw = values[:7]
        found = pose(self.source, body, (x, y, z), (qx, qy, qz, qw), values[7] if len(values) == 8 else None)
        if isinstance(found, str):
            raise Malformed(found)
        self._halves[body] = found.position, found.turn
        return found
