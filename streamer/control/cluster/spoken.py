"""What a run's pods have said: read from the cluster when somebody asks, shown again for a moment, bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from streamer.control.cluster.hand import Hand
from streamer.control.cluster.logs import lines as of_log
from streamer.control.cluster.people import Shown
from streamer.control.cluster.troubles import Trouble
from streamer.control.said import Line

AGAIN_S = 2.0
"""So long what was read of a log is shown again."""
MOST = 64
"""Pods whose logs are read, and parts of which something is kept."""


class Spoken:
    """The logs of one run."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self._kept: dict[str, tuple[float, int, list[Line]]] = {}

    async def tail(self, every: Sequence[Shown], lines: int, part: str = "") -> list[Line]:
        """The newest lines of the parts that are there, and of those that have gone what was read last."""
        chosen = [one for one in every if part in ("", one.name)][:MOST]
        await asyncio.gather(*(self._read(one, lines) for one in chosen))
        return self.heard(lines, part)

    def heard(self, lines: int, part: str = "") -> list[Line]:
        """What was read so far, oldest first."""
        found = [line for name, (_, _, kept) in self._kept.items() if part in ("", name) for line in kept]
        return sorted(found, key=lambda line: line.time)[-lines:] if lines else []

    async def _read(self, one: Shown, lines: int) -> None:
        now = time.monotonic()
        at, asked, kept = self._kept.get(one.name, (now - AGAIN_S, 0, []))
        if now - at < AGAIN_S and asked >= lines:
            return
        try:
            kept = of_log(one.name, await self._hand.log(one.pod, one.role, lines))
        except Trouble:  # it has not begun, or cannot be asked: what was read before is still true
            return
        self._kept.pop(one.name, None)
        self._kept[one.name] = now, lines, kept
        while len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]
