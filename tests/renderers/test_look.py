"""Where viewers look, as the streamer is told; and what a late renderer asks for."""

from __future__ import annotations

import numpy as np
import pytest

from renderers.entries import Arrived
from renderers.follow import ASK_S, WINDOW_MESSAGES, Ask, Begin, Follower, Stand, Take
from renderers.follow import PARTS as WANTED
from renderers.geometry import room_of
from renderers.look import AGAIN_S, EVERY_S, Looks, nearest_first, voxel_of
from renderers.scene import Scene
from streamer.wire.batch import Present, pack_present, unpack_present
from streamer.wire.block import PARTS
from streamer.wire.follow import FETCH
from streamer.wire.grid import Grid
from streamer.wire.messages import FETCHED, AskIndex, Credit, Entry, Fetch, Focus, Hello, Index, Welcome
from streamer.wire.view import Camera
from tests.renderers.runs import earth, plain, unpacked
from tests.streamer.runs import MemoryLog, hub_of, made, under
from tests.streamer.runs import spec_of as run_spec

HOME = Camera(0.1, 0.2, 3.0, (0.0, 0.0, 0.0))


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
    looks, room = Looks(), room_of(plain((5, 6, 7)))
    looks.see(b"v", HOME)
    looks.see(b"v", HOME._replace(azimuth=2.0, elevation=0.5))
    assert looks.due(room, 0.0) == []


def test_a_viewer_who_aims_elsewhere_is_told_of_twice_a_second_at_most_and_again_while_he_stays() -> None:
    looks, room = Looks(), room_of(plain((5, 6, 7)))
    looks.see(b"v", HOME)
    looks.see(b"v", aimed(0.1, 0.0, 0.0))
    (first,) = looks.due(room, 0.0)
    looks.see(b"v", aimed(0.2, 0.0, 0.0))
    assert looks.due(room, EVERY_S / 2) == []
    (second,) = looks.due(room, EVERY_S)
    assert second.x > first.x
    assert (first.view, first.weight, second.view) == (0, 1.0, 0)
    assert looks.due(room, 2.0) == [], "still there"
    assert looks.due(room, EVERY_S + AGAIN_S) == [second], "so that it does not lapse"


def test_a_viewer_who_leaves_looks_nowhere_and_his_number_is_free() -> None:
    looks, room = Looks(), room_of(plain((5, 6, 7)))
    for viewer in (b"v", b"w"):
        looks.see(viewer, HOME)
        looks.see(viewer, aimed(0.1, 0.0, 0.0))
    assert {focus.view for focus in looks.due(room, 0.0)} == {0, 1}
    looks.leave(b"v")
    assert looks.due(room, 1.0) == [Focus(0, 0, 0, 0.0, 0)]
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
