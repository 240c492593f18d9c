"""The chunks' triangles are those of the whole volume, and softening moves shared points alike."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderers.soften import FURTHEST, Occupancy, soften
from renderers.vtk_surface import Surface, surface
from streamer.wire.codec import Labels
from streamer.wire.grid import Grid, Triple
from tests.renderers.runs import blobs, block_of

Corner = tuple[int, int, int]


def triangles(grid: Grid, labels: Labels) -> list[tuple[int, tuple[Corner, ...]]]:
    """All triangles of a grid's chunks: the label of the whole volume, and corners in twice the volume's index."""
    found = []
    for chunk in range(grid.size):
        block = block_of(grid, chunk, labels)
        made = surface(grid, chunk, block)
        places = made.halves + 2 * np.array(grid.core(chunk).start)
        for row in made.triangles.tolist():
            corners = [cast(Corner, tuple(places[i].tolist())) for i in row]
            turn = corners.index(min(corners))  # the same triangle may begin at another corner, never run backwards
            found.append((int(made.labels[row[0]]), tuple(corners[turn:] + corners[:turn])))
    return sorted(found)


@pytest.mark.parametrize("periodic", [(False, False, False), (False, False, True)])
@pytest.mark.parametrize("chunk", [(5, 7, 6), (4, 13, 20), (17, 1, 3)])
def test_the_chunks_triangles_are_those_of_the_whole_volume(chunk: Triple, periodic: tuple[bool, bool, bool]) -> None:
    shape = (17, 13, 20)
    labels = blobs(shape)
    whole = triangles(Grid(shape, shape), labels)
    assert len(whole) > 1000
    assert triangles(Grid(shape, chunk, periodic), labels) == whole


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(2, 7)] * 3),
    cuts=st.tuples(*[st.integers(1, 7)] * 3),
    kinds=st.integers(1, 4),
    seed=st.integers(0, 10_000),
)
def test_labels_that_touch_are_closed_each_by_itself_in_any_chunks(
    shape: Triple, cuts: Triple, kinds: int, seed: int
) -> None:
    labels = np.random.default_rng(seed).integers(0, kinds + 1, shape).astype(np.uint32)
    chunk = cast(Triple, tuple(min(c, n) for c, n in zip(cuts, shape, strict=True)))
    whole = triangles(Grid(shape, shape), labels)
    assert triangles(Grid(shape, chunk), labels) == whole
    # Closed: every edge of a label's surface is walked as often one way as the other.
    walked: dict[tuple[int, Corner, Corner], int] = {}
    for label, corners in whole:
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            walked[label, a, b] = walked.get((label, a, b), 0) + 1
    assert all(walked.get((label, b, a)) == n for (label, a, b), n in walked.items())


def test_triangles_are_wound_anticlockwise_seen_from_outside() -> None:
    labels = np.zeros((5, 5, 5), np.uint32)
    labels[2, 2, 2] = 1
    made = surface(Grid((5, 5, 5), (5, 5, 5)), 0, labels)
    corners = made.halves[made.triangles][..., ::-1].astype(float)  # as x, y, z
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outward = corners.mean(axis=1) - 4.0
    assert (np.einsum("ij,ij->i", across, outward) > 0).all()


def test_an_empty_chunk_and_a_full_one_inside_have_no_surface() -> None:
    grid = Grid((9, 9, 9), (3, 3, 3))
    middle = grid.number((1, 1, 1))
    for value in (0, 5):
        assert not len(surface(grid, middle, np.full((4, 4, 4), value, np.uint32)).triangles)
    assert len(surface(grid, 0, np.full((4, 4, 4), 5, np.uint32)).triangles)


def softened(grid: Grid, labels: Labels, order: list[int]) -> list[tuple[Surface, np.ndarray, np.ndarray]]:
    occupancy = Occupancy(grid)
    blocks = {chunk: block_of(grid, chunk, labels) for chunk in order}
    for chunk, block in blocks.items():
        z, y, x = grid.core(chunk).shape
        occupancy.put(chunk, block[:z, :y, :x] != 0)
    made = []
    for chunk, block in blocks.items():
        here = surface(grid, chunk, block)
        soft = soften(grid, occupancy, chunk, here.halves)
        made.append((here, 2 * np.array(grid.core(chunk).start) + here.halves, np.hstack(soft)))
    return made


def test_softening_places_every_point_as_in_the_whole_volume_whatever_the_chunks() -> None:
    shape = (18, 15, 22)
    labels = blobs(shape, seed=3)
    ((_, places, soft),) = softened(Grid(shape, shape), labels, [0])
    expected = {tuple(place): row for place, row in zip(places.tolist(), soft, strict=True)}
    moved = np.abs(soft[:, :3] - places / 2)
    assert moved.max() <= FURTHEST + 1e-6
    assert (moved.max(axis=1) > 0.05).mean() > 0.3
    grid = Grid(shape, (6, 5, 8))
    for _, there, rows in softened(grid, labels, list(range(grid.size))):
        for place, row in zip(there.tolist(), rows, strict=True):
            np.testing.assert_allclose(row, expected[tuple(place)], atol=2e-4)


def test_a_sheet_of_one_voxel_keeps_its_thickness() -> None:
    labels = np.zeros((12, 12, 12), np.uint32)
    labels[6] = 1
    ((_, places, soft),) = softened(Grid((12, 12, 12), (12, 12, 12)), labels, [0])
    above = (places[:, 0] == 13) & (np.abs(places[:, 1:] - 11) < 8).all(axis=1)
    assert above.any()
    assert (soft[above, 0] > 6.3).all()


def test_what_the_volumes_end_cuts_off_stays_flat() -> None:
    labels = np.zeros((8, 8, 8), np.uint32)
    labels[:4, 2:6, 2:6] = 1
    ((_, places, soft),) = softened(Grid((8, 8, 8), (8, 8, 8)), labels, [0])
    cap = places[:, 0] < 0
    assert cap.any()
    assert (soft[cap, 0] == -0.5).all()
    assert (soft[cap, 3:] == [-1, 0, 0]).all()
