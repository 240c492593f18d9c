"""A wall of eleven tile processes, its conductor and a real streamer: no frame is ever of two minds."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderers.wall.burn import Burned, read_blocks
from renderers.wall.write import to_toml
from streamer.wire.viewing import Placement, View
from tests.barrier.house import Desk, House, Run, read_png, same_screen, until

TILES = [f"t{i}" for i in range(11)]
FRAMES = 300
DEADLINE_S = 0.25
BUSY_S = 0.75
"""By so much a loaded machine may wake the conductor late."""


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

        turn, due = 0, 8

        def move() -> int:
            """Another view; returns how many frames have been shown."""
            nonlocal turn, due
            turn += 1
            desk.view(View(placement=Placement((0.5 * turn, 0.0, -400.0), (0.0, 0.0, 0.0, 1.0), 600.0 + turn % 50)))
            frames = desk.figures().frames
            # Chunks come as the wall draws, however slow the machine is: there are positions to be of two minds about.
            if frames >= due and run.committed < run.chunks - 8:
                due = frames + 8
                run.commit()
            return frames

        def whole() -> int:
            """Frames that all tiles have shown."""
            numbers = Counter(path.stem.partition("-")[2] for path in pictures.iterdir())
            return sum(times == len(TILES) for times in numbers.values())

        # On a busy machine a tile may be late for some of them.
        until(lambda: ([move() for _ in range(20)], whole() >= FRAMES or None)[1], f"{FRAMES} frames of all tiles")
        before = desk.figures()

        # Nobody was away so far; what comes now is measured by the conductor's own clock.
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

        figures = desk.figures()

    # Frame, view and position are the same on every tile that shows a frame, read from the pixels; and so is all the
    # rest, to the last pixel.
    for frame, found in shown.items():
        assert len({burned for burned, _ in found.values()}) == 1, f"frame {frame}"
        assert next(iter(found.values()))[0].frame == frame
        first, *others = [picture for _, picture in found.values()]
        assert all(np.array_equal(first, other) for other in others), f"frame {frame} has two pictures"
    together = {frame: found for frame, found in shown.items() if len(found) == len(TILES)}
    assert len(together) >= FRAMES
    newest = together[max(together)]
    assert {"t3", "t7"} <= set(newest)
    positions = [shown[frame]["t0"][0].position for frame in sorted(shown) if "t0" in shown[frame]]
    assert positions == sorted(positions)
    assert len(set(positions)) > 10
    # One tile was killed and one stopped in a frame: all that the others waited, from Draw to Show, was the deadline.
    assert figures.evictions_late >= 2
    assert DEADLINE_S <= figures.draw_to_show.longest_s <= DEADLINE_S + BUSY_S


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
