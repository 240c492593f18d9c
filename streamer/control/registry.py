"""All runs of this control plane, those at hand and those that are only written down, and what is wanted of them.

How a run comes in is ``admission``, who looks after it as long as it is at hand ``roster``.  What is wanted of a run is
written down before it is done, and one that is over can be served again from its log; runs whose processes are gone
are read from the books.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from typing import TypeVar

import structlog
import zmq.asyncio

from streamer.control import runs, view_books
from streamer.control.admission import Admission
from streamer.control.books import Books, Written
from streamer.control.database import NoBooks
from streamer.control.desk import Desk
from streamer.control.folder import Folder
from streamer.control.launchers import Choice, Parts, chosen
from streamer.control.launching import Launcher, LiveRun
from streamer.control.past import PastRun
from streamer.control.report import Report, report
from streamer.control.roster import AnyRun, Roster
from streamer.control.runs import Page, Run, State
from streamer.control.schema import Problem
from streamer.control.targets import Targets, check_generation
from streamer.control.view_lines import ViewLines
from streamer.control.waiting import WaitingRun
from streamer.lifeline import Lifeline
from streamer.settings import Settings
from streamer.wire.volume import RunSpec

log = structlog.get_logger()
Answer = TypeVar("Answer")
BOOKS = "cavecast.db"
"""The database in the folder, where no other is set."""


class Registry:
    """The runs.  Made by ``open_registry``."""

    def __init__(
        self, settings: Settings, folder: Folder, tasks: asyncio.TaskGroup, desk: Desk, choice: Choice
    ) -> None:
        self.settings, self.folder, self.desk = settings, folder, desk
        self.context = zmq.asyncio.Context()
        self.context.set(zmq.MAX_SOCKETS, 4096)
        self._tasks, self.lifeline = tasks, Lifeline()
        self.launcher: Launcher = choice.launcher(Parts(settings, folder, self.lifeline, self.context, self._in_books))
        self.roster = Roster(
            settings, self.launcher, desk, tasks,
            hang=lambda run: self.targets.hang(run),
            allows=lambda claim, at_work: self.admission.fits(claim, at_work),
        )  # fmt: skip
        """Those at hand."""
        self.view_lines = ViewLines()
        """Which browsers look at which shared view."""
        self.targets = Targets(self, self.launcher)
        """Which run is shown on which wall."""
        self.admission = Admission(settings, self.launcher, self.roster, self.targets, desk, self.lifeline)
        """How a run comes in."""

    @property
    def closing(self) -> asyncio.Event:
        """Set when the control plane is ending."""
        return self.roster.closing

    def all(self) -> list[LiveRun | WaitingRun]:
        """Every run that waits or has processes, or had since the control plane was started; oldest first."""
        return self.roster.all()

    async def find(self, run_id: str) -> AnyRun:
        """A run.  Raises Problem 404, or 503 if the books cannot be read."""
        here = self.roster.get(run_id)
        if here is not None:
            return here
        if not run_id.isprintable():  # a NUL is none of PostgreSQL's characters
            raise Problem(404, "there is no run of that name")
        written = await self._written(run_id)
        return self.roster.get(run_id) or PastRun(written)

    async def project_of(self, run_id: str) -> str | None:
        """Whose a run is; None if there is no such run.  Raises Problem 503."""
        try:
            return (await self.find(run_id)).record.project
        except Problem as why:
            if why.status == 404:
                return None
            raise

    async def page(
        self,
        states: Collection[State],
        words: str,
        before: str,
        limit: int,
        projects: frozenset[str] | None = None,
    ) -> Page:
        """Some of the runs, newest first (see ``runs.page``); ``before`` names a run.  Raises Problem 404, 503.

        Runs of other projects than ``projects`` (None: all) are not there for it.
        """
        last = (await self.find(before)).record if before else None
        if last is not None and not _among(last, projects):
            raise Problem(404, f"there is no run {before}")
        older_than = (last.created, last.run_id) if last else None
        here = {run.record.run_id: run.record for run in self.all()}
        old = await self.desk.answer(lambda books: books.ended(states, words, older_than, limit, tuple(here), projects))
        found = [run for run in (*here.values(), *old.runs) if _among(run, projects)]
        return runs.page(found, states, words, older_than, limit, more=old.more)

    async def want(self, run_id: str, change: Callable[[Run], Run], generation: int | None = None) -> AnyRun:
        """What is wanted of a run from now on, written down before anything is done about it.

        Raises Problem: 404, 409 if it cannot be had, 412 if the run is not of that ``generation``, 503.
        """
        async with self.roster.turn:
            run = await self.find(run_id)
            before = run.record
            check_generation(before, generation)
            try:
                after = change(before)
            except runs.NotNow as why:
                raise Problem(409, str(why)) from None
            if after is before:
                return run
            if isinstance(run, PastRun):
                raise Problem(409, f"run {run_id} is {before.state}: nothing can be changed any more")
            try:
                await self.desk.answer(lambda books: books.put([after]))
            except Problem as why:
                if not after.cancelling:
                    raise
                # Who wants an end gets it; the books hear of it when they can.
                log.warning("ended without being written down yet", run=run_id, why=why.detail)
                self.desk.note(after)
            run.want(after)
            if run_id in self.roster.queue:
                self.roster.queue.line_up()
            return run

    async def cancel(self, run_id: str, generation: int | None = None) -> AnyRun:
        """Ends a run in order; of one that is over only the processes.  Raises Problem."""
        run = await self.find(run_id)
        if run.record.state not in runs.ENDED and not run.record.cancelling:
            run = await self.want(run_id, lambda record: runs.wanted(record, cancelling=True), generation)
        await run.cancel()
        return run

    async def remove(self, run_id: str) -> None:
        """Forgets a run that is over, with its log; its store stays.  Raises Problem."""
        removed = False
        while not removed:
            run = await self.find(run_id)
            if run.record.state not in runs.ENDED:
                raise Problem(409, f"run {run_id} is {run.record.state}: cancel it first, then remove it")
            await run.cancel()
            async with self.roster.turn:
                again = self.roster.get(run_id)
                if again is None or again.closed.is_set():  # nobody has had it served meanwhile
                    await self.desk.answer(lambda books: view_books.remove_all(books, run_id))
                    await self.desk.answer(lambda books: books.remove(run_id))
                    self.desk.forget(run_id)
                    self.roster.drop(run_id)
                    removed = True
        await self.launcher.forget(run_id)

    async def serve(self, run_id: str) -> LiveRun:
        """A run whose parts are there: one that is over and was put away is served again, from its log.

        Raises Problem 404, 409 if its log is gone, 503.
        """
        run = await self.find(run_id)
        if not isinstance(run, PastRun):
            if not run.closing.is_set():
                return run
            await run.closed.wait()
        there = await self.launcher.kept(run_id)
        async with self.roster.turn:
            return await self._serve_again(run_id, run.record, there=there)

    async def _serve_again(self, run_id: str, record: Run, *, there: bool) -> LiveRun:
        """Serves a run that is over; ``there``: whether its log is.  Raises Problem."""
        written = await self.desk.answer(lambda books: books.find(run_id))
        again = self.roster.get(run_id)
        if again is not None and not again.closing.is_set():
            return again  # somebody else was quicker
        if written is None or not there:
            raise Problem(
                409, f"run {run_id} is {record.state} and its streamer does not run: its log is not there any more"
            )
        self.roster.check_open()
        if self.roster.make_room() >= self.settings.max_runs:
            raise Problem(
                409,
                f"{self.settings.max_runs} runs that are over are being looked at (max_runs): close one of them first",
            )
        log.info("served again", run=run_id)
        return self.roster.live(written.booking, record, over=True)

    async def specification(self, run_id: str) -> RunSpec:
        """What a run was made of.  Raises Problem 404, 503."""
        return (await self._written(run_id)).booking.spec

    async def report(self, run_id: str) -> Report:
        """What the steps of a run have taken so far.  Raises Problem 404, 503."""
        run = await self.find(run_id)
        await self.roster.sampled(run_id)
        return report(run.record, await self.desk.answer(lambda books: books.usage(run_id)))

    async def manifests(self, run_id: str) -> str:
        """The objects that a run is made of, as YAML.  Raises Problem 404, 409 where runs are made of none, 503."""
        written = await self._written(run_id)
        try:
            return self.launcher.manifests(written.booking)
        except ValueError as why:
            raise Problem(409, str(why)) from None

    async def ask(self, question: Callable[[Books], Answer]) -> Answer:
        """What the books say to a question of somebody who keeps tables of their own there.  Raises Problem 503."""
        return await self.desk.answer(question)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Work that ends by itself, or soon after ``closing`` is set."""
        self._tasks.create_task(work)

    async def close(self) -> None:
        """Ends all processes.  Runs whose folder stays go on when the control plane is started again."""
        self.closing.set()
        self.targets.patterns.close()
        await self.roster.close()
        await self.launcher.close()
        self.lifeline.close()

    async def _written(self, run_id: str) -> Written:
        """A run as the books have it.  Raises Problem 404, 503."""
        written = await self.desk.answer(lambda books: books.find(run_id))
        if written is None:
            raise Problem(404, f"there is no run {run_id}")
        return written

    async def _in_books(self, run_id: str) -> Run | None:
        written = await self.desk.ask(lambda books: books.find(run_id))
        return None if written is None else written.record


@contextlib.asynccontextmanager
async def open_registry(settings: Settings, folder: Folder, choice: Choice | None = None) -> AsyncIterator[Registry]:
    """A registry that goes on with the runs of its place, and lets go of all on leaving.  Raises NoBooks."""
    choice = choice or chosen(settings)
    url = settings.database or f"sqlite:///{folder.path / BOOKS}"
    desk = Desk(await asyncio.to_thread(Books, url, choice.place(folder)))
    try:
        unfinished = await desk.ask(lambda books: books.unfinished())
    except NoBooks:
        await desk.close()
        raise
    async with asyncio.TaskGroup() as tasks:
        registry = Registry(settings, folder, tasks, desk, choice)
        standing = [tasks.create_task(desk.write()), tasks.create_task(registry.launcher.tend())]
        try:
            registry.admission.resume(unfinished)
            standing.append(tasks.create_task(registry.admission.dispatch()))
            yield registry
        finally:
            await registry.close()
            for task in standing:
                task.cancel()
            await desk.close()
    registry.context.destroy(linger=0)


def _among(run: Run, projects: frozenset[str] | None) -> bool:
    return projects is None or run.project in projects
