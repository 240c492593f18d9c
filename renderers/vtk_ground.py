"""Globe and map: the Earth with coastlines and graticule, and one step of the data on it.

The ground carries land and sea, with the field over it as colours if that is asked for; labelled cells
stand on it as a raised sheet.  Everything is plain geometry in the scene's units, the same on every screen.
One object serves either view; a step is put on it whole (``show``), and nothing of the step before stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import VTK_TYPE_INT32, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkTexture

from renderers.coast import Line, clip_lines, fill
from renderers.pick import Hit, Solid, pick
from renderers.sheet import EMPTY, Flat, Floats, Globe, Ground, Sheet, corners, sheet
from renderers.vtk_decor import COAST, GRID, LAND, SEA, earth
from renderers.vtk_field import Transfer, cut
from streamer.wire.block import Ids
from streamer.wire.layers import LEVELS, NOTHING
from streamer.wire.viewing import Plane, Vec3
from streamer.wire.volume import Axis, Volume

Dress = Callable[[Ids], tuple[NDArray[np.uint8], NDArray[np.bool_]]]
"""From ids (n,) to their colours (n, 3) and whether they are seen (n,)."""
LIFT = 0.003
"""Coastlines lie so far above the ground."""
LOWEST, HIGHEST = 0.012, 0.14
"""Heights of the sheet over the ground, for the least and the greatest intensity."""
RASTER = 2
"""Cells of the ground's picture for a degree."""
SHEET, GROUND = 0, 1
"""What a ray may meet."""
MESH = 2.0
"""Degrees between the points of the ground."""


