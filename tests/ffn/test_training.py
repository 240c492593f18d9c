"""Training: what is learned from, how a row goes on, when it ends, and that it goes on after a crash."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray
from typer.testing import CliRunner

from inference_workers.ffn import training_choice as choice
from inference_workers.ffn import training_state
from inference_workers.ffn.commands import ffn
from inference_workers.ffn.file import read_config, read_model
from inference_workers.ffn.pipeline import Blocks
from inference_workers.ffn.settings import FloodFillSettings, logit
from inference_workers.ffn.training import Example, TrainingSettings, Watch, rate, score, split, why_stop
from inference_workers.ffn.training_data import UNKNOWN, Examples, Ground, connect_truth, stored_truth
from inference_workers.ffn.training_row import Row, as_arrays, offsets, restore
from inference_workers.ffn.training_state import TrainingError
from inference_workers.source import InputError, InspectRequest, inspect
from streamer.wire.grid import Box, Triple
from tests.ending import PATIENCE_S, end, ending, lines_within
from tests.ffn import small_volume

FLOOD = FloodFillSettings(fov=(3, 5, 5), deltas=(1, 2, 2))
SETTINGS = TrainingSettings(flood=FLOOD, mean=5.0, std=2.0)
SMALL = [
    *("--connect", "5", "--min-duration-h", "12", "--validation", "18:24", "--mean", "5", "--std", "2"),
    *("--fov", "3,5,5", "--deltas", "1,2,2", "--depth", "2", "--features", "4"),
    *("--threads", "1", "--validation-examples", "16"),
]


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_volume.write(tmp_path_factory.mktemp("warm"))


def ground_of(path: Path, box: Box | None = None, **more: Any) -> Ground:
    found = inspect(InspectRequest(str(path)))
    whole = Box((0, 0, 0), found.volume.shape)
    return connect_truth(found.source, found.volume, box or whole, threshold=small_volume.THRESHOLD, **more)


def example(crop: tuple[int, int, int] = SETTINGS.crop) -> Example:
    one = np.ones(crop, np.float32)
    return Example(0, one, one, one)


# --- a row ---


def test_a_row_begins_in_the_middle_with_only_the_seed_likely() -> None:
    row = Row(example(), SETTINGS)
    assert row.box() == (slice(1, 4), slice(2, 7), slice(2, 7))
    assert row.canvas[2, 4, 4] == pytest.approx(logit(0.95))
    assert np.count_nonzero(row.canvas > logit(0.05) + 0.01) == 1


def test_a_field_of_view_goes_only_where_the_network_finds_it_likely() -> None:
    row = Row(example(), SETTINGS)
    first = row.box()
    assert first is not None
    said = np.full(FLOOD.fov, logit(0.89), np.float32)
    said[1, 2, 4] = logit(0.91)  # one step to the east
    row.put(first, said)
    assert row.box() == (slice(1, 4), slice(2, 7), slice(4, 9))
    np.testing.assert_array_equal(row.canvas[first], said)


def test_an_example_is_over_when_all_its_27_places_were_looked_at() -> None:
    row, seen = Row(example(), SETTINGS), []
    while (box := row.box()) is not None:
        seen.append(tuple(side.start for side in box))
        row.put(box, np.full(FLOOD.fov, 5, np.float32))
    assert len(seen) == len(set(seen)) == 27


def test_an_axis_without_steps_is_not_moved_along() -> None:
    found = offsets((0, 2, 2), np.random.default_rng(0))
    assert len(found) == 9
    assert found[0] == (0, 0, 0)
    assert {z for z, _, _ in found} == {0}


def plain_max_pred(
    target: NDArray[np.float32], fov: Triple, deltas: Triple, say: Callable[[int], NDArray[np.float32]]
) -> list[Triple]:
    """Where max_pred goes, voxel by voxel and with nothing of ours: the queue of a flood fill, up to two steps away."""
    canvas = np.full(target.shape, np.log(0.05 / 0.95), np.float32)
    middle = [n // 2 for n in target.shape]
    canvas[tuple(middle)] = np.log(0.95 / 0.05)
    bar, queue = np.log(0.9 / 0.1), [middle]
    done: set[tuple[int, ...]] = set()
    went: list[Triple] = []
    while queue:
        at = queue.pop(0)
        key = tuple((a - m + d // 2) // max(d, 1) for a, m, d in zip(at, middle, deltas, strict=True))
        low = [a - f // 2 for a, f in zip(at, fov, strict=True)]
        fits = all(lo >= 0 and lo + f <= n for lo, f, n in zip(low, fov, target.shape, strict=True))
        if not fits or key in done or canvas[tuple(at)] < bar or (done and target[tuple(at)] < 0.9):
            continue
        done.add(key)
        said = say(len(went))
        went.append((low[0], low[1], low[2]))
        for place in np.ndindex(*fov):
            canvas[tuple(lo + p for lo, p in zip(low, place, strict=True))] = said[place]
        found = []
        for axis in range(3):
            for sign in (-1, 1) if deltas[axis] else ():
                best: tuple[float, list[int]] | None = None
                for offset in product(*(range(-d, d + 1) for d in deltas)):
                    if offset[axis] == sign * deltas[axis]:
                        value = float(said[tuple(f // 2 + o for f, o in zip(fov, offset, strict=True))])
                        if best is None or value > best[0]:
                            best = (value, list(offset))
                assert best is not None
                if best[0] >= bar and best not in found:
                    found.append(best)
        queue += [[a + o for a, o in zip(at, offset, strict=True)] for _, offset in sorted(found, reverse=True)]
    return went


@pytest.mark.parametrize("deltas", [(1, 2, 2), (0, 2, 1)])
def test_max_pred_goes_where_a_flood_fill_would_but_never_off_the_object(deltas: Triple) -> None:
    settings = msgspec.structs.replace(SETTINGS, moves="max_pred", flood=msgspec.structs.replace(FLOOD, deltas=deltas))
    assert settings.crop == tuple(f + 4 * d for f, d in zip(FLOOD.fov, deltas, strict=True))
    assert settings.around == tuple(f // 2 + d for f, d in zip(FLOOD.fov, deltas, strict=True))
    longest = 0
    for seed in range(14):
        random = np.random.default_rng(seed)
        target = np.where(random.random(settings.crop) < 0.8, 0.95, 0.05).astype(np.float32)
        answers = random.normal(1.5, 2, (200, *FLOOD.fov)).astype(np.float32)
        if seed % 2:  # many that are equal: the order is told by the offsets then
            answers = (np.round(answers / 3) * 3).astype(np.float32)
        row = Row(Example(seed, target, target, target), settings)
        went: list[Triple] = []
        while (box := row.box()) is not None:
            if len(went) == 3:  # a state in the middle says all that the rest follows from
                other = Row(row.example, settings)
                restore([other], as_arrays([row]))
                row = other
            row.put(box, answers[len(went)])
            went.append((box[0].start, box[1].start, box[2].start))
        assert went == plain_max_pred(target, FLOOD.fov, deltas, lambda turn, said=answers: said[turn])  # type: ignore[misc]
        longest = max(longest, len(went))
    assert longest > 10


def test_max_pred_looks_once_at_what_is_no_object() -> None:
    settings = msgspec.structs.replace(SETTINGS, moves="max_pred")
    nothing = np.full(settings.crop, 0.05, np.float32)
    row = Row(Example(0, nothing, nothing, nothing), settings)
    box = row.box()
    assert box is not None
    row.put(box, np.full(FLOOD.fov, 5, np.float32))
    assert row.box() is None


# --- decisions ---


def test_a_score_counts_voxels_that_count() -> None:
    canvases = np.array([[5.0, 5, -5, -5, 5]], np.float32)
    targets = np.array([[0.95, 0.05, 0.95, 0.05, 0.05]], np.float32)
    weights = np.array([[1, 1, 1, 1, 0]], np.float32)
    found = score(canvases, targets, weights, 0.6)
    assert (found.precision, found.recall, found.f1) == (0.5, 0.5, 0.5)
    # The least possible loss is the entropy of a target of 0.05, which a logit of −2.944 reaches.
    best = score(
        np.full((1, 4), logit(0.05), np.float32), np.full((1, 4), 0.05, np.float32), np.ones((1, 4), np.float32), 0.6
    )
    assert best.loss == pytest.approx(0.19852, abs=1e-4)


def test_training_ends_by_steps_by_time_or_when_nothing_gets_better() -> None:
    limited = msgspec.structs.replace(SETTINGS, steps=100, minutes=2.0, patience=3)
    assert why_stop(limited, 99, 1.9, Watch(waited=2)) is None
    assert why_stop(limited, 100, 0, Watch()) == "100 steps are done"
    assert why_stop(limited, 0, 2.0, Watch()) == "2 minutes are over"
    assert why_stop(limited, 0, 0, Watch(best_step=40, waited=3)) == (
        "3 validations brought nothing better than step 40"
    )


def test_the_best_is_remembered_and_what_is_not_better_is_counted() -> None:
    watch = Watch()
    assert [watch.better(step, value) for step, value in ((1, 0.5), (2, 0.4), (3, 0.5), (4, 0.6))] == [
        True, False, False, True,
    ]  # fmt: skip
    assert (watch.best_step, watch.waited) == (4, 0)


def test_the_rate_rises_and_falls_to_zero_towards_a_known_end() -> None:
    limited = msgspec.structs.replace(SETTINGS, steps=1000)
    rates = [rate(limited, step, 0.0) for step in (0, 100, 500, 1000)]
    assert rates[0] < rates[2] < rates[1]
    assert rates[3] == pytest.approx(0)
    assert rate(msgspec.structs.replace(SETTINGS, minutes=10.0), 500, 10.0) == pytest.approx(0)
    assert rate(SETTINGS, 10_000, 1e6) == SETTINGS.learning_rate


@pytest.mark.parametrize(("length", "share", "least"), [(160, 0.2, 9), (40, 0.2, 5), (20, 0.5, 9), (1000, 0.1, 9)])
def test_blocks_of_time_cover_the_interval_and_never_overlap(length: int, share: float, least: int) -> None:
    learned, validated = split(length, share, least)
    steps = sorted(step for first, last in learned + validated for step in range(first, last))
    assert steps == list(range(length))
    assert sum(b - a for a, b in validated) == pytest.approx(share * length, rel=0.2)
    assert all(b - a >= least - 1 for a, b in validated)


def test_an_interval_too_short_to_be_split_is_refused() -> None:
    with pytest.raises(ValueError, match="10 time steps are too few"):
        split(10, 0.2, 9)


# --- what is typed ---


def test_an_interval_is_steps_or_dates_that_are_included(volume: Path) -> None:
    axis = inspect(InspectRequest(str(volume))).volume.axes[0]
    assert choice.between(axis, "4:10", "--interval") == (4, 10)
    assert choice.between(axis, ":10", "--interval") == (0, 10)
    assert choice.between(axis, "2000-01-02:", "--interval") == (8, 24)
    assert choice.between(axis, "2000-01-02:2000-01-02", "--interval") == (8, 16)
    assert choice.between(axis, "2000-01-01T06:00:2000-01-01T12:00", "--interval") == (2, 5)
    for wrong in ("4", "9:4", "4:25", "a:b", "2000-01-05:2000-01-06"):
        with pytest.raises(ValueError, match="--interval"):
            choice.between(axis, wrong, "--interval")


def test_a_region_is_in_degrees_and_kept_in_the_model_so(volume: Path) -> None:
    found = inspect(InspectRequest(str(volume))).volume
    box = choice.box(found, None, "0,60,90,180")
    south, north, west, east = choice.degrees(found, box)
    assert (south, north, west, east) == (4.5, 58.5, 90.0, 180.0)
    with pytest.raises(ValueError, match=r"--region: lon goes from 0 to 348\.75"):
        choice.box(found, None, "0,60,400,500")


@pytest.mark.parametrize(("options", "said"), [
    (["--steps", "1"], "either --labels LABELS or --connect THRESHOLD"),
    (["--connect", "5", "--patience", "0"], "training would never end"),
    (["--connect", "5", "--resume", "--anew"], "give one of them"),
    (["--connect", "5", "--fov", "4,5,5"], "fov is odd"),
    (["--connect", "5", "--fov", "4;5"], "--fov is three whole numbers"),
    (["--connect", "5", "--mirror", "t"], "--mirror takes some of z, y and x"),
    (["--connect", "5", "--connectivity", "7"], "--connectivity is 6, 18 or 26, not 7"),
    (["--connect", "5", "--validation", "0:24"], "nothing is left to learn from"),
    (["--connect", "5", "--validation", "2"], "a share between 0 and 1"),
    (["--connect", "5", "--set", "mvoe=1"], "--set mvoe: there is no such setting of the flood fill; there are"),
    (["--connect", "5", "--std", "0"], "--std: expected `float` > 0.0"),
    (["--connect", "5", "--std", "nan"], "--std is a finite number, not nan"),
    (["--connect", "5", "--learning-rate", "-1"], "--learning-rate: expected `float` > 0.0"),
    (["--connect", "5", "--object-weight", "0"], "--object-weight: expected `float` > 0.0"),
    (["--connect", "5", "--moves", "back"], "--moves"),
    (["--connect", "5", "--features", "0"], "--features"),
])  # fmt: skip
def test_wrong_use_is_one_sentence_before_anything_is_loaded(
    volume: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    result = CliRunner().invoke(ffn, ["train", str(volume), "-o", str(tmp_path / "m.keras"), *options])
    assert result.exit_code == 2
    assert said in result.output
    assert not list(tmp_path.iterdir())


def test_a_threshold_that_nothing_reaches_is_a_sentence(volume: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        ffn, ["train", str(volume), "-o", str(tmp_path / "m.keras"), "--connect", "1e6", "--steps", "1",
              "--fov", "3,5,5", "--deltas", "1,2,2"],
    )  # fmt: skip
    assert result.exit_code != 0
    assert "there is no object to learn from" in result.output


# --- what is true ---


def test_objects_close_across_the_seam_and_short_ones_are_not_known(volume: Path) -> None:
    ground = ground_of(volume, min_duration_h=12)
    assert ground.wraps_x
    assert len(np.unique(ground.truth[ground.truth > 0])) == 2, "two bodies, one of them on both sides of the seam"
    short = ground.truth == UNKNOWN
    assert set(np.flatnonzero(short.any(axis=(1, 2))).tolist()) <= {10, 11}
    assert short.any()
    background = ground_of(volume, min_duration_h=12, short_lived="background")
    assert not (background.truth == UNKNOWN).any()
    np.testing.assert_array_equal(background.truth > 0, ground.truth > 0)


def test_a_life_counts_its_first_and_its_last_step(volume: Path) -> None:
    six_hours = ground_of(volume, min_duration_h=6)
    assert not (six_hours.truth == UNKNOWN).any(), "two steps of three hours live six hours"
    assert (ground_of(volume, min_duration_h=6.1).truth == UNKNOWN).any()


def test_a_region_does_not_close(volume: Path) -> None:
    assert not ground_of(volume, Box((0, 0, 1), (24, 20, 32))).wraps_x


def test_stored_labels_are_the_truth_as_they_are(volume: Path, tmp_path: Path) -> None:
    found = inspect(InspectRequest(str(volume)))
    labels = np.zeros(small_volume.SHAPE, np.int64)
    labels[2:6, 3:7, 3:9], labels[8:12, 3:7, 3:9] = 70_000_000_000, 5
    np.save(tmp_path / "labels.npy", labels)
    box = Box((1, 0, 0), (20, 20, 32))
    ground = stored_truth(found.source, found.volume, box, str(tmp_path / "labels.npy"), None)
    np.testing.assert_array_equal(ground.truth == 2, labels[1:20] == 70_000_000_000)
    np.testing.assert_array_equal(ground.truth == 1, labels[1:20] == 5)
    np.save(tmp_path / "other.npy", labels[:5])
    np.save(tmp_path / "field.npy", small_volume.warm_bodies())
    with pytest.raises(InputError, match="holds fractions, and labels are whole numbers"):
        stored_truth(found.source, found.volume, box, str(tmp_path / "field.npy"), None)
    with pytest.raises(InputError, match="give labels of the same volume"):
        stored_truth(found.source, found.volume, box, str(tmp_path / "other.npy"), None)


def examples_of(ground: Ground, parts: list[tuple[int, int]], **more: Any) -> Examples:
    settings = msgspec.structs.replace(SETTINGS, mirror=(False, False, False), **more)
    return Examples(ground, parts, settings, Blocks(ground.source, ground.volume), 0)


def test_an_example_shows_the_field_and_the_object_in_its_middle(volume: Path) -> None:
    ground = ground_of(volume, min_duration_h=12)
    made = examples_of(ground, [(0, 18)])
    field = np.pad(small_volume.warm_bodies(), ((0, 0), (0, 0), (8, 8)), mode="wrap")
    inner = field[:18, :, 8:-8]
    looked_at = 0
    for number in range(60):
        one = made(number)
        assert one.image.shape == one.target.shape == one.weight.shape == SETTINGS.crop
        assert set(np.unique(one.target).tolist()) <= {np.float32(0.05), np.float32(0.95)}
        middle = one.image[SETTINGS.radius] * 2 + 5
        z, y, x = (int(i) for i in np.unravel_index(np.abs(inner - middle).argmin(), inner.shape))
        is_object = ground.truth[z, y, x] > 0
        assert (one.target[SETTINGS.radius] > 0.5) == is_object
        if 2 <= z < 16 and 4 <= y < 16:
            crop = field[z - 2 : z + 3, y - 4 : y + 5, x + 4 : x + 13]
            np.testing.assert_allclose(one.image * 2 + 5, crop, atol=1e-5)
            looked_at += 1
    assert looked_at > 5


def test_what_is_beyond_an_edge_or_unknown_does_not_count(volume: Path) -> None:
    made = examples_of(ground_of(volume, min_duration_h=12), [(0, 18)])
    for number in range(60):
        one = made(number)
        repeated_below = np.all(one.image[0] == one.image[1])
        assert not (repeated_below and one.weight[0].any()), "steps before the first one count nothing"
        assert np.isfinite(one.image).all()


def test_no_example_holds_a_voxel_of_the_validation(volume: Path, tmp_path: Path) -> None:
    found = inspect(InspectRequest(str(volume)))
    import xarray as xr

    with xr.open_dataset(volume) as data:
        numbered = data.load().copy()
    numbered["heat"][:] = np.arange(24)[:, None, None]
    numbered.to_netcdf(tmp_path / "numbered.nc", engine="h5netcdf")
    other = inspect(InspectRequest(str(tmp_path / "numbered.nc")))
    ground = ground_of(volume, min_duration_h=12)._replace(source=other.source, volume=found.volume)
    for parts in ([(0, 9), (13, 18)], [(9, 13), (18, 24)]):
        allowed = {step for part in parts for step in range(*part)}
        made = examples_of(ground, parts, mean=0.0, std=1.0)
        seen = {int(step) for number in range(80) for step in np.unique(made(number).image)}
        assert seen <= allowed


# --- a state ---


def about_step(step: int, processes: int = 1) -> training_state.About:
    return training_state.About(
        settings=SETTINGS, ground="g", processes=processes, step=step, minutes=1.0, examples=3, watch=Watch()
    )


def test_states_are_kept_whole_and_only_the_last_two(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        about = about_step(step, processes=1)
        training_state.save(tmp_path, 0, training_state.State(about, {"a/b": np.arange(step)}))
    assert training_state.steps(tmp_path, 0) == [20, 30]
    found = training_state.load(tmp_path, 0, 1)
    assert found.about == about
    np.testing.assert_array_equal(found.arrays["a/b"], np.arange(30))
    assert not list(tmp_path.glob(".*"))


def test_many_processes_go_on_from_the_last_step_that_all_have(tmp_path: Path) -> None:
    for process, steps in ((0, (10, 20)), (1, (10,))):
        for step in steps:
            about = about_step(step, processes=2)
            training_state.save(tmp_path, process, training_state.State(about, {}))
    assert training_state.load(tmp_path, 0, 2).about.step == 10
    with pytest.raises(TrainingError, match="there is nothing to resume"):
        training_state.load(tmp_path, 0, 3)


def test_a_damaged_state_and_another_training_are_each_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "state-0-5.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(TrainingError, match=r"state-0-5\.npz cannot be read"):
        training_state.load(tmp_path, 0, 1)
    about = about_step(5, processes=1)
    training_state.fits(about, msgspec.structs.replace(SETTINGS, steps=7, minutes=3.0, patience=1), "g", 1)
    with pytest.raises(TrainingError, match="begun with batch 16 and not 8"):
        training_state.fits(about, msgspec.structs.replace(SETTINGS, batch=8), "g", 1)
    with pytest.raises(TrainingError, match="1 processes and not 2"):
        training_state.fits(about, SETTINGS, "g", 2)


# --- the whole ---


def train(volume: Path, out: Path, *options: str) -> Any:
    return CliRunner().invoke(ffn, ["train", str(volume), "-o", str(out), *SMALL, *options])


def command(volume: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-c", "from streamer.cli import main; main()", "ffn", "train", str(volume), "-o", str(out),
            *SMALL, *options]  # fmt: skip


def state_of(out: Path, step: int, process: int = 0) -> dict[str, Any]:
    with np.load(out.with_suffix(".training") / f"state-{process}-{step}.npz") as file:
        return {name: file[name] for name in file.files if name != "about"}


def test_a_network_learns_and_says_what_it_has_seen(volume: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    out = tmp_path / "warm.keras"
    result = train(volume, out, "--steps", "90", "--validate-every", "30", "--learning-rate", "0.01", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["step"] == 90
    assert told["examples"] == 90 * 16
    assert 0 <= told["waiting"] < 1
    assert told["watch"]["best"] > 0.3, "F1 on examples of every kind in equal number"
    config = read_config(out)
    assert config.training is not None
    assert config.training.steps == [(0, 24)]
    assert config.training.times == [("2000-01-01T00:00Z", "2000-01-03T21:00Z")]
    assert config.training.labels == "connect ≥ 5, 26 neighbours, at least 12 h"
    assert (config.mean, config.std, config.variable, config.seeds.threshold) == (5.0, 2.0, "heat", 5.0)
    tags: dict[str, list[float]] = {}
    (log,) = (out.with_suffix(".training") / "logs").iterdir()
    for raw in tf.data.TFRecordDataset(str(log)).as_numpy_iterator():
        for value in tf.compat.v1.Event.FromString(raw).summary.value:
            tags.setdefault(value.tag, []).append(value.simple_value)
    assert len(tags["validation/f1"]) == 3
    assert tags["train/loss"][-1] < tags["train/loss"][0]

    again = train(volume, out, "--steps", "90")
    assert again.exit_code == 2
    assert "go on with --resume, or begin again with --anew" in again.output


def test_training_ends_when_nothing_gets_better_and_what_it_saw_is_left_out(volume: Path, tmp_path: Path) -> None:
    out = tmp_path / "part.keras"
    options = ["--interval", "0:20", "--region=-90,0,0,348", "--validation", "14:20", "--patience", "2"]
    some = [option for option in SMALL if option not in ("--validation", "18:24")]
    said = CliRunner().invoke(
        ffn,
        ["train", str(volume), "-o", str(out), *some, *options, "--validate-every", "5", "--steps", "4000", "--json"],
    )
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    assert re.match(r"2 validations brought nothing better than step \d+", told["why"]), told
    assert told["step"] == told["watch"]["best_step"] + 10 < 4000
    seen = read_config(out).training
    assert seen is not None
    assert seen.steps == [(0, 20)]
    assert seen.region == (-85.5, -4.5, 0.0, 337.5)
    judged = CliRunner().invoke(
        ffn, ["evaluate", str(volume), str(volume), "--connect", "5", "--model", str(out), "--json"]
    )
    assert judged.exit_code == 2, "a field is no prediction"
    labels = tmp_path / "labels.nc"
    with xr.open_dataset(volume) as field:
        (field.heat >= 5).astype("i4").rename("labels").to_netcdf(labels, engine="h5netcdf")
    judged = CliRunner().invoke(
        ffn, ["evaluate", str(labels), str(volume), "--connect", "5", "--model", str(out), "--json"]
    )
    assert judged.exit_code == 0, judged.output
    compared = json.loads(judged.stdout)
    nz, ny, nx = small_volume.SHAPE
    assert compared["total"]["voxels"] == nz * ny * nx - 20 * 10 * 31
    assert compared["left_out"].startswith("20 steps from 2000-01-01 00:00 to 2000-01-03 09:00")


@pytest.mark.parametrize("moves", ["fixed", "max_pred"])
def test_after_kill_minus_9_training_goes_on_as_if_nothing_had_been(volume: Path, tmp_path: Path, moves: str) -> None:
    options = ["--steps", "60", "--validate-every", "20", "--moves", moves]
    whole, killed = tmp_path / "whole.keras", tmp_path / "killed.keras"
    undisturbed = train(volume, whole, *options)
    assert undisturbed.exit_code == 0, undisturbed.output
    process = subprocess.Popen(
        command(volume, killed, *options),
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    with ending(process, signal.SIGKILL):
        # A line is written once the state of the validation that it tells of is.
        assert any(re.match(r"step \d+, ", line) for line in lines_within(process.stderr, 2 * PATIENCE_S))
    assert process.returncode == -signal.SIGKILL
    left = training_state.steps(killed.with_suffix(".training"), 0)
    assert left
    assert left[-1] < 60
    resumed = train(volume, killed, *options, "--resume")
    assert resumed.exit_code == 0, resumed.output
    expected, found = state_of(whole, 60), state_of(killed, 60)
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4, err_msg=name)
    one, other = read_model(whole), read_model(killed)
    assert one.config == other.config
    for name in one.weights:
        np.testing.assert_allclose(one.weights[name], other.weights[name], atol=1e-4)


def test_a_loss_that_is_not_a_number_stops_with_a_sentence(volume: Path, tmp_path: Path) -> None:
    result = train(volume, tmp_path / "m.keras", "--steps", "50", "--learning-rate", "1e30")
    assert result.exit_code == 1
    assert "the loss is not a number any more after" in result.output
    assert "take a smaller --learning-rate than 1e+30" in result.output


def test_nothing_to_resume_is_a_sentence(volume: Path, tmp_path: Path) -> None:
    result = train(volume, tmp_path / "m.keras", "--steps", "5", "--resume")
    assert result.exit_code == 1
    assert "there is nothing to resume in" in result.output


@pytest.mark.long
def test_two_processes_learn_what_one_with_the_doubled_batch_would(volume: Path, tmp_path: Path) -> None:
    options = ["--steps", "30", "--validate-every", "10", "--batch", "8"]
    alone, together = tmp_path / "alone.keras", tmp_path / "together.keras"
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        workers = [f"127.0.0.1:{door.getsockname()[1]}" for door in (one, other)]
    processes = []
    for index in range(2):
        where = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
        processes.append(
            subprocess.Popen(
                command(volume, together, *options, "--strategy", "multi-worker"),
                env={**os.environ, "TF_CONFIG": where, "CUDA_VISIBLE_DEVICES": ""},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
        )  # fmt: skip
    try:
        said = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            end(process, signal.SIGKILL)
    assert [process.returncode for process in processes] == [0, 0], said
    result = train(volume, alone, *options)
    assert result.exit_code == 0, result.output
    expected, first, second = state_of(alone, 30), state_of(together, 30), state_of(together, 30, 1)
    for name in expected:
        if name in ("canvas", "turn", "begun"):
            np.testing.assert_allclose(np.concatenate([first[name], second[name]]), expected[name], atol=1e-3)
        else:
            np.testing.assert_array_equal(first[name], second[name])
            np.testing.assert_allclose(first[name], expected[name], atol=1e-4, err_msg=name)
