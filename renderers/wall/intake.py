"""The run's log as it comes to a process of a wall: followed, held until the wall gets to it, put on the stage."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

import zmq

from renderers.feed import Arrived, Event, FeedLine, Started
from renderers.geometry import room_of
from renderers.wall.held import Due, Held
from renderers.wall.messages import Reach, Run
from streamer.wire.keys import Keys

SLICE_S = 0.02
"""Time for what has come before the conductor is listened to again; one entry at least."""


class Intake:
    """One process's line to the log.  All calls come from the thread that draws."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        name: str,
        keys: Keys | None,
        poller: zmq.Poller,
        happen: Callable[[Event, float], object],
    ) -> None:
        """``poller`` wakes when something has come; ``happen`` puts an entry on the stage."""
        self._context, self._name, self._keys, self._poller = context, name, keys, poller
        self._happen = happen
        self._held = Held()
        self._line: FeedLine | None = None
        self._follows = ""
        self._oldest = inf
        """When the oldest entry came that is on the stage and has not been shown."""
        self.run: Run | None = None
        """What is known of the run that is followed."""

    def follow(self, address: str) -> None:
        """Follows the run's log, from now on there; empty: nowhere."""
        if address == self._follows:
            return
        self.stop()
        self._follows = address
        if address:
            self._line = FeedLine(self._context, address, f"tile {self._name}"[:64], self._keys)
            self._poller.register(self._line.wake.fileno(), zmq.POLLIN)
            self._line.start()

    @property
    def waiting(self) -> bool:
        """Whether more has come than was taken."""
        return self._line is not None and bool(self._line.waiting)

    def take(self) -> list[Run]:
        """Takes what has come of the log, for a while; returns the runs that have begun."""
        begun: list[Run] = []
        if self._line is None:
            return begun
        self._line.wake.hush()
        until = time.monotonic() + SLICE_S
        while (event := self._line.take()) is not None:
            now = time.monotonic()
            if isinstance(event, Started):
                for gone in self._held.dropped():
                    self._line.used(gone)
                x, y, z = (float(half) for half in room_of(event.spec.volume).half)
                self.run = Run(event.epoch, event.spec.grid.shape[0], (x, y, z))
                begun.append(self.run)
            self._stage(self._held.hold(event, now))
            if time.monotonic() >= until:
                break
        return begun

    def reach(self) -> tuple[Reach, ...]:
        """The positions that can be drawn."""
        return self._held.reach()

    def can(self, epoch: str, position: int) -> bool:
        """Whether this position of this log can be drawn."""
        return epoch == self._held.epoch and self._held.floor <= position <= self._held.reached

    def advance(self, epoch: str, position: int) -> None:
        """Puts on the stage what the wall has got to."""
        self._stage(self._held.upto(epoch, position))

    def shown(self) -> float:
        """The stage is on the screen.  For how long its oldest new entry had been here; −1: nothing is new."""
        arrived_s = time.monotonic() - self._oldest if self._oldest < inf else -1.0
        self._oldest = inf
        return arrived_s

    def stop(self) -> None:
        """Follows no log any more."""
        if self._line is not None:
            self._poller.unregister(self._line.wake.fileno())
            self._line.stop()
        self._line = None

    def _stage(self, due: list[Due]) -> None:
        for event, came in due:
            self._happen(event, time.monotonic())
            if isinstance(event, Arrived):
                if self._line is not None:
                    self._line.used(event)
                self._oldest = min(self._oldest, came)
