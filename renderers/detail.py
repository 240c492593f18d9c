"""How much is drawn while the camera moves: all of it if that is quick enough, else the coarse surfaces.  Pure.

What a whole picture costs is known from those that were drawn, stills among them; what the coarse one saves is known
once it was drawn.  A scene that has grown since counts for as much more.  Where coarse surfaces are slow as well, which
without a graphics card is the pixels' fault, there are fewer of those.
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
SHARES = 1.0, 0.75, 0.5
"""Of the resolution each way, for coarse pictures."""
SLOW_S = BUDGET_S, 0.034
"""A coarse picture that takes longer than that is followed by ones of the next share."""
BACK = 0.75
"""Until one of the share before takes less than this part of it."""
PATIENCE, LONGEST_PATIENCE = 60, 1920
"""After so many pictures one of the share before is tried; twice as many after each that was slow."""
SOONER = 12
"""So much sooner where it will be quick, by what those take that are drawn."""


class Detail:
    """What pictures of each level have cost, and from that the level of the next one."""

    def __init__(self, budget_s: float = BUDGET_S) -> None:
        self._budget_s = budget_s
        self._full_s: float | None = None
        self._triangles = 0
        self._coarse: deque[float] = deque(maxlen=3)
        self._rung, self._since, self._patience, self._trying = 0, 0, PATIENCE, False
        self.level = FULL
        """That of a moving picture."""

    @property
    def share(self) -> float:
        """Of the resolution each way, for a moving picture."""
        return SHARES[self._rung - self._trying]

    def drew(self, level: int, seconds: float, triangles: int, *, share: float = 1.0) -> None:
        """A picture has been drawn; ``triangles`` are those of the whole scene.

        The first picture after a change also carries the new geometry to the graphics card, so a single long one
        moves the mean by a part only.
        """
        if level != FULL:
            if share == self.share:  # a thin link may have wanted another one
                self._drew_coarse(seconds)
            return
        if share < 1:
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

    def _drew_coarse(self, seconds: float) -> None:
        """Down after three slow pictures; each so often, one of the share before shows whether it may be that again."""
        if self._trying:
            self._trying = False
            if seconds > BACK * SLOW_S[self._rung - 1]:
                self._patience = min(LONGEST_PATIENCE, 2 * self._patience)
            else:
                self._step(-1)
            return
        self._coarse.append(seconds)
        settled = len(self._coarse) == self._coarse.maxlen
        if settled and self._rung < len(SLOW_S) and min(self._coarse) > SLOW_S[self._rung]:
            self._step(+1)
        elif self._rung > 0:
            self._since += 1
            longer = (SHARES[self._rung - 1] / SHARES[self._rung]) ** 2
            quick = longer * seconds < BACK * SLOW_S[self._rung - 1]
            if self._since >= (self._patience // SOONER if quick else self._patience):
                self._trying, self._since = True, 0

    def _step(self, by: int) -> None:
        self._rung += by
        self._since, self._patience = 0, PATIENCE
        self._coarse.clear()

    def _expected(self, triangles: int) -> float | None:
        if self._full_s is None:
            return None
        return self._full_s * max(1.0, triangles / max(self._triangles, 1)) if self._triangles else self._full_s
