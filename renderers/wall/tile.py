"""A tile process: one or several tiles of a wall, one line to the conductor, one feed, one thread.

What came from the feed waits (``Intake``) until the conductor names a position beyond it; what the conductor says is
taken in batches (``Seat``); pictures are drawn by the painters.  Each Show is reported with the time of the swap.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog
import zmq

from renderers.feed import Event
from renderers.picture import png
from renderers.signals import signals
from renderers.wall.burn import Burned, read_blocks
from renderers.wall.call import Call, host
from renderers.wall.framing import decode_scene, few, fitting
from renderers.wall.intake import Intake
from renderers.wall.messages import (
    VERSION,
    Beat,
    Beaten,
    Draw,
    Join,
    Leave,
    Missed,
    Pick,
    Picked,
    Ready,
    Redraw,
    Scene,
    Shown,
    Tile,
    Welcome,
)
from renderers.wall.seat import Greet, Mark, Miss, Paint, Pulse, Quit, Seat, Step, Swap
from renderers.wall.sites import Clock, Exchange
from renderers.wall.studio import Painter, Window
from streamer.wire.header import Refused
from streamer.wire.keys import Keys
from streamer.wire.line import NOT_HEARD

LONGEST_S = 1.0


class TurnedOut(RuntimeError):
    """There is no place at the wall for this process: why."""

    exit_code = 1


class ConductorGone(RuntimeError):
    """Nothing was heard from the conductor for longer than there is patience."""

    exit_code = NOT_HEARD


class Pictures(Protocol):
    """What draws the tiles (``renderers.wall.studio.Studio``)."""

    painters: Mapping[str, Painter]
    windows: Sequence[Window]
    """Where somebody may type."""

    def happen(self, event: Event, now: float) -> None:
        """The feed says this."""

    def ripen(self, scene: Scene) -> None:
        """Makes all that the pictures of this scene need, so that what follows is drawing alone."""

    @property
    def spares(self) -> bool:
        """Whether ``spare`` has something to do."""

    def spare(self) -> None:
        """Some milliseconds of work that no picture waits for yet."""

    def pick(self, pick: Pick) -> Picked:
        """Which object a ray meets."""

    def close(self) -> None:
        """Closes the windows."""


class Place(NamedTuple):
    """Which process of which wall this is."""

    seat: str
    tiles: tuple[str, ...]
    digest: str
    conductor: str
    feed: str = ""
    """The run's feed; empty: the one that the conductor names."""
    burn: bool = False
    save: Path | None = None
    """Every shown picture is saved in this folder."""
    patience_s: float = inf
    """A conductor that is silent for so long is given up."""


