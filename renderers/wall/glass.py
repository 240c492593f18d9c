"""A window of a tile process: the run's scene, or the test pattern, as one of the wall's tiles shows it.

Whoever shows a tile draws through here: the tile process, the test pattern on the real screens, and the trial of a
whole wall, which looks at all its tiles through one window after another.
"""

from __future__ import annotations

from typing import Any

from renderers.show import Show
from renderers.vtk_pattern import IN_THE_ROOM, PatternStage
from renderers.vtk_tile import TileWindow, bare_renderer
from renderers.vtk_twin import Twin
from renderers.wall.records import Stereo, Tile, Wall
from renderers.wall.sight import sights, to_scene
from streamer.wire.viewing import Head, Vec3, View


class Glass:
    """A window and what can be seen through it.  All calls come from the thread that owns the window."""

    def __init__(self, window: Any, first: Glass | None = None) -> None:
        """``first``: another window of this process whose scene is shown here too; it draws before this one."""
        self.window = window
        self.scene: Show = Show(window, steady=True) if first is None else first.scene
        self._twin: Twin | None = None if first is None else Twin()
        self.held = 0
        """Pictures that were drawn for an eye that is not in front of the tile's screen."""
        self._bare = bare_renderer()
        self._pattern: tuple[Wall, Tile, PatternStage] | None = None
        self._through: tuple[Any, Stereo, tuple[int, int], TileWindow] | None = None

    def draw(self, wall: Wall, tile: Tile, view: View, head: Head, separation_mm: float, level: int = 0) -> TileWindow:
        """Draws what a tile shows to the back buffer; returns the tile's window, to be shown or stamped.

        The window must have the tile's size.  ``level``: 0 all of the surfaces, 1 the coarse ones.
        """
        if view.pattern:
            stage = self._pattern_of(wall, tile)
            through = self._look(stage.renderer, tile)
            looks = sights(wall, tile, IN_THE_ROOM, head, separation_mm)
            through.draw(looks, stage.before)
        else:
            through = self._look(self._staged(view, to_scene(view.placement, head.position), level), tile)
            looks = sights(wall, tile, view.placement, head, separation_mm)
            through.draw(looks)
        self.held += any(look.held for look in looks)
        return through

    def _staged(self, view: View, head: Vec3, level: int) -> Any:
        """The renderer with the run's scene as the view wants it; an empty one while there is no run."""
        # Nobody waits for a quiet moment here: all that is to be done is done before the picture.
        theatre = self.scene.theatre
        if theatre is not None:
            theatre.detail(level)
        self.scene.look(view)
        self.scene.ripen()
        if theatre is None:
            return self._bare
        theatre.face(head)
        if self._twin is None:
            return theatre.renderer
        self._twin.follow(theatre.renderer)
        return self._twin.renderer

    def _pattern_of(self, wall: Wall, tile: Tile) -> PatternStage:
        if self._pattern is None or self._pattern[0] is not wall or self._pattern[1] is not tile:
            if self._pattern is not None:
                self.window.RemoveRenderer(self._pattern[2].renderer)
            self._pattern = wall, tile, PatternStage(wall, tile)
        return self._pattern[2]

    def _look(self, renderer: Any, tile: Tile) -> TileWindow:
        at = tile.place.x, tile.place.y
        if self._through is None or self._through[:3] != (renderer, tile.stereo, at):
            self._through = renderer, tile.stereo, at, TileWindow(self.window, renderer, tile.stereo, at)
        return self._through[3]
