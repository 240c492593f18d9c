"""What is learned from: which part of a volume, what is true there, and an example from any place of it.

The truth is kept in memory, one number for each voxel; the field stays in its store.  An interval is cut in
time into what is learned from and what is set aside for validation, and each of these parts ends at its own
edges: an example that reaches beyond goes on as the nearest voxel does, as a flood fill's canvas does, and
nothing there counts.  So no example of the one holds voxels of the other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.augment import choose_mirrors, mirror
from inference_workers.ffn.chunks import filled_up
from inference_workers.ffn.components import connected, lasting
from inference_workers.ffn.pipeline import Blocks
from inference_workers.ffn.sampling import NOWHERE, class_map, draw, sort_places
from inference_workers.ffn.training import LIKELY, UNLIKELY, Example, TrainingSettings
from inference_workers.source import InputError, InspectRequest, inspect, open_source
from streamer.wire.grid import Box
from streamer.wire.volume import Source, Volume

UNKNOWN = -1
"""In the truth: voxels that do not count."""
Range = tuple[int, int]
SLAB = 32
"""Steps that are read at a time where all are."""


class Ground(NamedTuple):
    """A box of a volume with what is true there."""

    source: Source
    volume: Volume
    box: Box
    wraps_x: bool
    truth: NDArray[np.int32]
    """Objects 1, 2, … of the box (z, y, x); 0 background, ``UNKNOWN`` where nobody knows."""
    labels: str
    """Where the truth is from, in words."""


def connect_truth(
    source: Source,
    volume: Volume,
    box: Box,
    *,
    threshold: float,
    connectivity: int = 26,
    min_duration_h: float = 0.0,
    short_lived: str = "ignore",
) -> Ground:
    """Objects of ``field ≥ threshold`` that live at least so long.

    What lives shorter is ``UNKNOWN``, because it may have been longer beyond the box, or with
    ``short_lived="background"`` is background.  Voxels that are not numbers are ``UNKNOWN``.  Reads the box once.
    """
    wraps = wraps_x(volume, box)
    belongs, known = np.empty(box.shape, np.bool_), np.empty(box.shape, np.bool_)
    with open_source(source, volume) as opened:
        for first in range(box.start[0], box.stop[0], SLAB):
            last = min(first + SLAB, box.stop[0])
            field = opened.read(Box((first, *box.start[1:]), (last, *box.stop[1:])))
            here = slice(first - box.start[0], last - box.start[0])
            known[here] = np.isfinite(field)
            belongs[here] = field >= threshold
    labels = connected(belongs, connectivity, (False, False, wraps))
    truth = labels.astype(np.int32)
    if volume.has_time and min_duration_h > 0:
        kept = lasting(labels, volume.axes[0].widths[box.start[0] : box.stop[0]], min_duration_h)
        truth[(labels > 0) & (kept == 0)] = UNKNOWN if short_lived == "ignore" else 0
    truth[~known] = UNKNOWN
    words = f"connect ≥ {threshold:g}, {connectivity} neighbours"
    if min_duration_h > 0:
        words += f", at least {min_duration_h:g} h"
    return Ground(source, volume, box, wraps, truth, words)


def stored_truth(source: Source, volume: Volume, box: Box, labels: str, variable: str | None) -> Ground:
    """Objects by the labels of another volume of the same shape; raises InputError if it is of another."""
    found = inspect(InspectRequest(labels, variable))
    if found.volume.shape != volume.shape:
        raise InputError(
            f"The labels {labels} have {found.volume.shape} voxels and the volume has {volume.shape}: give labels of"
            " the same volume."
        )
    parts = []
    with open_source(found.source, found.volume) as opened:
        for first in range(box.start[0], box.stop[0], SLAB):
            last = min(first + SLAB, box.stop[0])
            parts.append(np.nan_to_num(opened.read(Box((first, *box.start[1:]), (last, *box.stop[1:])))))
    names, truth = np.unique(np.maximum(np.concatenate(parts), 0), return_inverse=True)
    if not np.array_equal(names, np.floor(names)):
        raise InputError(
            f"{found.volume.variable} of {labels} holds fractions, and labels are whole numbers: name them."
        )
    numbers = np.arange(len(names), dtype=np.int32) + (0 if names[0] == 0 else 1)
    return Ground(source, volume, box, wraps_x(volume, box), numbers[truth.reshape(box.shape)], found.source.address)


def wraps_x(volume: Volume, box: Box) -> bool:
    """Whether a box closes along x: it has all of an axis that does."""
    axis = volume.axes[2]
    whole = box.start[2] == 0 and box.stop[2] == len(axis)
    return whole and axis.kind in ("longitude", "other") and axis.open_ends == (False, False)


class Examples:
    """Makes example ``number`` from the parts (ranges of axis 0 within the box) of a ground; any thread may ask."""

    def __init__(
        self, ground: Ground, parts: Sequence[Range], settings: TrainingSettings, blocks: Blocks, seed: int
    ) -> None:
        """Raises ValueError if no object is in these parts."""
        self._ground, self._parts, self._settings, self._blocks = ground, sorted(parts), settings, blocks
        self._seed = seed
        classes = np.full(ground.truth.shape, NOWHERE, np.uint8)
        rz, ry, rx = settings.around
        for first, last in self._parts:
            truth = np.pad(ground.truth[first:last], ((rz, rz), (ry, ry), (0, 0)))
            truth = np.pad(truth, ((0, 0), (0, 0), (rx, rx)), mode="wrap" if ground.wraps_x else "constant")
            classes[first:last] = class_map(truth, settings.around)
        self.places = sort_places(classes)

    def __call__(self, number: int) -> Example:
        """Raises InputError if the store does not give the field."""
        drawn = draw(self.places, self._seed, number)
        ground, settings = self._ground, self._settings
        z, y, x = (int(i) for i in np.unravel_index(drawn.place, ground.truth.shape))
        part = self._parts[bisect_right(self._parts, z, key=lambda part: part[0]) - 1]
        ends: tuple[Range, ...] = (part, (0, ground.truth.shape[1]), (0, ground.truth.shape[2]))
        along = [
            Along.around(centre, radius, end, wraps)
            for centre, radius, end, wraps in zip(
                (z, y, x), settings.radius, ends, (False, False, ground.wraps_x), strict=True
            )
        ]
        truth = ground.truth[np.ix_(*(a.places for a in along))]
        field = self._field(along)
        known = np.isfinite(field)
        image = ((filled_up(field, known) if known.any() else np.zeros_like(field)) - settings.mean) / settings.std
        name = ground.truth[z, y, x]
        is_object = (truth == name) & (name > 0)
        counts = (truth != UNKNOWN) & known
        for axis, a in enumerate(along):
            counts &= np.expand_dims(a.inside, tuple(other for other in range(3) if other != axis))
        weight = np.where(is_object, np.float32(settings.object_weight), np.float32(1)) * counts
        target = np.where(is_object, np.float32(LIKELY), np.float32(UNLIKELY))
        mirrors = choose_mirrors(settings.mirror, drawn.random)
        made = (mirror(array.astype(np.float32, copy=False), mirrors) for array in (image, target, weight))
        return Example(number, *made)

    def _field(self, along: Sequence[Along]) -> NDArray[np.floating[Any]]:
        low = [a.low + start for a, start in zip(along, self._ground.box.start, strict=True)]
        high = [a.high + start for a, start in zip(along, self._ground.box.start, strict=True)]
        box = Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))
        field = self._blocks.read(box, self._ground.wraps_x)
        beyond = [(a.before, a.after) for a in along]
        return np.pad(field, beyond, mode="edge") if any(map(any, beyond)) else field


class Along(NamedTuple):
    """An example along one axis: what is read, ``low`` … ``high``, and by how much that is continued at both ends."""

    low: int
    high: int
    before: int
    after: int
    places: NDArray[np.intp]
    """The index of each of its voxels, of the nearest one where it lies beyond."""
    inside: NDArray[np.bool_]

    @classmethod
    def around(cls, centre: int, radius: int, ends: Range, wraps: bool) -> Along:
        """2·radius + 1 voxels around ``centre``, of the axis between ``ends``."""
        wanted = np.arange(centre - radius, centre + radius + 1)
        if wraps:
            return cls(centre - radius, centre + radius + 1, 0, 0, wanted % ends[1], np.ones(len(wanted), np.bool_))
        low, high = max(centre - radius, ends[0]), min(centre + radius + 1, ends[1])
        inside = (wanted >= ends[0]) & (wanted < ends[1])
        before = low - (centre - radius)
        return cls(
            low, high, before, len(wanted) - (high - low) - before, np.clip(wanted, ends[0], ends[1] - 1), inside
        )


MakeExample = Callable[[int], Example]
