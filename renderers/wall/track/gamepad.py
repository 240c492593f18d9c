"""Gamepads: the two ways in which Linux tells of them, decoded from bytes.

``/dev/input/js*`` gives 8 bytes per event (time in ms, value, kind, number; little endian on little-endian
machines) and tells the state of everything when it is opened.  ``/dev/input/event*`` gives ``input_event``s
of 24 bytes (on 64 bits), of buttons, axes and keys.  Source: Documentation/input of the Linux kernel
(joystick-api, event-codes).
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Mapping

from renderers.wall.track.sensed import MOST_AXES, MOST_BUTTONS, Axis, Button, Decoder, Key, Record

JS_EVENT = struct.Struct("=IhBB")
JS_BUTTON, JS_AXIS, JS_INIT = 0x01, 0x02, 0x80
EVENT = struct.Struct("@llHHi")
EV_SYN, EV_KEY, EV_REL, EV_ABS, EV_MSC = 0, 1, 2, 3, 4
FIRST_BUTTON, LAST_BUTTON = 0x100, 0x15F
"""Buttons of mice, joysticks and gamepads; below are keys."""
GAMEPAD = 0x130
"""BTN_SOUTH, the first button of a gamepad: our button 0."""
KEYS = {
    1: "Escape", 15: "Tab", 28: "Return", 57: "space", 103: "Up", 105: "Left", 106: "Right", 108: "Down",
    104: "Prior", 109: "Next", 102: "Home", 107: "End", 42: "Shift_L", 54: "Shift_R", 29: "Control_L", 97: "Control_R",
    **{code: name for first, row in ((16, "qwertyuiop"), (30, "asdfghjkl"), (44, "zxcvbnm"))
       for code, name in enumerate(row, first)},
    **dict(enumerate("1234567890", 2)),
}  # fmt: skip
"""Names of keys, as X has them, by the kernel's code; others are called ``key:CODE``."""
DEFAULT_RANGE = (-32768, 32767)


class _Pieces(Decoder, ABC):
    """Events of a fixed size out of a stream of bytes."""

    size = 1

    def __init__(self, source: int = 0) -> None:
        super().__init__(source)
        self._rest = b""

    def feed(self, data: bytes) -> list[Record]:
        """The records of the whole events; the beginning of a next one is kept."""
        data = self._rest + data
        whole = len(data) - len(data) % self.size
        self._rest = data[whole:]
        records: list[Record] = []
        for at in range(0, whole, self.size):
            self.packets += 1
            found = self._event(data[at : at + self.size])
            if isinstance(found, str):
                self.garbage[found] += 1
            elif found is not None:
                records.append(found)
        return records

    @abstractmethod
    def _event(self, data: bytes) -> Record | str | None:
        """The record of an event, why it is garbage, or None where it says nothing to us."""


class Joystick(_Pieces):
    """Decodes ``/dev/input/js*``."""

    size = JS_EVENT.size

    def _event(self, data: bytes) -> Record | str | None:
        _ms, value, kind, number = JS_EVENT.unpack(data)
        match kind & ~JS_INIT:
            case 0x01 if number < MOST_BUTTONS and value in (0, 1):
                return Button(self.source, number, value == 1)
            case 0x02 if number < MOST_AXES:
                return Axis(self.source, number, max(-1.0, value / 32767))
        return "event"


class Evdev(_Pieces):
    """Decodes ``/dev/input/event*``.  ``ranges``: smallest and largest value by axis code, as the device says."""

    size = EVENT.size

    def __init__(self, source: int = 0, ranges: Mapping[int, tuple[int, int]] | None = None) -> None:
        super().__init__(source)
        self.ranges = dict(ranges or {})

    def _event(self, data: bytes) -> Record | str | None:
        _s, _us, kind, code, value = EVENT.unpack(data)
        if kind == EV_KEY:
            if value not in (0, 1, 2):
                return "event"
            if value == 2:  # the keyboard repeats a key that is held
                return None
            if FIRST_BUTTON <= code <= LAST_BUTTON:
                button = code - GAMEPAD if code >= GAMEPAD else code - FIRST_BUTTON
                return Button(self.source, button, value == 1)
            return Key(self.source, KEYS.get(code, f"key:{code}"), value == 1)
        if kind == EV_ABS:
            low, high = self.ranges.get(code, DEFAULT_RANGE)
            if code >= MOST_AXES or high <= low:
                return "event"
            return Axis(self.source, code, max(-1.0, min(1.0, 2 * (value - low) / (high - low) - 1)))
        return None if kind in (EV_SYN, EV_REL, EV_MSC) else "event"
