"""The chunks' surfaces, from the moment their labels come until nothing more can change them.

Geometry is made once for each chunk and level (``put``), colours whenever the scene says so (``recolour``), and a
chunk's softening is brought up to date when neighbours have come (``polish``), which is work for quiet moments.
Coarse surfaces stand in for chunks that have not come whole, and are kept beside the whole ones for moving cameras.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from renderers.coarse import inside, lattice_of
from renderers.geometry import Room
from renderers.scene import Look, Piece
from renderers.soften import Occupancy, Soft, soften
from renderers.vtk_stage import Mesh, Stage
from renderers.vtk_surface import Surface, coarse_surface, surface
from streamer.wire.codec import Labels
from streamer.wire.grid import Grid

COARSE_BYTES = 1 << 30
"""Surfaces that take more than this in memory are not kept in a coarse version besides."""

MOST_DUE = 64
"""Coarse surfaces that may wait for a quiet moment: when a wall begins to move, all of them are made at once."""


class Surfaces:
    """The surfaces of one run on a stage.  All calls come from the thread that owns the window."""

    def __init__(self, stage: Stage, grid: Grid, room: Room, *, steady: bool) -> None:
        """``steady``: see ``renderers.vtk_scene.Theatre``."""
        self._stage, self._grid, self._room = stage, grid, room
        self._occupancy = Occupancy(grid)
        self._halves: dict[int, dict[int, NDArray[np.int16]]] = {}
        """Where the points of each chunk's surfaces lie before they are softened, by level."""
        self._whole: set[int] = set()
        self._coarse_due: dict[int, tuple[Labels, Look]] = {}
        """The lattices of which coarse surfaces are still to be made, and how they look."""
        self._sizes: dict[tuple[int, int], int] = {}
        self._stale: set[int] = set()
        self._ready: set[int] = set()
        self._level = 0
        self.steady = steady
        self.extractions = 0
        """How many surfaces have been made."""

    def put(self, piece: Piece, look: Look) -> bool:
        """Makes the surface of a chunk that has come and shows it; a coarse one only until the whole has come.

        Returns whether the chunk was of use.
        """
        grid, chunk = self._grid, piece.chunk
        if piece.level and chunk in self._whole:
            return False
        self.extractions += 1
        self._halves.setdefault(chunk, {})
        self._occupancy.put(chunk, core_of(grid, piece) != 0)
        if piece.level:
            self._mesh(chunk, 1, coarse_surface(grid, chunk, piece.block), look)
        else:
            self._whole.add(chunk)
            self._halves[chunk].pop(0, None)
            self._mesh(chunk, 0, surface(grid, chunk, piece.block), look)
            self._coarse_due.pop(chunk, None)
            if 0 not in self._halves[chunk]:
                self._halves[chunk].clear()
                self._stage.remove(chunk)
            elif self._keeps_coarse(chunk):
                self._coarse_due[chunk] = lattice_of(grid, chunk, piece.block), look
        around = grid.around(chunk)
        for near in around:
            self._unsettle(near)
        if not piece.level and around <= self._whole:
            # It was softened with all that it ever will be.
            self._stale.discard(chunk)
            self._ready.discard(chunk)
        else:
            self._unsettle(chunk)
        return True

    def _unsettle(self, chunk: int) -> None:
        """Something has come in a chunk or beside it: it is softened again, for good where all neighbours are there."""
        if self._halves.get(chunk):
            self._stale.add(chunk)
            if self._grid.around(chunk) <= self._whole:
                self._ready.add(chunk)

    def recolour(self, chunk: int, look: Look) -> None:
        """New colours for a chunk on the stage."""
        self._stage.colour(chunk, look.colours, look.visible)
        if chunk in self._coarse_due:
            self._coarse_due[chunk] = self._coarse_due[chunk][0], look

    def polish(self, *, all_neighbours: bool) -> int | None:
        """Softens again one chunk whose neighbourhood has changed, or makes a coarse surface that is still to be made.

        Returns the chunk, or None if there is none to do.

        With ``all_neighbours`` only chunks are looked at whose neighbours have all come, so that none is done twice.
        """
        if self._wants_coarse():
            return self.spare()
        chunk = next(iter(self._ready if self._ready or all_neighbours else self._stale), None)
        if chunk is None:
            return None
        self._stale.discard(chunk)
        self._ready.discard(chunk)
        for level, halves in self._halves[chunk].items():
            points, normals = self._placed(soften(self._grid, self._known(chunk, level), chunk, halves, level))
            self._stage.move(chunk, points, normals, level)
        return chunk

    def spare(self) -> int | None:
        """Makes a coarse surface that nothing which is seen now waits for.  Returns the chunk, or None."""
        if not self._coarse_due:
            return None
        due, (lattice, look) = self._coarse_due.popitem()
        self._mesh(due, 1, coarse_surface(self._grid, due, lattice), look)
        return due

    @property
    def spares(self) -> bool:
        """Whether ``spare`` has something to do."""
        return bool(self._coarse_due)

    def detail(self, level: int) -> None:
        """From now on pictures show chunks at this level, where they have such a surface: 0 whole, 1 coarse."""
        self._level = level
        self._stage.detail(level)

    @property
    def unfinished(self) -> bool:
        """Whether a chunk waits to be softened for good (all its neighbours have come), or for its coarse surface."""
        return bool(self._ready or self._wants_coarse())

    @property
    def rough(self) -> bool:
        """Whether a chunk on the stage is not yet as it will be once nothing more comes."""
        return bool(self._stale or (self._coarse_due and not self.steady))

    @property
    def nbytes(self) -> int:
        """Bytes of the surfaces in memory, without what OpenGL keeps."""
        halves = sum(halves.nbytes for levels in self._halves.values() for halves in levels.values())
        return self._stage.nbytes + halves

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

    # ------------------------------------------------------------------ inside

    def _keeps_coarse(self, chunk: int) -> bool:
        """Whether a chunk that has come whole gets a coarse surface besides.

        Where all shall follow from what has come, what there was before the whole came does not count.
        """
        return self.steady or (1 not in self._halves[chunk] and sum(self._sizes.values()) < COARSE_BYTES)

    def _wants_coarse(self) -> bool:
        """Whether a coarse surface is the next thing to be made; where pictures have a deadline, only if it is seen."""
        if self.steady:
            return bool(self._coarse_due) and (self._level > 0 or len(self._coarse_due) > MOST_DUE)
        return bool(self._coarse_due) and (not self._ready or len(self._coarse_due) > MOST_DUE)

    def _mesh(self, chunk: int, level: int, made: Surface, look: Look) -> None:
        triangles = made.triangles[:, ::-1] if self._room.mirrored else made.triangles
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
        if not around <= self._whole:
            return self._occupancy.alone(chunk)
        # At half the resolution softening may reach beyond the neighbours of small chunks, where things still change.
        return self._occupancy.among((chunk, *around)) if level else self._occupancy

    def _placed(self, soft: Soft) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self._room.points(soft.points), self._room.normals(soft.outward, soft.points)


def core_of(grid: Grid, piece: Piece) -> Labels:
    """The labels (z, y, x) of a chunk without its pad; at half the resolution all voxels of a cell have its label."""
    z, y, x = (slice(0, n) for n in grid.core(piece.chunk).shape)
    if not piece.level:
        return piece.block[z, y, x]
    cells = piece.block[inside(grid, piece.chunk)]
    return cells.repeat(2, 0).repeat(2, 1).repeat(2, 2)[z, y, x]
