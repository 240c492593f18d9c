"""A wall of eleven tile processes, its conductor and a real streamer: no frame is ever of two minds."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderers.wall.burn import Burned, read_blocks
from renderers.wall.write import to_toml
from streamer.wire.viewing import Placement, View
from tests.barrier.house import Desk, House, Run, read_png, same_screen, until

TILES = [f"t{i}" for i in range(11)]
FRAMES = 300


def test_eleven_tiles_are_of_one_mind_and_take_back_the_killed_and_the_stopped(tmp_path: Path) -> None:
    (tmp_path / "wall.toml").write_text(to_toml(same_screen(TILES)))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    wall = str(tmp_path / "wall.toml")
    with House(tmp_path) as house:
        run = Run(house)
        for _ in range(6):
            run.commit()
        said = house.ready(house.start("conductor", "--wall", wall, "--feed", run.feed))
        desk = Desk(house, said["address"])

        def tile(name: str) -> list[str]:
            options = ["--offscreen", "--burn", "--save", str(pictures)]
            return ["tile", "--wall", wall, "--tile", name, "--conductor", said["address"], *options]

        processes = {name: house.start(*tile(name)) for name in TILES}
        for process in processes.values():
            house.ready(process)
        until(lambda: desk.figures().live == len(TILES) or None, "all tiles are live")

        turn = 0

        def move() -> int:
            """Another view; returns how many frames have been shown."""
            nonlocal turn
            turn += 1
            desk.view(View(placement=Placement((0.5 * turn, 0.0, -400.0), (0.0, 0.0, 0.0, 1.0), 600.0 + turn % 50)))
            if turn % 8 == 0 and run.committed < run.chunks - 8:
                run.commit()
            return desk.figures().frames

        def whole() -> int:
            """Frames that all tiles have shown."""
            numbers = Counter(path.stem.partition("-")[2] for path in pictures.iterdir())
            return sum(times == len(TILES) for times in numbers.values())

        # On a busy machine a tile may be late for some of them.
        until(lambda: ([move() for _ in range(20)], whole() >= FRAMES or None)[1], f"{FRAMES} frames of all tiles")
        before = desk.figures()

        processes["t3"].send_signal(signal.SIGKILL)
        processes["t7"].send_signal(signal.SIGSTOP)
        until(lambda: move() >= before.frames + 30 or None, "the wall goes on without two tiles")
        until(lambda: (move(), set(desk.figures().stale) == {"t3", "t7"} or None)[1], "only these two are missing")
        for _ in range(3):
            run.commit()
        processes["t7"].send_signal(signal.SIGCONT)
        house.ready(house.start(*tile("t3")))
        until(lambda: (move(), desk.figures().live == len(TILES) or None)[1], "both are back")
        end = run.committed
        until(
            lambda: (move(), ((f := desk.figures()).position >= end and f.live == len(TILES) and f.frames) or None)[1],
            "all chunks are shown by all tiles",
        )
        shown = read_all(pictures)

    together = {frame: found for frame, found in shown.items() if len(found) == len(TILES)}
    # On every one of them frame, view and position are the same, read from the pixels; and so is all the rest.
    for frame, found in shown.items():
        assert len({burned for burned, _ in found.values()}) == 1, f"frame {frame}"
        # Which of two surfaces at one place is seen depends on the order in which chunks came: single pixels.
        assert unlike([picture for _, picture in found.values()]) < 0.02, f"frame {frame} has two pictures"
        assert next(iter(found.values()))[0].frame == frame
    newest = together[max(together)]
    assert newest["t3"][0] == newest["t7"][0] == newest["t0"][0]
    assert unlike([picture for _, picture in newest.values()]) < 0.005
    positions = [shown[frame]["t0"][0].position for frame in sorted(shown) if "t0" in shown[frame]]
    assert positions == sorted(positions)
    assert len(set(positions)) > 10
    # While two tiles were away the others waited for one deadline at most, and for a busy machine.
    assert gaps(pictures, "t0") < 10.0


def unlike(pictures: Sequence[NDArray[np.uint8]]) -> float:
    """The share of pixels that are not the same in all of them, by more than a level."""
    stack = np.stack(pictures).astype(np.int16)
    return float((np.ptp(stack, axis=0).max(axis=-1) > 1).mean())


def read_all(folder: Path) -> dict[int, dict[str, tuple[Burned, NDArray[np.uint8]]]]:
    """By frame and tile: what the picture says of itself, and all of its pixels."""
    shown: dict[int, dict[str, tuple[Burned, NDArray[np.uint8]]]] = {}
    for path in sorted(folder.iterdir()):
        name, _, number = path.stem.partition("-")
        if not path.stat().st_size:
            continue  # its process was killed just then
        pixels = read_png(path)
        burned = read_blocks(pixels)
        assert burned is not None, path
        shown.setdefault(int(number), {})[name] = burned, pixels
    return shown


def gaps(folder: Path, name: str) -> float:
    """The longest time between two pictures of a tile, seconds."""
    times = sorted(path.stat().st_mtime for path in folder.glob(f"{name}-*.png"))
    return max(later - sooner for sooner, later in pairwise(times))
