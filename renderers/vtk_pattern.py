"""The test pattern on a stage of its own: flat polygons and letters, without light.

Pieces for one eye are shown only while that eye's picture is drawn (``before``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import VTK_UNSIGNED_CHAR, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer
from vtkmodules.vtkRenderingFreeType import vtkVectorText

from renderers.wall.pattern import Patch, Word, pattern
from renderers.wall.records import Screen, Tile, Wall
from renderers.wall.sight import Sight
from streamer.wire.viewing import Placement

IN_THE_ROOM = Placement((0.0, 0.0, 0.0), size=1.0)
"""The pattern's scene is the room itself, in millimetres."""


class PatternStage:
    """The pattern of one tile."""

    def __init__(self, wall: Wall, tile: Tile) -> None:
        self.renderer = vtkRenderer()
        self.renderer.GetCullers().RemoveAllItems()
        self._of: dict[str, list[Any]] = {"left": [], "right": []}
        screen = wall.screen(tile.screen)
        made = pattern(wall, tile)
        for eye in ("", "left", "right"):
            self._add(_polygons([p for p in made.patches if p.eye == eye]), eye)
        for word in made.words:
            self._add(_letters(word, screen), word.eye)

    def before(self, sight: Sight) -> None:
        """Hides what the eye is not to see; the middle sees all."""
        for eye, actors in self._of.items():
            for actor in actors:
                actor.SetVisibility(sight.eye in (eye, "middle"))

    def _add(self, actor: Any, eye: str) -> None:
        actor.GetProperty().LightingOff()
        self.renderer.AddActor(actor)
        if eye:
            self._of[eye].append(actor)


def marks_renderer(patches: Iterable[Patch]) -> vtkRenderer:
    """Flat pieces without light, and nothing else; their corners are the scene's."""
    renderer = vtkRenderer()
    renderer.GetCullers().RemoveAllItems()
    actor = _polygons(patches)
    actor.GetProperty().LightingOff()
    renderer.AddActor(actor)
    return renderer


def _polygons(patches: Iterable[Patch]) -> Any:
    """One actor of many flat pieces."""
    patches = list(patches)
    data, points, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
    corners = np.concatenate([p.corners for p in patches]) if patches else np.zeros((0, 3))
    points.SetData(numpy_to_vtk(np.ascontiguousarray(corners), deep=True))
    offsets = np.cumsum([0, *(len(p.corners) for p in patches)]).astype(np.int64)
    cells.SetData(numpy_to_vtk(offsets, deep=True), numpy_to_vtk(np.arange(len(corners), dtype=np.int64), deep=True))
    data.SetPoints(points)
    data.SetPolys(cells)
    colours = np.array([p.colour for p in patches]).reshape(-1, 3)
    data.GetCellData().SetScalars(
        numpy_to_vtk(np.round(255 * colours).astype(np.uint8), deep=True, array_type=VTK_UNSIGNED_CHAR)
    )
    mapper, actor = vtkPolyDataMapper(), vtkActor()
    mapper.SetInputData(data)
    actor.SetMapper(mapper)
    return actor


def _letters(word: Word, screen: Screen) -> Any:
    """Letters as polygons: they are part of the wall, not of a tile's raster."""
    source = vtkVectorText()
    source.SetText(word.text)
    source.Update()
    x0, x1, y0, y1, *_ = source.GetOutput().GetBounds()
    size = min(word.height / max(y1 - y0, 1e-6), word.width / max(x1 - x0, 1e-6))
    right, up, out = screen.axes
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = size * right, size * up, size * out
    matrix[:3, 3] = word.middle - size * ((x0 + x1) / 2 * right + (y0 + y1) / 2 * up)
    placed, mapper, actor = vtkMatrix4x4(), vtkPolyDataMapper(), vtkActor()
    placed.DeepCopy(matrix.ravel().tolist())
    mapper.SetInputConnection(source.GetOutputPort())
    actor.SetMapper(mapper)
    actor.SetUserMatrix(placed)
    red, green, blue = word.colour
    actor.GetProperty().SetColor(red, green, blue)
    return actor
