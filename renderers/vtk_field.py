"""The field in the cube: a coloured slice at the time cursor, or all of it as a translucent volume.

Values are the quantised bytes of the layer ``field``: 0 where there is nothing, 1…255 over the run's range.
Axes may be uneven: a slice is a grid of cells at their real places, a volume is laid out evenly once.  Rays
are sampled at fixed distances without jitter, so that neighbouring tiles of a wall agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import vtkmodules.vtkRenderingVolumeOpenGL2
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import VTK_TYPE_INT32, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPiecewiseFunction, vtkPlane, vtkPolyData
from vtkmodules.vtkRenderingCore import (
    vtkActor,
    vtkColorTransferFunction,
    vtkPolyDataMapper,
    vtkRenderer,
    vtkTexture,
    vtkVolume,
    vtkVolumeProperty,
)
from vtkmodules.vtkRenderingVolume import vtkGPUVolumeRayCastMapper

from renderers.geometry import Room, Ruler
from streamer.wire.grid import Grid, Triple
from streamer.wire.layers import LEVELS, NOTHING
from streamer.wire.viewing import Plane

_RAYS = vtkmodules.vtkRenderingVolumeOpenGL2  # the mapper is made by a factory that this import registers
Bytes = NDArray[np.uint8]
FINEST = 0.008
"""Rays are sampled at steps no shorter than this, in scene units (the box fits into a ball of radius 1)."""
FRAME = (0.62, 0.70, 0.80)
MOST_VOXELS = 64 << 20
"""A larger volume is drawn from every second, third … voxel."""


class Transfer:
    """How bytes of the field become colours and opacities."""

    def __init__(self, table: Bytes, curve: NDArray[np.float64], low: float = 0.0, high: float = 1.0) -> None:
        """``table`` (256, 3) and ``curve`` (256,) run from ``low`` to ``high``, shares of the run's range."""
        share = (np.arange(256) - 1) / LEVELS
        at = np.clip((share - low) / max(high - low, 1e-9), 0, 1)
        place = np.round(255 * at).astype(int)
        self.colours: Bytes = table[place]
        """(256, 3), by byte."""
        self.opacity: NDArray[np.float64] = np.where(np.arange(256) == NOTHING, 0.0, curve[place])
        """(256,), by byte; 0 where there is nothing."""


def coloured(field: NDArray[np.uint8], transfer: Transfer, opacity: float) -> NDArray[np.uint8]:
    """A step of the field (y, x) as a picture with four channels; nothing is covered where there is nothing."""
    share = np.where(field == NOTHING, 0.0, opacity)
    return np.concatenate([transfer.colours[field], np.round(255 * share)[..., None].astype(np.uint8)], axis=-1)


class FieldSlice:
    """One step of the field as a coloured sheet across the box."""

    def __init__(self, renderer: vtkRenderer, room: Room, shape: Triple) -> None:
        self._renderer, self._room, self._shape = renderer, room, shape
        self._image, texture = vtkImageData(), vtkTexture()
        self._image.SetDimensions(shape[2], shape[1], 1)
        texture.SetInputData(self._image)
        texture.InterpolateOff()
        self._sheet = _grid_sheet(room, shape)
        mapper = vtkPolyDataMapper()
        mapper.SetInputData(self._sheet)
        self.actor = vtkActor()
        self.actor.SetMapper(mapper)
        self.actor.SetTexture(texture)
        self.actor.GetProperty().LightingOff()
        self.actor.ForceTranslucentOn()
        renderer.AddActor(self.actor)

    def show(self, field: Bytes, step: float, transfer: Transfer, opacity: float) -> None:
        """Puts the bytes (y, x) of a step at that (fractional) step of axis 0."""
        picture = coloured(field, transfer, opacity)
        self._image.GetPointData().SetScalars(numpy_to_vtk(picture.reshape(-1, 4), deep=True))
        self._image.Modified()
        self.actor.SetPosition(0.0, 0.0, height_of(self._room, step))

    def cut(self, planes: Sequence[Plane]) -> None:
        """Cuts away what lies behind planes, six at most."""
        cut(self.actor.GetMapper(), planes)

    def visible(self, visible: bool) -> None:
        """Whether it is seen."""
        self.actor.SetVisibility(visible)

    def remove(self) -> None:
        """Takes it off the stage."""
        self._renderer.RemoveActor(self.actor)
        self.actor.ReleaseGraphicsResources(self._renderer.GetRenderWindow())


