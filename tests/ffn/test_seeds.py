"""Where objects are begun, and in which order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from inference_workers.ffn.seeds import choose_seeds, grid, maxima, peaks
from inference_workers.ffn.settings import SeedSettings
from tests.ffn.growing import blobs


def test_maxima_come_from_the_highest_down_and_none_is_below_the_threshold() -> None:
    field = blobs((12, 20, 24))
    found = maxima(field, 0.5)
    heights = field[tuple(found.T)]
    assert len(found) > 3
    assert (np.diff(heights) <= 0).all()
    assert heights.min() >= 0.5
    for z, y, x in found.tolist():
        near = field[max(z - 3, 0) : z + 4, max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4]
        assert field[z, y, x] == near.max()


@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([0.5, 0.9, 0.99]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_where_few_voxels_reach_the_threshold_the_same_maxima_are_found(
    seed: int, distance: int, share: float, coarse: bool
) -> None:
    random = np.random.default_rng(seed)
    field = blobs(tuple(random.integers(4, 16, 3).tolist()), seed=seed, sigma=1.0)
    field = np.round(3 * field) if coarse else field  # with plateaus
    threshold = float(np.quantile(field, share))
    highest = ndimage.maximum_filter(field, 2 * distance + 1, mode="nearest")
    places = np.argwhere((field == highest) & (field >= threshold))
    expected: list[list[int]] = []
    for place in places[np.argsort(-field[tuple(places.T)], kind="stable")].tolist():
        if all(max(abs(a - b) for a, b in zip(place, other, strict=True)) > distance for other in expected):
            expected.append(place)
    assert maxima(field, threshold, distance).tolist() == expected


def test_a_plateau_has_seeds_apart_in_c_order() -> None:
    assert maxima(np.ones((1, 1, 9)), 0.5, 3).tolist() == [[0, 0, 0], [0, 0, 4], [0, 0, 8]]


def test_nothing_begins_where_the_field_is_no_number() -> None:
    field = np.ones((3, 3, 3))
    field[1, 1, 1] = np.nan
    assert [1, 1, 1] not in maxima(field, 0.0, 1).tolist()
    assert len(maxima(np.full((3, 3, 3), np.nan), 0.0)) == 0


def test_peaks_lie_in_the_middle_between_edges_sorted_by_place() -> None:
    image = np.zeros((20, 20, 40), np.float32)
    image[:, :, 10:30] = 1
    found = peaks(image)
    assert len(found) > 0
    assert found.tolist() == sorted(found.tolist())
    assert (np.abs(found[:, 2] - 19.5) < 4).all(), "between the edges at 10 and 30"
    assert (found >= 3).all()
    assert (found < np.array(image.shape) - 3).all()
    assert np.array_equal(found, peaks(image)), "the same again"


def test_peaks_are_those_of_the_published_policy() -> None:
    feature = pytest.importorskip("skimage.feature", reason="scikit-image, whose peaks are compared, is not installed")
    image = blobs((16, 40, 48))
    gradient = ndimage.generic_gradient_magnitude(image, ndimage.sobel)
    distance = ndimage.distance_transform_edt(gradient <= ndimage.gaussian_filter(gradient, 49 / 6))
    distance += np.random.RandomState(42).rand(*distance.shape) * 1e-4
    expected = feature.peak_local_max(distance, min_distance=3, threshold_abs=0, threshold_rel=0)
    assert peaks(image).tolist() == sorted(expected.tolist())


def test_excluded_voxels_are_no_peaks() -> None:
    image = blobs((16, 24, 24))
    everywhere = peaks(image)
    excluded = np.zeros(image.shape, bool)
    excluded[tuple(everywhere[0])] = True
    assert everywhere[0].tolist() not in peaks(image, excluded=excluded).tolist()


def test_the_grid_begins_anew_at_each_offset() -> None:
    places = grid((17, 16, 33)).tolist()
    assert places[:6] == [[0, 0, 0], [0, 0, 16], [0, 0, 32], [16, 0, 0], [16, 0, 16], [16, 0, 32]]
    assert places[6:8] == [[8, 8, 8], [8, 8, 24]]
    assert len({tuple(place) for place in places}) == len(places)


def test_inverted_means_the_last_first() -> None:
    field = blobs((12, 20, 24))
    forward, backward = (choose_seeds(field, field, SeedSettings(inverted=inverted)) for inverted in (False, True))
    assert forward.tolist() == backward[::-1].tolist()


def test_a_list_of_seeds_is_given_and_not_found() -> None:
    with pytest.raises(ValueError, match="given"):
        choose_seeds(np.zeros((3, 3, 3)), np.zeros((3, 3, 3)), SeedSettings(policy="list"))
