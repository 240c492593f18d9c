"""One run in a cluster, as the control plane has it: its record, what is wanted of it, and how it stands.

One task looks after its objects (``upkeep``), another asks its streamer.  The cluster owns the processes: when the
control plane ends they go on, and the next one takes them up by their root.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

import msgspec
import structlog
import zmq.asyncio

from streamer.control import lives, runs
from streamer.control.booking import Booking
from streamer.control.cluster import people
from streamer.control.cluster.doors import Doors
from streamer.control.cluster.hand import Hand
from streamer.control.cluster.names import ALL_WALLS
from streamer.control.cluster.on_walls import ClusterHanging, RunsWalls
from streamer.control.cluster.plan import ClusterPlan, NotPossible, WallPlan
from streamer.control.cluster.site import Site
from streamer.control.cluster.spoken import Spoken
from streamer.control.cluster.surroundings import Surroundings
from streamer.control.cluster.taking import Lost, Taking
from streamer.control.cluster.troubles import Refused, Taken
from streamer.control.cluster.upkeep import LOOK_S, Upkeep
from streamer.control.launching import Views
from streamer.control.link import NoAnswer, StreamerLink
from streamer.control.news import News
from streamer.control.runs import Run
from streamer.control.said import Line
from streamer.control.showing import ToShow
from streamer.wire.keys import BadKeys, Keys
from streamer.wire.status import RunStatus

POLL_S, POLL_AFTER_S = 0.2, 1.0
MOST_SAID, LAST_WORDS_S = 200, 2.0
"""Of a run that failed so many lines are read, and so long that may take."""
log = structlog.get_logger()


class ClusterRun:
    """A run in a cluster.  ``live`` is its life; the rest may be called meanwhile (see ``launching.LiveRun``)."""

    def __init__(
        self, booked: Booking, record: Run, plan: ClusterPlan | NotPossible, notes: tuple[str, ...], site: Site,
        around: Surroundings, hand: Hand, context: zmq.asyncio.Context, *, deadline_ms: float = 250.0,
        over: bool = False,
    ) -> None:  # fmt: skip
        """``plan``: what would be made of it now, or why that is not possible; a run that is there keeps its own.

        ``deadline_ms``: of walls, as ``WallPlan`` has it.
        """
        self.closed = asyncio.Event()
        self._booked, self._notes = booked, notes
        self._site, self._around = site, around
        self._record, self._status = record, record.status
        self._namespace = "" if isinstance(plan, NotPossible) else plan.namespace
        self._viewers, self._for_good, self._over = 0, False, over
        self._news, self._closing, self._wish = News(), asyncio.Event(), asyncio.Event()
        self._shown: Run | None = None
        self._doors = Doors(record.run_id, site.reach, context)
        self._spoken = Spoken(hand)
        behind = "" if over else booked.request.behind or ""
        self._walls = RunsWalls(record.run_id, site, behind, deadline_ms, context, self._publish)
        life = lives.opened({}, record.state) if over else lives.new({}, archive=booked.request.out is not None)
        if not over and record.state not in runs.ENDED:
            life = msgspec.structs.replace(life, state=record.state)
        self._upkeep = Upkeep(
            lambda: self._record, life, Taking(booked, plan, around, hand, over=over), site, around, hand,
            self._doors, self._walls, self._closing, self._publish, self._stirred,
        )  # fmt: skip

    # ------------------------------------------------------------ what others ask

    @property
    def keys(self) -> Keys | None:
        """The control plane's own."""
        return self._doors.keys

    @property
    def version(self) -> int:
        """Grows with each change of the record."""
        return self._news.version

    @property
    def record(self) -> Run:
        """The run as it stands."""
        life = self._upkeep.life
        return msgspec.structs.replace(
            self._record,
            state=life.state,
            error=life.error or self._record.error,
            remarks=(*self._notes, *life.remarks, *self._upkeep.remarks),
            status=self._status,
            restarts=dict(self._upkeep.restarts),
            parts=people.standings(self._upkeep.people),
            viewers=self._viewers,
            walls=() if self.closed.is_set() and life.over else self._walls.standings(self._record),
            leaving=() if self.closed.is_set() else tuple(self._upkeep.leaving),
        )

    @property
    def walls(self) -> Mapping[str, ClusterHanging]:
        """What shows it on walls, by their names."""
        return {} if self._closing.is_set() else dict(self._walls.hung)

    @property
    def wall_plans(self) -> tuple[WallPlan, ...]:
        """The walls that have objects, as these were made."""
        return self._walls.plans

    @property
    def link(self) -> StreamerLink | None:
        """The line to the streamer, once that has answered."""
        return self._doors.streamer if self._doors.answered and not self._closing.is_set() else None

    @property
    def relays(self) -> dict[str, StreamerLink]:
        """The lines to the relays that are ready."""
        return {} if self._closing.is_set() else self._doors.relays

    @property
    def closing(self) -> asyncio.Event:
        """Set when its processes are being ended, or let go."""
        return self._closing

    async def newer(self, version: int) -> int:
        """Waits until the record is newer than ``version``; returns the version that it has then."""
        return await self._news.newer(version)

    async def views(self) -> Views:
        """Where a renderer waits for viewers, once one is ready."""
        return await self._doors.views()

    def viewer_came(self) -> None:
        """A browser is there: renderers are wanted, and a run that was held back for one begins."""
        self._viewers += 1
        self._looked()

    def viewer_went(self) -> None:
        """A browser has gone."""
        self._viewers -= 1
        self._looked()

    def _looked(self) -> None:
        self._upkeep.looked(self._viewers)
        self._rouse()

    def want(self, wanted: Run) -> None:
        """Sees to what is wanted of the run from now on."""
        self._record = msgspec.structs.replace(
            self._record, workers=wanted.workers, paused=wanted.paused, cancelling=wanted.cancelling,
            generation=wanted.generation, walls=wanted.walls,
        )  # fmt: skip
        self._rouse()

    def _rouse(self) -> None:
        self._upkeep.wake.set()
        self._wish.set()
        self._publish()

    def check_walls(self) -> None:
        """Raises NotPossible if it is in another namespace than walls."""
        self._walls.check(self._where)

    @property
    def _where(self) -> str:
        """Its namespace; empty if that is not known."""
        return self._around.root(self._record.run_id)[0] or self._namespace

    async def hang(self, wall: ToShow) -> None:
        """Shows the run on a wall from now on, if that is still wanted.  Raises NotPossible."""
        name_of = wall.facts.name
        wanted = {one.name for one in self._record.walls}
        if self._closing.is_set() or name_of in self._walls.hung or name_of not in wanted:
            return
        self._walls.hang(wall, self._where)
        self._rouse()

    def mend(self, name: str) -> None:
        """Nothing of a wall is given up in a cluster; what is not there is made at once."""
        del name
        self._rouse()

    def not_hung(self, name: str, why: str) -> None:
        """A wall cannot be shown on: why, in a sentence."""
        self._walls.not_hung(name, why)
        self._publish()

    async def unhang(self, name: str) -> bool:
        """Takes it off a wall, and says whether nothing of it is left there; if not, that goes by itself."""
        whose = (name, *(() if self._record.walls else (ALL_WALLS,)))
        keys = self._upkeep.made_for(whose)
        await self._walls.take_off(name)
        self._rouse()
        gone = await self._upkeep.clear(name, whose, keys)
        self._publish()
        return gone

    async def cancel(self) -> None:
        """Stops it in order: the streamer is told, what is committed is written within a bound, then all ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._site.finish_s + LOOK_S):
                while not (self._upkeep.life.over or self._closing.is_set()):
                    await self.newer(self.version)
        self.close()
        await self.closed.wait()

    def close(self, *, for_good: bool = True) -> None:
        """Ends all processes now; the log stays.  Not ``for_good``: all go on, and are taken up another time."""
        if for_good:
            self._upkeep.put(lives.cancelled(self._upkeep.life))
            self._for_good = not self._closing.is_set() or self._for_good
        self._ends()

    def _ends(self) -> None:
        self._closing.set()
        self._publish(always=True)

    def fail(self, sentence: str) -> None:
        """Something of ours broke: the run ends with this sentence."""
        self._upkeep.put(lives.failed(self._upkeep.life, sentence))
        self._publish()

    async def tail(self, lines: int, part: str = "") -> Sequence[Line]:
        """The newest lines that its parts (or one of them) have said, oldest first."""
        return await self._spoken.tail(self._upkeep.people, lines, part)

    def heard(self) -> list[Line]:
        """What was read of its parts' logs last."""
        return self._spoken.heard(MOST_SAID)

    # ------------------------------------------------------------ its life

    async def live(self) -> None:
        """Takes the run up and looks after it until it was closed."""
        self._around.listen(self._record.run_id, self._upkeep.wake.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                every = [tasks.create_task(one) for one in (self._look_after(), self._watch(), self._walls.follow())]
                await self._closing.wait()
                for one in every:
                    one.cancel()
            if self._for_good:
                await self._upkeep.put_away()
        finally:
            self._around.deafen(self._record.run_id)
            try:
                self._doors.close()
            finally:
                self.closed.set()
                self._publish(always=True)

    async def _look_after(self) -> None:
        try:
            base = await self._upkeep.take_up()
        except (Taken, Refused, NotPossible, BadKeys) as why:
            self._fail(str(why))
            return
        if base is None:
            return
        if isinstance(base, Lost):
            self._lose(base.why)
            return
        while not self._closing.is_set():
            before = self._upkeep.life.state
            if (lost := await self._upkeep.step(base)) is not None:
                self._lose(lost.why)
                return
            if self._upkeep.life.state == "failed":
                if before != "failed":
                    log.error("run failed", run=self._record.run_id, why=self._upkeep.life.error)
                await self._end()
            elif self._upkeep.life.over and self._record.cancelling and not self._over:
                self.close()
            await self._upkeep.news()

    async def _end(self) -> None:
        """All processes of a run that failed are to end; what they have said last is kept while we live."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self.tail(MOST_SAID)
        self._for_good = True
        self._ends()

    def _fail(self, sentence: str) -> None:
        self.fail(sentence)
        log.error("run failed", run=self._record.run_id, why=sentence)
        self._for_good = True
        self._ends()

    def _lose(self, why: str) -> None:
        """Somebody has taken the run away."""
        life = self._upkeep.life
        if not life.over:
            life = lives.cancelled(msgspec.structs.replace(life, remarks=(*life.remarks, f"the run was ended: {why}")))
        self._upkeep.put(life)
        self._upkeep.remark(())
        log.warning("run was ended by somebody else", run=self._record.run_id, why=why)
        self._ends()

    # ------------------------------------------------------------ its streamer and renderers

    async def _watch(self) -> None:
        """Asks the streamer how the run stands, for as long as there is a run."""
        said = ""
        while True:
            self._wish.clear()
            link = self._doors.streamer
            if link is not None:
                hold = self._booked.request.start == "first_viewer"
                order = runs.due(self._record, self._status.state, begins=bool(self._viewers and hold))
                try:
                    self._told(await link.command(order) if order else (await link.status())[0])
                    said = ""
                    self._doors.answered = link is self._doors.streamer
                except NoAnswer as why:
                    if str(why) != said:
                        log.warning("no answer", run=self._record.run_id, why=str(why))
                    said = str(why)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_AFTER_S if self._upkeep.life.over or link is None else POLL_S):
                    await self._wish.wait()

    def _told(self, status: RunStatus) -> None:
        life = lives.told(self._upkeep.life, status.state)
        if (life, status) != (self._upkeep.life, self._status):
            self._status = status
            self._upkeep.put(life)
            self._upkeep.wake.set()
            self._publish()

    # ------------------------------------------------------------ its own business

    def _stirred(self) -> None:
        self._wish.set()  # the streamer may be ready
        self._publish()

    def _publish(self, *, always: bool = False) -> None:
        """Wakes who waits for news, if there is any."""
        record = self.record
        if record == self._shown and not always:
            return
        self._shown = record
        self._news.publish()
