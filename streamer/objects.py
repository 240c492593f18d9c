"""The one live table of objects: what each is so far, which are final, and which of those are kept.

Statistics of commits are only put aside; they are added up by (object, step) when someone asks or when
enough have gathered, so memory follows the pairs of object and step, and a commit costs the same late in
a run as early.  Rows of final objects move to a settled part that is never sorted again, and the cells of
their footprints collapse into one number.  An object is final when all its chunks are closed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamer.measures import ROW, TOTAL, Columns, Measures, Rows, Steps, grouped, thinned, totals
from streamer.merges import Ids, Merges, Nodes, grown
from streamer.wire.block import STAT, Footprint, Stats
from streamer.wire.grid import Grid
from streamer.wire.status import COURSE_POINTS, Course, LifeStep, ObjectPage, ObjectRow
from streamer.wire.volume import Keep, Volume

LIVE, KEPT, DROPPED = range(3)
CELL = np.dtype([("node", "<i8"), ("cell", "<u4"), ("area_km2", "<f8")])

_SO_FAR = np.dtype(
    [("open", "<i4"), ("first", "<i4"), ("last", "<i4"), ("state", "u1"), ("max", "<f8"), ("voxels", "<i8")]
)
"""Of each root: own components in chunks that are not closed, first and last step, state, maximum of the field."""
_NOTHING = np.array((0, 0x7FFF_FFFF, -1, LIVE, -np.inf, 0), _SO_FAR)


class Objects:
    """The table.  It shares the union-find with whoever joins nodes and is told of each join by ``absorb``."""

    def __init__(self, volume: Volume, grid: Grid, keep: Keep, merges: Merges) -> None:
        self._volume = volume
        self._keep = keep
        self._merges = merges
        self._measures = Measures(volume, grid)
        self._so_far = np.empty(0, _SO_FAR)
        self._fresh: list[tuple[int, Stats]] = []
        self._fresh_cells: list[tuple[int, Footprint]] = []
        self._waiting = 0  # rows and cells put aside
        self._stale = False
        self._rows: Rows = np.empty(0, ROW)
        self._cells: Rows = np.empty(0, CELL)
        self._settled_rows: list[Rows] = []
        self._settled: list[Rows] = []
        self.count = 0
        """Objects that are kept or not yet judged."""

    def add(self, base: int, own: int, components: int, stats: Stats, footprint: Footprint | None) -> None:
        """A chunk's components: nodes from ``base`` on, the first ``own`` of them with statistics by label."""
        self._so_far = grown(self._so_far, base, base + components)
        here = self._so_far[base : base + components]
        here[:] = _NOTHING
        here["open"][:own] = 1
        if own:
            of = stats["label"].astype(np.int64) - 1
            np.minimum.at(here["first"], of, stats["step"].astype(np.int32))
            np.maximum.at(here["last"], of, stats["step"].astype(np.int32))
            np.maximum.at(here["max"], of, stats["max"])
            np.add.at(here["voxels"], of, stats["voxels"].astype(np.int64))
            self._fresh.append((base, stats))
            self._waiting += len(stats)
        if footprint is not None:
            self._fresh_cells.append((base, footprint))
            self._waiting += len(footprint.cells)
        self.count += own
        self._stale = True
        if self._waiting > 8192 + len(self._rows) + len(self._cells):
            self._gather()

    def absorb(self, gone: Nodes) -> Ids:
        """Nodes that have just lost their root to another.  Returns (id that speaks, id that is gone), shape (n, 2)."""
        if not len(gone):
            return np.empty((0, 2), np.uint64)
        roots = self._merges.roots(gone)
        lost, so_far = self._so_far[gone], self._so_far
        np.add.at(so_far["open"], roots, lost["open"])
        np.minimum.at(so_far["first"], roots, lost["first"])
        np.maximum.at(so_far["last"], roots, lost["last"])
        np.maximum.at(so_far["max"], roots, lost["max"])
        np.add.at(so_far["voxels"], roots, lost["voxels"])
        named = lost["last"] >= 0  # only these have a voxel in a core, and so an id
        pairs = np.column_stack((self._merges.ids(roots[named]), self._merges.ids(gone[named])))
        self.count -= len(pairs)
        self._stale = True
        return np.asarray(pairs[np.argsort(pairs[:, 1])], np.uint64)

    def close(self, nodes: Nodes) -> Ids:
        """Own components of chunks that are closed.  Returns (id, 1 if kept else 0) of what became final, (n, 2)."""
        if not len(nodes):
            return np.empty((0, 2), np.uint64)
        roots, closed = np.unique(self._merges.roots(nodes), return_counts=True)
        self._so_far["open"][roots] -= closed.astype(np.int32)
        final = roots[self._so_far["open"][roots] == 0]
        found = self._so_far[final]
        kept = np.ones(len(final), np.bool_)
        if self._volume.has_time:
            # Sums of widths are rounded; an object of exactly the least duration stays.
            lifetime_h = self._measures.lifetimes_h(found["first"], found["last"])
            kept &= lifetime_h >= self._keep.min_duration_h * (1 - 1e-9)
        if self._keep.core_threshold is not None:
            kept &= found["max"] >= self._keep.core_threshold
        kept &= found["voxels"] >= self._keep.min_voxels
        self._so_far["state"][final] = np.where(kept, KEPT, DROPPED)
        self.count -= int(np.count_nonzero(~kept))
        self._stale = True
        verdicts = np.column_stack((self._merges.ids(final), kept.astype(np.uint64)))
        return np.asarray(verdicts[np.argsort(verdicts[:, 0])], np.uint64)

    def speaking(self, nodes: Nodes) -> Ids:
        """The ids of the nodes' objects; 0 where dropped."""
        roots = self._merges.roots(nodes)
        return np.where(self._so_far["state"][roots] == DROPPED, np.uint64(0), self._merges.ids(roots))

    def columns(self, only: Nodes | None = None) -> Columns:
        """All objects that are kept or not yet judged, in the order of their ids, or those with the roots ``only``."""
        total, rows = self._all()
        if only is not None:
            total = total[np.isin(total["node"], only)]
        ids = self._merges.ids(total["node"])
        order = np.argsort(ids)
        total, ids = total[order], ids[order]
        if only is not None:
            rows = rows[np.isin(rows["node"], only)]
        row_ids = self._merges.ids(rows["node"])
        order = np.lexsort((rows["step"], row_ids))
        steps = self._measures.steps(rows[order], row_ids[order])
        return self._measures.columns(total, ids, self._so_far["state"][total["node"]] != LIVE, steps)

    def page(self, limit: int, root: int | None = None) -> ObjectPage:
        """The largest objects by voxels (ties: by id), or the one with that root together with its life."""
        if root is not None:
            found = self.columns(np.array([root], np.int64))
            return ObjectPage(self.count, tuple(_rows(found)), tuple(_life(found)))
        total, _ = self._all()
        order = np.lexsort((self._merges.ids(total["node"]), -total["voxels"].astype(np.int64)))[: max(limit, 0)]
        total = total[order]
        final = self._so_far["state"][total["node"]] != LIVE
        nobody = self._measures.steps(np.empty(0, ROW), np.empty(0, np.uint64))
        shown = self._measures.columns(total, self._merges.ids(total["node"]), final, nobody)
        return ObjectPage(self.count, tuple(_rows(shown)))

    def courses(self, roots: Nodes) -> tuple[Course, ...]:
        """The lives of the objects with these roots in few points, in the order of their ids."""
        steps = self.columns(roots).steps
        ids, firsts = np.unique(steps.object_id, return_index=True)
        return tuple(
            _course(int(one), steps, part) for one, part in zip(ids, _parts(firsts, len(steps.step)), strict=True)
        )

    def _all(self) -> tuple[Rows, Rows]:
        """Totals and rows of everything that is not dropped, settled first."""
        self._gather()
        live = totals(self._rows, self._measures.hours)
        live["footprint"] = self._footprints(live["node"], self._cells)
        # What was settled since the last time is put into one piece.
        self._settled = [np.concatenate([np.empty(0, TOTAL), *self._settled])]
        self._settled_rows = [np.concatenate([np.empty(0, ROW), *self._settled_rows])]
        return np.concatenate([self._settled[0], live]), np.concatenate([self._settled_rows[0], self._rows])

    def _gather(self) -> None:
        """Adds up what was put aside, drops what was dropped, and settles what is final."""
        if not self._stale:
            return
        rows = self._standing(np.concatenate([self._rows, _with_nodes(self._fresh)]))
        cells = self._standing(np.concatenate([self._cells, _cells_with_nodes(self._fresh_cells)]))
        self._fresh, self._fresh_cells, self._waiting, self._stale = [], [], 0, False
        rows = grouped(rows)
        cells = cells[np.lexsort((cells["cell"], cells["node"]))]
        again = (np.diff(cells["node"]) == 0) & (np.diff(cells["cell"]) == 0)
        cells = cells[np.concatenate((np.ones(min(len(cells), 1), np.bool_), ~again))]
        final = self._so_far["state"][rows["node"]] == KEPT
        if final.any():
            settled = totals(rows[final], self._measures.hours)
            final_cells = self._so_far["state"][cells["node"]] == KEPT
            settled["footprint"] = self._footprints(settled["node"], cells[final_cells])
            self._settled.append(settled)
            self._settled_rows.append(rows[final])
            rows, cells = rows[~final], cells[~final_cells]
        self._rows, self._cells = rows, cells

    def _standing(self, rows: Rows) -> Rows:
        """The rows under the roots that they have now, without those of dropped objects."""
        rows["node"] = self._merges.roots(rows["node"])
        standing: Rows = rows[self._so_far["state"][rows["node"]] != DROPPED]
        return standing

    def _footprints(self, nodes: Nodes, cells: Rows) -> NDArray[np.float64]:
        """The sum of the areas of each node's cells; nodes are sorted."""
        if not len(nodes):
            return np.empty(0)
        sums = np.bincount(np.searchsorted(nodes, cells["node"]), cells["area_km2"], len(nodes))
        return np.asarray(sums, np.float64)


