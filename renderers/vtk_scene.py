"""The cube view of a run: surfaces of the chunks that have arrived, in a box with axes, coastlines and a legend.

One object owns the window and everything in it; all calls come from one thread.  Geometry is made once
per chunk and level (``put``), colours whenever the scene says so (``recolour``), and a chunk's softening is brought
up to date when neighbours have come (``polish``), which is work for quiet moments.  Coarse surfaces stand in for
chunks that have not come whole, and are kept beside the whole ones for a camera that moves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderers.axes import scales_of
from renderers.camera import eye_of
from renderers.coarse import lattice_of, occupied
from renderers.dates import dates, moment
from renderers.geometry import Room, room_of
from renderers.layout import Edge, facing_edges, font_size, place, project
from renderers.legend import Bar, Facts, arrange
from renderers.pick import pick
from renderers.scene import Look, Piece, Scene
from renderers.soften import Occupancy, Soft, soften
from renderers.staging import box_of, cuts, shown_step, staging, unplaced
from renderers.vtk_decor import Decor
from renderers.vtk_layers import Layers
from renderers.vtk_stage import Mesh, Stage
from renderers.vtk_surface import Surface, coarse_surface, surface
from renderers.vtk_window import Pixels, Reader
from renderers.vtk_words import Words
from streamer.wire.codec import Labels
from streamer.wire.grid import Grid
from streamer.wire.view import Camera
from streamer.wire.viewing import Vec3, View
from streamer.wire.volume import RunSpec

COARSE_BYTES = 1 << 30
"""Surfaces that take more than this in memory are not kept in a coarse version besides."""

MOST_DUE = 64
"""Coarse surfaces that may wait for a quiet moment."""


class Theatre:
    """A window with the scene of one run."""

    def __init__(self, window: Any, spec: RunSpec, *, steady: bool = False) -> None:
        self._window, self._spec = window, spec
        self._grid: Grid = spec.grid
        self.room: Room = room_of(spec.volume)
        self.scales = scales_of(spec.volume, self.room, dates)
        self._stage = Stage(window)
        self._decor = Decor(self._stage.renderer, spec.volume, spec.grid, self.room, self.scales)
        self._words = Words(self._stage.renderer)
        self._reader = Reader()
        self._occupancy = Occupancy(spec.grid)
        self._halves: dict[int, dict[int, NDArray[np.int16]]] = {}
        """Where the points of each chunk's surfaces lie before they are softened, by level."""
        self._whole: set[int] = set()
        self._coarse_due: dict[int, tuple[Labels, Look]] = {}
        """The lattices of which coarse surfaces are still to be made, and how they look."""
        self._sizes: dict[tuple[int, int], int] = {}
        self._stale: set[int] = set()
        self._ready: set[int] = set()
        self.extractions = 0
        """How many surfaces have been made."""
        self._layers = Layers(self._stage.renderer, spec, self.room)
        self._view = View()
        self._asked = staging(self._view, spec, self.room)
        self._level = 0
        self.steady = steady
        """What is seen shall depend on which chunks have come, not on their order or on when there was time: a chunk
        is softened by itself until all its neighbours have come (and ``polish`` was called)."""

    # ------------------------------------------------------------------ what is asked for

    @property
    def renderer(self) -> Any:
        """The vtkRenderer with everything in it, for a tile's window to look through."""
        return self._stage.renderer

    def apply(self, view: View) -> str:
        """From now on the scene is shown so; nothing is made again for it.

        ``view.placement`` is not looked at: it is a matter of the camera.  Selection is a matter of the scene's looks.
        Returns what cannot be shown so, in sentences; empty if all can.
        """
        view = unplaced(view)
        if view == self._view:
            return self._asked.why
        self._view, asked = view, staging(view, self._spec, self.room)
        cube = asked.mode == "cube"
        self._stage.show(shown=cube and view.labels, opacity=view.opacity)
        self._decor.visible(cube)
        if asked.planes != self._asked.planes:
            boxes = (lambda chunk: box_of(self._grid, self.room, chunk)) if asked.planes else None
            self._stage.cut(asked.planes, lambda chunk: cuts(asked.planes, *boxes(chunk)) if boxes else ())
        self._asked = asked
        return asked.why

    @property
    def step(self) -> int:
        """The step of axis 0 at which the time cursor stands."""
        return shown_step(self._asked, self._view.window, self._layers.newest)

    @property
    def moment(self) -> str:
        """When, or where along axis 0, the step is that is shown by itself; empty if none is."""
        volume, look = self._spec.volume, self._view.field
        if self._asked.mode == "cube" and (look.draw != "slice" or not self._layers.has_field):
            return ""
        axis = volume.axes[0]
        value = float(axis.points[self.step])
        written = moment(axis.units, axis.calendar, value) if axis.kind == "time" else None
        return written or f"{axis.long_name or axis.name} = {value:.6g} {axis.units}".rstrip()

    @property
    def bar(self) -> Bar | None:
        """What the field's colours mean, if it is shown in colours."""
        if self._view.field.draw == "off" or not self._layers.has_field or self._spec.field_range is None:
            return None
        volume, (low, high) = self._spec.volume, self._spec.field_range
        ends = [f"{low + share * (high - low):.4g}" for share in self._asked.ends]
        name = volume.long_name or volume.variable
        title = f"{name} ({volume.units})" if volume.units and volume.units != "1" else name
        return Bar(title, ends[0], ends[1], self._layers.colours(self._view))

    def face(self, position: tuple[float, float, float]) -> None:
        """Leaves out the box's walls and edges that are in the way, seen from a place in the scene."""
        self._decor.face(position)

    def stand(self, scene: Scene) -> None:
        """Brings what depends on the time cursor up to date with what has come."""
        self._layers.stand(self._view, self._asked, self.step, scene)

    def ripen(self, scene: Scene) -> None:
        """Brings everything up to date: what is drawn then follows from what has come and from the view alone."""
        while self.polish(all_neighbours=True) is not None:
            pass
        self.stand(scene)

    def pick(self, origin: Vec3, direction: Vec3, scene: Scene) -> int:
        """The object that a ray in the scene meets first in the cube view; 0 if it meets none."""
        if self._asked.mode != "cube":
            return 0
        hit = pick(self._stage.solids(), scene.ids, origin, direction, self._asked.planes)
        return 0 if hit is None else hit.object_id

    def steps(self, chunk: int, labels: NDArray[np.bool_]) -> tuple[int, int] | None:
        """The first and the last step of axis 0 in which some labels, (components + 1,) bool, have a surface."""
        halves, of = self._halves.get(chunk, {}).get(0), self._stage.labels(chunk)
        if halves is None or of is None:
            return None
        rows = halves[labels[of], 0]
        if not len(rows):
            return None
        start = self._grid.core(chunk).start[0]
        # A point between two voxels is half an index beyond the one that is labelled.
        return start + (int(rows.min()) + 1) // 2, start + int(rows.max()) // 2

    # ------------------------------------------------------------------ what is on the stage

    def put(self, piece: Piece, look: Look) -> None:
        """Makes the surface of a chunk that has come and shows it; a coarse one only until the whole has come."""
        grid, chunk = self._grid, piece.chunk
        self.extractions += 1
        self._halves.setdefault(chunk, {})
        if piece.level:
            if chunk in self._whole:
                return
            self._occupancy.put(chunk, occupied(grid, chunk, piece.block))
            self._layers.put_field(piece)
            self._mesh(chunk, 1, coarse_surface(grid, chunk, piece.block), look)
        else:
            core = piece.block[tuple(slice(0, n) for n in grid.core(chunk).shape)]
            self._occupancy.put(chunk, core != 0)
            self._layers.put(piece, core)
            self._whole.add(chunk)
            self._halves[chunk].pop(0, None)
            self._mesh(chunk, 0, surface(grid, chunk, piece.block), look)
            self._coarse_due.pop(chunk, None)
            if 0 not in self._halves[chunk]:
                self._halves[chunk].clear()
                self._stage.remove(chunk)
            elif self._keeps_coarse(chunk):
                self._coarse_due[chunk] = lattice_of(grid, chunk, piece.block), look
        for near in (chunk, *grid.around(chunk)):
            if self._halves.get(near):
                self._stale.add(near)
                if all(c in self._whole for c in grid.around(near)):
                    self._ready.add(near)

    def _keeps_coarse(self, chunk: int) -> bool:
        """Whether a chunk that has come whole gets a coarse surface besides.

        Where all shall follow from what has come, what there was before the whole came does not count.
        """
        return self.steady or (1 not in self._halves[chunk] and sum(self._sizes.values()) < COARSE_BYTES)

    def _mesh(self, chunk: int, level: int, made: Surface, look: Look) -> None:
        triangles = made.triangles[:, ::-1] if self.room.mirrored else made.triangles
        if len(made.halves):
            self._halves[chunk][level] = made.halves
        points, normals = self._placed(soften(self._grid, self._known(chunk, level), chunk, made.halves, level))
        mesh = Mesh(points, normals, made.labels, np.ascontiguousarray(triangles))
        self._stage.put(chunk, mesh, look.colours, look.visible, level)
        self._sizes[chunk, level] = sum(part.nbytes for part in mesh)

    def _known(self, chunk: int, level: int) -> Occupancy:
        """What a chunk is softened with."""
        if not self.steady:
            return self._occupancy
        around = self._grid.around(chunk)
        if not all(c in self._whole for c in around):
            return self._occupancy.alone(chunk)
        # At half the resolution softening may reach beyond the neighbours of small chunks, where things still change.
        return self._occupancy.among((chunk, *around)) if level else self._occupancy

    def recolour(self, chunk: int, look: Look) -> None:
        """New colours for a chunk on the stage."""
        self._layers.touch(chunk)
        self._stage.colour(chunk, look.colours, look.visible)
        if chunk in self._coarse_due:
            self._coarse_due[chunk] = self._coarse_due[chunk][0], look

    def polish(self, *, all_neighbours: bool) -> int | None:
        """Softens again one chunk whose neighbourhood has changed, or makes a coarse surface that is still to be made.

        Returns the chunk, or None if there is none to do.

        With ``all_neighbours`` only chunks are looked at whose neighbours have all come, so that none is done twice.
        """
        if self._wants_coarse():
            due, (lattice, look) = self._coarse_due.popitem()
            self._mesh(due, 1, coarse_surface(self._grid, due, lattice), look)
            return due
        chunk = next(iter(self._ready if self._ready or all_neighbours else self._stale), None)
        if chunk is None:
            return None
        self._stale.discard(chunk)
        self._ready.discard(chunk)
        for level, halves in self._halves[chunk].items():
            points, normals = self._placed(soften(self._grid, self._known(chunk, level), chunk, halves, level))
            self._stage.move(chunk, points, normals, level)
        return chunk

    def _wants_coarse(self) -> bool:
        """Whether a coarse surface is the next thing to be made; where pictures have a deadline, only if it is seen."""
        if self.steady:
            return bool(self._coarse_due) and (self._level > 0 or len(self._coarse_due) > MOST_DUE)
        return bool(self._coarse_due) and (not self._ready or len(self._coarse_due) > MOST_DUE)

    @property
    def unfinished(self) -> bool:
        """Whether a chunk waits to be softened for good (all its neighbours have come), or for its coarse surface."""
        return bool(self._ready or self._wants_coarse())

    @property
    def rough(self) -> bool:
        """Whether a chunk on the stage is not yet as it will be once nothing more comes."""
        return bool(self._stale or (self._coarse_due and not self.steady))

    def detail(self, level: int) -> None:
        """From now on pictures show chunks at this level, where they have such a surface: 0 whole, 1 coarse."""
        self._level = level
        self._stage.detail(level)

    def pending(self, chunks: Iterable[int]) -> None:
        """Outlines the chunks that may still come."""
        self._decor.pending(chunks)

    def close(self) -> None:
        """Takes everything off the window, which may then be used for another run."""
        self._layers.remove()
        self._stage.clear()
        self._window.RemoveRenderer(self._stage.renderer)

    @property
    def triangles(self) -> int:
        """Triangles shown."""
        return self._stage.triangles

    @property
    def nbytes(self) -> int:
        """Bytes of the surfaces in memory, without what OpenGL keeps."""
        return (
            self._stage.nbytes
            + self._layers.nbytes
            + sum(halves.nbytes for levels in self._halves.values() for halves in levels.values())
        )

    def _placed(self, soft: Soft) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self.room.points(soft.points), self.room.normals(soft.outward, soft.points)

    # ------------------------------------------------------------------ pictures

    def draw(
        self,
        camera: Camera,
        width: int,
        height: int,
        facts: Facts,
        shift: tuple[float, float] = (0.0, 0.0),
        ratio: float = 1.0,
    ) -> Pixels:
        """A picture, (height, width, 3) RGB, the top row first; valid until the next one is drawn.

        ``shift`` moves the scene (not the words) by parts of a pixel: the mean of some such pictures has smooth edges.
        Words and lines are ``ratio`` times as large as in a picture whose pixels are those that people see.
        """
        window = self._window
        if tuple(window.GetSize()) != (width, height):
            window.SetSize(width, height)
        eye = eye_of(camera)
        matrix = self._stage.look(eye, width, height, shift)
        self.face(eye.position)
        self._decor.thicken(ratio)
        legend = arrange(facts, width, height, ratio)
        self._words.legend(legend)
        self._words.marks(place(
            self._edges(eye.position, matrix, width, height) if self._asked.mode == "cube" else (),
            tuple(project(np.zeros((1, 3)), matrix, width, height)[0]),
            font_size(width, height, ratio), (width, height), [legend.panel],
        ))  # fmt: skip
        window.Render()
        return self._reader.read(window)

    def _edges(
        self, position: tuple[float, float, float], matrix: NDArray[np.float64], width: int, height: int
    ) -> list[Edge]:
        """The box's edges that carry words, on the screen: two along the floor's front, one upright at the left."""
        hx, hy, hz = self.room.half
        side_x, side_y = facing_edges(position)
        corners = np.array([[sx * hx, sy * hy, 0.0] for sx in (-1, 1) for sy in (-1, 1)])
        on_screen = project(corners, matrix, width, height)
        left = corners[int(np.argmin(np.where(np.isnan(on_screen[:, 0]), np.inf, on_screen[:, 0])))]
        starts = (
            np.array([-hx, side_y * hy, -hz]),
            np.array([side_x * hx, -hy, -hz]),
            np.array([left[0], left[1], -hz]),
        )
        edges = []
        for axis, (start, half) in enumerate(zip(starts, self.room.half, strict=True)):
            scale, ruler = self.scales[axis], self.room.rulers[axis]
            along = np.array([-half, half, *(ruler.of(tick.value) for tick in scale.ticks)])
            points = np.repeat(start[None], len(along), axis=0)
            points[:, axis] = along
            pixels = project(points, matrix, width, height)
            if np.isnan(pixels).any():
                continue
            marks = [(x, y, tick.text) for (x, y), tick in zip(pixels[2:], scale.ticks, strict=True)]
            edges.append(Edge(scale.title, marks, (tuple(pixels[0]), tuple(pixels[1]))))
        return edges
