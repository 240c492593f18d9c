"""All runs of this control plane: what is asked for becomes a run, and every run has an owner.

A request is answered with a run only after ``cavecast inspect`` has found the input to be usable and the run has been
written down; whatever is said against it is the answer otherwise, and nothing has been started then.  Runs that had
not ended when the control plane did are made again when it is started; runs that are over are read from the books.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import structlog
import zmq.asyncio
from pydantic import ValidationError

from streamer.control import booking, runs, scrutiny
from streamer.control.booking import Booking
from streamer.control.books import Books, KeyTaken, NoBooks, Written
from streamer.control.desk import Desk
from streamer.control.folder import Folder, address
from streamer.control.local import LocalRun
from streamer.control.metrics import Totals
from streamer.control.parts import SPEC_FILE, Addresses
from streamer.control.past import PastRun
from streamer.control.roles import keys_of
from streamer.control.runs import Page, Run, State
from streamer.control.said import Said
from streamer.control.schema import Problem, RunRequest, sentence
from streamer.lifeline import Lifeline
from streamer.settings import Settings
from streamer.wire.keys import read
from streamer.wire.volume import RunSpec

WITH_STORE = ("out", "shard", "retain_gb")
"""What of a request concerns its store, which another run cannot write as well."""
KEPT_RECORDS = 1000
STARTED_AGAIN = "the control plane was started again"
log = structlog.get_logger()
AnyRun = LocalRun | PastRun
Answer = TypeVar("Answer")
BOOKS = "cavecast.db"
"""The database in the folder, where no other is set."""


class Registry:
    """The runs, newest last.  Made by ``open_registry``."""

    def __init__(self, settings: Settings, folder: Folder, tasks: asyncio.TaskGroup, desk: Desk) -> None:
        self.settings, self.folder, self.desk = settings, folder, desk
        self.context = zmq.asyncio.Context()
        self.context.set(zmq.MAX_SOCKETS, 4096)
        self.closing = asyncio.Event()
        self._tasks, self.lifeline = tasks, Lifeline()
        self._runs: dict[str, LocalRun] = {}
        self.forgotten = Totals()
        """What past runs that are not listed any more have done."""
        self._starting = 0
        self._wishes = asyncio.Lock()

    def all(self) -> list[LocalRun]:
        """Every run that has processes, or had since the control plane was started; oldest first."""
        return list(self._runs.values())

    async def find(self, run_id: str) -> AnyRun:
        """A run.  Raises Problem 404, or 503 if the books cannot be read."""
        if run_id in self._runs:
            return self._runs[run_id]
        written = await self._ask(lambda books: books.find(run_id))
        if written is None:
            raise Problem(404, f"there is no run {run_id}")
        return self._runs.get(run_id) or PastRun(written)

    async def page(self, states: Collection[State], words: str, before: str, limit: int) -> Page:
        """Some of the runs, newest first (see ``runs.page``); ``before`` names a run.  Raises Problem 404, 503."""
        last = (await self.find(before)).record if before else None
        older_than = (last.created, last.run_id) if last else None
        here = {run.record.run_id: run.record for run in self.all()}
        old = await self._ask(lambda books: books.ended(states, words, older_than, limit, tuple(here)))
        return runs.page([*here.values(), *old.runs], states, words, older_than, limit, more=old.more)

    async def start(self, request: RunRequest, key: str | None = None) -> AnyRun:
        """A new run, its parts being started, or the one that came with the same key before.

        Raises Problem with a sentence; then nothing is left of it.
        """
        self._check_open()
        digest = hashlib.sha256(msgspec.json.encode(_plainly(request), order="sorted")).hexdigest()
        if key is not None and (known := await self._ask(lambda books: books.known(key, digest))) is not None:
            return self._runs.get(known.booking.run_id) or PastRun(known)
        workers = scrutiny.allowed(request, self.settings)
        if request.out is not None:
            await scrutiny.check_store(request.out, self.lifeline)
        self._make_room()
        self._starting += 1
        try:
            found = await scrutiny.inspect(request, self.lifeline)
            self._check_open()
            run_id, created = f"{booking.slug(request.input)}-{secrets.token_hex(4)}", _now()
            booked = booking.book(request, found, workers, run_id, created)
            record = booking.record(booked)
            known = await self._ask(lambda books: books.add(booked, record, key, digest))
            if known is not None:
                return self._runs.get(known.booking.run_id) or PastRun(known)
            run = self._live(booked, record)
            log.info("run starts", run=run_id, input=request.input, chunks=found.grid.size, workers=workers)
            return run
        finally:
            self._starting -= 1

    async def want(self, run_id: str, change: Callable[[Run], Run], generation: int | None = None) -> AnyRun:
        """What is wanted of a run from now on, written down before anything is done about it.

        Raises Problem: 404, 409 if it cannot be had, 412 if the run is not of that ``generation``, 503.
        """
        async with self._wishes:
            run = await self.find(run_id)
            before = run.record
            if generation is not None and generation != before.generation:
                raise Problem(
                    412, f"run {run_id} is of generation {before.generation}, not {generation}: "
                    "somebody else has changed it; look at it again",
                )  # fmt: skip
            try:
                after = change(before)
            except runs.NotNow as why:
                raise Problem(409, str(why)) from None
            if after is before:
                return run
            if not isinstance(run, LocalRun):
                raise Problem(409, f"run {run_id} is {before.state}: nothing can be changed any more")
            try:
                await self._ask(lambda books: books.put([after]))
            except Problem as why:
                if not after.cancelling:
                    raise
                # Who wants an end gets it; the books hear of it when they can.
                log.warning("ended without being written down yet", run=run_id, why=why.detail)
            run.want(after)
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
        run = await self.find(run_id)
        if run.record.state not in runs.ENDED:
            raise Problem(409, f"run {run_id} is {run.record.state}: cancel it first, then remove it")
        await run.cancel()
        await self._ask(lambda books: books.remove(run_id))
        self.desk.forget(run_id)
        self._runs.pop(run_id, None)
        await asyncio.to_thread(shutil.rmtree, self.folder.run(run_id), ignore_errors=True)

    async def serve(self, run_id: str) -> LocalRun:
        """A run whose parts are there: one that is over and was put away is served again, from its log.

        Raises Problem 404, 409 if its log is gone, 503.
        """
        run = await self.find(run_id)
        if isinstance(run, LocalRun) and not run.closing.is_set():
            return run
        if isinstance(run, LocalRun):
            await run.closed.wait()
        written = await self._ask(lambda books: books.find(run_id))
        again = self._runs.get(run_id)
        if again is not None and not again.closing.is_set():
            return again  # somebody else was quicker
        if written is None or not (self.folder.path / run_id / "log").is_dir():
            raise Problem(
                409, f"run {run_id} is {run.record.state} and its streamer does not run: its log is not there any more"
            )
        self._check_open()
        self._make_room()
        log.info("served again", run=run_id)
        return self._live(written.booking, run.record, over=True)

    async def specification(self, run_id: str) -> RunSpec:
        """What a run was made of.  Raises Problem 404, 503."""
        written = await self._ask(lambda books: books.find(run_id))
        if written is None:
            raise Problem(404, f"there is no run {run_id}")
        return written.booking.spec

    async def again(self, run_id: str, changes: Mapping[str, object]) -> RunRequest:
        """The request of a run once more, with some of its fields changed, and no store.  Raises Problem."""
        written = await self._ask(lambda books: books.find(run_id))
        if written is None:
            raise Problem(404, f"there is no run {run_id}")
        asked = {name: value for name, value in written.booking.asked.items() if name not in WITH_STORE}
        try:
            return RunRequest.model_validate({**asked, **changes})
        except ValidationError as why:
            raise Problem(422, sentence(list(why.errors()))) from None  # type: ignore[arg-type]

    def resume(self, unfinished: Iterable[Written]) -> None:
        """Goes on with the runs that had not ended when the control plane did."""
        for written in unfinished:
            record, run_id = written.record, written.record.run_id
            others = tuple(remark for remark in record.remarks if not remark.startswith(STARTED_AGAIN))
            sentence = f"{STARTED_AGAIN} at {_now()}; the run goes on from its log"
            record = msgspec.structs.replace(record, remarks=(*others, sentence))
            try:
                run = self._live(written.booking, record)
            except (OSError, ValueError) as why:
                # What can be said of one run shall not keep the others waiting.
                failed = msgspec.structs.replace(
                    record, state="failed", error=f"the run could not go on after a restart: {why}"
                )
                self.desk.note(failed)
                log.error("run failed", run=run_id, why=failed.error)
                continue
            log.info("run goes on", run=run_id, committed=run.record.status.committed)

    async def _ask(self, question: Callable[[Books], Answer]) -> Answer:
        try:
            return await self.desk.ask(question)
        except NoBooks as why:
            raise Problem(503, str(why)) from None
        except KeyTaken as why:
            raise Problem(422, str(why)) from None

    def _make_room(self) -> None:
        """Raises Problem if too many runs are at work.

        Runs that are over do not count, though they are still served; of them, too, no more than ``max_runs`` keep
        their processes: the oldest that nobody looks at gives way.
        """
        most, here = self.settings.max_runs, [run for run in self.all() if not run.closing.is_set()]
        over = [run for run in here if run.record.state in runs.ENDED]
        at_work = len(here) - len(over) + self._starting
        if at_work >= most:
            raise Problem(409, f"{at_work} runs are at work and max_runs is {most}: wait, or cancel one first")
        for run in [run for run in over if not run.record.viewers][: max(0, len(over) - most + 1)]:
            log.info("makes room", run=run.record.run_id)
            run.close()

    def _check_open(self) -> None:
        if self.closing.is_set():
            raise Problem(503, "the control plane is ending: start it again, then the run")

    async def close(self) -> None:
        """Ends all processes.  Runs whose folder stays go on when the control plane is started again."""
        self.closing.set()
        for run in self.all():
            run.close(for_good=self.folder.temporary)
        for run in self.all():
            await run.closed.wait()
        self.lifeline.close()

    def _live(self, booked: Booking, record: Run, *, over: bool = False) -> LocalRun:
        """Starts the parts of a run; of one that is over those that serve it.  Raises OSError, ValueError."""
        folder = self.folder.run(booked.run_id)
        (folder / SPEC_FILE).write_bytes(msgspec.json.encode(booked.spec))
        keys = keys_of(self.settings.run_keys, folder)
        plan = booking.plan(booked, folder, keys)
        plan = plan._replace(workers=record.workers) if not over else plan.to_look_at()
        host, asked = self.settings.parts_host, booking.listening(booked)
        ingest, feed, views = (address(folder, door, host) for door in ("ingest", "feed", "views"))
        relays = {one.part: asked.get(one.part) or address(folder, one.part, host) for one in plan.relays}
        at = Addresses(ingest, feed, views, relays)
        mine = read(keys / "control.toml", "control") if keys is not None else None
        run = LocalRun(record, plan, at, self.settings, self.lifeline, self.context, mine, Said(folder), over=over)
        self._runs.pop(booked.run_id, None)  # so that it is the newest
        self._runs[booked.run_id] = run
        self._forget()
        self._tasks.create_task(self._lives(run), name=booked.run_id)
        return run

    async def _lives(self, run: LocalRun) -> None:
        """The outermost loop of a run: what fails here fails this run alone."""
        following = self._tasks.create_task(self.desk.follow(run))
        try:
            await run.live()
        except* Exception as why:
            log.error("run failed", run=run.record.run_id, exc_info=why)
            run.fail(f"the control plane could not go on with it: {why.exceptions[0]}")
        finally:
            following.cancel()
            if run.record.state in runs.ENDED:
                self.desk.note(run.record)
            if self.folder.temporary:
                shutil.rmtree(run.plan.folder, ignore_errors=True)
        log.info("run ended", run=run.record.run_id, state=run.record.state)

    def _forget(self) -> None:
        """Keeps the list of runs in memory bounded; the books have them all."""
        past = [run_id for run_id, run in self._runs.items() if run.closed.is_set()]
        for run_id in past[: max(0, len(self._runs) - KEPT_RECORDS)]:
            self.forgotten = self.forgotten.and_(self._runs.pop(run_id).record)


@asynccontextmanager
async def open_registry(settings: Settings, folder: Folder) -> AsyncIterator[Registry]:
    """A registry that goes on with the runs of its folder, and ends all processes on leaving.  Raises NoBooks."""
    url = settings.database or f"sqlite:///{folder.path / BOOKS}"
    desk = Desk(await asyncio.to_thread(Books, url, folder.place()))
    try:
        unfinished = await desk.ask(lambda books: books.unfinished())
    except NoBooks:
        await desk.close()
        raise
    async with asyncio.TaskGroup() as tasks:
        registry = Registry(settings, folder, tasks, desk)
        writing = tasks.create_task(desk.write())
        try:
            registry.resume(unfinished)
            yield registry
        finally:
            await registry.close()
            writing.cancel()
            await desk.close()
    registry.context.destroy(linger=0)


def _plainly(request: RunRequest) -> object:
    """What was asked for, in one form: sets in order, and no word about what was left out."""
    asked = request.model_dump(mode="json", exclude_unset=True)
    return {name: sorted(value) if name == "layers" else value for name, value in asked.items()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
