"""Volumes of labels to be compared: a store of CaveCast, any file with labels, or a field and a threshold.

Labels of files are read a slab at a time.  Those of a threshold are made once for the whole volume, as an
object may go through all of it, and take five bytes per voxel while they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.components import connected, lasting
from inference_workers.source import InputError, InspectRequest, inspect, open_source, times
from inference_workers.source.address import resolve
from inference_workers.source.opened import OpenVolume, open_path
from streamer.wire.grid import Box
from streamer.wire.volume import Axis, Volume

Labels = NDArray[np.int64]
SLAB_VOXELS = 1 << 22
EXACT = 1 << 53
"""Whole numbers below this are exact in float64, in which voxels are read."""


class Store(msgspec.Struct, frozen=True):
    """What a store of CaveCast says of its run."""

    segmenter: str = ""
    parameters: dict[str, Any] = {}
    source: str = ""
    state: str = ""


class Labelled(Protocol):
    """Labels of a volume; 0 is background, negative where nobody said anything."""

    @property
    def volume(self) -> Volume:
        """What is labelled."""

    @property
    def words(self) -> str:
        """What it is, for people."""

    @property
    def store(self) -> Store | None:
        """The store of CaveCast that it is from."""

    def read(self, first: int, stop: int) -> Labels:
        """Those of steps ``first`` … ``stop`` − 1, (z, y, x).  Raises InputError."""


class Held(NamedTuple):
    """Labels in memory."""

    volume: Volume
    words: str
    labels: NDArray[np.integer[Any]]
    store: Store | None = None

    def read(self, first: int, stop: int) -> Labels:
        """See Labelled."""
        return self.labels[first:stop].astype(np.int64)


class Stored:
    """Labels in a file or store; objects of ``dropped`` ids are background."""

    def __init__(self, volume: Volume, words: str, opened: OpenVolume, store: Store | None) -> None:
        self.volume, self.words, self.store = volume, words, store
        self._opened = opened
        self._dropped: NDArray[np.int64] = np.empty(0, np.int64)

    def read(self, first: int, stop: int) -> Labels:
        """See Labelled."""
        _, ny, nx = self.volume.shape
        read = self._opened.read(Box((first, 0, 0), (stop, ny, nx)))
        known = np.isfinite(read)
        plain = np.where(known, read, -1)
        labels = plain.astype(np.int64)
        if (labels != plain).any():
            odd = plain[labels != plain].flat[0]
            raise InputError(
                f"{self.words} holds {odd:g}, so it is no volume of labels: if it is a field, say --connect THRESHOLD."
            )
        if labels.size and labels.max() >= EXACT:
            raise InputError(f"{self.words} has labels of 2^53 and more: number its objects anew, 1, 2, 3 ….")
        if len(self._dropped):
            labels[np.isin(labels, self._dropped)] = 0
        return labels

    def drop_short(self, hours: NDArray[np.float64], least_h: float) -> None:
        """From now on, objects that live shorter are background; ``hours``, (z,), is what each step lasts.  Reads all
        labels once."""
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for start, stop in slabs(self.volume):
            for z, plane in enumerate(self.read(start, stop), start):
                for name in np.unique(plane[plane > 0]).tolist():
                    first.setdefault(name, z)
                    last[name] = z
        until = np.concatenate(([0.0], np.cumsum(hours)))
        short = [n for n, z in first.items() if until[last[n] + 1] - until[z] < least_h * (1 - 1e-9)]
        self._dropped = np.array(sorted(short), np.int64)

    def close(self) -> None:
        """Closes the file."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_labels(text: str, variable: str | None = None) -> Stored:
    """A volume of labels by its address; of a store of CaveCast the variable ``labels``.  Raises InputError."""
    store = _store(text)
    if store is not None and variable is None:
        variable = "labels"
    found = inspect(InspectRequest(text, variable))
    words = f"{found.source.address} ({found.volume.variable})"
    return Stored(found.volume, words, open_source(found.source, found.volume), store)


