"""The arrays of a store and what is said of each: names, dimensions, attributes; see ``docs/store.md``.

``local`` and the layers hold the workers' payloads as they are, so their codecs are those of the wire:
``bytes`` and ``zstd``, in shards where a grid has many chunks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BytesCodec, ZstdCodec

from streamer.archive.shards import Shards
from streamer.archive.tables import axis_names, time_attributes, time_values
from streamer.wire.codec import LEVEL
from streamer.wire.layers import NOTHING, step_and_offset
from streamer.wire.status import COMMITTED, FAILED, LEASED, PENDING
from streamer.wire.volume import RunSpec, Volume

NOT_SEGMENTED = 0xFFFF_FFFF
"""``local`` where a chunk is pending or has failed; ``labels`` is −1 there."""
STATE, RUN, DIGEST = "cavecast_state", "run_id", "run_digest"
UNFINISHED = "unfinished"
LAYERS = ("field", "probability")
"""Layers that become arrays; ``labels1`` follows from ``local``."""


def kept_layers(spec: RunSpec) -> tuple[str, ...]:
    """The layers of a run that its store keeps."""
    return tuple(name for name in LAYERS if name in spec.layers)


def digest(spec: RunSpec) -> str:
    """Tells runs apart that share a name: from all of the specification that the store's bytes depend on."""
    import msgspec

    return hashlib.blake2b(msgspec.json.encode(spec), digest_size=16).hexdigest()


def create_arrays(group: Any, spec: RunSpec, shards: Shards) -> None:
    """All arrays but the tables; chunks and states are not written yet."""
    volume, grid, dims = spec.volume, spec.grid, axis_names(spec.volume)
    codecs = {"filters": None, "compressors": (ZstdCodec(level=LEVEL, checksum=False),)}
    common: dict[str, Any] = {
        "shape": grid.shape, "chunks": grid.chunk, "shards": None if shards.plain else shards.voxels,
        "dimension_names": dims, "overwrite": True, **codecs,
    }  # fmt: skip
    field = volume.long_name or volume.variable
    little = BytesCodec(endian="little")
    group.create_array(
        "local", dtype="uint32", fill_value=NOT_SEGMENTED, serializer=little, **common,
        attributes={"long_name": "labels within each chunk, as the workers sent them",
                    "comment": f"0 is background, {NOT_SEGMENTED} is not segmented"},
    )  # fmt: skip
    group.create_array(
        "labels", dtype="int64", fill_value=-1, serializer=little, **common,
        attributes={"long_name": f"objects in {field}",
                    "comment": "one object_id per object over the whole run; 0 is background, -1 is not segmented"},
    )  # fmt: skip
    for name in kept_layers(spec):
        group.create_array(name, dtype="uint8", fill_value=NOTHING, **common, attributes=_layer_attributes(name, spec))
    chunk_dims = [f"{name}_chunk" for name in dims]
    states = {
        "chunk_state": ("uint8", PENDING, {
            "long_name": "state of each chunk", "flag_values": [PENDING, LEASED, COMMITTED, FAILED],
            "flag_meanings": "pending leased committed failed"}),
        "chunk_crc32c": ("uint32", 0, {
            "long_name": "CRC-32C of each chunk's bytes in local",
            "comment": "as in the run's log; where a chunk has one label only, the log has no bytes"}),
        "chunk_labels": ("uint32", 0, {"long_name": "number of labels in each chunk's core: rows of local_object_id"}),
    }  # fmt: skip
    for name, (kind, empty, attributes) in states.items():
        group.create_array(
            name, shape=grid.counts, chunks=grid.counts, dtype=kind, fill_value=empty, dimension_names=chunk_dims,
            attributes=attributes, overwrite=True,
        )  # fmt: skip
    for name, axis in zip(dims, volume.axes, strict=True):
        values = time_values(axis, np.arange(len(axis))) if axis.kind == "time" else axis.points
        write_array(group, name, values, [name], _axis_attributes(volume, name))


