"""What a view means for one run: which kind of picture, which step, and what of the box is cut away.  Pure.

A view is shared by all who look together and knows nothing of the run; here it meets the run's axes.  What
cannot be shown as it was asked for (a globe of a tissue, a colour map that nobody has) becomes what comes
nearest, and a sentence that says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from renderers.geometry import Room
from streamer.wire.grid import Grid
from streamer.wire.viewing import MOST_PLANES, Mode, Placement, Plane, Vec3, View
from streamer.wire.volume import RunSpec

HOME = Placement()


class Staging(NamedTuple):
    """A view of a run."""

    mode: Mode
    step: int | None
    """The step of axis 0 that globe, map and slice show; None: the newest one with data."""
    last: int
    """The run's last step."""
    planes: tuple[Plane, ...]
    """What is cut away of the cube: the time window's ends first, then the view's own planes."""
    ends: tuple[float, float]
    """Between which shares of the run's range the field's colours run."""
    why: str
    """What is not as it was asked for, in sentences; empty if all is."""


def unplaced(view: View) -> View:
    """The view without where its scene stands in a room, which changes nothing of the scene."""
    return view if view.placement == HOME else msgspec.structs.replace(view, placement=HOME)


def staging(view: View, spec: RunSpec, room: Room) -> Staging:
    """What to draw of a run for a view."""
    whys: list[str] = []
    mode: Mode = view.mode
    if mode != "cube" and not spec.volume.on_sphere:
        whys.append(f"This run has no latitudes and longitudes, so there is no {mode}: it is shown as a cube.")
        mode = "cube"
    last = spec.grid.shape[0] - 1
    step = None if view.time is None else _within(view.time, 0, last)
    planes: list[Plane] = []
    if view.window is not None:
        first, final = sorted(view.window)
        if step is not None:
            step = _within(step, max(0.0, np.ceil(first)), min(last, np.floor(final)))
        planes += _slab(room, first, final)
    planes += view.planes[:MOST_PLANES]
    if view.field.draw != "off" and "field" not in spec.layers:
        whys.append("This run carries no layer field: start it with --layers field to see one.")
    return Staging(mode, step, last, tuple(planes), _ends(view, spec), " ".join(whys))


def shown_step(asked: Staging, window: tuple[float, float] | None, newest: int) -> int:
    """The step to show, when the newest one with data is known; within the time window."""
    if asked.step is not None:
        return asked.step
    if window is None:
        return newest
    first, final = sorted(window)
    return _within(newest, max(0.0, np.ceil(first)), min(asked.last, np.floor(final)))


def _within(step: float, low: float, high: float) -> int:
    return int(max(low, min(high, np.floor(step + 0.5)))) if low <= high else int(max(0.0, high))


def _slab(room: Room, first: float, final: float) -> list[Plane]:
    """The planes before the first and after the last step of a time window, both steps included."""
    ruler = room.rulers[2]
    low, high = sorted(ruler.at(np.array([first - 0.5, final + 0.5])).tolist())
    return [Plane((0.0, 0.0, low), (0.0, 0.0, 1.0)), Plane((0.0, 0.0, high), (0.0, 0.0, -1.0))]


def _ends(view: View, spec: RunSpec) -> tuple[float, float]:
    """The look's ends as shares of the range with which the field was quantised."""
    if spec.field_range is None:
        return 0.0, 1.0
    low, high = spec.field_range
    ends = [
        default if value is None else (value - low) / (high - low)
        for value, default in ((view.field.low, 0.0), (view.field.high, 1.0))
    ]
    return ends[0], ends[1]


def cuts(planes: Sequence[Plane], low: Vec3, high: Vec3) -> tuple[int, ...] | None:
    """Which of the planes cut a box, by their places in ``planes``; None if nothing of it is left."""
    found = []
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    for place, plane in enumerate(planes):
        away = (corners - plane.point) @ np.array(plane.normal)
        if away.max() < 0:
            return None
        if away.min() < 0:
            found.append(place)
    return tuple(found)


def middle_of(grid: Grid, room: Room, chunk: int) -> Vec3:
    """The middle (x, y, z) of a chunk in the room."""
    core = grid.core(chunk)
    z, y, x = ((start + stop - 1) / 2 for start, stop in zip(core.start, core.stop, strict=True))
    (at,) = room.points(np.array([[z, y, x]])).tolist()
    return at[0], at[1], at[2]


def box_of(grid: Grid, room: Room, chunk: int) -> tuple[Vec3, Vec3]:
    """The low and the high corner (x, y, z) of a chunk in the room, with all that its surface may reach."""
    core = grid.core(chunk)
    ends: NDArray[np.float64] = np.array([core.start, core.stop], float) + np.array([[-1.0], [1.0]])
    x, y, z = (tuple(sorted(ruler.at(ends[:, 2 - i]).tolist())) for i, ruler in enumerate(room.rulers))
    return (x[0], y[0], z[0]), (x[1], y[1], z[1])
