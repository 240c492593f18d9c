"""Looks every now and then what the parts of a run use, and has it written down, for the run's step table.

What processes use comes from the run's launcher, if that can say (``Measured``); how many bytes went from the streamer
to whom, and how large its log is, from the streamer.  After the end of a run only who looks at it is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping

import structlog

from streamer.control.database import NoBooks
from streamer.control.desk import Desk
from streamer.control.launching import LiveRun, Measured
from streamer.control.link import NoAnswer
from streamer.control.runs import ENDED
from streamer.control.usage import Counting, Series, Usage, with_sample

FIRST_S, LONGEST_S, GROWS = 0.25, 2.0, 1.3
"""Between two looks: often at first, since a run may be short."""
WRITE_S = 20.0
FIGURES_S = 1.0
VIEWS = ("renderer", "conductor", "tile")
log = structlog.get_logger()


class Sampler:
    """The samples of one run.  ``follow`` it while it lives, then ``note``."""

    def __init__(self, run: LiveRun, desk: Desk) -> None:
        self._run, self._desk = run, desk
        self._series: dict[str, Series] = {}
        self._carried: Mapping[str, Series] | None = None
        self._sent = Counting()
        self._turn = asyncio.Lock()
        self._failed = False

    async def follow(self) -> None:
        """Looks, and writes, for as long as it is not cancelled."""
        if not isinstance(self._run, Measured):
            return
        now = asyncio.get_running_loop().time
        wait_s, written = FIRST_S, now()
        while True:
            await self._look(self._run)
            if now() - written > WRITE_S:
                await self._write()
                written = now()
            await asyncio.sleep(wait_s)
            wait_s = min(LONGEST_S, GROWS * wait_s)

    async def note(self) -> None:
        """Looks once more and has it written: for whoever asks now, and at the end for what has ended by then."""
        if isinstance(self._run, Measured):
            await self._look(self._run)
            await self._write()

    async def _look(self, run: Measured) -> None:
        async with self._turn:
            try:
                await self._sample(run)
            except Exception as why:  # a run does not end because it could not be measured
                if not self._failed:
                    log.warning("a run could not be measured", run=self._run.record.run_id, exc_info=why)
                self._failed = True

    async def _sample(self, run: Measured) -> None:
        if self._carried is None and not await self._begin():
            return
        assert self._carried is not None
        usages = await run.usage()
        await self._count()
        record, at = self._run.record, time.time()
        for usage in usages:
            if record.state in ENDED and usage.role not in VIEWS and usage.processes:
                continue  # what serves a run that is over is no part of its work
            before = self._carried.get(usage.role, Series()).last
            series = self._series.get(usage.role, Series())
            seen = self._with_bytes(usage, record.status.log_bytes, before.written_bytes if before else None)
            self._series[usage.role] = with_sample(series, before, seen, at)

    async def _begin(self) -> bool:
        """Takes note of what was sampled before; False if that cannot be read yet."""
        run_id = self._run.record.run_id
        try:
            self._carried = await self._desk.ask(lambda books: books.usage(run_id))
        except NoBooks:
            return False
        self._series = dict(self._carried)
        return True

    async def _count(self) -> None:
        """How much the streamer has sent to whom."""
        link = self._run.link
        if link is None:
            return
        with contextlib.suppress(NoAnswer):
            figures = await link.figures(deadline_s=FIGURES_S)
            self._sent.heard({f"{one.role} {one.name}": (one.role, one.sent_bytes) for one in figures.subscribers})

    def _with_bytes(self, usage: Usage, log_bytes: int, before: int | None) -> Usage:
        """Bytes are those of the data: of sockets between the parts nobody wants to know them twice."""
        match usage.role:
            case "streamer":
                return usage._replace(read_bytes=None, written_bytes=max(0, log_bytes - (before or 0)))
            case "worker" | "inspect":
                return usage._replace(written_bytes=None)
            case "archive":
                return usage._replace(read_bytes=self._sent.total.get("archive", 0))
            case "renderer":
                return usage._replace(read_bytes=self._sent.total.get("subscriber", 0), written_bytes=None)
        return usage._replace(read_bytes=None, written_bytes=None)

    async def _write(self) -> None:
        run_id, series = self._run.record.run_id, dict(self._series)
        try:
            await self._desk.ask(lambda books: books.put_usage(run_id, series))
        except NoBooks as why:
            log.warning("samples of a run could not be written", run=run_id, why=str(why))
