"""The canvas: objects of one array, filled one after the other by a network that is passed in.

From a seed the field of view moves to wherever the network says that the object goes on, the likeliest
face first, and what it predicted is what it sees there the next time.  When nothing is left to go to,
the likely voxels are an object and are taken.  A seed from which nothing comes is marked and left.

``steps`` is the whole of it as a coroutine: it yields what the network shall see and is sent what the
network said, so that whoever drives it may put the questions of many canvases into one batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.moves import FaceMoves
from inference_workers.ffn.parts import by_contact
from inference_workers.ffn.quantise import quantise, sigmoid
from inference_workers.ffn.settings import FloodFillSettings, logit
from streamer.wire.grid import Triple

Patch = NDArray[np.float32]
Predict = Callable[[Patch, Patch], Patch]
"""Images and seeds in logits, (batch, z, y, x) float32 → seeds + updates, of the same shape."""
Steps = Generator[tuple[Patch, Patch], Patch, "Filled"]

REJECTED = -1
"""In ``Canvas.labels``: a seed from which no object came."""


class Origin(NamedTuple):
    """Where an object was begun, and how many fields of view it took."""

    id: int
    z: int
    y: int
    x: int
    iterations: int


class Rejected(NamedTuple):
    """A seed from which no object came: too near to one, too weak after its fields of view, or too small."""

    z: int
    y: int
    x: int
    reason: Literal["near", "weak", "small"]
    voxels: int = 0
    iterations: int = 0


class Overlap(NamedTuple):
    """An object that wanted voxels which another had already."""

    id: int
    other: int
    voxels: int
    wanted: int
    """All voxels that the object wanted, those of others included."""


class Filled(NamedTuple):
    """What became of a canvas.  Arrays are (z, y, x)."""

    labels: NDArray[np.int32]
    """1, 2, … in the order in which objects were found; 0 free."""
    probability: NDArray[np.uint8]
    """How likely each voxel of an object is to be one, 1…255 from 0 to 1; 0 elsewhere."""
    origins: list[Origin]
    rejected: list[Rejected]
    overlaps: list[Overlap]
    starts: NDArray[np.int32]
    """The seeds that the network was asked about, (n, 3)."""
    trace: NDArray[np.int32]
    """Centres of all fields of view: number of the start, z, y, x; (n, 4)."""

    @property
    def iterations(self) -> int:
        """Fields of view altogether."""
        return len(self.trace)


class Canvas:
    """One array and what has been filled of it so far.

    ``image`` is (z, y, x), normalised as the network wants it.  Nothing is padded: seeds nearer to an edge than half
    a field of view are passed over.  ``open_sides``, ((low, high) for each axis), says where the array was cut from
    something larger: an object that comes within half a field of view of such a side may go on beyond, and is not
    too small however small it is.
    """

    def __init__(
        self,
        image: NDArray[np.floating[Any]],
        predict: Predict,
        settings: FloodFillSettings,
        *,
        open_sides: tuple[tuple[bool, bool], ...] = ((False, False),) * 3,
    ) -> None:
        """Raises ValueError if the image has not three axes or holds what is no number."""
        if image.ndim != 3:
            raise ValueError(f"a canvas has three axes (z, y, x), this image is {image.shape}")
        self.image = np.ascontiguousarray(image, np.float32)
        if not np.isfinite(self.image).all():
            raise ValueError("the image of a canvas holds values that are not numbers: fill them first")
        self.settings = settings
        self.labels = np.zeros(image.shape, np.int32)
        """Objects so far; ``REJECTED`` at seeds from which none came."""
        self.probability = np.zeros(image.shape, np.uint8)
        self._predict = predict
        self._moves = FaceMoves(settings.fov, settings.deltas)
        self._open = open_sides
        self._move, self._segment = np.float32(logit(settings.move)), np.float32(logit(settings.segment))
        self._pad = np.float32(logit(settings.pad))
        # Nobody asks where a field of view has been but the bias, and a threshold that padding would reach.
        told_apart = settings.disconnection_bias or self._pad >= self._segment
        self._unseen = np.float32(np.nan) if told_apart else self._pad
        self._map = np.full(image.shape, self._unseen, np.float32)
        """The present object in logits; ``_unseen`` where no field of view has been."""
        self._origins: list[Origin] = []
        self._rejected: list[Rejected] = []
        self._overlaps: list[Overlap] = []
        self._starts: list[Triple] = []
        self._trace: list[tuple[int, int, int, int]] = []

    def segment(self, seeds: NDArray[np.integer[Any]]) -> Filled:
        """Fills from each seed (n, 3), in their order, one field of view at a time.

        With ``connected`` in the settings, objects that touch go by the earliest one's number, parts that do not touch
        get numbers beyond those of the origins, and what is too small is dropped; ``steps`` leaves this to whoever
        drives it, who may join objects before.
        """
        steps = self.steps(seeds)
        try:
            image, seed = next(steps)
            while True:
                image, seed = steps.send(self._predict(image[None], seed[None].copy())[0])
        except StopIteration as done:
            filled: Filled = done.value
        if not self.settings.connected:
            return filled
        labels = by_contact(filled.labels, self.settings.min_segment_size)
        return filled._replace(labels=labels, probability=np.where(labels > 0, filled.probability, 0).astype(np.uint8))

    def steps(self, seeds: NDArray[np.integer[Any]]) -> Steps:
        """Yields an image and a seed map in logits (z, y, x) of the field of view, and is sent the new map.

        Both may be views, which must not be changed, and are as yielded until the next step.  Returns what became of
        the canvas.
        """
        for seed in within(seeds, self.image.shape, self.settings.margin).tolist():
            at = (seed[0], seed[1], seed[2])
            if self.labels[at] > 0:
                continue
            if self._is_near_an_object(at):
                self.labels[at] = REJECTED
                self._rejected.append(Rejected(*at, "near"))
                continue
            yield from self._object(at)
        starts = np.array(self._starts, np.int32).reshape(-1, 3)
        trace = np.array(self._trace, np.int32).reshape(-1, 4)
        labels = np.maximum(self.labels, 0)
        return Filled(labels, self.probability, self._origins, self._rejected, self._overlaps, starts, trace)

    def _is_near_an_object(self, at: Triple) -> bool:
        near = self.settings.min_boundary_dist
        box = tuple(slice(max(p - d, 0), p + d + 1) for p, d in zip(at, near, strict=True))
        return bool(self.labels[box].max() > 0)

    def _object(self, start: Triple) -> Generator[tuple[Patch, Patch], Patch, None]:
        """One object from its seed, taken or rejected."""
        attempt, self._map[start] = len(self._starts), logit(self.settings.init)
        self._starts.append(start)
        before = len(self._trace)
        yield from self._flood(start, attempt)
        centres = np.array([step[1:] for step in self._trace[before:]])
        low = centres.min(axis=0) - self.settings.margin
        high = centres.max(axis=0) + self.settings.margin + 1
        box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
        self._judge(start, box, len(centres))
        self._map[box] = self._unseen

    def _flood(self, start: Triple, attempt: int) -> Generator[tuple[Patch, Patch], Patch, None]:
        """Moves the field of view from the seed until nothing is left to go to, or the seed itself is given up."""
        # Thousands of times a second: plain integers and few calls.
        settings, image, grown, labels, move = self.settings, self.image, self._map, self.labels, self._move
        trace = self._trace
        (mz, my, mx), fov = settings.margin, settings.fov
        nz, ny, nx = (n - m for n, m in zip(image.shape, settings.margin, strict=True))
        dz, dy, dx = (max(delta, 1) for delta in settings.deltas)
        hz, hy, hx = (delta // 2 for delta in settings.deltas)
        sz, sy, sx = start
        likely, pad, bias = float(self._move), self._pad, settings.disconnection_bias
        held_from = settings.disconnection_share * fov[0] * fov[1] * fov[2]
        told_apart = bool(np.isnan(self._unseen))
        done: set[Triple] = set()
        queue = deque([start])
        while queue:
            z, y, x = queue.popleft()
            place = ((z - sz + hz) // dz, (y - sy + hy) // dy, (x - sx + hx) // dx)
            if place in done or not (mz <= z < nz and my <= y < ny and mx <= x < nx):
                continue
            if grown.item(z, y, x) < likely or labels.item(z, y, x) > 0:
                continue
            if grown.item(start) < likely:
                return
            box = (slice(z - mz, z + mz + 1), slice(y - my, y + my + 1), slice(x - mx, x + mx + 1))
            old = grown[box]
            answer = yield image[box], np.where(np.isnan(old), pad, old) if told_apart else old
            logits = np.asarray(answer, np.float32)
            if logits.shape != fov:
                raise ValueError(f"the network answered {logits.shape} to a field of view of {fov}")
            if bias and np.count_nonzero(logits >= move) > held_from:
                # What was unlikely stays so; NaN, where no field of view has been, compares false.
                logits = np.where((old < 0) & (logits > old), old, logits)
            old[...] = logits
            done.add(place)
            trace.append((attempt, z, y, x))
            queue.extend([(z + oz, y + oy, x + ox) for _, (oz, oy, ox) in self._moves(logits, likely)])

    def _judge(self, start: Triple, box: tuple[slice, slice, slice], iterations: int) -> None:
        """Takes what has grown in ``box`` as an object, or rejects its seed."""
        if self._map[start] < self._move:
            self._reject(start, "weak", 0, iterations)
            return
        mask = self._map[box] >= self._segment
        places = [
            at + side.start for at, side in zip(np.unravel_index(np.flatnonzero(mask), mask.shape), box, strict=True)
        ]
        at = np.ravel_multi_index(tuple(places), self.labels.shape)
        labels = self.labels.reshape(-1)
        there = labels[at]
        taken = there > 0
        if taken.any():
            others, counts = np.unique(there[taken], return_counts=True)
            found = list(zip(others.tolist(), counts.tolist(), strict=True))
            free = ~taken
            at, places = at[free], [along[free] for along in places]
        else:
            found = []
        if len(at) == 0 or (len(at) < self.settings.min_segment_size and not self._may_go_on(places)):
            self._reject(start, "small", len(at), iterations)
            return
        name = len(self._origins) + 1
        labels[at] = name
        self.probability.reshape(-1)[at] = quantise(sigmoid(self._map.reshape(-1)[at]))
        self._origins.append(Origin(name, *start, iterations))
        self._overlaps += [Overlap(name, other, count, len(there)) for other, count in found]

    def _reject(self, start: Triple, reason: Literal["weak", "small"], voxels: int, iterations: int) -> None:
        if self.labels[start] == 0:
            self.labels[start] = REJECTED
        self._rejected.append(Rejected(*start, reason, voxels, iterations))

    def _may_go_on(self, places: Sequence[NDArray[np.intp]]) -> bool:
        """Whether an object comes within half a field of view of a side beyond which the field goes on."""
        for along, sides, margin, length in zip(
            places, self._open, self.settings.margin, self.image.shape, strict=True
        ):
            if (sides[0] and along.min() < margin) or (sides[1] and along.max() >= length - margin):
                return True
        return False


def within(seeds: NDArray[np.integer[Any]], shape: tuple[int, ...], margin: Triple) -> NDArray[np.int64]:
    """The seeds (n, 3) around which a field of view fits into an array, in their order."""
    found = np.asarray(seeds, np.int64).reshape(-1, 3)
    low, high = np.array(margin), np.array(shape) - margin
    return found[((found >= low) & (found < high)).all(axis=1)]
