"""Where viewers look, as the streamer is told; and what a late renderer asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import radians
from typing import Literal

import numpy as np
import pytest
from msgspec import structs

from renderers.entries import Arrived
from renderers.follow import ASK_S, WINDOW_MESSAGES, Ask, Begin, Follower, Stand, Take
from renderers.follow import PARTS as WANTED
from renderers.geometry import room_of
from renderers.look import AGAIN_S, EVERY_S, Looks, Seen, nearest_first, place_of, voxel_of
from renderers.scene import Scene
from renderers.sheet import corners_of, ground_of, region_of
from streamer.wire.batch import Present, pack_present, unpack_present
from streamer.wire.block import PARTS
from streamer.wire.follow import FETCH
from streamer.wire.grid import Grid
from streamer.wire.messages import FETCHED, AskIndex, Credit, Entry, Fetch, Focus, Hello, Index, Welcome
from streamer.wire.view import Camera
from streamer.wire.viewing import View
from streamer.wire.volume import Volume
from tests.renderers.runs import axis, earth, plain, spec_of, unpacked
from tests.streamer.runs import MemoryLog, hub_of, made, under
from tests.streamer.runs import spec_of as run_spec

HOME = Camera(0.1, 0.2, 3.0, (0.0, 0.0, 0.0))


CHUNK = (4, 3, 4)


def asked(volume: Volume) -> Callable[..., list[Focus]]:
    """What is due in a run over a volume, whose last step to be seen is ``newest``."""
    spec, room = spec_of(volume, CHUNK), room_of(volume)

    def due(looks: Looks, now: float, newest: int = 0) -> list[Focus]:
        return looks.due(spec, room, newest, now)

    return due


def aimed(x: float, y: float, z: float) -> Camera:
    return HOME._replace(target=(x, y, z))


@pytest.mark.parametrize("volume", [plain((5, 6, 7)), earth((4, 8, 16))])
def test_a_voxel_is_found_again_at_its_place_in_the_room(volume: object) -> None:
    room = room_of(volume)  # type: ignore[arg-type]
    for at in ((0, 0, 0), (1, 2, 3), (3, 5, 6)):
        z, y, x = at
        target = tuple(float(room.rulers[2 - axis].at(np.array([float(at[axis])]))[0]) for axis in (2, 1, 0))
        assert voxel_of(room, target) == pytest.approx((z, y, x))  # type: ignore[arg-type]


def test_the_streamer_hears_of_nobody_who_has_only_come_or_walks_around() -> None:
    looks, due = Looks(), asked(plain((5, 6, 7)))
    looks.see(b"v", HOME, View())
    looks.see(b"v", HOME._replace(azimuth=2.0, elevation=0.5), View())
    assert due(looks, 0.0) == []


def test_a_viewer_who_aims_elsewhere_is_told_of_twice_a_second_at_most_and_again_while_he_stays() -> None:
    looks, due = Looks(), asked(plain((5, 6, 7)))
    looks.see(b"v", HOME, View())
    looks.see(b"v", aimed(0.1, 0.0, 0.0), View())
    (first,) = due(looks, 0.0)
    looks.see(b"v", aimed(0.2, 0.0, 0.0), View())
    assert due(looks, EVERY_S / 2) == []
    (second,) = due(looks, EVERY_S)
    assert second.x > first.x
    assert (first.view, first.weight, second.view) == (0, 1.0, 0)
    assert due(looks, 2.0) == [], "still there"
    assert due(looks, EVERY_S + AGAIN_S) == [second], "so that it does not lapse"


def over(lat: float, lon: float) -> Camera:
    """From straight above a place on the globe, as the page turns it (``following.js``)."""
    return Camera(radians(lon + 90), radians(lat), 3.0, (0.0, 0.0, 0.0))


def shifted(volume: Volume, lat: Sequence[float], lon: Sequence[float]) -> Volume:
    """A volume that lies elsewhere."""
    return structs.replace(
        volume, axes=(volume.axes[0], axis("latitude", lat), axis("longitude", lon)), title="Elsewhere"
    )


WHOLE = earth((4, 8, 16))
PACIFIC = shifted(earth((4, 3, 5)), [30.0, 20.0, 10.0], [170.0, 175.0, 180.0, 185.0, 190.0])
EUROPE = shifted(earth((4, 3, 5)), [40.0, 50.0, 60.0], [-10.0, 0.0, 10.0, 20.0, 30.0])


@pytest.mark.parametrize("volume", [WHOLE, PACIFIC, EUROPE])
@pytest.mark.parametrize("mode", ["globe", "map"])
def test_on_the_earth_the_place_in_the_middle_is_that_of_the_cell_that_is_drawn_there(
    volume: Volume, mode: Literal["globe", "map"]
) -> None:
    spec, room = spec_of(volume, CHUNK), room_of(volume)
    lats, lons = corners_of(volume)
    ground = ground_of(mode, region_of(mode, lats, lons))
    for y, lat in enumerate(volume.axes[1].points.tolist()):
        for x, lon in enumerate(volume.axes[2].points.tolist()):
            camera = over(lat, lon)
            if mode == "map":
                px, py, pz = ground.points(np.array(lat), np.array(lon), np.array(0.0)).tolist()
                camera = Camera(0.4, 1.1, 2.0, (px, py, pz))
            found = place_of(Seen(camera, View(mode=mode, time=2.0)), spec, room, 3)
            assert found == pytest.approx((2, y, x), abs=1e-5)


def test_what_was_dragged_aside_is_seen_through_the_middle_of_the_picture() -> None:
    spec, room = spec_of(WHOLE, CHUNK), room_of(WHOLE)
    globe, flat = View(mode="globe"), View(mode="map")
    straight = place_of(Seen(over(0.0, 0.0), globe), spec, room, 0)
    # Aimed 0.4 to the north, the middle of the picture is where the ball of radius 0.8 is 30° north.
    north = place_of(Seen(over(0.0, 0.0)._replace(target=(0.0, 0.0, 0.4)), globe), spec, room, 0)
    assert north[1] - straight[1] == pytest.approx(30 / 22.5)
    beside = place_of(Seen(over(0.0, 0.0)._replace(target=(0.0, 0.0, 1.5)), globe), spec, room, 0)
    assert beside[1] == pytest.approx(7.5), "beside the ball, what comes nearest: its pole"
    # On the map a target over the ground lies in the picture where the ground behind it does.
    foot = place_of(Seen(Camera(0.0, radians(45), 2.0, (0.0, 0.3, 0.0)), flat), spec, room, 0)
    raised = place_of(Seen(Camera(0.0, radians(45), 2.0, (0.0, 0.2, 0.1)), flat), spec, room, 0)
    assert raised == pytest.approx(foot)
    level = place_of(Seen(Camera(0.0, 0.0, 2.0, (0.0, 0.3, 0.1)), flat), spec, room, 0)
    assert level == pytest.approx(foot), "where the ground is seen edge on, what lies below"


def test_beside_a_region_the_nearest_of_it_is_looked_at_the_shorter_way_around() -> None:
    spec, room, view = spec_of(EUROPE, CHUNK), room_of(EUROPE), View(mode="globe")
    for lon, x in ((-40.0, -0.5), (100.0, 4.5), (-160.0, -0.5), (-175.0, 4.5), (20.0, 3.0)):
        assert place_of(Seen(over(50.0, lon), view), spec, room, 0) == pytest.approx((0, 1, x))


def test_the_step_is_that_of_the_time_cursor_and_by_itself_the_newest_in_the_window() -> None:
    spec, room = spec_of(WHOLE, CHUNK), room_of(WHOLE)
    for view, z in (
        (View(mode="map"), 3), (View(mode="map", time=1.2), 1), (View(mode="map", window=(0.0, 2.0)), 2),
    ):  # fmt: skip
        assert place_of(Seen(HOME, view), spec, room, 3)[0] == z
    tissue = plain((5, 6, 7))
    there = aimed(0.1, 0.2, 0.1)
    assert place_of(Seen(there, View(mode="globe", time=1.0)), spec_of(tissue, CHUNK), room_of(tissue), 3) == voxel_of(
        room_of(tissue), there.target
    ), "where there is no globe the cube is shown"


def test_who_turns_the_globe_or_chooses_a_step_looks_there_and_who_has_only_come_nowhere() -> None:
    due = asked(WHOLE)
    looks = Looks()
    for viewer, mode in ((b"g", "globe"), (b"m", "map"), (b"c", "cube")):
        looks.see(viewer, HOME, View(mode=mode))  # type: ignore[arg-type]
    assert due(looks, 0.0) == []
    looks.see(b"m", HOME._replace(azimuth=2.0), View(mode="map"))
    looks.see(b"c", HOME._replace(azimuth=2.0), View(time=2.0))
    assert due(looks, 1.0) == []
    looks.see(b"g", over(30.0, 90.0), View(mode="globe"))
    (turned,) = due(looks, 2.0)
    assert (turned.z, turned.x) == pytest.approx((0, 4))
    looks.see(b"m", HOME, View(mode="map", time=2.0))
    (chosen,) = due(looks, 3.0)
    assert (chosen.z, chosen.y, chosen.x) == pytest.approx((2, 3.5, 7.5))
    # The globe shows the newest step by itself, so whoever looks at it looks there.
    (newest,) = due(looks, 4.0, newest=3)
    assert newest == structs.replace(turned, z=3.0)


def test_a_viewer_who_leaves_looks_nowhere_and_his_number_is_free() -> None:
    looks, due = Looks(), asked(plain((5, 6, 7)))
    for viewer in (b"v", b"w"):
        looks.see(viewer, HOME, View())
        looks.see(viewer, aimed(0.1, 0.0, 0.0), View())
    assert {focus.view for focus in due(looks, 0.0)} == {0, 1}
    looks.leave(b"v")
    assert due(looks, 1.0) == [Focus(0, 0, 0, 0.0, 0)]
    assert looks.viewers == {b"w"}


def test_what_is_near_is_fetched_first_the_shorter_way_around() -> None:
    grid = Grid((4, 4, 40), (4, 4, 4), (False, False, True))
    chunks = np.array([9, 1, 5, 0])
    order = nearest_first(grid, chunks, [Focus(2, 2, 1)])
    assert chunks[order].tolist() == [0, 9, 1, 5]
    assert nearest_first(grid, chunks, []).tolist() == [0, 1, 2, 3]


def present(chunks: int, head: int) -> Present:
    none = np.empty((0, 2), np.uint64)
    return Present(
        "e", head, np.arange(chunks, dtype=np.uint32), np.arange(chunks, dtype=np.uint64),
        np.ones((chunks, 5), np.uint32), ("labels", "seam", "ids", "stats", "footprint"), none, none,
        np.empty(0, np.uint32), "",
    )  # fmt: skip


def late(chunks: int, head: int) -> Follower:
    follower = Follower("r", 0.0, late=True)
    follower.hello(0.0)
    begin, ask = follower.receive(Welcome(1, "e", head, 1000), [b"spec"], 0.0)
    assert (begin, ask) == (Begin(b"spec"), AskIndex(1))
    message, payloads = pack_present(1, present(chunks, head))
    stand, hello = follower.receive(message, payloads, 0.0)
    assert isinstance(stand, Stand)
    assert isinstance(hello, Hello)
    assert (hello.epoch, hello.next) == ("e", head), "it follows from there"
    return follower


def fetch_of(steps: object) -> list[int]:
    (ask,) = [step for step in steps if isinstance(step, Ask)]  # type: ignore[attr-defined]
    assert isinstance(ask.message, Fetch)
    return np.frombuffer(ask.payloads[0], "<u8").tolist()  # type: ignore[no-any-return]


def test_a_late_renderer_fetches_what_is_there_in_the_order_it_likes_and_then_follows() -> None:
    follower = late(3, 10)
    follower.missing.reverse()
    steps = follower.receive(Welcome(1, "e", 12, 1000), [b"spec"], 0.0)
    assert isinstance(steps[0], Credit)
    assert fetch_of(steps) == [2, 1, 0]
    for number, prev in ((2, FETCHED), (10, 9), (0, FETCHED), (11, 10), (1, FETCHED)):
        (take, *_) = follower.receive(Entry(number, prev, "chunk"), [b"x"], 0.0)
        assert isinstance(take, Take)
    assert (follower.next, follower.missing) == (12, [])
    again = follower.receive(Entry(1, FETCHED, "chunk"), [b"x"], 0.0)
    assert not [step for step in again if isinstance(step, Take)], "once"


def test_what_was_not_fetched_when_the_line_broke_is_fetched_after_it() -> None:
    follower = late(FETCH + 5, 100)
    first = fetch_of(follower.receive(Welcome(1, "e", 100, 1000), [b"spec"], 0.0))
    assert len(first) == FETCH
    for number in first[: WINDOW_MESSAGES - 2]:
        follower.receive(Entry(number, FETCHED, "chunk"), [b"x"], 0.0)
    follower.hello(1.0)
    rest = fetch_of(follower.receive(Welcome(1, "e", 100, 1000), [b"spec"], 1.0))
    assert sorted(first[: WINDOW_MESSAGES - 2] + rest + follower.missing) == list(range(FETCH + 5))
    assert not set(first[: WINDOW_MESSAGES - 2]) & set(rest)


def test_a_streamer_that_does_not_say_what_is_there_is_followed_from_the_beginning() -> None:
    follower = Follower("r", 0.0, late=True)
    follower.hello(0.0)
    follower.receive(Welcome(1, "e", 5, 1000), [b"spec"], 0.0)
    (credit,) = follower.tick(ASK_S)
    assert isinstance(credit, Credit)
    (take, *_) = follower.receive(Entry(0, -1, "chunk"), [b"x"], ASK_S)
    assert isinstance(take, Take)


def test_a_newcomer_to_an_empty_log_just_follows() -> None:
    follower = Follower("r", 0.0, late=True)
    follower.hello(0.0)
    _, credit = follower.receive(Welcome(1, "e", 0, 0), [b"spec"], 0.0)
    assert isinstance(credit, Credit)


def test_a_scene_of_the_present_state_is_that_of_the_whole_log_whatever_the_order() -> None:
    spec = run_spec((8, 6, 6), (4, 3, 3))
    log = MemoryLog()
    hub = hub_of(spec, log)
    for chunk in np.random.default_rng(3).permutation(spec.grid.size).tolist()[:-1]:
        hub.ingest(b"w", *under(made(spec)[chunk], 0), 0)
    (answer,) = hub.feed(b"r", AskIndex(1), [], 0)
    assert isinstance(answer.message, Index)
    now = unpack_present(answer.message, answer.payloads)
    places = [0, *(1 + PARTS.index(part) for part in WANTED)]

    def entry(number: int, prev: int) -> Arrived:
        kind, payloads = log.entries[number]
        payloads = [payloads[place] for place in places] if kind == "chunk" else payloads
        return unpacked(spec.grid, Take(Entry(number, prev, kind), payloads, 1))

    whole, there = Scene(spec.grid), Scene(spec.grid)
    for number in range(log.head):
        one = entry(number, number - 1)
        if one.piece is not None:
            whole.arrive(one.piece)
        elif one.pairs is not None:
            (whole.merge if one.kind == "merges" else whole.judge)(one.pairs)
    there.merge(now.merges)
    there.judge(now.verdicts)
    for number in now.numbers.tolist()[::-1]:
        one = entry(number, FETCHED)
        assert one.fetched
        assert one.piece is not None
        there.arrive(one.piece)
    assert whole.arrived == there.arrived
    assert whole.objects == there.objects
    for chunk in whole.arrived:
        assert whole.ids(chunk).tolist() == there.ids(chunk).tolist()
        assert np.array_equal(whole.look(chunk).visible, there.look(chunk).visible)
