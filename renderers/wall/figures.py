"""A wall in figures: what the conductor counts and what its tiles report, kept for the last thousand of each.  Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from math import inf, isfinite

import msgspec
import numpy as np

from renderers.wall.barrier import Barrier
from renderers.wall.records import Wall
from renderers.wall.track.poses import Figures
from renderers.wall.track.sensed import SourceState
from streamer.wire.conducting import Spread as Spread

KEPT = 1024
OPEN_FRAMES = 8


class Heard(msgspec.Struct, frozen=True):
    """What comes of the trackers."""

    sources: tuple[SourceState, ...] = ()
    head: Figures | None = None
    """None: the wall has no trackers."""
    unrecorded: int = 0
    """Records that should have been recorded and were not: the disk is full, or too slow."""


class WallFigures(msgspec.Struct, frozen=True):
    """All of it, at one moment."""

    wall: str
    frames: int
    rate_hz: float
    """Frames shown in the last second."""
    position: int
    seats: int
    live: int
    stale: tuple[str, ...]
    """Tiles that do not show what the wall shows."""
    evictions_late: int
    evictions_stale: int
    deaths: int
    rejoins: int
    missed_shows: int
    draw_to_show: Spread
    ready_spread: Spread
    show_skew: dict[str, Spread]
    """By tile: behind the first tile that showed the frame."""
    skew: Spread
    """Between the first and the last tile of each frame."""
    sensor_to_draw: Spread
    sensor_to_show: Spread
    chunk_to_show: Spread
    heard: Heard = Heard()


class Times:
    """The last KEPT of some times."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=KEPT)
        self._count = 0

    def add(self, seconds: float) -> None:
        """One more."""
        self._times.append(seconds)
        self._count += 1

    def spread(self) -> Spread:
        """How they are distributed."""
        if not self._times:
            return Spread()
        p50, p99, longest = np.percentile(np.array(self._times), [50, 99, 100]).tolist()
        return Spread(self._count, p50, p99, longest)


class WallTally:
    """Puts together what the tiles report."""

    def __init__(self) -> None:
        self.draw_to_show, self.ready_spread = Times(), Times()
        self.sensor_to_draw, self.sensor_to_show, self.chunk_to_show = Times(), Times(), Times()
        self.skew = Times()
        self.tiles: dict[str, Times] = {}
        self.missed_shows = 0
        self._frames: OrderedDict[int, list[tuple[str, float]]] = OrderedDict()
        self._expected: dict[int, int] = {}
        self._sensed: dict[int, float] = {}
        self._shows: deque[float] = deque(maxlen=KEPT)

    def show(self, frame: int, tiles: int, sensed_at: float, now: float) -> None:
        """A frame is shown by so many tiles; ``sensed_at`` is 0 unless it is the first with that measurement."""
        self._shows.append(now)
        self._frames[frame], self._expected[frame] = [], tiles
        if sensed_at:
            self._sensed[frame] = sensed_at
        while len(self._frames) > OPEN_FRAMES:
            self._close(next(iter(self._frames)))

    def shown(self, frame: int, tiles: Iterable[tuple[str, float]], arrived_s: float) -> None:
        """A seat reports when its tiles showed it; times that are none are passed over."""
        if 0 <= arrived_s < inf:
            self.chunk_to_show.add(arrived_s)
        there = self._frames.get(frame)
        if there is None:
            return
        there.extend((name, at) for name, at in tiles if isfinite(at))
        if len(there) >= self._expected[frame]:
            self._close(frame)

    def rate_hz(self, now: float) -> float:
        """Frames shown in the last second."""
        return float(sum(at > now - 1.0 for at in self._shows))

    def _close(self, frame: int) -> None:
        there, expected = self._frames.pop(frame), self._expected.pop(frame)
        sensed = self._sensed.pop(frame, 0.0)
        self.missed_shows += max(0, expected - len(there))
        if not there:
            return
        first, last = min(at for _, at in there), max(at for _, at in there)
        self.skew.add(last - first)
        for name, at in there:
            self.tiles.setdefault(name, Times()).add(at - first)
        if sensed:
            self.sensor_to_show.add(last - sensed)


def wall_figures(
    wall: Wall, seats: Mapping[str, tuple[str, ...]], barrier: Barrier, tally: WallTally, heard: Heard, now: float
) -> WallFigures:
    """The figures of a wall; ``seats`` are the tiles of each process that it may have."""
    counts, states = barrier.counts, barrier.states()
    live = {tile for name, state in states.items() if state == "live" for tile in seats[name]}
    return WallFigures(
        wall=wall.name,
        frames=counts["frames"],
        rate_hz=tally.rate_hz(now),
        position=barrier.position,
        seats=len(states),
        live=sum(state == "live" for state in states.values()),
        stale=tuple(tile.name for tile in wall.tiles if tile.name not in live),
        evictions_late=counts["evictions_late"],
        evictions_stale=counts["evictions_stale"],
        deaths=counts["deaths"],
        rejoins=counts["rejoins"],
        missed_shows=tally.missed_shows,
        draw_to_show=tally.draw_to_show.spread(),
        ready_spread=tally.ready_spread.spread(),
        show_skew={name: times.spread() for name, times in sorted(tally.tiles.items())},
        skew=tally.skew.spread(),
        sensor_to_draw=tally.sensor_to_draw.spread(),
        sensor_to_show=tally.sensor_to_show.spread(),
        chunk_to_show=tally.chunk_to_show.spread(),
        heard=heard,
    )
