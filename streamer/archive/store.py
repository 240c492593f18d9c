"""The Zarr v3 store of a run, being written.

``local`` holds the chunks' labels exactly as the workers compressed them, so its bytes carry the log's
checksums.  ``labels`` is the same looked up: one id per object over the whole run.  In a sharded store a
new chunk lies under ``.staging`` until its shard is written with it.  Readers go by the metadata in the
group's one ``zarr.json``, which is replaced in one step: the object tables appear there when all of them
are written.  Until then the group says ``cavecast_state: unfinished``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar
from warnings import catch_warnings, simplefilter

import numpy as np
import zarr
from numpy.typing import NDArray

from streamer.archive.layout import (
    DIGEST,
    STATE,
    UNFINISHED,
    create_arrays,
    kept_layers,
    open_group,
    run_attributes,
    write_array,
)
from streamer.archive.left import Told, check_cut, remains
from streamer.archive.place import NEW, ArchiveError, Place, Wait, patiently
from streamer.archive.shards import Shards
from streamer.archive.tables import Column
from streamer.archive.there import examine
from streamer.wire.codec import Labels, compress, decode_labels
from streamer.wire.grid import Grid
from streamer.wire.header import Refused
from streamer.wire.volume import RunSpec

STAGING = ".staging"
_PROGRESS = f"{STAGING}/progress.json"


class Progress(NamedTuple):
    """How far an archive had come: all chunks among the entries before ``next`` are in the store."""

    epoch: str
    next: int


Done = TypeVar("Done")


class Store:
    """A store that is being written; goes on with what an earlier process of the same run left, if that can be.

    Once it is open, what its place refuses is tried again for as long as ``wait`` comes back: a full disk or
    a bucket that is away only take time.  So all that is done to the place may be done twice.
    """

    def __init__(
        self, place: Place, spec: RunSpec, software: str, shards: Shards, epoch: str, wait: Wait | None = None
    ) -> None:
        self._wait: Wait | None = None  # at the beginning there is somebody to be told
        self.place, self.spec, self.grid, self.shards = place, spec, spec.grid, shards
        self.layers = kept_layers(spec)
        attributes = run_attributes(spec, software)
        there = examine(place)
        if there is not None:
            there.refuse_other(place.label, spec, attributes[DIGEST])
        self._left: tuple[int, ...] | None = None
        self.progress = self._resumable(epoch)
        self._texts: dict[str, bytes] = {}
        """Digests of the text files that were written."""
        with place.spoken():
            self._group = open_group(place.zarr, {**attributes, STATE: UNFINISHED})
            if not self.progress.next and not self.left:
                self._empty()
            elif there is not None:
                # It may have been ended before this was on the disk; the streamer is told of it from now on.
                self.place.noted(_PROGRESS)
                self.place.flush()
        self._wait = wait

    def _empty(self) -> None:
        """Begins anew: whatever an earlier process left of this run goes."""
        for name in self.place.names(""):
            if name.endswith((".csv", NEW)):
                self.place.delete(name)
            elif name == STAGING or self.place.get(f"{name}/zarr.json") is not None:
                self.place.clear(name)
        create_arrays(self._group, self.spec, self.shards)
        self._consolidate()
        self._texts.clear()
        self.put_progress(0)

    @property
    def label(self) -> str:
        """How to call it in a sentence."""
        return self.place.label

    @property
    def left(self) -> bool:
        """Whether all that is there is of another log, or cut otherwise: ``keep`` says what stays of it."""
        return self._left is not None

    def keep(self, told: Told, number: int) -> None:
        """Of what is ``left`` only these chunks stay, which are among the entries before ``number``.

        Raises ArchiveError, and they stay for another attempt, if they cannot be used.
        """
        assert self._left is not None, "there is something to be kept"
        if told:
            check_cut(self.label, self._left, self.shards)
            for array, shard, parts in remains(self, ("local", "labels", *self.layers), told):
                self.put_shard(array, shard, parts)
            for array in ("local", *self.layers):
                self.insist(partial(self.place.clear, f"{STAGING}/{array}"))
            self._left = None
            self.put_progress(number)
        else:
            self._left = None
            self.insist(self._empty)

    def insist(self, act: Callable[[], Done]) -> Done:
        """Does something to the place until that takes it."""

        def spoken() -> Done:
            with self.place.spoken():
                return act()

        return spoken() if self._wait is None else patiently(spoken, self._wait, wrong_too=True)

    def _resumable(self, epoch: str) -> Progress:
        """How far an earlier process of this run came; 0 if its files are cut otherwise or the log is another."""
        try:
            found = json.loads(self.place.get(_PROGRESS) or b"")
            if found["epoch"] == epoch and tuple(found["shard"]) == self.shards.shape:
                return Progress(epoch, int(found["next"]))
            if int(found["next"]):
                self._left = tuple(int(n) for n in found["shard"])
        except (ValueError, KeyError, TypeError):
            pass
        return Progress(epoch, 0)

    def put_progress(self, number: int) -> None:
        """All chunks among the entries before ``number`` are in the store, also after a power cut."""
        if self.left or 0 < number <= self.progress.next:
            return  # an earlier process came further
        told = {"epoch": self.progress.epoch, "next": number, "shard": self.shards.shape}

        def put() -> None:
            self.place.flush()
            self.place.set(_PROGRESS, json.dumps(told).encode())
            self.place.flush()

        self.insist(put)
        self.progress = self.progress._replace(next=number)

    def close(self) -> None:
        """Lets go of the store."""
        self.place.close()

    # ------------------------------------------------------------ chunks

    def stage(self, array: str, chunk: int, raw: bytes) -> None:
        """Keeps a chunk's bytes until its shard is written."""
        self.insist(lambda: self.place.set(f"{STAGING}/{array}/{chunk}", raw))

    def staged(self, array: str, chunk: int) -> bytes | None:
        """The bytes of a chunk that is kept so."""
        return self.insist(lambda: self.place.get(f"{STAGING}/{array}/{chunk}"))

    def unstage(self, chunks: Iterable[int]) -> None:
        """The chunks are in their shards, which are made durable before what was kept goes."""

        def remove() -> None:
            self.place.flush()
            for chunk in chunks:
                for array in (*self.layers, "local"):  # local last: by it the others are found
                    self.place.delete(f"{STAGING}/{array}/{chunk}")

        self.insist(remove)

    def waiting(self) -> list[int]:
        """The chunks that an earlier process kept."""
        if self.left:
            return []
        return sorted(int(name) for name in self.place.names(f"{STAGING}/local") if name.isdigit())

    def shard(self, array: str, shard: int) -> list[bytes | None]:
        """The bytes of a shard's chunks, by place; None where there is none.  Raises ArchiveError if it is damaged."""
        try:
            return self.shards.unpack(self.insist(lambda: self.place.get(self.key(array, shard))))
        except Refused as why:
            raise ArchiveError(f"{self.key(array, shard)} of {self.place.label} is damaged: {why}") from None

    def put_shard(self, array: str, shard: int, parts: Sequence[bytes | None]) -> None:
        """Writes a shard in one step, or removes it if it holds nothing."""
        if any(raw is not None for raw in parts):
            packed, safely = self.shards.pack(parts), not self.shards.plain  # others of its chunks are read from it
            self.insist(lambda: self.place.set(self.key(array, shard), packed, safely=safely))
        else:
            self.insist(lambda: self.place.delete(self.key(array, shard)))

    def key(self, array: str, shard: int) -> str:
        """The name of a shard's file."""
        return "/".join((array, "c", *map(str, self.shards.index(shard))))

    def labels_of(self, chunk: int, raw: bytes | None) -> Labels:
        """The labels in a chunk's bytes in ``local``.  Raises ArchiveError if there are none."""
        if raw is None:
            raise ArchiveError(f"chunk {chunk} of {self.place.label}/local has vanished: archive the run again")
        try:
            return decode_labels(raw, -1, self.grid.chunk)
        except Refused as why:
            raise ArchiveError(
                f"chunk {chunk} of {self.place.label}/local is damaged ({why}): archive the run again"
            ) from None

    def translate(self, chunk: int, raw: bytes | None, ids: NDArray[np.uint64]) -> bytes:
        """A chunk of ``labels``: its bytes in ``local`` looked up in ``ids`` (label → run-wide id)."""
        return compress(look_up(self.grid, chunk, self.labels_of(chunk, raw), ids))

    # ------------------------------------------------------------ tables

    def put_states(self, states: NDArray[np.uint8], crcs: NDArray[np.uint32], labels: NDArray[np.uint32]) -> None:
        """State, checksum and number of labels of all chunks, in C order."""
        named: dict[str, NDArray[Any]] = {"chunk_state": states, "chunk_crc32c": crcs, "chunk_labels": labels}

        def put() -> None:
            for name, values in named.items():
                self._group[name][...] = values.reshape(self.grid.counts)

        self.insist(put)

    def put_csv(self, tables: Mapping[str, str]) -> None:
        """Text files beside the arrays, each replaced in one step if it is another than the one that is there."""
        for name, text in tables.items():
            raw = text.encode()
            told = blake2b(raw).digest()
            if self._texts.get(name) != told:
                self.insist(partial(self.place.set, name, raw))
                self._texts[name] = told

    def put_tables(self, objects: Iterable[Column], steps: Iterable[Column], local: NDArray[np.int64]) -> None:
        """The object tables as arrays along ``object`` and ``object_step``, and the objects of all chunks' labels."""
        tables = (("object", tuple(objects)), ("object_step", tuple(steps)))

        def put() -> None:
            for dim, columns in tables:
                for column in columns:
                    write_array(self._group, column.name, column.values, [dim], column.attributes)
            write_array(self._group, "local_object_id", local, ["local_label"], {
                "long_name": "object of each chunk's labels 1, 2, …, one chunk after the other in C order",
                "comment": "0 where the object was dropped; chunk_labels says how many rows a chunk has",
            })  # fmt: skip

        self.insist(put)

    def _consolidate(self) -> None:
        with catch_warnings():
            # Zarr's specification is to get consolidated metadata in its next version; xarray reads it already.
            simplefilter("ignore")
            zarr.consolidate_metadata(self.place.zarr)

    def finish(self, state: str) -> None:
        """The store is whole: ``complete``, or as far as a cancelled run came."""

        def finish() -> None:
            self._consolidate()
            self.place.flush()
            # With its consolidated metadata, so that one write of one file makes the store whole.
            whole = zarr.open_group(self.place.zarr, mode="r+", use_consolidated=True)
            whole.attrs[STATE] = state
            self.place.flush()
            self.place.clear(STAGING)

        self.insist(finish)


def look_up(grid: Grid, chunk: int, local: Labels, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Run-wide ids of the full chunk shape; −1 beyond the volume's end.  Raises ArchiveError on unknown labels."""
    inside = tuple(slice(0, n) for n in grid.core(chunk).shape)
    core = local[inside]
    if int(core.max()) >= len(ids):
        raise ArchiveError(f"chunk {chunk} has label {int(core.max())}; it announced {len(ids) - 1}")
    full = np.full(grid.chunk, -1, "<i8")
    full[inside] = ids.astype("<i8")[core]
    return full
