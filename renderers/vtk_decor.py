"""What stands around the data: the box, its floor with land and coastlines, and the chunks still to come.

Walls and edges that face the eye are left out, so nothing hides the data.  All of it is plain lines and
one textured floor: nothing that would look different across the seams of a wall.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import VTK_TYPE_INT64, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersHybrid import vtkEarthSource
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkTexture

from renderers.axes import Scale
from renderers.coast import Line, clip_lines, fill
from renderers.geometry import Room
from streamer.wire.grid import Grid
from streamer.wire.volume import Volume

Colour = tuple[float, float, float]
SEA, LAND = (17, 27, 43), (39, 52, 66)
COAST: Colour = (0.50, 0.62, 0.72)
GRID: Colour = (0.22, 0.28, 0.36)
BOX: Colour = (0.48, 0.54, 0.62)
COMING: Colour = (0.16, 0.24, 0.36)
MOST_LATTICE = 512
"""More chunks than this are not outlined one by one while they are pending."""
SUNK = 0.008
"""The floor lies this far below the box, so that the lines on it are not half hidden in it."""
CELLS = 1024
"""The floor's picture of land and sea has about so many cells along its longer side."""


def earth() -> list[Line]:
    """The coastlines that come with VTK, as polylines of (longitude, latitude) in degrees; closed."""
    source = vtkEarthSource()
    source.OutlineOn()
    source.SetOnRatio(1)
    source.SetRadius(1.0)
    source.Update()
    out = source.GetOutput()
    points = vtk_to_numpy(out.GetPoints().GetData()).astype(float)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    places = np.degrees(np.stack([np.arctan2(points[:, 1], points[:, 0]), np.arcsin(points[:, 2])], axis=1))
    offsets = vtk_to_numpy(out.GetLines().GetOffsetsArray())
    order = vtk_to_numpy(out.GetLines().GetConnectivityArray())
    return [places[order[a:b]] for a, b in pairwise(offsets)]


