"""Time that runs: the cursor goes from step to step by itself, begins anew at the end, or follows what comes.  Pure.

A view whose time is None shows the newest step with data: that is *live*.  Whoever sets another time while it runs
is followed: it goes on from there.
"""

from __future__ import annotations

from math import floor, inf

import msgspec

from streamer.wire.viewing import View

STEPS_PER_S = 4.0
SLOWEST, FASTEST = 1 / 16, 64.0
"""Steps per second."""


class Reel:
    """The running of time at one wall."""

    def __init__(self) -> None:
        self.playing = False
        self.steps_per_s = STEPS_PER_S
        self.loop = True
        """At the end time begins anew; else it stops there."""
        self._from = 0.0
        self._since = 0.0
        self._mine: float | None = None
        """The time that it has set last."""

    def play(self, view: View, now: float, last: float) -> View:
        """Begins to run from where the view stands; from the beginning, where that is the end or live."""
        self.playing = True
        start = 0.0 if view.time is None or view.time >= last else float(floor(view.time))
        return self._anchored(view, start, now)

    def pause(self) -> None:
        """Stays where it is."""
        self.playing = False

    def pace(self, steps_per_s: float, view: View, now: float) -> None:
        """Runs so fast from now on."""
        self.steps_per_s = min(FASTEST, max(SLOWEST, abs(steps_per_s)))
        if self.playing and view.time is not None:
            self._anchored(view, view.time, now)

    def run(self, view: View, now: float, last: float) -> View:
        """The view as it is at ``now``; ``last`` is the volume's last step."""
        if not self.playing:
            return view
        if view.time != self._mine:
            # Somebody has set it.
            view = self._anchored(view, view.time if view.time is not None else 0.0, now)
        passed = floor(max(0.0, now - self._since) * self.steps_per_s + 1e-6)
        time = self._from + passed
        if time > last:
            if not self.loop or last <= 0:
                self.playing = False
                time = last
            else:
                return self._anchored(view, (time - last - 1) % (last + 1), now)
        if time == view.time:
            return view
        self._mine = time
        return msgspec.structs.replace(view, time=time)

    def deadline(self) -> float:
        """When ``run`` has something new."""
        if not self.playing or self._mine is None:
            return inf
        return self._since + (self._mine - self._from + 1) / self.steps_per_s

    def _anchored(self, view: View, start: float, now: float) -> View:
        self._from, self._since, self._mine = start, now, start
        return view if view.time == start else msgspec.structs.replace(view, time=start)


def stepped(view: View, by: int, last: float) -> View:
    """The cursor some steps on, by hand: whole steps, from the first to the last."""
    start = last if view.time is None else float(floor(view.time + 0.5))
    return msgspec.structs.replace(view, time=min(last, max(0.0, start + by)))


def live(view: View) -> View:
    """The view that follows the newest step."""
    return msgspec.structs.replace(view, time=None)
