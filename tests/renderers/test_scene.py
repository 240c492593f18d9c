"""The scene as of a position: ids, merges, verdicts, and what changes with them."""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from renderers.scene import Piece, Scene, _dimmed, _lit
from streamer.wire.block import Seam, pack_seam
from streamer.wire.colour import object_colour
from streamer.wire.grid import Grid
from streamer.wire.viewing import ObjectLook
from tests.renderers.runs import blobs, pairs, piece_of

ROW = Grid((2, 2, 8), (2, 2, 2))
FACE = np.zeros((2, 2), np.uint32)
NO_SEAM = pack_seam(Seam((FACE, FACE, FACE), (None, None, np.zeros((2, 2), np.uint32))))


def piece(chunk: int, *ids: int, voxels: int = 1) -> Piece:
    """A chunk with one label for each id."""
    block = np.zeros(ROW.block_shape(chunk), np.uint32)
    counts = np.array([0, *(voxels for _ in ids)], np.int64)
    return Piece(chunk, block, len(ids), len(ids), np.array(ids, np.uint64), NO_SEAM, counts)


def test_a_merge_names_the_chunks_of_the_id_that_is_gone_and_no_others() -> None:
    scene = Scene(ROW)
    for chunk, object_id in enumerate((5, 9, 9, 20)):
        scene.arrive(piece(chunk, object_id, voxels=10 * (chunk + 1)))
    assert scene.merge(pairs((5, 9))) == {1, 2}
    assert scene.look(1).colours[1].tolist() == list(object_colour(5))
    assert scene.largest(2) == ((5, 60), (20, 40))
    assert scene.objects == 2
    assert scene.merge(pairs((5, 9))) == frozenset()


def test_a_chain_of_merges_speaks_with_the_smallest_id_in_whatever_order_it_comes() -> None:
    scene = Scene(ROW)
    for chunk, object_id in enumerate((7, 6, 5, 4)):
        scene.arrive(piece(chunk, object_id))
    changed = scene.merge(pairs((6, 7), (5, 6), (4, 5)))
    assert changed == {0, 1, 2}
    assert {scene.speaks(i) for i in (4, 5, 6, 7)} == {4}
    assert scene.largest(9) == ((4, 4),)


def test_a_merge_may_come_before_the_chunks_it_is_about() -> None:
    scene = Scene(ROW)
    assert scene.merge(pairs((3, 8))) == frozenset()
    scene.arrive(piece(1, 8, voxels=2))
    assert scene.ids(1).tolist() == [0, 3]
    assert scene.largest(1) == ((3, 2),)


def test_a_dropped_object_is_hidden_and_no_longer_counted() -> None:
    scene = Scene(ROW)
    scene.arrive(piece(0, 5, 6))
    scene.arrive(piece(1, 5))
    assert scene.judge(pairs((5, 0), (6, 1))) == {0, 1}
    assert scene.look(0).visible.tolist() == [False, False, True]
    assert scene.objects == 1
    assert scene.largest(3) == ((6, 1),)
    assert scene.judge(pairs((5, 0))) == frozenset()


def test_a_newer_pass_over_a_chunk_counts_instead_of_the_older_one() -> None:
    scene = Scene(ROW)
    scene.arrive(piece(0, 5, voxels=10))
    scene.arrive(piece(0, 7, voxels=3))
    assert scene.largest(3) == ((7, 3),)


def test_failed_chunks_are_not_waited_for() -> None:
    scene = Scene(ROW)
    scene.arrive(piece(0, 5))
    scene.fail([0, 2])
    assert scene.pending == {1, 3}
    assert scene.failed == {2}


@given(seed=st.integers(0, 500), order=st.permutations(range(12)), periodic=st.booleans())
def test_every_labelled_voxel_knows_its_object_once_all_chunks_are_there(
    seed: int, order: list[int], periodic: bool
) -> None:
    shape = (6, 5, 7)
    grid = Grid(shape, (3, 2, 4), (False, False, periodic))
    labels = blobs(shape, seed)
    scene = Scene(grid)
    pieces = {chunk: piece_of(grid, chunk, labels) for chunk in order}
    for chunk in order:
        assert chunk in scene.arrive(pieces[chunk])
    # Join what the seams join, as the streamer would.
    rows = []
    for chunk, made in pieces.items():
        for shared in grid.shared(chunk):
            mine = scene.ids(chunk)[made.block[shared.in_block.slices]]
            theirs = scene.ids(shared.owner)[pieces[shared.owner].block[shared.in_owner.slices]]
            assert ((mine > 0) == (theirs > 0)).all(), "a label of the pad has not got its id"
            rows += [(int(a), int(b)) for a, b in zip(mine.ravel(), theirs.ravel(), strict=True) if a != b]
    scene.merge(pairs(*rows))
    if not periodic:
        assert scene.objects == len(np.unique(labels[labels > 0]))
    assert sum(n for _, n in scene.largest(1000)) == np.count_nonzero(labels)
    for chunk, made in pieces.items():
        assert scene.look(chunk).visible[1:].all()
        assert len(scene.look(chunk).colours) == made.components + 1
    assert cc3d.connected_components(labels > 0, connectivity=26).max() >= scene.objects


@given(st.lists(st.tuples(st.sampled_from(["id", "one"]), st.sampled_from(["#56b4e9", "#D2D8E0"])), max_size=6))
def test_objects_have_the_colours_that_were_asked_for_last_and_nothing_is_made_anew_for_the_same(
    asked: list[tuple[Any, str]],
) -> None:
    scene = Scene(ROW)
    scene.arrive(piece(0, 5, 6))
    before = None
    for look in (ObjectLook(*one) for one in asked):
        one = look.colour if look.colour_by == "one" else None
        assert scene.paint(look) == (scene.arrived if one != before else frozenset())
        before = one
        scene.arrive(piece(1, 5, 9))
        wanted = [
            {"#56b4e9": [0x56, 0xB4, 0xE9], "#D2D8E0": [0xD2, 0xD8, 0xE0]}.get(one or "", list(object_colour(i)))
            for i in (5, 9)
        ]
        assert scene.look(1).colours[1:].tolist() == wanted


def test_in_one_colour_marks_stand_out_alone_or_among_the_others() -> None:
    scene, blue = Scene(ROW), (0x56, 0xB4, 0xE9)
    scene.arrive(piece(0, 5, 6))
    scene.paint(ObjectLook("one", "#56b4e9"))
    scene.select((5,), isolate=False)
    look = scene.look(0)
    assert look.colours[1].tolist() == list(_lit(blue))
    assert look.colours[2].tolist() == list(_dimmed(blue))
    scene.select((5,), isolate=True)
    assert scene.look(0).colours[1].tolist() == list(blue)
    assert scene.look(0).visible.tolist() == [False, True, False]
    assert scene.paint(ObjectLook()) == {0}
    assert scene.look(0).colours[1].tolist() == list(object_colour(5))
