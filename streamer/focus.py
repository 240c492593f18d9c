"""Where people look, and which chunks are near it: the order in which leases go out while somebody looks.

A focus is a point in the volume, said by a view; it lapses when its sender goes or does not repeat it.
Distance is counted in chunks, around a periodic axis the shorter way, to the nearest focus.  The pending
chunks are sorted afresh when a focus has moved, a few times a second at most; between that, a lease costs
the same however many chunks there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray

from streamer.wire.grid import Grid
from streamer.wire.messages import Focus
from streamer.wire.status import PENDING

LASTS_S = 120.0
"""A focus that is not repeated for so long lapses."""
VIEWS = 64
"""Views of one sender."""
COUNTED = 16
"""The foci that moved last are those that count."""
SORT_S = 0.25
"""A moved focus is looked at no sooner than so long after the last one."""
NEAREST = 2048
"""Chunks that are sorted at a time."""

Tried = frozenset[bytes]
"""The workers that failed on a chunk."""
NOBODY: Tried = frozenset()


class Foci:
    """Who looks where."""

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._foci: dict[tuple[bytes, int], tuple[Focus, float]] = {}
        self.version = 0
        """Counts what has changed."""

    def say(self, peer: bytes, focus: Focus, now: float) -> bool:
        """A view looks somewhere, or no more; returns whether that is news.  What is no place is passed over."""
        numbers = (focus.z, focus.y, focus.x, focus.weight)
        if not all(isfinite(n) and abs(n) < 1e12 for n in numbers) or not 0 <= focus.view < VIEWS:
            return False
        key = peer, focus.view
        before = self._foci.pop(key, None)
        if focus.weight > 0:
            self._foci[key] = focus, now + LASTS_S
            if len(self._foci) > self._most:
                del self._foci[next(iter(self._foci))]
        news = (None if before is None else before[0]) != (focus if focus.weight > 0 else None)
        self.version += news
        return news

    def forget(self, peer: bytes) -> None:
        """A sender has gone."""
        for key in [key for key in self._foci if key[0] == peer]:
            del self._foci[key]
            self.version += 1

    def lapse(self, now: float) -> None:
        """Lets go of what was not repeated."""
        for key in [key for key, (_, until) in self._foci.items() if until <= now]:
            del self._foci[key]
            self.version += 1

    @property
    def points(self) -> list[Focus]:
        """Those that count, the newest last."""
        return [focus for focus, _ in list(self._foci.values())[-COUNTED:]]


class Order:
    """Pending chunks, the nearest first.  Without a focus it has none to give."""

    def __init__(self, grid: Grid, foci: Foci) -> None:
        self._grid, self._foci = grid, foci
        self._distance: NDArray[np.float64] | None = None
        self._sorted_at = -inf
        self._version = 0
        self._heaps: dict[Tried, list[tuple[float, int]]] = {}
        self._returns = 0
        self._whole = False
        """Whether all pending chunks are in the heaps, not only the nearest."""

    def back(self, chunk: int, tried: Tried) -> None:
        """A chunk is pending again."""
        if self._distance is not None:
            heappush(self._heaps.setdefault(tried, []), (float(self._distance[chunk]), chunk))
            self._returns += 1
            if self._returns > 64 + 2 * len(self._distance):
                # What went out by another order is still among them; it may not gather for ever.
                self._heaps, self._whole, self._returns = {}, False, 0

    def take(
        self, states: bytearray, tried: Mapping[int, tuple[bytes, ...]], may: Callable[[Tried], bool], now: float
    ) -> int | None:
        """The nearest pending chunk of those groups that ``may`` allows, or None: then another order counts."""
        self._refresh(states, tried, now)
        if self._distance is None:
            return None
        while True:
            best: list[tuple[float, int]] | None = None
            for group, heap in list(self._heaps.items()):
                while heap and (states[heap[0][1]] != PENDING or frozenset(tried.get(heap[0][1], ())) != group):
                    heappop(heap)
                if not heap:
                    del self._heaps[group]
                elif may(group) and (best is None or heap[0] < best[0]):
                    best = heap
            if best is not None:
                return heappop(best)[1]
            if self._whole or self._heaps:
                return None
            self._sort(states, tried)

    def _refresh(self, states: bytearray, tried: Mapping[int, tuple[bytes, ...]], now: float) -> None:
        """Looks where people look now, if that has changed and is not too soon."""
        if self._version == self._foci.version:
            return
        points = self._foci.points
        if not points:
            self._distance, self._version = None, self._foci.version
            self._heaps.clear()
            return
        if self._distance is not None and now - self._sorted_at < SORT_S:
            return
        self._version, self._sorted_at = self._foci.version, now
        self._distance = nearness(self._grid, points)
        self._sort(states, tried)

    def _sort(self, states: bytearray, tried: Mapping[int, tuple[bytes, ...]]) -> None:
        assert self._distance is not None
        pending = np.flatnonzero(np.frombuffer(bytes(states), "u1") == PENDING)
        far = self._distance[pending]
        self._whole = len(pending) <= NEAREST
        if not self._whole:
            near = np.argpartition(far, NEAREST)[:NEAREST]
            pending, far = pending[near], far[near]
        rows = list(zip(far.tolist(), pending.tolist(), strict=True))
        self._heaps = {}
        for row in rows:
            group = frozenset(tried[row[1]]) if row[1] in tried else NOBODY
            self._heaps.setdefault(group, []).append(row)
        for heap in self._heaps.values():
            heapify(heap)


def nearness(grid: Grid, points: list[Focus]) -> NDArray[np.float64]:
    """Of each chunk the squared distance in chunks to the nearest point, divided by its squared weight; (chunks,)."""
    best: NDArray[np.float64] | None = None
    for point in points:
        squares = []
        for at, side, count, n, wraps in zip(
            (point.z, point.y, point.x), grid.chunk, grid.counts, grid.shape, grid.periodic, strict=True
        ):
            middles = np.minimum(np.arange(count) * side + side / 2, n)
            away = np.abs(middles - at)
            if wraps:
                away %= n
                away = np.minimum(away, n - away)
            squares.append((away / side) ** 2)
        z, y, x = squares
        far = (z[:, None, None] + y[None, :, None] + x[None, None, :]).ravel() / point.weight**2
        best = far if best is None else np.minimum(best, far)
    assert best is not None, "there is a point"
    return np.asarray(best, np.float64)
