"""How much is drawn while the camera moves: all of it if that is quick enough, else the coarse surfaces.  Pure.

What a whole picture costs is known from those that were drawn, stills among them; what the coarse one saves is known
once it was drawn.  A scene that has grown since counts for as much more.
"""

from __future__ import annotations

from collections import deque

BUDGET_S = 0.016
"""A picture of a moving camera may take so long."""
LEAVES = 0.75
"""Whole pictures come back when one would take less than this part of the budget: no flicker."""
WEIGHT = 0.4
"""Of a new time among earlier ones."""
FULL, COARSE = 0, 1
SLOW_S = 0.060
"""A coarse picture that takes longer is drawn at half the resolution too."""
BACK = 0.75
"""Until one of the whole resolution takes less than this part of it."""
QUARTER = 4
"""So much longer does the whole resolution take at most."""
PATIENCE, LONGEST_PATIENCE = 60, 1920
"""After so many pictures of half the resolution one of the whole is tried; twice as many after each that was slow."""
SOONER = 12
"""So much sooner where it will be quick, by what one of half the resolution takes."""


class Detail:
    """What pictures of each level have cost, and from that the level of the next one."""

    def __init__(self, budget_s: float = BUDGET_S) -> None:
        self._budget_s = budget_s
        self._full_s: float | None = None
        self._triangles = 0
        self._coarse: deque[float] = deque(maxlen=3)
        self._halves, self._patience, self._trying = 0, PATIENCE, False
        self.level = FULL
        """That of a moving picture."""
        self.half = False
        """Whether a moving picture has half the resolution each way."""

    def drew(self, level: int, seconds: float, triangles: int, *, half: bool = False) -> None:
        """A picture has been drawn; ``triangles`` are those of the whole scene.

        The first picture after a change also carries the new geometry to the graphics card, so a single long one
        moves the mean by a part only.
        """
        if level != FULL:
            self._drew_coarse(seconds, half=half)
            return
        if half:
            return
        before = self._expected(triangles)
        self._full_s = seconds if before is None else (1 - WEIGHT) * before + WEIGHT * seconds
        self._triangles = triangles

    def of(self, *, moving: bool, triangles: int) -> int:
        """The level of the next picture."""
        if not moving:
            return FULL
        expected = self._expected(triangles)
        if expected is None:
            return self.level
        limit = self._budget_s if self.level == FULL else LEAVES * self._budget_s
        self.level = COARSE if expected > limit else FULL
        return self.level

    def _drew_coarse(self, seconds: float, *, half: bool) -> None:
        """Half the resolution begins after three slow pictures; each so often, one of the whole shows if it may end."""
        if half:
            self._halves += 1
            quick = QUARTER * seconds < BACK * SLOW_S
            if self._halves >= (self._patience // SOONER if quick else self._patience):
                self.half, self._halves = False, 0
                self._trying = True
            return
        if self._trying:
            self._trying = False
            if seconds > BACK * SLOW_S:
                self.half, self._patience = True, min(LONGEST_PATIENCE, 2 * self._patience)
                return
            self._patience = PATIENCE
            self._coarse.clear()
        self._coarse.append(seconds)
        self.half = len(self._coarse) == self._coarse.maxlen and min(self._coarse) > SLOW_S

    def _expected(self, triangles: int) -> float | None:
        if self._full_s is None:
            return None
        return self._full_s * max(1.0, triangles / max(self._triangles, 1)) if self._triangles else self._full_s
