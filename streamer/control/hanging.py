"""One wall that a run is shown on: its conductor is asked how it stands, and told what it has forgotten.

What the wall shows is remembered, here and (a little later) in the books: a conductor that was started anew is given
the view that it had.  The test pattern of ``identify`` is taken back when its time is over, and is no part of that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog
import zmq.asyncio

from streamer.control import onwall
from streamer.control.link import NoAnswer
from streamer.control.lives import Part
from streamer.control.onwall import OnWall, PartState
from streamer.control.parts import WallParts
from streamer.control.showing import ToShow
from streamer.control.wall_link import ConductorLink
from streamer.settings import Settings
from streamer.wire.conducting import Viewed, WallNews
from streamer.wire.keys import Keys
from streamer.wire.spelling import spelled

LOOK_S = 1.0
NOTE_S = 5.0
"""So long the books may be behind what a wall shows."""
log = structlog.get_logger()


async def parts_in(folder: Path, wall: ToShow, settings: Settings) -> WallParts:
    """The processes of a wall on this machine, with its file in a folder.  Raises OSError."""
    file = folder / f"wall-{wall.facts.name}.toml"

    def write() -> None:
        fresh = file.with_suffix(".new")
        fresh.write_text(wall.text, encoding="utf-8")
        fresh.replace(file)

    await asyncio.to_thread(write)
    return WallParts(wall.facts.name, file, wall.seatings.taken, settings.offscreen, settings.wall_deadline_ms)


class Hanging:
    """A wall that a run is shown on (see ``showing.Hung``), wherever its conductor is.

    ``follow`` it for as long as it is shown.
    """

    def __init__(self, wall: ToShow) -> None:
        self.wall, self.seatings = wall.facts, wall.seatings
        self._view, self.changed, self._remember = wall.view, wall.changed, wall.remember
        self._link: ConductorLink | None = None
        self._news: WallNews | None = None
        self._born = ""
        self._noted_at = -NOTE_S
        self._noted = wall.view
        self._until = 0.0
        self._patterned = False
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()

    def told(self, conductor: PartState, seats: Mapping[str, PartState], more: Sequence[str] = ()) -> OnWall:
        """How the wall stands, given how its processes do (see ``onwall.standing``); ``more`` is said as well."""
        return onwall.standing(self.wall, (*self.seatings.sentences, *more), conductor, seats, self._news)

    def reached(self, context: zmq.asyncio.Context, address: str, keys: Keys | None) -> None:
        """The conductor is there, for the first time or anew."""
        if self._link is None or self._link.address != address:
            self.close()
            self._link = ConductorLink(context, address, keys)
        self._news = None  # what the one before it has said
        self._wake.set()

    async def view(self) -> Viewed:
        """What the wall shows now.  Raises NoAnswer."""
        async with self._turn:
            return await self._look(self._there())

    async def change(self, changes: Mapping[str, Any], base: str = "") -> Viewed:
        """Changes what it shows, and has that written down.  Raises NoAnswer."""
        async with self._turn:
            link = self._there()
            await self._look(link)  # a conductor that is new is given its view first
            viewed = await link.change(changes, base)
            if not (viewed.clash or viewed.flaw):
                if "pattern" in changes:
                    self._patterned = False
                self._seen(viewed)
                await self._note()
        return viewed

    async def identify(self, seconds: float) -> None:
        """The test pattern, for so long.  Raises NoAnswer."""
        async with self._turn:
            link = self._there()
            viewed = await self._look(link)
            self._until = asyncio.get_running_loop().time() + seconds
            if not viewed.view.pattern:
                self._patterned = True
                await link.change({"pattern": True})
        self._wake.set()

    async def follow(self, publish: Callable[[], None]) -> None:
        """Looks after the wall for as long as it is not cancelled; ``publish`` is told when something has changed."""
        before: object = None
        try:
            while True:
                self._wake.clear()
                if self._link is not None:
                    await self._visit(self._link)
                    now = self._news, self._born
                    if now != before:
                        before = now
                        publish()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._wait_s()):
                        await self._wake.wait()
        except Exception as why:  # the outermost loop of a wall: the run goes on
            log.error("the wall is not looked after any more", wall=self.wall.name, exc_info=why)
        finally:
            self.close()

    async def let_go(self) -> None:
        """Writes down what it showed last."""
        async with self._turn:
            await self._note()

    def close(self) -> None:
        """Hangs up."""
        if self._link is not None:
            self._link.close()
            self._link = None

    # ------------------------------------------------------------ inside

    def _there(self) -> ConductorLink:
        if self._link is None:
            raise NoAnswer(f"the conductor of wall {self.wall.name} is not there yet")
        return self._link

    def _wait_s(self) -> float:
        left = self._until - asyncio.get_running_loop().time()
        return min(LOOK_S, max(0.01, left)) if self._patterned else LOOK_S

    async def _visit(self, link: ConductorLink) -> None:
        """One look at how it stands, and what follows from it."""
        now = asyncio.get_running_loop().time
        try:
            async with self._turn:
                await self._look(link)
                if self._patterned and now() >= self._until:
                    self._seen(await link.change({"pattern": False}))
                    self._patterned = False
                self._news = await link.figures()
                if now() - self._noted_at >= NOTE_S:
                    await self._note()
        except NoAnswer as why:
            self._news = None
            log.debug("no answer", wall=self.wall.name, why=str(why))

    async def _look(self, link: ConductorLink) -> Viewed:
        """What it shows; if it has been started anew, after it was given what it showed before."""
        viewed = await link.view()
        born = viewed.revision.partition("-")[0]
        if born != self._born:
            again: dict[str, Any] = spelled(self._view) if self._view is not None else {}
            if self._patterned:
                again["pattern"] = True
            if again:
                viewed = await link.change(again)
            self._born = born
        self._seen(viewed)
        return viewed

    def _seen(self, viewed: Viewed) -> None:
        view = viewed.view
        if self._patterned and view.pattern:
            view = msgspec.structs.replace(view, pattern=False)
        if view != self._view:
            self._view, self.changed = view, datetime.now(UTC).isoformat(timespec="milliseconds")

    async def _note(self) -> None:
        if self._view is not None and self._view != self._noted:
            view, self._noted_at = self._view, asyncio.get_running_loop().time()
            if await self._remember(view, self.changed):
                self._noted = view


class HangingHere(Hanging):
    """A wall that is shown by processes of this machine."""

    def __init__(self, wall: ToShow, parts: WallParts) -> None:
        super().__init__(wall)
        self.parts = parts

    def standing(self, parts: Mapping[str, Part]) -> OnWall:
        """How the wall stands, given how the run's parts do."""
        states: dict[str, PartState] = {
            seat: _state(parts[self.parts.tile(seat)])
            for seat in self.parts.seats
            if self.parts.tile(seat) in parts
        }  # fmt: skip
        conductor = parts.get(self.parts.conductor)
        return self.told("starting" if conductor is None else _state(conductor), states)


def _state(part: Part) -> PartState:
    return "again" if part.state == "starting" and part.restarts else part.state
