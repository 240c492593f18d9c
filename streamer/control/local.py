"""One run on this machine, as the control plane has it: its record, what is wanted of it, and how it stands.

Its processes are the ``crew``, which keeps them up.  A task asks the streamer how the run stands, five times a second.
Whatever changes becomes a new version of the run's record, and all who wait for news are woken.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

import msgspec
import structlog
import zmq.asyncio

from streamer.control import lives, runs
from streamer.control.crew import Crew
from streamer.control.gauge import Gauge
from streamer.control.hanging import HangingHere, parts_in
from streamer.control.launching import Views
from streamer.control.link import NoAnswer, StreamerLink
from streamer.control.local_doors import LocalDoors
from streamer.control.local_walls import LocalWalls
from streamer.control.news import News
from streamer.control.parts import Addresses, Plan
from streamer.control.runs import Run
from streamer.control.said import Line, Said
from streamer.control.showing import ToShow
from streamer.control.usage import Usage
from streamer.lifeline import Lifeline
from streamer.settings import Settings
from streamer.wire.keys import Keys
from streamer.wire.status import RunStatus

POLL_S = 0.2
POLL_AFTER_S = 1.0
ARCHIVE_S = 20.0
"""How long a cancelled run waits for what is committed to be written."""
log = structlog.get_logger()


class LocalRun:
    """A run and its processes.  ``live`` is its life; the rest may be called meanwhile."""

    def __init__(
        self,
        record: Run,
        plan: Plan,
        at: Addresses,
        settings: Settings,
        lifeline: Lifeline,
        context: zmq.asyncio.Context,
        keys: Keys | None = None,
        said: Said | None = None,
        *,
        over: bool = False,
    ) -> None:
        """``over``: the run has ended before, and is only served once more."""
        self.keys = keys
        self.said = Said(None) if said is None else said
        """What its parts say."""
        self.closed = asyncio.Event()
        """Set once no process is left."""
        self._record, self._status, self._settings = record, record.status, settings
        self._viewers = 0
        self._news, self._wish = News(), asyncio.Event()
        self._doors = LocalDoors(at, context, keys)
        self._crew = Crew(
            record, plan, self._doors, settings, lifeline, self.said, self._news,
            conducted=lambda part: self._walls.conducted(part), hear=self._hear, over=over,
        )  # fmt: skip
        self._walls = LocalWalls(self._crew, self._doors, self._news)
        self._gauge = Gauge()

    # ------------------------------------------------------------ what others ask

    @property
    def version(self) -> int:
        """Grows with each change of the record."""
        return self._news.version

    @property
    def record(self) -> Run:
        """The run as it stands."""
        life = self._crew.life
        return msgspec.structs.replace(
            self._record,
            state=life.state,
            error=life.error or self._record.error,
            remarks=(*self._record.remarks, *life.remarks),
            status=self._status,
            restarts=life.restarted,
            parts=tuple(
                runs.Standing(name, part.role, part.state, len(part.restarts), self._doors.at.listens(name))
                for name, part in life.parts.items()
            ),
            viewers=self._viewers,
            walls=() if self.closed.is_set() and life.over else self._walls.standings(self._record),
        )

    @property
    def walls(self) -> Mapping[str, HangingHere]:
        """What shows it on walls, by their names."""
        return self._walls.shown

    @property
    def link(self) -> StreamerLink | None:
        """The line to the streamer; None before it is ready and after the run was closed."""
        return None if self.closing.is_set() else self._doors.streamer

    @property
    def relays(self) -> dict[str, StreamerLink]:
        """The lines to the relays that have been ready, by their names."""
        return {} if self.closing.is_set() else dict(self._doors.relays)

    @property
    def closing(self) -> asyncio.Event:
        """Set when the run's processes are being ended."""
        return self._crew.closing

    async def usage(self) -> Sequence[Usage]:
        """What the processes of each role use now, and have used so far."""
        return await self._gauge.read(self._crew)

    async def newer(self, version: int) -> int:
        """Waits until the record is newer than ``version``; returns the version that it has then."""
        return await self._news.newer(version)

    async def views(self) -> Views:
        """Where the renderer waits for viewers.  Raises NoView if there will be none any more."""
        return await self._doors.views()

    def viewer_came(self) -> None:
        """A browser is there: a run that was held back for one begins."""
        self._viewers += 1
        self._news.publish()

    def viewer_went(self) -> None:
        """A browser has gone."""
        self._viewers -= 1
        self._news.publish()

    def want(self, wanted: Run) -> None:
        """Sees to what is wanted of the run from now on (see ``runs.wanted``)."""
        self._record = msgspec.structs.replace(
            self._record, workers=wanted.workers, paused=wanted.paused, cancelling=wanted.cancelling,
            generation=wanted.generation, walls=wanted.walls,
        )  # fmt: skip
        self._crew.staff(wanted.workers)
        self._wish.set()
        self._news.publish()

    def check_walls(self) -> None:
        """Any wall can show it: what of one is not this machine's is said there."""

    async def hang(self, wall: ToShow) -> None:
        """Shows the run on a wall from now on, if that is still wanted.  Raises OSError."""
        name = wall.facts.name
        hanging = HangingHere(wall, await parts_in(self._crew.plan.folder, wall, self._settings))
        if self.closing.is_set() or name in self._walls.hung or name not in {one.name for one in self._record.walls}:
            return
        self._walls.hang(hanging)
        self._news.publish()

    def mend(self, name: str) -> None:
        """What was given up of a wall that it is shown on is started again."""
        self._walls.mend(name)

    def not_hung(self, name: str, why: str) -> None:
        """A wall cannot be shown on: why, in a sentence."""
        self._walls.not_hung(name, why)
        self._news.publish()

    async def unhang(self, name: str) -> bool:
        """Ends what shows the run on a wall; when it returns, all of that is gone."""
        await self._walls.take_off(name)
        self._news.publish()
        return True

    async def cancel(self) -> None:
        """Stops the run in order, once that is wanted: no more work, what is committed is written, all parts end."""
        if not self._crew.life.over and self.link is not None:
            try:
                self._status = await self.link.command("cancel", deadline_s=2.0)
                self._told(self._status)
                async with asyncio.timeout(ARCHIVE_S):
                    while not self._crew.life.over:
                        await self.newer(self.version)
            except (NoAnswer, TimeoutError) as why:
                log.warning("cancelled without waiting for all parts", run=self._record.run_id, why=str(why))
        self.close()
        await self.closed.wait()

    def close(self, *, for_good: bool = True) -> None:
        """Ends all processes now.  A run that is not over is cancelled by it, unless it is to go on another time."""
        if for_good:
            self._crew.life = lives.cancelled(self._crew.life)
        self.closing.set()
        self._news.publish()

    async def tail(self, lines: int, part: str = "") -> list[Line]:
        """The newest lines that its parts (or one of them) have said, oldest first."""
        return self.said.tail(lines, part)

    def fail(self, sentence: str) -> None:
        """Something of ours broke: the run ends with this sentence."""
        self._crew.life = lives.failed(self._crew.life, sentence)
        self._news.publish()

    # ------------------------------------------------------------ its life

    async def live(self) -> None:
        """Starts all parts and stays until they have been ended."""
        with contextlib.ExitStack() as last:
            # Whatever else fails: many wait for this.
            last.callback(self._news.publish)
            last.callback(self.closed.set)
            last.callback(self._doors.close)
            last.callback(self.said.close)
            async with asyncio.TaskGroup() as tasks:
                self._crew.start(tasks)
                self._walls.start(tasks)
                others = [tasks.create_task(self._watch()), tasks.create_task(self.said.keep())]
                await self.closing.wait()
                for other in others:
                    other.cancel()
                self._walls.stop()
                await self._crew.end()

    async def _watch(self) -> None:
        """Asks the streamer how the run stands, for as long as there is a run."""
        await self._doors.met("streamer")
        while True:
            link = self._doors.streamer
            self._wish.clear()
            if link is not None:
                order = runs.due(self._record, self._status.state, begins=bool(self._viewers and self._crew.plan.hold))
                try:
                    self._told(await link.command(order) if order else (await link.status())[0])
                except NoAnswer as why:
                    log.warning("no answer", run=self._record.run_id, why=str(why))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_AFTER_S if self._crew.life.over else POLL_S):
                    await self._wish.wait()

    async def _hear(self) -> None:
        """Asks the streamer how the run stands, out of turn; what does not answer tells nothing."""
        link = self._doors.streamer
        if link is not None and not self._crew.life.ended:
            with contextlib.suppress(NoAnswer):
                status, _ = await link.status()
                self._told(status)

    def _told(self, status: RunStatus) -> None:
        life = lives.told(self._crew.life, status.state)
        if (life, status) != (self._crew.life, self._status):
            self._crew.life, self._status = life, status
            self._news.publish()
