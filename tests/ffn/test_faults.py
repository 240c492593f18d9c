"""What goes wrong around a network, with real processes: each ends in the right result or in one sentence.

A batch that does not fit into memory is halved: tests/ffn/test_backend.py.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from inference_workers.ffn.demo_model import located
from inference_workers.ffn.file import read_model, write_model
from tests.e2e.test_run import killed_once_it_works
from tests.e2e.whole import cavecast, report, started
from tests.ffn.small_volume import warm_bodies

CHUNK = ("--chunk", "8,10,8", "--no-view", "--json")
MODEL = ("--segmenter", "ffn", "--set", "model=demo", "--set", "backend=openvino", "--set", "min_segment_size=8")


def volume(folder: Path) -> Path:
    """Warm bodies in the units that the demo model has learned."""
    path = folder / "warm.npy"
    np.save(path, (warm_bodies() * 100).astype(np.float32))
    return path


def labels(store: Path) -> np.ndarray:
    with xr.open_zarr(store) as opened:
        return np.asarray(opened.labels.values)


def test_a_worker_killed_in_mid_chunk_changes_nothing(tmp_path: Path) -> None:
    path, calm, disturbed = volume(tmp_path), tmp_path / "calm.zarr", tmp_path / "disturbed.zarr"
    report(cavecast("run", str(path), *MODEL, *CHUNK, "--out", str(calm)))
    with started("run", str(path), *MODEL, *CHUNK, "--out", str(disturbed), "--pace", "4", "--workers", "2") as run:
        still_there = killed_once_it_works(run.pid, disturbed)
        stdout, _ = run.communicate(timeout=90)
    assert run.returncode == 0
    assert not still_there
    assert json.loads(stdout)["objects"] > 0
    assert np.array_equal(labels(disturbed), labels(calm))
    assert (labels(calm) > 0).any()


def test_voxels_that_are_no_numbers_carry_no_label_and_the_rest_is_segmented(tmp_path: Path) -> None:
    path, out = volume(tmp_path), tmp_path / "holes.zarr"
    field = np.load(path)
    field[5:9, 3:6, 4:9] = np.nan
    np.save(path, field)
    report(cavecast("run", str(path), *MODEL, *CHUNK, "--out", str(out)))
    found = labels(out)
    assert (found > 0).any()
    assert not (found[np.isnan(field)] > 0).any()


@pytest.mark.parametrize("how", ["truncated", "of another shape"])
def test_a_model_that_cannot_be_used_is_refused_in_one_sentence_before_the_run(how: str, tmp_path: Path) -> None:
    path, model, out = volume(tmp_path), tmp_path / "model.keras", tmp_path / "out.zarr"
    whole = located("demo")
    if how == "truncated":
        model.write_bytes(Path(whole).read_bytes()[:60_000])
    else:
        read = read_model(whole)
        write_model(model, read.config, read.weights)
        with zipfile.ZipFile(model) as old:
            members = {name: old.read(name) for name in old.namelist()}
        about = json.loads(members["cavecast.json"])
        about["features"] = 5
        members["cavecast.json"] = json.dumps(about).encode()
        with zipfile.ZipFile(model, "w") as new:
            for name, raw in members.items():
                new.writestr(name, raw)
    done = cavecast("run", str(path), "--segmenter", "ffn", "--set", f"model={model}", *CHUNK, "--out", str(out))
    assert done.returncode in (1, 2), done.stderr
    said = [line for line in done.stderr.splitlines() if line and not line.startswith("{")]
    assert len(said) == 1, done.stderr
    assert str(model) in said[0]
    assert not out.exists()
