"""Globe and map: the Earth with coastlines and graticule, and one step of the data on it.

The ground carries land and sea, with the field over it as colours if that is asked for; labelled cells
stand on it as a raised sheet.  Everything is plain geometry in the scene's units, the same on every screen.
One object serves either view; a step is put on it whole (``show``), and nothing of the step before stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import VTK_TYPE_INT32, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer

from renderers import vtk_carpet
from renderers.coast import Line, clip_lines
from renderers.pick import Hit, Solid, pick
from renderers.sheet import EMPTY, Floats, Ground, Region, Sheet, corners_of, ground_of, region_of, sheet
from renderers.vtk_carpet import Carpet, land_and_sea
from renderers.vtk_decor import COAST, GRID, earth
from renderers.vtk_field import Transfer, coloured, cut
from streamer.wire.block import Ids
from streamer.wire.layers import LEVELS
from streamer.wire.viewing import Plane, Vec3
from streamer.wire.volume import Axis, Volume

Dress = Callable[[Ids], tuple[NDArray[np.uint8], NDArray[np.bool_]]]
"""From ids (n,) to their colours (n, 3) and whether they are seen (n,)."""
LIFT = 0.003
"""Coastlines lie so far above the ground."""
LOWEST, HIGHEST = 0.012, 0.14
"""Heights of the sheet over the ground, for the least and the greatest intensity."""
SHEET, GROUND = 0, 1
"""What a ray may meet."""


class Earth:
    """The Earth under the data, and the data on it."""

    def __init__(self, renderer: vtkRenderer, volume: Volume, view: Literal["globe", "map"], *, wraps: bool) -> None:
        """``wraps``: the volume's last column is the neighbour of its first one."""
        self._renderer, self._wraps = renderer, wraps
        self._lat, self._lon = corners_of(volume)
        region = region_of(view, self._lat, self._lon)
        self._region = region
        self.ground: Ground = ground_of(view, region)
        self._actors: list[Any] = []
        coast = earth()
        self._land = land_and_sea(self.ground, coast, region)
        self._enter(self._land.actor)
        self._field = Carpet(self.ground, self._lat, self._lon, vtk_carpet.LIFT, glassy=True, wraps=wraps)
        self._field.actor.VisibilityOff()
        self._enter(self._field.actor)
        self._visible, self._coloured = True, False
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
        self._coloured = field is not None and transfer is not None
        if field is not None and transfer is not None:
            self._field.paint(coloured(field, transfer, field_opacity))
        self._field.actor.SetVisibility(self._visible and self._coloured)
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
        made = self._made
        points, ground = self._land.solid
        solids = [
            Solid(SHEET, made.points, made.cells, made.triangles),
            Solid(GROUND, points, np.zeros(len(points), np.int64), ground),
        ]
        none = np.zeros(1, np.uint64)
        hit = pick(solids, lambda solid: self._ids if solid == SHEET else none, origin, direction, self._planes)
        return hit if hit is not None and hit.chunk == SHEET else None

    def visible(self, visible: bool) -> None:
        """Whether any of it is seen."""
        self._visible = visible
        for actor in self._actors:
            actor.SetVisibility(visible)
        self._field.actor.SetVisibility(visible and self._coloured)

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
        return self._enter(actor)

    def _enter(self, actor: Any) -> Any:
        self._renderer.AddActor(actor)
        self._actors.append(actor)
        return actor


def on_earth(axes: tuple[Axis, Axis, Axis]) -> bool:
    """Whether a volume can be shown on a globe or a map."""
    return axes[1].kind == "latitude" and axes[2].kind == "longitude"


def _heights(field: NDArray[np.uint8] | None, shape: tuple[int, ...]) -> Floats:
    if field is None:
        return np.full(shape, (LOWEST + HIGHEST) / 4)
    share: Floats = (field.astype(float) - 1).clip(0) / LEVELS
    return LOWEST + (HIGHEST - LOWEST) * share


def _graticule(region: Region) -> list[Line]:
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
    ways = np.diff(line, axis=0)
    counts = np.maximum(1, np.ceil(np.abs(ways).max(axis=1) / step)).astype(int)
    piece = np.repeat(np.arange(len(counts)), counts)
    along = (np.arange(len(piece)) - (np.cumsum(counts) - counts)[piece] + 1) / counts[piece]
    dense: Line = np.concatenate([line[:1], line[piece] + ways[piece] * along[:, None]])
    return dense
