"""Trying a wall out without its screens: every tile drawn as a tile process draws it, beside one large render.

All tiles are seen through one hidden window, one after the other; what is drawn is a made-up run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from renderers.picture import png
from renderers.vtk_pattern import marks_renderer
from renderers.vtk_tile import BACKGROUND, TileWindow
from renderers.vtk_window import Pixels, open_window
from renderers.wall.glass import Glass
from renderers.wall.pattern import Patch
from renderers.wall.projection import eye_position
from renderers.wall.proof import (
    OF_EYE,
    Compared,
    Group,
    Sighted,
    Trial,
    Verdict,
    compare,
    error_px,
    groups,
    judge,
    large_wall,
    marks,
    passes_of,
    shrunk,
    trials,
)
from renderers.wall.records import Tile, Wall
from renderers.wall.sample import events
from renderers.wall.sight import sights
from renderers.wall.stereo import MIXED

Progress = Callable[[int, int], object]


class Booth:
    """The hidden window with the made-up run, through which walls are seen."""

    def __init__(self) -> None:
        """Raises NoOpenGL."""
        self.glass = Glass(open_window(64, 64))
        for event in events():
            self.glass.scene.happen(event, 0.0)

    def close(self) -> None:
        """Closes the window."""
        self.glass.window.Finalize()


def verify(
    booth: Booth,
    wall: Wall,
    scale: float = 0.1,
    pictures: Path | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Verdict:
    """Draws all tiles of a wall at a scale and compares them; with ``pictures``, saves them in that folder.

    ``progress`` is called with (groups done, groups in all).
    """
    begun = time.monotonic()
    small = shrunk(wall, scale)
    gallery = _Gallery(booth.glass, small, pictures)
    about, looks = groups(small), trials(small)
    compared: list[Compared] = []
    sighted: list[Sighted] = []
    for turn, trial in enumerate(looks):
        for place, group in enumerate(about):
            compared += gallery.compare(trial, group)
            if trial is looks[-1]:
                sighted += gallery.sight(trial, group)
            progress(turn * len(about) + place + 1, len(about) * len(looks))
    verdict = judge(small, scale, about, compared, sighted)
    return msgspec.structs.replace(verdict, seconds=round(time.monotonic() - begun, 2))


class _Gallery:
    """The pictures of one wall."""

    def __init__(self, glass: Glass, wall: Wall, pictures: Path | None) -> None:
        self._glass, self._wall, self._pictures = glass, wall, pictures
        self._background = np.round(255 * np.array(BACKGROUND)).astype(np.uint8)

    def compare(self, trial: Trial, group: Group) -> list[Compared]:
        """Each eye of each tile of a group beside the large renders."""
        shown = {tile.name: self._output(trial, tile) for tile in group.tiles}
        if self._pictures is not None:
            for name, of_eyes in shown.items():
                (self._pictures / f"{trial.name}-{_file(name)}.png").write_bytes(png(of_eyes[0]))
        found = []
        for k, (eye, some) in enumerate(group.eyes):
            for large in some:
                frame, whole = large_wall(self._wall, large, eye)
                expected = self._picture(frame, whole, trial)
                stitched = np.zeros_like(expected)
                for part in large.parts:
                    tile = next(one for one in group.tiles if one.name == part.name)
                    x, y, wide, high = part.place.x, part.place.y, part.place.width, part.place.height
                    picture = shown[tile.name][min(k, len(shown[tile.name]) - 1)]
                    counts = compare(tile, k, picture, expected[y : y + high, x : x + wide], self._background)
                    found.append(Compared(trial.name, group.name, tile.name, eye, *counts))
                    into = passes_of(tile)[k].into
                    stitched[y : y + high, x : x + wide] = picture[into.y : into.y + high, into.x : into.x + wide]
                if self._pictures is not None:
                    stem = f"{trial.name}-{_file(large.parts[0].name)}-{eye}"
                    (self._pictures / f"{stem}-stitched.png").write_bytes(png(stitched))
                    (self._pictures / f"{stem}-whole.png").write_bytes(png(expected))
        return found

    def sight(self, trial: Trial, group: Group) -> list[Sighted]:
        """Known points on each eye of each tile of a group."""
        found = []
        for tile in group.tiles:
            for k, one in enumerate(passes_of(tile)):
                eye = eye_position(trial.head, self._wall.eye_separation_mm, one.eye)
                patches, middles = marks(self._wall, tile, k, eye, trial.view.placement)
                alone = tile
                if tile.stereo in MIXED or tile.stereo == "quad-buffer":
                    # A disc of which half the rows are missing has its middle elsewhere.
                    alone = msgspec.structs.replace(tile, stereo=OF_EYE[one.eye], swap_eyes=False)
                picture = self._marks(alone, trial, patches)
                into = one.into
                part = picture[into.y : into.y + into.height, into.x : into.x + into.width]
                found.append(Sighted(group.name, tile.name, error_px(self._wall, tile, eye, middles, part)))
        return found

    def _output(self, trial: Trial, tile: Tile) -> list[Pixels]:
        """What a tile shows; of the driver's two buffers, each by itself."""
        if tile.stereo != "quad-buffer":
            return [self._picture(self._wall, tile, trial)]
        eyes = [msgspec.structs.replace(tile, stereo=OF_EYE[one.eye], swap_eyes=False) for one in passes_of(tile)]
        return [self._picture(self._wall, one, trial) for one in eyes]

    def _picture(self, wall: Wall, tile: Tile, trial: Trial) -> Pixels:
        self._size(tile)
        through = self._glass.draw(wall, tile, trial.view, trial.head, wall.eye_separation_mm)
        return self._taken(through)

    def _marks(self, tile: Tile, trial: Trial, patches: list[Patch]) -> Pixels:
        self._size(tile)
        renderer = marks_renderer(patches)
        through = TileWindow(self._glass.window, renderer, tile.stereo, (tile.place.x, tile.place.y))
        through.draw(sights(self._wall, tile, trial.view.placement, trial.head, self._wall.eye_separation_mm))
        picture = self._taken(through)
        self._glass.window.RemoveRenderer(renderer)
        return picture

    def _size(self, tile: Tile) -> None:
        if tuple(self._glass.window.GetSize()) != (tile.place.width, tile.place.height):
            self._glass.window.SetSize(tile.place.width, tile.place.height)

    def _taken(self, through: TileWindow) -> Pixels:
        through.show()
        return through.pixels().copy()


def _file(name: str) -> str:
    """A tile's name as part of a file's."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
