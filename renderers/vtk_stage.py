"""The stage: one actor per chunk, lights that stand at the head, and a camera.

A chunk's points, normals and triangles are put in once; colours are set apart from them, so a merge
touches colours only, and an object that is dropped takes its triangles with it.  A chunk may have two surfaces,
whole (level 0) and coarse (level 1), of which one is shown.  Lights are ordinary scene lights that are carried
along with the eye: the same on every screen of a wall.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import VTK_TYPE_INT32, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPlane, vtkPolyData
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkRenderingCore import vtkActor, vtkLight, vtkPolyDataMapper, vtkProperty, vtkRenderer

from renderers.camera import VIEW_ANGLE, Eye
from renderers.pick import Solid
from renderers.shots import Tile
from renderers.vtk_queue import Queue
from streamer.wire.viewing import MOST_PLANES, Plane

BACKGROUND = (0.012, 0.017, 0.030)
"""One colour: without a graphics card, one that changes from top to bottom costs some milliseconds a picture."""
LIGHTS = ((-0.45, 0.75, 0.9, 0.86), (0.9, -0.2, 0.7, 0.34), (0.1, 0.3, -1.0, 0.25))
"""Right, up, back (towards the eye) and strength of each light, seen from the eye."""

MOST, MOST_AT_ONCE = MOST_PLANES + 2, 6
"""Planes that cut the scene (those of the view and the time window's ends), and how many VTK lets cut one actor."""
MOST_LOOKS = 3
"""Looks of a surface that are kept."""
PEELS = 6
"""Layers behind each other that are seen where surfaces let light through."""


class Mesh(NamedTuple):
    """A chunk's surface in the room."""

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    labels: NDArray[np.uint32]
    triangles: NDArray[np.int32]


class _Worn(NamedTuple):
    """How a surface looked."""

    colours: Any
    triangles: Any
    shown: int
    nbytes: int


@dataclass(eq=False)
class _Prop:
    level: int
    actor: Any
    surface: Any
    labels: NDArray[np.uint32]
    triangles: NDArray[np.int32]
    shown: int
    cutting: tuple[int, ...] | None = ()
    """The planes that cut it; None: nothing of it is left."""
    looks: dict[bytes, _Worn] = field(default_factory=dict)
    """The looks that it had last, the newest last: viewers who have marked different things take turns."""


class Stage:
    """The chunks on the stage.  All calls come from the thread that owns the window."""

    def __init__(self, window: Any) -> None:
        self._window = window
        self.renderer = vtkRenderer()
        self.renderer.SetBackground(*BACKGROUND)
        self.renderer.AutomaticLightCreationOff()
        # Nothing may vanish because a culler thinks that the view is symmetric.
        self.renderer.GetCullers().RemoveAllItems()
        window.AddRenderer(self.renderer)
        self._inside = vtkProperty()
        self._inside.SetAmbient(0.55)
        self._inside.SetDiffuse(0.0)
        self._lights = []
        for *_, strength in LIGHTS:
            light = vtkLight()
            light.SetLightTypeToSceneLight()
            light.SetIntensity(strength)
            self.renderer.AddLight(light)
            self._lights.append(light)
        self._props: dict[int, list[_Prop]] = {}
        self._triangles: int | None = 0
        """How many are shown where nothing moves; None: they have not been counted since that has changed."""
        self.queue = Queue(self.renderer)
        self._level = 0
        self._shown = True
        self._opacity = 1.0
        self._planes = [vtkPlane() for _ in range(MOST)]
        self._cut: Callable[[int], tuple[int, ...] | None] = lambda _: ()
        self._open = False
        """Whether planes cut anything, so that insides may be seen."""

    def put(
        self, chunk: int, mesh: Mesh, colours: NDArray[np.uint8], visible: NDArray[np.bool_], level: int = 0
    ) -> None:
        """A chunk's surface, instead of an earlier one of that level.

        ``colours`` (labels, 3) and ``visible`` (labels,) are by label.
        """
        self.remove(chunk, level)
        if not len(mesh.triangles):
            return
        surface = vtkPolyData()
        mapper = vtkPolyDataMapper()
        mapper.SetInputData(surface)
        mapper.SetColorModeToDirectScalars()
        mapper.SetStatic(True)
        actor = vtkActor()
        actor.SetMapper(mapper)
        shine = actor.GetProperty()
        shine.SetInterpolationToPhong()
        shine.SetAmbient(0.12)
        shine.SetDiffuse(0.86)
        shine.SetSpecular(0.16)
        shine.SetSpecularPower(24)
        prop = _Prop(level, actor, surface, mesh.labels, mesh.triangles, -1)
        self._props.setdefault(chunk, []).append(prop)
        self.move(chunk, mesh.points, mesh.normals, level)
        self.colour(chunk, colours, visible)
        self._clip(prop, self._cut(chunk))
        self._finish(prop)
        self._choose(chunk)
        self.queue.enter(chunk, level, actor)

    def move(self, chunk: int, points: NDArray[np.float32], normals: NDArray[np.float32], level: int = 0) -> None:
        """The same surface with its points elsewhere."""
        for prop in self._props.get(chunk, ()):
            if prop.level != level:
                continue
            there = vtkPoints()
            there.SetData(numpy_to_vtk(points))
            prop.surface.SetPoints(there)
            prop.surface.GetPointData().SetNormals(numpy_to_vtk(normals))
            prop.surface.Modified()

    def colour(self, chunk: int, colours: NDArray[np.uint8], visible: NDArray[np.bool_]) -> None:
        """New colours for the chunk's labels; triangles of labels that are not visible are left out."""
        key = colours.tobytes() + visible.tobytes()
        for prop in self._props.get(chunk, ()):
            worn = prop.looks.pop(key, None) or _wear(prop, colours, visible)
            prop.looks[key] = worn
            while len(prop.looks) > MOST_LOOKS:
                del prop.looks[next(iter(prop.looks))]
            prop.surface.GetPointData().SetScalars(worn.colours)
            if worn.triangles is not prop.surface.GetPolys():
                prop.surface.SetPolys(worn.triangles)
            prop.shown = worn.shown
            self._triangles = None
            prop.surface.Modified()
        self._choose(chunk)

    def detail(self, level: int) -> None:
        """Shows every chunk at a level, where it has a surface of that level; else the one that it has."""
        if level != self._level:
            self._level = level
            for chunk in self._props:
                self._choose(chunk)

    def show(self, *, shown: bool, opacity: float = 1.0) -> None:
        """Whether chunks are seen at all, and how much of what is behind them shines through."""
        if opacity != self._opacity:
            self._opacity = opacity
            # What is seen through what does not depend on the order in which chunks have come.
            self.renderer.SetUseDepthPeeling(opacity < 1)
            self.renderer.SetMaximumNumberOfPeels(PEELS)
            self.renderer.SetOcclusionRatio(0.0)
            for props in self._props.values():
                for prop in props:
                    self._finish(prop)
        if shown != self._shown:
            self._shown = shown
            for chunk in self._props:
                self._choose(chunk)

    def cut(self, planes: Sequence[Plane], by: Callable[[int], tuple[int, ...] | None]) -> None:
        """Cuts away what lies behind planes.  ``by``: which of them cut a chunk; None if nothing of it is left."""
        for there, plane in zip(self._planes, planes, strict=False):
            there.SetOrigin(*plane.point)
            there.SetNormal(*plane.normal)
        self._cut, self._open = by, bool(planes)
        for chunk, props in self._props.items():
            cutting = by(chunk)
            for prop in props:
                self._clip(prop, cutting)
                self._finish(prop)
            self._choose(chunk)

    def _clip(self, prop: _Prop, cutting: tuple[int, ...] | None) -> None:
        if cutting == prop.cutting:
            return
        mapper = prop.actor.GetMapper()
        if cutting is not None:
            mapper.RemoveAllClippingPlanes()
            for place in cutting[:MOST_AT_ONCE]:
                mapper.AddClippingPlane(self._planes[place])
        prop.cutting = cutting

    def _finish(self, prop: _Prop) -> None:
        """Which sides of a surface are seen, and how."""
        shine = prop.actor.GetProperty()
        shine.SetOpacity(self._opacity)
        self._inside.SetOpacity(self._opacity)
        # Surfaces are closed: the far sides are never seen, and leaving them out saves a third of the work.  But VTK
        # loses the last layer of what is peeled if it is left out, and inside of what is cut open they are all that is
        # seen, also in chunks beyond the one that is cut: flat and darker, like a cut through something solid.
        shine.SetBackfaceCulling(not self._open and self._opacity == 1)
        prop.actor.SetBackfaceProperty(self._inside if self._open else None)

    def _choose(self, chunk: int) -> None:
        props = self._props.get(chunk, [])
        for prop in props:
            chosen = len(props) == 1 or prop.level == self._level
            prop.actor.SetVisibility(self._shown and prop.shown > 0 and prop.cutting is not None and chosen)

    def remove(self, chunk: int, level: int | None = None) -> None:
        """The chunk's surface of that level, or of all levels, is gone."""
        props = self._props.pop(chunk, [])
        self._triangles = None
        stay = [prop for prop in props if level is not None and prop.level != level]
        for prop in props:
            if prop not in stay:
                self.queue.leave(chunk, prop.level)
                prop.actor.ReleaseGraphicsResources(self._window)
        if stay:
            self._props[chunk] = stay
            self._choose(chunk)

    def clear(self) -> None:
        """An empty stage."""
        for chunk in list(self._props):
            self.remove(chunk)

    def labels(self, chunk: int) -> NDArray[np.uint32] | None:
        """The label of each point of a chunk's whole surface; None if it has none."""
        return next((prop.labels for prop in self._props.get(chunk, ()) if prop.level == 0), None)

    def solids(self) -> Iterator[Solid]:
        """The surfaces as they are seen now, of chunks that have any left."""
        for chunk, props in self._props.items():
            for prop in props:
                if prop.actor.GetVisibility():
                    points = vtk_to_numpy(prop.surface.GetPoints().GetData())
                    shown = vtk_to_numpy(prop.surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)
                    inside = not prop.actor.GetProperty().GetBackfaceCulling()
                    yield Solid(chunk, points, prop.labels, shown, inside)

    @property
    def triangles(self) -> int:
        """How many triangles are shown where nothing moves."""
        if self._triangles is None:
            self._triangles = sum(min(props, key=lambda prop: prop.level).shown for props in self._props.values())
        return self._triangles

    @property
    def nbytes(self) -> int:
        """Bytes that the surfaces take in memory, without VTK's own buffers for drawing."""
        props = [prop for props in self._props.values() for prop in props]
        worn = sum(one.nbytes for prop in props for one in list(prop.looks.values())[:-1])
        return worn + sum(1024 * int(prop.surface.GetActualMemorySize()) + prop.labels.nbytes for prop in props)

    def look(
        self, eye: Eye, width: int, height: int, shift: tuple[float, float] = (0.0, 0.0), tile: Tile | None = None
    ) -> NDArray[np.float64]:
        """Puts camera and lights where the eye is; returns the 4×4 matrix from the room to clip space.

        ``shift`` moves the picture by parts of a pixel.  Of the picture a ``tile`` may be drawn alone.
        """
        camera = self.renderer.GetActiveCamera()
        camera.SetPosition(*eye.position)
        camera.SetFocalPoint(*eye.focal)
        camera.SetViewUp(*eye.up)
        camera.SetViewAngle(np.degrees(VIEW_ANGLE))
        camera.SetClippingRange(eye.near, eye.far)
        camera.SetWindowCenter(2 * shift[0] / width, 2 * shift[1] / height)
        forward = np.array(eye.forward)
        right = np.cross(forward, eye.up)
        up = np.cross(right, forward)
        for light, (to_right, upwards, back, _) in zip(self._lights, LIGHTS, strict=True):
            light.SetPosition(*(to_right * right + upwards * up - back * forward))
            light.SetFocalPoint(0, 0, 0)
        camera.UseExplicitProjectionTransformMatrixOff()
        matrix = camera.GetCompositeProjectionTransformMatrix(width / height, -1, 1)
        if tile is not None:
            part, whole = vtkMatrix4x4(), camera.GetProjectionTransformMatrix(width / height, -1, 1)
            for axis, (start, side, all_of_it) in enumerate(
                ((tile.left, tile.width, width), (tile.bottom, tile.height, height))
            ):
                part.SetElement(axis, axis, all_of_it / side)
                part.SetElement(axis, 3, (all_of_it - 2 * start - side) / side)
            seen = vtkMatrix4x4()
            vtkMatrix4x4.Multiply4x4(part, whole, seen)
            camera.SetExplicitProjectionTransformMatrix(seen)
            camera.UseExplicitProjectionTransformMatrixOn()
        return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])


def _wear(prop: _Prop, colours: NDArray[np.uint8], visible: NDArray[np.bool_]) -> _Worn:
    """A look of a surface that it has not had lately.  Triangles that stay the same are those of a look before."""
    scalars = numpy_to_vtk(colours[prop.labels])
    stay = visible[prop.labels[prop.triangles[:, 0]]]
    shown, whole = int(np.count_nonzero(stay)), len(prop.triangles)
    if shown == prop.shown == whole:
        return _Worn(scalars, prop.surface.GetPolys(), shown, 3 * len(prop.labels))
    triangles = prop.triangles if shown == whole else prop.triangles[stay]
    cells = vtkCellArray()
    cells.SetData(3, numpy_to_vtk(triangles.ravel(), array_type=VTK_TYPE_INT32))
    return _Worn(scalars, cells, shown, 3 * len(prop.labels) + triangles.nbytes)
