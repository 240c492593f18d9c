"""Trackers: records in, the head and the wand at any time out.  Pure: the time is passed in.

Each source's head and wand are followed apart (calibrated, smoothed, predicted); the first source in the
wall file that sees the head gives it.  A head that is lost is held, then eases to the default head; one
that comes back is eased to.  Frozen, it stays where it is, whatever comes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

from renderers.wall.records import TrackerSource
from renderers.wall.track.body import Body, Tuning
from renderers.wall.track.calibrate import Calibration
from renderers.wall.track.sensed import Axis, Button, Gone, Key, Lost, Pointer, Pose, Record
from renderers.wall.track.smooth import blend
from streamer.wire.viewing import Head

PARTS = ("head", "wand")
BRIEF_S = 0.005
"""A press counts for at least so long."""
NOBODY, AS_IT_IS = Head(), Tuning()


class WandState(msgspec.Struct, frozen=True):
    """The wand and all that is pressed."""

    pose: Head
    """The head's where no wand is tracked, so that a gamepad flies and picks where one looks."""
    tracked: bool
    buttons: frozenset[int] = frozenset()
    """Those that are down, on any device."""
    axes: tuple[float, ...] = ()
    """−1 … 1; of several devices the one that is furthest from rest."""
    keys: frozenset[str] = frozenset()
    pointer: Pointer | None = None

    def axis(self, number: int, dead_zone: float = 0.0) -> float:
        """An axis, 0 where it is not there, and rising from 0 at the edge of the dead zone."""
        value = self.axes[number] if 0 <= number < len(self.axes) else 0.0
        if abs(value) <= dead_zone:
            return 0.0
        return math.copysign((min(abs(value), 1.0) - dead_zone) / (1 - dead_zone), value)


class Figures(msgspec.Struct, frozen=True):
    """What is to be shown of the trackers."""

    records: dict[str, int]
    """By kind (``pose``, ``button`` …)."""
    rejected: dict[str, int]
    """Poses that were not believed, by reason: ``jump``, ``late`` (overtaken), ``other body``, ``unknown source``."""
    head_age_s: float | None
    """Since the last pose of the head; None: there was none."""
    lost_s: float
    """For how long the head has been lost; 0 while it is seen."""
    frozen: bool


def smoothstep(x: float) -> float:
    """From 0 to 1 without a jerk at either end."""
    x = min(1.0, max(0.0, x))
    return x * x * (3 - 2 * x)


