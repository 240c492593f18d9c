"""A run, archived by the real process from a real streamer: what lies in the store is the run."""

from __future__ import annotations

import csv
import json
import os
import signal
import warnings
from pathlib import Path
from typing import Any

import cftime
import msgspec
import numpy as np
import pytest
import xarray

from streamer.assembly import Assembly
from streamer.wire.codec import crc32c
from streamer.wire.status import COMMITTED, FAILED, PENDING
from streamer.wire.volume import Keep, RunSpec, Volume
from tests.archive.parts import ALL, DEADLINE_S, archive, blobs, cancel, line_of, made, part, spec_of, streamer, work
from tests.assembly.pieces import Piece, assemble
from tests.workers.reference import globe_areas_km2, globe_volume, label_whole, plain_volume


def archived(folder: Path, spec: RunSpec, chunks: list[Piece], **how: Any) -> dict[str, Any]:
    """A whole run through streamer and archive; what the archive said at its end."""
    with streamer(folder, spec) as at, part(*archive(at["feed"], folder / "run.zarr")) as process:
        assert line_of(process) == {"ready": "archive"}
        work(at["ingest"], chunks, **how)
        if "count" in how:
            cancel(at["feed"])
        said = line_of(process)
        assert process.wait(DEADLINE_S) == 0
    return said


def opened(path: Path) -> xarray.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store: xarray.Dataset = xarray.open_zarr(path).load()
        return store


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def globe_run(keep: Keep = ALL) -> tuple[RunSpec, list[Piece], np.ndarray[Any, Any]]:
    volume = msgspec.structs.replace(globe_volume((9, 10, 12)), title="A simulation of blobs", provenance="made up")
    field = blobs(volume.shape)
    spec = spec_of(volume, (4, 5, 5), keep=keep)
    return spec, made(spec, field, globe_areas_km2(volume)), field


def test_the_store_holds_the_run_and_xarray_opens_it_without_a_warning(tmp_path: Path) -> None:
    spec, chunks, field = globe_run()
    said = archived(tmp_path, spec, chunks)
    store = opened(tmp_path / "run.zarr")
    whole = label_whole(field, 1.0, 26, spec.grid.periodic)
    assert np.array_equal(store["labels"].values, whole.astype(np.int64))
    ids = np.unique(whole[whole > 0]).tolist()
    out = str(tmp_path / "run.zarr")
    assert said == {"archive": "complete", "out": out, "objects": len(ids), "chunks": spec.grid.size}
    assert store["object_id"].values.tolist() == ids
    assert (store["chunk_state"].values == COMMITTED).all()
    assert store["labels"].dims == ("time", "lat", "lon")
    assert store["chunk_state"].dims == ("time_chunk", "lat_chunk", "lon_chunk")
    assert store["time"].values[1] == np.datetime64("2000-01-01T03:00")
    assert np.array_equal(store["lat"].values, spec.volume.axes[1].points)
    table = assemble(Assembly(spec.volume, spec.grid, spec.keep), chunks, range(spec.grid.size)).columns()
    for name, values in (
        ("voxels", table.voxels), ("mean", table.mean), ("max", table.max), ("footprint_km2", table.footprint_km2),
        ("area_time_km2_h", table.area_time_km2_h), ("lifetime_h", table.lifetime_h), ("centroid_lat", table.y),
        ("centroid_lon", table.x), ("touches_edge", table.touches_edge), ("step_voxels", table.steps.voxels),
        ("step_area_km2", table.steps.area_km2), ("step_lon", table.steps.x), ("step_mean", table.steps.mean),
    ):  # fmt: skip
        assert values is not None
        assert np.allclose(store[name].values, values, rtol=1e-9), name
        assert "long_name" in store[name].attrs
    assert store["lifetime_h"].attrs["units"] == "h"
    assert store["mean"].attrs["units"] == "kg m-1 s-1"
    assert np.array_equal(store["first_time"].values, store["time"].values[table.first_step])
    assert np.array_equal(store["lon_first"].values, store["lon"].values[table.x_first])
    told = store.attrs
    assert (told["run_id"], told["segmenter"], told["cavecast_state"]) == ("run-1", "connect", "complete")
    assert told["title"] == "A simulation of blobs"
    assert json.loads(told["parameters"]) == {"threshold": 1.0, "connectivity": 26}


def test_local_is_byte_for_byte_what_the_workers_sent(tmp_path: Path) -> None:
    spec, chunks, _ = globe_run()
    archived(tmp_path, spec, chunks)
    constant = 0
    for commit, payloads in chunks:
        path = tmp_path.joinpath("run.zarr", "local", "c", *map(str, spec.grid.index(commit.chunk)))
        if commit.constant < 0:
            assert path.read_bytes() == payloads[0]
            assert crc32c(path.read_bytes()) == commit.parts[0].crc
        else:
            constant += 1
            assert path.stat().st_size < 40
    assert 0 < constant < len(chunks)
    store = opened(tmp_path / "run.zarr")
    (commit, _), core = chunks[-1], spec.grid.core(spec.grid.size - 1)
    assert np.count_nonzero(store["local"].values[core.slices]) == commit.labelled


