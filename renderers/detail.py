"""How much is drawn while the camera moves: all of it if that is quick enough, else the coarse surfaces.  Pure.

What a whole picture costs is known from those that were drawn, stills among them; what the coarse one saves is known
once it was drawn.  A scene that has grown since counts for as much more.
"""

from __future__ import annotations

BUDGET_S = 0.033
"""A picture of a moving camera may take so long."""
LEAVES = 0.75
"""Whole pictures come back when one would take less than this part of the budget: no flicker."""
WEIGHT = 0.4
"""Of a new time among earlier ones."""
FULL, COARSE = 0, 1


class Detail:
    """What pictures of each level have cost, and from that the level of the next one."""

    def __init__(self, budget_s: float = BUDGET_S) -> None:
        self._budget_s = budget_s
        self._full_s: float | None = None
        self._triangles = 0
        self.level = FULL
        """That of a moving picture."""

    def drew(self, level: int, seconds: float, triangles: int) -> None:
        """A picture has been drawn; ``triangles`` are those of the whole scene.

        The first picture after a change also carries the new geometry to the graphics card, so a single long one
        moves the mean by a part only.
        """
        if level != FULL:
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

    def _expected(self, triangles: int) -> float | None:
        if self._full_s is None:
            return None
        return self._full_s * max(1.0, triangles / max(self._triangles, 1)) if self._triangles else self._full_s
