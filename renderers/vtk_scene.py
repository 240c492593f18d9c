"""What is seen of a run: its surfaces in a box with axes, coastlines and a legend, or the Earth with a step on it.

One object owns the window and everything in it; all calls come from one thread.  The chunks' surfaces have a room of
their own (``renderers.vtk_chunks``), and so has what depends on the time cursor (``renderers.vtk_layers``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderers.axes import scales_of
from renderers.camera import eye_of
from renderers.dates import dates, moment
from renderers.geometry import Room, room_of
from renderers.layout import Edge, facing_edges, font_size, place, project
from renderers.legend import NO_LEGEND, Bar, Facts, Legend, arrange, moved, moved_box
from renderers.look import voxel_of
from renderers.pick import pick
from renderers.scene import Look, Piece, Scene
from renderers.shots import Tile
from renderers.staging import box_of, cuts, middle_of, shown_step, staging, unplaced
from renderers.vtk_chunks import Surfaces, core_of
from renderers.vtk_decor import Decor
from renderers.vtk_layers import Layers, Met
from renderers.vtk_stage import Stage
from renderers.vtk_window import Pixels, Reader
from renderers.vtk_words import Words
from streamer.wire.grid import Triple
from streamer.wire.view import Camera
from streamer.wire.viewing import Vec3, View
from streamer.wire.volume import RunSpec


class Theatre:
    """A window with the scene of one run."""

    def __init__(self, window: Any, spec: RunSpec, *, steady: bool = False) -> None:
        """``steady``: what is seen shall depend on which chunks have come, not on their order or on when there was
        time: a chunk is softened by itself until all its neighbours have come (and ``polish`` was called)."""
        self._window, self._spec = window, spec
        self.room: Room = room_of(spec.volume)
        self.scales = scales_of(spec.volume, self.room, dates)
        self._stage = Stage(window)
        self._stage.queue.stand(self.room.half, lambda chunk: middle_of(spec.grid, self.room, chunk))
        self._decor = Decor(self._stage.renderer, spec.volume, spec.grid, self.room, self.scales)
        self._words, self._foot = Words(self._stage.renderer), Words(self._stage.renderer)
        self._reader = Reader()
        self._surfaces = Surfaces(self._stage, spec.grid, self.room, steady=steady)
        self._layers = Layers(self._stage.renderer, spec, self.room)
        self._view = View()
        self._asked = staging(self._view, spec, self.room)

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
            boxes = (lambda chunk: box_of(self._spec.grid, self.room, chunk)) if asked.planes else None
            self._stage.cut(asked.planes, lambda chunk: cuts(asked.planes, *boxes(chunk)) if boxes else ())
        self._asked = asked
        return asked.why

    @property
    def step(self) -> int:
        """The step of axis 0 at which the time cursor stands."""
        return shown_step(self._asked, self._view.window, self._layers.newest)

    @property
    def newest(self) -> int:
        """The last step of axis 0 with something to see; 0 while there is none."""
        return self._layers.newest

    def colours(self, view: View) -> tuple[tuple[int, int, int], ...]:
        """The colours of a view's field from the low end to the high one, a few of them (red, green, blue)."""
        return self._layers.colours(view)

    @property
    def moment(self) -> str:
        """When, or where along axis 0, the step is that is shown by itself; empty if none is."""
        volume, view = self._spec.volume, self._view
        slice_ = view.field.draw == "slice" and self._layers.has_field
        if self._asked.mode == "cube" and view.time is None and not slice_:
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
        """What is nearest, seen from a place in the scene, comes first; the box's walls that are in the way, not."""
        self._stage.queue.face(position)
        self._decor.face(position)

    def stand(self, scene: Scene) -> None:
        """Brings what depends on the time cursor up to date with what has come."""
        self._layers.stand(self._view, self._asked, self.step, scene)

    def ripen(self, scene: Scene) -> None:
        """Brings everything up to date: what is drawn then follows from what has come and from the view alone."""
        while self.polish(all_neighbours=True) is not None:
            pass
        self.stand(scene)

    def pick(self, origin: Vec3, direction: Vec3, scene: Scene) -> Met | None:
        """The object that a ray in the scene meets first, as it is shown now, and the voxel; None if it meets none."""
        if self._asked.mode != "cube":
            self.stand(scene)
            return self._layers.pick(self._asked.mode, self.step, origin, direction)
        hit = pick(self._stage.solids(), scene.ids, origin, direction, self._asked.planes)
        if hit is None:
            return None
        at = voxel_of(self.room, hit.point(origin, direction))
        return Met(hit.object_id, self._layers.voxel(hit.object_id, at, self._view.window, scene))

    def byte(self, voxel: Triple) -> int | None:
        """What the layer ``field`` says of a voxel (z, y, x); None if nothing has come."""
        return self._layers.byte(voxel)

    def steps(self, chunk: int, labels: NDArray[np.bool_]) -> tuple[int, int] | None:
        """The first and the last step of axis 0 in which some labels, (components + 1,) bool, have a surface."""
        return self._surfaces.steps(chunk, labels)

    # ------------------------------------------------------------------ what is on the stage

    def put(self, piece: Piece, look: Look) -> None:
        """Makes the surface of a chunk that has come and shows it; a coarse one only until the whole has come."""
        if self._surfaces.put(piece, look):
            self._layers.put(piece, core_of(self._spec.grid, piece))

    def recolour(self, chunk: int, look: Look) -> None:
        """New colours for a chunk on the stage."""
        self._layers.touch(chunk)
        self._surfaces.recolour(chunk, look)

    def polish(self, *, all_neighbours: bool) -> int | None:
        """Softens again one chunk whose neighbourhood has changed, or makes a coarse surface that is still to be made.

        Returns the chunk, or None if there is none to do.

        With ``all_neighbours`` only chunks are looked at whose neighbours have all come, so that none is done twice.
        """
        return self._surfaces.polish(all_neighbours=all_neighbours)

    def spare(self) -> bool:
        """Makes one thing ready that no picture waits for (``ripen`` makes those); False if there is none."""
        return self._surfaces.spare() is not None

    @property
    def spares(self) -> bool:
        """Whether ``spare`` has something to do."""
        return self._surfaces.spares

    @property
    def unfinished(self) -> bool:
        """Whether a chunk waits to be softened for good (all its neighbours have come), or for its coarse surface."""
        return self._surfaces.unfinished

    @property
    def rough(self) -> bool:
        """Whether a chunk on the stage is not yet as it will be once nothing more comes."""
        return self._surfaces.rough

    @property
    def extractions(self) -> int:
        """How many surfaces have been made."""
        return self._surfaces.extractions

    def detail(self, level: int) -> None:
        """From now on pictures show chunks at this level, where they have such a surface: 0 whole, 1 coarse."""
        self._surfaces.detail(level)

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
        return self._surfaces.nbytes + self._layers.nbytes

    # ------------------------------------------------------------------ pictures

    def draw(
        self,
        camera: Camera,
        width: int,
        height: int,
        facts: Facts,
        shift: tuple[float, float] = (0.0, 0.0),
        ratio: float = 1.0,
        into: Pixels | None = None,
        foot: Legend = NO_LEGEND,
        tile: Tile | None = None,
    ) -> Pixels:
        """A picture, (height, width, 3) RGB, the top row first: in ``into``, or valid until the next one is drawn.

        ``shift`` moves the scene (not the words) by parts of a pixel: the mean of some such pictures has smooth edges.
        Words and lines are ``ratio`` times as large as in a picture whose pixels are those that people see.
        ``foot``: what stands at the picture's foot.  Of it all a ``tile`` may be drawn alone.
        """
        window = self._window
        at_x, at_y, *size = (0, 0, width, height) if tile is None else tile[:4]
        if list(window.GetSize()) != size:
            window.SetSize(*size)
        eye = eye_of(camera)
        matrix = self._stage.look(eye, width, height, shift, tile)
        self.face(eye.position)
        self._decor.thicken(ratio)
        legend = arrange(facts, width, height, ratio)
        self._words.legend(legend if tile is None else moved(legend, -at_x, -at_y))
        self._foot.legend(foot if tile is None else moved(foot, -at_x, -at_y))
        marks = place(
            self._edges(eye.position, matrix, width, height) if self._asked.mode == "cube" else (),
            tuple(project(np.zeros((1, 3)), matrix, width, height)[0]),
            font_size(width, height, ratio), (width, height), [legend.panel, foot.panel],
        )  # fmt: skip
        if tile is not None:
            marks = [word._replace(box=moved_box(word.box, -at_x, -at_y)) for word in marks]
        self._words.marks(marks)
        self._foot.marks(())
        window.Render()
        return self._reader.read(window, into)

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
