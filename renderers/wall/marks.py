"""How far the foremost seat was, and since when: what tells for how long another one has been behind.  Pure."""

from __future__ import annotations

from collections import deque
from math import inf

MOST_MARKS = 1024


class Marks:
    """Positions in one log, rising, each with the time at which it was reached."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, float]] = deque(maxlen=MOST_MARKS)

    def foremost(self, reached: int, now: float) -> None:
        """So far the foremost live seat is; less than before, if who was foremost is not live any more."""
        while self._marks and self._marks[-1][0] > reached:
            self._marks.pop()
        if reached >= 0 and (not self._marks or reached > self._marks[-1][0]):
            self._marks.append((reached, now))

    def left(self, reached: int) -> float:
        """When the foremost left this position behind; infinite if it has not."""
        return next((at for number, at in self._marks if number > reached), inf)

    def forget(self, lowest: int) -> None:
        """Nobody is behind this position."""
        while self._marks and self._marks[0][0] <= lowest and len(self._marks) > 1:
            self._marks.popleft()

    def clear(self) -> None:
        """Another log begins."""
        self._marks.clear()
