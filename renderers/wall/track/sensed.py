"""What devices say, in one language: poses, buttons, axes, keys, whatever protocol they came by.

Numbers are the device's own here (its axes, its unit); ``poses`` turns them into the wall's.  A record
names its source, the place in ``Wall.trackers``, so that several devices can be read side by side, and
records can be written down and played again (``record``) as if they had just come.
"""

from __future__ import annotations

import math
from collections import Counter

import msgspec

from streamer.wire.viewing import Quaternion, Vec3

MOST_BODIES, MOST_BUTTONS, MOST_AXES = 1024, 256, 64
"""Bodies, buttons and axes of one source that are listened to; numbers beyond are garbage."""
FARTHEST = 1e7
"""No coordinate of a device is larger, in mm or m."""


class Pose(msgspec.Struct, frozen=True, array_like=True, tag="p"):
    """Where a body is and how it is turned, in the device's axes and unit."""

    source: int
    body: int
    position: Vec3
    turn: Quaternion
    stamp: float | None = None
    """Seconds of the device's own clock; None where it has none."""


class Lost(msgspec.Struct, frozen=True, array_like=True, tag="l"):
    """The device says that it does not see a body."""

    source: int
    body: int


class Button(msgspec.Struct, frozen=True, array_like=True, tag="b"):
    """A button as it is now."""

    source: int
    button: int
    pressed: bool


class Axis(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """A joystick, trigger or dial as it is now: −1 … 1, or 0 … 1."""

    source: int
    axis: int
    value: float


class Key(msgspec.Struct, frozen=True, array_like=True, tag="k"):
    """A key of a keyboard, by the name that X gives it (``Left``, ``space``, ``r``)."""

    source: int
    key: str
    pressed: bool


class Pointer(msgspec.Struct, frozen=True, array_like=True, tag="m"):
    """The mouse pointer over a screen: shares of its width from the left and of its height from the top, 0 … 1."""

    source: int
    screen: str
    x: float
    y: float
    buttons: int = 0
    """Bit 0: the left button, 1: the middle one, 2: the right one."""


class Gone(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """The device itself is gone: its buttons are up, its axes at rest, its bodies lost."""

    source: int


Record = Pose | Lost | Button | Axis | Key | Pointer | Gone


class Decoder:
    """What the decoders share: the source that they speak for, and what they could not use, by reason."""

    def __init__(self, source: int = 0) -> None:
        self.source = source
        self.packets = 0
        self.garbage: Counter[str] = Counter()


def pose(source: int, body: int, position: Vec3, turn: Quaternion, stamp: float | None = None) -> Pose | str:
    """A pose with a turn of length 1, or why there is none: ``body``, ``not finite``, ``far``, ``turn``."""
    if not 0 <= body < MOST_BODIES:
        return "body"
    if not all(map(math.isfinite, (*position, *turn))) or not (stamp is None or math.isfinite(stamp)):
        return "not finite"
    if max(map(abs, position)) > FARTHEST:
        return "far"
    length = math.hypot(*turn)
    if not 0.9 < length < 1.1:
        return "turn"
    x, y, z, w = turn
    return Pose(source, body, position, (x / length, y / length, z / length, w / length), stamp)
