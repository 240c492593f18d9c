"""Seams, merges and objects of a run: one commit in, what follows from it out.  Pure.

The result depends on the commits alone, not on their order: ids are joined by a union-find whose roots
carry the smallest id, and an object is judged only when no pending chunk can touch it any more.
A commit that contradicts itself or the grid is refused before anything is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.measures import Columns
from streamer.merges import Ids, Merges, Nodes
from streamer.objects import Objects
from streamer.seams import Advance, MatchRule, Seams, same_voxel
from streamer.wire.block import (
    NOWHERE,
    PARTS,
    Footprint,
    Seam,
    Stats,
    unpack_footprint,
    unpack_ids,
    unpack_seam,
    unpack_stats,
)
from streamer.wire.codec import Buffer
from streamer.wire.grid import Grid
from streamer.wire.header import Refused
from streamer.wire.messages import Commit
from streamer.wire.status import Course, ObjectPage
from streamer.wire.volume import Keep, Volume

__all__ = ["Assembly", "Columns", "Outcome"]


class Outcome(NamedTuple):
    """What a commit or a failure brings about."""

    merges: NDArray[np.uint64]
    """(n, 2): id that speaks (the smaller), id that is gone; by the latter in ascending order."""
    verdicts: NDArray[np.uint64]
    """(n, 2): id of an object that became final, 1 if it is kept else 0."""


_NOTHING = Outcome(np.empty((0, 2), np.uint64), np.empty((0, 2), np.uint64))


class _Parts(NamedTuple):
    seam: Seam | None
    ids: Ids
    stats: Stats
    footprint: Footprint | None


class Assembly:
    """The state of a run's objects after some of its chunks."""

    def __init__(self, volume: Volume, grid: Grid, keep: Keep, joins: MatchRule = same_voxel) -> None:
        self._grid = grid
        self._merges = Merges()
        self._seams = Seams(grid, joins)
        self._objects = Objects(volume, grid, keep, self._merges)
        self._base = np.full(grid.size, -1, np.int64)
        self._own = np.zeros(grid.size, np.int64)

    @property
    def objects(self) -> int:
        """Objects that are kept or not yet judged."""
        return self._objects.count

    @property
    def seams_held(self) -> int:
        """Seams that wait for chunks still to come: the length of the front."""
        return self._seams.held

    def commit(self, commit: Commit, payloads: Sequence[Buffer]) -> Outcome:
        """A finished chunk; payloads in the order of ``block.PARTS``, of which ``labels`` is not looked at.

        Raises Refused, and changes nothing, if the chunk is not pending or its parts contradict the grid.
        """
        if not (commit.components or commit.own or commit.stat_rows or commit.footprint_cells) and not any(
            len(raw) for raw in payloads[1 : len(PARTS)]
        ):
            # Nothing is in it, as in most chunks of many volumes: only its place counts.
            return self._advance(self._seams.commit(commit.chunk, None))
        parts = self._checked(commit, payloads)
        base = self._merges.add(parts.ids, commit.components)
        self._base[commit.chunk], self._own[commit.chunk] = base, commit.own
        self._objects.add(base, commit.own, commit.components, parts.stats, parts.footprint)
        return self._advance(self._seams.commit(commit.chunk, parts.seam))

    def fail(self, chunk: int) -> Outcome:
        """The chunk will bring nothing more.  Raises Refused if it is not pending."""
        return self._advance(self._seams.fail(chunk))

    def page(self, limit: int, object_id: int = 0) -> ObjectPage:
        """The largest objects by voxels; or, if an id is given, its object alone with its life (none if dropped)."""
        if not object_id:
            return self._objects.page(limit)
        nodes = self._nodes(np.array([object_id], np.uint64))
        if nodes[0] < 0 or not self._objects.speaking(nodes)[0]:
            return ObjectPage(self.objects, ())
        return self._objects.page(1, int(self._merges.roots(nodes)[0]))

    def courses(self, ids: Sequence[int]) -> tuple[Course, ...]:
        """The lives of these objects in few points; of those that were dropped or never were, none."""
        nodes = self._nodes(np.unique(np.array(ids, np.uint64)))
        nodes = nodes[nodes >= 0]
        nodes = nodes[self._objects.speaking(nodes) > 0]
        return self._objects.courses(np.unique(self._merges.roots(nodes))) if len(nodes) else ()

    def columns(self) -> Columns:
        """All objects that are kept or not yet judged, and their steps, as arrays."""
        return self._objects.columns()

    def resolve(self, ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The ids that speak now for run-wide ids of any shape; 0 where dropped, and for 0 and unknown ids."""
        known, at = np.unique(np.asarray(ids, np.uint64), return_inverse=True)
        nodes = self._nodes(known)
        speaks = np.zeros(len(known), np.uint64)
        speaks[nodes >= 0] = self._objects.speaking(nodes[nodes >= 0])
        return speaks[at].reshape(np.shape(ids))

    def chunk_ids(self, chunk: int) -> NDArray[np.uint64]:
        """The ids that speak now for 0 and the own labels 1…own of a chunk, shape (own + 1,); 0 where dropped."""
        first, own = self._base[chunk], self._own[chunk]
        found = np.zeros(own + 1, np.uint64)
        if own:
            found[1:] = self._objects.speaking(np.arange(first, first + own))
        return found

    def _advance(self, advance: Advance) -> Outcome:
        if not advance.joined and not any(self._own[chunk] for chunk in advance.closed):
            return _NOTHING
        pairs = [np.empty((0, 2), np.int64)]
        for joined in advance.joined:
            bases = self._base[[joined.chunk, joined.owner]] - 1
            pairs.append(joined.pairs.astype(np.int64) + bases)
        merges = self._objects.absorb(self._merges.join(np.concatenate(pairs)))
        closed = [np.arange(self._base[chunk], self._base[chunk] + self._own[chunk]) for chunk in advance.closed]
        verdicts = self._objects.close(np.concatenate([np.empty(0, np.int64), *closed]))
        return Outcome(merges, verdicts)

    def _nodes(self, ids: Ids) -> Nodes:
        """The nodes of ids in ascending order, −1 where there is none.

        An id is a voxel's index, so it says itself in which chunk its node is.
        """
        found = np.full(len(ids), -1, np.int64)
        sound = np.flatnonzero((ids > 0) & (ids <= self._grid.voxels))
        if not len(sound):
            return found
        places = np.unravel_index(ids[sound].astype(np.int64) - 1, self._grid.shape)
        index = [place // size for place, size in zip(places, self._grid.chunk, strict=True)]
        chunks = np.ravel_multi_index(index, self._grid.counts)
        order = np.argsort(chunks, kind="stable")
        edges = np.flatnonzero(np.diff(chunks[order])) + 1
        for group in np.split(order, edges):
            chunk = int(chunks[group[0]])
            if not self._own[chunk]:
                continue
            first = int(self._base[chunk])
            own = self._merges.ids(np.arange(first, first + self._own[chunk]))
            by_id = np.argsort(own)
            at = np.minimum(np.searchsorted(own, ids[sound[group]], sorter=by_id), len(own) - 1)
            nodes = by_id[at]
            found[sound[group]] = np.where(own[nodes] == ids[sound[group]], first + nodes, -1)
        return found

    def _checked(self, commit: Commit, payloads: Sequence[Buffer]) -> _Parts:
        """The parts unpacked.  Raises Refused unless they agree with the grid and with each other."""
        self._seams.check(commit.chunk)
        grid, chunk, core = self._grid, commit.chunk, self._grid.core(commit.chunk)
        seam = unpack_seam(grid, chunk, payloads[1]) if len(payloads[1]) else None
        ids, stats = unpack_ids(commit, payloads[2]), unpack_stats(commit, payloads[3])
        footprint = unpack_footprint(commit, payloads[4])

        def refuse_unless(sound: bool, what: str) -> None:
            if not sound:
                raise Refused(f"chunk {chunk}: {what}")

        refuse_unless(0 <= commit.own <= commit.components, f"{commit.own} own labels of {commit.components}")
        if seam is not None:
            largest = max(int(face.max()) for face in (*seam.low, *seam.within) if face is not None)
            refuse_unless(largest <= commit.own, f"label {largest} on a face of the core, own are 1…{commit.own}")
            largest = max((int(face.max()) for face in (*seam.high, *seam.beyond) if face is not None), default=0)
            refuse_unless(largest <= commit.components, f"label {largest} in the pad, there are {commit.components}")
        if commit.own:
            refuse_unless(int(ids.min()) > 0 and int(ids.max()) <= grid.voxels, "an id that is no voxel of the volume")
            places = np.unravel_index(ids.astype(np.int64) - 1, grid.shape)
            for place, a, b in zip(places, core.start, core.stop, strict=True):
                refuse_unless(a <= int(place.min()) and int(place.max()) < b, "an id that is no voxel of the core")
            refuse_unless(len(np.unique(ids)) == commit.own, "two labels with the same id")
        if commit.own or len(stats):
            labels = np.unique(stats["label"])
            told = len(labels) == commit.own and (not len(labels) or (labels[0] == 1 and labels[-1] == commit.own))
            refuse_unless(told, f"statistics of {len(labels)} labels, own are 1…{commit.own}")
            _check_stats(stats, core.start, core.stop, refuse_unless)
        voxels = int(stats["voxels"].sum())
        refuse_unless(voxels == commit.labelled, f"statistics of {voxels} voxels, labelled are {commit.labelled}")
        if footprint is not None:
            y, x = np.divmod(footprint.cells, grid.shape[2])
            refuse_unless(
                core.start[1] <= int(y.min()) and int(y.max()) < core.stop[1]
                and core.start[2] <= int(x.min()) and int(x.max()) < core.stop[2],
                "a footprint with cells that are not the core's",
            )  # fmt: skip
            areas = footprint.areas_km2
            refuse_unless(bool(np.isfinite(areas).all()) and areas.min() >= 0, "a footprint with an area that is none")
        return _Parts(seam, ids, stats, footprint)


def _check_stats(
    stats: Stats, start: tuple[int, int, int], stop: tuple[int, int, int], refuse_unless: Callable[[bool, str], None]
) -> None:
    """Steps and extents lie in the core, and numbers are numbers."""
    for low, high, axis in (("step", "step", 0), ("y_min", "y_max", 1), ("x_min", "x_max", 2)):
        inside = start[axis] <= int(stats[low].min()) and int(stats[high].max()) < stop[axis]
        inside &= bool((stats[low] <= stats[high]).all())
        refuse_unless(inside, f"statistics whose {low} to {high} leave the core ({start[axis]} to {stop[axis] - 1})")
    for name, nothing in (("x_min_high", NOWHERE), ("x_max_low", -1)):
        there = stats[name][stats[name] != nothing].astype(np.int64)
        inside = not len(there) or (start[2] <= int(there.min()) and int(there.max()) < stop[2])
        refuse_unless(inside, f"statistics whose {name} leaves the core ({start[2]} to {stop[2] - 1})")
    refuse_unless(int(stats["voxels"].min()) > 0, "statistics of no voxels")
    for name in ("sum", "max"):  # infinite where the field is
        refuse_unless(not np.isnan(stats[name]).any(), f"statistics whose {name} is not a number")
    for name in ("area_km2", "weight", "moment"):
        refuse_unless(bool(np.isfinite(stats[name]).all()), f"statistics whose {name} is not finite")
