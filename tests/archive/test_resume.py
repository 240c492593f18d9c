"""A store that is left at any moment is gone on with, sharded or not; what it holds can be proved from itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streamer.archive.check import check_store
from streamer.archive.place import ArchiveError, Folder
from streamer.archive.shards import Shards
from streamer.archive.store import Store
from streamer.archive.writer import Summary, Writer
from streamer.wire.block import PARTS, unpack_layer
from streamer.wire.codec import crc32c
from streamer.wire.grid import Triple
from streamer.wire.header import encode
from streamer.wire.layers import coarse_shape, pack_layer, quantise, step_and_offset, values
from streamer.wire.messages import PartInfo
from streamer.wire.status import COMMITTED
from streamer.wire.volume import RunSpec
from tests.archive.parts import DEADLINE_S, archive, blobs, line_of, made, part, spec_of, streamer, work
from tests.archive.test_archive import globe_run, opened
from tests.archive.test_writer import entry_of, store_of
from tests.assembly.pieces import Piece
from tests.workers.reference import globe_areas_km2, globe_volume, label_whole, plain_volume

SHARDS: list[Triple] = [(1, 1, 1), (2, 2, 2), (1, 2, 3)]


class Killed(Exception):
    """Stands for the end of the process: nothing is closed, nothing is said."""


class MortalFolder(Folder):
    """A folder whose process dies at its n-th change."""

    def __init__(self, path: Path, changes: int) -> None:
        super().__init__(path)
        self.left = changes

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def set(self, key: str, raw: bytes, *, safely: bool = False) -> None:
        self._count()
        super().set(key, raw, safely=safely)

    def delete(self, key: str) -> None:
        self._count()
        super().delete(key)


def light(entry: list[bytes], wants: tuple[str, ...], names: tuple[str, ...] = PARTS) -> list[bytes]:
    """An entry as the feed sends it to somebody who wants these parts."""
    return [entry[0], *(entry[1 + names.index(name)] for name in wants)]


def follow(place: Folder, spec: RunSpec, shard: Triple, entries: list[tuple[str, list[bytes]]]) -> tuple[Summary, int]:
    """An archive from its start to the end of the log; and how many entries it took without labels."""
    store = Store(place, spec, "cavecast test", Shards(spec.grid, shard), "e")
    writer, without = Writer(store, spec), 0
    for number, (kind, payloads) in enumerate(entries):
        sent = light(payloads, writer.wants) if kind in ("chunk", "evicted") else payloads
        without += kind == "chunk" and "labels" not in writer.wants
        done = writer.entry(kind, sent)
        if done is not None:
            return done, without
        if number % 3 == 2:
            store.put_progress(writer.next)
        if number % 5 == 4:
            writer.refresh()
    raise AssertionError("the log has no end")


def log_of(chunks: list[Piece], seed: int) -> list[tuple[str, list[bytes]]]:
    order = np.random.default_rng(seed).permutation(len(chunks))
    return [*(("chunk", entry_of(chunks[i])) for i in order), ("end", [b"complete"])]


def small() -> tuple[RunSpec, list[Piece], np.ndarray[Any, Any]]:
    volume = plain_volume((5, 6, 8))
    spec, field = spec_of(volume, (2, 3, 3), (False, False, True)), blobs(volume.shape)
    return spec, made(spec, field), field


@given(st.integers(0, 400), st.sampled_from(SHARDS), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_an_archive_may_die_at_any_change_and_the_next_one_ends_right(
    tmp_path_factory: pytest.TempPathFactory, changes: int, shard: Triple, seed: int
) -> None:
    spec, chunks, field = small()
    path, entries = tmp_path_factory.mktemp("died") / "run.zarr", log_of(chunks, seed)
    try:
        follow(MortalFolder(path, changes), spec, shard, entries)
    except Killed:
        done, _ = follow(Folder(path), spec, shard, entries)
        assert done.chunks == spec.grid.size
    sound = check_store(Folder(path))
    whole = label_whole(field, 1.0, 26, spec.grid.periodic)
    assert sound == ("complete", len(np.unique(whole)) - 1, spec.grid.size)
    with xarray.open_zarr(path) as store:
        assert np.array_equal(store["labels"].values, whole.astype(np.int64))
        assert (store["chunk_state"].values == COMMITTED).all()
    assert not (path / ".staging").exists()
    assert not list(path.rglob("*.partial"))


@pytest.mark.parametrize("shard", SHARDS)
def test_what_is_in_the_store_is_not_asked_for_again(tmp_path: Path, shard: Triple) -> None:
    spec, chunks, _ = small()
    entries, path = log_of(chunks, 1), tmp_path / "run.zarr"
    store = Store(Folder(path), spec, "cavecast test", Shards(spec.grid, shard), "e")
    writer = Writer(store, spec)
    assert writer.wants == PARTS
    for kind, payloads in entries[:8]:
        writer.entry(kind, payloads)
    store.put_progress(writer.next)
    for kind, payloads in entries[8:10]:
        writer.entry(kind, payloads)
    before = {p: p.stat().st_mtime_ns for p in (path / "local").rglob("*") if p.is_file()}
    done, without = follow(Folder(path), spec, shard, entries)
    assert (done.chunks, without) == (spec.grid.size, 8)
    if shard == (1, 1, 1):
        kept = [p for p, when in before.items() if p.stat().st_mtime_ns == when]
        assert len(kept) >= 8
    assert check_store(Folder(path)).chunks == spec.grid.size


@pytest.mark.parametrize("change", ["epoch", "shard"])
def test_another_log_or_another_cut_starts_over(tmp_path: Path, change: str) -> None:
    spec, chunks, _ = small()
    entries, path = log_of(chunks, 1), tmp_path / "run.zarr"
    store = Store(Folder(path), spec, "cavecast test", Shards(spec.grid, (2, 2, 2)), "an older log")
    writer = Writer(store, spec)
    for kind, payloads in entries[:8]:
        writer.entry(kind, payloads)
    store.put_progress(writer.next)
    shard = (2, 2, 2) if change == "epoch" else (1, 2, 2)
    again = Store(Folder(path), spec, "t", Shards(spec.grid, shard), "e" if change == "epoch" else "an older log")
    assert again.progress.next == 0
    assert not again.waiting()
    _, without = follow(Folder(path), spec, shard, entries)
    assert without == 0
    assert check_store(Folder(path)).chunks == spec.grid.size


def left_behind(path: Path, spec: RunSpec, shard: Triple, entries: list[tuple[str, list[bytes]]], count: int) -> None:
    """What an archive of another log has done of its first entries."""
    store = Store(Folder(path), spec, "cavecast test", Shards(spec.grid, shard), "an older log")
    writer = Writer(store, spec)
    for kind, payloads in entries[:count]:
        writer.entry(kind, payloads)
    writer.refresh()
    store.put_progress(writer.next)


def without_labels(entry: tuple[str, list[bytes]]) -> tuple[str, list[bytes]]:
    """A chunk's entry after its labels have left the log."""
    header, _, *others = entry[1]
    return "evicted", [header, b"", *others]


