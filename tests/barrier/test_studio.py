"""The scene in a tile's window: what was drawn before a run began leaves no trace, nor does the order of chunks."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from renderers.feed import Arrived, Started
from renderers.wall.burn import Burned, read_blocks
from renderers.wall.messages import Scene
from renderers.wall.studio import Studio
from renderers.wall.swap_group import SwapGroup, driver, handle
from streamer.wire.viewing import ObjectLook, Placement, View
from tests.barrier.house import same_screen
from tests.renderers.runs import blobs, piece_of, plain, spec_of

SPEC = spec_of(plain((16, 16, 24)), (6, 6, 6))
LABELS = blobs(SPEC.grid.shape, level=0.7)
VIEW = View(placement=Placement((0.0, 0.0, -400.0), (0.0, 0.0, 0.0, 1.0), 600.0))


def picture(order: list[int], *, before: bool, stale: bool = False, view: View = VIEW) -> np.ndarray:
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
    painter.draw(Scene(view, head), Burned(3, 1, len(order)), stale=stale)
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


def test_a_wall_shows_all_objects_in_one_colour_where_that_is_wanted() -> None:
    order = list(range(SPEC.grid.size))
    grey = replace(VIEW, objects=ObjectLook("one", "#cccccc"))
    each, alike = picture(order, before=False), picture(order, before=True, view=grey)
    coloured = [int((np.ptp(pixels, axis=2) > 60).sum()) for pixels in (each, alike)]
    assert coloured[0] > 200
    assert coloured[1] < 20


def test_a_picture_that_is_old_says_so() -> None:
    marked = picture([0], before=False, stale=True)
    assert tuple(marked[-1, -1]) == (255, 176, 0)
    assert np.ptp(marked[0, -1]) < 100


def test_without_the_drivers_swap_group_the_software_barrier_is_what_there_is() -> None:
    assert handle("_00005581a3c0f2b0_p_void") == 0x5581A3C0F2B0
    assert handle(None) == handle("nothing") == 0
    for group in (SwapGroup(0, 1, 0, driver()), SwapGroup(1, 1, 0, None)):
        assert group.trouble == "there is no GLX window"
        assert not group.join()
        group.leave()


class Driver:
    """Stands in for a driver with swap groups, which needs hardware: the extension's functions, and who called them."""

    def __init__(self, extensions: bytes, groups: int = 1, barriers: int = 0, *, lets_in: bool = True) -> None:
        self.called: list[tuple[object, ...]] = []

        def most(_display: object, _screen: int, g: Any, b: Any) -> int:
            g[0], b[0] = groups, barriers
            return 1

        def join(_display: object, window: int, group: int) -> int:
            self.called.append(("join", window, group))
            return lets_in

        def bind(_display: object, group: int, barrier: int) -> int:
            self.called.append(("bind", group, barrier))
            return 1

        whole, pointer = ctypes.c_uint, ctypes.POINTER(ctypes.c_uint)
        self._made = {
            b"glXQueryMaxSwapGroupsNV": ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, pointer, pointer)(
                most
            ),
            b"glXJoinSwapGroupNV": ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, whole)(join),
            b"glXBindSwapBarrierNV": ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, whole, whole)(bind),
        }

        # Plain functions, so that types may be set on them as on a library's.
        def says(_display: int, _screen: int) -> bytes:
            return extensions

        def finds(name: bytes) -> int:
            return ctypes.cast(self._made[name], ctypes.c_void_p).value or 0

        self.glXQueryExtensionsString, self.glXGetProcAddressARB = says, finds


def test_a_window_joins_the_drivers_group_once_and_leaves_it_when_nobody_shall_wait_for_it() -> None:
    there = Driver(b"GLX_A GLX_NV_swap_group", barriers=1)
    group = SwapGroup(7, 42, 0, there)
    assert group.trouble == ""
    assert group.join()
    assert group.join()
    group.leave()
    group.leave()
    assert group.join()
    assert there.called == [("join", 42, 1), ("bind", 1, 1), ("join", 42, 0), ("join", 42, 1), ("bind", 1, 1)]
    alone = Driver(b"GLX_NV_swap_group")
    assert SwapGroup(7, 42, 0, alone).join()
    assert alone.called == [("join", 42, 1)]


@pytest.mark.parametrize(("there", "words"), [
    (Driver(b"GLX_NV_swap_groups GLX_B"), "the driver has no GLX_NV_swap_group"),
    (Driver(b"GLX_NV_swap_group", groups=0), "no swap group for this screen"),
    (Driver(b"GLX_NV_swap_group", lets_in=False), "does not let this window into"),
])  # fmt: skip
def test_a_driver_that_cannot_is_said_in_a_sentence(there: Driver, words: str) -> None:
    group = SwapGroup(7, 42, 0, there)
    assert not group.join()
    assert words in group.trouble
    assert not group.join()
