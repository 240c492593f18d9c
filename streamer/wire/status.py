"""The records that say how a run stands: its chunks, its parts, its objects.

They travel as MessagePack in the payloads of ``Status`` and ``Table`` (``streamer.wire.messages``), and as JSON
to browsers and scripts.
"""

from __future__ import annotations

import msgspec

PENDING, LEASED, COMMITTED, FAILED = range(4)
"""The states of a chunk, as the bytes of Status and the values of the store's ``chunk_state``."""


class Part(msgspec.Struct, frozen=True):
    """A process that takes part in the run, as the streamer sees it."""

    name: str
    role: str
    done: int
    """Workers: chunks committed.  Subscribers: the number of the next entry it has not read."""
    total: int
    """Workers: leases held.  Subscribers: the head of the log."""
    rate_per_s: float = 0.0
    eta_s: float | None = None


class RunStatus(msgspec.Struct, frozen=True):
    """How a run stands."""

    run_id: str
    state: str
    """``waiting`` for its start, ``running``, ``paused``, ``complete`` or ``cancelled``."""
    chunks: int
    committed: int
    leased: int
    failed: int
    voxels: int
    voxels_done: int
    labelled_voxels: int
    objects: int
    """Objects that are kept or not yet judged."""
    seconds: float
    """Since the start; stands still once the run has ended."""
    voxels_per_second: float
    eta_s: float | None
    log_position: int
    log_bytes: int
    parts: tuple[Part, ...] = ()
    failures: dict[int, str] = {}
    """The first hundred failed chunks, and why."""
    note: str = ""
    """What the run waits for, in a sentence (a full disk); empty if all is well."""


class LifeStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step along axis 0 in the life of an object."""

    step: int
    voxels: int
    area_km2: float | None
    mean: float
    max: float
    y: float
    """Centroid, in axis 1's units (degrees north on the sphere)."""
    x: float
    time: str | None = None
    """ISO 8601 in the data's calendar, where axis 0 is time; told over HTTP alone."""


class ObjectRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """An object and its totals.  Units: the volume's, km², hours."""

    id: int
    first_step: int
    last_step: int
    lifetime_h: float | None
    voxels: int
    mean: float
    max: float
    footprint_km2: float | None
    area_time_km2_h: float | None
    y: float
    x: float
    y_range: tuple[int, int]
    """First and last voxel along axis 1."""
    x_range: tuple[int, int]
    """First and last voxel along axis 2; first > last where the object crosses a periodic seam."""
    touches_edge: bool
    """Whether it reaches an end where the volume was cut off, so that it may go on beyond."""
    final: bool
    """Whether no pending chunk can touch it any more."""
    first_time: str | None = None
    """Of the first step, ISO 8601 in the data's calendar, where axis 0 is time; told over HTTP alone."""
    last_time: str | None = None


MOST_COURSES = 64
"""Objects whose courses are told at once."""
COURSE_POINTS = 32


class Course(msgspec.Struct, frozen=True):
    """An object's life in few points, for a small chart: evenly from its first to its last step, 32 at most."""

    id: int
    first_step: int
    last_step: int
    size: tuple[float, ...]
    """The mean area in km² of the steps that a point stands for; voxels where the volume is not on the sphere."""
    mean: tuple[float, ...]
    """The mean value of its voxels, likewise."""


class ObjectPage(msgspec.Struct, frozen=True):
    """Some of the objects, and how many there are."""

    total: int
    objects: tuple[ObjectRow, ...]
    life: tuple[LifeStep, ...] = ()
