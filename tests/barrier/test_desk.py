"""Keys and mouse at a tile's own window, on a real X server, reach the view; what was covered is drawn again."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from renderers.vtk_keys import once
from renderers.wall.messages import Input
from renderers.wall.write import to_toml
from tests.barrier.house import Desk, House, same_screen, until
from tests.ending import ending, line_within, tied


@contextmanager
def x_server(folder: Path) -> Iterator[str]:
    """The display of an X server of our own."""
    server = shutil.which("Xvfb")
    if server is None:
        pytest.skip("Xvfb is missing: apt install xvfb; what becomes of a window's events is tested without it as well")
    with (folder / "xvfb.txt").open("w") as log:
        process = subprocess.Popen(
            tied(server, "-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"),
            stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    with ending(process, log=folder / "xvfb.txt"):
        number = line_within(process.stdout).strip()
        assert number, (folder / "xvfb.txt").read_text()
        yield f":{number}"


class Hands:
    """Somebody at keyboard and mouse of an X server (its XTEST extension)."""

    def __init__(self, display: str) -> None:
        try:
            self._x: Any = ctypes.CDLL("libX11.so.6")
            self._test: Any = ctypes.CDLL("libXtst.so.6")
        except OSError as why:
            pytest.skip(f"keys cannot be pressed on an X server here: {why}; apt install libxtst6")
        self._x.XOpenDisplay.restype = ctypes.c_void_p
        self._x.XStringToKeysym.restype = ctypes.c_ulong
        self._display = ctypes.c_void_p(self._x.XOpenDisplay(display.encode()))

    def press(self, key: str) -> None:
        """A key, down and up."""
        code = self._x.XKeysymToKeycode(self._display, ctypes.c_ulong(self._x.XStringToKeysym(key.encode())))
        self._test.XTestFakeKeyEvent(self._display, code, 1, 0)
        self._test.XTestFakeKeyEvent(self._display, code, 0, 0)
        self._x.XSync(self._display, 0)

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """The left button, from one place to another."""
        self._test.XTestFakeMotionEvent(self._display, -1, *start, 0)
        self._test.XTestFakeButtonEvent(self._display, 1, 1, 0)
        self._test.XTestFakeMotionEvent(self._display, -1, *end, 0)
        self._test.XTestFakeButtonEvent(self._display, 1, 0, 0)
        self._x.XSync(self._display, 0)

    def close(self) -> None:
        self._x.XCloseDisplay(self._display)


def test_keys_and_mouse_at_a_tiles_window_change_what_the_wall_shows(tmp_path: Path) -> None:
    with x_server(tmp_path) as display, House(tmp_path) as house:
        wall = same_screen(["a"], size=(320, 180))
        tile = msgspec.structs.replace(wall.tiles[0], display=display)
        (tmp_path / "wall.toml").write_text(to_toml(msgspec.structs.replace(wall, tiles=(tile,))))
        part = ("--wall", str(tmp_path / "wall.toml"))
        said = house.ready(house.start("conductor", *part))
        shown = house.start("tile", *part, "--tile", "a", "--conductor", said["address"])
        house.ready(shown)
        desk = Desk(house, said["address"])
        until(lambda: desk.figures().live == 1 or None, "the tile is live")
        hands = Hands(display)
        hands.drag((100, 90), (100, 90))  # the pointer is over the window
        hands.press("2")
        until(lambda: desk.scene().view.mode == "globe" or None, "the globe")
        hands.press("p")
        until(lambda: desk.scene().view.pattern or None, "the test pattern")
        hands.press("Escape")
        hands.press("p")
        until(lambda: not desk.scene().view.pattern or None, "the scene again")
        before = desk.scene().view.placement.turn
        hands.drag((100, 90), (180, 90))
        until(lambda: desk.scene().view.placement.turn != before or None, "the scene turns with the mouse")
        hands.press("r")
        until(lambda: desk.scene().view.placement.turn == before or None, "all is back")
        hands.close()
        shown.terminate()
        assert shown.wait(60) == 0


def test_a_key_that_is_held_counts_once_and_the_pointer_where_it_is_last() -> None:
    def key(code: str, pressed: bool) -> Input:
        return Input("a", "key", code, pressed)

    def motion(x: float) -> Input:
        return Input("a", "motion", "", False, x, 0.0)

    held = [key("p", True), key("p", False), key("p", True), key("p", False), key("p", True), key("p", False)]
    assert once(held) == [key("p", True), key("p", False)]
    assert once([key("a", True), key("a", False), key("b", True)]) == [key("a", True), key("a", False), key("b", True)]
    assert once([motion(1), motion(2), motion(3), key("a", True), motion(4)]) == [motion(3), key("a", True), motion(4)]
