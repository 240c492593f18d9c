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
LONGEST_KEY, LONGEST_NAME = 32, 200
"""Letters of a key's name, and of a screen's."""


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


class SourceState(msgspec.Struct, frozen=True):
    """How a source is doing."""

    kind: str
    address: str
    packets: int
    """Datagrams, messages or events that came."""
    garbage: dict[str, int]
    """Those that could not be used, by reason."""
    heard_at: float | None
    """When something last came that could be used."""
    trouble: str
    """Why nothing can come; empty where all is well."""


def pose_flaw(body: int, position: Vec3, turn: Quaternion, stamp: float | None = None) -> str:
    """Why these are no pose: ``body``, ``not finite``, ``far``, ``turn``; empty if they are one."""
    if not 0 <= body < MOST_BODIES:
        return "body"
    if not all(map(math.isfinite, (*position, *turn))) or not (stamp is None or math.isfinite(stamp)):
        return "not finite"
    if max(map(abs, position)) > FARTHEST:
        return "far"
    return "" if 0.9 < math.hypot(*turn) < 1.1 else "turn"


def pose(source: int, body: int, position: Vec3, turn: Quaternion, stamp: float | None = None) -> Pose | str:
    """A pose with a turn of length 1, or why there is none."""
    if why := pose_flaw(body, position, turn, stamp):
        return why
    length = math.hypot(*turn)
    x, y, z, w = turn
    return Pose(source, body, position, (x / length, y / length, z / length, w / length), stamp)


def flaw(record: Record) -> str:
    """Why no decoder would say this: the bounds that hold for what comes live; empty if one might."""
    match record:
        case Pose(_, body, position, turn, stamp):
            return pose_flaw(body, position, turn, stamp)
        case Lost(_, body):
            return "" if 0 <= body < MOST_BODIES else "body"
        case Button(_, button):
            return "" if 0 <= button < MOST_BUTTONS else "button"
        case Axis(_, axis, value):
            return "axis" if not 0 <= axis < MOST_AXES else "" if math.isfinite(value) else "not finite"
        case Key(_, key):
            return "" if 0 < len(key) <= LONGEST_KEY else "key"
        case Pointer(_, screen, x, y, buttons):
            there = 0 <= x <= 1 and 0 <= y <= 1 and 0 <= buttons < 8 and len(screen) <= LONGEST_NAME
            return "" if there else "pointer"
        case Gone():
            return ""
