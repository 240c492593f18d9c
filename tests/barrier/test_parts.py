"""Conductor and tiles as they are started: several tiles of a node, keys, sessions, picks, windows on an X server."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from renderers.wall.burn import read_blocks
from renderers.wall.records import TrackerSource
from renderers.wall.track.record import Recorder, Recording
from renderers.wall.track.sensed import Key, Pointer
from renderers.wall.write import to_toml
from streamer.keys import make
from streamer.wire.keys import read as read_keys
from streamer.wire.viewing import View
from tests.barrier.house import Desk, House, Run, read_png, same_screen, until

MOUSE = (TrackerSource("mouse", ""),)


def test_a_node_shows_all_of_its_tiles_with_one_feed_and_a_click_marks_what_is_under_it(tmp_path: Path) -> None:
    (tmp_path / "wall.toml").write_text(to_toml(same_screen(["a", "b"])))
    wall, pictures = str(tmp_path / "wall.toml"), tmp_path / "pictures"
    pictures.mkdir()
    session = tmp_path / "session"
    with session.open("xb", buffering=0) as out:
        recorder = Recorder(out, MOUSE, 0.0)
        # Somebody clicks until there is something under the pointer: each click at another place.
        for n in range(400):
            x, y = 0.3 + 0.4 * (n % 20) / 20, 0.3 + 0.4 * (n // 20 % 20) / 20
            for buttons, at in ((0, 0.0), (1, 0.02), (0, 0.04)):
                recorder.write(Pointer(0, "middle", x, y, buttons), 1.0 + 0.2 * n + at)
    with House(tmp_path) as house:
        run = Run(house)
        for _ in range(20):
            run.commit()
        said = house.ready(house.start("conductor", "--wall", wall, "--feed", run.feed, "--replay", str(session)))
        options = ("--node", "here", "--conductor", said["address"], "--offscreen", "--burn", "--save", str(pictures))
        node = house.start("tile", "--wall", wall, *options)
        assert house.ready(node)["tiles"] == ["a", "b"]
        desk = Desk(house, said["address"])
        until(lambda: desk.scene().view.selected or None, "something is picked")
        scene = until(lambda: scene if (scene := desk.scene()).note else None, "it is described")
        assert scene.noted == "middle"
        assert f"object {scene.view.selected[0]}\n" in scene.note
        assert "\nhere: z " in scene.note
        until(lambda: desk.figures().frames > 20 or None, "twenty frames")
        assert house.log(node).count("run opened") == 1
        assert desk.figures().show_skew.keys() == {"a", "b"}
        node.terminate()
        assert node.wait(60) == 0
    frames = sorted(path.stem.partition("-")[2] for path in pictures.glob("b-*.png"))
    assert len(frames) > 10
    for frame in frames:
        one, other = read_png(pictures / f"a-{frame}.png"), read_png(pictures / f"b-{frame}.png")
        assert read_blocks(one) == read_blocks(other)
        assert np.array_equal(one, other)
    assert one[:, :, 0].max() > 100


def views(house: House, wall: str, session: Path, *more: str) -> list[View]:
    """The views that a wall goes through while a session is played."""
    part = house.start("conductor", "--wall", wall, "--replay", str(session), *more)
    desk, seen = Desk(house, house.ready(part)["address"]), list[View]()

    def played() -> bool | None:
        if (view := desk.scene().view) not in seen[-1:]:
            seen.append(view)
        return (view.mode == "map" and view.pattern) or None

    until(played, "the session is played")
    part.terminate()
    assert part.wait(60) == 0
    return seen


def test_a_recorded_session_that_is_played_again_shows_the_same_views(tmp_path: Path) -> None:
    (tmp_path / "wall.toml").write_text(to_toml(same_screen(["a"])))
    first, again = tmp_path / "first", tmp_path / "again"
    with first.open("xb", buffering=0) as out:
        recorder = Recorder(out, MOUSE, 0.0)
        for n, key in enumerate(["2", "p", "1", "p", "3", "p"]):
            recorder.write(Key(0, key, True), 1.0 + 0.4 * n)
            recorder.write(Key(0, key, False), 1.1 + 0.4 * n)
    with House(tmp_path) as house:
        one = views(house, str(tmp_path / "wall.toml"), first, "--record", str(again))
        other = views(house, str(tmp_path / "wall.toml"), again)
    assert [view.mode for view in one] == ["cube", "globe", "globe", "cube", "cube", "map", "map"]
    assert [view.pattern for view in one] == [False, False, True, True, False, False, True]
    assert other == one
    with again.open("rb") as file:
        assert sum(isinstance(record, Key) for _, record in Recording(file).entries()) >= 11


def test_with_keys_a_tile_is_let_in_and_one_with_other_keys_is_told_why_not(tmp_path: Path) -> None:
    (tmp_path / "wall.toml").write_text(to_toml(same_screen(["a", "b"])))
    make(tmp_path / "keys")
    make(tmp_path / "others")
    files = {folder: str(tmp_path / folder / "renderer.toml") for folder in ("keys", "others")}
    with House(tmp_path) as house:
        wall = ("--wall", str(tmp_path / "wall.toml"))
        said = house.ready(house.start("conductor", *wall, "--keys", files["keys"]))

        def tile(name: str, keys: str) -> tuple[str, ...]:
            return ("tile", *wall, "--tile", name, "--conductor", said["address"], "--offscreen", "--keys", keys)

        good, wrong = house.start(*tile("a", files["keys"])), house.start(*tile("b", files["others"]))
        house.ready(good)
        house.ready(wrong)
        desk = Desk(house, said["address"], read_keys(Path(files["keys"]), "renderer"))
        until(lambda: desk.figures().live == 1 or None, "the one with the right keys shows")
        until(
            lambda: "another than the one known here" in house.log(wrong) or None, "the other one says why it does not"
        )
        assert desk.figures().seats == 1
        assert wrong.poll() is None


def test_time_runs_on_all_tiles_when_somebody_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "wall.toml").write_text(to_toml(same_screen(["a"])))
    wall = ("--wall", str(tmp_path / "wall.toml"))
    with House(tmp_path) as house:
        run = Run(house)
        run.commit()
        said = house.ready(house.start("conductor", *wall, "--feed", run.feed))
        house.ready(house.start("tile", *wall, "--tile", "a", "--conductor", said["address"], "--offscreen"))
        desk = Desk(house, said["address"])
        until(lambda: desk.figures().live == 1 or None, "the tile is live")
        desk.play(True, 40.0)
        seen: set[float | None] = set()

        def goes_on() -> bool | None:
            seen.add(desk.scene().view.time)
            return len(seen) >= 8 or None

        until(goes_on, "time runs")
        desk.play(False)
        stands = desk.scene().view.time
        assert desk.scene().view.time == stands
        assert max(time for time in seen if time is not None) <= run.spec.grid.shape[0] - 1


def test_a_tile_reads_from_a_file_which_node_it_is_and_ends_when_its_conductor_stays_away(tmp_path: Path) -> None:
    (tmp_path / "wall.toml").write_text(to_toml(same_screen(["a", "b"])))
    wall, node = ("--wall", str(tmp_path / "wall.toml")), tmp_path / "node-1.example"
    nobody = f"ipc://{tmp_path}/nobody"
    here = ("--conductor", nobody, "--offscreen", "--patience", "1", "--node-from", str(node))
    with House(tmp_path) as house:
        lost = house.start("tile", *wall, *here)
        assert lost.wait(60) == 2
        assert f"there is no file {node}: this node is not known to drive tiles" in house.log(lost)
        node.write_text("here\nthere\n")
        odd = house.start("tile", *wall, *here)
        assert odd.wait(60) == 2
        assert f"{node} does not hold the name of one node" in house.log(odd)
        node.write_text("here\n")
        alone = house.start("tile", *wall, *here)
        assert house.ready(alone)["tiles"] == ["a", "b"]
        assert alone.wait(60) == 75
        assert f"nothing was heard from the conductor at {nobody} for 1 s (--patience)" in house.log(alone)