@given(st.integers(0, 200), st.sampled_from(SHARDS), st.integers(0, 8))
@settings(max_examples=25, deadline=None)
def test_labels_that_a_store_alone_has_stay_in_it_when_the_log_gets_a_new_epoch(
    tmp_path_factory: pytest.TempPathFactory, changes: int, shard: Triple, gone: int
) -> None:
    spec, chunks, field = small()
    path, entries = tmp_path_factory.mktemp("epoch") / "run.zarr", log_of(chunks, 1)
    left_behind(path, spec, shard, entries, 10)
    # The tail of the log was lost: what follows comes in another order.
    now = [*map(without_labels, entries[:gone]), *reversed(entries[gone:-1]), entries[-1]]
    try:
        follow(MortalFolder(path, changes), spec, shard, now)
    except Killed:
        follow(Folder(path), spec, shard, now)
    whole = label_whole(field, 1.0, 26, spec.grid.periodic)
    assert check_store(Folder(path)).chunks == spec.grid.size
    with xarray.open_zarr(path) as store:
        assert np.array_equal(store["labels"].values, whole.astype(np.int64))


@pytest.mark.parametrize("shard", SHARDS)
def test_of_an_older_log_nothing_stays_but_what_has_left_this_one(tmp_path: Path, shard: Triple) -> None:
    spec, chunks, _ = small()
    path, entries = tmp_path / "run.zarr", log_of(chunks, 1)
    left_behind(path, spec, shard, entries, 10)
    store = Store(Folder(path), spec, "t", Shards(spec.grid, shard), "e")
    writer = Writer(store, spec)
    for entry in map(without_labels, entries[:4]):
        writer.entry(*entry)
        store.put_progress(writer.next)
    assert store.progress.next == 0, "what stays is not decided yet"
    writer.entry(*entries[11])
    store.put_progress(writer.next)
    assert store.progress.next == writer.next == 5
    done = writer.entry("end", [b"cancelled"])
    assert done is not None
    assert (done.state, done.chunks) == ("cancelled", 5)
    assert check_store(Folder(path)).chunks == 5