class Earth:
    """The Earth under the data, and the data on it."""

    def __init__(self, renderer: vtkRenderer, volume: Volume, view: Literal["globe", "map"], *, wraps: bool) -> None:
        """``wraps``: the volume's last column is the neighbour of its first one."""
        self._renderer, self._wraps = renderer, wraps
        self._lat = corners(volume.axes[1].points.astype(float), -90.0, 90.0)
        self._lon = corners(volume.axes[2].points.astype(float), -720.0, 720.0)
        region = (-180.0, 180.0, -90.0, 90.0)
        if view == "map":
            region = (float(self._lon.min()), float(self._lon.max()), float(self._lat.min()), float(self._lat.max()))
        self._region = region
        self.ground: Ground = Globe() if view == "globe" else _flat(region)
        self._actors: list[Any] = []
        coast = earth()
        self._base = _picture(coast, region)
        self._columns, self._rows = _cells_under(self._lon, self._lat, region, self._base.shape[:2])
        self._image, self._texture = vtkImageData(), vtkTexture()
        self._image.SetDimensions(self._base.shape[1], self._base.shape[0], 1)
        self._texture.SetInputData(self._image)
        self._texture.InterpolateOff()
        self._paint(self._base)
        self._carpet = _carpet(self.ground, region)
        self._add(self._carpet).SetTexture(self._texture)
        self._add(self._lines(clip_lines(coast, *region), LIFT), COAST)
        self._add(self._lines(_graticule(region), 2 * LIFT / 3), GRID)
        self._sheet = vtkPolyData()
        actor = self._add(self._sheet)
        actor.GetMapper().SetColorModeToDirectScalars()
        shine = actor.GetProperty()
        shine.LightingOn()
        shine.SetInterpolationToPhong()
        shine.SetAmbient(0.18)
        shine.SetDiffuse(0.82)
        shine.SetSpecular(0.1)
        self._made, self._ids = EMPTY, np.zeros(0, np.uint64)
        self._planes: tuple[Plane, ...] = ()

    def show(
        self,
        ids: Ids,
        dress: Dress,
        field: NDArray[np.uint8] | None = None,
        transfer: Transfer | None = None,
        field_opacity: float = 1.0,
        opacity: float = 1.0,
    ) -> None:
        """Puts one step on the Earth.

        ``ids`` (y, x) is 0 where there is nothing; ``field`` (y, x) holds quantised values, which give heights and,
        through ``transfer``, colours on the ground that cover it by ``field_opacity``.
        """
        if field is None or transfer is None:
            self._paint(self._base)
        else:
            self._paint(self._blend(field, transfer, field_opacity))
        present = np.unique(ids)
        rgb, seen = dress(present)
        place = np.searchsorted(present, ids)
        labelled = (ids != 0) & seen[place]
        self._ids = ids.ravel()
        self._made = sheet(labelled, _heights(field, ids.shape), self._lat, self._lon, self.ground, wraps=self._wraps)
        self._raise(self._made, rgb[place.ravel()])
        self._actors[-1].GetProperty().SetOpacity(opacity)

    @property
    def triangles(self) -> int:
        """Of the sheet."""
        return len(self._made.triangles)

    def cut(self, planes: Sequence[Plane]) -> None:
        """Cuts away what lies behind planes, ground and all."""
        if tuple(planes) == self._planes:
            return
        self._planes = tuple(planes)
        for actor in self._actors:
            cut(actor.GetMapper(), planes)

    def pick(self, origin: Vec3, direction: Vec3) -> Hit | None:
        """What of the sheet a ray meets first (``Hit.label`` is the cell, counted in C order of (y, x)).

        None if it meets nothing, or the ground before it.
        """
        made, carpet = self._made, self._carpet
        points = vtk_to_numpy(carpet.GetPoints().GetData())
        ground = vtk_to_numpy(carpet.GetPolys().GetConnectivityArray()).reshape(-1, 3)
        solids = [
            Solid(SHEET, made.points, made.cells, made.triangles),
            Solid(GROUND, points, np.zeros(len(points), np.int64), ground),
        ]
        none = np.zeros(1, np.uint64)
        hit = pick(solids, lambda solid: self._ids if solid == SHEET else none, origin, direction, self._planes)
        return hit if hit is not None and hit.chunk == SHEET else None

    def visible(self, visible: bool) -> None:
        """Whether any of it is seen."""
        for actor in self._actors:
            actor.SetVisibility(visible)

    def remove(self) -> None:
        """Takes everything off the stage."""
        for actor in self._actors:
            self._renderer.RemoveActor(actor)
            actor.ReleaseGraphicsResources(self._renderer.GetRenderWindow())
        self._actors.clear()

    # -------------------------------------------------------------- pieces

    def _raise(self, made: Sheet, colours: NDArray[np.uint8]) -> None:
        points, cells = vtkPoints(), vtkCellArray()
        points.SetData(numpy_to_vtk(made.points))
        cells.SetData(3, numpy_to_vtk(made.triangles.ravel(), array_type=VTK_TYPE_INT32))
        self._sheet.SetPoints(points)
        self._sheet.GetPointData().SetNormals(numpy_to_vtk(made.normals))
        self._sheet.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(colours[made.cells])))
        self._sheet.SetPolys(cells)
        self._sheet.Modified()

    def _paint(self, picture: NDArray[np.uint8]) -> None:
        """The ground's picture, (rows from the south, columns from the west, 3)."""
        self._image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(picture).reshape(-1, 3), deep=True))
        self._image.Modified()

    def _blend(self, field: NDArray[np.uint8], transfer: Transfer, opacity: float) -> NDArray[np.uint8]:
        """Land and sea under the field."""
        inside = (self._rows[:, None] >= 0) & (self._columns[None, :] >= 0)
        under = field[self._rows[:, None], self._columns[None, :]]
        share = np.where(inside & (under != NOTHING), opacity, 0.0)[..., None]
        blend: NDArray[np.uint8] = np.round(self._base * (1 - share) + transfer.colours[under] * share).astype(np.uint8)
        return blend

    def _lines(self, lines: Iterable[Line], lift: float) -> vtkPolyData:
        """Lines on Earth, with points close enough to follow the ground."""
        data, points, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
        for line in lines:
            dense = _densified(line)
            cells.InsertNextCell(len(dense))
            for place in self.ground.points(dense[:, 1], dense[:, 0], np.full(len(dense), lift)):
                cells.InsertCellPoint(points.InsertNextPoint(*place))
        data.SetPoints(points)
        data.SetLines(cells)
        return data

    def _add(self, data: vtkPolyData, colour: tuple[float, float, float] | None = None) -> Any:
        mapper, actor = vtkPolyDataMapper(), vtkActor()
        mapper.SetInputData(data)
        actor.SetMapper(mapper)
        actor.GetProperty().LightingOff()
        if colour is not None:
            actor.GetProperty().SetColor(*colour)
        self._renderer.AddActor(actor)
        self._actors.append(actor)
        return actor