def components_of(
    text: str, variable: str | None, threshold: float, connectivity: int = 26, min_duration_h: float = 0.0
) -> Held:
    """Connected components of ``field ≥ threshold`` of the whole volume, those that live long enough; −1 where the
    field is no number.  Raises InputError."""
    found = inspect(InspectRequest(text, variable))
    volume, belongs = found.volume, np.empty(found.volume.shape, np.bool_)
    unknown = np.zeros(volume.shape, np.bool_)
    with open_source(found.source, volume) as opened:
        for start, stop in slabs(volume):
            field = opened.read(Box((start, 0, 0), (stop, *volume.shape[1:])))
            belongs[start:stop] = field >= threshold
            unknown[start:stop] = ~np.isfinite(field)
    labels = connected(belongs, connectivity, found.grid.periodic)
    if volume.has_time:
        labels = lasting(labels, volume.axes[0].widths, min_duration_h)
    made = labels.astype(np.int32)
    made[unknown] = -1
    words = f"{found.source.address} ({volume.variable}), connected ≥ {threshold:g} {volume.units}".rstrip()
    words += f", {connectivity} neighbours"
    if volume.has_time and min_duration_h > 0:
        words += f", at least {min_duration_h:g} h"
    return Held(volume, words, made)


def slabs(volume: Volume) -> Iterator[tuple[int, int]]:
    """The steps of a volume, so many at a time as are read at once."""
    nz, ny, nx = volume.shape
    size = max(1, SLAB_VOXELS // (ny * nx))
    for start in range(0, nz, size):
        yield start, min(start + size, nz)


def check_same(a: Labelled, b: Labelled) -> None:
    """Raises InputError, naming the axis, unless both are labels of the same voxels.  Axes without coordinates, as an
    ``.npy`` has them, agree with any of their length."""
    if a.volume.shape != b.volume.shape:
        one, other = (" × ".join(map(str, side.volume.shape)) for side in (a, b))
        raise InputError(f"{a.words} has {one} voxels and {b.words} has {other}: compare labels of the same volume.")
    for ours, theirs in zip(a.volume.axes, b.volume.axes, strict=True):
        if ours.kind == theirs.kind and (ours.kind != "other" or ours.name == theirs.name):
            _check_axis(ours, theirs, a.words, b.words)


def _check_axis(ours: Axis, theirs: Axis, a: str, b: str) -> None:
    here, there = ours.points, theirs.points
    if ours.kind == "time":
        if not times.same_dates(ours.calendar, ours.units, theirs.calendar, theirs.units, float(here.min())):
            raise InputError(f"{a} counts time in another calendar than {b}: compare labels of the same volume.")
        there = times.convert(there, theirs.units, ours.units, ours.calendar, b)
    apart = np.abs(here - there)
    if ours.kind == "longitude":
        apart = np.minimum(apart % 360, -apart % 360)
    width = ours.widths if ours.kind != "time" else np.full(len(here), _step(here))
    wrong = np.flatnonzero(apart > 0.01 * width)
    if len(wrong):
        i = int(wrong[0])
        raise InputError(
            f"{a} and {b} lie elsewhere: {ours.name} {i} is {_say(ours, here[i])} in the one and"
            f" {_say(ours, there[i])} in the other; compare labels of the same volume."
        )


def _step(points: NDArray[np.float64]) -> float:
    return float(np.median(np.abs(np.diff(points)))) if len(points) > 1 else 1.0


def _say(axis: Axis, point: float) -> str:
    return times.say(float(point), axis.units, axis.calendar) if axis.kind == "time" else f"{point:g}"


def _store(text: str) -> Store | None:
    """What a store of CaveCast says of itself; None if it is none."""
    address = resolve(text)
    if address.sample is not None or address.joined:
        return None
    file = open_path(address.files[0], None)
    try:
        told, variables = file.header.attributes, file.header.variables
    finally:
        file.close()
    if "cavecast_state" not in told or "labels" not in variables:
        return None
    try:
        parameters = msgspec.json.decode(str(told.get("parameters", "{}")), type=dict[str, Any])
    except msgspec.DecodeError:
        parameters = {}
    words = [str(told.get(name, "")) for name in ("segmenter", "source", "cavecast_state")]
    return Store(words[0], parameters, words[1], words[2])
