"""ART DTrack, DTrack2 and DTrack3: one datagram of ASCII lines for each frame.

Lines begin with what they tell: ``fr`` frame number, ``ts`` seconds, ``6dcal`` how many bodies there are,
``6d`` those that are seen, ``6df`` and ``6df2`` Flysticks with buttons and joysticks, ``6di`` bodies with
inertial sensors; other lines are passed over.  Positions are mm, rotation matrices come column by column,
a quality of −1 means that the body is not seen.  A Flystick has the body number 100 + its own, a body of
``6di`` takes the place of the ``6d`` one.  Source: DTrack2 User Manual, Technical Appendix (data formats).
"""

from __future__ import annotations

import re

from renderers.wall.track.sensed import MOST_AXES, MOST_BUTTONS, Axis, Button, Decoder, Lost, Record, pose
from renderers.wall.track.turns import of_rows

FLYSTICK = 100
"""The body number of Flystick 0."""
LARGEST, MOST_LINES, MOST_LISTED = 32_768, 64, 64
"""Bytes of a datagram, lines in it, and bodies in a line; a system has about 50 bodies at most."""
BUTTONS_EACH, AXES_EACH = 16, 4
"""Flystick n has the buttons 16 n … and the axes 4 n …."""
GROUP = re.compile(rb"\[([^\[\]]*)\]")


class Malformed(ValueError):
    """A line is not as it should be; the text is the reason under which it is counted."""


