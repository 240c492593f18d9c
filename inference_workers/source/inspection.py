"""Looking at an input: from an address to the volume, the grid, and what a user should know.

The first file decides what the volume is; of further files only the headers are read, one after another,
and each must agree with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from inference_workers.samples import SAMPLES
from inference_workers.source import axes, cf, choose, extent, joined, scan
from inference_workers.source.address import Address, resolve
from inference_workers.source.opened import OpenVolume, open_path, open_volume
from inference_workers.source.pieces import periodic_axes
from inference_workers.source.records import (
    Header,
    InputError,
    Inspection,
    InspectRequest,
    OpenFile,
    SeveralVariables,
    VariableFacts,
)
from streamer.wire.grid import Box, Grid, Triple, suggest_chunk
from streamer.wire.volume import Axis, Parameter, Source, Volume

Progress = Callable[[int, int], None]
_PREFERRED = tuple(dict.fromkeys(sample.variable for sample in SAMPLES))
_LOOK_BYTES = 1 << 24
"""How much of a volume of bytes is read to see whether it is a mask."""
TRANSPORT_THRESHOLD = 500.0
"""kg m⁻¹ s⁻¹: what the literature asks of the core of a strong atmospheric river, and the paper of its runs."""


class _Found(NamedTuple):
    facts: VariableFacts
    dims: tuple[cf.Dimension, cf.Dimension, cf.Dimension]
    axes: tuple[Axis, Axis, Axis]
    plan: joined.Plan
    hints: dict[str, str]
    notes: list[str]


def inspect(request: InspectRequest, progress: Progress | None = None) -> Inspection:
    """See ``inference_workers.source.inspect``."""
    _check_request(request)
    address = resolve(request.input)
    variable = request.variable or (address.sample.variable if address.sample else None)
    first = open_path(address.files[0], variable)
    try:
        found = _look(request, address, variable, first, progress)
        volume = _volume(address, first.header, found)
        opened = open_volume(volume, found.facts.name, found.plan, _first_of(found.plan, address, first, variable))
    except BaseException:
        first.close()
        raise
    with opened:
        suggested = _suggest(address, found.facts, volume, opened)
        ends = _range(found, volume, opened) if request.with_range else None
    chunk = request.chunk or suggest_chunk(volume.shape)
    if any(c > n for c, n in zip(chunk, volume.shape, strict=True)):
        raise InputError(
            f"The chunk {_times(chunk)} is larger than the volume {_times(volume.shape)}: "
            f"give one that fits, such as --chunk {','.join(map(str, suggest_chunk(volume.shape)))}."
        )
    return Inspection(
        source=Source(address.text, found.facts.name, request.spacing, found.hints),
        volume=volume,
        grid=Grid(volume.shape, chunk, periodic_axes(volume)),
        notes=tuple(found.notes),
        suggested=suggested,
        title=volume.title,
        field_range=ends,
        variables=_variables(first.header, found.facts),
    )


def _variables(header: Header, taken: VariableFacts) -> tuple[str, ...]:
    """What could be segmented of a file.  One that lies in a group is not looked for beside others."""
    names = tuple(v.name for v in choose.candidates(header))
    return names if taken.name in names else (taken.name, *names)


def _check_request(request: InspectRequest) -> None:
    if request.chunk is not None and min(request.chunk) < 1:
        raise InputError(f"The chunk {_times(request.chunk)} has a side below 1: give three positive numbers.")
    if request.spacing is not None and not all(np.isfinite(s) and s > 0 for s in request.spacing):
        raise InputError(f"The spacing {request.spacing} is not three positive numbers: give it as Z,Y,X.")


def _look(
    request: InspectRequest, address: Address, variable: str | None, first: OpenFile, progress: Progress | None
) -> _Found:
    header = first.header
    if variable is None and not choose.candidates(header):
        _say_groups(address)
    facts, chosen = choose.choose(header, variable, _PREFERRED)
    choose.check(header, facts)
    three = cf.keep_three(header, facts)
    assert three is not None, "choose.check has seen to it"
    kept, dropped = three
    cf.refuse_curvilinear(header, facts, kept)
    dims = cf.in_order(kept, header.where)
    notes = list(chosen)
    if dropped:
        notes.append(f"Of size 1 and left out: {', '.join(dropped)}.")
    in_file = [d.name for d in kept]
    if in_file != [d.name for d in dims]:
        notes.append(f"The file's order ({', '.join(in_file)}) is read as ({', '.join(d.name for d in dims)}).")
    wishes = _wishes(request, dims, header.where)
    drawn: list[axes.Drawn] = []
    plan, hints = joined.Plan(address.files, (dims[0].size,)), {}
    if address.joined:
        together = scan.join_files(address, facts, dims, progress)
        plan, hints = together.plan, together.hints
        notes += together.notes
        drawn.append(axes.draw_time(address.text, dims[0], together.points, together.bounds, wishes[0]))
    for d, wish in zip(dims[len(drawn) :], wishes[len(drawn) :], strict=True):
        drawn.append(axes.draw(header, first.values, d, wish))
    for each in drawn:
        notes += each.notes
    if request.spacing is None and all(d.coordinate is None for d in dims):
        notes.append("The file has no coordinates; voxels are counted as 1 × 1 × 1 (--spacing Z,Y,X sets their size).")
    z, y, x = (each.axis for each in drawn)
    return _Found(facts, dims, (z, y, x), plan, hints, notes)


def _say_groups(address: Address) -> None:
    """Raises SeveralVariables if a file without a volume at its root has some in its groups."""
    from inference_workers.source.address import format_of
    from inference_workers.source.engine_xarray import groups_with_arrays

    inside = groups_with_arrays(address.files[0], format_of(address.files[0]))
    if inside:
        raise SeveralVariables(
            f"{address.label} keeps its arrays in groups: name one with --variable ({', '.join(inside)}).",
            tuple(inside),
        )


def _wishes(request: InspectRequest, dims: Sequence[cf.Dimension], where: str) -> list[axes.Wish]:
    """What the user wants of each axis.  Raises InputError."""
    word = request.periodic.strip()
    spacing = request.spacing or (None, None, None)
    if word in ("auto", "none"):
        return [axes.Wish(None if word == "auto" else False, s) for s in spacing]
    named = [i for i, d in enumerate(dims) if word in (d.name, str(i)) or (word == d.kind and word != "other")]
    if not named:
        raise InputError(
            f"{where} has no axis {word!r} to be periodic: its axes are {', '.join(d.name for d in dims)} "
            "(or 0, 1, 2; or auto, or none)."
        )
    wishes = [axes.Wish(True if i == named[0] else None, s) for i, s in enumerate(spacing)]
    return wishes


def _first_of(plan: joined.Plan, address: Address, first: OpenFile, variable: str | None) -> OpenFile:
    """The plan's first file, which by time need not be the first by name."""
    if plan.paths[0] == address.files[0]:
        return first
    first.close()
    return open_path(plan.paths[0], variable)


