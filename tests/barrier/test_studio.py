"""The scene in a tile's window: what was drawn before a run began leaves no trace, nor does the order of chunks."""

from __future__ import annotations

import numpy as np
import pytest

from renderers.feed import Arrived, Started
from renderers.wall.burn import Burned, read_blocks
from renderers.wall.messages import Scene
from renderers.wall.studio import Studio
from renderers.wall.swap_group import handle, join_swap_group
from streamer.wire.viewing import Placement, View
from tests.barrier.house import same_screen
from tests.renderers.runs import blobs, piece_of, plain, spec_of

SPEC = spec_of(plain((16, 16, 24)), (6, 6, 6))
LABELS = blobs(SPEC.grid.shape, level=0.7)
VIEW = View(placement=Placement((0.0, 0.0, -400.0), (0.0, 0.0, 0.0, 1.0), 600.0))


def picture(order: list[int], *, before: bool, stale: bool = False) -> np.ndarray:
    studio = Studio(same_screen(["a"], size=(96, 54)), ["a"], offscreen=True, burn=True)
    painter = studio.painters["a"]
    if before:
        painter.draw(Scene(VIEW), Burned(1, 1, 0), stale=False)
        painter.show()
    studio.happen(Started(SPEC, "e"), 0.0)
    for number, chunk in enumerate(order):
        studio.happen(Arrived(number, "chunk", 1, piece_of(SPEC.grid, chunk, LABELS, number)), 0.0)
        if before and number == 7:
            painter.draw(Scene(VIEW), Burned(2, 1, number), stale=False)
    head = same_screen(["a"]).head
    painter.draw(Scene(VIEW, head), Burned(3, 1, len(order)), stale=stale)
    painter.show()
    pixels = painter.pixels().astype(np.int16)
    studio.close()
    assert read_blocks(pixels.astype(np.uint8)) == Burned(3, 1, len(order))
    return pixels


@pytest.mark.parametrize("chunks", [20, SPEC.grid.size])
def test_a_picture_depends_on_what_has_come_alone(chunks: int) -> None:
    order = list(range(chunks))
    one, other = picture(order, before=True), picture(order[::-1], before=False)
    assert one.max() > 100
    assert np.array_equal(one, other)


def test_a_picture_that_is_old_says_so() -> None:
    marked = picture([0], before=False, stale=True)
    assert tuple(marked[-1, -1]) == (255, 176, 0)
    assert np.ptp(marked[0, -1]) < 100


def test_without_the_drivers_swap_group_the_software_barrier_is_what_there_is() -> None:
    assert handle("_00005581a3c0f2b0_p_void") == 0x5581A3C0F2B0
    assert handle(None) == handle("nothing") == 0
    assert not join_swap_group(0, 1)
