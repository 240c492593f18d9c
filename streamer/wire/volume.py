"""What a run works on: the volume with its axes, and the specification that every part receives.

These records travel as MessagePack (welcome messages) and lie as JSON in the run's folder.  Arrays in
them are little-endian float64 bytes, so that they mean the same everywhere and compare bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamer.wire.block import EXTRA
from streamer.wire.grid import Grid, Triple

Floats = NDArray[np.float64]
AxisKind = Literal["time", "latitude", "longitude", "other"]
Joins = Literal["voxel", "overlap"]
Parameter = bool | int | float | str | None


class Axis(msgspec.Struct, frozen=True):
    """One dimension of the volume: where its voxels are, and how wide they are."""

    name: str
    """The dimension's name in the file."""
    kind: AxisKind
    raw_points: bytes
    """Voxel centres, float64; for time: in ``units`` (such as "hours since 1959-01-02") of ``calendar``."""
    raw_widths: bytes
    """Voxel widths, float64, > 0: in ``units``; for time in hours."""
    units: str = ""
    calendar: str = ""
    long_name: str = ""
    attributes: dict[str, str] = {}
    """Further text attributes of the coordinate, kept for the store."""
    open_ends: tuple[bool, bool] = (True, True)
    """Whether the volume is cut off at the low and at the high end (not at a pole, not where it closes)."""

    @property
    def points(self) -> Floats:
        """Voxel centres, shape (n,)."""
        return np.frombuffer(self.raw_points, "<f8")

    @property
    def widths(self) -> Floats:
        """Voxel widths, shape (n,)."""
        return np.frombuffer(self.raw_widths, "<f8")

    def __len__(self) -> int:
        return len(self.raw_points) // 8


def floats(values: Sequence[float] | NDArray[np.floating]) -> bytes:
    """Numbers as the bytes that an Axis keeps."""
    return np.ascontiguousarray(values, "<f8").tobytes()


class Volume(msgspec.Struct, frozen=True):
    """The array that a run segments, described; its voxels stay where they are."""

    variable: str
    axes: tuple[Axis, Axis, Axis]
    units: str = ""
    long_name: str = ""
    title: str = ""
    """What to call it where it is shown; says so if it is a simulation."""
    provenance: str = ""
    """Source and licence, in a sentence."""

    @property
    def shape(self) -> Triple:
        """Voxels along (z, y, x)."""
        z, y, x = self.axes
        return len(z), len(y), len(x)

    @property
    def on_sphere(self) -> bool:
        """Whether axis 1 is latitude and axis 2 longitude, so that cells have an area in km²."""
        return self.axes[1].kind == "latitude" and self.axes[2].kind == "longitude"

    @property
    def has_time(self) -> bool:
        """Whether axis 0 is time, so that objects have a lifetime in hours."""
        return self.axes[0].kind == "time"


class Source(msgspec.Struct, frozen=True):
    """Where the voxels are read from; enough for a worker on another machine to open it again."""

    address: str
    """A path, a glob or a URL, absolute."""
    variable: str
    spacing: tuple[float, float, float] | None = None
    """Voxel size in (z, y, x), for files that carry no coordinates (.npy)."""
    coordinates: dict[str, str] = {}
    """Reserved for later hints to the reader, such as a dimension's kind."""


class Keep(msgspec.Struct, frozen=True):
    """Which finished objects stay.  Judged only when no pending chunk can touch an object any more."""

    min_duration_h: float = 0.0
    """Shortest lifetime in hours, first to last time step, both included; 0 keeps all."""
    core_threshold: float | None = None
    """The maximum of the field that an object must reach; None keeps all."""
    min_voxels: int = 0
    """Least voxels of an object, over all its chunks; 0 keeps all."""

    @property
    def everything(self) -> bool:
        """Whether no filter is set."""
        return self.min_duration_h <= 0 and self.core_threshold is None and self.min_voxels <= 1


class RunSpec(msgspec.Struct, frozen=True):
    """All that a part needs to know of a run."""

    run_id: str
    source: Source
    volume: Volume
    grid: Grid
    segmenter: str
    parameters: dict[str, Parameter] = {}
    """What the segmenter was asked for, by its own names (``connect``: threshold, connectivity)."""
    keep: Keep = Keep()
    created: str = ""
    """ISO 8601, UTC."""
    layers: tuple[str, ...] = ()
    """Parts that chunks carry besides those that all do: some of ``block.EXTRA``, in that order."""
    field_range: tuple[float, float] | None = None
    """The ends between which the layer ``field`` is quantised; needed if there is one."""
    joins: Joins = "voxel"
    """When labels of two chunks are one: where both label the same voxel, or where they overlap enough."""

    def __post_init__(self) -> None:
        if self.layers != tuple(name for name in EXTRA if name in self.layers):
            raise ValueError(f"the layers {self.layers} are not some of {EXTRA}, in that order")
        if self.field_range is not None:
            low, high = self.field_range
            if not (low < high and 0 < high - low < inf):
                raise ValueError(f"the field's range {self.field_range} is not a lower and a higher number")
        elif "field" in self.layers:
            raise ValueError("the layer field needs a range, one for the whole run")
        if self.grid.shape != self.volume.shape:
            raise ValueError(f"the grid is for {self.grid.shape}, the volume has {self.volume.shape}")


def encode_spec(spec: RunSpec) -> bytes:
    """A run's specification as MessagePack."""
    return msgspec.msgpack.encode(spec)


def decode_spec(raw: bytes | memoryview) -> RunSpec:
    """The specification of a run.  Raises msgspec.ValidationError if it is not one."""
    return msgspec.msgpack.decode(raw, type=RunSpec)
