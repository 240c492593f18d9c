"""What is asked for becomes a run: it is looked at, written down, and begins or waits for room.

A request is answered with a run only after ``cavecast inspect`` has found the input to be usable and the run has been
written down; whatever is said against it is the answer otherwise, and nothing has been started then.  A run for which
there is no room waits in a queue (``queueing`` decides who is next).  Runs that had not ended when the control plane
did are made again, or wait again in their order, when it is started.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import structlog
from pydantic import ValidationError

from streamer.control import booking, scrutiny
from streamer.control.access.people import DEFAULT, LOCAL, Person
from streamer.control.access.quotas import NO_LIMIT, Quota, Usage, beyond
from streamer.control.booking import Booking
from streamer.control.books import Written
from streamer.control.desk import Desk
from streamer.control.launching import STARTED_AGAIN, Launcher
from streamer.control.past import PastRun
from streamer.control.queueing import Claim
from streamer.control.roster import AnyRun, Roster
from streamer.control.runs import ENDED, Run
from streamer.control.schema import Problem, RunRequest, sentence
from streamer.control.targets import Targets
from streamer.control.usage import Series
from streamer.control.waiting import WaitingRun
from streamer.lifeline import Lifeline
from streamer.settings import Settings

ALONE = ("out", "shard", "retain_gb", "walls", "take")
"""What of a request concerns its store and its walls, which another run cannot have as well."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 5.0
"""Between two tries to let runs begin while the books are away."""
log = structlog.get_logger()


