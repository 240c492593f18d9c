"""The parts of one run as processes of this machine, each kept up until its end is meant.

A task per part starts it and asks ``lives.exited`` what its end means.  Parts come and go while a run goes on: workers
as they are wanted, and what shows it on walls.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable

import structlog

from streamer.control import lives
from streamer.control.launcher import NotReady, Part
from streamer.control.local_doors import LocalDoors
from streamer.control.news import News
from streamer.control.parts import Plan, arguments
from streamer.control.runs import Role, Run
from streamer.control.said import Said
from streamer.lifeline import Lifeline
from streamer.settings import Settings

LEAVE_S = 60.0
"""A worker that is not wanted any more may take so long to come to a point where its work can be left."""
FIRST_WORKER_S = 10.0
"""So long a renderer lets workers go first."""
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
log = structlog.get_logger()


class Crew:
    """Keeps the parts of a run up: ``start`` it, and ``end`` it once ``closing`` is set."""

    def __init__(
        self, record: Run, plan: Plan, doors: LocalDoors, settings: Settings, lifeline: Lifeline, said: Said,
        news: News, conducted: Callable[[str], None], hear: Callable[[], Awaitable[None]], *, over: bool,
    ) -> None:  # fmt: skip
        """``conducted`` is told of a conductor that is ready; ``hear`` asks the streamer how the run stands."""
        self.plan = plan
        self.life = (
            lives.opened(plan.parts, record.state) if over else lives.new(plan.parts, archive=plan.out is not None)
        )
        self.closing = asyncio.Event()
        self._run_id, self._workers, self._doors = record.run_id, record.workers, doors
        self._settings, self._lifeline, self._said, self._news = settings, lifeline, said, news
        self._conducted, self._hear = conducted, hear
        self._tasks: asyncio.TaskGroup | None = None
        self._keepers: dict[asyncio.Task[None], str] = {}
        """The part that each keeps up."""
        self._parts: dict[str, Part] = {}

    @property
    def at_work(self) -> list[tuple[str, int]]:
        """The role and the process id of each part that runs."""
        return [
            (self.life.parts[name].role, part.pid) for name, part in self._parts.items()
            if part.pid is not None and name in self.life.parts and not part.gone.is_set()
        ]  # fmt: skip

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Starts all parts."""
        self._tasks = tasks
        for name, role in self.plan.parts.items():
            self._keep_up(name, role)

    async def end(self) -> None:
        """Ends all parts, within a bound; ``closing`` is set before."""
        for part in self._parts.values():
            part.signal(signal.SIGTERM)
        if self._keepers:
            await asyncio.wait(set(self._keepers), timeout=self._settings.stop_s)
        for keeper in tuple(self._keepers):
            keeper.cancel()

    def take_on(self, name: str, role: Role) -> None:
        """One part more, or one that had been given up."""
        self.life = lives.joined(self.life, name, role)
        self._keep_up(name, role)

    def mend(self, parts: Iterable[str]) -> None:
        """Of some parts those that were given up are started again."""
        for name in parts:
            if name in self.life.parts and not self.life.parts[name].alive:
                self.take_on(name, self.life.parts[name].role)

    def staff(self, workers: int) -> None:
        """Starts the workers that are missing, and asks those that are too many to leave: the last come first."""
        self._workers = workers
        if self._tasks is None or self.closing.is_set() or self.life.over:
            return
        self.plan = self.plan._replace(workers=workers)
        come, go = lives.staffing(self.life, workers)
        for name in come:
            self.take_on(name, "worker")
        for name in go:
            self.life = lives.dismissed(self.life, name)
            if (part := self._parts.get(name)) is not None:
                self._tasks.create_task(self._let_go(part))

    async def dismiss(self, parts: Iterable[str]) -> None:
        """Ends some parts, and forgets them; when it returns, they are gone."""
        mine = [name for name in parts if name in self.life.parts]
        for name in mine:
            self.life = lives.dismissed(self.life, name)
            if name in self._parts:
                self._parts[name].signal(signal.SIGTERM)
        keepers = {keeper for keeper, name in self._keepers.items() if name in mine}
        if keepers:
            # One that waits for another part, or to be started again, has nothing to end.
            running = {keeper for keeper in keepers if self._parts.get(self._keepers[keeper]) is not None}
            await asyncio.wait(running or keepers, timeout=self._settings.stop_s)
            for keeper in keepers:
                keeper.cancel()
            await asyncio.wait(keepers)
        for name in mine:
            if name in self.life.parts:
                self.life = lives.left(self.life, name)
            self._parts.pop(name, None)
            self._doors.forget(name)

    # ------------------------------------------------------------ one part

    def _keep_up(self, name: str, role: Role) -> None:
        assert self._tasks is not None, "it was started"
        keeper = self._tasks.create_task(self._keep(name, role))
        self._keepers[keeper] = name
        keeper.add_done_callback(lambda done: self._keepers.pop(done, None))

    async def _keep(self, name: str, role: Role) -> None:
        """Starts a part, and again if its end was not meant."""
        if source := self.plan.source(name):
            await self._doors.met(source)
        if role == "renderer":
            await self._after_work()
        while not self.closing.is_set() and name in self.life.parts:
            if self.life.parts[name].dismissed:
                self.life = lives.left(self.life, name)
                self._news.publish()
                return
            facts = {"run": self._run_id}
            part = self._parts[name] = Part(
                name, arguments(name, role, self.plan, self._doors.at), self._lifeline, facts, self._said.add
            )
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(part.run())
                tasks.create_task(self._greet(part, role))
            code = running.result()
            words = part.words
            if role == "worker" and code == 0:
                await self._hear()  # a worker may leave before the news of the end has come here
            if self.closing.is_set():
                return
            before = self.life.state
            self.life, verdict = lives.exited(self.life, name, code, words, time.monotonic())
            self._news.publish()
            if role == "renderer":
                self._doors.renderer_gone()
            if name not in self.life.parts:
                self._parts.pop(name, None)
                return
            if self.life.state == "failed" and before != "failed" and not self.closing.is_set():
                log.error("run failed", run=self._run_id, why=self.life.error)
                self.closing.set()
            if verdict is None:
                self._given_up(name, lives.gone(name, code, words))
                return
            log.warning("started again", run=self._run_id, why=lives.gone(name, code, words))
            try:
                async with asyncio.timeout(verdict.after_s):
                    await self.closing.wait()
            except TimeoutError:
                continue

    async def _after_work(self) -> None:
        """Where there are fewer cores than parts, those that work load their libraries first: pictures need chunks."""
        if self.life.over or not self._workers or len(self.plan.parts) <= CORES:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WORKER_S):
                while not self.closing.is_set() and not any(
                    part.role == "worker" and part.ready for part in self.life.parts.values()
                ):
                    await self._news.newer(self._news.version)

    async def _greet(self, part: Part, role: Role) -> None:
        """Takes note of where a part is to be met, once it is ready; ends one that stays silent."""
        try:
            ready = await part.wait_ready(self._settings.ready_s)
        except NotReady as why:
            log.warning("not ready", run=self._run_id, why=str(why))
            part.signal(signal.SIGKILL)
            return
        self.life = lives.greeted(self.life, part.name)
        self._doors.opened(part.name, role, ready)
        if role == "conductor":
            self._conducted(part.name)
        self._news.publish()

    async def _let_go(self, part: Part) -> None:
        """A worker hands back its leases and leaves; one that does not is ended."""
        part.signal(signal.SIGTERM)
        async with asyncio.TaskGroup() as waiting:
            gone, closing = waiting.create_task(part.gone.wait()), waiting.create_task(self.closing.wait())
            await asyncio.wait([gone, closing], timeout=LEAVE_S, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            closing.cancel()
        part.signal(signal.SIGKILL)

    def _given_up(self, name: str, why: str) -> None:
        """A part does not come again: it may be that the run is not drawn without it."""
        drawn = "renderer" in self._parts
        if name == "renderer" or ("renderer" in self.plan.behind_of(name) and not drawn):
            self._doors.no_view(why)
