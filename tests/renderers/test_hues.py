"""Colours of objects: apart for all eyes, and not shared by neighbours, in whatever order they come to be known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from renderers.hues import Hues, near
from renderers.scene import Scene, _dimmed, _lit
from streamer.wire.colour import HUES, ONE, STEP, hue_of, object_colour, rgb_of
from tests.renderers.runs import pairs, piece_of, plain, spec_of

EYES = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Linear RGB as such eyes see it: Machado, Oliveira and Fernandes 2009, severity 1.0."""
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
Links = list[tuple[int, int]]


def cie_lab(colours: NDArray[np.float64], eye: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE Lab (D65) of sRGB colours in 0…255, (n, 3), as an eye sees them."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ eye.T, 0, 1) @ XYZ.T / (0.95047, 1.0, 1.08883)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("eye", EYES)
def test_any_two_hues_are_apart_and_bright_enough_for_a_dark_room(eye: str) -> None:
    lab = cie_lab(np.array(HUES, float), np.asarray(EYES[eye], float))
    apart = min(float(np.linalg.norm(one - other)) for one, other in combinations(lab, 2))
    assert apart > 20, "a just noticeable difference is 2.3"
    assert lab[:, 0].min() > 38


@pytest.mark.parametrize("eye", EYES)
def test_in_one_colour_what_is_marked_stands_out_to_all_eyes_and_all_is_bright_enough(eye: str) -> None:
    for name, colour in ONE.items():
        usual = rgb_of(colour)
        lab = cie_lab(np.array([usual, _lit(usual), _dimmed(usual)], float), np.asarray(EYES[eye], float))
        assert lab[0, 0] > 45, name
        assert lab[1, 0] - lab[2, 0] > 30, "marked and not marked differ in lightness, not in hue alone"


def test_steps_aside_lead_through_all_hues() -> None:
    assert {STEP * turn % len(HUES) for turn in range(len(HUES))} == set(range(len(HUES)))
    assert len({object_colour(7, turn) for turn in range(len(HUES))}) == len(HUES)


def settled(links: Links) -> Hues:
    hues = Hues()
    hues.meet(links)
    hues.settle()
    return hues


def hue(hues: Hues, root: int) -> int:
    return (hue_of(root) + STEP * hues.turns.get(root, 0)) % len(HUES)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=60), st.randoms(use_true_random=False))
def test_neighbours_differ_and_the_order_does_not_matter(links: Links, random: object) -> None:
    at_once, one_by_one = settled(links), Hues()
    shuffled = links.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random
    shown: dict[int, int] = {}
    for link in shuffled:
        one_by_one.meet([link])
        for root in one_by_one.settle():
            shown[root] = one_by_one.turns.get(root, 0)
    assert one_by_one.turns == at_once.turns
    assert {root: turn for root, turn in shown.items() if turn} == at_once.turns, "every change was told"
    degree = {root: len({a + b - root for a, b in links if root in (a, b)}) for link in links for root in link}
    for one, other in links:
        if one != other and degree[max(one, other)] < len(HUES):
            assert hue(at_once, one) != hue(at_once, other)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=40),
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=6),
)
def test_what_merges_is_as_if_it_had_always_been_one(links: Links, merges: Links) -> None:
    parent = {n: n for n in range(31)}
    hues = settled(links)
    for a, b in merges:
        root, gone = sorted((parent[a], parent[b]))
        if root != gone:
            parent = {n: root if p == gone else p for n, p in parent.items()}
            hues.merge(root, gone)
            hues.settle()
    assert hues.turns == settled([(parent[a], parent[b]) for a, b in links]).turns


def test_labels_are_near_within_two_voxels_and_no_further() -> None:
    block = np.zeros((4, 5, 9), np.uint32)
    block[1, 1, 1], block[2, 3, 3], block[1, 1, 6] = 2, 1, 3
    assert near(block, 3).tolist() == [[1, 2]]
    block[1, 2, 5] = 3
    assert near(block, 3).tolist() == [[1, 2], [1, 3]]
    assert len(near(block, 1)) == 0, "one alone has nobody beside it"


def test_neighbours_of_one_hue_part_in_the_scene_and_the_chunk_is_named() -> None:
    labels = np.zeros((4, 6, 40), np.uint32)
    starts = iter(range(0, 40, 2))
    first = next(starts)
    labels[0, 0, first] = 1
    second = next(x for x in starts if hue_of(1 + x) == hue_of(1 + first))
    # From the second place a line leads back to the first one's side.
    labels[0, 0, second] = 2
    labels[0, 1, second] = 2
    labels[0, 2, 2 : second + 1] = 2
    labels[0, 2, 0:3] = 2
    spec = spec_of(plain((4, 6, 40)), (4, 6, 40))
    scene = Scene(spec.grid)
    assert scene.arrive(piece_of(spec.grid, 0, labels)) == {0}
    one, other = 1 + first, 1 + second
    assert scene.colour(one) == object_colour(one), "the smaller one keeps its own"
    assert scene.colour(other) == object_colour(other, 1)
    assert scene.turns(9) == {other: 1}
    assert (scene.look(0).colours[1:] == [scene.colour(int(i)) for i in scene.ids(0)[1:]]).all()
    scene.judge(pairs((other, 0)))
    assert scene.turns(9) == {}, "nobody asks for the colour of what is not shown"
