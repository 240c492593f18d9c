"""When a viewer gets which picture: the newest, no more than two on their way, the finer one once it rests.

A picture is due when the viewer's camera or size has changed, or when the scene has (at most fifteen
times a second); 150 ms after both have come to rest one still follows.  All of them need the same
credit: pictures sent minus pictures acknowledged.  Nothing is queued; what was not drawn is skipped.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Literal, NamedTuple

from streamer.wire.view import Acknowledged, Input

IN_FLIGHT = 2
DATA_INTERVAL_S = 1 / 15
REST_S = 0.150
NOTE_INTERVAL_S = 0.2
PATIENCE_S = 0.5
"""A still is not put off by other viewers for longer."""
QUICK_S = 0.080
"""A link that acknowledges within this time carries lossless pictures."""
QUALITY_MOVING, QUALITY_DATA, QUALITY_STILL = 78, 86, 95

Kind = Literal["input", "data", "still"]


class Shown(NamedTuple):
    """What the last picture showed."""

    state: Input
    version: int
    still: bool


class Window:
    """One viewer's frames.  ``version`` counts the changes of the scene; it may skip numbers but never falls."""

    def __init__(self, now: float) -> None:
        self.state: Input | None = None
        self.sent = 0
        self.acknowledged = 0
        self.drawn_at = -inf
        self._shown: Shown | None = None
        self._moved_at = now
        self._changed_at = now
        self._version = 0
        self._sent_at: dict[int, float] = {}
        self._round_trip_s = inf
        self._note: object = None
        self._note_at = -inf

    # ------------------------------------------------------------------ facts

    def input(self, state: Input, now: float) -> bool:
        """The viewer's latest state has come.  An older one than the last is ignored (returns False)."""
        before = self.state
        if before is not None and state.sequence < before.sequence:
            return False
        if before is None or _view(before) != _view(state):
            self._moved_at = now
        self.state = state
        return True

    def acknowledge(self, ack: Acknowledged, now: float) -> None:
        """The viewer has shown a picture, and with it all before it.  Numbers never sent are ignored."""
        if not self.acknowledged < ack.frame <= self.sent:
            return
        sent_at = self._sent_at.get(ack.frame)
        if sent_at is not None:
            self._round_trip_s = now - sent_at
        self.acknowledged = ack.frame
        self._sent_at = {frame: at for frame, at in self._sent_at.items() if frame > ack.frame}

    def changed(self, version: int, now: float) -> None:
        """The scene has changed."""
        if version != self._version:
            self._version, self._changed_at = version, now

    def pictured(self, kind: Kind, state: Input, version: int, now: float) -> int:
        """A picture of that state has been sent; returns its number."""
        self.sent += 1
        self._sent_at[self.sent] = now
        self._shown = Shown(state, version, kind == "still")
        self.drawn_at = now
        return self.sent

    # ------------------------------------------------------------------ decisions

    @property
    def credit(self) -> int:
        """Pictures that may be sent now."""
        return IN_FLIGHT - (self.sent - self.acknowledged)

    def due(self, now: float) -> Kind | None:
        """The picture to make now, if any."""
        kind, at = self._next()
        return kind if kind is not None and at <= now else None

    def deadline(self) -> float:
        """When a picture will be due if nothing happens; infinity if none will."""
        return self._next()[1]

    def overdue(self, now: float) -> bool:
        """Whether a still has waited for long enough to come before the others' pictures."""
        kind, at = self._next()
        return kind == "still" and at + PATIENCE_S <= now

    @property
    def quality(self) -> int:
        """JPEG quality for a picture that is not a still."""
        return QUALITY_MOVING if self.state is not None and self.state.moving else QUALITY_DATA

    @property
    def lossless(self) -> bool:
        """Whether the link has shown that it carries a lossless still without delay."""
        return self._round_trip_s <= QUICK_S

    def _next(self) -> tuple[Kind | None, float]:
        if self.state is None or self.credit <= 0:
            return None, inf
        shown = self._shown
        if shown is None or _view(shown.state) != _view(self.state):
            return "input", -inf
        moves: list[tuple[float, Kind]] = []
        if shown.version != self._version:
            moves.append((self.drawn_at + DATA_INTERVAL_S, "data"))
        rested = shown.still and shown.version == self._version and shown.state.sequence == self.state.sequence
        if not rested and not self.state.moving:
            moves.append((max(self._moved_at, self._changed_at) + REST_S, "still"))
        if not moves:
            return None, inf
        at, kind = min(moves)
        return kind, at

    def wants(self, note: object, now: float) -> bool:
        """Whether this note is to be sent: it is news, and the last one is a while ago."""
        return note != self._note and now >= self._note_at + NOTE_INTERVAL_S

    def noted(self, note: object, now: float) -> None:
        """The note has been sent."""
        self._note, self._note_at = note, now

    def note_deadline(self, note: object) -> float:
        """When this note may be sent; infinity if it is no news."""
        return inf if note == self._note else self._note_at + NOTE_INTERVAL_S


def _view(state: Input) -> tuple[object, ...]:
    return state.width, state.height, state.camera


def next_viewer(windows: Iterable[tuple[bytes, Window]], now: float) -> tuple[bytes, Kind] | None:
    """Whose picture is to be made now: whoever has waited longest, stills after all others unless they are overdue."""
    due = [
        (kind == "still" and not window.overdue(now), window.drawn_at, peer, kind)
        for peer, window in windows
        if (kind := window.due(now)) is not None
    ]
    if not due:
        return None
    _, _, peer, kind = min(due, key=lambda row: row[:2])
    return peer, kind
