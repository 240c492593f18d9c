"""What may be done to an example."""

from __future__ import annotations

import numpy as np

from inference_workers.ffn.augment import choose_mirrors, mirror


def test_time_is_never_reversed_unless_asked() -> None:
    chosen = [choose_mirrors((False, False, True), np.random.default_rng(i)) for i in range(200)]
    assert not any(z or y for z, y, _ in chosen)
    assert 60 < sum(x for _, _, x in chosen) < 140


def test_each_axis_is_mirrored_by_itself_where_it_may_be() -> None:
    chosen = {choose_mirrors((True, True, True), np.random.default_rng(i)) for i in range(200)}
    assert len(chosen) == 8


def test_which_axes_may_be_mirrored_does_not_change_what_else_is_drawn() -> None:
    first, second = np.random.default_rng(3), np.random.default_rng(3)
    choose_mirrors((True, True, True), first)
    choose_mirrors((False, False, False), second)
    assert first.random() == second.random()


def test_an_axis_is_turned_round_and_the_others_are_not() -> None:
    array = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(mirror(array, (False, False, True)), array[:, :, ::-1])
    np.testing.assert_array_equal(mirror(mirror(array, (True, True, False)), (True, True, False)), array)
    assert mirror(array, (True, False, True)).flags["C_CONTIGUOUS"]
