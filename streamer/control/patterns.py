"""The test patterns on walls that show no run: one at a time on each, ended when the wall is to show something else."""

from __future__ import annotations

from collections.abc import Coroutine

from streamer.control.showing import Pattern


class Patterns:
    """Those that are shown now, by the names of their walls."""

    def __init__(self) -> None:
        self._shown: dict[str, Pattern] = {}

    def show(self, wall: str, pattern: Pattern, seconds: float) -> Coroutine[None, None, None]:
        """Shows a pattern for so long: the work of that, which is to be done in a task."""
        self._shown[wall] = pattern
        return self._show(wall, pattern, seconds)

    async def end(self, wall: str) -> None:
        """The pattern on a wall, if there is one, is ended; when it returns, nothing of it is left."""
        if (pattern := self._shown.get(wall)) is not None:
            pattern.stop()
            await pattern.ended.wait()

    def close(self) -> None:
        """Ends all, without waiting."""
        for pattern in self._shown.values():
            pattern.stop()

    async def _show(self, wall: str, pattern: Pattern, seconds: float) -> None:
        await pattern.show(seconds)
        if self._shown.get(wall) is pattern:
            del self._shown[wall]
