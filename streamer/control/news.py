"""News of one thing: its version grows with each change, and whoever waits for a newer one is woken."""

from __future__ import annotations

import asyncio


class News:
    """What is said of a run's record when it changes."""

    def __init__(self) -> None:
        self.version = 0
        self._come = asyncio.Event()

    async def newer(self, version: int) -> int:
        """Waits until there is a version newer than ``version``; returns the one that there is then."""
        while self.version <= version:
            await self._come.wait()
        return self.version

    def publish(self) -> None:
        """Something has changed."""
        self.version += 1
        come, self._come = self._come, asyncio.Event()
        come.set()
