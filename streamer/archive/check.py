"""Whether a store holds what it says: read back from its files alone, without the log.

Every committed chunk of ``local`` has the checksum that the log had; ``labels`` is ``local`` looked up in
the table of its labels; chunks that are not committed are in neither; each object has as many voxels as the
table says.  ``cavecast archive`` does this at the end of each run, and ``--check`` at any time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.archive.layout import LAYERS, UNFINISHED, open_group
from streamer.archive.place import ArchiveError, Place
from streamer.archive.shards import Shards
from streamer.archive.store import look_up
from streamer.archive.there import counts, examine
from streamer.wire.codec import crc32c, decode_labels, decompress
from streamer.wire.grid import Grid, triple
from streamer.wire.header import Refused
from streamer.wire.status import COMMITTED


class Checked(NamedTuple):
    """What a sound store holds."""

    state: str
    objects: int
    chunks: int


def check_store(place: Place) -> Checked:
    """A store that is whole, looked at chunk by chunk.  Raises ArchiveError, naming what is wrong with it."""
    there = examine(place)
    if there is None:
        raise ArchiveError(f"there is no store at {place.label}", 2)
    if there.state == UNFINISHED:
        raise ArchiveError(f"{place.label} is unfinished: start its archive again, or wait for its run to end")
    check_chunks(place)
    return Checked(there.state, *counts(place))


def check_chunks(place: Place) -> None:
    """All chunks and the objects' voxels.  Raises ArchiveError on the first that is wrong."""
    group: Any = open_group(place.zarr)
    _Check(place, group).run()


class _Check:
    def __init__(self, place: Place, group: Any) -> None:
        local = group["local"]
        self._place, self._label = place, place.label
        self._grid = Grid(triple(local.shape), triple(local.chunks))
        side = triple(local.shards or local.chunks)
        self._shards = Shards(self._grid, triple(tuple(s // c for s, c in zip(side, self._grid.chunk, strict=True))))
        self._states = group["chunk_state"][...].ravel()
        self._crcs = group["chunk_crc32c"][...].ravel()
        own = np.where(self._states == COMMITTED, group["chunk_labels"][...].ravel(), 0).astype(np.int64)
        self._ends = np.cumsum(own)
        self._own = own
        self._ids: NDArray[np.int64] = group["local_object_id"][...]
        self._objects: NDArray[np.int64] = group["object_id"][...]
        table = "voxels" if group["voxels"].shape == self._objects.shape else ""
        self._voxels: NDArray[np.int64] = group[table][...] if table else np.zeros(0, np.int64)
        self._counted = np.zeros(len(self._objects), np.int64)
        self._layers = [name for name in LAYERS if name in group and group[name].dtype == np.uint8]

    def run(self) -> None:
        total = int(self._ends[-1]) if len(self._ends) else 0
        if total != len(self._ids):
            self._wrong(f"local_object_id has {len(self._ids)} rows, chunk_labels speak of {total}")
        named = np.unique(self._ids[self._ids > 0])
        if not np.array_equal(named, self._objects):
            self._wrong(f"local_object_id names {len(named)} objects, the table has {len(self._objects)}")
        for shard in range(self._shards.size):
            self._shard(shard)
        off = np.flatnonzero(self._counted != self._voxels)
        if len(off):
            i = int(off[0])
            self._wrong(f"object {self._objects[i]} has {self._counted[i]} voxels, the table says {self._voxels[i]}")

    def _wrong(self, what: str) -> None:
        raise ArchiveError(f"{self._label}: {what}: archive the run again")

    def _parts(self, array: str, shard: int) -> list[bytes | None]:
        key = "/".join((array, "c", *map(str, self._shards.index(shard))))
        try:
            return self._shards.unpack(self._place.get(key))
        except Refused as why:
            raise ArchiveError(f"{self._label}/{key} is damaged: {why}: archive the run again") from None

    def _shard(self, shard: int) -> None:
        local, labels = self._parts("local", shard), self._parts("labels", shard)
        layers = {name: self._parts(name, shard) for name in self._layers}
        for chunk, place in self._shards.members(shard):
            where = f"chunk {chunk} of {self._label}"
            raw, looked_up = local[place], labels[place]
            if self._states[chunk] != COMMITTED:
                if raw is not None or looked_up is not None:
                    self._wrong(f"chunk {chunk} is not committed and yet there")
                continue
            if raw is None:
                raise ArchiveError(f"{where}/local has vanished: archive the run again")
            if crc32c(raw) != self._crcs[chunk]:
                raise ArchiveError(f"{where}/local is not what the log holds: archive the run again")
            self._chunk(chunk, where, raw, looked_up, {name: parts[place] for name, parts in layers.items()})

    def _chunk(
        self, chunk: int, where: str, raw: bytes, looked_up: bytes | None, layers: dict[str, bytes | None]
    ) -> None:
        z, y, x = self._grid.chunk
        ids = np.zeros(int(self._own[chunk]) + 1, np.uint64)
        ids[1:] = self._ids[self._ends[chunk] - self._own[chunk] : self._ends[chunk]]
        try:
            local = decode_labels(raw, -1, self._grid.chunk)
            written = np.frombuffer(decompress(looked_up or b"", 8 * z * y * x, "labels"), "<i8").reshape(local.shape)
            for name, layer in layers.items():
                if layer is not None:
                    decompress(layer, z * y * x, name)
        except Refused as why:
            raise ArchiveError(f"{where} is damaged ({why}): archive the run again") from None
        if not np.array_equal(written, look_up(self._grid, chunk, local, ids)):
            raise ArchiveError(f"{where}/labels is not its local labels looked up: archive the run again")
        found, voxels = np.unique(written[written > 0], return_counts=True)
        self._counted[np.searchsorted(self._objects, found)] += voxels
