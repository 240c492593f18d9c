"""Entries that have come and wait until the wall gets to them.

A scene cannot go back, so an entry is carried out only when the conductor names a position beyond it.  What waits
here is not given back as credit, so the streamer sends no more than a window's worth.  A late comer carries out all
that comes until the present state is whole; before that it can draw nothing, so nobody waits for it.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from renderers.feed import Arrived, Event, Started, There
from renderers.wall.messages import Reach


class Due(NamedTuple):
    """An event to be carried out now, and when it came."""

    event: Event
    came: float


class Held:
    """What a process has got of the run's log."""

    def __init__(self) -> None:
        self.epoch = ""
        self.floor = 0
        """So far entries have been carried out."""
        self.reached = 0
        """So far they have come."""
        self._missing: set[int] = set()
        self._waiting: deque[tuple[Arrived, float]] = deque()

    def hold(self, event: Event, now: float) -> list[Due]:
        """Something has come; returns what is to be carried out at once, in order."""
        match event:
            case Started():
                self.epoch, self.floor, self.reached = event.epoch, 0, 0
                self._missing.clear()  # and see ``dropped``
            case There(present):
                self.floor = self.reached = present.head
                self._missing = set(present.numbers.tolist())
            case Arrived(number=number, fetched=True, piece=piece):
                if piece is None or not piece.level:  # a coarse one stands in for it only
                    self._missing.discard(number)
            case Arrived(number=number):
                self.reached = number + 1
                if event.kind == "evicted" and event.piece is None:
                    self._missing.add(number)  # its labels have left the log, and come by another way
                if not self._missing:
                    self._waiting.append((event, now))
                    return []
                # It would take the room that what is missing needs; and so would what waits before it.
                self.floor = self.reached
                before = [Due(*waiting) for waiting in self._waiting]
                self._waiting.clear()
                return [*before, Due(event, now)]
            case _:
                pass
        return [Due(event, now)]

    def upto(self, epoch: str, position: int) -> list[Due]:
        """What is to be carried out so that all entries before ``position`` are; the rest stays."""
        due: list[Due] = []
        if epoch != self.epoch:
            return due
        while self._waiting and self._waiting[0][0].number < position:
            due.append(Due(*self._waiting.popleft()))
        self.floor = max(self.floor, min(position, self.reached))
        return due

    def dropped(self) -> list[Arrived]:
        """What waits and will not be carried out, because another log begins; to be given back as credit."""
        gone = [event for event, _ in self._waiting]
        self._waiting.clear()
        return gone

    @property
    def whole(self) -> bool:
        """Whether nothing of the present state is missing."""
        return not self._missing

    @property
    def waiting(self) -> int:
        """Entries that wait."""
        return len(self._waiting)

    def reach(self) -> tuple[Reach, ...]:
        """What can be drawn."""
        return () if self._missing else (Reach(self.epoch, self.floor, self.reached),)
