"""The runs that this control plane has at hand: those that wait for room, and those that have processes, or had.

Here a run is brought to life and looked after until it has ended; what it does is noted at the desk meanwhile.  Room
for those that begin is made by runs that are over, and the oldest of these are forgotten: the books have them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial

import structlog

from streamer.control.booking import Booking
from streamer.control.desk import Desk
from streamer.control.launching import Launcher, LiveRun
from streamer.control.metrics import Totals
from streamer.control.past import PastRun
from streamer.control.queue import Queue
from streamer.control.queueing import Claim
from streamer.control.runs import ENDED, Run
from streamer.control.sampling import Sampler
from streamer.control.schema import Problem
from streamer.control.targets import on_walls
from streamer.control.waiting import WaitingRun
from streamer.settings import Settings

KEPT_RECORDS = 1000
LATE_S = 5.0
"""So long, beside what their parts may take (``stop_s``), runs may take to be closed."""
LAST_S = 5.0
"""So long runs that have been closed may take to be written down."""
log = structlog.get_logger()
AnyRun = LiveRun | WaitingRun | PastRun


class Roster:
    """The runs at hand, newest last.  ``close`` it when done."""

    def __init__(
        self, settings: Settings, launcher: Launcher, desk: Desk, tasks: asyncio.TaskGroup,
        hang: Callable[[LiveRun], Coroutine[None, None, None]], allows: Callable[[Claim, Sequence[Claim]], bool],
    ) -> None:  # fmt: skip
        """``hang`` shows a run on the walls of its record; ``allows``: see ``Queue``."""
        self.launcher, self._settings, self._desk, self._tasks, self._hang = launcher, settings, desk, tasks, hang
        self.queue = Queue(settings, allows)
        self.turn = asyncio.Lock()
        """Whoever decides what becomes of runs, from looking at them to having it written down and done."""
        self.closing = asyncio.Event()
        self.forgotten = Totals()
        """What past runs that are not listed any more have done."""
        self._runs: dict[str, LiveRun | WaitingRun] = {}
        self._samplers: dict[str, Sampler] = {}
        self._living: set[asyncio.Task[None]] = set()

    def all(self) -> list[LiveRun | WaitingRun]:
        """Every run that waits or has processes, or had since the control plane was started; oldest first."""
        return list(self._runs.values())

    def get(self, run_id: str) -> LiveRun | WaitingRun | None:
        """A run, if it is at hand."""
        return self._runs.get(run_id)

    def waits(self, waiting: WaitingRun) -> None:
        """A run waits from now on, behind all others; the queue is to ``line_up`` when all have come."""
        self._runs[waiting.booked.run_id] = waiting
        self.queue.add(waiting)

    def drop(self, run_id: str) -> None:
        """A run is not there any more."""
        self._runs.pop(run_id, None)

    def live(self, booked: Booking, record: Run, *, over: bool = False) -> LiveRun:
        """Starts the parts of a run, also on its walls; of one that is over those that serve it.

        One that cannot be started has failed.  Raises Problem if one that is over cannot be served.
        """
        self.make_room()
        self._runs.pop(booked.run_id, None)  # so that it is the newest
        try:
            run = self.launcher.launch(booked, record, over=over)
        except (OSError, ValueError) as why:
            # What can be said of one run shall not keep the others waiting.
            if over:
                raise Problem(409, f"run {booked.run_id} cannot be served again: {why}") from None
            failed = self._runs[booked.run_id] = WaitingRun(booked, record)
            failed.fail(f"the run could not be started: {why}")
            self._desk.note(failed.record)
            log.error("run failed", run=booked.run_id, why=failed.record.error)
            return failed
        self._runs[booked.run_id] = run
        self.forget()
        living = self._tasks.create_task(self._lives(run), name=booked.run_id)
        self._living.add(living)
        living.add_done_callback(self._living.discard)
        if not over:
            self.queue.begins(run)
            self._tasks.create_task(self.queue.works(run), name=f"{booked.run_id} at work")
        if record.walls:
            self._tasks.create_task(self._hang(run))
        if self.closing.is_set():
            run.close(for_good=self.launcher.temporary)
        return run

    async def _lives(self, run: LiveRun) -> None:
        """The outermost loop of a run: what fails here fails this run alone."""
        sampler = self._samplers[run.record.run_id] = Sampler(run, self._desk)
        following = [self._tasks.create_task(self._desk.follow(run)), self._tasks.create_task(sampler.follow())]
        try:
            await run.live()
        except* Exception as why:
            log.error("run failed", run=run.record.run_id, exc_info=why)
            run.fail(f"the control plane could not go on with it: {_first(why)}")
            run.close()
        finally:
            for task in following:
                task.cancel()
            if run.record.state in ENDED:
                self._desk.note(run.record)
            # The first thing that is waited for: nobody who has waited for the end may find a log that is about to go.
            for step in (partial(self.launcher.left, run.record.run_id), sampler.note):
                try:
                    await step()
                except Exception as why:  # what one run leaves behind ends no other
                    log.error("run was not put away whole", run=run.record.run_id, exc_info=why)
            if self._samplers.get(run.record.run_id) is sampler:
                del self._samplers[run.record.run_id]
        log.info("run ended", run=run.record.run_id, state=run.record.state)

    async def sampled(self, run_id: str) -> None:
        """Has it written down what the parts of a run have used until now."""
        if (sampler := self._samplers.get(run_id)) is not None:
            await sampler.note()

    def make_room(self) -> int:
        """Of the runs that are over fewer than ``max_runs`` keep their processes: the oldest gives way.

        Those that somebody looks at do not; returns how many are left.
        """
        over = [run for run in self.all() if not run.closing.is_set() and run.record.state in ENDED]
        unseen = [run for run in over if not (run.record.viewers or on_walls(run))]
        go = unseen[: max(0, len(over) - self._settings.max_runs + 1)]
        for run in go:
            log.info("makes room", run=run.record.run_id)
            run.close()
        return len(over) - len(go)

    def forget(self) -> None:
        """Keeps the list of runs in memory bounded; the books have them all."""
        past = [run_id for run_id, run in self._runs.items() if run.closed.is_set()]
        for run_id in past[: max(0, len(self._runs) - KEPT_RECORDS)]:
            self.forgotten = self.forgotten.and_(self._runs.pop(run_id).record)

    def check_open(self) -> None:
        """Raises Problem if the control plane is ending."""
        if self.closing.is_set():
            raise Problem(503, "the control plane is ending: start it again, then the run")

    async def close(self) -> None:
        """Ends all processes, or lets go of them, within a bound; ``closing`` is set before."""
        for run in self.all():
            run.close(for_good=self.launcher.temporary)
            if self.launcher.temporary and run.record.run_id in self.queue:
                self._desk.note(run.record)
        ends = [asyncio.create_task(run.closed.wait()) for run in self.all()]
        if ends:
            _, late = await asyncio.wait(ends, timeout=self._settings.stop_s + LATE_S)
            for one in late:
                one.cancel()
        if self._living:
            _, missing = await asyncio.wait(self._living, timeout=LAST_S)  # their last words are written down
            for living in missing:
                log.error("a run has not ended in time, and is given up", run=living.get_name())
                living.cancel()
            if missing:
                await asyncio.wait(missing, timeout=LAST_S)


def _first(why: BaseException) -> BaseException:
    """The first of those that failed together."""
    while isinstance(why, BaseExceptionGroup):
        why = why.exceptions[0]
    return why