def _with_nodes(fresh: Sequence[tuple[int, Stats]]) -> Rows:
    """The rows of many chunks under their nodes."""
    if not fresh:
        return np.empty(0, ROW)
    # Joined as bytes: NumPy takes ten times as long for each array of records, and thousands would be a pause.
    stats = np.frombuffer(b"".join([part.tobytes() for _, part in fresh]), STAT)
    bases = np.repeat([base - 1 for base, _ in fresh], [len(part) for _, part in fresh])
    rows = np.empty(len(stats), ROW)
    rows["node"] = stats["label"].astype(np.int64) + bases
    for name in ROW.names or ():
        if name != "node":
            rows[name] = stats[name]
    return rows


def _cells_with_nodes(fresh: Sequence[tuple[int, Footprint]]) -> Rows:
    """The cells of many chunks under their nodes."""
    if not fresh:
        return np.empty(0, CELL)
    nodes = np.concatenate([base + np.arange(len(part.counts)) for base, part in fresh])
    cells = np.empty(sum(len(part.cells) for _, part in fresh), CELL)
    cells["node"] = np.repeat(nodes, np.concatenate([part.counts for _, part in fresh]))
    cells["cell"] = np.concatenate([part.cells for _, part in fresh])
    cells["area_km2"] = np.concatenate([part.areas_km2 for _, part in fresh])
    return cells


