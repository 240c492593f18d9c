"""The flood fill of one canvas: against the reference, and against what can be said without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference_workers.connect import components
from inference_workers.ffn.canvas import Canvas, Filled
from inference_workers.ffn.file import Model
from inference_workers.ffn.loading import start
from inference_workers.ffn.model import ModelConfig
from inference_workers.ffn.quantise import quantise
from inference_workers.ffn.seeds import maxima
from inference_workers.ffn.settings import FloodFillSettings, logit
from tests.ffn.growing import SURE, GrowingNetwork, Patch, blobs

VECTORS = Path(__file__).parents[2].parent / "shared" / "ffn" / "ivt_canvas_small.npz"
reference = pytest.mark.skipif(not VECTORS.exists(), reason="the reference vectors are not beside the checkout")
SMALL = FloodFillSettings(fov=(3, 5, 5), deltas=(1, 2, 2), min_segment_size=1)


@reference
@pytest.mark.parametrize("name", ["disco0", "discooff"])
def test_a_canvas_is_filled_step_for_step_as_the_reference_did(name: str) -> None:
    told = np.load(VECTORS)
    settings = FloodFillSettings(
        fov=(5, 33, 33), deltas=(1, 8, 8), min_segment_size=200, disconnection_bias=name == "disco0"
    )
    image = (told["ivt"].astype(np.float32) - 300) / 200
    config = ModelConfig(depth=4, features=8, mean=300, std=200, flood=settings)
    weights = {name[12:].replace(".", "/"): told[name] for name in told if name.startswith("seed_update.")}
    network = start(Model(config, weights), backend="tensorflow", threads=1)
    filled = Canvas(image, network.predict, settings).segment(told["seeds"])
    assert np.array_equal(filled.trace, told[f"{name}_trace"])
    assert np.array_equal(filled.starts, told[f"{name}_starts"])
    assert np.array_equal(np.array(filled.origins), told[f"{name}_origins"])
    assert (filled.labels == told[f"{name}_segmentation"]).mean() >= 0.999


def fill(image: NDArray[Any], seeds: Any, settings: FloodFillSettings = SMALL, predict: Any = None) -> Filled:
    canvas = Canvas(image, predict or GrowingNetwork().predict, settings)
    return canvas.segment(np.array(seeds).reshape(-1, 3))


def test_what_is_connected_is_one_object_and_what_is_not_is_another() -> None:
    image = np.pad(blobs((10, 24, 28)) - 0.6, ((1, 1), (2, 2), (2, 2)), constant_values=-1)
    filled = fill(image, maxima(image, 0.0, 1), FloodFillSettings(fov=(3, 5, 5), deltas=(1, 1, 1), min_segment_size=1))
    expected = components(image >= 0, 26)
    assert not (filled.labels[expected == 0] > 0).any()
    assert (filled.labels[expected > 0] > 0).mean() > 0.95
    pairs = np.unique(np.stack([filled.labels.ravel(), expected.ravel()])[:, filled.labels.ravel() > 0], axis=1)
    assert pairs.shape[1] == filled.labels.max(), "no object reaches into two components"
    assert len(np.unique(pairs[1])) > 5


def test_objects_are_numbered_as_found_with_their_origins_and_certainty() -> None:
    image = np.full((5, 9, 30), -1.0)
    image[2, 4, 3:8] = image[2, 4, 20:27] = 1
    filled = fill(image, [(2, 4, 22), (2, 4, 5), (2, 4, 6)])
    assert filled.labels[2, 4, 22] == 1
    assert filled.labels[2, 4, 5] == 2
    assert [origin[:4] for origin in filled.origins] == [(1, 2, 4, 22), (2, 2, 4, 5)]
    assert filled.starts.tolist() == [[2, 4, 22], [2, 4, 5]]
    assert filled.trace[0].tolist() == [0, 2, 4, 22]
    assert filled.iterations == sum(origin.iterations for origin in filled.origins)
    least, most = quantise(1 / (1 + np.exp(-np.array([SURE - 1, SURE]))))
    assert least <= filled.probability[filled.labels > 0].min()
    assert filled.probability.max() <= most
    assert not filled.probability[filled.labels == 0].any()


def test_seeds_near_an_edge_are_passed_over() -> None:
    filled = fill(np.ones((5, 9, 9)), [(0, 4, 4), (2, 1, 4), (2, 4, 7)])
    assert (filled.iterations, filled.origins, filled.rejected) == (0, [], [])


def test_a_seed_near_an_object_is_rejected_and_an_object_that_is_too_small_leaves_its_voxels_free() -> None:
    image = np.full((5, 9, 30), -1.0)
    image[2, 4, 3:8] = image[2, 4, 20:27] = 1
    settings = FloodFillSettings(fov=(3, 5, 5), deltas=(1, 2, 2), min_segment_size=6)
    filled = fill(image, [(2, 4, 5), (2, 4, 22), (2, 3, 22)], settings)
    assert [(r.x, r.reason, r.voxels) for r in filled.rejected] == [(5, "small", 5), (22, "near", 0)]
    assert filled.labels.max() == 1
    assert filled.labels.min() == 0, "rejected seeds are free in what is handed out"


def test_a_seed_that_the_network_does_not_believe_in_is_weak() -> None:
    filled = fill(np.full((5, 9, 9), -1.0), [(2, 4, 4)])
    assert [(r.reason, r.iterations) for r in filled.rejected] == [("weak", 1)]


def test_an_object_that_wants_the_voxels_of_another_is_told_of_and_does_not_get_them() -> None:
    image = np.full((5, 9, 30), -1.0)
    image[2, 4, 3:27] = 1

    def no_farther(images: Patch, seeds: Patch) -> Patch:
        """Believes in all it sees, but not so much that the field of view would move."""
        return np.where(images >= 0, np.where(seeds > 2.5, seeds, 1.0), -SURE).astype(np.float32)

    settings = FloodFillSettings(fov=(3, 5, 5), deltas=(1, 2, 2), min_segment_size=1, move=0.9)
    filled = fill(image, [(2, 4, 10), (2, 4, 14)], settings, no_farther)
    assert np.flatnonzero(filled.labels[2, 4] == 1).tolist() == [8, 9, 10, 11, 12]
    assert np.flatnonzero(filled.labels[2, 4] == 2).tolist() == [13, 14, 15, 16]
    assert [tuple(overlap) for overlap in filled.overlaps] == [(2, 1, 1, 5)]


def test_what_was_unlikely_once_stays_so_only_under_the_bias() -> None:
    """The network doubts at the first look what it believes at the second."""

    def predict_with(looks: list[int]) -> Any:
        def predict(images: Patch, seeds: Patch) -> Patch:
            looks.append(1)
            return np.where(seeds > 2, seeds, SURE if len(looks) > 1 else -1.0).astype(np.float32)

        return predict

    sizes = []
    for bias in (True, False):
        settings = FloodFillSettings(
            fov=(1, 1, 5), deltas=(0, 0, 2), min_segment_size=1, disconnection_bias=bias, move=0.9, pad=0.95
        )
        looks: list[int] = []
        doubt = predict_with(looks)

        def predict(images: Patch, seeds: Patch, doubt: Any = doubt, looks: Any = looks) -> Patch:
            answer: Patch = doubt(images, seeds)
            if len(looks) == 1:
                answer[..., 1], answer[..., 4] = -1.0, SURE
            return answer

        sizes.append(int((fill(np.ones((1, 1, 11)), [(0, 0, 4)], settings, predict).labels > 0).sum()))
    assert sizes[0] < sizes[1]


def test_the_bias_compares_with_what_was_there_and_not_with_what_was_never_seen() -> None:
    canvas = Canvas(np.ones((1, 1, 9)), lambda _, seed: seed, FloodFillSettings(fov=(1, 1, 5), deltas=(0, 0, 2)))
    steps = canvas.steps(np.array([[0, 0, 4]]))
    _, seed = next(steps)
    assert seed.ravel() == pytest.approx([logit(0.05)] * 2 + [logit(0.95)] + [logit(0.05)] * 2)
    # All five rise from "never seen" to likely: none is held, so the field of view moves on to both sides.
    _, seed = steps.send(np.full((1, 1, 5), SURE, np.float32))
    assert seed.ravel()[-2:].tolist() in ([SURE, SURE], pytest.approx([logit(0.05)] * 2))


def test_what_no_field_of_view_has_reached_is_no_object_however_likely_the_padding() -> None:
    image = np.full((5, 23, 23), -1.0)
    image[2, 4:6, 4:18] = image[2, 4:18, 4:6] = 1  # round a corner: what lies inside is in no field of view
    settings = FloodFillSettings(
        fov=(3, 5, 5), deltas=(1, 2, 2), min_segment_size=1, disconnection_bias=False, pad=0.7, segment=0.6
    )
    filled = fill(image, [(2, 4, 4)], settings)
    assert filled.labels[2, 4, 15] == filled.labels[2, 15, 4] == 1
    assert not (filled.labels[image < 0] > 0).any()


def test_an_object_that_may_go_on_beyond_an_open_side_is_not_too_small() -> None:
    image = np.full((5, 9, 30), -1.0)
    image[2, 4, 24:] = 1
    settings = FloodFillSettings(fov=(3, 5, 5), deltas=(1, 2, 2), min_segment_size=100)
    for is_open, objects in ((False, 0), (True, 1)):
        sides = ((False, False), (False, False), (False, is_open))
        canvas = Canvas(image, GrowingNetwork().predict, settings, open_sides=sides)
        assert len(canvas.segment(np.array([[2, 4, 25]])).origins) == objects


def test_images_that_cannot_be_filled_are_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="not numbers"):
        Canvas(np.full((3, 5, 5), np.nan), GrowingNetwork().predict, SMALL)
    with pytest.raises(ValueError, match="three axes"):
        Canvas(np.zeros((5, 5)), GrowingNetwork().predict, SMALL)
    with pytest.raises(ValueError, match=r"answered \(1, 1, 1\) to a field of view of \(3, 5, 5\)"):
        fill(np.ones((5, 9, 9)), [(2, 4, 4)], predict=lambda image, _: np.zeros_like(image[:, :1, :1, :1]))


@pytest.mark.parametrize(("what", "said"), [
    ({"fov": (3, 4, 5)}, "odd"),
    ({"deltas": (1, 3, 2)}, "half of it"),
    ({"move": 1.5}, "between 0 and 1"),
    ({"move": 0.97}, "nothing would ever move"),
    ({"min_boundary_dist": (1, -1, 1)}, "min_boundary_dist"),
])  # fmt: skip
def test_settings_that_do_not_fit_together_are_named(what: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FloodFillSettings(**({"fov": (3, 5, 5), "deltas": (1, 2, 2)} | what))
