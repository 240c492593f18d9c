"""What viewers are told of each other: who is there, and where those point who see the same.  Pure.

A viewer learns of all who share his view, of all who look at the run by themselves, and of who asks him to follow; not
of those in other views of a name, which may be private.  Who is there is told when it changes.  Pointers are state:
the newest are told at most twenty times a second, and no more before the viewer has drawn those of before, so that a
slow one gets fewer and keeps nobody waiting.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from renderers.audience import Audience
from renderers.shared import Peer
from streamer.wire.looking import plain
from streamer.wire.presence import At, Drawn, Named, Wish
from streamer.wire.view import FOLLOW, Up

POINTERS_S = 0.05
PEOPLE_S = 0.2
"""A viewer is not told more often of pointers, of people."""
GIVEN_UP_S = 5.0
"""A page that has not said for so long that it has drawn will not any more."""
MOST_POINTERS = 16
"""The newest ones."""
MOST_AT_ONCE, MOST_PER_S = 20.0, 5.0
"""Names and wishes of a viewer that are listened to."""


class Allowance:
    """How much of what somebody says is listened to."""

    def __init__(self, now: float) -> None:
        self._left, self._at = MOST_AT_ONCE, now

    def takes(self, now: float) -> bool:
        """Whether there is room for one more."""
        self._left = min(MOST_AT_ONCE, self._left + MOST_PER_S * (now - self._at))
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Pointer(NamedTuple):
    """Where somebody points."""

    place: tuple[float, float]
    stamp: int


class _Told:
    """What a viewer has been told."""

    def __init__(self, now: float) -> None:
        self.version = -1
        self.people: object = None
        self.people_at = -inf
        self.pointers: tuple[tuple[int, Pointer], ...] = ()
        self.pointers_at = -inf
        self.looked_at: object = None
        self.drawing = False
        self.allowance = Allowance(now)


def people(audience: Audience, peer: Peer) -> dict[str, object]:
    """All of whom a viewer learns, by their numbers; ``you`` is his own, ``may`` his role in the view."""
    mine, found = audience.seating.at(peer), []
    for other, viewer in sorted(audience.viewers.items(), key=lambda one: one[1].number):
        there = audience.seating.at(other)
        here = other == peer or (mine is not None and there is not None and mine[1] is there[1])
        asks = there is not None and there[1].inviting and there[1].lead == other
        if not here and there is not None and isinstance(there[0].view, str) and not (asks and mine is None):
            continue
        told: dict[str, object] = {"n": viewer.number, "name": viewer.name}
        if not viewer.own:
            told["account"] = True
        if there is None or not here:
            told["role"] = "own"
        else:
            place, view = there
            told["role"] = "lead" if view.lead == other else "follow" if place.role >= FOLLOW else "look"
            if other in view.asks:
                told["asks"] = True
        if asks and here:
            told["guides"] = True
        elif asks and mine is None and there is not None:
            told["invites"] = "again" if audience.viewers[peer].number in there[1].declined else "now"
        found.append(told)
    me = audience.viewers[peer]
    return {"you": me.number, "named": not me.own, "may": None if mine is None else mine[0].role, "all": found}


def view_of(audience: Audience, peer: Peer, number: int) -> dict[str, object] | None:
    """A note with what another one sees, for somebody who learns of him; None if there is nothing to see."""
    seen = audience.seen_by(number)
    known = people(audience, peer)["all"]
    assert isinstance(known, list)
    if seen is None or seen[0] is None or number not in [one["n"] for one in known]:
        return None
    return {"seen": number, "camera": seen[0]._asdict(), "look": plain(seen[1])}


class Present:
    """What the viewers of an audience are told of each other, and when."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._told: dict[Peer, _Told] = {}
        self._pointers: dict[Peer, Pointer] = {}
        self._stamp = 0

    def takes(self, peer: Peer, said: Up, now: float) -> bool:
        """A viewer has said something; whether the audience is to hear it."""
        if peer not in self._audience.viewers:
            return True
        match said:
            case At(place):
                self._stamp += 1
                if place is None:
                    self._pointers.pop(peer, None)
                else:
                    self._pointers[peer] = Pointer(place, self._stamp)
            case Drawn():
                self._of(peer, now).drawing = False
            case Wish("taken"):
                pass  # an answer, and as often as it was asked
            case Named() | Wish():
                return self._of(peer, now).allowance.takes(now)
            case _:
                pass
        return True

    def unsaid(self, peer: Peer) -> None:
        """A note did not reach a viewer: it is to be told anew."""
        if (told := self._told.get(peer)) is not None:
            told.version, told.people, told.pointers, told.looked_at, told.drawing = -1, None, (), None, False

    def due(self, now: float) -> list[tuple[Peer, dict[str, object]]]:
        """The notes that are to be sent now."""
        there = self._audience.viewers
        for gone in [*(self._told.keys() - there.keys()), *(self._pointers.keys() - there.keys())]:
            self._told.pop(gone, None)
            self._pointers.pop(gone, None)
            self._stamp += 1
        found: list[tuple[Peer, dict[str, object]]] = []
        for peer in there:
            told = self._of(peer, now)
            if told.version != self._audience.seating.version and now >= told.people_at + PEOPLE_S:
                told.version = self._audience.seating.version
                news = people(self._audience, peer)
                if news != told.people:
                    told.people, told.people_at = news, now
                    found.append((peer, {"people": news}))
            if self._pointers_at(told) <= now:
                told.looked_at = self._news
                seen = self._seen(peer)
                if seen != told.pointers:
                    told.pointers, told.pointers_at, told.drawing = seen, now, True
                    spots = [[number, *map(_short, pointer.place)] for number, pointer in seen]
                    found.append((peer, {"pointers": spots}))
        return found

    def deadline(self, now: float) -> float:
        """When there will be something to send; infinity if nothing is known of."""
        moments = [inf]
        for peer in self._audience.viewers:
            told = self._of(peer, now)
            if told.version != self._audience.seating.version:
                moments.append(told.people_at + PEOPLE_S)
            moments.append(self._pointers_at(told))
        return min(moments)

    # ------------------------------------------------------------------ inside

    def _of(self, peer: Peer, now: float) -> _Told:
        found = self._told.get(peer)
        if found is None:
            found = self._told[peer] = _Told(now)
        return found

    @property
    def _news(self) -> tuple[int, int]:
        """Something else whenever anybody may have to be told of other pointers."""
        return self._stamp, self._audience.seating.version

    def _pointers_at(self, told: _Told) -> float:
        """When it is to be looked whether a viewer has to be told of other pointers; infinity if that is known."""
        if told.looked_at == self._news or not (self._pointers or told.pointers):
            return inf
        return told.pointers_at + (GIVEN_UP_S if told.drawing else POINTERS_S)

    def _seen(self, peer: Peer) -> tuple[tuple[int, Pointer], ...]:
        """Where the others of a view point, the newest ones."""
        viewers = self._audience.viewers
        there = [
            (viewers[one].number, self._pointers[one])
            for one in self._audience.together(peer)
            if one != peer and one in self._pointers
        ]
        newest = sorted(there, key=lambda one: one[1].stamp)[-MOST_POINTERS:]
        return tuple(sorted(newest))


def _short(share: float) -> float:
    return round(share, 4)
