"""The course of a run as server-sent events, for as many as watch it.

Each change is put into bytes once, five times a second at most, by one task that lives for as long as anybody
watches.  A watcher takes the newest when it can: one that is slow misses what lies between, never the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from weakref import WeakKeyDictionary

import msgspec
import structlog

from streamer.control.roster import AnyRun
from streamer.control.runs import ENDED
from streamer.control.waiting import WaitingRun

SOONEST_S = 0.2
"""Between two events of a run."""
HEARTBEAT_S = 15.0
"""After so long without news a comment is sent, so that proxies keep the line open."""
BEAT, END = b": still there\n\n", b"event: end\ndata: {}\n\n"
log = structlog.get_logger()


class Course:
    """What is told of one run now."""

    def __init__(self, run: AnyRun, closing: asyncio.Event) -> None:
        self.newest, self.number, self.beats, self.over = b"", 0, 0, False
        self.news = asyncio.Event()
        """Set at the next change, and replaced."""
        self.watchers = 0
        self.telling = asyncio.create_task(self._tell(run, closing))

    async def _tell(self, run: AnyRun, closing: asyncio.Event) -> None:
        ending = asyncio.create_task(closing.wait())
        version = -1
        try:
            while not closing.is_set():
                if isinstance(run, WaitingRun) and run.became is not None:
                    run, version = run.became, -1
                if run.version == version:
                    newer = asyncio.create_task(run.newer(version))
                    try:
                        await asyncio.wait([newer, ending], timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        newer.cancel()
                    if run.version == version:
                        self.beats += 1
                        self._wake()
                        continue
                version = run.version
                if self._say(run):
                    break
                await asyncio.wait([ending], timeout=SOONEST_S)
            if run.version != version:
                self._say(run)
        except Exception as why:
            log.error("the course of a run cannot be told", exc_info=why)
        finally:
            ending.cancel()
            self.over = True
            self._wake()

    def _say(self, run: AnyRun) -> bool:
        """Tells how the run stands; returns whether it has ended."""
        record = run.record
        self.newest = b"event: run\ndata: " + msgspec.json.encode(record) + b"\n\n"
        self.number += 1
        self._wake()
        return record.state in ENDED

    def _wake(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()


_courses: WeakKeyDictionary[AnyRun, Course] = WeakKeyDictionary()


async def course(run: AnyRun, closing: asyncio.Event) -> AsyncIterator[bytes]:
    """A run's record whenever it has changed; then ``end``."""
    told = _courses.get(run)
    if told is None or told.over:
        told = _courses[run] = Course(run, closing)
    told.watchers += 1
    number = beats = 0
    try:
        beats = told.beats
        while True:
            if told.number != number:
                number = told.number
                yield told.newest
            elif told.over:
                yield END
                return
            elif told.beats != beats:
                beats = told.beats
                yield BEAT
            else:
                await told.news.wait()
    finally:
        told.watchers -= 1
        if not told.watchers:
            told.telling.cancel()
            if _courses.get(run) is told:
                del _courses[run]
