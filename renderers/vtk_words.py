"""Words in the picture: numbers along the axes and the legend, drawn flat on top.

Each text keeps its actor while it is in use, so that its letters are drawn once and only moved later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor2D, vtkPolyDataMapper2D, vtkRenderer, vtkTextActor

from renderers.layout import Rect, Word
from renderers.legend import Legend

INK = (0.80, 0.84, 0.90)
BRIGHT = (0.96, 0.97, 1.0)
PANEL = (8, 12, 20)


class Words:
    """The flat texts of a picture."""

    def __init__(self, renderer: vtkRenderer) -> None:
        self._renderer = renderer
        self._marks: dict[tuple[str, int], Any] = {}
        self._legend: list[Any] = []
        self._panel = _flat_shapes(renderer, 0.62)
        self._swatches = _flat_shapes(renderer, 1.0)
        self._drawn: Legend | None = None

    def marks(self, words: Sequence[Word]) -> None:
        """Shows these words and no others beside the box."""
        wanted = {}
        for word in words:
            key = (word.text, word.size)
            while key in wanted:
                key = (key[0] + " ", key[1])
            wanted[key] = word
        for key in [key for key in self._marks if key not in wanted]:
            self._renderer.RemoveViewProp(self._marks.pop(key))
        for key, word in wanted.items():
            actor = self._marks.get(key)
            if actor is None:
                actor = self._marks[key] = self._text(word.text, word.size, INK)
                actor.GetTextProperty().SetJustificationToCentered()
                actor.GetTextProperty().SetVerticalJustificationToCentered()
            actor.SetDisplayPosition(*(round(n) for n in word.middle))

    def legend(self, legend: Legend) -> None:
        """Shows the legend; does nothing if it is the one shown already."""
        if legend == self._drawn:
            return
        self._drawn = legend
        for actor in self._legend:
            self._renderer.RemoveViewProp(actor)
        self._legend = []
        for line in legend.lines:
            actor = self._text(line.text, legend.size, BRIGHT if line.bold else INK)
            actor.GetTextProperty().SetBold(line.bold)
            actor.GetTextProperty().SetVerticalJustificationToCentered()
            actor.SetDisplayPosition(round(line.left), round(line.middle))
            self._legend.append(actor)
        _fill(self._panel, [legend.panel], [PANEL])
        _fill(self._swatches, [swatch.box for swatch in legend.swatches], [s.colour for s in legend.swatches])

    def _text(self, text: str, size: int, colour: tuple[float, float, float]) -> Any:
        actor = vtkTextActor()
        actor.SetTextScaleModeToNone()
        actor.SetInput(text)
        look = actor.GetTextProperty()
        look.SetFontFamilyToArial()
        look.SetFontSize(size)
        look.SetColor(*colour)
        self._renderer.AddViewProp(actor)
        return actor


def _flat_shapes(renderer: vtkRenderer, opacity: float) -> Any:
    data = vtkPolyData()
    mapper = vtkPolyDataMapper2D()
    mapper.SetInputData(data)
    actor = vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetOpacity(opacity)
    renderer.AddViewProp(actor)
    return data


def _fill(data: Any, boxes: Sequence[Rect], colours: Sequence[tuple[int, int, int]]) -> None:
    """Filled boxes of pixels, each in its colour."""
    corners = np.array(
        [
            (x, y, 0)
            for left, bottom, width, height in boxes
            for x, y in (
                (left, bottom),
                (left + width, bottom),
                (left + width, bottom + height),
                (left, bottom + height),
            )
        ],
        np.float32,
    ).reshape(-1, 3)
    points = vtkPoints()
    points.SetData(numpy_to_vtk(corners, deep=True))
    cells = vtkCellArray()
    for i in range(len(boxes)):
        cells.InsertNextCell(4, [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3])
    data.SetPoints(points)
    data.SetPolys(cells)
    data.GetCellData().SetScalars(numpy_to_vtk(np.array(colours, np.uint8).reshape(-1, 3), deep=True))
    data.Modified()
