"""A run written to a store without sockets: what is wrong is said, and only what has changed is translated again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray
from msgspec.structs import replace

from streamer.archive.place import ArchiveError, Folder
from streamer.archive.shards import Shards
from streamer.archive.store import Store
from streamer.archive.writer import Writer
from streamer.wire.grid import Triple
from streamer.wire.header import Refused, encode
from streamer.wire.volume import RunSpec
from tests.archive.parts import blobs, made, spec_of
from tests.assembly.pieces import Piece
from tests.workers.reference import globe_areas_km2, globe_volume, plain_volume


class CountingStore(Store):
    """The real store, which remembers which chunks of ``labels`` were translated."""

    written: list[int]

    def translate(self, chunk: int, raw: bytes | None, ids: np.ndarray) -> bytes:
        self.written.append(chunk)
        return super().translate(chunk, raw, ids)


def store_of(folder: Path, spec: RunSpec, shard: Triple = (1, 1, 1), epoch: str = "e") -> CountingStore:
    place = Folder(folder / "run.zarr")
    store = CountingStore(place, spec, "cavecast test", Shards(spec.grid, shard), epoch)
    store.written = []
    return store


def begun(folder: Path, shard: Triple = (1, 1, 1)) -> tuple[RunSpec, list[Piece], CountingStore, Writer]:
    volume = globe_volume((9, 10, 12))
    spec = spec_of(volume, (4, 5, 5))
    store = store_of(folder, spec, shard)
    return spec, made(spec, blobs(volume.shape), globe_areas_km2(volume)), store, Writer(store, spec)


def entry_of(piece: Piece) -> list[bytes]:
    return [encode(piece[0]), *piece[1]]


def labels_of(folder: Path, spec: RunSpec) -> list[bytes]:
    indices = (spec.grid.index(chunk) for chunk in range(spec.grid.size))
    return [folder.joinpath(*map(str, index)).read_bytes() for index in indices]


def test_only_chunks_whose_ids_have_changed_are_translated_again(tmp_path: Path) -> None:
    spec, chunks, store, writer = begun(tmp_path)
    for chunk in reversed(chunks):
        assert writer.entry("chunk", entry_of(chunk)) is None
    assert sorted(store.written) == list(range(spec.grid.size))
    before, store.written = labels_of(tmp_path / "run.zarr" / "labels" / "c", spec), []
    done = writer.entry("end", [b"complete"])
    store.close()
    assert done is not None
    assert done.chunks == spec.grid.size
    after = labels_of(tmp_path / "run.zarr" / "labels" / "c", spec)
    changed = [chunk for chunk in range(spec.grid.size) if before[chunk] != after[chunk]]
    assert store.written == changed
    assert 0 < len(changed) < spec.grid.size


@pytest.mark.parametrize(("array", "reason"), [("local", "is not what the log holds"), ("labels", "is not its local")])
def test_a_store_that_is_not_what_the_log_holds_does_not_pass_as_whole(tmp_path: Path, array: str, reason: str) -> None:
    spec, chunks, store, writer = begun(tmp_path)
    for chunk in chunks:
        writer.entry("chunk", entry_of(chunk))
    last, other = (
        tmp_path.joinpath("run.zarr", array, "c", *map(str, spec.grid.index(chunk)))
        for chunk in (spec.grid.size - 1, spec.grid.size - 2)
    )
    last.write_bytes(other.read_bytes())
    with pytest.raises(ArchiveError, match=f"chunk {spec.grid.size - 1} of .*{reason}"):
        writer.entry("end", [b"complete"])
    store.close()


def test_a_damaged_entry_changes_nothing_and_may_come_again(tmp_path: Path) -> None:
    _, chunks, store, writer = begun(tmp_path)
    good = entry_of(chunks[-1])
    damaged = [*good[:2], good[2][:-1] + bytes([good[2][-1] ^ 1]), *good[3:]]
    with pytest.raises(Refused, match="part seam arrived damaged"):
        writer.entry("chunk", damaged)
    assert store.written == []
    writer.entry("chunk", good)
    assert store.written == [chunks[-1][0].chunk]
    store.close()


@pytest.mark.parametrize(
    "names",
    [("step", "y", "x"), ("voxels", "mean", "max"), ("object_step", "object", "labels"), ("z", "object_id", "final"),
     ("labels_axis", "labels", "x"), ("z_chunk", "z", "x"), ("x", "x_first", "x_last")],
    ids=" ".join,
)  # fmt: skip
def test_an_axis_may_be_called_what_the_store_calls_something_else(tmp_path: Path, names: tuple[str, ...]) -> None:
    plain = plain_volume((4, 5, 6))
    z, y, x = (replace(axis, name=name) for axis, name in zip(plain.axes, names, strict=True))
    spec = spec_of(replace(plain, axes=(z, y, x)), (2, 3, 3))
    store = store_of(tmp_path, spec)
    writer = Writer(store, spec)
    for chunk in made(spec, blobs((4, 5, 6))):
        writer.entry("chunk", entry_of(chunk))
    writer.entry("end", [b"complete"])
    store.close()
    with xarray.open_zarr(tmp_path / "run.zarr") as found:
        for dim, axis in zip(found["labels"].dims, plain.axes, strict=True):
            assert found[dim].dims == (dim,)
            assert np.array_equal(found[dim].values, axis.points)
        assert found["voxels"].dims == found["final"].dims == ("object",)
        assert found["step"].dims == ("object_step",)
        assert int(found["voxels"].sum()) == np.count_nonzero(found["labels"].values > 0)