def test_a_store_whose_chunks_are_not_those_that_left_the_log_is_not_touched(tmp_path: Path) -> None:
    spec, chunks, _ = small()
    path, entries = tmp_path / "run.zarr", log_of(chunks, 1)
    left_behind(path, spec, (1, 1, 1), entries, 4)
    missing = Store(Folder(path), spec, "t", Shards(spec.grid, (1, 1, 1)), "e")
    cut = Store(Folder(path), spec, "t", Shards(spec.grid, (2, 2, 2)), "e")
    before = {file: file.read_bytes() for file in path.glob("*/c/**/*") if file.is_file()}
    for store, why in (
        (missing, "is not the one that has left the log"),
        (cut, "start the archive with --shard 1,1,1"),
    ):
        writer = Writer(store, spec)
        for entry in map(without_labels, entries[:5]):
            writer.entry(*entry)
        with pytest.raises(ArchiveError, match=why):
            writer.entry(*entries[5])
        assert all(file.read_bytes() == raw for file, raw in before.items() if "chunk_" not in str(file))


def test_the_bytes_in_a_shard_are_the_payloads_and_readers_see_them_while_it_fills(tmp_path: Path) -> None:
    volume = globe_volume((9, 10, 12))
    spec, field = spec_of(volume, (4, 5, 5)), blobs(volume.shape)
    chunks = made(spec, field, globe_areas_km2(volume))
    store = store_of(tmp_path, spec, (2, 2, 2))
    writer = Writer(store, spec)
    for chunk in chunks[:7]:
        writer.entry("chunk", entry_of(chunk))
    assert writer.next == 7
    assert writer.served < 7, "some wait for their shard"
    writer.refresh()
    assert writer.served == writer.next
    assert not store.waiting()
    whole = label_whole(field, 1.0, 26, spec.grid.periodic)
    with xarray.open_zarr(tmp_path / "run.zarr") as seen:
        for number, (commit, _) in enumerate(chunks):
            inside = spec.grid.core(commit.chunk).slices
            there = seen["labels"].values[inside]
            assert (there == -1).all() if number >= 7 else ((there > 0) == (whole[inside] > 0)).all()
    for chunk in chunks[7:]:
        writer.entry("chunk", entry_of(chunk))
    assert writer.entry("end", [b"complete"]) is not None
    found = 0
    for commit, payloads in chunks:
        shard, place = store.shards.of(commit.chunk)
        raw = store.shard("local", shard)[place]
        assert raw is not None
        if commit.constant < 0:
            found += 1
            assert raw == payloads[0]
            assert crc32c(raw) == commit.parts[0].crc
    assert found
    files = [path for path in (tmp_path / "run.zarr" / "local" / "c").rglob("*") if path.is_file()]
    assert len(files) == store.shards.size < spec.grid.size
    with xarray.open_zarr(tmp_path / "run.zarr") as seen:
        assert np.array_equal(seen["labels"].values, whole.astype(np.int64))


@pytest.mark.parametrize("shard", SHARDS)
def test_the_field_is_in_the_store_and_xarray_gives_physical_values(tmp_path: Path, shard: Triple) -> None:
    volume = plain_volume((5, 6, 8))
    field = np.random.default_rng(2).uniform(-3, 5, volume.shape)
    field[1, 1, 1] = np.nan
    ends = (-3.0, 5.0)
    spec = replace(spec_of(volume, (2, 3, 3)), layers=("labels1", "field", "probability"), field_range=ends)
    store = store_of(tmp_path, spec, shard)
    writer = Writer(store, spec)
    assert writer.wants == (*PARTS, "field", "probability")
    raw = quantise(field, ends)
    names = (*PARTS, *spec.layers)
    for commit, payloads in made(spec, np.nan_to_num(field)):
        core = spec.grid.core(commit.chunk)
        extra = [
            pack_layer(np.ones((1, 1, 1), "<u4"), coarse_shape(spec.grid.chunk)),
            pack_layer(raw[core.slices], spec.grid.chunk),
            b"",
        ]
        infos = tuple(PartInfo(n, len(x), crc32c(x) if x else 0) for n, x in zip(spec.layers, extra, strict=True))
        entry = [encode(replace(commit, parts=(*commit.parts, *infos))), *payloads, *extra]
        assert np.array_equal(unpack_layer(spec.grid, commit.chunk, extra[1]), raw[core.slices])
        writer.entry("chunk", light(entry, writer.wants, names))
    writer.entry("end", [b"complete"])
    with xarray.open_zarr(tmp_path / "run.zarr") as found:
        assert found["field"].dims == found["labels"].dims
        assert np.isnan(found["field"].values[1, 1, 1])
        assert np.nanmax(np.abs(found["field"].values - field)) <= step_and_offset(ends)[0] * 0.51
        assert np.allclose(found["field"].values, values(raw, ends), atol=1e-5, equal_nan=True)
        assert found["field"].attrs.get("units", "") == volume.units
        assert np.isnan(found["probability"].values).all()
    assert check_store(Folder(tmp_path / "run.zarr")).chunks == spec.grid.size


