"""The pictures of one process's tiles: a window for each, and the run's scene in all of them.

Entries are carried out once: the first window has the scene, the others draw the same surfaces from memory with
buffers of their own.  A picture depends on the position in the log and on nothing else: not on the order in which
chunks came, and not on when there was time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import structlog

from renderers.feed import Event
from renderers.vtk_keys import WindowKeys
from renderers.vtk_note import note
from renderers.vtk_tile import TileWindow, as_shown, window_for
from renderers.vtk_window import Pixels, trial
from renderers.wall.burn import Burned, blocks
from renderers.wall.glass import Glass
from renderers.wall.messages import Input, Pick, Picked, Scene
from renderers.wall.picking import answer
from renderers.wall.records import Tile, Wall
from renderers.wall.swap_group import SwapGroup, driver, handle

STALE = np.array([255, 176, 0], np.uint8)
STALE_SHARE = 40
"""The mark of a tile that is behind: an amber square in its lower right corner, this part of its height."""
NOTE_SHARE = 36
"""Letters of a note are this part of the tile's height."""


class Painter(Protocol):
    """One tile."""

    def draw(self, scene: Scene, burned: Burned, *, stale: bool) -> None:
        """Draws to the back buffer; returns when it is finished there."""

    def show(self) -> None:
        """Shows it: the swap."""

    def pixels(self) -> Pixels:
        """What was drawn last, (height, width, 3), the top row first; valid until the next call."""

    def close(self) -> None:
        """Lets go of the window."""


class Window(Protocol):
    """A window in which somebody may type (``renderers.vtk_keys.WindowKeys``)."""

    uncovered: bool

    def fileno(self) -> int:
        """Readable when there is something to ``read``; −1 if that is not known."""

    def read(self) -> list[Input]:
        """What was done there since."""


class TilePainter:
    """A tile drawn by VTK."""

    def __init__(
        self,
        wall: Wall,
        tile: Tile,
        first: TilePainter | None = None,
        *,
        offscreen: bool,
        burn: bool,
        swap_group: bool = False,
    ) -> None:
        """``first``: the tile of this process that has the scene.  Raises NoOpenGL."""
        self._wall, self._burn = wall, burn
        self._window = window_for(tile, offscreen=offscreen)
        self._tile, why = as_shown(tile, self._window)
        log = structlog.get_logger("tile")
        if why:
            log.warning("stereo", tile=tile.name, why=why)
        self.keys: WindowKeys | None = None
        self._group: SwapGroup | None = None
        if not offscreen and tile.display:
            self.keys = WindowKeys(self._window, tile.name, tile.place.height)
        if swap_group:
            self._group = self._swap_group(tile, offscreen=offscreen)
            if self._group.trouble:
                log.warning("swap group", tile=tile.name, why=f"{self._group.trouble}: the software barrier is all")
        trial(self._window)
        self._window.Render()  # what OpenGL puts off until the first picture is done before anybody waits
        self._window.RemoveRenderer(self._window.GetRenderers().GetFirstRenderer())
        self.glass: Glass = Glass(self._window, None if first is None else first.glass)
        self._through: TileWindow | None = None
        self._held = False
        self._note: tuple[str, Pixels] = "", np.zeros((0, 0, 3), np.uint8)

    def draw(self, scene: Scene, burned: Burned, *, stale: bool) -> None:
        """See Painter."""
        before = self.glass.held
        through = self._through = self.glass.draw(
            self._wall, self._tile, scene.view, scene.head, scene.separation_mm, scene.level
        )
        self._say(held=self.glass.held > before)
        height, width = self._tile.place.height, self._tile.place.width
        if scene.note and scene.noted == self._tile.screen:
            self._put_note(through, scene.note)
        if self._group is not None:
            # Nobody waits for a tile that the wall has left out.
            if stale:
                self._group.leave()
            else:
                self._group.join()
        if stale:
            side = max(4, height // STALE_SHARE)
            through.stamp(np.broadcast_to(STALE, (side, side, 3)).copy(), width - side, height - side)
        if self._burn:
            through.stamp(blocks(burned))

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
        if self._group is not None:
            self._group.leave()
        if self.keys is not None:
            self.keys.close()
        self._window.Finalize()

    def _swap_group(self, tile: Tile, *, offscreen: bool) -> SwapGroup:
        number = int(tile.display.rpartition(".")[2] or 0) if "." in tile.display else 0
        if offscreen or not tile.display:
            return SwapGroup(0, 0, 0, None)
        display, window = handle(self._window.GetGenericDisplayId()), handle(self._window.GetGenericWindowId())
        return SwapGroup(display, window, number, driver())

    def _put_note(self, through: TileWindow, text: str) -> None:
        """What is said of a picked object, in the lower left corner: of each half, where a picture is in two."""
        place = self._tile.place
        if self._note[0] != text:
            self._note = text, note(text, place.height // NOTE_SHARE)
        picture = self._note[1]
        columns, rows = {"side-by-side": (2, 1), "top-bottom": (1, 2)}.get(self._tile.stereo, (1, 1))
        for column in range(columns):
            for row in range(rows):
                below = (row + 1) * place.height // rows - picture.shape[0]
                through.stamp(picture, column * place.width // columns, max(0, below))

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

    def __init__(
        self, wall: Wall, tiles: Sequence[str], *, offscreen: bool, burn: bool, swap_group: bool = False
    ) -> None:
        """``swap_group``: the driver's, where it has one.  Raises NoOpenGL."""
        self._made: dict[str, TilePainter] = {}
        first: TilePainter | None = None
        for name in tiles:
            self._made[name] = TilePainter(
                wall, wall.tile(name), first, offscreen=offscreen, burn=burn, swap_group=swap_group
            )
            first = first or self._made[name]
        assert first is not None, "a process has a tile"
        self._scene = first.glass.scene
        self.painters: Mapping[str, Painter] = self._made
        self.windows: Sequence[Window] = [painter.keys for painter in self._made.values() if painter.keys is not None]
        """Where somebody may type; empty where pictures are kept in memory."""

    def happen(self, event: Event, now: float) -> None:
        """The feed says this."""
        self._scene.happen(event, now)

    def ripen(self, scene: Scene) -> None:
        """Makes all that the pictures of this scene need, so that what follows is drawing alone."""
        if self._scene.theatre is not None:
            self._scene.theatre.detail(scene.level)
        self._scene.look(scene.view)
        self._scene.ripen()

    @property
    def spares(self) -> bool:
        """Whether ``spare`` has something to do."""
        theatre = self._scene.theatre
        return theatre is not None and theatre.spares

    def spare(self) -> None:
        """Some milliseconds of work that no picture waits for yet."""
        if self._scene.theatre is not None:
            self._scene.theatre.spare()

    def pick(self, pick: Pick) -> Picked:
        """Which object a ray meets."""
        found = self._scene.pick(pick.origin, pick.direction)
        if found is None:
            return Picked(pick.request)
        return answer(pick.request, found)

    def close(self) -> None:
        """Closes the windows."""
        # The scene is the first one's: it goes last.
        for painter in reversed(self._made.values()):
            painter.close()
