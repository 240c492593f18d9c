"""The Zarr v3 store of a run; the one module that knows zarr.

``local`` holds the chunks' labels exactly as the workers compressed them, so its bytes carry the log's
checksums.  ``labels`` is the same looked up: one id per object over the whole run.  Readers go by the
metadata in the group's one ``zarr.json``, which is replaced in one step: the object tables appear there
when all of them are written.  Until then the group says ``cavecast_state: unfinished``.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.buffer import default_buffer_prototype
from zarr.codecs import BytesCodec, ZstdCodec
from zarr.storage import LocalStore

from streamer.archive.tables import Column, axis_names, time_attributes, time_values
from streamer.wire.codec import LEVEL, Buffer, Labels, compress, crc32c, decode_labels, decompress
from streamer.wire.grid import Grid
from streamer.wire.messages import COMMITTED, FAILED, LEASED, PENDING, Refused
from streamer.wire.volume import RunSpec, Volume

NOT_SEGMENTED = 0xFFFF_FFFF
"""``local`` where a chunk is pending or has failed; ``labels`` is −1 there."""
UNFINISHED = "unfinished"
_STATE = "cavecast_state"


class ArchiveError(Exception):
    """What is wrong with the store or the feed, in a sentence; ``exit_code`` is 2 for wrong use, else 1."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def examine(path: Path, run_id: str = "") -> None:
    """Raises ArchiveError if something lies at ``path`` that may not be overwritten.

    Free are a path where nothing is, an empty folder, and an unfinished store (of ``run_id``, if one is given).
    """
    try:
        if not path.exists():
            if not os.access(next(parent for parent in path.absolute().parents if parent.exists()), os.W_OK):
                raise ArchiveError(f"{path} cannot be made: its folder is not writable; choose another --out", 2)
            return
        if path.is_dir() and all(child.suffix == ".partial" for child in path.iterdir()):
            return
        attributes = json.loads((path / "zarr.json").read_text("utf-8"))["attributes"]
        state, owner = attributes[_STATE], attributes["run_id"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ArchiveError(
            f"{path} exists and is no unfinished store of this run: remove it or choose another --out", 2
        ) from None
    if state != UNFINISHED:
        raise ArchiveError(f"{path} holds the {state} store of run {owner}: remove it or choose another --out", 2)
    if run_id and owner != run_id:
        raise ArchiveError(
            f"{path} holds the unfinished store of run {owner}, this is {run_id}: remove it or choose another --out", 2
        )


class Store:
    """A store that is being written.  Creating it starts over whatever an earlier process of the same run left."""

    def __init__(self, path: Path, spec: RunSpec, software: str) -> None:
        examine(path, spec.run_id)
        self.path, self.spec, self.grid = path, spec, spec.grid
        path.mkdir(parents=True, exist_ok=True)
        self._store = LocalStore(path)
        self._runner = asyncio.Runner()
        self._prototype = default_buffer_prototype()
        self._dims = axis_names(spec.volume)
        attributes = {**_attributes(spec, software), _STATE: UNFINISHED}
        # A new group is born with its attributes: were we ended between the two, we would not know it as ours.
        self._group = zarr.open_group(
            self._store, mode="a", zarr_format=3, use_consolidated=False, attributes=dict(attributes)
        )
        self._group.attrs.put(attributes)
        for child in list(path.iterdir()):
            if (child / "zarr.json").exists():
                shutil.rmtree(child)
            elif child.suffix in (".csv", ".new", ".partial"):
                child.unlink()
        self._create()
        self._consolidate()

    def close(self) -> None:
        """Lets go of the store."""
        self._runner.close()
        self._store.close()

    def _create(self) -> None:
        volume, grid = self.spec.volume, self.grid
        zstd = (ZstdCodec(level=LEVEL, checksum=False),)
        common: dict[str, Any] = {"shape": grid.shape, "chunks": grid.chunk, "filters": None, "compressors": zstd,
                                  "serializer": BytesCodec(endian="little"), "dimension_names": self._dims}  # fmt: skip
        self._group.create_array(
            "local", dtype="uint32", fill_value=NOT_SEGMENTED, **common,
            attributes={"long_name": "labels within each chunk, as the workers sent them",
                        "comment": f"0 is background, {NOT_SEGMENTED} is not segmented"},
        )  # fmt: skip
        self._group.create_array(
            "labels", dtype="int64", fill_value=-1, **common,
            attributes={"long_name": f"objects in {volume.long_name or volume.variable}",
                        "comment": "one object_id per object over the whole run; 0 is background, -1 is not segmented"},
        )  # fmt: skip
        self._states = self._group.create_array(
            "chunk_state", shape=grid.counts, chunks=grid.counts, dtype="uint8", fill_value=PENDING,
            dimension_names=[f"{name}_chunk" for name in self._dims],
            attributes={"long_name": "state of each chunk",
                        "flag_values": [PENDING, LEASED, COMMITTED, FAILED],
                        "flag_meanings": "pending leased committed failed"},
        )  # fmt: skip
        for name, axis in zip(self._dims, volume.axes, strict=True):
            values = time_values(axis, np.arange(len(axis))) if axis.kind == "time" else axis.points
            self._array(name, values, [name], _axis_attributes(volume, name))

    def _array(self, name: str, values: NDArray[Any], dims: Sequence[str], attributes: Mapping[str, Any]) -> None:
        # An array needs a chunk of one at least, also where it has no rows.
        chunks = tuple(max(n, 1) for n in values.shape)
        made = self._group.create_array(
            name, shape=values.shape, chunks=chunks, dtype=values.dtype, dimension_names=dims,
            attributes=dict(attributes), overwrite=True,
        )  # fmt: skip
        if values.size:
            made[...] = values

    def _consolidate(self) -> None:
        with catch_warnings():
            # Zarr's specification is to get consolidated metadata in its next version; xarray reads it already.
            simplefilter("ignore")
            zarr.consolidate_metadata(self._store)

    def _key(self, array: str, chunk: int) -> str:
        return "/".join((array, "c", *map(str, self.grid.index(chunk))))

    def _set(self, key: str, raw: Buffer) -> None:
        self._runner.run(self._store.set(key, self._prototype.buffer.from_bytes(bytes(raw))))

    def _get(self, key: str) -> bytes | None:
        found = self._runner.run(self._store.get(key, self._prototype))
        return None if found is None else bytes(found.to_bytes())

    def put_local(self, chunk: int, raw: Buffer, constant: int) -> None:
        """A chunk's labels: the payload unchanged, or a chunk of one label."""
        self._set(
            self._key("local", chunk), raw if constant < 0 else compress(np.full(self.grid.chunk, constant, "<u4"))
        )

    def local(self, chunk: int) -> tuple[bytes, Labels]:
        """The bytes of a chunk of ``local`` and the labels in them.  Raises ArchiveError if there is none."""
        raw = self._get(self._key("local", chunk))
        if raw is None:
            raise ArchiveError(f"chunk {chunk} of {self.path / 'local'} has vanished: archive the run again")
        try:
            return raw, decode_labels(raw, -1, self.grid.chunk)
        except Refused as why:
            raise ArchiveError(
                f"chunk {chunk} of {self.path / 'local'} is damaged ({why}): archive the run again"
            ) from None

    def put_labels(self, chunk: int, local: Labels, ids: NDArray[np.uint64]) -> None:
        """A chunk of ``labels``: ``local`` of the full chunk shape, looked up in ``ids`` (label → run-wide id)."""
        self._set(self._key("labels", chunk), compress(_look_up(self.grid, chunk, local, ids)))

    def put_states(self, states: NDArray[np.uint8]) -> None:
        """The states of all chunks, in C order."""
        self._states[...] = states.reshape(self.grid.counts)

    def put_csv(self, tables: Mapping[str, str]) -> None:
        """Text files beside the arrays, each replaced in one step."""
        for name, text in tables.items():
            new = self.path / f".{name}.new"
            new.write_text(text, "utf-8")
            new.replace(self.path / name)

    def put_tables(self, objects: Iterable[Column], steps: Iterable[Column]) -> None:
        """The object tables as arrays along ``object`` and ``object_step``."""
        for dim, columns in (("object", objects), ("object_step", steps)):
            for column in columns:
                self._array(column.name, column.values, [dim], column.attributes)

    def check(self, chunk: int, crc: int, constant: int, ids: NDArray[np.uint64]) -> None:
        """Raises ArchiveError unless ``local`` has the log's checksum (or label), and ``labels`` is it looked up."""
        raw, local = self.local(chunk)
        if crc32c(raw) != crc if constant < 0 else not (local == constant).all():
            raise ArchiveError(
                f"chunk {chunk} of {self.path / 'local'} is not what the log holds: archive the run again"
            )
        labels = self._get(self._key("labels", chunk)) or b""
        try:
            written = np.frombuffer(decompress(labels, 2 * local.nbytes, "labels"), "<i8").reshape(local.shape)
        except Refused as why:
            raise ArchiveError(f"chunk {chunk} of {self.path / 'labels'} is damaged ({why})") from None
        if not np.array_equal(written, _look_up(self.grid, chunk, local, ids)):
            raise ArchiveError(f"chunk {chunk} of {self.path / 'labels'} is not its local labels looked up")

    def finish(self, state: str) -> None:
        """The store is whole: ``complete``, or as far as a cancelled run came."""
        self._consolidate()
        # With its consolidated metadata, so that one write of one file makes the store whole.
        whole = zarr.open_group(self._store, mode="r+", use_consolidated=True)
        whole.attrs[_STATE] = state


def _look_up(grid: Grid, chunk: int, local: Labels, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Run-wide ids of the full chunk shape; −1 beyond the volume's end.  Raises ArchiveError on unknown labels."""
    inside = tuple(slice(0, n) for n in grid.core(chunk).shape)
    core = local[inside]
    if int(core.max()) >= len(ids):
        raise ArchiveError(f"chunk {chunk} has label {int(core.max())}; it announced {len(ids) - 1}")
    full = np.full(grid.chunk, -1, "<i8")
    full[inside] = ids.astype("<i8")[core]
    return full


def _attributes(spec: RunSpec, software: str) -> dict[str, Any]:
    volume = spec.volume
    told = {
        "Conventions": "CF-1.11",
        "title": volume.title or f"Objects in {volume.long_name or volume.variable}",
        "provenance": volume.provenance,
        "run_id": spec.run_id,
        "created": spec.created,
        "source": spec.source.address,
        "variable": spec.source.variable or volume.variable,
        "variable_units": volume.units,
        "segmenter": spec.segmenter,
        "parameters": json.dumps(spec.parameters, sort_keys=True),
        "min_duration_h": spec.keep.min_duration_h,
        "periodic": " ".join(a.name for a, wraps in zip(volume.axes, spec.grid.periodic, strict=True) if wraps)
        or "none",
        "software": software,
    }
    if spec.keep.core_threshold is not None:
        told["core_threshold"] = spec.keep.core_threshold
    return {name: value for name, value in told.items() if value != ""}


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
