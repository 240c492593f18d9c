"""Which places are learned from: their classes, and that each class has its turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_workers.ffn.sampling import NOWHERE, THRESHOLDS, class_map, draw, shuffled, sort_places

VECTORS = Path(__file__).parents[2].parent / "shared" / "ffn" / "unit_vectors.npz"


def two_objects() -> np.ndarray:
    labels = np.zeros((9, 10, 11), np.int32)
    labels[1:5, 2:7, 1:6] = 1
    labels[4:8, 6:9, 6:10] = 3
    labels[0, 0, 5] = -1
    labels[8, 5, 5] = -1
    return labels


def test_classes_are_those_of_the_reference() -> None:
    if not VECTORS.exists():
        pytest.skip("the reference vectors of ../shared/ffn are not here")
    vectors = np.load(VECTORS)
    labels = vectors["part_labels"].astype(np.int32)
    labels[(np.bincount(labels.reshape(-1)) < 500)[labels]] = 0
    x, y, z = vectors["part_lom_radius_xyz"].tolist()
    np.testing.assert_array_equal(class_map(labels, (z, y, x)), vectors["part_out"])


def test_a_class_is_the_share_of_the_box_that_has_the_own_label() -> None:
    labels, radius = two_objects(), (1, 2, 1)
    found = class_map(labels, radius)
    assert found.shape == (7, 6, 9)
    for place in np.ndindex(found.shape):
        own = labels[tuple(p + r for p, r in zip(place, radius, strict=True))]
        box = labels[tuple(slice(p, p + 2 * r + 1) for p, r in zip(place, radius, strict=True))]
        share = np.count_nonzero(box == own) / box.size
        expected = 1 + sum(share >= t for t in THRESHOLDS) if own > 0 else (0 if own == 0 else NOWHERE)
        assert found[place] == expected


def test_a_box_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"does not fit into a part of \(3, 10, 11\)"):
        class_map(np.zeros((3, 10, 11), np.int32), (2, 1, 1))


def test_every_class_has_its_turn_in_each_round() -> None:
    places = sort_places(class_map(two_objects(), (1, 1, 1)))
    kinds = len(places.classes)
    for turn in range(20):
        drawn = [draw(places, 5, turn * kinds + i).kind for i in range(kinds)]
        assert sorted(drawn) == sorted(places.classes)


def test_a_class_goes_through_all_its_voxels_before_any_again() -> None:
    classes = class_map(two_objects(), (1, 1, 1))
    places = sort_places(classes)
    kinds, kind = len(places.classes), places.classes[-1]
    count = places.counts[kind]
    drawn = [draw(places, 5, number) for number in range(2 * count * kinds)]
    mine = [d.place for d in drawn if d.kind == kind]
    assert sorted(mine[:count]) == sorted(mine[count:]) == np.flatnonzero(classes == kind).tolist()
    assert mine[:count] != mine[count:], "the order is another in each round"


def test_what_is_drawn_follows_from_seed_and_number_alone() -> None:
    places = sort_places(class_map(two_objects(), (1, 1, 1)))
    late_first = [draw(places, 1, number).place for number in (70, 3)]
    assert late_first == [draw(places, 1, number).place for number in (3, 70)][::-1]
    assert [draw(places, 1, n).place for n in range(50)] != [draw(places, 2, n).place for n in range(50)]
    assert draw(places, 1, 3).random.random() == draw(places, 1, 3).random.random()


def test_voxels_that_nobody_knows_are_never_drawn() -> None:
    labels = two_objects()
    labels[labels == 3] = -1
    places = sort_places(class_map(labels, (0, 0, 0)))
    unknown = set(np.flatnonzero(labels == -1).tolist())
    assert not unknown & {draw(places, 0, number).place for number in range(2000)}


def test_a_volume_without_objects_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="there is no object to learn from: give other labels"):
        sort_places(np.zeros((4, 4, 4), np.uint8))


@given(st.integers(1, 300), st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_the_random_order_is_one_to_one(length: int, seed: int) -> None:
    found = {shuffled(i, length, np.random.default_rng(seed)) for i in range(length)}
    assert found == set(range(length))
