"""What a run is made of, before anything of it runs: what was asked for, and what was found in the input.

A booking is written down before the first process is started, and everything else follows from it: the record that
people see, the plan of the parts, the specification that the streamer reads.  So a control plane that was ended makes
the same run of it again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from streamer.archive.calendar import iso_times
from streamer.control import runs
from streamer.control.access.people import DEFAULT
from streamer.control.onwall import OnWall
from streamer.control.parts import Kept, Plan, RelayPlan
from streamer.control.runs import Run
from streamer.control.schema import RunRequest
from streamer.wire.grid import Grid, Triple
from streamer.wire.volume import Axis, AxisKind, Joins, Keep, Parameter, RunSpec, Source, Volume


class Inspection(msgspec.Struct, frozen=True):
    """What ``cavecast inspect --json`` prints."""

    source: Source
    volume: Volume
    grid: Grid
    notes: tuple[str, ...] = ()
    suggested: dict[str, Parameter] = {}
    parameters: dict[str, Parameter] = {}
    title: str = ""
    field_range: tuple[float, float] | None = None
    joins: Joins = "voxel"
    min_voxels: int = 0
    variables: tuple[str, ...] = ()


class Choice(msgspec.Struct, frozen=True):
    """What ``cavecast inspect --json`` prints when a variable has to be named."""

    variables: tuple[str, ...] = ()


class Dimension(msgspec.Struct, frozen=True):
    """One axis of a volume, as people are told of it."""

    name: str
    kind: AxisKind
    size: int
    units: str
    first: float
    """Centre of the first voxel, in ``units``."""
    last: float
    spacing: float
    """The median distance of neighbouring centres; a voxel's width where there is one only."""
    periodic: bool
    calendar: str = ""
    first_time: str = ""
    """ISO 8601, where the axis is time."""
    last_time: str = ""


class Dataset(msgspec.Struct, frozen=True):
    """What an input holds, and how it would be cut."""

    title: str
    provenance: str
    address: str
    variable: str
    long_name: str
    units: str
    dimensions: tuple[Dimension, Dimension, Dimension]
    """Along (z, y, x)."""
    voxels: int
    on_sphere: bool
    chunk: Triple
    """Suggested, or as asked for."""
    counts: Triple
    """Chunks along (z, y, x)."""
    suggested: dict[str, Parameter]
    """Parameters of a segmenter that the data suggest."""
    notes: tuple[str, ...]
    variables: tuple[str, ...] = ()
    """What could be segmented of the input, `variable` among it; of several files, of the first."""


def described(found: Inspection) -> Dataset:
    """An inspection in words and numbers."""
    volume, grid = found.volume, found.grid
    z, y, x = (
        _dimension(axis, periodic) for axis, periodic in zip(volume.axes, grid.periodic, strict=True)
    )  # fmt: skip
    return Dataset(
        title=found.title or volume.title, provenance=volume.provenance, address=found.source.address,
        variable=volume.variable, long_name=volume.long_name, units=volume.units, dimensions=(z, y, x),
        voxels=grid.voxels, on_sphere=volume.on_sphere, chunk=grid.chunk, counts=grid.counts,
        suggested=found.suggested, notes=found.notes, variables=found.variables or (volume.variable,),
    )  # fmt: skip


def _dimension(axis: Axis, periodic: bool) -> Dimension:
    points = axis.points
    spacing = float(np.median(np.abs(np.diff(points)))) if len(axis) > 1 else float(axis.widths[0])
    times = iso_times(axis) if axis.kind == "time" else [""]
    return Dimension(
        axis.name, axis.kind, len(axis), axis.units, float(points[0]), float(points[-1]), spacing, periodic,
        axis.calendar, times[0], times[-1],
    )  # fmt: skip


class Booking(msgspec.Struct, frozen=True):
    """One run as it was asked for, complete."""

    spec: RunSpec
    asked: dict[str, Any]
    """The request as it came (``RunRequest``), without what it left to us."""
    workers: int
    title: str
    notes: tuple[str, ...] = ()
    """What the reader of the input had to say."""
    project: str = DEFAULT
    """Whose it is."""
    gpus: int = 0
    """Of each worker."""

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.spec.run_id

    @property
    def request(self) -> RunRequest:
        """The request again."""
        return RunRequest.model_validate(self.asked)


def book(
    request: RunRequest,
    found: Inspection,
    workers: int,
    run_id: str,
    created: str,
    project: str = DEFAULT,
    gpus: int = 0,
) -> Booking:
    """A booking.  ``created`` is ISO 8601, UTC."""
    spec = RunSpec(
        run_id=run_id,
        source=found.source,
        volume=found.volume,
        grid=found.grid,
        segmenter=request.segmenter,
        parameters=found.parameters,
        keep=Keep(request.min_duration_h, request.core_threshold, found.min_voxels),
        created=created,
        layers=request.in_order,
        field_range=request.field_range or found.field_range,
        joins=found.joins,
    )
    title = found.title or found.volume.title or Path(request.input).name
    asked = request.model_dump(mode="json", exclude_unset=True)
    return Booking(spec, asked, workers, title, found.notes, project, gpus)


def record(booking: Booking) -> Run:
    """The run as people see it, before anything is known of its course."""
    request, spec = booking.request, booking.spec
    z, y, x = spec.volume.axes
    return Run(
        run_id=spec.run_id,
        project=booking.project,
        remarks=booking.notes,
        title=booking.title,
        created=spec.created,
        input=request.input,
        variable=spec.volume.variable,
        units=spec.volume.units,
        segmenter=spec.segmenter,
        parameters=spec.parameters,
        keep=spec.keep,
        workers=booking.workers,
        gpus=booking.gpus,
        pace_s=request.pace_s,
        shape=spec.grid.shape,
        chunk=spec.grid.chunk,
        counts=spec.grid.counts,
        periodic=spec.grid.periodic,
        dims=(z.name, y.name, x.name),
        on_sphere=spec.volume.on_sphere,
        has_time=spec.volume.has_time,
        y_descending=bool(y.points[0] > y.points[-1]),
        status=runs.not_begun(spec.run_id, spec.grid),
        view_url=f"/view/{spec.run_id}" if request.view else None,
        out=request.out,
        walls=tuple(OnWall(name=name) for name in dict.fromkeys(request.walls)),
    )


def plan(booking: Booking, folder: Path, keys: Path | None) -> Plan:
    """What is to be started for it, with its log and sockets in ``folder``; ``keys`` is the folder of its keys."""
    request = booking.request
    return Plan(
        folder=folder,
        workers=booking.workers,
        view=request.view,
        out=request.out,
        hold=request.start == "first_viewer",
        pace_s=request.pace_s,
        relays=tuple(RelayPlan(one.name, one.of or "", one.durability or request.durability) for one in request.relays),
        behind=request.behind or "",
        keys=keys,
        kept=Kept(request.durability, request.retain_gb, request.shard),
    )


def listening(booking: Booking) -> Mapping[str, str]:
    """The addresses at which relays were asked to listen, by the names of their parts."""
    return {f"relay-{one.name}": one.listen for one in booking.request.relays if one.listen}


def slug(source: str) -> str:
    """The beginning of a run's name: what its input is called, in small letters, digits and hyphens."""
    name = re.split(r"[/:\\]", source.rstrip("/*"))[-1].split(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:20] or "run"
