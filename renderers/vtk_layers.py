"""What is shown of one moment: the Earth with a step of the labels on it, and the field as slice or volume.

Chunks are kept compressed, so that any step can be shown without asking for it again; nothing is laid out
before a view wants it.  ``stand`` brings the stage up to date with what has come and with the time cursor, and
does nothing where both are as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from renderers.colours import NoSuchColours, colour_table, opacities
from renderers.geometry import Room
from renderers.scene import Piece, Scene
from renderers.slices import Slices
from renderers.staging import Staging
from renderers.vtk_field import Cursor, FieldSlice, FieldVolume, Transfer
from renderers.vtk_ground import Earth
from streamer.wire.grid import Box, Triple, triple
from streamer.wire.viewing import FieldLook, Plane, Vec3, View
from streamer.wire.volume import RunSpec

USUAL = FieldLook().colours
NEARBY = 2
"""A softened surface, also that at half the resolution, lies no more voxels than this beside what it belongs to."""
BAR = 32
"""Colours in the legend's bar."""


class Met(NamedTuple):
    """What a ray meets."""

    object_id: int
    voxel: Triple
    """(z, y, x)."""


class Layers:
    """The parts of one run that depend on the time cursor.  All calls come from the thread that owns the window."""

    def __init__(self, renderer: Any, spec: RunSpec, room: Room) -> None:
        self._renderer, self._spec, self._room = renderer, spec, room
        self._labels = Slices(spec.grid)
        self._field = Slices(spec.grid, "u1") if "field" in spec.layers else None
        self._last: dict[int, int] = {}
        """Of each chunk in which there is something to see, the last step of axis 0 with it."""
        self._newest: int | None = 0
        """The greatest of these; None: not known, since a chunk has come again with less."""
        self._earths: dict[str, Earth] = {}
        self._cursor = Cursor(renderer, room)
        self._slice: FieldSlice | None = None
        self._volume: FieldVolume | None = None
        self._laid: set[int] = set()
        """Chunks that are in the volume as they are now."""
        self._stands: tuple[object, ...] = ()
        self._touched: set[int] = set()
        self._transfers: tuple[object, Transfer] | None = None
        self.stands = 0
        """How often a step was put on the stage."""

    # ------------------------------------------------------------------ what has come

    def put(self, piece: Piece, core: NDArray[np.uint32]) -> None:
        """A chunk has come; ``core`` (z, y, x) are its labels, be they coarse."""
        chunk = piece.chunk
        self._labels.put(chunk, core)
        steps = np.flatnonzero(core.any(axis=(1, 2)))
        last = self._spec.grid.core(chunk).start[0] + int(steps[-1]) if len(steps) else -1
        if self._last.pop(chunk, -1) > last:
            self._newest = None
        if last >= 0:
            self._last[chunk] = last
            self._newest = None if self._newest is None else max(self._newest, last)
        if piece.field is not None and self._field is not None:
            self._field.put(piece.chunk, piece.field)
            self._laid.discard(piece.chunk)
        self._touched.add(piece.chunk)

    def touch(self, chunk: int) -> None:
        """A chunk's objects look different now."""
        self._touched.add(chunk)

    @property
    def has_field(self) -> bool:
        """Whether chunks carry a field."""
        return self._field is not None

    def colours(self, view: View) -> tuple[tuple[int, int, int], ...]:
        """The colours of the field from the low end to the high one, a few of them."""
        rows = _table(view.field.colours)[:: 256 // BAR].tolist()
        return tuple((red, green, blue) for red, green, blue in rows)

    @property
    def newest(self) -> int:
        """The last step with something labelled; 0 while there is none."""
        if self._newest is None:
            self._newest = max(self._last.values(), default=0)
        return self._newest

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in memory, without what OpenGL keeps."""
        kept = [layer.nbytes for layer in (self._labels, self._field, self._volume) if layer is not None]
        return sum(kept)

    # ------------------------------------------------------------------ what is shown

    def stand(self, view: View, asked: Staging, step: int, scene: Scene) -> None:
        """Shows a step as the view wants it, as the scene is now."""
        look = view.field if self._field is not None else FieldLook()
        cursor = asked.mode == "cube" and (view.time is not None or look.draw == "slice")
        wanted = (asked.mode, step, asked.ends, look, view.labels, view.opacity, asked.planes, cursor)
        first, last = step // self._spec.grid.chunk[0], (step + 1) // self._spec.grid.chunk[0]
        rows = self._spec.grid.counts[1] * self._spec.grid.counts[2]
        there = any(first <= chunk // rows <= last for chunk in self._touched)
        volume = asked.mode == "cube" and look.draw == "volume"
        if wanted == self._stands and not there and not (volume and self._touched):
            self._touched.clear()
            return
        self._touched.clear()
        self._stands = wanted
        for mode, earth in self._earths.items():
            earth.visible(mode == asked.mode)
        self._cursor.show(step if cursor else None, view.planes)
        if self._slice is not None:
            self._slice.visible(asked.mode == "cube" and look.draw == "slice")
        if self._volume is not None:
            self._volume.visible(volume)
        if asked.mode != "cube":
            self._on_earth(asked.mode, step, view, asked, scene)
        elif look.draw == "slice":
            self._as_slice(step, look, view.planes, asked)
        elif volume:
            self._as_volume(look, asked)
        else:
            return
        self.stands += 1

    # ------------------------------------------------------------------ what a ray meets

    def pick(self, mode: Literal["globe", "map"], step: int, origin: Vec3, direction: Vec3) -> Met | None:
        """The object that a ray meets first on the Earth as it stands, and the cell of that step."""
        hit = self._earths[mode].pick(origin, direction) if mode in self._earths else None
        if hit is None:
            return None
        row, column = divmod(hit.label, self._spec.grid.shape[2])
        return Met(hit.object_id, (step, row, column))

    def voxel(self, object_id: int, at: Vec3, steps: tuple[float, float] | None, scene: Scene) -> Triple:
        """The voxel of an object that is nearest to a point of its surface; ``at`` is (z, y, x), in voxels.

        One within the time window ``steps``, if there is one.  Where chunks are only known by what lies beside them,
        the voxel in which the point lies.
        """
        shape = self._spec.grid.shape
        middle = triple(min(n - 1, max(0, round(a))) for a, n in zip(at, shape, strict=True))
        start = triple(max(0, m - NEARBY) for m in middle)
        stop = triple(min(n, m + NEARBY + 1) for m, n in zip(middle, shape, strict=True))
        places = np.argwhere(self._labels.ids_in(Box(start, stop), scene.ids) == object_id) + start
        if not len(places):
            return middle
        away = ((places - at) ** 2).sum(axis=1)
        if steps is not None:
            first, last = sorted(steps)
            away[(places[:, 0] < first) | (places[:, 0] > last)] += 1e6
        z, y, x = places[int(np.argmin(away))].tolist()
        return z, y, x

    def byte(self, voxel: Triple) -> int | None:
        """What the layer ``field`` says of a voxel; None if nothing has come."""
        if self._field is None:
            return None
        z, y, x = voxel
        return int(self._field.box(Box(voxel, (z + 1, y + 1, x + 1)), lambda _, part: part)[0, 0, 0])

    def _on_earth(self, mode: Literal["globe", "map"], step: int, view: View, asked: Staging, scene: Scene) -> None:
        if mode not in self._earths:
            self._earths[mode] = Earth(self._renderer, self._spec.volume, mode, wraps=self._spec.grid.periodic[2])
        ids = self._labels.ids(step, scene.ids) if view.labels else np.zeros(self._spec.grid.shape[1:], np.uint64)
        field = transfer = None
        if self._field is not None:
            field = self._bytes(step)
            if view.field.draw != "off":
                transfer = self._transfer(view.field, asked)
        self._earths[mode].cut(view.planes)
        self._earths[mode].show(ids, scene.dress, field, transfer, view.field.opacity, view.opacity)

    def _as_slice(self, step: int, look: FieldLook, planes: Sequence[Plane], asked: Staging) -> None:
        if self._slice is None:
            self._slice = FieldSlice(self._renderer, self._room, self._spec.grid.shape)
        self._slice.cut(planes)
        self._slice.show(self._bytes(step), step, self._transfer(look, asked), look.opacity)

    def _as_volume(self, look: FieldLook, asked: Staging) -> None:
        assert self._field is not None
        if self._volume is None:
            self._volume = FieldVolume(self._renderer, self._room, self._spec.grid)
        for chunk in self._field.chunks - self._laid:
            self._volume.put(chunk, self._field.core(chunk).astype(np.uint8, copy=False))
            self._laid.add(chunk)
        self._volume.cut(asked.planes)
        self._volume.show(self._transfer(look, asked), look.opacity)

    def _bytes(self, step: int) -> NDArray[np.uint8]:
        assert self._field is not None
        return self._field.at(step, lambda _, part: part).astype(np.uint8, copy=False)

    def _transfer(self, look: FieldLook, asked: Staging) -> Transfer:
        key = (look.colours, look.opacity_points, asked.ends)
        if self._transfers is None or self._transfers[0] != key:
            self._transfers = key, Transfer(_table(look.colours), opacities(look.opacity_points), *asked.ends)
        return self._transfers[1]

    def remove(self) -> None:
        """Takes all of it off the stage."""
        for thing in (*self._earths.values(), self._cursor, self._slice, self._volume):
            if thing is not None:
                thing.remove()
        self._earths.clear()
        self._slice = self._volume = None
        self._laid.clear()
        self._stands = ()


@lru_cache(maxsize=8)
def _table(name: str) -> NDArray[np.uint8]:
    """A colour map; the usual one for a name that nobody knows."""
    try:
        return colour_table(name)
    except NoSuchColours:
        return colour_table(USUAL)
