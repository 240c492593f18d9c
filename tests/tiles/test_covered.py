"""A window that was covered shows its picture again although nothing has changed, on a real X server."""

from __future__ import annotations

import ctypes
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderers.wall.records import Node, Place, Screen, Tile, Wall
from renderers.wall.studio import STALE, STALE_SHARE
from renderers.wall.write import to_toml
from streamer.wire.viewing import View
from tests.barrier.house import Desk, House, read_png, until
from tests.tiles.screens import Pixels, Screens, x_server

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None, reason="there is no Xvfb: tests/system-packages.sh installs it"
)
PLACE = Place(40, 30, 320, 240)
WHITE = 0xFFFFFF


class Others:
    """Another program at the same X server, which may put a window over ours, or take ours off the screen."""

    def __init__(self, display: str) -> None:
        self._x: Any = ctypes.CDLL("libX11.so.6")
        for name in ("XOpenDisplay", "XDefaultRootWindow", "XCreateSimpleWindow"):
            getattr(self._x, name).restype = ctypes.c_void_p if name == "XOpenDisplay" else ctypes.c_ulong
        self._display = ctypes.c_void_p(self._x.XOpenDisplay(display.encode()))
        self._root = ctypes.c_ulong(self._x.XDefaultRootWindow(self._display))

    @contextmanager
    def covering(self, place: Place) -> Iterator[None]:
        """A white window lies there meanwhile."""
        args = (place.x, place.y, place.width, place.height, 0, ctypes.c_ulong(0), ctypes.c_ulong(WHITE))
        window = ctypes.c_ulong(self._x.XCreateSimpleWindow(self._display, self._root, *args))
        self._x.XMapRaised(self._display, window)
        self._x.XSync(self._display, 0)
        yield
        self._x.XDestroyWindow(self._display, window)
        self._x.XSync(self._display, 0)

    def windows(self) -> list[int]:
        """All windows that lie on the screen itself."""
        root, parent, count = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.c_uint()
        found = ctypes.POINTER(ctypes.c_ulong)()
        told = (ctypes.byref(one) for one in (root, parent, found, count))
        assert self._x.XQueryTree(self._display, self._root, *told)
        return [int(found[i]) for i in range(count.value)]

    def off(self, window: int) -> None:
        """Takes it off the screen and puts it back."""
        self._x.XUnmapWindow(self._display, ctypes.c_ulong(window))
        self._x.XSync(self._display, 0)

    def on(self, window: int) -> None:
        self._x.XMapWindow(self._display, ctypes.c_ulong(window))
        self._x.XSync(self._display, 0)

    def close(self) -> None:
        self._x.XCloseDisplay(self._display)


@pytest.fixture(scope="module")
def screens() -> Iterator[Screens]:
    with x_server() as running:
        yield running


def there(seen: Pixels) -> Pixels:
    return seen[PLACE.y : PLACE.y + PLACE.height, PLACE.x : PLACE.x + PLACE.width]


def newest(folder: Path) -> Pixels:
    return read_png(max(folder.glob("a-*.png")))


def test_a_window_that_was_covered_is_drawn_again_and_also_where_no_conductor_is_left(
    screens: Screens, tmp_path: Path
) -> None:
    panel = Screen("a", (-400.0, -300.0, -900.0), (400.0, -300.0, -900.0), (-400.0, 300.0, -900.0))
    tile = Tile("a", "a", "here", "mono", PLACE, screens.name(0))
    (tmp_path / "wall.toml").write_text(to_toml(Wall("one", (panel,), (tile,), (Node("here"),))))
    wall, pictures = str(tmp_path / "wall.toml"), tmp_path / "pictures"
    pictures.mkdir()
    others = Others(screens.name(0))
    with House(tmp_path) as house:
        conductor = house.start("conductor", "--wall", wall, "--listen", f"ipc://{tmp_path}/conductor")
        address = house.ready(conductor)["address"]
        shown = house.start("tile", "--wall", wall, "--conductor", address, "--tile", "a", "--save", str(pictures))
        house.ready(shown)
        desk = Desk(house, address)
        desk.view(View(pattern=True))

        def bright() -> Pixels | None:
            found = newest_or_none(pictures)
            return found if found is not None and found.max() > 200 else None

        pattern = until(bright, "a picture")

        def back(seen: Pixels) -> bool:
            return np.array_equal(there(seen), newest(pictures))

        screens.until(0, back, "the picture is on the screen")
        with others.covering(PLACE):
            screens.until(0, lambda seen: bool((there(seen) == 255).all()), "it is covered")
            # What lay beneath is lost, as long as nobody draws it: the server keeps no copy.
            shown.send_signal(signal.SIGSTOP)
        screens.until(0, lambda seen: not (there(seen) == 255).all(), "it is uncovered")
        assert not np.array_equal(there(screens.seen(0)), pattern)
        shown.send_signal(signal.SIGCONT)
        screens.until(0, back, "it is drawn again")
        until(lambda: desk.figures().live == 1 or None, "it is live")
        scene, before = desk.scene(), desk.figures()

        with others.covering(Place(PLACE.x + 50, PLACE.y + 50, 60, 60)):
            screens.until(0, lambda seen: bool((there(seen)[50:110, 50:110] == 255).all()), "a corner is covered")
        screens.until(0, back, "the corner is drawn again")
        (window,) = others.windows()
        others.off(window)
        screens.until(0, lambda seen: not there(seen).any(), "the window is off the screen")
        others.on(window)
        screens.until(0, back, "and on it again")
        assert np.array_equal(newest(pictures), pattern)
        after = desk.figures()
        assert desk.scene() == scene
        assert after.frames >= before.frames + 2
        assert (after.rejoins, after.evictions_late) == (before.rejoins, before.evictions_late)

        # Without a conductor the picture is marked as old, and stays.
        conductor.send_signal(signal.SIGKILL)
        side = PLACE.height // STALE_SHARE

        def marked(seen: Pixels) -> bool:
            picture = there(seen).copy()
            mark = (picture[-side:, -side:] == STALE).all()
            picture[-side:, -side:] = pattern[-side:, -side:]
            return bool(mark) and np.array_equal(picture, pattern)

        screens.until(0, marked, "it is marked as old")
        with others.covering(PLACE):
            screens.until(0, lambda seen: bool((there(seen) == 255).all()), "it is covered")
        screens.until(0, marked, "it is drawn again, and marked")
        shown.terminate()
        assert shown.wait(60) == 0
    others.close()


def newest_or_none(folder: Path) -> Pixels | None:
    """The last picture that was saved, if it is whole."""
    try:
        return newest(folder)
    except (ValueError, OSError, SyntaxError):
        return None