class Decor:
    """Box, floor and the lattice of pending chunks."""

    def __init__(self, renderer: vtkRenderer, volume: Volume, grid: Grid, room: Room, scales: Sequence[Scale]) -> None:
        self._renderer = renderer
        self._grid, self._room, self._scales = grid, room, scales
        self._actors: list[Any] = []
        self._seen_from: tuple[int, int, int] | None = None
        self._widths: list[tuple[Any, float]] = []
        self._ratio = 1.0
        self._box = self._lines([], BOX, 1.0)
        self._marks = self._lines([], GRID, 1.0)
        self._coming = self._lines([], COMING, 1.0)
        if volume.on_sphere:
            x, y, _ = room.rulers
            coast = earth()
            self._floor(fill(coast, x.low, y.low, *_raster(x.high - x.low, y.high - y.low)))
            pieces = clip_lines(coast, x.low, x.high, y.low, y.high)
            self._lines([self._on_floor(piece) for piece in pieces], COAST, 1.3)
        else:
            self._floor(np.zeros((2, 2), bool))

    def remove(self) -> None:
        """Takes all of it off the stage."""
        for actor in self._actors:
            self._renderer.RemoveActor(actor)
        self._actors.clear()

    def visible(self, visible: bool) -> None:
        """Whether any of it is seen."""
        for actor in self._actors:
            actor.SetVisibility(visible)

    def thicken(self, ratio: float) -> None:
        """Lines of so many pixels for each that they have on an ordinary screen."""
        if ratio != self._ratio:
            self._ratio = ratio
            for actor, width in self._widths:
                actor.GetProperty().SetLineWidth(ratio * width)

    def pending(self, chunks: Iterable[int]) -> None:
        """Outlines the chunks that have not arrived."""
        if self._grid.size > MOST_LATTICE:
            return
        _set_lines(self._coming, self._lattice(chunks))

    def face(self, position: tuple[float, float, float]) -> None:
        """Shows the walls and edges behind the data, seen from the eye's position."""
        hx, hy, hz = self._room.half
        seen_from = (
            _side(position[0], hx),
            _side(position[1], hy),
            _side(position[2], hz),
        )
        if seen_from == self._seen_from:
            return
        self._seen_from = seen_from
        _set_lines(self._box, self._edges(seen_from))
        _set_lines(self._marks, self._ticks(seen_from))

    # -------------------------------------------------------------- pieces

    def _edges(self, seen_from: tuple[int, int, int]) -> list[NDArray[np.float64]]:
        """The twelve edges without those between two faces that look at the eye."""
        half = np.array(self._room.half)
        lines = []
        for axis in range(3):
            others = [a for a in range(3) if a != axis]
            for signs in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
                floor = 2 in others and signs[others.index(2)] == -1
                facing = all(seen_from[a] == s for a, s in zip(others, signs, strict=True))
                if facing and not floor:
                    continue
                ends = np.zeros((2, 3))
                ends[0, axis], ends[1, axis] = -half[axis], half[axis]
                for a, s in zip(others, signs, strict=True):
                    ends[:, a] = s * half[a]
                lines.append(ends)
        return lines

    def _ticks(self, seen_from: tuple[int, int, int]) -> list[NDArray[np.float64]]:
        """Lines at the round numbers, across the floor and the walls behind."""
        hx, hy, hz = self._room.half
        back_x = -hx if seen_from[0] >= 0 else hx
        back_y = -hy if seen_from[1] >= 0 else hy
        floor = -hz
        lines = []
        for tick in self._scales[0].ticks:
            x = self._room.rulers[0].of(tick.value)
            lines.append(np.array([[x, -hy, floor], [x, hy, floor]]))
        for tick in self._scales[1].ticks:
            y = self._room.rulers[1].of(tick.value)
            lines.append(np.array([[-hx, y, floor], [hx, y, floor]]))
        for tick in self._scales[2].ticks:
            z = self._room.rulers[2].of(tick.value)
            lines.append(np.array([[-hx if back_x > 0 else hx, back_y, z], [back_x, back_y, z]]))
            lines.append(np.array([[back_x, -hy if back_y > 0 else hy, z], [back_x, back_y, z]]))
        return lines

    def _lattice(self, chunks: Iterable[int]) -> NDArray[np.float64]:
        """The outlines of some chunks, each edge once: (n, 2, 3)."""
        coming = np.zeros(self._grid.counts, bool)
        coming.ravel()[list(chunks)] = True
        around = np.pad(coming, 1)
        # Where the chunks' faces lie along each axis; an edge is drawn where one of the four chunks around it comes.
        faces = [
            np.minimum(np.arange(n + 1) * c, m)
            for n, c, m in zip(coming.shape, self._grid.chunk, self._grid.shape, strict=True)
        ]
        starts, stops = [], []
        for axis in range(3):
            b, c = (a for a in range(3) if a != axis)
            edge = np.moveaxis(around, axis, 0)[1:-1]
            edge = edge[:, 1:, 1:] | edge[:, 1:, :-1] | edge[:, :-1, 1:] | edge[:, :-1, :-1]
            along, one, other = np.nonzero(edge)
            ends = np.empty((2, len(along), 3))
            ends[0, :, axis], ends[1, :, axis] = faces[axis][along], faces[axis][along + 1]
            ends[:, :, b], ends[:, :, c] = faces[b][one], faces[c][other]
            starts.append(ends[0])
            stops.append(ends[1])
        both = [self._room.points(np.concatenate(part) - 0.5).astype(float) for part in (starts, stops)]
        return np.stack(both, axis=1)

    def _on_floor(self, line: Line) -> NDArray[np.float64]:
        x, y, _ = self._room.rulers
        z = np.full(len(line), -self._room.half[2])
        return np.stack([(line[:, 0] - x.middle) * x.scale, (line[:, 1] - y.middle) * y.scale, z], axis=1)

    def _floor(self, land: NDArray[np.bool_]) -> None:
        hx, hy, hz = self._room.half
        rows, columns = land.shape
        colours = np.where(land[..., None], np.array(LAND, np.uint8), np.array(SEA, np.uint8))
        image = vtkImageData()
        image.SetDimensions(columns, rows, 1)
        image.GetPointData().SetScalars(numpy_to_vtk(colours.reshape(-1, 3), deep=True))
        texture = vtkTexture()
        texture.SetInputData(image)
        texture.InterpolateOn()
        texture.MipmapOn()
        z = -hz - SUNK
        corners = np.array([[-hx, -hy, z], [hx, -hy, z], [hx, hy, z], [-hx, hy, z]])
        plane = _polydata(corners, np.array([0, 4]), np.arange(4), lines=False)
        plane.GetPointData().SetTCoords(numpy_to_vtk(np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32), deep=True))
        actor = _actor(plane)
        if land.any():
            actor.SetTexture(texture)
        else:  # a texture of one colour costs some milliseconds a picture without a graphics card
            actor.GetProperty().SetColor(*(part / 255 for part in SEA))
        actor.GetProperty().LightingOff()
        self._renderer.AddActor(actor)
        self._actors.append(actor)

    def _lines(self, lines: Sequence[NDArray[np.float64]], colour: Colour, width: float) -> Any:
        data = vtkPolyData()
        _set_lines(data, lines)
        actor = _actor(data)
        shine = actor.GetProperty()
        shine.SetColor(*colour)
        shine.SetLineWidth(width)
        self._widths.append((actor, width))
        shine.LightingOff()
        self._renderer.AddActor(actor)
        self._actors.append(actor)
        return data


def _side(position: float, half: float) -> int:
    """−1 or 1 where the eye is beyond that face of the box, 0 between the two."""
    return int(position > half) - int(position < -half)


def _raster(width: float, height: float) -> tuple[float, tuple[int, int]]:
    step = max(width, height) / CELLS
    return step, (max(2, round(height / step)), max(2, round(width / step)))


def _actor(data: Any) -> Any:
    mapper = vtkPolyDataMapper()
    mapper.SetInputData(data)
    actor = vtkActor()
    actor.SetMapper(mapper)
    return actor


def _set_lines(data: Any, lines: Sequence[NDArray[np.float64]] | NDArray[np.float64]) -> None:
    points = np.concatenate(lines) if len(lines) else np.zeros((0, 3))
    offsets = np.cumsum([0, *(len(line) for line in lines)])
    fresh = _polydata(points, offsets, np.arange(len(points)), lines=True)
    data.ShallowCopy(fresh)


def _polydata(points: NDArray[np.float64], offsets: NDArray[np.intp], order: NDArray[np.intp], *, lines: bool) -> Any:
    there = vtkPoints()
    there.SetData(numpy_to_vtk(points.astype(np.float32), deep=True))
    cells = vtkCellArray()
    cells.SetData(
        numpy_to_vtk(offsets.astype(np.int64), deep=True, array_type=VTK_TYPE_INT64),
        numpy_to_vtk(order.astype(np.int64), deep=True, array_type=VTK_TYPE_INT64),
    )
    data = vtkPolyData()
    data.SetPoints(there)
    if lines:
        data.SetLines(cells)
    else:
        data.SetPolys(cells)
    return data