class Trackers:
    """All sources of a wall.  Raises ValueError where one cannot be calibrated."""

    def __init__(
        self,
        sources: Sequence[TrackerSource],
        default_head: Head = NOBODY,
        separation: float = 64.0,
        tuning: Tuning = AS_IT_IS,
    ) -> None:
        self.sources = tuple(sources)
        self.default_head = default_head
        self.separation = separation
        """Between the eyes, mm; a tile draws with it."""
        self.tuning = tuning
        self.counts: Counter[str] = Counter()
        """Records by kind."""
        self.rejected: Counter[str] = Counter()
        self.frozen: Head | None = None
        self._calibrations = [Calibration(source) for source in self.sources]
        self._pointer: Pointer | None = None
        self._keys: set[tuple[int, str]] = set()
        self._buttons: set[tuple[int, int]] = set()
        self._axes: dict[tuple[int, int], float] = {}
        self._pressed_at: dict[tuple[int, int | str], float] = {}
        self._heard: dict[int, float] = {}
        self._bodies: dict[str, list[Body]] = {}
        self._leader: Body | None = None  # the source's head that is shown
        # Since when the shown head has been on its way from where it was to where it is seen.
        self._since: float | None = None
        self._from = default_head
        self._forget()

    def feed(self, record: Record, now: float) -> None:
        """Take what a device said."""
        self.counts[type(record).__name__.lower()] += 1
        if not 0 <= record.source < len(self.sources):
            self.rejected["unknown source"] += 1
            return
        self._heard[record.source] = now
        match record:
            case Pose():
                self._pose(record, now)
            case Lost(source, body):
                for part in self._parts(source, body):
                    self._bodies[part][source].lose(now)
            case Button(source, button, pressed):
                (self._buttons.add if pressed else self._buttons.discard)((source, button))
                if pressed:
                    self._pressed_at[source, button] = now
            case Axis(source, axis, value):
                self._axes[source, axis] = value
            case Key(source, key, pressed):
                (self._keys.add if pressed else self._keys.discard)((source, key))
                if pressed:
                    self._pressed_at[source, key] = now
            case Pointer():
                self._pointer = record
            case Gone(source):
                self._release(source)
                for part in PARTS:
                    self._bodies[part][source].lose(now)
        leader = self._choice("head", now)
        if leader is not self._leader:
            if self._leader is not None:
                # Two systems never agree to the millimetre.
                self._from, self._since = self.head(now), now
            self._leader = leader

    def head(self, now: float) -> Head:
        """The head to draw for."""
        if self.frozen is not None:
            return self.frozen
        head = self._seen(now)
        if self._since is not None and self.tuning.return_s > 0:
            head = blend(self._from, head, smoothstep((now - self._since) / self.tuning.return_s))
        return head

    def wand(self, now: float) -> WandState:
        """The wand, and what is pressed."""
        body = self._choice("wand", now)
        tracked = body is not None and now - (body.seen_at or 0.0) <= self.tuning.hold_s
        pose = body.at(now) if body is not None and tracked else self.head(now)
        # A device that sent poses and has fallen silent cannot tell that a button was let go.
        silent = {
            source
            for source, heard in self._heard.items()
            if now - heard > self.tuning.hold_s
            and any(self._bodies[part][source].seen_at is not None for part in PARTS)
        }
        # A press and its release may be read in one go: it is shown for a moment all the same.
        brief = {held for held, at in self._pressed_at.items() if now - at <= BRIEF_S}
        axes: list[float] = []
        for (source, axis), value in self._axes.items():
            if source not in silent:
                axes += [0.0] * (axis + 1 - len(axes))
                axes[axis] = max(axes[axis], value, key=abs)
        return WandState(
            pose,
            tracked,
            frozenset(b for source, b in self._buttons | brief if source not in silent and isinstance(b, int)),
            tuple(axes),
            frozenset(key for _, key in self._keys | brief if isinstance(key, str)),
            self._pointer,
        )

    def freeze(self, now: float) -> None:
        """Keep the head where it is."""
        self.frozen = self.head(now)

    def thaw(self, now: float) -> None:
        """Follow the head again, from where it was kept."""
        if self.frozen is not None:
            self._from, self._since, self.frozen = self.frozen, now, None

    def reset(self) -> None:
        """Forget what was seen and pressed: the default head until the next pose."""
        self.frozen = None
        for source in range(len(self.sources)):
            self._release(source)
        self._forget()

    def figures(self, now: float) -> Figures:
        """What is to be shown of them."""
        body = self._choice("head", now)
        age = None if body is None or body.seen_at is None else now - body.seen_at
        since = None if body is None else body.lost_since(now)
        lost_s = 0.0 if since is None else now - since
        return Figures(dict(self.counts), dict(self.rejected), age, lost_s, self.frozen is not None)

    def _forget(self) -> None:
        self._bodies = {
            part: [Body(source.latency_ms / 1000, self.tuning) for source in self.sources] for part in PARTS
        }
        self._leader, self._since = None, None

    def _pose(self, pose: Pose, now: float) -> None:
        parts = self._parts(pose.source, pose.body)
        if not parts:
            self.rejected["other body"] += 1
        for part in parts:
            body = self._bodies[part][pose.source]
            back = body is self._leader and body.seen_at is not None and now - body.seen_at > self.tuning.hold_s
            shown = self.head(now) if back else self.default_head
            at = self._calibrations[pose.source].part(part, pose.position, pose.turn)
            if why := body.add(at, pose.stamp, now):
                self.rejected[why] += 1
            elif back:
                self._from, self._since = shown, now

    def _parts(self, source: int, body: int) -> list[str]:
        """Which of head and wand a body is."""
        of = self.sources[source]
        return [part for part, number in zip(PARTS, (of.head, of.wand), strict=True) if number == body]

    def _choice(self, part: str, now: float) -> Body | None:
        """The source that gives it: the first that sees it, else the one that saw it last."""
        seen = [body for body in self._bodies[part] if body.seen_at is not None]
        for body in seen:
            if body.lost_since(now) is None:
                return body
        return max(seen, key=lambda body: body.seen_at or 0.0, default=None)

    def _seen(self, now: float) -> Head:
        """Where the head is, or is held, or is on its way to the default."""
        body = self._leader
        if body is None or body.seen_at is None:
            return self.default_head
        gone = now - body.seen_at - self.tuning.hold_s
        if gone <= 0:
            return body.at(now)
        weight = smoothstep(gone / self.tuning.ease_s) if self.tuning.ease_s > 0 else 1.0
        return blend(body.at(now), self.default_head, weight)

    def _release(self, source: int) -> None:
        self._buttons = {held for held in self._buttons if held[0] != source}
        self._keys = {held for held in self._keys if held[0] != source}
        self._pressed_at = {held: at for held, at in self._pressed_at.items() if held[0] != source}
        self._axes = {axis: value for axis, value in self._axes.items() if axis[0] != source}
        if self._pointer is not None and self._pointer.source == source:
            self._pointer = None