def on_earth(axes: tuple[Axis, Axis, Axis]) -> bool:
    """Whether a volume can be shown on a globe or a map."""
    return axes[1].kind == "latitude" and axes[2].kind == "longitude"


def _flat(region: tuple[float, float, float, float]) -> Flat:
    """A map of the region whose half diagonal is 0.95."""
    west, east, south, north = region
    return Flat((south + north) / 2, (west + east) / 2, 1.9 / float(np.hypot(east - west, north - south)))


def _heights(field: NDArray[np.uint8] | None, shape: tuple[int, ...]) -> Floats:
    if field is None:
        return np.full(shape, (LOWEST + HIGHEST) / 4)
    share: Floats = (field.astype(float) - 1).clip(0) / LEVELS
    return LOWEST + (HIGHEST - LOWEST) * share


def _picture(coast: list[Line], region: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """Land and sea of a region, rows from the south."""
    west, east, south, north = region
    rows, columns = max(2, round((north - south) * RASTER)), max(2, round((east - west) * RASTER))
    land = fill(coast, west, south, 1 / RASTER, (rows, columns))
    return np.where(land[..., None], np.array(LAND, np.uint8), np.array(SEA, np.uint8))


def _cells_under(
    lon: Floats, lat: Floats, region: tuple[float, float, float, float], shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each column and row of the ground's picture, the volume's column and row there; −1 outside."""
    west, east, south, north = region
    rows, columns = shape[0], shape[1]
    y = south + (np.arange(rows) + 0.5) * (north - south) / rows
    x = west + (np.arange(columns) + 0.5) * (east - west) / columns
    low = lon.min()
    turned = low + (x - low) % 360
    return _cell_of(lon, turned), _cell_of(lat, y)


def _cell_of(edges: Floats, at: Floats) -> NDArray[np.int64]:
    n = len(edges) - 1
    if edges[0] < edges[-1]:
        found = np.searchsorted(edges, at, "right") - 1
    else:
        found = n - np.searchsorted(edges[::-1], at, "left")
    return np.where((at >= edges.min()) & (at <= edges.max()), found.clip(0, n - 1), -1).astype(np.int64)


def _carpet(ground: Ground, region: tuple[float, float, float, float]) -> vtkPolyData:
    """The ground itself, with places in its picture."""
    west, east, south, north = region
    rows, columns = max(2, round((north - south) / MESH)) + 1, max(2, round((east - west) / MESH)) + 1
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    places = ground.points(south + v * (north - south), west + u * (east - west), np.zeros_like(u))
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    a, b, c, d = corner, corner + 1, corner + columns + 1, corner + columns
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    data, points, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
    points.SetData(numpy_to_vtk(places.reshape(-1, 3).astype(np.float32), deep=True))
    cells.SetData(3, numpy_to_vtk(triangles.ravel(), deep=True, array_type=VTK_TYPE_INT32))
    data.SetPoints(points)
    data.SetPolys(cells)
    data.GetPointData().SetTCoords(numpy_to_vtk(np.stack([u.ravel(), v.ravel()], 1).astype(np.float32), deep=True))
    return data


def _graticule(region: tuple[float, float, float, float]) -> list[Line]:
    """Meridians and parallels at every 30 degrees within the region (every 10 in a small one)."""
    west, east, south, north = region
    step = 30 if max(east - west, north - south) > 90 else 10
    meridians = np.arange(np.ceil(west / step), np.floor(east / step) + 1) * step
    parallels = np.arange(np.ceil(south / step), np.floor(north / step) + 1) * step
    return [
        *(np.array([[lon, south], [lon, north]]) for lon in meridians),
        *(np.array([[west, lat], [east, lat]]) for lat in parallels if abs(lat) < 90),
    ]


def _densified(line: Line, step: float = 1.0) -> Line:
    """The line with points at least every ``step`` degrees."""
    pieces = [line[:1]]
    for a, b in pairwise(line):
        count = max(1, int(np.ceil(np.abs(b - a).max() / step)))
        pieces.append(a + (b - a) * (np.arange(1, count + 1) / count)[:, None])
    return np.concatenate(pieces)
