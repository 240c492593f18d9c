"""Letters drawn flat on top of a picture: all words are one shape with one texture.

An actor for each word would cost a tenth of a millisecond of every picture.  A word's letters are drawn once, into a
picture of all words; what changes when words move is where its pieces stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
from vtkmodules.vtkRenderingCore import (
    vtkPolyDataMapper2D,
    vtkRenderer,
    vtkTextProperty,
    vtkTextRenderer,
    vtkTexture,
    vtkTexturedActor2D,
)
from vtkmodules.vtkRenderingFreeType import vtkFreeTypeTools

DPI = 72
WIDTH = 1024
"""Pixels of the picture of all words, across; a longer word makes it wider."""
MOST_ROWS = 1024
"""Words that are not seen any more are given up when it would be higher."""
_FONTS = vtkFreeTypeTools  # the text renderer finds its fonts through a factory that this import registers

Colour = tuple[float, float, float]


class Text(NamedTuple):
    """A word, and how it looks."""

    text: str
    size: int
    colour: Colour
    bold: bool = False
    centred: bool = False
    """Whether it is to both sides of where it stands, instead of to the right of it; up and down it always is."""


class _Piece(NamedTuple):
    """Where a word is in the picture of all words, and how far from where it stands its lower left corner is."""

    left: int
    bottom: int
    width: int
    height: int
    right_by: int
    up_by: int


class Letters:
    """The words of a renderer, above everything that was added to it before."""

    def __init__(self, renderer: vtkRenderer) -> None:
        self._pieces: dict[Text, _Piece] = {}
        self._ink = np.zeros((0, WIDTH, 4), np.uint8)
        self._across = self._row = self._top = 0
        self._shown: list[tuple[Text, int, int]] = []
        self._image, self._texture, self._data = vtkImageData(), vtkTexture(), vtkPolyData()
        self._texture.SetInputData(self._image)
        self._texture.InterpolateOff()
        mapper = vtkPolyDataMapper2D()
        mapper.SetInputData(self._data)
        self._actor = vtkTexturedActor2D()
        self._actor.SetMapper(mapper)
        self._actor.SetTexture(self._texture)
        self._actor.VisibilityOff()
        renderer.AddViewProp(self._actor)

    def show(self, words: Sequence[tuple[Text, float, float]]) -> None:
        """Shows these words, each at a place in pixels from the lower left, and no others."""
        placed = [(text, round(x), round(y)) for text, x, y in words]
        if placed == self._shown:
            return
        self._shown = placed
        wanted = dict.fromkeys(text for text, _, _ in placed)
        new = [text for text in wanted if text not in self._pieces]
        for text in new:
            self._draw(text)
        if new and self._top > MOST_ROWS and len(self._pieces) > len(wanted):
            self._forget()
            for text in wanted:
                self._draw(text)
        if new:
            self._upload()
        self._stand([(self._pieces[text], x, y) for text, x, y in placed])

    # ------------------------------------------------------------------ inside

    def _forget(self) -> None:
        self._pieces.clear()
        self._ink = self._ink[:0]
        self._across = self._row = self._top = 0

    def _draw(self, text: Text) -> None:
        """Puts a word's letters into the first free place of the picture of all words."""
        look, image, size = vtkTextProperty(), vtkImageData(), [0, 0]
        look.SetFontFamilyToArial()
        look.SetFontSize(text.size)
        look.SetColor(*text.colour)
        look.SetBold(text.bold)
        look.SetVerticalJustificationToCentered()
        if text.centred:
            look.SetJustificationToCentered()
        if not vtkTextRenderer.GetInstance().RenderString(look, text.text, image, size, DPI) or not all(size):
            self._pieces[text] = _Piece(0, 0, 0, 0, 0, 0)
            return
        columns, rows, _ = image.GetDimensions()
        width, height = min(size[0], columns), min(size[1], rows)
        letters = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, 4)[:height, :width]
        if self._across + width > self._ink.shape[1]:
            self._across, self._row = 0, self._top
        # An empty pixel around each: nothing of a neighbour is seen where a piece does not end with a pixel.
        self._top = max(self._top, self._row + height + 1)
        wider, higher = max(0, width - self._ink.shape[1]), max(0, self._top - self._ink.shape[0])
        if wider or higher:
            self._ink = np.pad(self._ink, ((0, max(higher, len(self._ink)) if higher else 0), (0, wider), (0, 0)))
        self._ink[self._row : self._row + height, self._across : self._across + width] = letters
        low_x, _, low_y, *_ = image.GetExtent()
        self._pieces[text] = _Piece(self._across, self._row, width, height, low_x, low_y)
        self._across += width + 1

    def _upload(self) -> None:
        rows, columns, _ = self._ink.shape
        if not rows:
            return
        self._image.SetDimensions(columns, rows, 1)
        self._image.GetPointData().SetScalars(numpy_to_vtk(self._ink.reshape(-1, 4), deep=True))
        self._image.Modified()

    def _stand(self, pieces: Sequence[tuple[_Piece, int, int]]) -> None:
        found = [(piece, x, y) for piece, x, y in pieces if piece.width]
        self._actor.SetVisibility(bool(found))
        if not found:
            return
        rows, columns, _ = self._ink.shape
        at = np.array([(x + piece.right_by, y + piece.up_by) for piece, x, y in found], np.float32)
        of = np.array([piece[:2] for piece, _, _ in found], np.float32)
        size = np.array([piece[2:4] for piece, _, _ in found], np.float32)
        corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
        inside = corners[None] * size[:, None]
        flat = (at[:, None] + inside).reshape(-1, 2)
        points, cells = vtkPoints(), vtkCellArray()
        points.SetData(numpy_to_vtk(np.column_stack([flat, np.zeros(len(flat), np.float32)]), deep=True))
        quads: NDArray[np.int64] = np.arange(4 * len(found)).reshape(-1, 4)
        for quad in quads.tolist():
            cells.InsertNextCell(4, quad)
        self._data.SetPoints(points)
        self._data.SetPolys(cells)
        places = ((of[:, None] + inside).reshape(-1, 2) / (columns, rows)).astype(np.float32)
        self._data.GetPointData().SetTCoords(numpy_to_vtk(places, deep=True))
        self._data.Modified()