def test_the_csv_tables_say_the_same_as_the_store(tmp_path: Path) -> None:
    spec, chunks, _ = globe_run(Keep(min_duration_h=6, core_threshold=2.5))
    said = archived(tmp_path, spec, chunks)
    store = opened(tmp_path / "run.zarr")
    objects, steps = rows_of(tmp_path / "run.zarr" / "objects.csv"), rows_of(tmp_path / "run.zarr" / "object_steps.csv")
    assert len(objects) == said["objects"] == store.sizes["object"] > 0
    assert len(steps) == store.sizes["object_step"]
    assert (store["max"].values >= 2.5).all()
    assert (store["lifetime_h"].values >= 6).all()
    assert set(np.unique(store["labels"].values)) == {0, *store["object_id"].values.tolist()}
    assert store.attrs["core_threshold"] == 2.5
    for i, row in enumerate(objects):
        assert int(row["object_id"]) == store["object_id"].values[i]
        assert np.datetime64(row["first_time"]) == store["first_time"].values[i]
        assert float(row["footprint_km2"]) == store["footprint_km2"].values[i]
        assert float(row["max (kg m-1 s-1)"]) == store["max"].values[i]
        assert float(row["centroid_lat (degrees_north)"]) == store["centroid_lat"].values[i]
    for i, row in enumerate(steps):
        assert int(row["step_object_id"]) == store["step_object_id"].values[i]
        assert np.datetime64(row["step_time"]) == store["step_time"].values[i]
        assert float(row["step_area_km2"]) == store["step_area_km2"].values[i]


def with_calendar(volume: Volume, units: str, calendar: str) -> Volume:
    time, lat, lon = volume.axes
    return msgspec.structs.replace(
        volume, axes=(msgspec.structs.replace(time, units=units, calendar=calendar), lat, lon)
    )


def test_a_calendar_of_its_own_survives_in_store_and_tables(tmp_path: Path) -> None:
    volume = with_calendar(globe_volume((16, 4, 6)), "hours since 1999-02-29", "360_day")
    field = np.zeros(volume.shape)
    field[:, 1, 1] = 2.0
    spec = spec_of(volume, (8, 4, 6))
    archived(tmp_path, spec, made(spec, field, globe_areas_km2(volume)))
    store = opened(tmp_path / "run.zarr")
    assert store["time"].values[8] == cftime.Datetime360Day(1999, 2, 30)
    assert store["first_time"].values[0] == cftime.Datetime360Day(1999, 2, 29)
    (row,) = rows_of(tmp_path / "run.zarr" / "objects.csv")
    assert (row["first_time"], row["last_time"]) == ("1999-02-29T00:00:00", "1999-02-30T21:00:00")


def test_a_volume_without_time_or_globe_has_steps_and_plain_names(tmp_path: Path) -> None:
    volume = plain_volume((6, 5, 4))
    spec = spec_of(volume, (3, 5, 4), (False, False, False))
    archived(tmp_path, spec, made(spec, blobs(volume.shape)))
    store = opened(tmp_path / "run.zarr")
    assert {"first_step", "last_step", "centroid_y", "centroid_x", "step", "step_x"} <= set(store.variables)
    assert not {"first_time", "lifetime_h", "footprint_km2", "area_time_km2_h", "step_area_km2"} & set(store.variables)
    assert "lifetime_h" not in (tmp_path / "run.zarr" / "objects.csv").read_text().splitlines()[0]


def test_a_run_without_objects_has_an_empty_table(tmp_path: Path) -> None:
    volume = globe_volume((4, 4, 6))
    spec = spec_of(volume, (2, 4, 6))
    said = archived(tmp_path, spec, made(spec, np.zeros(volume.shape), globe_areas_km2(volume)))
    store = opened(tmp_path / "run.zarr")
    assert said["objects"] == store.sizes["object"] == 0
    assert not store["labels"].values.any()
    assert rows_of(tmp_path / "run.zarr" / "objects.csv") == []


def test_what_was_not_segmented_is_never_background(tmp_path: Path) -> None:
    spec, chunks, _ = globe_run()
    said = archived(tmp_path, spec, chunks, count=6, fails=[1])
    store = opened(tmp_path / "run.zarr")
    assert (said["archive"], said["chunks"]) == ("cancelled", 6)
    assert store.attrs["cavecast_state"] == "cancelled"
    states = store["chunk_state"].values.ravel()
    assert states[1] in (FAILED, PENDING)
    for chunk in range(spec.grid.size):
        inside = spec.grid.core(chunk).slices
        assert states[chunk] in (COMMITTED, FAILED, PENDING)
        there = states[chunk] == COMMITTED
        assert ((store["labels"].values[inside] == -1) == (not there)).all()
        assert ((store["local"].values[inside] == 4294967295) == (not there)).all()
    assert (states == COMMITTED).sum() == 6


