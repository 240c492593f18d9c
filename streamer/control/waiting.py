"""A run that waits for room: it is written down, and nothing of it runs yet.

Who watches it is told how many runs are before it.  When it begins it becomes another, with parts (``became``);
whoever holds this one goes on with that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from streamer.control.booking import Booking
from streamer.control.launching import LiveRun, NoView, Views
from streamer.control.link import StreamerLink
from streamer.control.news import News
from streamer.control.queueing import Claim
from streamer.control.runs import Run
from streamer.control.said import Line
from streamer.wire.keys import Keys


class WaitingRun:
    """Answers what a run with parts is asked, as far as there is an answer."""

    def __init__(self, booked: Booking, record: Run) -> None:
        self.booked = booked
        self.keys: Keys | None = None
        self.became: LiveRun | None = None
        """The run with parts that it has become."""
        self.closed, self.closing = asyncio.Event(), asyncio.Event()
        self._record, self._before, self._viewers = record, 0, 0
        self._shown: Run | None = None
        """The record as it is shown, until something changes: many of them are listed at a time."""
        self._news = News()

    @property
    def version(self) -> int:
        """Grows with each change of the record."""
        return self._news.version

    @property
    def record(self) -> Run:
        """The run as it stands."""
        if self.became is not None:
            return self.became.record
        if self._shown is None:
            waits = self._record.state == "queued"
            self._shown = msgspec.structs.replace(
                self._record, runs_before=self._before if waits else None, viewers=self._viewers if waits else 0
            )
        return self._shown

    @property
    def claim(self) -> Claim:
        """What it will take."""
        return claim_of(self._record)

    @property
    def link(self) -> StreamerLink | None:
        """There is no streamer yet."""
        return None

    @property
    def relays(self) -> dict[str, StreamerLink]:
        """There are no relays yet."""
        return {}

    def stands(self, before: int) -> None:
        """So many runs are before it now."""
        if before != self._before:
            self._before = before
            self._publish()

    def becomes(self, run: LiveRun) -> None:
        """Its parts are being started; who looks at it looks at that now."""
        for _ in range(self._viewers):
            run.viewer_came()
        self.became = run
        self._end()

    async def newer(self, version: int) -> int:
        """Waits until the record is newer than ``version``."""
        return await self._news.newer(version)

    async def views(self) -> Views:
        """Where its renderer waits for viewers, once it has begun.  Raises NoView if it will not."""
        await self.closing.wait()
        if self.became is None:
            raise NoView(f"run {self._record.run_id} is {self._record.state}: it never began")
        self.keys = self.became.keys
        return await self.became.views()

    def viewer_came(self) -> None:
        """A browser is there."""
        if self.became is not None:
            self.became.viewer_came()
            return
        self._viewers += 1
        self._publish()

    def viewer_went(self) -> None:
        """A browser has gone."""
        if self.became is not None:
            self.became.viewer_went()
            return
        self._viewers -= 1
        self._publish()

    def want(self, wanted: Run) -> None:
        """What is wanted of it when it begins, or that it never does."""
        self._record = wanted
        if wanted.cancelling:
            self._end()
        self._publish()

    async def cancel(self) -> None:
        """Nothing of it is there to be ended."""

    def close(self, *, for_good: bool = True) -> None:
        """Lets go of it."""
        if for_good and self._record.state == "queued":
            self._record = msgspec.structs.replace(self._record, state="cancelled", walls=())
        self._end()

    def fail(self, sentence: str) -> None:
        """It cannot begin: why, in a sentence."""
        self._record = msgspec.structs.replace(self._record, state="failed", error=sentence, walls=())
        self._end()

    async def tail(self, lines: int, part: str = "") -> Sequence[Line]:
        """Nobody has said anything."""
        del lines, part
        return ()

    async def live(self) -> None:
        """It does not."""

    def _end(self) -> None:
        self.closing.set()
        self.closed.set()
        self._publish()

    def _publish(self) -> None:
        self._shown = None
        self._news.publish()


def claim_of(record: Run) -> Claim:
    """What a run takes of what there is."""
    return Claim(record.run_id, record.workers, record.paused, record.project, record.workers * record.gpus)
