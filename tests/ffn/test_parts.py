"""What touches is one object, and what does not touch is not."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from inference_workers.ffn import Canvas, FloodFillSettings
from inference_workers.ffn.parts import by_contact


def two_of_one() -> np.ndarray:
    labels = np.zeros((3, 5, 12), np.int32)
    labels[1, 1, 1:3] = 1
    labels[1, 1, 5:9] = 1
    labels[2, 4, 11] = 2
    labels[0, 3, 11] = 1
    return labels


def test_the_largest_part_keeps_its_number_and_the_others_get_new_ones() -> None:
    found = by_contact(two_of_one())
    assert found[1, 1].tolist() == [0, 4, 4, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert (found[2, 4, 11], found[0, 3, 11]) == (2, 3)


def test_parts_that_are_too_small_are_dropped() -> None:
    found = by_contact(two_of_one(), least=2)
    assert sorted(np.unique(found).tolist()) == [0, 1, 3]
    assert found[0, 3, 11] == found[2, 4, 11] == 0


def test_what_touches_by_a_corner_is_one_part() -> None:
    labels = np.zeros((2, 2, 2), np.int32)
    labels[0, 0, 0] = labels[1, 1, 1] = 7
    np.testing.assert_array_equal(by_contact(labels), labels)
    assert not by_contact(np.zeros((2, 2, 2), np.int32)).any()


def test_objects_that_touch_go_by_the_earliest_ones_number() -> None:
    labels = np.zeros((2, 3, 9), np.int32)
    labels[0, 1, :3], labels[1, 2, 3:6], labels[1, 0, 8] = 3, 2, 3
    found = by_contact(labels)
    assert found[0, 1].tolist() == [2, 2, 2, 0, 0, 0, 0, 0, 0]
    assert found[1, 2, 3] == 2
    assert found[1, 0, 8] == 3, "what is left of the other keeps its number"


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_objects_are_the_connected_parts_of_all_that_is_filled(seed: int) -> None:
    labels = (np.random.default_rng(seed).integers(0, 12, (5, 6, 7)) - 8).clip(0).astype(np.int32)
    once = by_contact(labels)
    parts, count = ndimage.label(labels > 0, np.ones((3, 3, 3)))
    assert len(np.unique(np.stack([parts, once]).reshape(2, -1), axis=1).T) == count + 1
    np.testing.assert_array_equal(once > 0, labels > 0)
    np.testing.assert_array_equal(by_contact(once), once)


def test_a_canvas_tells_by_contact_only_where_its_settings_say_so() -> None:
    image = np.full((5, 9, 17), -1, np.float32)
    image[2, 4, 3:7] = image[2, 4, 9:13] = 1

    def leaky(image: np.ndarray, seed: np.ndarray) -> np.ndarray:
        return np.where(image > 0, 4, -4).astype(np.float32)

    for connected, numbers in ((False, [0, 1]), (True, [0, 1, 2])):
        flood = FloodFillSettings(fov=(3, 3, 9), deltas=(0, 0, 3), min_segment_size=2, connected=connected)
        filled = Canvas(image, leaky, flood).segment(np.array([[2, 4, 6]]))
        assert np.unique(filled.labels).tolist() == numbers