def finished(folder: Path, shard: Triple) -> RunSpec:
    spec, chunks, _ = small()
    follow(Folder(folder / "run.zarr"), spec, shard, log_of(chunks, 3))
    return spec


def spoil(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 3] ^= 4
    path.write_bytes(raw)


@pytest.mark.parametrize("shard", SHARDS)
@pytest.mark.parametrize(
    ("array", "reason"),
    [("local", "is not what the log holds|is damaged"), ("labels", "looked up|is damaged"),
     ("chunk_state", "committed"), ("object_id", "local_object_id names"), ("voxels", "the table says"),
     ("chunk_labels", "chunk_labels speak of")],
)  # fmt: skip
def test_a_store_that_was_spoilt_is_found_out(tmp_path: Path, shard: Triple, array: str, reason: str) -> None:
    finished(tmp_path, shard)
    path = tmp_path / "run.zarr"
    assert check_store(Folder(path)).state == "complete"
    if array in ("local", "labels"):
        spoil(max((p for p in (path / array / "c").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size))
    else:
        table: Any = zarr.open_array(path / array, mode="r+")
        first = (0,) * table.ndim
        table[first] = table[first] + 1
    with pytest.raises(ArchiveError, match=reason):
        check_store(Folder(path))


def run_check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", "from streamer.cli import main; main()", "archive", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)


def test_a_store_is_checked_by_hand(tmp_path: Path) -> None:
    finished(tmp_path, (2, 2, 2))
    path = tmp_path / "run.zarr"
    good = run_check("--check", str(path))
    assert good.returncode == 0, good.stderr
    told = json.loads(good.stdout)
    assert (told["sound"], told["state"], told["chunks"]) == (str(path), "complete", small()[0].grid.size)
    spoil(next(p for p in (path / "local" / "c").rglob("*") if p.is_file()))
    bad = run_check("--check", str(path))
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "archive the run again" in bad.stderr
    none = run_check("--check", str(tmp_path / "nowhere.zarr"))
    assert (none.returncode, none.stderr) == (2, f"cavecast: there is no store at {tmp_path}/nowhere.zarr\n")
    wrong = run_check("--out", str(path))
    assert (wrong.returncode, wrong.stderr.startswith("cavecast: an archive needs --feed")) == (2, True)


@pytest.mark.parametrize("options", [(), ("--shard", "2,2,2")])
def test_a_process_killed_again_and_again_ends_with_the_same_store(tmp_path: Path, options: tuple[str, ...]) -> None:
    spec, chunks, field = globe_run()
    out = tmp_path / "run.zarr"
    with streamer(tmp_path, spec) as at:
        for _ in range(3):
            with part(*archive(at["feed"], out), *options) as process:
                assert line_of(process) == {"ready": "archive"}
                work(at["ingest"], chunks, count=4)
                os.kill(process.pid, signal.SIGKILL)
                process.wait(DEADLINE_S)
        with part(*archive(at["feed"], out), *options) as process:
            assert line_of(process) == {"ready": "archive"}
            work(at["ingest"], chunks)
            assert line_of(process)["chunks"] == spec.grid.size
            assert process.wait(DEADLINE_S) == 0
        whole = label_whole(field, 1.0, 26, spec.grid.periodic)
        assert np.array_equal(opened(out)["labels"].values, whole.astype(np.int64))
        before = sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*"))
        # The process that finished the store might have died before it could say so.
        with part(*archive(at["feed"], out), *options) as process:
            assert line_of(process) == {"ready": "archive"}
            said = line_of(process)
            assert process.wait(DEADLINE_S) == 0
        assert said == {"archive": "complete", "out": str(out), "objects": len(np.unique(whole)) - 1,
                        "chunks": spec.grid.size}  # fmt: skip
        assert sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*")) == before


def test_an_archive_that_hears_nothing_ends_with_a_code_of_its_own(tmp_path: Path) -> None:
    feed = f"ipc://{tmp_path}/nobody"
    lost = run_check("--feed", feed, "--out", str(tmp_path / "run.zarr"), "--patience", "1")
    assert lost.returncode == 75
    assert lost.stderr.splitlines()[-1] == (
        f"cavecast: the archive of {feed} stopped: nothing was heard from the streamer for 1 s; start it again with "
        "the same --out"
    )
