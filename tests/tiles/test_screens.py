"""Windows on real screens: an X server with two of them, whose pixels are read back from the server itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from renderers.wall.records import Node, Place, Screen, Stereo, Tile, Wall
from renderers.wall.write import to_toml
from streamer.wire.viewing import Head, View
from tests.barrier.house import CAVECAST, Desk, House, read_png
from tests.ending import ending, line_within
from tests.tiles.screens import Pixels, Screens, x_server

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None, reason="there is no Xvfb: tests/system-packages.sh installs it"
)
PLACES: dict[str, tuple[int, Place, Stereo]] = {
    "a": (0, Place(41, 33, 320, 240), "checkerboard"),
    "b": (1, Place(15, 20, 320, 240), "side-by-side"),
    "c": (1, Place(380, 301, 200, 150), "anaglyph"),
    "d": (0, Place(400, 301, 200, 151), "interlaced"),
}


@pytest.fixture(scope="module")
def screens() -> Iterator[Screens]:
    with x_server() as running:
        yield running


def wall_on(screens: Screens) -> Wall:
    """Four panels in a row, on two screens of one node."""
    panels = tuple(
        Screen(name, (400.0 * i, 0.0, -900.0), (400.0 * i + 400, 0.0, -900.0), (400.0 * i, 300.0, -900.0))
        for i, name in enumerate(PLACES)
    )
    tiles = tuple(
        Tile(name, name, "here", stereo, place, screens.name(screen))
        for name, (screen, place, stereo) in PLACES.items()
    )
    return Wall("screens", panels, tiles, (Node("here"),), head=Head((700.0, 200.0, 0.0)))


def there(seen: Pixels, name: str) -> Pixels:
    """What stands at a tile's place."""
    _, place, _ = PLACES[name]
    return seen[place.y : place.y + place.height, place.x : place.x + place.width]


def as_saved(screens: Screens, folder: Path) -> None:
    """Each place shows exactly the picture that was saved, and there is nothing around it: no frame, no title."""
    for screen in (0, 1):
        mine = {name: read_png(folder / f"{name}.png") for name, (on, _, _) in PLACES.items() if on == screen}
        seen = screens.until(
            screen,
            lambda seen, mine=mine: all(np.array_equal(there(seen, name), picture) for name, picture in mine.items()),  # type: ignore[misc]
            f"the pictures on screen {screen}",
        ).copy()
        for name in mine:
            assert there(seen, name).max() > 200
            there(seen, name)[:] = 0
        assert not seen.any()


def nothing(seen: Pixels) -> bool:
    return not seen.any()


def test_the_pattern_stands_at_its_places_on_both_screens_until_it_is_told_to_end(
    screens: Screens, tmp_path: Path
) -> None:
    file = tmp_path / "wall.toml"
    file.write_text(to_toml(wall_on(screens)))
    process = subprocess.Popen(
        [CAVECAST, "wall", "test-pattern", str(file), "--pictures", str(tmp_path)],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "DISPLAY": ":nonsense"},
    )  # fmt: skip
    with ending(process, signal.SIGKILL):
        said = [line_within(process.stderr) for _ in range(5)]
        assert said[-1].startswith("shown")
        assert said[0].startswith(f"a: {screens.name(0)}, 320x240+41+33, checkerboard")
        as_saved(screens, tmp_path)
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=60)
        assert (process.returncode, rest) == (0, "")
    for screen in (0, 1):
        screens.until(screen, nothing, f"screen {screen} is empty again")


def test_a_tile_process_shows_its_tiles_on_the_right_screens_and_closes_them(screens: Screens, tmp_path: Path) -> None:
    wall = wall_on(screens)
    file = tmp_path / "wall.toml"
    file.write_text(to_toml(wall))
    with House(tmp_path) as house:
        conductor = house.start("conductor", "--wall", str(file), "--listen", f"ipc://{tmp_path}/conductor")
        address = house.ready(conductor)["address"]
        tile = house.start("tile", "--wall", str(file), "--conductor", address, "--node", "here")
        assert house.ready(tile)["tiles"] == list(PLACES)
        Desk(house, address).view(View(pattern=True))
        # The pictures that belong there are made by another process, and off screen.
        pictures = tmp_path / "pictures"
        done = subprocess.run(
            [CAVECAST, "wall", "test-pattern", str(file), "--offscreen", "--pictures", str(pictures)],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        as_saved(screens, pictures)
        tile.send_signal(signal.SIGTERM)
        assert tile.wait(60) == 0
        for screen in (0, 1):
            screens.until(screen, nothing, f"screen {screen} is empty again")
        assert conductor.poll() is None


def test_a_display_that_is_not_there_is_one_sentence(screens: Screens, tmp_path: Path) -> None:
    wall = wall_on(screens)
    file = tmp_path / "wall.toml"
    file.write_text(to_toml(wall).replace(screens.name(1), ":4711.0"))
    for command in (
        ["wall", "test-pattern", str(file)],
        ["tile", "--wall", str(file), "--conductor", f"ipc://{tmp_path}/none", "--tile", "b"],
    ):
        done = subprocess.run([CAVECAST, *command], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert "tile b: the X display :4711.0 cannot be opened" in line


def test_an_output_without_the_drivers_two_buffers_and_groups_shows_one_picture_and_says_so(
    screens: Screens, tmp_path: Path
) -> None:
    whole = wall_on(screens)
    tile = msgspec.structs.replace(whole.tile("a"), stereo="quad-buffer")
    pictures = {}
    for stereo in ("quad-buffer", "mono"):
        folder = tmp_path / stereo
        folder.mkdir()
        one = msgspec.structs.replace(tile, stereo=stereo)
        file = folder / "wall.toml"
        file.write_text(to_toml(msgspec.structs.replace(whole, screens=whole.screens[:1], tiles=(one,))))
        with House(folder) as house:
            part = ("--wall", str(file), "--conductor")
            address = house.ready(house.start("conductor", *part[:2], "--listen", f"ipc://{folder}/c"))["address"]
            shown = house.start("tile", *part, address, "--tile", "a", "--swap-group", "--save", str(folder))
            house.ready(shown)
            Desk(house, address).view(View(pattern=True))
            # A new window may be white for a moment and dark after it: the pattern has its letters' many shades.
            seen = screens.until(0, lambda seen: len(np.unique(there(seen, "a"))) > 20, "the pattern")
            pictures[stereo] = there(seen, "a").copy()
            shown.terminate()
            assert shown.wait(60) == 0
            said = house.log(shown)
        assert said.count("the driver has no GLX_NV_swap_group: the software barrier is all") == 1
        assert said.count("the driver has no quad-buffered stereo here") == (stereo == "quad-buffer")
        assert "WARN|" not in said
    assert all(picture.max() > 200 for picture in pictures.values())
