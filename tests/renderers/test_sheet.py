"""The raised sheet of one step: closed, above its cells, and seamless; and the slices that it is made of."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from renderers.sheet import EMPTY, Flat, Globe, Ground, Sheet, corners, sheet
from renderers.slices import Slices
from streamer.wire.grid import Grid

GLOBE, FLAT = Globe(0.8), Flat(0.0, 180.0, 0.01)
Mask = NDArray[np.bool_]


def made(labelled: Mask, ground: Ground, *, wraps: bool, north_first: bool = False, height: float = 0.05) -> Sheet:
    y, x = labelled.shape
    lat, lon = np.linspace(-60, 60, y + 1), np.linspace(0, 360 if wraps else 200, x + 1)
    heights = height * (1 + np.arange(labelled.size).reshape(labelled.shape) / labelled.size)
    return sheet(labelled, heights, lat[::-1] if north_first else lat, lon, ground, wraps=wraps)


def edges(surface: Sheet) -> Counter[tuple[tuple[float, ...], tuple[float, ...]]]:
    """How often each directed edge, by its ends' places, is part of a triangle."""
    places = [tuple(np.round(p, 5).tolist()) for p in surface.points.astype(float) + 0.0]
    found: Counter[tuple[tuple[float, ...], tuple[float, ...]]] = Counter()
    for a, b, c in surface.triangles.tolist():
        for one, other in ((a, b), (b, c), (c, a)):
            if places[one] != places[other]:
                found[(places[one], places[other])] += 1
    return found


@given(arrays(bool, st.tuples(st.integers(1, 6), st.integers(3, 7))), st.booleans(), st.booleans())
def test_no_sheet_has_a_crack(labelled: Mask, wraps: bool, north_first: bool) -> None:
    """Every edge that is not on the ground is run through once in each direction."""
    for ground in (GLOBE, FLAT):
        if ground is FLAT and wraps:
            continue  # flat, the two ends of the world are far apart
        surface = made(labelled, ground, wraps=wraps, north_first=north_first)
        found = edges(surface)
        for (one, other), times in found.items():
            heights = [np.linalg.norm(p) - 0.8 if ground is GLOBE else p[2] for p in (one, other)]
            if max(heights) > 1e-4:
                assert found[(other, one)] == times


@given(arrays(bool, (5, 6)), st.booleans())
def test_lids_look_outward_and_stand_as_high_as_was_asked(labelled: Mask, north_first: bool) -> None:
    surface = made(labelled, GLOBE, wraps=True, north_first=north_first)
    if not labelled.any():
        assert surface is EMPTY
        return
    lids = 4 * int(labelled.sum())
    outward = surface.points[:lids] / np.linalg.norm(surface.points[:lids], axis=1, keepdims=True)
    assert (np.einsum("ij,ij->i", outward, surface.normals[:lids]) > 0.3).all()
    away = np.linalg.norm(surface.points[:lids], axis=1) - 0.8
    assert (away > 0.05 - 1e-5).all()
    assert (away < 0.1 + 1e-5).all()
    a, b, c = (surface.points[surface.triangles[:, i]] for i in range(3))
    turned = np.einsum("ij,ij->i", np.cross(b - a, c - a), surface.normals[surface.triangles[:, 0]])
    assert (turned >= -1e-9).all()


def test_a_cell_is_above_its_place_on_earth() -> None:
    labelled = np.zeros((4, 8), bool)
    labelled[3, 1] = True
    surface = made(labelled, GLOBE, wraps=True)
    x, y, z = surface.points[:4].mean(axis=0)
    assert np.degrees(np.arctan2(y, x)) == pytest.approx(67.5, abs=0.01)
    assert np.degrees(np.arctan2(z, np.hypot(x, y))) == pytest.approx(45, abs=3)
    assert set(surface.cells.tolist()) == {3 * 8 + 1}


def test_there_is_no_wall_across_the_date_line() -> None:
    labelled = np.ones((3, 6), bool)
    assert len(made(labelled, GLOBE, wraps=True).triangles) == 2 * 18 + 2 * 12
    assert len(made(labelled, GLOBE, wraps=False).triangles) == 2 * 18 + 2 * 12 + 2 * 6


def test_corners_lie_halfway_and_stop_at_the_poles() -> None:
    assert corners(np.array([-90.0, 0.0, 90.0]), -90, 90).tolist() == [-90, -45, 45, 90]
    assert corners(np.array([20.0, 10.0]), -90, 90).tolist() == [25, 15, 5]
    assert corners(np.array([3.0]), -90, 90).tolist() == [2.5, 3.5]


@given(st.integers(0, 9), st.lists(st.integers(0, 26), unique=True))
def test_a_step_holds_what_the_chunks_that_came_say_of_it(step: int, came: list[int]) -> None:
    grid = Grid((10, 7, 8), (4, 3, 3))
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 5, grid.shape).astype(np.uint32)
    slices = Slices(grid)
    expected = np.zeros(grid.shape, np.uint64)
    for chunk in came:
        core = grid.core(chunk).slices
        slices.put(chunk, labels[core])
        expected[core] = np.array([0, 11, 12, 13, 14], np.uint64)[labels[core]] + (labels[core] > 0) * np.uint64(chunk)

    def ids_of(chunk: int) -> NDArray[np.uint64]:
        return np.array([0, *(11 + n + chunk for n in range(4))], np.uint64)

    assert np.array_equal(slices.ids(step, ids_of), expected[step])


def test_a_chunk_that_comes_again_takes_the_place_of_the_first() -> None:
    grid = Grid((4, 4, 4), (4, 4, 4))
    slices = Slices(grid)
    slices.put(0, np.ones(grid.shape, np.uint32))
    assert slices.at(0, lambda _, part: part).all()
    slices.put(0, np.zeros(grid.shape, np.uint32))
    assert not slices.at(0, lambda _, part: part).any()
    assert slices.nbytes == 0


def test_what_is_kept_unpacked_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("renderers.slices.KEPT_BYTES", 3 * 4 * 64)
    grid = Grid((4, 16, 16), (4, 4, 4))
    slices = Slices(grid)
    for chunk in range(grid.size):
        slices.put(chunk, np.full((4, 4, 4), chunk + 1, np.uint32))
    packed = slices.nbytes
    step = slices.at(2, lambda _, part: part)
    assert np.array_equal(step[::4, ::4].ravel(), np.arange(1, 17))
    assert slices.nbytes - packed <= 3 * 4 * 64
    with pytest.raises(IndexError, match="step 4"):
        slices.at(4, lambda _, part: part)
