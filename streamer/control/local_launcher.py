"""The launcher of one machine: a run has its log and sockets in a folder, and its parts are child processes."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Sequence

import msgspec
import zmq.asyncio

from streamer.control import booking, said
from streamer.control.booking import Booking
from streamer.control.folder import Folder, address
from streamer.control.hanging import parts_in
from streamer.control.identify import PatternHere
from streamer.control.local import LocalRun
from streamer.control.parts import SPEC_FILE, Addresses
from streamer.control.roles import keys_of
from streamer.control.runs import Run
from streamer.control.said import Line, Said
from streamer.control.schema import RunRequest
from streamer.control.seats import NodeSource
from streamer.control.showing import ToShow
from streamer.control.this_machine import ThisMachine
from streamer.lifeline import Lifeline
from streamer.settings import Settings
from streamer.wire.keys import read

GOING = ".removed"
"""The end of the name of a run's folder that is being removed."""


class NotHere(ValueError):
    """What one machine does not have: what, and what to do, in a sentence."""


class LocalLauncher:
    """Starts runs as processes of this machine, with all that they keep in ``folder``."""

    name = "local"

    def __init__(self, settings: Settings, folder: Folder, lifeline: Lifeline, context: zmq.asyncio.Context) -> None:
        self._settings, self._folder, self._lifeline, self._context = settings, folder, lifeline, context
        self.temporary = folder.temporary
        self.nodes: NodeSource = ThisMachine()
        for rest in folder.path.glob(f"*{GOING}"):  # whoever was removing it was killed
            shutil.rmtree(rest, ignore_errors=True)

    def gpus(self, request: RunRequest) -> int:
        """None: what the machine has is shared by all."""
        del request
        return 0

    def check(self, booked: Booking) -> None:
        """Raises NotHere for what only a cluster has."""
        request = booked.request
        if request.gpus or request.gpu_product:
            raise NotHere(
                "gpus are given out by a cluster (launcher kubernetes); the workers of this machine share what it has: "
                "leave gpus out"
            )

    def manifests(self, booked: Booking) -> str:
        """Raises NotHere: runs of one machine are processes."""
        raise NotHere(f"run {booked.run_id} consists of processes of this machine, so there are no objects to show")

    def launch(self, booked: Booking, record: Run, *, over: bool = False) -> LocalRun:
        """The parts of a run; of one that is over those that serve it.  Raises OSError, ValueError."""
        folder = self._folder.run(booked.run_id)
        (folder / SPEC_FILE).write_bytes(msgspec.json.encode(booked.spec))
        keys = keys_of(self._settings.run_keys, folder)
        plan = booking.plan(booked, folder, keys)
        plan = plan._replace(workers=record.workers) if not over else plan.to_look_at()
        host, asked = self._settings.parts_host, booking.listening(booked)
        ingest, feed, views = (address(folder, door, host) for door in ("ingest", "feed", "views"))
        relays = {one.part: asked.get(one.part) or address(folder, one.part, host) for one in plan.relays}
        at = Addresses(ingest, feed, views, relays)
        mine = read(keys / "control.toml", "control") if keys is not None else None
        return LocalRun(record, plan, at, self._settings, self._lifeline, self._context, mine, Said(folder), over=over)

    async def kept(self, run_id: str) -> bool:
        """Whether its log lies in the folder."""
        return (self._folder.path / run_id / "log").is_dir()

    async def lines(self, run_id: str, lines: int, part: str = "") -> Sequence[Line]:
        """What lies in the run's folder."""
        return await asyncio.to_thread(said.read, self._folder.path / run_id, lines, part)

    async def left(self, run_id: str) -> None:
        """In a temporary folder nothing is kept."""
        if self.temporary:
            await self.forget(run_id)

    async def forget(self, run_id: str) -> None:
        """Removes the run's folder; it is not ``kept`` from the first moment on."""
        path = self._folder.path / run_id
        # Removing takes a while, and nobody must start the run again meanwhile, on half of its log.
        with contextlib.suppress(OSError):  # it has gone already, or cannot be renamed: then it is removed as it is
            path = path.rename(path.with_name(f"{run_id}{GOING}"))
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)

    async def tend(self) -> None:
        """Nothing."""

    async def pattern(self, wall: ToShow) -> PatternHere:
        """The test pattern on a wall that shows no run, by processes of this machine.  Raises OSError."""
        parts = await parts_in(self._folder.path, wall, self._settings)
        return PatternHere(parts, self._settings, self._lifeline, self._context, self._folder.path)

    async def close(self) -> None:
        """Nothing is held but what the folder's owner lets go of."""