def _rows(found: Columns) -> list[ObjectRow]:
    def number(column: NDArray[np.float64] | None, i: int) -> float | None:
        return None if column is None else float(column[i])

    return [
        ObjectRow(
            id=int(found.object_id[i]),
            first_step=int(found.first_step[i]),
            last_step=int(found.last_step[i]),
            lifetime_h=number(found.lifetime_h, i),
            voxels=int(found.voxels[i]),
            mean=float(found.mean[i]),
            max=float(found.max[i]),
            footprint_km2=number(found.footprint_km2, i),
            area_time_km2_h=number(found.area_time_km2_h, i),
            y=float(found.y[i]),
            x=float(found.x[i]),
            y_range=(int(found.y_first[i]), int(found.y_last[i])),
            x_range=(int(found.x_first[i]), int(found.x_last[i])),
            touches_edge=bool(found.touches_edge[i]),
            final=bool(found.final[i]),
        )
        for i in range(len(found.object_id))
    ]


def _parts(firsts: NDArray[np.int64], length: int) -> list[slice]:
    ends = [*firsts[1:], length]
    return [slice(int(first), int(end)) for first, end in zip(firsts, ends, strict=True)]


def _course(object_id: int, steps: Steps, part: slice) -> Course:
    size = steps.voxels if steps.area_km2 is None else steps.area_km2

    def points(values: NDArray[np.generic]) -> tuple[float, ...]:
        # Four figures are more than a small chart shows.
        return tuple(float(f"{n:.4g}") for n in thinned(steps.step[part], values[part].astype("f8"), COURSE_POINTS))

    first, last = int(steps.step[part][0]), int(steps.step[part][-1])
    return Course(object_id, first, last, points(size), points(steps.mean))


def _life(found: Columns) -> list[LifeStep]:
    steps = found.steps
    return [
        LifeStep(
            step=int(steps.step[i]),
            voxels=int(steps.voxels[i]),
            area_km2=None if steps.area_km2 is None else float(steps.area_km2[i]),
            mean=float(steps.mean[i]),
            max=float(steps.max[i]),
            y=float(steps.y[i]),
            x=float(steps.x[i]),
        )
        for i in range(len(steps.step))
    ]