class DTrack(Decoder):
    """Decodes the datagrams of one DTrack controller."""

    frame = -1

    def datagram(self, data: bytes) -> list[Record]:
        """The records of a datagram; lines that cannot be read are left out and counted in ``garbage``."""
        self.packets += 1
        if len(data) > LARGEST:
            self.garbage["too long"] += 1
            return []
        stamp: float | None = None
        bodies: dict[int, Record] = {}
        others: list[Record] = []
        calibrated, known, plain = 0, False, False
        before = self.garbage.total()
        for line in data.split(b"\n", MOST_LINES)[:MOST_LINES]:
            word, _, rest = line.strip(b"\r \0").partition(b" ")
            if not word:
                continue
            try:
                match word:
                    case b"fr":
                        self.frame = self._number(rest)
                        known = True
                    case b"ts":
                        stamp = self._float(rest)
                    case b"6dcal":
                        calibrated = min(self._number(rest), MOST_LISTED)
                    case b"6d":
                        plain = True
                        self._bodies(rest, stamp, bodies)
                    case b"6di":
                        self._inertial(rest, stamp, bodies)
                    case b"6df":
                        self._old_flysticks(rest, stamp, bodies, others)
                    case b"6df2":
                        self._flysticks(rest, stamp, bodies, others)
                    case _ if not (word.isalnum() and word.isascii()) or len(word) > 8:
                        raise Malformed("line")
                    case _:
                        continue
                known = True
            except Malformed as error:
                self.garbage[str(error)] += 1
        if plain:
            for body in range(calibrated):
                bodies.setdefault(body, Lost(self.source, body))
        if not known and self.garbage.total() == before:
            self.garbage["nothing known"] += 1
        return [*bodies.values(), *others]

    def _number(self, text: bytes) -> int:
        text = text.strip()
        if not text.isdigit() or len(text) > 12:
            raise Malformed("number")
        return int(text)

    def _float(self, text: bytes) -> float:
        values = self._floats(text, 1)
        return values[0]

    def _floats(self, text: bytes, count: int) -> list[float]:
        words = text.split()
        if len(words) != count:
            raise Malformed("number of values")
        if b"_" in text:  # Python takes it within a number, DTrack does not
            raise Malformed("value")
        try:
            return [float(word) for word in words]
        except ValueError:
            raise Malformed("value") from None

    def _groups(self, text: bytes, each: int, counts: int = 1) -> list[list[bytes]]:
        """The bracketed groups of a line, ``each`` to a body.  ``counts`` numbers stand before them, the last is n."""
        head, _, _ = text.partition(b"[")
        numbers = head.split()
        if len(numbers) != counts:
            raise Malformed("count")
        n = self._number(numbers[-1])
        if n > MOST_LISTED:
            raise Malformed("count")
        groups = GROUP.findall(text)
        if len(groups) != n * each:
            raise Malformed("number of bodies")
        return [groups[i : i + each] for i in range(0, len(groups), each)]

    def _place(
        self, body: int, quality: float, where: bytes, columns: bytes, stamp: float | None, out: dict[int, Record]
    ) -> None:
        """Add the pose of a body, or that it is lost."""
        if not 0 <= body < FLYSTICK + MOST_LISTED:
            raise Malformed("body")
        if not quality >= 0:
            out[body] = Lost(self.source, body)
            return
        x, y, z = self._floats(where, 3) if where.count(b" ") < 3 else self._floats(where, 6)[:3]
        b = self._floats(columns, 9)
        try:
            turn = of_rows([[b[0], b[3], b[6]], [b[1], b[4], b[7]], [b[2], b[5], b[8]]])
        except ValueError:
            raise Malformed("rotation") from None
        found = pose(self.source, body, (x, y, z), turn, stamp)
        if isinstance(found, str):
            raise Malformed(found)
        out[body] = found

    def _body(self, number: float, base: int = 0) -> int:
        if not 0 <= number < MOST_LISTED + FLYSTICK - base:
            raise Malformed("body")
        return int(number) + base

    def _bodies(self, text: bytes, stamp: float | None, out: dict[int, Record]) -> None:
        for first, where, columns in self._groups(text, 3):
            number, quality = self._floats(first, 2)
            self._place(self._body(number), quality, where, columns, stamp, out)

    def _inertial(self, text: bytes, stamp: float | None, out: dict[int, Record]) -> None:
        for first, where, columns in self._groups(text, 3):
            number, state, _drift = self._floats(first, 3)
            # 0: not seen; 1: by its inertial sensors alone, 2: by the cameras alone, 3: by both.
            self._place(self._body(number), 0.0 if state > 0 else -1.0, where, columns, stamp, out)

    def _old_flysticks(self, text: bytes, stamp: float | None, out: dict[int, Record], others: list[Record]) -> None:
        for first, where, columns in self._groups(text, 3):
            number, quality, pressed = self._floats(first, 3)
            if not 0 <= pressed < 256:
                raise Malformed("buttons")
            body = self._body(number, FLYSTICK)
            self._place(body, quality, where, columns, stamp, out)
            bits = int(pressed)
            self._buttons(body - FLYSTICK, bits, 8, others)
            # The hat of the first Flystick is four of its buttons: left 0x20, right 0x80, down 0x10, up 0x40.
            left, right, down, up = (float(bool(bits & bit)) for bit in (0x20, 0x80, 0x10, 0x40))
            self._axes(body - FLYSTICK, [right - left, up - down], others)

    def _flysticks(self, text: bytes, stamp: float | None, out: dict[int, Record], others: list[Record]) -> None:
        for first, where, columns, state in self._groups(text, 4, counts=2):
            number, quality, buttons, joysticks = self._floats(first, 4)
            if not (0 <= buttons <= 2 * BUTTONS_EACH and 0 <= joysticks <= 2 * AXES_EACH):
                raise Malformed("buttons")
            words = -(-int(buttons) // 32)
            values = self._floats(state, words + int(joysticks))
            if any(not 0 <= word < 2**32 for word in values[:words]):
                raise Malformed("buttons")
            if any(not -1.01 <= value <= 1.01 for value in values[words:]):
                raise Malformed("joystick")
            body = self._body(number, FLYSTICK)
            self._place(body, quality, where, columns, stamp, out)
            bits = sum(int(word) << (32 * i) for i, word in enumerate(values[:words]))
            self._buttons(body - FLYSTICK, bits, int(buttons), others)
            self._axes(body - FLYSTICK, values[words:], others)

    def _buttons(self, flystick: int, bits: int, count: int, out: list[Record]) -> None:
        first = flystick * BUTTONS_EACH
        seen = range(min(count, BUTTONS_EACH, MOST_BUTTONS - first))
        out.extend(Button(self.source, first + i, bool(bits >> i & 1)) for i in seen)

    def _axes(self, flystick: int, values: list[float], out: list[Record]) -> None:
        first = flystick * AXES_EACH
        for i, value in enumerate(values[: min(AXES_EACH, max(0, MOST_AXES - first))]):
            out.append(Axis(self.source, first + i, max(-1.0, min(1.0, value))))
