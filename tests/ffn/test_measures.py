"""Measures of agreement, against brute force and against scikit-image."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage import metrics

from inference_workers.ffn.components import connected, lasting
from inference_workers.ffn.measures import (
    Table,
    added,
    by_grouping,
    by_objects,
    by_voxels,
    contingency,
)

Labels = NDArray[np.int64]


def drawn(seed: int, shape: tuple[int, int, int] = (6, 9, 11), labels: int = 5) -> Labels:
    """Blobs of labels with background between."""
    random = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(random.standard_normal((labels, *shape)), (0, 1, 1.5, 1.5))
    return np.asarray(np.where(smooth.max(axis=0) > 0.1, smooth.argmax(axis=0) + 1, 0), np.int64)


def row(table: Table, pred: int, truth: int) -> int:
    """How many voxels carry this pair."""
    return int(table.voxels[(table.pred == pred) & (table.truth == truth)].sum())


@given(st.integers(0, 10**6))
def test_a_table_counts_each_pair_and_slabs_add_up_to_the_whole(seed: int) -> None:
    pred, truth = drawn(seed), drawn(seed + 1)
    whole = contingency(pred, truth)
    for p, t in product(range(6), repeat=2):
        assert row(whole, p, t) == np.count_nonzero((pred == p) & (truth == t))
    parts = added(contingency(pred[z : z + 2], truth[z : z + 2]) for z in (4, 0, 2))
    for ours, theirs in zip(parts, whole, strict=True):
        assert np.array_equal(ours, theirs)


def test_voxels_about_which_nobody_said_anything_count_nowhere() -> None:
    table = contingency(np.array([[[-1, 1, 0, 2]]]), np.array([[[3, -1, 0, 2]]]))
    assert table.total == 2
    assert by_objects(table).id.tolist() == [2]


def test_labels_may_be_any_numbers() -> None:
    pred = np.array([[[0, 2**52, 2**52, 7]]])
    table = contingency(pred, np.array([[[0, 1, 1, 10**15]]]))
    assert (row(table, 2**52, 1), row(table, 7, 10**15), row(table, 0, 0)) == (2, 1, 1)
    assert by_objects(table).f1 == 1


@given(st.integers(0, 10**6))
def test_grouping_is_what_scikit_image_says(seed: int) -> None:
    pred, truth = drawn(seed), drawn(seed + 1)
    ours = by_grouping(contingency(pred, truth))
    split, merge = metrics.variation_of_information(truth, pred, ignore_labels=[0])
    error, _, _ = metrics.adapted_rand_error(truth, pred, ignore_labels=[0])
    assert ours.split == pytest.approx(split, abs=1e-9)
    assert ours.merge == pytest.approx(merge, abs=1e-9)
    assert ours.rand_error == pytest.approx(error, abs=1e-9)
    assert ours.variation == pytest.approx(split + merge, abs=1e-9)


def test_an_object_cut_in_halves_is_a_split_of_one_bit_and_two_that_run_together_a_merge_of_one() -> None:
    two, one = np.array([[[1, 1, 2, 2]]]), np.array([[[5, 5, 5, 5]]])
    cut, run = by_grouping(contingency(two, one)), by_grouping(contingency(one, two))
    assert (cut.split, cut.merge, run.split, run.merge) == (1, 0, 0, 1)
    # Six pairs of voxels are together in the one, two of them in the other too: 1 − 2·2/(6+2).
    assert cut.rand_error == run.rand_error == pytest.approx(0.5)


@given(st.integers(0, 10**6))
def test_voxels_and_objects_are_what_brute_force_counts(seed: int) -> None:
    pred, truth = drawn(seed, labels=9), drawn(seed, labels=7)
    table = contingency(pred, truth)
    p, t = pred > 0, truth > 0
    voxels, objects = by_voxels(table), by_objects(table)
    assert [voxels.both, voxels.only_pred, voxels.only_truth, voxels.neither] == [
        np.count_nonzero(p & t), np.count_nonzero(p & ~t), np.count_nonzero(t & ~p), np.count_nonzero(~t & ~p)
    ]  # fmt: skip
    best = []
    for name in np.unique(truth[t]):
        ours = truth == name
        ious = {q: np.count_nonzero(ours & (pred == q)) / np.count_nonzero(ours | (pred == q))
                for q in np.unique(pred[p])}  # fmt: skip
        best.append(max(ious.values(), default=0.0))
        near = [q for q, iou in ious.items() if iou > 0.5]
        assert len(near) < 2
        at = objects.id.tolist().index(name)
        if near:
            assert objects.matched[at] == near[0]
        pieces = [q for q in np.unique(pred[p]) if np.count_nonzero(ours & (pred == q)) >= ours.sum() / 20]
        assert objects.pieces[at] == len(pieces)
        assert objects.covered[at] == np.count_nonzero(ours & p)
    assert objects.mean_iou == pytest.approx(np.mean(best))
    assert objects.hits + len(objects.unmatched) == objects.predicted == len(np.unique(pred[p]))


def test_no_object_is_matched_twice_even_where_halves_are_enough() -> None:
    found = by_objects(contingency(np.array([[[1, 2]]]), np.array([[[3, 3]]])))
    assert found.matched.tolist() == [1]
    assert (found.precision, found.recall) == (0.5, 1)
    assert found.f1 == pytest.approx(2 / 3)
    assert found.unmatched.tolist() == [2]


def test_a_perfect_prediction_is_perfect_and_an_empty_one_says_none_where_nothing_can_be_said() -> None:
    truth = drawn(3)
    same = contingency(truth * 10, truth)
    assert (by_voxels(same).iou, by_objects(same).f1, by_objects(same).mean_iou) == (1, 1, 1)
    assert (by_grouping(same).variation, by_grouping(same).rand_error) == (0, 0)
    nothing = contingency(np.zeros_like(truth), np.zeros_like(truth))
    assert by_voxels(nothing).precision is by_objects(nothing).f1 is by_grouping(nothing).variation is None
    missed = contingency(np.zeros_like(truth), truth)
    assert (by_voxels(missed).recall, by_objects(missed).recall, by_objects(missed).mean_iou) == (0, 0, 0)
    assert by_objects(missed).precision is None


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        contingency(np.zeros((1, 2, 3), np.int64), np.zeros((1, 3, 2), np.int64))


@pytest.mark.parametrize("periodic", list(product([False, True], repeat=3)))
@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_components_close_across_seams_as_a_search_by_neighbours_does(
    connectivity: int, periodic: tuple[bool, bool, bool]
) -> None:
    belongs = np.random.default_rng(connectivity).random((4, 5, 6)) < 0.18
    ours = connected(belongs, connectivity, periodic)
    theirs = searched(belongs, connectivity, periodic)
    assert np.array_equal(ours > 0, belongs)
    pairs = {(a, b) for a, b in zip(ours[belongs].tolist(), theirs[belongs].tolist(), strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    assert set(np.unique(ours[belongs])) == set(range(1, len(pairs) + 1))


def searched(belongs: NDArray[np.bool_], connectivity: int, periodic: tuple[bool, bool, bool]) -> NDArray[np.int64]:
    """Components by going from neighbour to neighbour."""
    most = {6: 1, 18: 2, 26: 3}[connectivity]
    steps = [s for s in product((-1, 0, 1), repeat=3) if 0 < sum(map(abs, s)) <= most]
    found, name = np.zeros(belongs.shape, np.int64), 0
    for start in map(tuple, np.argwhere(belongs).tolist()):
        if found[start]:
            continue
        name += 1
        open_: list[Any] = [start]
        found[start] = name
        while open_:
            here = open_.pop()
            for step in steps:
                there = tuple(
                    (h + s) % n if wraps else h + s
                    for h, s, n, wraps in zip(here, step, belongs.shape, periodic, strict=True)
                )
                inside = all(0 <= t < n for t, n in zip(there, belongs.shape, strict=True))
                if inside and belongs[there] and not found[there]:
                    found[there] = name
                    open_.append(there)
    return found


def test_life_counts_from_the_beginning_of_the_first_step_to_the_end_of_the_last() -> None:
    labels = np.zeros((8, 1, 3), np.uint32)
    labels[0:8, 0, 0], labels[[0, 6], 0, 1], labels[2, 0, 2] = 1, 2, 3
    assert set(np.unique(lasting(labels, np.full(8, 3.0), 24.0))) == {0, 1}
    assert set(np.unique(lasting(labels, np.full(8, 3.0), 21.0))) == {0, 1, 2}
    assert lasting(labels, np.full(8, 3.0), 0.0) is labels
