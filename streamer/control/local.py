"""One run on this machine: its processes, from the first to the last.

A task per part starts it and asks ``runs.exited`` what its end means; one more asks the streamer how
the run stands, five times a second.  Whatever changes becomes a new version of the run's record, and
all who wait for news are woken.  Decisions are in ``runs``; here they are carried out.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import defaultdict
from typing import NamedTuple

import msgspec
import structlog
import zmq.asyncio

from streamer.control import runs
from streamer.control.launcher import NotReady, Part
from streamer.control.link import NoAnswer, StreamerLink
from streamer.control.parts import Addresses, Plan, arguments, dialled
from streamer.control.runs import Run
from streamer.control.said import Said
from streamer.lifeline import Lifeline
from streamer.settings import Settings
from streamer.wire.keys import Keys
from streamer.wire.status import RunStatus

POLL_S = 0.2
POLL_AFTER_S = 1.0
LEAVE_S = 60.0
"""A worker that is not wanted any more may take so long to come to a point where its work can be left."""
ARCHIVE_S = 20.0
"""How long a cancelled run waits for what is committed to be written."""
log = structlog.get_logger()


class NoView(RuntimeError):
    """Nobody will draw this run any more: why, in a sentence."""


class Views(NamedTuple):
    """A renderer that waits for viewers."""

    address: str
    gone: asyncio.Event
    """Set when it has gone."""


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
        self.plan, self.version, self.keys = plan, 0, keys
        self.said = Said(None) if said is None else said
        """What its parts say."""
        self.closed = asyncio.Event()
        """Set once no process is left."""
        self._record, self._at, self._settings, self._lifeline = record, at, settings, lifeline
        self._context = context
        self._life = (
            runs.opened(plan.parts, record.state) if over else runs.new(plan.parts, archive=plan.out is not None)
        )
        self._status = record.status
        self._viewers = 0
        self._tasks: asyncio.TaskGroup | None = None
        self._keepers: set[asyncio.Task[None]] = set()
        self._wish = asyncio.Event()
        self._parts: dict[str, Part] = {}
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self._met: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        """For each part that others connect to: it is known where, and that a relay listens at all."""
        if at.known("streamer"):
            self._met["streamer"].set()
        self._link: StreamerLink | None = None
        self._relays: dict[str, StreamerLink] = {}
        self._views: asyncio.Future[Views] = asyncio.get_running_loop().create_future()

    # ------------------------------------------------------------ what others ask

    @property
    def record(self) -> Run:
        """The run as it stands."""
        return msgspec.structs.replace(
            self._record,
            state=self._life.state,
            error=self._life.error or self._record.error,
            remarks=(*self._record.remarks, *self._life.remarks),
            status=self._status,
            restarts=self._life.restarted,
            parts=tuple(
                runs.Standing(name, part.role, part.state, len(part.restarts), self._at.listens(name))
                for name, part in self._life.parts.items()
            ),
            viewers=self._viewers,
        )

    @property
    def link(self) -> StreamerLink | None:
        """The line to the streamer; None before it is ready and after the run was closed."""
        return None if self._closing.is_set() else self._link

    @property
    def relays(self) -> dict[str, StreamerLink]:
        """The lines to the relays that have been ready, by their names."""
        return {} if self._closing.is_set() else dict(self._relays)

    @property
    def closing(self) -> asyncio.Event:
        """Set when the run's processes are being ended."""
        return self._closing

    @property
    def processes(self) -> dict[str, int]:
        """The process ids of the parts that have been started."""
        return {name: part.pid for name, part in self._parts.items() if part.pid is not None}

    async def newer(self, version: int) -> int:
        """Waits until the record is newer than ``version``; returns the version that it has then."""
        while self.version <= version:
            await self._news.wait()
        return self.version

    async def views(self) -> Views:
        """Where the renderer waits for viewers.  Raises NoView if there will be none any more."""
        return await asyncio.shield(self._views)

    def viewer_came(self) -> None:
        """A browser is there: a run that was held back for one begins."""
        self._viewers += 1
        self._publish()

    def viewer_went(self) -> None:
        """A browser has gone."""
        self._viewers -= 1
        self._publish()

    def want(self, wanted: Run) -> None:
        """Sees to what is wanted of the run from now on (see ``runs.wanted``)."""
        self._record = msgspec.structs.replace(
            self._record, workers=wanted.workers, paused=wanted.paused, cancelling=wanted.cancelling,
            generation=wanted.generation,
        )  # fmt: skip
        self._staff()
        self._wish.set()
        self._publish()

    async def cancel(self) -> None:
        """Stops the run in order, once that is wanted: no more work, what is committed is written, all parts end."""
        if not self._life.over and self.link is not None:
            try:
                self._status = await self.link.command("cancel", deadline_s=2.0)
                self._told(self._status)
                async with asyncio.timeout(ARCHIVE_S):
                    while not self._life.over:
                        await self.newer(self.version)
            except (NoAnswer, TimeoutError) as why:
                log.warning("cancelled without waiting for all parts", run=self._record.run_id, why=str(why))
        self.close()
        await self.closed.wait()

    def close(self, *, for_good: bool = True) -> None:
        """Ends all processes now.  A run that is not over is cancelled by it, unless it is to go on another time."""
        if for_good:
            self._life = runs.cancelled(self._life)
        self._closing.set()
        self._publish()

    def fail(self, sentence: str) -> None:
        """Something of ours broke: the run ends with this sentence."""
        self._life = runs.failed(self._life, sentence)
        self._publish()

    # ------------------------------------------------------------ its life

    async def live(self) -> None:
        """Starts all parts and stays until they have been ended."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for name, role in self.plan.parts.items():
                    self._keep_up(name, role)
                others = [tasks.create_task(self._watch()), tasks.create_task(self.said.keep())]
                await self._closing.wait()
                for other in others:
                    other.cancel()
                for part in self._parts.values():
                    part.signal(signal.SIGTERM)
                if self._keepers:
                    await asyncio.wait(self._keepers, timeout=self._settings.stop_s)
                for keeper in tuple(self._keepers):
                    keeper.cancel()
        finally:
            self.said.close()
            for link in (*([self._link] if self._link else []), *self._relays.values()):
                link.close()
            self._renderer_gone()
            self._views.cancel()
            self.closed.set()
            self._publish()

    def _keep_up(self, name: str, role: runs.Role) -> None:
        assert self._tasks is not None, "live has begun"
        keeper = self._tasks.create_task(self._keep(name, role))
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)

    def _staff(self) -> None:
        """Starts the workers that are missing, and asks those that are too many to leave: the last come first."""
        if self._tasks is None or self._closing.is_set() or self._life.over:
            return
        self.plan = self.plan._replace(workers=self._record.workers)
        come, go = runs.staffing(self._life, self._record.workers)
        for name in come:
            self._life = runs.joined(self._life, name)
            self._keep_up(name, "worker")
        for name in go:
            self._life = runs.dismissed(self._life, name)
            if (part := self._parts.get(name)) is not None:
                self._tasks.create_task(self._let_go(part))

    async def _let_go(self, part: Part) -> None:
        """A worker hands back its leases and leaves; one that does not is ended."""
        part.signal(signal.SIGTERM)
        async with asyncio.TaskGroup() as waiting:
            gone, closing = waiting.create_task(part.gone.wait()), waiting.create_task(self._closing.wait())
            await asyncio.wait([gone, closing], timeout=LEAVE_S, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            closing.cancel()
        part.signal(signal.SIGKILL)

    async def _keep(self, name: str, role: runs.Role) -> None:
        """Starts a part, and again if its end was not meant."""
        if source := self.plan.source(name):
            await self._met[source].wait()
        while not self._closing.is_set() and name in self._life.parts:
            if self._life.parts[name].dismissed:
                self._life = runs.left(self._life, name)
                self._publish()
                return
            facts = {"run": self._record.run_id}
            part = self._parts[name] = Part(
                name, arguments(name, role, self.plan, self._at), self._lifeline, facts, self.said.add
            )
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(part.run())
                tasks.create_task(self._greet(part, role))
            code = running.result()
            words = part.words
            if role == "worker" and code == 0:
                await self._hear()  # a worker may leave before the news of the end has come here
            if self._closing.is_set():
                return
            before = self._life.state
            self._life, verdict = runs.exited(self._life, name, code, words, time.monotonic())
            self._publish()
            if role == "renderer":
                self._renderer_gone()
            if name not in self._life.parts:
                del self._parts[name]
                return
            if self._life.state == "failed" and before != "failed" and not self._closing.is_set():
                log.error("run failed", run=self._record.run_id, why=self._life.error)
                self._closing.set()
            if verdict is None:
                self._given_up(name, runs.gone(name, code, words))
                return
            log.warning("started again", run=self._record.run_id, why=runs.gone(name, code, words))
            try:
                async with asyncio.timeout(verdict.after_s):
                    await self._closing.wait()
            except TimeoutError:
                continue

    async def _greet(self, part: Part, role: runs.Role) -> None:
        """Takes note of where a part is to be met, once it is ready; ends one that stays silent."""
        try:
            ready = await part.wait_ready(self._settings.ready_s)
        except NotReady as why:
            log.warning("not ready", run=self._record.run_id, why=str(why))
            part.signal(signal.SIGKILL)
            return
        self._at = self._at.after(part.name, ready)
        self._life = runs.greeted(self._life, part.name)
        if role == "streamer" and self._link is None:
            self._link = StreamerLink(self._context, self._at.feed_of(part.name), keys=self.keys)
        elif role == "relay" and part.name not in self._relays:
            feed = self._at.feed_of(part.name)
            self._relays[part.name] = StreamerLink(self._context, feed, keys=self.keys, server="relay")
        elif role == "renderer" and not self._views.done():
            self._views.set_result(Views(dialled(self._at.views), asyncio.Event()))
        self._met[part.name].set()
        self._publish()

    def _renderer_gone(self) -> None:
        if self._views.done() and not self._views.cancelled() and self._views.exception() is None:
            self._views.result().gone.set()
            self._views = asyncio.get_running_loop().create_future()

    def _given_up(self, name: str, why: str) -> None:
        """A part does not come again: whoever waits for a view of it is told."""
        drawn = "renderer" in self._parts
        blind = name == "renderer" or ("renderer" in self.plan.behind_of(name) and not drawn)
        if blind and not self._views.done():
            self._views.set_exception(NoView(f"this run is not drawn any more: {why}"))
            self._views.exception()  # nobody need be waiting

    async def _watch(self) -> None:
        """Asks the streamer how the run stands, for as long as there is a run."""
        await self._met["streamer"].wait()
        while True:
            link = self._link
            self._wish.clear()
            if link is not None:
                order = runs.due(self._record, self._status.state, begins=bool(self._viewers and self.plan.hold))
                try:
                    self._told(await link.command(order) if order else (await link.status())[0])
                except NoAnswer as why:
                    log.warning("no answer", run=self._record.run_id, why=str(why))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_AFTER_S if self._life.over else POLL_S):
                    await self._wish.wait()

    async def _hear(self) -> None:
        """Asks the streamer how the run stands, out of turn; what does not answer tells nothing."""
        if self._link is not None and not self._life.ended:
            with contextlib.suppress(NoAnswer):
                status, _ = await self._link.status()
                self._told(status)

    def _told(self, status: RunStatus) -> None:
        life = runs.told(self._life, status.state)
        if (life, status) != (self._life, self._status):
            self._life, self._status = life, status
            self._publish()

    def _publish(self) -> None:
        self.version += 1
        news, self._news = self._news, asyncio.Event()
        news.set()
