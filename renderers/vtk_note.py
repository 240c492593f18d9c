"""A few words as a picture: light letters on a dark plate, to be put into a corner of a tile."""

from __future__ import annotations

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkRenderingCore import vtkTextProperty, vtkTextRenderer
from vtkmodules.vtkRenderingFreeType import vtkFreeTypeTools

from renderers.vtk_window import Pixels

LETTERS, PLATE = (0.93, 0.95, 0.98), np.array([16, 22, 34], np.uint8)
DPI = 72
_FONTS = vtkFreeTypeTools  # the text renderer finds its fonts through a factory that this import registers


def note(text: str, size: int) -> Pixels:
    """The words, one line below the other, with letters ``size`` pixels high: (h, w, 3), the top row first."""
    look, image = vtkTextProperty(), vtkImageData()
    look.SetFontSize(max(6, size))
    look.SetColor(*LETTERS)
    drawn = vtkTextRenderer.GetInstance().RenderString(look, text, image, [0, 0], DPI)
    if not drawn or image.GetNumberOfPoints() == 0:
        return np.zeros((0, 0, 3), np.uint8)
    width, height, _ = image.GetDimensions()
    letters = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 4)[::-1]
    share = letters[..., 3:].astype(np.float32) / 255
    margin = max(2, size // 2)
    plate = np.empty((height + 2 * margin, width + 2 * margin, 3), np.uint8)
    plate[:] = PLATE
    plate[margin:-margin, margin:-margin] = np.round(share * letters[..., :3] + (1 - share) * PLATE).astype(np.uint8)
    return plate
