"""All runs of this control plane: what is asked for becomes a run, and every run has an owner.

A request is answered with a run only after ``cavecast inspect`` has found the input to be usable;
whatever it says against it is the answer otherwise, and nothing has been started or written then.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import structlog
import zmq.asyncio

from streamer.control import launcher, runs
from streamer.control.folder import Folder, address
from streamer.control.local import LocalRun
from streamer.control.metrics import Totals
from streamer.control.parts import SPEC_FILE, Addresses, Kept, Plan, RelayPlan
from streamer.control.roles import keys_of
from streamer.control.runs import Run
from streamer.control.schema import Problem, RunRequest
from streamer.lifeline import Lifeline
from streamer.settings import Settings
from streamer.wire.grid import Grid
from streamer.wire.keys import beyond_loopback, read
from streamer.wire.volume import Joins, Keep, Parameter, RunSpec, Source, Volume

INSPECT_S = 120.0
"""So long may the look at an input stay silent; one of many files says how far it is."""
INSPECT_LONGEST_S = 3600.0
BUCKET_S = 120.0
"""So long may it take to find out whether a bucket can be written."""
KEPT_RECORDS = 1000
log = structlog.get_logger()


class Inspection(msgspec.Struct, frozen=True):
    """What ``cavecast inspect --json`` prints."""

    source: Source
    volume: Volume
    grid: Grid
    notes: tuple[str, ...] = ()
    parameters: dict[str, Parameter] = {}
    title: str = ""
    field_range: tuple[float, float] | None = None
    joins: Joins = "voxel"
    min_voxels: int = 0


class Registry:
    """The runs, newest last.  Made by ``open_registry``."""

    def __init__(self, settings: Settings, folder: Folder, tasks: asyncio.TaskGroup) -> None:
        self.settings, self.folder = settings, folder
        self.context = zmq.asyncio.Context()
        self.context.set(zmq.MAX_SOCKETS, 4096)
        self.closing = asyncio.Event()
        self._tasks, self._lifeline = tasks, Lifeline()
        self._runs: dict[str, LocalRun] = {}
        self.forgotten = Totals()
        """What past runs that are not listed any more have done."""
        self._starting = 0

    def all(self) -> list[LocalRun]:
        """Every run, oldest first."""
        return list(self._runs.values())

    def find(self, run_id: str) -> LocalRun:
        """A run.  Raises Problem 404."""
        try:
            return self._runs[run_id]
        except KeyError:
            raise Problem(404, f"there is no run {run_id}") from None

    async def start(self, request: RunRequest) -> LocalRun:
        """A new run, its parts being started.  Raises Problem with a sentence; then nothing is left of it."""
        self._check_open()
        workers = request.workers or self.settings.workers
        if workers > self.settings.max_workers:
            raise Problem(422, f"{workers} workers; this server allows {self.settings.max_workers} (max_workers)")
        if request.start == "first_viewer" and not request.view:
            raise Problem(422, "start is first_viewer, but the run has no view: nobody could ever start it")
        if request.out is not None:
            await self._check_store(request.out)
        for relay in request.relays:
            if relay.listen and beyond_loopback(relay.listen) and not self.settings.run_keys:
                raise Problem(
                    422, f"relay {relay.name} is to listen at {relay.listen}, which other machines can reach, so the "
                    "parts need keys: start cavecast serve with --keys auto, or let it listen at 127.0.0.1",
                )  # fmt: skip
        self._make_room()
        self._starting += 1
        try:
            found = await self._inspect(request)
            self._check_open()
            return self._begin(request, found, workers)
        finally:
            self._starting -= 1

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
        """Ends all runs and their processes."""
        self.closing.set()
        for run in self.all():
            run.close()
        for run in self.all():
            await run.closed.wait()
        self._lifeline.close()

    async def _inspect(self, request: RunRequest) -> Inspection:
        asked = inspection_arguments(request)
        try:
            code, out, err = await launcher.ask(asked, self._lifeline, INSPECT_S, INSPECT_LONGEST_S)
        except launcher.Silent as why:
            raise Problem(504, f"{request.input} could not be looked at: {why}") from None
        if code != 0:
            said = err.strip().splitlines()
            if said and code == 2:
                raise Problem(422, said[-1].removeprefix("cavecast: "))
            raise Problem(500, f"looking at {request.input} ended with exit code {code}: {err.strip()[-300:]}")
        try:
            return msgspec.json.decode(out, type=Inspection)
        except msgspec.MsgspecError as why:
            raise Problem(500, f"cavecast inspect printed what is no inspection: {why}") from None

    async def _check_store(self, out: str) -> None:
        """Raises Problem, before anything is computed, if a store cannot be written there."""
        if not out.startswith("s3://"):
            _check_folder(out)
            return
        try:
            code, _, err = await launcher.ask(["archive", "--try", out], self._lifeline, BUCKET_S, BUCKET_S)
        except launcher.Silent as why:
            raise Problem(504, f"{out} could not be tried: {why}") from None
        if code != 0:
            said = [line for line in err.splitlines() if line.startswith("cavecast: ")]
            raise Problem(
                422, said[-1].removeprefix("cavecast: ") if said else f"{out} cannot be written: {err[-300:]}"
            )

    def _begin(self, request: RunRequest, found: Inspection, workers: int) -> LocalRun:
        run_id = f"{_slug(request.input)}-{secrets.token_hex(4)}"
        created = datetime.now(UTC).isoformat(timespec="seconds")
        keep = Keep(request.min_duration_h, request.core_threshold, found.min_voxels)
        spec = RunSpec(
            run_id=run_id,
            source=found.source,
            volume=found.volume,
            grid=found.grid,
            segmenter=request.segmenter,
            parameters=found.parameters,
            keep=keep,
            created=created,
            layers=request.in_order,
            field_range=request.field_range or found.field_range,
            joins=found.joins,
        )
        folder = self.folder.run(run_id)
        (folder / SPEC_FILE).write_bytes(msgspec.json.encode(spec))
        z, y, x = found.volume.axes
        record = Run(
            run_id=run_id,
            remarks=found.notes,
            title=found.title or found.volume.title or Path(request.input).name,
            created=created,
            input=request.input,
            variable=found.volume.variable,
            units=found.volume.units,
            segmenter=request.segmenter,
            parameters=spec.parameters,
            keep=keep,
            workers=workers,
            pace_s=request.pace_s,
            shape=found.grid.shape,
            chunk=found.grid.chunk,
            counts=found.grid.counts,
            periodic=found.grid.periodic,
            dims=(z.name, y.name, x.name),
            on_sphere=found.volume.on_sphere,
            has_time=found.volume.has_time,
            y_descending=bool(y.points[0] > y.points[-1]),
            status=runs.not_begun(run_id, found.grid),
            view_url=f"/view/{run_id}" if request.view else None,
            out=request.out,
        )
        keys = keys_of(self.settings.run_keys, folder)
        relays = tuple(
            RelayPlan(one.name, one.of or "", one.durability or request.durability) for one in request.relays
        )
        hold = request.start == "first_viewer"
        plan = Plan(
            folder, workers, request.view, request.out, hold, request.pace_s, relays, request.behind or "", keys,
            Kept(request.durability, request.retain_gb, request.shard),
        )  # fmt: skip
        host = self.settings.parts_host
        ingest, feed, views = (address(folder, door, host) for door in ("ingest", "feed", "views"))
        at = Addresses(ingest, feed, views, {
            relay.part: asked.listen or address(folder, relay.part, host)
            for relay, asked in zip(relays, request.relays, strict=True)
        })  # fmt: skip
        mine = read(keys / "control.toml", "control") if keys is not None else None
        run = LocalRun(record, plan, at, self.settings, self._lifeline, self.context, mine)
        self._runs[run_id] = run
        self._forget()
        self._tasks.create_task(self._live(run), name=run_id)
        log.info("run starts", run=run_id, input=request.input, chunks=found.grid.size, workers=workers)
        return run

    async def _live(self, run: LocalRun) -> None:
        """The outermost loop of a run: what fails here fails this run alone."""
        try:
            await run.live()
        except* Exception as why:
            log.error("run failed", run=run.record.run_id, exc_info=why)
            run.fail(f"the control plane could not go on with it: {why.exceptions[0]}")
        finally:
            if self.folder.temporary:
                shutil.rmtree(run.plan.folder, ignore_errors=True)
        log.info("run ended", run=run.record.run_id, state=run.record.state)

    def _forget(self) -> None:
        """Keeps the list of past runs bounded."""
        past = [run_id for run_id, run in self._runs.items() if run.closed.is_set()]
        for run_id in past[: max(0, len(self._runs) - KEPT_RECORDS)]:
            self.forgotten = self.forgotten.and_(self._runs.pop(run_id).record)


@asynccontextmanager
async def open_registry(settings: Settings, folder: Folder) -> AsyncIterator[Registry]:
    """A registry that ends all of its runs on leaving."""
    async with asyncio.TaskGroup() as tasks:
        registry = Registry(settings, folder, tasks)
        try:
            yield registry
        finally:
            await registry.close()
    registry.context.destroy(linger=0)


def inspection_arguments(request: RunRequest) -> list[str]:
    """How ``cavecast inspect`` is asked."""
    asked = ["inspect", "--json", "--periodic", request.periodic, "--segmenter", request.segmenter]
    for name, value in request.asked_of_segmenter.items():
        asked += ["--set", f"{name}={msgspec.json.encode(value).decode()}"]
    if request.variable is not None:
        asked += ["--variable", request.variable]
    if request.chunk is not None:
        asked += ["--chunk", ",".join(map(str, request.chunk))]
    if request.spacing is not None:
        asked += ["--spacing", ",".join(map(repr, request.spacing))]
    if "field" in request.layers and request.field_range is None:
        asked.append("--with-range")
    return [*asked, "--", request.input]


def _check_folder(out: str) -> None:
    path = Path(out)
    if not path.is_absolute():
        raise Problem(422, f"out is {out}: give an absolute path, since the server's folder is not yours")
    try:
        if path.is_symlink() or path.exists():
            raise Problem(422, f"{out} is there already: remove it, or give another --out")
        if not path.parent.is_dir():
            raise Problem(422, f"there is no folder {path.parent} to write {path.name} into: make it first")
        # Permissions do not tell all (read-only disks, network folders), so it is tried.
        TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent).cleanup()
    except OSError as why:
        raise Problem(422, f"{path.name} cannot be written into {path.parent}: {why.strerror}") from None


def _slug(source: str) -> str:
    name = re.split(r"[/:\\]", source.rstrip("/*"))[-1].split(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:20] or "run"
