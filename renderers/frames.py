"""When a viewer gets which picture: the newest, few of them on their way, the finer one once it rests.

A picture is due when the viewer's camera or size has changed, or when the scene has (at most fifteen
times a second); 150 ms after both have come to rest one still follows.  All of them need the same
credit: pictures sent minus pictures acknowledged, one to four of them as the link is (``renderers.link``).  Nothing
is queued; what was not drawn is skipped.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Literal, NamedTuple

from renderers.link import RUNGS, Link
from streamer.wire.view import Acknowledged, Input, Video

DATA_INTERVAL_S = 1 / 15
REST_S = 0.150
NOTE_INTERVAL_S = 0.2
PATIENCE_S = 0.5
"""A still is not put off by other viewers for longer; nor is the next one of the pictures that it is made of."""
RIDE_S = 2 / 30
"""Who follows waits so long for a picture that whoever leads gets too."""
FOLLOW_SHARE = 0.4
"""To encode the leader's pictures for one who follows takes no more of the time than this: he gets fewer of them."""
LONGEST_PACE_S = 0.25
LEARN = 0.25
"""How much the last picture says of what encoding the next one will take."""
QUICK_S = 0.080
"""A link that acknowledges within this time carries lossless pictures."""
QUALITY_DATA = 86

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
        self._refined_at = self._rides_until = -inf
        self._encode_s = 0.0
        """What encoding a picture has taken of late, stills apart."""
        self._shown: Shown | None = None
        self._moved_at = now
        self._changed_at = now
        self._version = 0
        self.link = Link()
        self._stills: set[int] = set()
        self.anew = True
        """What the viewer has of H.264 is of no use: the next such picture has to decode by itself."""
        self._note: object = None
        self._note_at = -inf
        self._basis: object = None

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
        self.link.acknowledged(ack.frame, now, still=ack.frame in self._stills)
        self.acknowledged = ack.frame
        self._stills = {frame for frame in self._stills if frame > ack.frame}

    def changed(self, version: int, now: float) -> None:
        """The scene has changed."""
        if version != self._version:
            self._version, self._changed_at = version, now

    def pictured(self, kind: Kind, state: Input, version: int, now: float) -> int:
        """A picture of that state has been sent; returns its number."""
        self.sent += 1
        self.link.sent(self.sent, now)
        if kind == "still":
            self._stills.add(self.sent)
        self._shown = Shown(state, version, kind == "still")
        self.drawn_at = now
        self._rides_until = -inf
        return self.sent

    def refined(self, now: float) -> None:
        """One of the pictures has been drawn that the still is made of."""
        self._refined_at = now

    def rides(self, until: float) -> None:
        """Whoever leads the view has just got a picture, sent here too or not: only his next ones are of use here."""
        self._rides_until = max(until, self._paced_at + RIDE_S)

    def left(self, frame: int, nbytes: int, now: float, encode_s: float = 0.0) -> None:
        """A picture has left.  ``encode_s``: what encoding it took; 0 for a still."""
        if encode_s > 0:
            self._encode_s += LEARN * (encode_s - self._encode_s) if self._encode_s else encode_s
        if self.acknowledged < frame <= self.sent:
            self.link.flow.left(frame, nbytes, now)

    def video(self, said: Video) -> None:
        """The viewer says what he can make of H.264, or that he has lost some of it."""
        self.link.wish(said.wish)
        self.anew = True

    def lost(self, frame: int) -> None:
        """A picture did not leave: it is not waited for, and another one of the same is due."""
        self.anew = True
        self.link.flow.forget(frame)
        if self.acknowledged < frame <= self.sent:
            self.acknowledged, self._shown = frame, None

    def unsaid(self) -> None:
        """The last note did not leave, or the viewer asks whether anybody is there: it is to be said again."""
        self._note = self._basis = None

    # ------------------------------------------------------------------ decisions

    @property
    def credit(self) -> int:
        """Pictures that may be sent now."""
        return self.link.in_flight - (self.sent - self.acknowledged)

    def due(self, now: float, *, stills: bool = True, riding: bool = False) -> Kind | None:
        """The picture to make now, if any; a still only if ``stills`` can be made now.

        ``riding``: it is drawn anyhow, for somebody else of the view, and has only to be encoded.
        """
        kind, at = self._next(stills=stills)
        if riding and kind == "input":
            at = self._paced_at
        return kind if kind is not None and at <= now else None

    def deadline(self, *, stills: bool = True) -> float:
        """When a picture will be due if nothing happens; infinity if none will."""
        return self._next(stills=stills)[1]

    def overdue(self, now: float) -> bool:
        """Whether a still has waited for long enough to come before the others' pictures."""
        kind, at = self._next(stills=True)
        return kind == "still" and max(at, self._refined_at) + PATIENCE_S <= now

    @property
    def quality(self) -> int:
        """JPEG quality for a picture that is not a still."""
        fine = self.link.fineness
        moving = self.state is not None and self.state.moving
        return fine.quality if moving or fine != RUNGS[0] else QUALITY_DATA

    @property
    def half(self) -> bool:
        """Whether a picture that is not a still has half the resolution, for the link's sake."""
        return self.link.fineness.half

    @property
    def lossless(self) -> bool:
        """Whether the still is to be without loss: that is asked for, or the link has shown that it carries one."""
        asked = self.state is not None and self.state.exact
        return asked or self.link.last_s <= QUICK_S

    @property
    def _paced_at(self) -> float:
        """When the next of the leader's pictures may be encoded for one who follows."""
        return self.drawn_at + min(LONGEST_PACE_S, self._encode_s / FOLLOW_SHARE)

    def _next(self, *, stills: bool) -> tuple[Kind | None, float]:
        if self.state is None or self.credit <= 0:
            return None, inf
        shown = self._shown
        if shown is None or _view(shown.state) != _view(self.state):
            return "input", self._rides_until
        moves: list[tuple[float, Kind]] = []
        if shown.version != self._version:
            moves.append((self.drawn_at + DATA_INTERVAL_S, "data"))
        rested = shown.still and shown.version == self._version and shown.state.sequence == self.state.sequence
        if stills and not rested and not self.state.moving:
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

    def knows(self, basis: object) -> bool:
        """Whether the note that follows from this is one that the viewer has."""
        return basis == self._basis

    def learned(self, basis: object, note: object) -> bool:
        """Whether the viewer has the note that follows from ``basis``; if so, that is known from now on."""
        if note == self._note:
            self._basis = basis
        return note == self._note

    def note_deadline(self, note: object) -> float:
        """When this note may be sent; infinity if it is no news."""
        return inf if note == self._note else self._note_at + NOTE_INTERVAL_S


def _view(state: Input) -> tuple[object, ...]:
    return state.width, state.height, state.camera, state.look


def next_viewer(
    windows: Iterable[tuple[bytes, Window]], now: float, *, stills: bool = True, begun: bytes | None = None
) -> tuple[bytes, Kind] | None:
    """Whose picture is to be made now: whoever has waited longest, stills after all others unless they are overdue.

    Without ``stills`` those wait.  Of several stills the one that is ``begun`` is made first.
    """
    due = [
        (kind == "still" and not window.overdue(now), window.drawn_at, peer, kind)
        for peer, window in windows
        if (kind := window.due(now, stills=stills)) is not None
    ]
    if any(peer == begun and kind == "still" for _, _, peer, kind in due):
        due = [row for row in due if row[3] != "still" or row[2] == begun]
    if not due:
        return None
    _, _, peer, kind = min(due, key=lambda row: row[:2])
    return peer, kind