class TileNode:
    """One process of a wall."""

    def __init__(self, place: Place, studio: Pictures, keys: Keys | None = None) -> None:
        self._place, self._studio, self._keys = place, studio, keys
        self._log = structlog.get_logger("tile")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._call = Call(self._context, place.conductor, keys)
        self._seat = Seat(time.monotonic())
        self._clock = Clock()
        self._poller = zmq.Poller()
        self._intake = Intake(self._context, place.seat, keys, self._poller, studio.happen)
        self._painted: tuple[Draw, Scene, float] | None = None
        self._reach_told: object = None

    def close(self) -> None:
        """Says goodbye, closes windows and lines."""
        self._call.say(Leave())
        self._call.close()
        self._intake.stop()
        self._studio.close()
        self._context.term()

    def run(self, ready: Callable[[], None]) -> int:
        """Shows until SIGTERM (returns 0) or SIGINT (returns 130); ``ready`` is called when it is.

        To be called from the main thread.  Raises TurnedOut and ConductorGone.
        """
        with signals() as (wake, caught):
            for source in (wake, self._call.socket, self._call.monitor):
                self._poller.register(source, zmq.POLLIN)
            for window in self._studio.windows:
                if window.fileno() >= 0:
                    self._poller.register(window.fileno(), zmq.POLLIN)
            ready()
            while not caught:
                said = self._poller.poll(ceil(1000 * self._wait_s(time.monotonic())))
                now = time.monotonic()
                if not said and self._idle:
                    self._studio.spare()
                self._call.attend(now)
                self._listen(now)
                self._look_out()
                for run in self._intake.take():
                    self._call.say(run)
                self._tell()
                if now - self._seat.heard >= self._place.patience_s:
                    raise ConductorGone(
                        f"nothing was heard from the conductor at {self._place.conductor} for "
                        f"{self._place.patience_s:g} s (--patience)"
                    )
        return 130 if caught[0] == signal.SIGINT else 0

    def _wait_s(self, now: float) -> float:
        if self._intake.waiting or self._idle:
            return 0.0
        return min(max(0.0, min(self._seat.deadline(), self._call.deadline()) - now), LONGEST_S)

    @property
    def _idle(self) -> bool:
        """Whether there is time for what no picture waits for, and something of it to do."""
        return self._studio.spares and not self._seat.owes

    # ------------------------------------------------------------------ the conductor

    def _listen(self, now: float) -> None:
        batch = self._call.said()
        for message, _ in batch:
            match message:
                case Welcome(host=there):
                    self._clock = Clock(same=bool(there) and there == host())
                    self._intake.follow(self._place.feed or message.feed)
                    self._reach_told = None
                    if self._intake.run is not None:
                        self._call.say(self._intake.run)
                case Pick():
                    self._call.say(self._studio.pick(message))
                case Beaten(sent, came, left, epoch, position):
                    self._clock.exchange(Exchange(sent, came, left, now))
                    if not self._seat.live:
                        # Nobody waits for a picture: it may come as far as the wall is.
                        self._intake.advance(epoch, position)
                case _:
                    pass
        self._do(self._seat.receive(batch, now, self._clock.there(now)))

    def _do(self, steps: list[Step]) -> None:
        for step in steps:
            match step:
                case Paint(draw, scene):
                    self._paint(draw, scene)
                case Swap(draw):
                    self._swap(draw)
                case Miss(frame):
                    self._call.say(Missed(frame))
                case Mark(why):
                    self._mark(why)
                case Greet():
                    self._call.say(
                        Join(
                            VERSION, self._place.seat, fitting(self._place.tiles), self._place.digest,
                            self._intake.reach(), self._seat.shown, host(),
                        )
                    )  # fmt: skip
                case Pulse():
                    self._beat()
                case Quit(why):
                    raise TurnedOut(f"the conductor at {self._place.conductor} refuses {self._place.seat}: {why}")

    def _beat(self) -> None:
        self._reach_told = self._intake.reach()
        self._call.say(Beat(self._seat.turn, self._intake.reach(), time.monotonic()))
        self._seat.beaten(time.monotonic())

    def _paint(self, draw: Draw, raw: bytes) -> None:
        try:
            scene = decode_scene(raw)
        except Refused as why:
            self._log.warning("not drawn", why=str(why))
            return
        if not self._intake.can(draw.epoch, draw.position):
            return  # another log has begun meanwhile: the deadline will pass
        self._intake.advance(draw.epoch, draw.position)
        self._studio.ripen(scene)
        begun = time.monotonic()
        self._draw(draw, scene, stale=False)
        self._painted = draw, scene, time.monotonic() - begun
        self._seat.painted(draw)
        self._reach_told = self._intake.reach()
        self._call.say(Ready(draw.frame, self._intake.reach()))

    def _draw(self, draw: Draw, scene: Scene, *, stale: bool) -> None:
        for painter in self._studio.painters.values():
            painter.draw(scene, Burned(draw.frame, draw.view, draw.position), stale=stale)

    def _look_out(self) -> None:
        """What is done at the windows."""
        uncovered = False
        for window in self._studio.windows:
            for said in window.read():
                self._call.say(said)
            if window.uncovered:
                window.uncovered = False
                uncovered = True
        if uncovered and self._seat.live:
            self._call.say(Redraw())
        elif uncovered:
            self._again()  # nobody else would draw it

    def _swap(self, draw: Draw) -> None:
        swapped: dict[str, float] = {}
        for name, painter in self._studio.painters.items():
            painter.show()
            swapped[name] = self._clock.there(time.monotonic())
        arrived_s = self._intake.shown()
        burned: dict[str, tuple[int, ...]] = {}
        if self._place.burn or self._place.save is not None:
            for name, painter in self._studio.painters.items():
                pixels = painter.pixels()
                burned[name] = tuple(read_blocks(pixels) or ())
                if self._place.save is not None:
                    (self._place.save / f"{name}-{draw.frame:06d}.png").write_bytes(png(pixels))
        took_s = self._painted[2] if self._painted is not None else 0.0
        tiles = tuple(Tile(name, at, burned.get(name, ())) for name, at in swapped.items())
        # A node may have more tiles than a header holds.
        for some in few(tiles):
            self._call.say(Shown(draw.frame, draw.view, draw.epoch, draw.position, some, arrived_s, took_s))
            arrived_s = -1.0

    def _mark(self, why: str) -> None:
        """What was painted last, once more, marked as old."""
        self._log.warning("stale", why=why)
        self._again()

    def _again(self) -> None:
        if self._painted is not None:
            draw, scene, _ = self._painted
            self._draw(draw, scene, stale=True)
            for painter in self._studio.painters.values():
                painter.show()

    def _tell(self) -> None:
        """The conductor hears at once how far this seat is."""
        if self._seat.welcome and self._intake.reach() != self._reach_told:
            self._beat()
