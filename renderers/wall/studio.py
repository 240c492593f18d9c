"""The pictures of one process's tiles: a window for each, and the run's scene in all of them.

Entries are carried out once per window, for a window's scene belongs to its own OpenGL context.  A picture depends on
the position in the log and on nothing else: not on the order in which chunks came, and not on when there was time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import structlog

from renderers.feed import Event
from renderers.vtk_tile import TileWindow, window_for
from renderers.vtk_window import Pixels, trial
from renderers.wall.burn import Burned, blocks
from renderers.wall.glass import Glass
from renderers.wall.records import Tile, Wall
from renderers.wall.swap_group import handle, join_swap_group
from streamer.wire.viewing import Head, View

STALE = np.array([255, 176, 0], np.uint8)
STALE_SHARE = 40
"""The mark of a tile that is behind: an amber square in its lower right corner, this part of its height."""


class Painter(Protocol):
    """One tile."""

    def draw(
        self, view: View, head: Head, separation_mm: float, frame: int, position: int, number: int, stale: bool
    ) -> None:
        """Draws to the back buffer; returns when it is finished there.  ``number`` is the view's."""

    def show(self) -> None:
        """Shows it: the swap."""

    def pixels(self) -> Pixels:
        """What was drawn last, (height, width, 3), the top row first; valid until the next call."""

    def close(self) -> None:
        """Lets go of the window."""


class TilePainter:
    """A tile drawn by VTK."""

    def __init__(self, wall: Wall, tile: Tile, *, offscreen: bool, burn: bool) -> None:
        """Raises NoOpenGL."""
        self._wall, self._tile, self._burn = wall, tile, burn
        self._window = window_for(tile, offscreen=offscreen)
        if not offscreen and tile.display:
            number = int(tile.display.rpartition(".")[2] or 0) if "." in tile.display else 0
            join_swap_group(
                handle(self._window.GetGenericDisplayId()), handle(self._window.GetGenericWindowId()), number
            )
        trial(self._window)
        self._window.Render()  # what OpenGL puts off until the first picture is done before anybody waits
        self._window.RemoveRenderer(self._window.GetRenderers().GetFirstRenderer())
        self.glass = Glass(self._window)
        self._through: TileWindow | None = None
        self._held = False

    def draw(
        self, view: View, head: Head, separation_mm: float, frame: int, position: int, number: int, stale: bool
    ) -> None:
        """See Painter."""
        before = self.glass.held
        through = self._through = self.glass.draw(self._wall, self._tile, view, head, separation_mm)
        self._say(held=self.glass.held > before)
        if stale:
            height, width = self._tile.place.height, self._tile.place.width
            side = max(4, height // STALE_SHARE)
            through.stamp(np.broadcast_to(STALE, (side, side, 3)).copy(), width - side, height - side)
        if self._burn:
            through.stamp(blocks(Burned(frame, number, position)))

    def show(self) -> None:
        """See Painter."""
        if self._through is not None:
            self._through.show()

    def pixels(self) -> Pixels:
        """See Painter."""
        if self._through is None:
            return np.zeros((self._tile.place.height, self._tile.place.width, 3), np.uint8)
        return self._through.pixels()

    def close(self) -> None:
        """See Painter."""
        self._window.Finalize()

    def _say(self, *, held: bool) -> None:
        """Once, when it begins and when it ends."""
        if held != self._held:
            self._held = held
            log = structlog.get_logger("tile")
            if held:
                log.warning("eye not in front of the screen", tile=self._tile.name, pictures=self.glass.held)
            else:
                log.info("eye in front of the screen again", tile=self._tile.name, pictures=self.glass.held)


class Studio:
    """The tiles of one process.  All calls come from one thread."""

    def __init__(self, wall: Wall, tiles: Sequence[str], *, offscreen: bool, burn: bool) -> None:
        """Raises NoOpenGL."""
        made = {name: TilePainter(wall, wall.tile(name), offscreen=offscreen, burn=burn) for name in tiles}
        self._made = made
        self.painters: Mapping[str, Painter] = made

    def happen(self, event: Event, now: float) -> None:
        """The feed says this."""
        for painter in self._made.values():
            painter.glass.scene.happen(event, now)

    def close(self) -> None:
        """Closes the windows."""
        for painter in self._made.values():
            painter.close()
