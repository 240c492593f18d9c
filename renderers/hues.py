"""Neighbours that do not share a colour: an object steps aside if one of smaller id beside it has its hue.

An object's own colour follows from its id alone.  Where two objects come within two voxels of each other, the
one with the larger id takes the next hue that none of its smaller neighbours has.  So the colours follow from
which objects there are and which of them are near, not from the order in which that became known: all screens
at the same position of the log agree.  Few objects ever step aside, and the page is told which (``turns``).
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from streamer.wire.codec import Labels
from streamer.wire.colour import HUES, STEP, hue_of

Pairs = NDArray[np.uint32]
NOWHERE = np.uint32(0xFFFFFFFF)
APART: Pairs = np.zeros((0, 2), np.uint32)


def near(block: Labels, components: int) -> Pairs:
    """Pairs of labels, (n, 2), the smaller first, that lie within 3 × 3 × 3 voxels of a block somewhere.

    Of three labels in one such place only the least and the greatest count as a pair.
    """
    if components < 2:
        return APART
    most, least = block, np.where(block == 0, NOWHERE, block)
    for axis in range(3):
        most, least = _along(most, axis, np.maximum), _along(least, axis, np.minimum)
    mixed = (most != 0) & (most != least)
    if not mixed.any():
        return APART
    both = np.unique(least[mixed].astype(np.uint64) << np.uint64(32) | most[mixed])
    return np.stack([both >> np.uint64(32), both & np.uint64(NOWHERE)], axis=1).astype(np.uint32)


def _along(values: Labels, axis: int, pick: np.ufunc) -> Labels:
    """The pick of each voxel and the two beside it along an axis."""
    lines = np.moveaxis(values, axis, 0)
    found = lines.copy()
    pick(found[1:], lines[:-1], out=found[1:])
    pick(found[:-1], lines[1:], out=found[:-1])
    return np.moveaxis(found, 0, axis)


class Hues:
    """Which objects are near which, and how far each has stepped aside."""

    def __init__(self) -> None:
        self._beside: dict[int, set[int]] = {}
        self.turns: dict[int, int] = {}
        """Of the objects that have stepped aside, by how many steps."""
        self._dirty: set[int] = set()

    def meet(self, pairs: Iterable[tuple[int, int]]) -> None:
        """These objects are near each other."""
        for one, other in pairs:
            if one == other or other in self._beside.get(one, ()):
                continue
            self._beside.setdefault(one, set()).add(other)
            self._beside.setdefault(other, set()).add(one)
            self._dirty.add(max(one, other))

    def merge(self, root: int, gone: int) -> None:
        """Two objects are one."""
        others = self._beside.pop(gone, None)
        self.turns.pop(gone, None)
        self._dirty.discard(gone)
        if others is None:
            return
        for other in others:
            self._beside[other].discard(gone)
            if other != root:
                self._beside[other].add(root)
                self._beside.setdefault(root, set()).add(other)
            self._dirty.add(other)
        self._dirty.add(root)

    def settle(self) -> set[int]:
        """Lets those step aside that have to; returns the objects whose colour has changed."""
        changed = set()
        waiting = list(self._dirty)
        self._dirty.clear()
        heapify(waiting)
        done = -1
        while waiting:
            mine = heappop(waiting)
            if mine == done:
                continue
            done = mine
            beside = self._beside.get(mine, set())
            taken = {(hue_of(other) + STEP * self.turns.get(other, 0)) % len(HUES) for other in beside if other < mine}
            turn = _aside(hue_of(mine), taken)
            if turn == self.turns.get(mine, 0):
                continue
            self.turns[mine] = turn
            if not turn:
                del self.turns[mine]
            changed.add(mine)
            for other in beside:
                if other > mine:
                    heappush(waiting, other)
        return changed


def _aside(hue: int, taken: set[int]) -> int:
    """The fewest steps to a hue that none of the others has; 0 if there is none."""
    return next((turn for turn in range(len(HUES)) if (hue + STEP * turn) % len(HUES) not in taken), 0)
