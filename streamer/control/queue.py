"""The queue of runs that wait for room, and who takes the room.

It is told what comes and goes, and says in ``news`` when it should be looked who is next; ``queueing`` decides that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog

from streamer.control.launching import LiveRun
from streamer.control.queueing import Claim, Limits, again_s, due
from streamer.control.runs import ENDED, Run, needs_room
from streamer.control.schema import Problem
from streamer.control.waiting import WaitingRun, claim_of
from streamer.settings import Settings

LINGER_S = 60.0
"""Work of a run that is over and does not end takes its room for no longer than this."""
log = structlog.get_logger()


class Queue:
    """Runs that wait, and runs that are at work."""

    def __init__(self, settings: Settings, allows: Callable[[Claim, Sequence[Claim]], bool]) -> None:
        """``allows``: whether a run's own quota has room for it beside those at work."""
        self._allows = allows
        self._most, self._longest = settings.max_runs, settings.max_queued
        self._waiting: dict[str, WaitingRun] = {}
        """The oldest first."""
        self._at_work: dict[str, LiveRun] = {}
        self.news = asyncio.Event()

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._waiting

    def __getitem__(self, run_id: str) -> WaitingRun:
        return self._waiting[run_id]

    def add(self, waiting: WaitingRun) -> None:
        """One more, behind all others; ``line_up`` when all have come."""
        self._waiting[waiting.booked.run_id] = waiting

    def due(self, *more: WaitingRun) -> list[str]:
        """Who begins now, of those that wait and some more behind them."""
        at_work = [claim_of(run.record) for run in self._at_work.values()]
        return due([one.claim for one in (*self._waiting.values(), *more)], at_work, Limits(self._most, self._allows))

    def check(self, asked: int) -> None:
        """Raises Problem if so many that are being asked for leave no place for one more."""
        free = max(0, self._most - len(self._at_work))
        waiting = len(self._waiting) + asked
        if waiting >= free + self._longest:
            raise Problem(
                429, f"{len(self._at_work)} runs are at work (max_runs is {self._most}) and {waiting} wait "
                f"(max_queued is {self._longest}): wait, or cancel one first",
                again_s=again_s(run.record.status.eta_s for run in self._at_work.values()),
            )  # fmt: skip

    def line_up(self) -> None:
        """Some have come or gone: everybody is told the place, and it is time to look who is next."""
        self._waiting = {run_id: run for run_id, run in self._waiting.items() if not run.closed.is_set()}
        for before, run in enumerate(self._waiting.values()):
            run.stands(before)
        self.news.set()

    def begins(self, run: LiveRun) -> None:
        """A run takes room from now on; ``works`` must follow."""
        self._at_work[run.record.run_id] = run

    async def works(self, run: LiveRun) -> None:
        """Stays until a run leaves its room to others."""

        async def until(over: Callable[[Run], bool]) -> None:
            version = run.version
            while not (run.closed.is_set() or over(run.record)):
                version = await run.newer(version)

        try:
            await until(lambda record: record.state in ENDED)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await until(lambda record: not needs_room(record))
        finally:
            if self._at_work.get(run.record.run_id) is run:
                del self._at_work[run.record.run_id]
            log.info("run leaves its room", run=run.record.run_id)
            self.news.set()
