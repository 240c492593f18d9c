"""The test pattern on a wall that shows no run: a conductor and tiles for that alone, for some seconds.

They are not started again: what cannot be started, or ends, is said.  Whatever happens, they are ended.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import structlog
import zmq.asyncio

from streamer.control.folder import address
from streamer.control.launcher import NotReady, Part
from streamer.control.link import NoAnswer
from streamer.control.parts import WallParts
from streamer.control.showing import NotIdentified
from streamer.control.wall_link import ConductorLink
from streamer.lifeline import Lifeline
from streamer.settings import Settings

log = structlog.get_logger()


class PatternHere:
    """The pattern on one wall, by processes of this machine (see ``showing.Pattern``)."""

    def __init__(
        self,
        parts: WallParts,
        settings: Settings,
        lifeline: Lifeline,
        context: zmq.asyncio.Context,
        folder: Path,
    ) -> None:
        """``folder``: where its conductor listens."""
        self._parts, self._settings, self._lifeline, self._context = parts, settings, lifeline, context
        self._folder = folder
        self.shown: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Ends it before its time."""
        self._stop.set()

    async def show(self, seconds: float) -> None:
        """Starts all that it takes, waits, and ends it."""
        wall, started = self._parts, dict[str, Part]()
        try:
            async with asyncio.TaskGroup() as tasks:
                try:
                    await self._show(seconds, started, tasks)
                except (NotIdentified, NotReady, NoAnswer) as why:
                    self._fail(str(why))
                for part in started.values():
                    part.signal(signal.SIGTERM)
                async with asyncio.TaskGroup() as waiting:
                    gone = [waiting.create_task(part.gone.wait()) for part in started.values()]
                    if gone:
                        await asyncio.wait(gone, timeout=self._settings.stop_s)
                    for part in started.values():
                        part.signal(signal.SIGKILL)
        except Exception as why:
            log.error("the test pattern could not be shown", wall=wall.name, exc_info=why)
            self._fail(f"the test pattern of wall {wall.name} failed for a reason of ours; the log has it")
        finally:
            self._fail(f"the test pattern of wall {wall.name} was ended before it was shown")
            await asyncio.to_thread(wall.file.unlink, missing_ok=True)
            self.ended.set()

    async def _show(self, seconds: float, started: dict[str, Part], tasks: asyncio.TaskGroup) -> None:
        wall, facts = self._parts, {"wall": self._parts.name}
        listen = address(self._folder, f"pattern-{wall.name}.ipc", None)

        def begin(name: str, arguments: list[str]) -> Part:
            part = started[name] = Part(name, arguments, self._lifeline, facts)
            tasks.create_task(part.run(), name=name)
            return part

        conductor = begin(wall.conductor, wall.of_conductor("", listen))
        at = str((await self._ready(conductor))["address"])
        tiles = [begin(wall.tile(seat), wall.of_tile(seat, at)) for seat in wall.seats]
        said = []
        for tile in tiles:
            try:
                await self._ready(tile)
            except NotReady as why:
                said.append(str(why))
        if len(said) == len(tiles):
            raise NotIdentified(f"nothing is shown on wall {wall.name}: {said[0] if said else 'it has no nodes here'}")
        link = ConductorLink(self._context, at)
        try:
            await link.change({"pattern": True})
        finally:
            link.close()
        self.shown.set_result(tuple(said))
        log.info("test pattern", wall=wall.name, seconds=seconds)
        await self._stopped(seconds)

    async def _ready(self, part: Part) -> dict[str, object]:
        """What a part says when it is ready.  Raises NotReady, NotIdentified."""
        async with asyncio.TaskGroup() as tasks:
            ready = tasks.create_task(_settled(part, self._settings.ready_s))
            stop = tasks.create_task(self._stop.wait())
            await asyncio.wait([ready, stop], return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            if not ready.done():
                ready.cancel()
        if ready.cancelled():
            raise NotIdentified(f"the test pattern of wall {self._parts.name} was ended before it was shown")
        found = ready.result()
        if isinstance(found, NotReady):
            raise found
        return found

    async def _stopped(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    def _fail(self, why: str) -> None:
        if not self.shown.done():
            self.shown.set_exception(NotIdentified(why))
            self.shown.exception()  # nobody need be waiting


async def _settled(part: Part, deadline_s: float) -> dict[str, object] | NotReady:
    try:
        return await part.wait_ready(deadline_s)
    except NotReady as why:
        return why
