"""Words in the picture: numbers along the axes and the legend, drawn flat on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor2D, vtkPolyDataMapper2D, vtkRenderer

from renderers.layout import Rect, Word
from renderers.legend import Legend
from renderers.vtk_letters import Letters, Text

INK = (0.80, 0.84, 0.90)
BRIGHT = (0.96, 0.97, 1.0)
PANEL = (8, 12, 20)


class Words:
    """The flat texts of a picture."""

    def __init__(self, renderer: vtkRenderer) -> None:
        self._panel = _flat_shapes(renderer, 0.62)
        self._swatches = _flat_shapes(renderer, 1.0)
        self._letters = Letters(renderer)
        self._drawn: Legend | None = None
        self._lines: list[tuple[Text, float, float]] = []
        """Those of the legend."""

    def marks(self, words: Sequence[Word]) -> None:
        """Shows these words and no others beside the box."""
        marks = [(Text(word.text, word.size, INK, centred=True), *word.middle) for word in words]
        self._letters.show([*self._lines, *marks])

    def legend(self, legend: Legend) -> None:
        """Shows the legend, with the next marks; does nothing if it is the one shown already."""
        if legend == self._drawn:
            return
        self._drawn = legend
        self._lines = [
            (Text(line.text, legend.size, BRIGHT if line.bold else INK, bold=line.bold), line.left, line.middle)
            for line in legend.lines
        ]
        _fill(self._panel, [legend.panel], [PANEL])
        _fill(self._swatches, [swatch.box for swatch in legend.swatches], [s.colour for s in legend.swatches])


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
