"""`run` to a store: the same as the whole volume at once, also after a worker was killed with kill -9."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests.e2e.whole import SAMPLES, cavecast, field, ids_of_whole, report, started, workers

FLOOD = str(SAMPLES / "flood2021.nc")


def test_the_store_holds_the_objects_of_the_whole_volume(tmp_path: Path) -> None:
    out = tmp_path / "objects.zarr"
    done = report(
        cavecast("run", str(SAMPLES / "rivers.nc"), "--variable", "ivt", "--threshold", "500", "--chunk", "50,30,40",
                 "--out", str(out), "--no-view", "--json")
    )  # fmt: skip
    volume = field("rivers", "ivt")
    ids = ids_of_whole(volume, 500, periodic=True)
    with xr.open_zarr(out) as store:
        assert store.labels.dims == ("time", "lat", "lon")
        assert np.array_equal(store.labels.values, ids)
        assert np.array_equal(np.sort(store.object_id.values), np.unique(ids[ids > 0]))
        assert done["objects"] == store.sizes["object"]
        assert done["out"] == str(out)
        biggest = int(store.object_id.values[store.voxels.values.argmax()])
        assert int(store.voxels.max()) == np.count_nonzero(ids == biggest)
        assert float(store["max"].max()) == volume.max()
        with (out / "objects.csv").open() as rows:
            assert len(list(csv.DictReader(rows))) == done["objects"]
        with (out / "object_steps.csv").open() as rows:
            assert len(list(csv.DictReader(rows))) == store.sizes["object_step"]


def test_filters_keep_the_objects_that_last_and_reach_the_core_threshold(tmp_path: Path) -> None:
    out = tmp_path / "kept.zarr"
    done = report(
        cavecast("run", str(SAMPLES / "rivers.nc"), "--variable", "ivt", "--threshold", "500", "--min-duration", "24",
                 "--core-threshold", "700", "--out", str(out), "--no-view", "--json")
    )  # fmt: skip
    volume = field("rivers", "ivt")
    ids = ids_of_whole(volume, 500, periodic=True)
    expected = set()
    for one in np.unique(ids[ids > 0]):
        inside = ids == one
        steps = np.flatnonzero(inside.any(axis=(1, 2)))
        if (steps[-1] - steps[0] + 1) * 3 >= 24 and volume[inside].max() >= 700:
            expected.add(int(one))
    assert 0 < len(expected) < len(np.unique(ids)) - 1
    with xr.open_zarr(out) as store:
        assert set(store.object_id.values.tolist()) == expected
        assert np.array_equal(store.labels.values, np.where(np.isin(ids, list(expected)), ids, 0))
    assert done["objects"] == len(expected)


def test_a_worker_killed_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "killed.zarr"
    arguments = ("--variable", "ivt", "--threshold", "400", "--chunk", "4,10,10", "--out", str(out), "--no-view")
    with started("run", FLOOD, *arguments, "--json", "--pace", "6", "--workers", "2") as run:
        first = killed_once_it_works(run.pid, out)
        stdout, _ = run.communicate(timeout=90)
    assert run.returncode == 0
    done = json.loads(stdout)
    ids = ids_of_whole(field("flood2021", "ivt"), 400, periodic=False)
    with xr.open_zarr(out) as store:
        assert np.array_equal(store.labels.values, ids)
        assert set(np.unique(store.chunk_state)) == {2}
    assert done["objects"] == len(np.unique(ids[ids > 0]))
    assert not first


def killed_once_it_works(pid: int, out: Path) -> bool:
    """Kills one worker with SIGKILL once the store has a few chunks; whether the process still runs afterwards."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        at_work = workers(pid)
        if len(at_work) == 2 and len([p for p in (out / "local").rglob("*") if p.is_file()]) > 5:
            at_work[0].kill()
            at_work[0].wait(10)
            return at_work[0].is_running()
    raise AssertionError("no chunk arrived within a minute")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.nc",), ["nowhere.nc"]),
        ((FLOOD, "--variable", "wind"), ["wind", "ivt", "iwv"]),
        ((FLOOD, "--variable", "ivt", "--chunk", "99,9,9"), ["99", "24"]),
        ((FLOOD, "--variable", "ivt", "--chunk", "9,9"), ["--chunk", "9,9"]),
        ((FLOOD, "--variable", "ivt", "--connectivity", "7"), ["connectivity=7", "6, 18, 26"]),
        ((FLOOD, "--variable", "ivt", "--segmenter", "magic"), ["magic", "connect"]),
        ((str(SAMPLES / "PROVENANCE.md"),), ["PROVENANCE.md"]),
    ],
)
def test_a_wrong_input_gets_one_sentence_and_leaves_nothing_behind(
    arguments: tuple[str, ...], words: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "store.zarr"
    done = cavecast("run", *arguments, "--out", str(out), "--no-view", "--json")
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("cavecast: ")]) == 1, done.stderr
    assert not list(tmp_path.iterdir())