class Cursor:
    """A frame around the box at the time cursor: where one stands, and the edge of a slice where the field is weak."""

    def __init__(self, renderer: vtkRenderer, room: Room) -> None:
        self._renderer, self._room = renderer, room
        self.actor = _frame(room)
        self.actor.VisibilityOff()
        renderer.AddActor(self.actor)

    def show(self, step: float | None, planes: Sequence[Plane] = ()) -> None:
        """Puts it at a (fractional) step of axis 0; None: nowhere."""
        self.actor.SetVisibility(step is not None)
        if step is not None:
            self.actor.SetPosition(0.0, 0.0, height_of(self._room, step))
            cut(self.actor.GetMapper(), planes)

    def remove(self) -> None:
        """Takes it off the stage."""
        self._renderer.RemoveActor(self.actor)
        self.actor.ReleaseGraphicsResources(self._renderer.GetRenderWindow())


class FieldVolume:
    """All of the field as a translucent body."""

    def __init__(self, renderer: vtkRenderer, room: Room, grid: Grid) -> None:
        self._renderer, self._grid = renderer, grid
        self._every = stride(grid.shape)
        self._bytes: Bytes = np.zeros([ceil(n / e) for n, e in zip(grid.shape, self._every, strict=True)], np.uint8)
        even = [_even(ruler, grid.shape[2 - i], self._every[2 - i]) for i, ruler in enumerate(room.rulers)]
        self._take = [index for index, _, _ in even]
        """For x, y, z: the place in ``_bytes`` of each evenly laid voxel."""
        self._image = vtkImageData()
        self._image.SetDimensions(*(len(index) for index in self._take))
        self._image.SetOrigin(*(start for _, start, _ in even))
        self._image.SetSpacing(*(step for _, _, step in even))
        mapper = vtkGPUVolumeRayCastMapper()
        mapper.SetInputData(self._image)
        mapper.AutoAdjustSampleDistancesOff()
        mapper.UseJitteringOff()
        mapper.SetSampleDistance(max(min(step for _, _, step in even), FINEST))
        self._look = vtkVolumeProperty()
        self._look.ShadeOff()
        self._look.SetInterpolationTypeToLinear()
        self._volume = vtkVolume()
        self._volume.SetMapper(mapper)
        self._volume.SetProperty(self._look)
        self._shown = False
        self._fresh = False

    @property
    def nbytes(self) -> int:
        """Bytes in memory, without what OpenGL keeps."""
        return 2 * self._bytes.nbytes

    def put(self, chunk: int, core: Bytes) -> None:
        """A chunk's bytes (z, y, x)."""
        box = self._grid.core(chunk)
        here = []
        there = []
        for start, stop, every in zip(box.start, box.stop, self._every, strict=True):
            first = -(-start // every)
            here.append(slice(first, -(-stop // every)))
            there.append(slice(first * every - start, None, every))
        self._bytes[tuple(here)] = core[tuple(there)]
        self._fresh = False

    def show(self, transfer: Transfer, opacity: float) -> None:
        """Shows what has come so far."""
        if not self._fresh:
            x, y, z = self._take
            laid = self._bytes[np.ix_(z, y, x)]
            self._image.GetPointData().SetScalars(numpy_to_vtk(laid.ravel(), deep=True))
            self._image.Modified()
            self._fresh = True
        colours, curve = vtkColorTransferFunction(), vtkPiecewiseFunction()
        for value in range(0, 256, 5):
            red, green, blue = (transfer.colours[value] / 255).tolist()
            colours.AddRGBPoint(value, red, green, blue)
        curve.AddPoint(NOTHING, 0.0)
        for value in range(1, 256):
            curve.AddPoint(value, float(transfer.opacity[value]) * opacity)
        self._look.SetColor(colours)
        self._look.SetScalarOpacity(curve)
        # Opacity is meant for a twentieth of the box, whatever the voxels' size.
        self._look.SetScalarOpacityUnitDistance(0.05)
        if not self._shown:
            self._renderer.AddVolume(self._volume)
            self._shown = True

    def cut(self, planes: Sequence[Plane]) -> None:
        """Cuts away what lies behind planes, eight at most."""
        cut(self._volume.GetMapper(), planes)

    def visible(self, visible: bool) -> None:
        """Whether it is seen."""
        self._volume.SetVisibility(visible)

    def remove(self) -> None:
        """Takes it off the stage."""
        self._renderer.RemoveVolume(self._volume)
        self._volume.ReleaseGraphicsResources(self._renderer.GetRenderWindow())
        self._shown = False


def cut(mapper: Any, planes: Sequence[Plane]) -> None:
    """Lets a mapper draw nothing that lies behind planes of the scene."""
    if mapper.GetClippingPlanes() is None and not planes:
        return
    mapper.RemoveAllClippingPlanes()
    for plane in planes:
        there = vtkPlane()
        there.SetOrigin(*plane.point)
        there.SetNormal(*plane.normal)
        mapper.AddClippingPlane(there)


def height_of(room: Room, step: float) -> float:
    """How high in the room a (fractional) step of axis 0 lies."""
    return float(room.rulers[2].at(np.array([step]))[0])


def stride(shape: Triple) -> Triple:
    """Every how many voxels along (z, y, x) are taken, so that there are ``MOST_VOXELS`` at most."""
    every = [1, 1, 1]
    while np.prod([ceil(n / e) for n, e in zip(shape, every, strict=True)]) > MOST_VOXELS:
        longest = max(range(3), key=lambda axis: shape[axis] / every[axis])
        every[longest] += 1
    return every[0], every[1], every[2]


def _even(ruler: Ruler, n: int, every: int) -> tuple[NDArray[np.int64], float, float]:
    """For evenly laid voxels along an axis: the place of each in the array, where the first lies, and the step."""
    count = ceil(n / every)
    centres = ruler.at(np.minimum(np.arange(count) * every, n - 1).astype(float))
    if count == 1:
        low, high = float(ruler.at(np.array([-0.5]))[0]), float(ruler.at(np.array([n - 0.5]))[0])
        return np.zeros(2, np.int64), min(low, high), abs(high - low)
    rising = centres[0] < centres[-1]
    order = np.arange(count) if rising else np.arange(count)[::-1]
    places = centres[order]
    even = np.linspace(places[0], places[-1], count)
    nearest = np.abs(np.searchsorted((places[:-1] + places[1:]) / 2, even))
    return order[nearest].astype(np.int64), float(places[0]), float(even[1] - even[0])


def _grid_sheet(room: Room, shape: Triple) -> vtkPolyData:
    """The cells of one step at z = 0, at their real places, with their places in a picture of (y, x) pixels."""
    _, ny, nx = shape
    data, points, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
    x_edges, y_edges = _edges(room.rulers[0], nx), _edges(room.rulers[1], ny)
    y, x = np.meshgrid(y_edges[0], x_edges[0], indexing="ij")
    v, u = np.meshgrid(y_edges[1], x_edges[1], indexing="ij")
    rows, columns = y.shape
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    a, b, c, d = corner, corner + 1, corner + columns + 1, corner + columns
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    places = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], 1).astype(np.float32)
    points.SetData(numpy_to_vtk(places, deep=True))
    cells.SetData(3, numpy_to_vtk(triangles.ravel(), deep=True, array_type=VTK_TYPE_INT32))
    data.SetPoints(points)
    data.SetPolys(cells)
    data.GetPointData().SetTCoords(numpy_to_vtk(np.stack([u.ravel(), v.ravel()], 1).astype(np.float32), deep=True))
    return data


def _frame(room: Room) -> vtkActor:
    """The four edges of a step."""
    x, y, _ = room.half
    data, points, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
    cells.InsertNextCell(5)
    for place in ((-x, -y), (x, -y), (x, y), (-x, y), (-x, -y)):
        cells.InsertCellPoint(points.InsertNextPoint(*place, 0.0))
    data.SetPoints(points)
    data.SetLines(cells)
    mapper, actor = vtkPolyDataMapper(), vtkActor()
    mapper.SetInputData(data)
    actor.SetMapper(mapper)
    actor.GetProperty().LightingOff()
    actor.GetProperty().SetColor(*FRAME)
    return actor


def _edges(ruler: Ruler, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the edges of cells lie in the room and in the picture (0…1); the two ends alone where cells are even."""
    index = np.arange(n + 1) - 0.5
    places = ruler.at(index)
    steps = np.diff(places)
    if np.ptp(steps) <= 1e-6 * abs(steps.mean()) * n:
        index, places = index[[0, -1]], places[[0, -1]]
    share: NDArray[np.float64] = (index + 0.5) / n
    return places, share
