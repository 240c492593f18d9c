"""A row of a training's batch: an example, what has been made of it, and where its field of view goes next.

Every row holds an example of its own, a crop somewhat larger than the field of view, which looks at the
middle first.  What the network answers is written back and is what it sees the next time.  Then it goes on

``fixed``     to its 26 neighbours at one step, in random order, wherever the network itself has come to find the
              place likely;
``max_pred``  as in a flood fill: to the likeliest voxel of each face, first come first served, up to two steps
              from the middle, but never off the object that is to be learned.

Both are policies of the published implementation (Januszewski et al. 2018).  Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.moves import FaceMoves
from inference_workers.ffn.settings import logit
from inference_workers.ffn.training import Example, FloatArray, TrainingSettings
from streamer.wire.grid import Triple, triple

Where = tuple[slice, slice, slice]
ON_OBJECT = 0.9
"""What the target must be at a new centre for ``max_pred`` to go there."""


class Row:
    """One row of the batch.  Places are offsets from the example's middle, (z, y, x)."""

    def __init__(self, example: Example, settings: TrainingSettings) -> None:
        self.example = example
        self.canvas: FloatArray = np.full(settings.crop, logit(settings.flood.pad), np.float32)
        self.canvas[settings.radius] = logit(settings.flood.init)
        self._follows = settings.moves == "max_pred"
        self._deltas, self._centre, self._margin = settings.flood.deltas, settings.radius, settings.flood.margin
        self._faces = FaceMoves(settings.flood.fov, settings.flood.deltas)
        self._move = logit(settings.move)
        if self._follows:
            self._queue = deque([(0, 0, 0)])
        else:
            self._queue = deque(offsets(self._deltas, np.random.default_rng((settings.seed, 4, example.number))))
        self._been: set[Triple] = set()

    def box(self) -> Where | None:
        """The next field of view in the crop; None if there is none any more."""
        while self._queue:
            at = triple(c + o for c, o in zip(self._centre, self._queue[0], strict=True))
            if self._goes(self._queue[0], at):
                z, y, x = (slice(a - m, a + m + 1) for a, m in zip(at, self._margin, strict=True))
                return z, y, x
            self._queue.popleft()
        return None

    def put(self, box: Where, logits: FloatArray) -> None:
        """Writes back what the network said, and goes on."""
        self.canvas[box] = logits
        place = self._queue.popleft()
        if self._follows:
            self._been.add(self._key(place))
            found = self._faces(np.ascontiguousarray(logits), self._move)
            self._queue.extend(triple(p + o for p, o in zip(place, offset, strict=True)) for _, offset in found)

    def state(self) -> tuple[list[Triple], list[Triple]]:
        """Where it may still go, in order, and where it has been: with the canvas all that it goes on from."""
        return list(self._queue), sorted(self._been)

    def restore(self, canvas: FloatArray, queue: Sequence[Triple], been: Sequence[Triple]) -> None:
        """Goes on from a canvas and a ``state``."""
        self.canvas[...] = canvas
        self._queue, self._been = deque(queue), set(been)

    def _goes(self, place: Triple, at: Triple) -> bool:
        if not self._follows:
            return bool(self.canvas[at] >= self._move)
        reach = (2 * delta for delta in self._deltas)
        if any(abs(p) > most for p, most in zip(place, reach, strict=True)) or self._key(place) in self._been:
            return False
        if not self._been:
            return True  # the middle itself, of an object or not
        return bool(self.canvas[at] >= self._move and self.example.target[at] >= ON_OBJECT)

    def _key(self, place: Triple) -> Triple:
        """Places of one key are looked at once."""
        return triple((p + d // 2) // max(d, 1) for p, d in zip(place, self._deltas, strict=True))


def offsets(deltas: Triple, random: np.random.Generator) -> list[Triple]:
    """Where ``fixed`` goes: the middle, and then its 26 neighbours at one step in random order."""
    around = {triple(place) for place in product(*(sorted({-delta, 0, delta}) for delta in deltas))} - {(0, 0, 0)}
    found = sorted(around)
    return [(0, 0, 0), *(found[i] for i in random.permutation(len(found)).tolist())]


def as_arrays(rows: Sequence[Row]) -> dict[str, NDArray[np.generic]]:
    """All rows' states: ``canvas`` (row, z, y, x), ``queue`` and ``been`` (n, 4): number of the row, z, y, x."""
    states = [row.state() for row in rows]
    named = {}
    for side, name in enumerate(("queue", "been")):
        places = [(number, *place) for number, state in enumerate(states) for place in state[side]]
        named[name] = np.array(places, np.int32).reshape(-1, 4)
    return {"canvas": np.stack([row.canvas for row in rows]), **named}


def restore(rows: Sequence[Row], arrays: dict[str, NDArray[np.generic]]) -> None:
    """Puts rows of the same examples where they were.  Raises KeyError if something is missing."""
    canvases, queue, been = arrays["canvas"], arrays["queue"], arrays["been"]
    for number, row in enumerate(rows):
        mine = ([triple(place[1:]) for place in side.tolist() if place[0] == number] for side in (queue, been))
        row.restore(canvases[number], *mine)
