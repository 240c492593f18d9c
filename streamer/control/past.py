"""A run that is over and whose processes are gone: what is written of it can be read, and nothing changes any more."""

from __future__ import annotations

import asyncio

import msgspec

from streamer.control.books import Written
from streamer.control.runs import Run


class PastRun:
    """Answers what a run with processes is asked, as far as that needs none."""

    version = 0

    def __init__(self, written: Written) -> None:
        self.record: Run = msgspec.structs.replace(written.record, walls=())
        """How it ended.  What has no processes is shown on no wall."""

    async def newer(self, version: int) -> int:
        """There is no news after the first."""
        if version >= self.version:
            await asyncio.Event().wait()
        return self.version

    async def cancel(self) -> None:
        """It is over, and nothing of it is left to be ended."""
