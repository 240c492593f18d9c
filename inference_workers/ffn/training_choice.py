"""From what was typed to what is trained on: which steps, which region, what is set aside, how it is scaled.

Pure but for the scale, which looks at the field where it is learned from.  What does not fit is a
ValueError, in a sentence that names the option.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import cftime
import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.training import split
from inference_workers.source.times import epoch_text, hours_per_unit, say
from streamer.wire.grid import Box, Triple, triple
from streamer.wire.volume import Axis, Volume

Range = tuple[int, int]
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::?(\d\d))?)?Z?")


def box(volume: Volume, interval: str | None, region: str | None) -> Box:
    """The box of a volume that is learned from."""
    steps = between(volume.axes[0], interval, "--interval") if interval else (0, len(volume.axes[0]))
    rows, columns = (0, len(volume.axes[1])), (0, len(volume.axes[2]))
    if region:
        south, north, west, east = numbers("--region", region, 4)
        rows, columns = inside(volume.axes[1], south, north), inside(volume.axes[2], west, east)
    return Box((steps[0], rows[0], columns[0]), (steps[1], rows[1], columns[1]))


def parts(volume: Volume, box: Box, validation: str, least: int) -> tuple[list[Range], list[Range]]:
    """Ranges of axis 0, counted from the box's first, to learn from and to validate with."""
    length, start = box.shape[0], box.start[0]
    if ":" not in validation:
        (part,) = numbers("--validation", validation, 1)
        if not 0 < part < 1:
            raise ValueError(f"--validation is a share between 0 and 1, or steps A:B, not {validation}")
        return split(length, part, least)
    first, last = (n - start for n in between(volume.axes[0], validation, "--validation"))
    if not (0 <= first < last <= length):
        raise ValueError(f"--validation {validation} is not within the interval of steps {start}:{start + length}")
    learned = [(a, b) for a, b in ((0, first), (last, length)) if b > a]
    if not learned:
        raise ValueError(f"--validation {validation} is the whole interval: nothing is left to learn from")
    return learned, [(first, last)]


def between(axis: Axis, text: str, option: str) -> Range:
    """Steps ``A:B``: numbers (B not included), or dates (both included); either may be left out."""
    low, colon, high = _halves(text)
    if not colon:
        raise ValueError(f"{option} is A:B, two steps or two dates, not {text!r}")
    first = _step(axis, low, option, last=False) if low else 0
    stop = _step(axis, high, option, last=True) if high else len(axis)
    if not 0 <= first < stop <= len(axis):
        raise ValueError(f"{option} {text} holds no steps of 0:{len(axis)}")
    return first, stop


def _halves(text: str) -> tuple[str, str, str]:
    """A:B at the colon that is not one of a time of day."""
    for found in re.finditer(":", text):
        low, high = text[: found.start()].strip(), text[found.end() :].strip()
        if all(not half or half.isdecimal() or _DATE.fullmatch(half) for half in (low, high)):
            return low, ":", high
    return text, "", ""


def _step(axis: Axis, text: str, option: str, *, last: bool) -> int:
    if text.isdecimal():
        return int(text)
    dated = _DATE.fullmatch(text)
    unit_h, epoch = hours_per_unit(axis.units, axis.calendar), epoch_text(axis.units)
    if dated is None or axis.kind != "time" or unit_h is None or not epoch:
        raise ValueError(f"{option}: {text} is no step of the axis {axis.name}")
    year, month, day, hour, minute = (int(part or 0) for part in dated.groups())
    if last and dated[4] is None:
        hour, minute = 23, 59  # a day's end, if no time of day is given
    calendar = axis.calendar or "standard"
    date = cftime.datetime(year, month, day, hour, minute, calendar=calendar)
    point = float(cftime.date2num(date, f"hours since {epoch}", calendar)) / unit_h
    return int(np.searchsorted(axis.points, point, side="right" if last else "left"))


def inside(axis: Axis, low: float, high: float) -> Range:
    """The voxels of an axis from one value to another, both included; they may descend."""
    there = np.flatnonzero((axis.points >= low) & (axis.points <= high))
    if not len(there):
        ends = sorted((float(axis.points[0]), float(axis.points[-1])))
        raise ValueError(
            f"--region: {axis.name} goes from {ends[0]:g} to {ends[1]:g}, nothing is in {low:g} to {high:g}"
        )
    return int(there[0]), int(there[-1]) + 1


def degrees(volume: Volume, box: Box) -> tuple[float, float, float, float]:
    """South, north, west and east of a box's outermost voxels (low and high y and x)."""
    (_, rows, columns), (_, y, x), (_, y_stop, x_stop) = volume.axes, box.start, box.stop
    across, along = rows.points[y:y_stop], columns.points[x:x_stop]
    return float(across.min()), float(across.max()), float(along.min()), float(along.max())


def times(volume: Volume, box: Box) -> list[tuple[str, str]]:
    """First and last instant of a box, ISO 8601; empty where axis 0 is no time with an epoch."""
    axis = volume.axes[0]
    if axis.kind != "time" or not epoch_text(axis.units):
        return []
    first, last = (say(float(axis.points[i]), axis.units, axis.calendar) for i in (box.start[0], box.stop[0] - 1))
    return [(first.replace(" ", "T") + "Z", last.replace(" ", "T") + "Z")]


def scale(
    field: NDArray[np.floating], mean: float | None, std: float | None, threshold: float | None
) -> Sequence[float]:
    """Mean and deviation of a network's image: as given, else the threshold and half of what varies in ``field``."""
    known = field[np.isfinite(field)]
    if not len(known):
        raise ValueError("the field has no numbers where it would be learned from: look at it with cavecast inspect")
    if mean is None:
        # Where an object ends is what a network must see most finely: there its image is near 0.
        mean = threshold if threshold is not None else float(known.mean())
    if std is None:
        std = float(known.std()) or 1.0
    return mean, std


def mirrored(text: str) -> tuple[bool, bool, bool]:
    """Which axes may be mirrored, of ``xy`` or ``none``."""
    wanted = set(text.replace(",", "").replace(" ", "")) if text != "none" else set()
    if not wanted <= set("zyx"):
        raise ValueError(f"--mirror takes some of z, y and x, or none, not {text!r}")
    return "z" in wanted, "y" in wanted, "x" in wanted


def whole_triple(option: str, text: str) -> Triple:
    """Three whole numbers Z,Y,X."""
    try:
        return triple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{option} is three whole numbers Z,Y,X such as 9,17,17, not {text!r}") from None


def numbers(option: str, text: str, count: int) -> list[float]:
    """So many finite numbers, with commas between."""
    try:
        found = [float(part) for part in text.split(",")]
        if len(found) != count or not np.isfinite(found).all():
            raise ValueError
    except ValueError:
        what = "a number" if count == 1 else f"{count} numbers with commas between"
        raise ValueError(f"{option} is {what}, not {text!r}") from None
    return found


def settings(given: Sequence[str] | None) -> dict[str, str]:
    """Settings of the flood fill, of NAME=VALUE."""
    found = {}
    for one in given or ():
        name, is_, value = one.partition("=")
        if not is_:
            raise ValueError(f"--set takes NAME=VALUE, not {one!r}")
        found[name.strip()] = value.strip()
    return found