def test_a_failed_chunk_carries_its_state_and_the_rest_is_finished(tmp_path: Path) -> None:
    spec, chunks, _ = globe_run()
    said = archived(tmp_path, spec, chunks, fails=[4])
    store = opened(tmp_path / "run.zarr")
    assert said["chunks"] == len(chunks) - 1
    assert store["chunk_state"].values.ravel()[4] == FAILED
    assert (store["labels"].values[spec.grid.core(4).slices] == -1).all()


def test_an_archive_killed_in_the_middle_goes_on_and_ends_right(tmp_path: Path) -> None:
    spec, chunks, field = globe_run()
    out = tmp_path / "run.zarr"
    with streamer(tmp_path, spec) as at:
        with part(*archive(at["feed"], out)) as process:
            assert line_of(process) == {"ready": "archive"}
            work(at["ingest"], chunks, count=9)
            os.kill(process.pid, signal.SIGKILL)
            process.wait(DEADLINE_S)
        assert opened(out).attrs["cavecast_state"] == "unfinished"
        with part(*archive(at["feed"], out)) as process:
            assert line_of(process) == {"ready": "archive"}
            work(at["ingest"], chunks, count=len(chunks) - 9)
            assert line_of(process)["archive"] == "complete"
            assert process.wait(DEADLINE_S) == 0
    whole = label_whole(field, 1.0, 26, spec.grid.periodic)
    assert np.array_equal(opened(out)["labels"].values, whole.astype(np.int64))
    assert not list(out.rglob("*.partial"))


def test_an_archive_outlives_its_streamer(tmp_path: Path) -> None:
    spec, chunks, field = globe_run()
    out, door = tmp_path / "run.zarr", f"ipc://{tmp_path}/feed"
    (tmp_path / "run.json").write_bytes(msgspec.json.encode(spec))
    start = ("streamer", "--run", str(tmp_path / "run.json"), "--log", str(tmp_path / "log"), "--feed", door)
    with part(*archive(door, out)) as process:
        with part(*start) as first:
            ingest = line_of(first)["ingest"]
            assert line_of(process) == {"ready": "archive"}
            work(ingest, chunks, count=7)
            os.kill(first.pid, signal.SIGKILL)
            first.wait(DEADLINE_S)
        with part(*start) as second:
            work(line_of(second)["ingest"], chunks, count=len(chunks) - 7)
            assert line_of(process)["chunks"] == len(chunks)
            assert process.wait(DEADLINE_S) == 0
    whole = label_whole(field, 1.0, 26, spec.grid.periodic)
    assert np.array_equal(opened(out)["labels"].values, whole.astype(np.int64))


def refused(feed: str, out: Path) -> str:
    with part(*archive(feed, out)) as process:
        said, complaint = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 2
        assert said == ""
        return complaint


@pytest.mark.parametrize("there", ["a file", "a folder", "another store"])
def test_nothing_that_exists_is_overwritten(tmp_path: Path, there: str) -> None:
    out = tmp_path / "mine.zarr"
    if there == "a file":
        out.write_text("mine")
    elif there == "a folder":
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    else:
        xarray.Dataset({"mine": ("x", [1])}).to_zarr(out, zarr_format=3, consolidated=False)
    before = sorted((path, path.stat().st_mtime_ns) for path in [out, *out.rglob("*")])
    # The address is never used: what is there is looked at first.
    complaint = refused("ipc:///nowhere", out)
    assert (
        complaint
        == f"cavecast: {out} exists and is no unfinished store of this run: remove it or choose another --out\n"
    )
    assert sorted((path, path.stat().st_mtime_ns) for path in [out, *out.rglob("*")]) == before


def test_the_store_of_another_run_is_left_alone_finished_or_not(tmp_path: Path) -> None:
    spec, chunks, _ = globe_run()
    archived(tmp_path, spec, chunks)
    out = tmp_path / "run.zarr"
    another = tmp_path / "another"
    another.mkdir()
    with streamer(another, msgspec.structs.replace(spec, parameters={"threshold": 2.0})) as at:
        assert "holds the complete store of run run-1, this is run-1" in refused(at["feed"], out)
    other = tmp_path / "other"
    other.mkdir()
    with streamer(other, msgspec.structs.replace(spec, run_id="run-2")) as at:
        with part(*archive(at["feed"], other / "run.zarr")) as process:
            assert line_of(process) == {"ready": "archive"}
        with streamer(tmp_path, msgspec.structs.replace(spec, run_id="run-1")) as first:
            complaint = refused(first["feed"], other / "run.zarr")
    assert "holds the unfinished store of run run-2, this is run-1" in complaint