def _volume(address: Address, header: Header, found: _Found) -> Volume:
    facts, sample = found.facts, address.sample
    long_name = plain(facts.text("long_name") or facts.text("standard_name").replace("_", " "))

    def said(*names: str) -> list[str]:
        return [text.strip() for name in names if isinstance(text := header.attributes.get(name), str) and text.strip()]

    if sample is not None and facts.name == sample.variable:
        title = sample.title
    elif sample is not None:
        title = f"{sample.title}: {long_name or facts.name}"
    else:
        own = address.label if address.label.startswith(facts.name) else f"{long_name or facts.name}, {address.label}"
        title = next(iter(said("title")), own)
    told = said("source", "institution", "references", "license", "licence")
    return Volume(
        variable=facts.name,
        axes=found.axes,
        units=plain(facts.text("units")),
        long_name=long_name,
        title=plain(title),
        provenance=sample.provenance if sample is not None else plain("; ".join(dict.fromkeys(told)), 500),
    )


def _suggest(address: Address, facts: VariableFacts, volume: Volume, opened: OpenVolume) -> dict[str, Parameter]:
    """A threshold, where there is one that needs no guessing."""
    if address.sample is not None and facts.name == address.sample.variable:
        return {"threshold": address.sample.threshold}
    if is_transport(volume.units):
        return {"threshold": TRANSPORT_THRESHOLD}
    if facts.stored.kind == "b" or (
        facts.stored.kind in "iu" and facts.stored.itemsize == 1 and _looks_like_mask(opened, volume)
    ):
        return {"threshold": 1.0}
    return {}


def _range(found: _Found, volume: Volume, opened: OpenVolume) -> tuple[float, float]:
    """The range of the field; notes where it is from."""
    facts = found.facts
    # Of several files only the first one's attributes are known.
    packed = facts.stored.kind != facts.dtype.kind
    said = extent.stated(facts.attributes, packed) if len(found.plan.paths) == 1 else None
    ends, source = extent.settle(said, extent.seen(opened.read(box) for box in extent.sample(volume.shape)))
    found.notes.append(
        f"The field is drawn between {ends[0]:g} and {ends[1]:g} {volume.units}".rstrip() + f", {source}."
    )
    return ends


def _looks_like_mask(opened: OpenVolume, volume: Volume) -> bool:
    """Whether the first, the middle and the last step hold zeros and ones only."""
    nz, ny, nx = volume.shape
    rows = max(1, min(ny, _LOOK_BYTES // (nx * 4)))
    for z in sorted({0, nz // 2, nz - 1}):
        data = opened.read(Box((z, 0, 0), (z + 1, rows, nx)))
        if not np.isin(data[np.isfinite(data)], (0, 1)).all():
            return False
    return True


def is_transport(units: str) -> bool:
    """Whether units are kg m⁻¹ s⁻¹, however they are written."""
    plain = re.sub(r"\*\*|\^|[\s·.*()]", "", units.lower().replace("⁻¹", "-1"))
    return plain in ("kgm-1s-1", "kgs-1m-1", "kg/m/s", "kg/s/m", "kg/ms")


def plain(text: str, longest: int = 200) -> str:
    """A file's words as they may be shown: one line, nothing that a terminal would obey, and not endless."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _times(triple: Triple) -> str:
    return " × ".join(str(n) for n in triple)
