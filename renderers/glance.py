"""What a viewer's page is told of how its own look meets the run: the step, what cannot be shown, the field.  Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from renderers.geometry import Room
from renderers.reading import Moment
from renderers.staging import shown_step, staging
from streamer.wire.layers import LEVELS, NOTHING
from streamer.wire.viewing import View
from streamer.wire.volume import RunSpec

BINS = 51
"""Of the histogram: each holds as many of the field's levels as any other."""


class Histogram:
    """How often the field has which value, of the chunks that have come."""

    def __init__(self) -> None:
        self._chunks: dict[int, NDArray[np.uint32]] = {}
        self._sum = np.zeros(BINS, np.int64)

    def put(self, chunk: int, field: NDArray[np.uint8]) -> None:
        """A chunk has come, perhaps anew; ``field``: bytes of any shape, 0 where there is nothing."""
        found = np.bincount(field.ravel(), minlength=256)
        levels = np.arange(256)
        held = np.where(levels == NOTHING, 0, found)
        place = np.minimum((levels - 1) * BINS // LEVELS, BINS - 1).clip(0)
        mine = np.bincount(place, held, BINS).astype(np.int64)
        before = self._chunks.get(chunk)
        self._sum += mine if before is None else mine - before.astype(np.int64)
        self._chunks[chunk] = mine.astype(np.uint32)

    def bars(self) -> list[int]:
        """(BINS,) from the low end of the run's range to the high one, the largest 100; empty without a field."""
        top = int(self._sum.max())
        return [] if top == 0 else np.ceil(100 * self._sum / top).astype(int).tolist()


def glance(view: View, spec: RunSpec, room: Room, newest: int, moment: Moment) -> dict[str, object]:
    """``text``: what is not as the look asks for, empty if all is; ``when``: the step of the time cursor."""
    asked = staging(view, spec, room)
    step = shown_step(asked, view.window, newest)
    axis = spec.volume.axes[0]
    value = float(axis.points[step])
    written = moment(axis.units, axis.calendar, value) if axis.kind == "time" else None
    words = written or f"{axis.long_name or axis.name} = {value:.6g} {axis.units}".rstrip()
    return {"text": asked.why, "when": {"step": step, "words": words, "newest": newest}}