def write_array(
    group: Any, name: str, values: NDArray[Any], dims: Sequence[str], attributes: Mapping[str, Any]
) -> None:
    """A small array in one chunk."""
    # An array needs a chunk of one at least, also where it has no rows.
    chunks = tuple(max(n, 1) for n in values.shape)
    made = group.create_array(
        name, shape=values.shape, chunks=chunks, dtype=values.dtype, dimension_names=dims,
        attributes=dict(attributes), overwrite=True,
    )  # fmt: skip
    if values.size:
        made[...] = values


def open_group(store: Any, attributes: Mapping[str, Any] | None = None) -> Any:
    """The group of a store; made with these attributes if there is none."""
    if attributes is None:
        return zarr.open_group(store, mode="r+", use_consolidated=False)
    # A new group is born with its attributes: were we ended between the two, we would not know it as ours.
    group = zarr.open_group(store, mode="a", zarr_format=3, use_consolidated=False, attributes=dict(attributes))
    group.attrs.put(dict(attributes))
    return group


def run_attributes(spec: RunSpec, software: str) -> dict[str, Any]:
    """What the store says of its run."""
    volume = spec.volume
    told = {
        "Conventions": "CF-1.11",
        "title": volume.title or f"Objects in {volume.long_name or volume.variable}",
        "provenance": volume.provenance,
        RUN: spec.run_id,
        DIGEST: digest(spec),
        "created": spec.created,
        "source": spec.source.address,
        "variable": spec.source.variable or volume.variable,
        "variable_units": volume.units,
        "segmenter": spec.segmenter,
        "parameters": json.dumps(spec.parameters, sort_keys=True),
        "min_duration_h": spec.keep.min_duration_h,
        "min_voxels": spec.keep.min_voxels,
        "periodic": " ".join(a.name for a, wraps in zip(volume.axes, spec.grid.periodic, strict=True) if wraps)
        or "none",
        "software": software,
    }
    if spec.keep.core_threshold is not None:
        told["core_threshold"] = spec.keep.core_threshold
    return {name: value for name, value in told.items() if value != ""}


def _layer_attributes(name: str, spec: RunSpec) -> dict[str, Any]:
    """CF's packing: xarray hands out physical values, NaN where there are none."""
    if name == "probability":
        # A byte q stands for the 255th of the way from 0 to 1 whose middle is (q − ½) / 255.
        return {"long_name": "certainty of the segmenter", "units": "1", "scale_factor": 1 / 255,
                "add_offset": -0.5 / 255, "_FillValue": _fill()}  # fmt: skip
    assert spec.field_range is not None, "a run with a field has a range"
    step, offset = step_and_offset(spec.field_range)
    volume = spec.volume
    told = {"long_name": volume.long_name or volume.variable, "units": volume.units, "scale_factor": step,
            "add_offset": offset, "_FillValue": _fill(),
            "comment": f"one byte per voxel; clipped to {spec.field_range[0]!r} … {spec.field_range[1]!r}"}  # fmt: skip
    return {key: value for key, value in told.items() if value != ""}


def _fill() -> Any:
    from xarray.backends.zarr import FillValueCoder

    return FillValueCoder.encode(NOTHING, np.dtype("uint8"))


_STANDARD = {"latitude": ("latitude", "Y"), "longitude": ("longitude", "X"), "time": ("time", "T")}


def _axis_attributes(volume: Volume, name: str) -> dict[str, str]:
    axis = volume.axes[axis_names(volume).index(name)]
    # Bounds and the like name variables of the input that the store does not have.
    foreign = ("bounds", "climatology", "_FillValue", "units", "calendar", "coordinates", "dtype")
    told = {key: value for key, value in axis.attributes.items() if key not in foreign}
    if axis.kind in _STANDARD:
        told["standard_name"], told["axis"] = _STANDARD[axis.kind]
    if axis.long_name:
        told["long_name"] = axis.long_name
    return told | (time_attributes(axis) if axis.kind == "time" else {"units": axis.units} if axis.units else {})
