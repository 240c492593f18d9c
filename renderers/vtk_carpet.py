"""What lies flat on the Earth: land and sea, and over them the field in colours.

Both are pictures on geometry, mixed by the graphics card, so a new step of the field costs its colours alone.  The
field's picture has the data's own cells, whatever the size of the region; colours run smoothly from one cell's middle
to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import VTK_TYPE_INT32, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkTexture

from renderers.coast import Line, fill
from renderers.sheet import Floats, Ground
from renderers.vtk_decor import LAND, SEA

Region = tuple[float, float, float, float]
"""West, east, south, north in degrees."""
CELLS = 1440
"""The picture of land and sea has about so many cells along its longer side: four for a degree of the whole Earth."""
MESH = 2.0
"""Degrees between the points of the ground, at most."""
LIFT = 0.001
"""The field lies so far above the ground, and below the lines on it."""


class Carpet:
    """A picture on a part of the Earth."""

    def __init__(
        self, ground: Ground, lat: Floats, lon: Floats, lift: float, *, glassy: bool = False, wraps: bool = False
    ) -> None:
        """``lat`` (rows + 1,) and ``lon`` (columns + 1,) are the corners of the picture's cells, in either direction.

        ``glassy``: the picture has a fourth channel, how much of what lies below is covered.  ``wraps``: its last
        column is the neighbour of its first one.
        """
        self._image, texture, self._more = vtkImageData(), vtkTexture(), int(wraps)
        self._image.SetDimensions(len(lon) - 1 + 2 * self._more, len(lat) - 1, 1)
        texture.SetInputData(self._image)
        # No smaller versions of it: which of them is taken differs by a hair from tile to tile, and shows at seams.
        texture.InterpolateOn()
        texture.RepeatOff()
        self._data = _laid(ground, lat, lon, lift, self._more)
        mapper = vtkPolyDataMapper()
        mapper.SetInputData(self._data)
        self.actor = vtkActor()
        self.actor.SetMapper(mapper)
        self.actor.SetTexture(texture)
        self.actor.GetProperty().LightingOff()
        if glassy:
            self.actor.ForceTranslucentOn()

    def paint(self, picture: NDArray[np.uint8]) -> None:
        """The picture, (rows, columns, 3 or 4), in the order of the corners."""
        channels = picture.shape[2]
        if self._more:
            # A column from beyond either end, so that colours run on across the seam.
            picture = np.concatenate([picture[:, -1:], picture, picture[:, :1]], axis=1)
        self._image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(picture).reshape(-1, channels)))
        self._image.Modified()

    @property
    def solid(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Its points (n, 3) and triangles (m, 3), for a ray to meet."""
        triangles = vtk_to_numpy(self._data.GetPolys().GetConnectivityArray()).reshape(-1, 3)
        return vtk_to_numpy(self._data.GetPoints().GetData()), triangles


def land_and_sea(ground: Ground, coast: list[Line], region: Region) -> Carpet:
    """The ground of a region."""
    west, east, south, north = region
    per_degree = CELLS / max(east - west, north - south)
    rows, columns = (max(2, round(side * per_degree)) for side in (north - south, east - west))
    carpet = Carpet(
        ground, np.linspace(south, north, rows + 1), np.linspace(west, east, columns + 1), 0.0, glassy=False
    )
    land = fill(coast, west, south, 1 / per_degree, (rows, columns))
    carpet.paint(np.where(land[..., None], np.array(LAND, np.uint8), np.array(SEA, np.uint8)))
    return carpet


def _laid(ground: Ground, lat: Floats, lon: Floats, lift: float, more: int) -> vtkPolyData:
    """A picture's geometry, with places in the picture; fine enough to follow the ground and uneven cells.

    The picture has so many columns ``more`` at its left and at its right, which are not laid out.
    """
    (y, v), (x, u) = (_along(corners) for corners in (lat, lon))
    u = (u * (len(lon) - 1) + more) / (len(lon) - 1 + 2 * more)
    rows, columns = len(y), len(x)
    places = ground.points(*np.meshgrid(y, x, indexing="ij"), np.full((rows, columns), lift))
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    a, b, c, d = corner, corner + 1, corner + columns + 1, corner + columns
    # Anticlockwise seen from above, whichever way the axes run.
    turned = (y[-1] > y[0]) != (x[-1] > x[0])
    rings = ((a, c, b), (a, d, c)) if turned else ((a, b, c), (a, c, d))
    triangles = np.concatenate([np.stack(ring, 1) for ring in rings]).astype(np.int32)
    data, points, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
    points.SetData(numpy_to_vtk(places.reshape(-1, 3).astype(np.float32), deep=True))
    cells.SetData(3, numpy_to_vtk(triangles.ravel(), deep=True, array_type=VTK_TYPE_INT32))
    data.SetPoints(points)
    data.SetPolys(cells)
    at: Any = np.stack(np.meshgrid(u, v), -1).reshape(-1, 2).astype(np.float32)
    data.GetPointData().SetTCoords(numpy_to_vtk(at, deep=True))
    return data


def _along(corners: Floats) -> tuple[Floats, Floats]:
    """Places in degrees along an axis, none further apart than ``MESH``, and where each is in the picture (0…1)."""
    n = len(corners) - 1
    widest = float(np.abs(np.diff(corners)).max())
    # Of small cells every second, third … corner is taken; large ones are divided.
    every = max(1, int(MESH / widest)) if widest > 0 else 1
    index = np.unique(np.append(np.arange(0, n + 1, every), n)).astype(float)
    parts = max(1, int(np.ceil(widest / MESH - 1e-9)))
    index = np.interp(np.arange((len(index) - 1) * parts + 1) / parts, np.arange(len(index)), index)
    return np.interp(index, np.arange(n + 1), corners), index / n
