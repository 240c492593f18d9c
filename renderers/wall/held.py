"""Entries that have come and wait until the wall gets to them.  Pure.

A scene cannot go back, so an entry is carried out only when the conductor names a position beyond it.  What
waits here is not given back as credit, so the streamer sends no more than a window's worth.  When the streamer has
another log, that waits as well, until the wall goes over to it.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from renderers.feed import Arrived, Event, Started, There, Told
from renderers.wall.messages import Reach


class Due(NamedTuple):
    """An event to be carried out now, and when it came."""

    event: Event
    came: float


class _Log:
    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.waiting: deque[tuple[Event, float]] = deque()
        self.floor = 0
        """As far as it has been carried out."""
        self.reached = 0
        self.missing: set[int] = set()
        """Of the present state, what has not come yet."""
        self.early: deque[tuple[Event, float]] = deque()
        """Entries of the present state, and what is said before them: carried out at once, nothing is shown before."""


class Held:
    """What a process has got of the run's log."""

    def __init__(self) -> None:
        self._logs: deque[_Log] = deque([_Log("")])

    def hold(self, event: Event, now: float) -> list[Due]:
        """Something has come; returns what can be carried out at once."""
        match event:
            case Started():
                # Of several logs that nobody got to, the newest counts.
                while len(self._logs) > 1:
                    self._logs.pop()
                log = _Log(event.epoch)
                log.early.append((event, now))
                self._logs.append(log)
            case There(present):
                log = self._logs[-1]
                log.early.append((event, now))
                log.reached = log.floor = present.head
                log.missing = set(present.numbers.tolist())
            case Arrived(number=number, fetched=True):
                log = self._logs[-1]
                log.missing.discard(number)
                if log is self._logs[0]:
                    return [Due(event, now)]  # a wall that shows it has waited for it, or it came late
                log.early.append((event, now))
            case Arrived(number=number):
                log = self._logs[-1]
                log.waiting.append((event, now))
                log.reached = max(log.reached, number + 1)
            case Told():
                return [Due(event, now)]
        return self._unseen()

    def _unseen(self) -> list[Due]:
        """The present state of a run where nothing has been shown yet can be built at once: it takes long."""
        return []

    def upto(self, epoch: str, position: int) -> list[Due]:
        """What is to be carried out so that all entries before ``position`` are; the rest stays."""
        due: list[Due] = []
        while len(self._logs) > 1 and self._logs[0].epoch != epoch:
            self._logs.popleft()
        log = self._logs[0]
        if log.epoch != epoch:
            return due
        while log.early:
            due.append(Due(*log.early.popleft()))
        while log.waiting:
            event, came = log.waiting[0]
            if isinstance(event, Arrived) and event.number >= position:
                break
            log.waiting.popleft()
            due.append(Due(event, came))
        log.floor = max(log.floor, min(position, log.reached))
        return due

    def reach(self) -> tuple[Reach, ...]:
        """What can be drawn, the newest log last.  One whose present state has not come yet cannot."""
        return tuple(
            Reach(log.epoch, log.floor, log.reached) for log in self._logs if not log.missing or log is self._logs[0]
        )
