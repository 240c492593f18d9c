"""Evaluations of small volumes of which everything is known."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from inference_workers.ffn.commands import ffn
from inference_workers.ffn.domain import Region, cells_of, parts, seen
from inference_workers.ffn.evaluation import Compared, Request, evaluate, opened
from inference_workers.ffn.labelled import components_of
from inference_workers.ffn.lives import gathered, lives, place
from inference_workers.ffn.model import ModelError, Training
from inference_workers.source import InputError, InspectRequest, inspect
from tests.ffn.growing_model import write as write_model
from tests.ffn.labelled_volumes import grid, truth, write, write_store


def compared(pred: str, true: str, **more: object) -> Compared:
    request = msgspec.convert({"pred": pred, "truth": true, **more}, Request)
    with opened(request) as (a, b):
        return evaluate(a, b, request)


@pytest.fixture
def true(tmp_path: Path) -> str:
    return write(tmp_path / "truth.nc", truth())


def test_a_volume_against_itself_is_perfect_in_all_blocks_and_regions(true: str) -> None:
    found = compared(true, true).evaluation
    assert (found.total.voxels, found.total.objects_truth, found.total.voxel_f1) == (720, 3, 1)
    assert (found.total.object_f1, found.total.vi_split_bits, found.total.adapted_rand_error) == (1, 0, 0)
    assert {part.scores.voxel_iou for part in found.regions} <= {1, None}
    assert sum(part.scores.voxels for part in found.regions) == 720
    assert sum(b.scores.voxels for b in found.time) == 720
    assert [s.f1 for s in found.steps] == [1.0] * 12


def test_what_differs_is_said_by_step_region_and_object(tmp_path: Path, true: str) -> None:
    labels = truth() * 10
    labels[0:4, 1:3, 4:6] = 77  # half of object 1 is another one
    labels[10, 0, 5] = 0
    labels[7, 3, 5] = 99
    found = compared(write(tmp_path / "pred.npy", labels), true, block=6).evaluation
    by_id = {o.id: o for o in found.objects}
    assert (by_id[1].iou, by_id[1].pieces, by_id[1].covered) == (0.5, 2, 1)
    assert (by_id[2].iou, by_id[2].matched, by_id[2].best) == (1, True, 20)
    assert (by_id[3].iou, by_id[3].best, by_id[3].covered) == (0, 0, 0)
    assert (by_id[2].first, by_id[2].last) == ("2020-01-02 00:00", "2020-01-03 18:00")
    assert by_id[2].x == pytest.approx(342)  # the middle of the seam, between 324 and 0
    assert [o.best for o in found.unmatched] == [77, 99]
    assert [(b.first, b.stop) for b in found.time] == [(0, 6), (6, 12)]
    assert [s.step for s in found.steps if s.f1 is not None and s.f1 < 1] == [7, 10]
    assert found.total.objects_matched == 2


def test_a_threshold_gives_the_truth_with_objects_across_the_seam_and_without_short_ones(tmp_path: Path) -> None:
    field = np.where(truth() > 0, 600.0, 100.0)
    field[0, 5, 5] = np.nan
    grid(field, "ivt").to_netcdf(tmp_path / "ivt.nc")
    held = components_of(str(tmp_path / "ivt.nc"), None, 600.0, 6, 24.0)
    assert held.labels[0, 5, 5] == -1
    assert set(np.unique(held.labels)) == {-1, 0, *(set(np.unique(held.labels[truth() == k])).pop() for k in (1, 2))}
    pred = write(tmp_path / "pred.npy", truth())
    found = compared(pred, str(tmp_path / "ivt.nc"), connect=600.0, connectivity=6, min_duration_h=24.0).evaluation
    assert (found.total.voxels, found.total.objects_truth, found.total.objects_pred) == (719, 2, 2)
    assert found.total.object_f1 == found.total.voxel_f1 == 1


def test_intervals_and_regions_cut_what_is_compared(true: str) -> None:
    found = compared(true, true, intervals=["2020-01-01:2020-01-01"], regions=["mine=-50,20,60,130"]).evaluation
    assert [s.step for s in found.steps] == [0, 1, 2, 3]
    assert [(r.name, r.scores.objects_truth) for r in found.regions] == [("mine", 1)]
    assert found.total.voxels == 4 * 3 * 2
    across = compared(true, true, regions=["-90,90,300,40"])
    assert across.domain.cells[0].tolist() == [True, True, *[False] * 7, True]


def model(path: Path, training: Training | None) -> str:
    return write_model(path, mean=0.0, training=training)


def test_what_the_model_was_trained_on_is_left_out_unless_asked_for(tmp_path: Path, true: str) -> None:
    learned = Training(source="elsewhere.nc", steps=[(0, 4)], times=[("2020-01-01T00:00Z", "2020-01-02T18:00Z")])
    named = model(tmp_path / "m.keras", learned)
    store = write_store(tmp_path / "run.zarr", truth(), json.dumps({"model": named}))
    found = compared(store, true).evaluation
    assert [s.step for s in found.steps] == [8, 9, 10, 11]
    assert "8 steps from 2020-01-01 00:00 to 2020-01-02 18:00" in found.left_out
    whole = compared(store, true, all=True).evaluation
    assert (len(whole.steps), whole.left_out) == (12, "")
    assert len(compared(true, true, model=named).evaluation.steps) == 4
    gone = write_store(tmp_path / "gone.zarr", truth(), json.dumps({"model": str(tmp_path / "no.keras")}))
    with pytest.raises(ModelError, match=r"no\.keras, which is not there.*--model"):
        compared(gone, true)
    all_of_it = Training(source="", times=[("2019-01-01T00:00Z", "2021-01-01T00:00Z")])
    with pytest.raises(InputError, match="nothing is left to compare"):
        compared(true, true, model=model(tmp_path / "all.keras", all_of_it))


def test_a_training_in_one_region_leaves_the_others(tmp_path: Path, true: str) -> None:
    learned = Training(source="", steps=[(0, 12)], region=(0.0, 90.0, 0.0, 360.0))
    found = compared(true, true, model=model(tmp_path / "m.keras", learned))
    assert found.evaluation.total.voxels == 360
    assert not found.domain.counts(0, 12)[:, 3:].any()
    assert found.domain.counts(0, 12)[:, :3].all()


def test_dates_of_another_file_are_the_same_weather_and_steps_count_where_there_are_none(true: str) -> None:
    volume = inspect(InspectRequest(true)).volume
    learned = Training(source="x", steps=[(0, 12)], times=[("1999-01-01T00:00Z", "1999-02-01T00:00Z")])
    assert not seen(learned, volume)[0].any()
    assert seen(msgspec.structs.replace(learned, times=[]), volume)[0].all()


def test_what_a_store_has_not_segmented_does_not_count(tmp_path: Path, true: str) -> None:
    labels: NDArray[np.int64] = truth().astype(np.int64)
    labels[0:6] = -1
    store = write_store(tmp_path / "run.zarr", labels, "{}", "unfinished")
    (tmp_path / "run.zarr" / "objects.csv").write_text("object_id\n")  # as in a run's store; nobody is warned of it
    found = compared(store, true).evaluation
    assert found.total.voxels == 360
    assert found.notes[0].endswith("is unfinished.")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"shape": True}, "6 × 6 × 10 voxels and .* has 12 × 6 × 10"),
        ({"since": "2020-01-02"}, "lie elsewhere: time 0 is 2020-01-02 00:00 in the one and 2020-01-01 00:00"),
        ({"lat": 1.0}, "lie elsewhere: lat 0 is -74 in the one and -75"),
        ({"values": 0.5}, "holds 0.5, so it is no volume of labels: if it is a field, say --connect"),
    ],
)
def test_volumes_that_do_not_fit_together_are_refused_in_a_sentence(
    tmp_path: Path, true: str, change: dict[str, float | str], sentence: str
) -> None:
    data = grid(truth() + float(change.get("values", 0)), hours_since=str(change.get("since", "2020-01-01")))
    if "lat" in change:
        data["lat"] = data["lat"] + change["lat"]
    if "shape" in change:
        data = data.isel(time=slice(0, 6))
    data.to_netcdf(tmp_path / "other.nc")
    with pytest.raises(InputError, match=sentence):
        compared(str(tmp_path / "other.nc"), true)


def test_a_longitude_counted_from_the_date_line_is_the_same_place(tmp_path: Path, true: str) -> None:
    data = grid(truth())
    data["lon"] = data["lon"] - 360.0
    data["lon"].attrs["units"] = "degrees_east"
    data.to_netcdf(tmp_path / "west.nc")
    assert compared(str(tmp_path / "west.nc"), true).evaluation.total.voxel_f1 == 1


def test_regions_that_a_small_map_gets_are_quarters_and_cells_count_by_their_centres(tmp_path: Path) -> None:
    small = grid(truth()).isel(lat=slice(0, 2), lon=slice(0, 4))
    small.to_netcdf(tmp_path / "small.nc")
    volume = inspect(InspectRequest(str(tmp_path / "small.nc"))).volume
    made = parts(volume, [])
    assert [part.name for part in made] == ["north west", "north east", "south west", "south east"]
    assert np.stack([part.cells for part in made]).sum(axis=0).tolist() == [[1] * 4] * 2
    assert cells_of(Region("", -75, -75, 36, 72), volume).tolist() == [[False, True, True, False], [False] * 4]
    with pytest.raises(ValueError, match="holds no cell"):
        cells_of(Region("sea", 80, 90, 0, 10), volume)


def test_places_of_objects_do_not_depend_on_slabs() -> None:
    labels = truth()
    whole = lives(labels, 0)
    parts_ = gathered([lives(labels[8:], 8), lives(labels[:8], 0)])
    for ours, theirs in zip(parts_, whole, strict=True):
        assert np.allclose(ours, theirs)
    at = place(whole.of(2), 10)
    assert (at.first, at.last, at.y) == (4, 11, 4.5)
    assert at.x % 10 == pytest.approx(9.5)  # between the last column and the first


def test_the_command_prints_a_table_or_json_and_refuses_in_one_line(tmp_path: Path, true: str) -> None:
    run = CliRunner().invoke
    shown = run(ffn, ["evaluate", true, true])
    assert shown.exit_code == 0
    assert "Voxel F1                          1.000" in shown.output
    told = run(ffn, ["evaluate", true, true, "--json", "--html", str(tmp_path / "r.html")])
    assert json.loads(told.stdout)["total"]["object_f1"] == 1
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    for wrong, sentence in (
        (["--interval", "9"], "A:B"),
        (["--interval", "2031-01-01:2031-01-02"], "holds no steps"),
        (["--region", "x=5,1,0,0"], "south first"),
        (["--connectivity", "7"], "6, 18 or 26"),
        (["--html", str(tmp_path / "no" / "r.html")], "no folder"),
        (["--model", str(tmp_path / "no.keras")], "no model file"),
    ):
        refused = run(ffn, ["evaluate", true, true, *wrong])
        assert refused.exit_code == 2
        assert sentence in refused.stderr
        assert refused.stderr.count("\n") == 1
