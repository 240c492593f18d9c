"""What is looked at before a run is begun: whether the server allows it, the input, and the place of the store.

Whatever is said against it is the answer to who asked, and nothing has been started or written then.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from streamer.control import launcher, proc
from streamer.control.booking import Choice, Inspection
from streamer.control.openapi import Entry
from streamer.control.schema import Problem, RunRequest
from streamer.control.usage import Meter, Series, with_sample
from streamer.lifeline import Lifeline
from streamer.settings import Settings
from streamer.wire.keys import beyond_loopback

INSPECT_S = 120.0
"""So long may the look at an input stay silent; one of many files says how far it is."""
INSPECT_LONGEST_S = 3600.0
AGAIN_S = 5
"""After so long there may be a turn for an input that could not even wait."""
LOOK_S = 0.2
"""Between two samples of what a look uses."""
BUCKET_S = 120.0
"""So long may it take to find out whether a bucket can be written."""


class Looks:
    """No more than ``most`` inputs (or other ``things``) are looked at at a time, in the order of asking; ``waiting``
    more may wait.

    ``async with`` it around a look.  Raises Problem if too many wait already.
    """

    def __init__(self, most: int, waiting: int, things: str = "inputs") -> None:
        self._turns, self._most, self._here, self._things = asyncio.Semaphore(most), most + waiting, 0, things

    async def __aenter__(self) -> None:
        if self._here >= self._most:
            raise Problem(
                429, f"{self._here} {self._things} are to be looked at already: ask again in a moment", again_s=AGAIN_S
            )
        self._here += 1
        try:
            await self._turns.acquire()
        except BaseException:
            self._here -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self._here -= 1
        self._turns.release()


def allowed(request: RunRequest, settings: Settings) -> int:
    """How many workers the run is to have.  Raises Problem if this server does not allow what is asked for."""
    workers = request.workers or settings.workers
    check_workers(workers, settings)
    if request.start == "first_viewer" and not request.view:
        raise Problem(422, "start is first_viewer, but the run has no view: nobody could ever start it")
    for relay in request.relays:
        if relay.listen and beyond_loopback(relay.listen) and not settings.run_keys:
            raise Problem(
                422, f"relay {relay.name} is to listen at {relay.listen}, which other machines can reach, so the "
                "parts need keys: start cavecast serve with --keys auto, or let it listen at 127.0.0.1",
            )  # fmt: skip
    return workers


def check_workers(workers: int, settings: Settings) -> None:
    """Raises Problem if a run may not have so many workers."""
    if workers > settings.max_workers:
        raise Problem(422, f"{workers} workers; this server allows {settings.max_workers} (max_workers)")


class Looked:
    """What a look at an input has used, looked up while it goes on."""

    def __init__(self) -> None:
        self.series = Series()
        self._meter = Meter()

    async def watch(self, pid: int) -> None:
        """Samples, for as long as it is not cancelled."""
        while proc.measurable():
            found = {("inspect", name): reading for name, reading in proc.readings(pid).items()}
            usage = self._meter.read(found, ["inspect"], None)[0]
            self.series = with_sample(self.series, None, usage._replace(written_bytes=None), time.time())
            await asyncio.sleep(LOOK_S)


async def inspect(
    request: RunRequest, lifeline: Lifeline, *, alone: bool = False, looked: Looked | None = None
) -> Inspection:
    """What ``cavecast inspect`` finds in the input, and has to say of the segmenter (not if ``alone``).

    ``looked`` learns what that has used.
    Raises Problem with what it has against it.
    """
    asked = inspection_arguments(request, alone=alone)
    try:
        code, out, err = await launcher.ask(
            asked, lifeline, INSPECT_S, INSPECT_LONGEST_S, looked.watch if looked else None
        )
    except launcher.Silent as why:
        raise Problem(504, f"{request.input} could not be looked at: {why}") from None
    if code != 0:
        said = err.strip().splitlines()
        if said and code == 2:
            raise Problem(422, said[-1].removeprefix("cavecast: "), _choice(out))
        raise Problem(500, f"looking at {request.input} ended with exit code {code}: {err.strip()[-300:]}")
    try:
        return msgspec.json.decode(out, type=Inspection)
    except msgspec.MsgspecError as why:
        raise Problem(500, f"cavecast inspect printed what is no inspection: {why}") from None


def _choice(out: bytes) -> tuple[str, ...]:
    """The variables that an inspection wants one of to be named; empty if that is not what is wrong."""
    return msgspec.json.decode(out, type=Choice).variables if out.strip() else ()


async def check_store(out: str, lifeline: Lifeline) -> None:
    """Raises Problem, before anything is computed, if a store cannot be written there."""
    if not out.startswith("s3://"):
        _check_folder(out)
        return
    try:
        code, _, err = await launcher.ask(["archive", "--try", out], lifeline, BUCKET_S, BUCKET_S)
    except launcher.Silent as why:
        raise Problem(504, f"{out} could not be tried: {why}") from None
    if code != 0:
        said = [line for line in err.splitlines() if line.startswith("cavecast: ")]
        raise Problem(422, said[-1].removeprefix("cavecast: ") if said else f"{out} cannot be written: {err[-300:]}")


async def segmenters(lifeline: Lifeline) -> list[Entry]:
    """What ``cavecast segmenters`` lists.  Raises Problem."""
    try:
        code, out, err = await launcher.ask(["segmenters", "--json"], lifeline, INSPECT_S, INSPECT_S)
    except launcher.Silent as why:
        raise Problem(504, f"the segmenters could not be listed: {why}") from None
    if code != 0:
        raise Problem(500, f"listing the segmenters ended with exit code {code}: {err.strip()[-300:]}")
    return msgspec.json.decode(out, type=list[Entry])


def inspection_arguments(request: RunRequest, *, alone: bool = False) -> list[str]:
    """How ``cavecast inspect`` is asked."""
    asked = ["inspect", "--json", "--periodic", request.periodic]
    if not alone:
        asked += ["--segmenter", request.segmenter]
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