class Admission:
    """Lets runs in.  ``dispatch`` is to run for as long as there may be runs that wait."""

    def __init__(
        self, settings: Settings, launcher: Launcher, roster: Roster, targets: Targets, desk: Desk, lifeline: Lifeline
    ) -> None:
        self._settings, self._launcher, self._roster = settings, launcher, roster
        self._targets, self._desk, self._lifeline = targets, desk, lifeline
        self._queue = roster.queue
        self.looks = scrutiny.Looks(settings.max_inspections, settings.max_queued)
        self.quotas: Mapping[str, Quota] = {}
        """By project; one that is not named has no limits."""
        self._asked = 0

    # ------------------------------------------------------------ quotas

    def used(self, project: str) -> Usage:
        """What of a project is at work; GPUs are those of its workers."""
        used = Usage()
        for record in [run.record for run in self._roster.all() if run.record.project == project]:
            if record.state not in ENDED and record.state != "queued":
                used = used.and_(Usage(1, record.workers, record.workers * record.gpus))
        return used

    def check_quota(self, project: str, asked: Usage) -> None:
        """Raises Problem if a project may not have so much more: 409 if it could at another time, 422 if never."""
        refused = beyond(project, self.quotas.get(project, NO_LIMIT), self.used(project), asked)
        if refused is not None:
            raise Problem(409 if refused.ever else 422, refused.why)

    def check_scale(self, run: Run, workers: int) -> None:
        """Raises Problem if a run may not have so many workers: for one that waits 422, if it could never begin."""
        if run.state == "queued":
            self._check_ever(run.project, workers, run.gpus)
            return
        more = workers - run.workers
        self.check_quota(run.project, Usage(0, more, more * run.gpus))

    def _check_ever(self, project: str, workers: int, gpus: int) -> None:
        """Raises Problem if a run of so many workers, each with so many GPUs, is more than a project may ever have."""
        asked = Usage(1, workers, workers * gpus)
        if (never := beyond(project, self.quotas.get(project, NO_LIMIT), Usage(), asked)) is not None:
            raise Problem(422, never.why)

    def fits(self, claim: Claim, at_work: Sequence[Claim]) -> bool:
        """Whether the quota of a run's project has room for it beside those at work."""
        used = Usage()
        for one in at_work:
            if one.project == claim.project:
                used = used.and_(Usage(1, one.workers, one.gpus))
        quota = self.quotas.get(claim.project, NO_LIMIT)
        return beyond(claim.project, quota, used, Usage(1, claim.workers, claim.gpus)) is None

    # ------------------------------------------------------------ what is asked for

    async def start(
        self, request: RunRequest, key: str | None = None, project: str = DEFAULT, person: Person = LOCAL
    ) -> AnyRun:
        """A new run of a project, its parts being started or waiting for room, or the one that had the same key before.

        Raises Problem with a sentence; then nothing is left of it.
        """
        self._roster.check_open()
        digest = hashlib.sha256(msgspec.json.encode(_plainly(request), order="sorted")).hexdigest()
        if (known := await self._known(project, key, digest)) is not None:
            return known
        workers = scrutiny.allowed(request, self._settings)
        self._queue.check(self._asked)
        await self._targets.check(request.walls, take=request.take, person=person)
        if request.out is not None:
            self._check_out(request.out)
        gpus = self._launcher.gpus(request)
        self._check_ever(project, workers, gpus)
        self._asked += 1
        try:
            async with self.looks:
                if request.out is not None:
                    await scrutiny.check_store(request.out, self._lifeline)
                looked = scrutiny.Looked()
                found = await scrutiny.inspect(request, self._lifeline, looked=looked)
            self._roster.check_open()
            run_id = f"{booking.slug(request.input)}-{secrets.token_hex(4)}"
            async with self._targets.claimed(request.walls):
                booked = booking.book(request, found, workers, run_id, _now(), project, gpus)
                self._check(booked)
                if request.walls:
                    if (known := await self._known(project, key, digest)) is not None:
                        return known
                    await self._targets.check(request.walls, take=request.take, person=person)
                    await self._targets.free(request.walls, waits=not self._begins(booked))
                async with self._roster.turn:
                    booked = booking.book(request, found, workers, run_id, _now(), project, gpus)
                    return await self._book(booked, key, digest, looked.series)
        finally:
            self._asked -= 1

    async def _known(self, project: str, key: str | None, digest: str) -> AnyRun | None:
        """The run that came with a key before.  Raises Problem."""
        known = None if key is None else await self._desk.answer(lambda books: books.known(project, key, digest))
        return None if known is None else self._roster.get(known.booking.run_id) or PastRun(known)

    def _begins(self, booked: Booking) -> bool:
        """Whether there is room for a run now."""
        return booked.run_id in self._queue.due(WaitingRun(booked, booking.record(booked)))

    async def _book(self, booked: Booking, key: str | None, digest: str, looked: Series) -> AnyRun:
        """Writes a run down, and lets it begin or wait."""
        record, run_id = booking.record(booked), booked.run_id
        begins = self._begins(booked)
        if not begins:
            record = msgspec.structs.replace(record, state="queued")
        known = await self._desk.answer(lambda books: books.add(booked, record, key, digest, {"inspect": looked}))
        if known is not None:
            return self._roster.get(known.booking.run_id) or PastRun(known)
        chunks = booked.spec.grid.size
        log.info("run starts" if begins else "run waits", run=run_id, input=record.input, chunks=chunks)
        if begins:
            return self._roster.live(booked, record)
        waiting = WaitingRun(booked, record)
        self._roster.waits(waiting)
        self._queue.line_up()
        return waiting

    async def sketch(self, request: RunRequest, project: str = DEFAULT) -> str:
        """The objects that a run of a project would be made of, as YAML; nothing is begun.  Raises Problem."""
        workers = scrutiny.allowed(request, self._settings)
        async with self.looks:
            found = await scrutiny.inspect(request, self._lifeline)
        name = f"{booking.slug(request.input)}-00000000"
        booked = booking.book(request, found, workers, name, _now(), project, self._launcher.gpus(request))
        self._check(booked)
        try:
            return self._launcher.manifests(booked)
        except ValueError as why:
            raise Problem(409, str(why)) from None

    async def again(self, run_id: str, changes: Mapping[str, object]) -> RunRequest:
        """The request of a run once more, with some of its fields changed, and no store.  Raises Problem."""
        written = await self._desk.answer(lambda books: books.find(run_id))
        if written is None:
            raise Problem(404, f"there is no run {run_id}")
        asked = {name: value for name, value in written.booking.asked.items() if name not in ALONE}
        try:
            return RunRequest.model_validate({**asked, **changes})
        except ValidationError as why:
            raise Problem(422, sentence(list(why.errors()))) from None  # type: ignore[arg-type]

    # ------------------------------------------------------------ runs that wait

    def resume(self, unfinished: Iterable[Written]) -> None:
        """Goes on with the runs that had not ended when the control plane did."""
        for written in unfinished:
            record, run_id = written.record, written.record.run_id
            if record.state == "queued":
                self._roster.waits(WaitingRun(written.booking, record))
                continue
            others = tuple(remark for remark in record.remarks if not remark.startswith(STARTED_AGAIN))
            sentence = f"{STARTED_AGAIN} at {_now()}; the run goes on from its log"
            record = msgspec.structs.replace(record, remarks=(*others, sentence))
            self._roster.live(written.booking, record)
            log.info("run goes on", run=run_id, committed=record.status.committed)
        self._queue.line_up()

    async def dispatch(self) -> None:
        """Lets runs that wait begin as room comes, in their order; never ends."""
        wait_s = FIRST_WAIT_S
        while True:
            await self._queue.news.wait()
            self._queue.news.clear()
            try:
                async with self._roster.turn:
                    for run_id in self._queue.due():
                        await self._begin(self._queue[run_id])
                wait_s = FIRST_WAIT_S
            except Problem as why:
                log.warning("runs that wait cannot begin", why=why.detail)
                self._queue.news.set()
                await asyncio.sleep(wait_s)
                wait_s = min(LONGEST_WAIT_S, 2 * wait_s)

    async def _begin(self, waiting: WaitingRun) -> None:
        """Lets a run begin, once that is written down.  Raises Problem."""
        if self._roster.closing.is_set():
            return
        record = msgspec.structs.replace(waiting.record, state="starting", runs_before=None, viewers=0)
        begun = await self._desk.answer(lambda books: books.begin(record))
        if self._roster.closing.is_set():
            return  # what is written down as starting goes on next time
        if begun:
            log.info("run starts", run=record.run_id, waited_since=record.created)
            waiting.becomes(self._roster.live(waiting.booked, record))
        else:
            log.error("a run that waited does not wait any more in the books", run=record.run_id)
            waiting.fail("somebody else has taken it out of the queue: look at it again")
        self._queue.line_up()

    # ------------------------------------------------------------ inside

    def _check_out(self, out: str) -> None:
        """Raises Problem if a run that has not ended is to write there, though there is nothing yet."""
        for run in self._roster.all():
            if (record := run.record).out == out and record.state not in ENDED:
                raise Problem(422, f"run {record.run_id}, which is {record.state}, writes to {out}: give another --out")

    def _check(self, booked: Booking) -> None:
        try:
            self._launcher.check(booked)
        except ValueError as why:
            raise Problem(422, str(why)) from None


def _plainly(request: RunRequest) -> object:
    """What was asked for, in one form: sets in order, and no word about what was left out."""
    asked = request.model_dump(mode="json", exclude_unset=True, exclude={"project"})  # keys are a project's own
    return {name: sorted(value) if name == "layers" else value for name, value in asked.items()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
