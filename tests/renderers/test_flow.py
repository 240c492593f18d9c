"""What a link carries, whether it is thin, and for what rate H.264 is coded then."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from renderers.flow import FASTEST_KBIT, SLOWEST_KBIT, STAY_S, STEP, THIN, WIDE, Flow, Thin, kbit_for
from renderers.link import LONG_S, RUNGS, SHARES, Link
from streamer.wire import view


def sizes_of(link: Link) -> float:
    """Bytes of a moving picture: JPEG by quality and resolution, H.264 by the bits that it may have."""
    if link.video:
        return link.kbit * 1000 / 8 / 30
    return {75: 35e3, 55: 26e3, 40: 20e3, 50: 9e3, 35: 7e3}[link.fineness.quality]


def carried(
    link: Link,
    pictures: int,
    way_s: float,
    bytes_per_s: float,
    start: float = 0.0,
    frame: int = 0,
    size_of: Callable[[Link], float] = sizes_of,
    *,
    still: bool = False,
) -> float:
    """Sends pictures over a link at thirty a second at most; the time when the last was shown."""
    now, free = start, start
    queue: list[tuple[int, float]] = []
    for number in range(frame + 1, frame + pictures + 1):
        if len(queue) >= link.in_flight:
            one, at = queue.pop(0)
            now = max(now, at)
            link.acknowledged(one, at, still=still)
        size = size_of(link)
        link.sent(number, now)
        link.flow.left(number, round(size), now)
        free = max(free, now) + size / bytes_per_s
        queue.append((number, free + 2 * way_s))
        now += 1 / 30
    for one, at in queue:
        link.acknowledged(one, at, still=still)
        now = max(now, at)
    return now


@given(
    bytes_per_s=st.floats(1e4, 1e8),
    way_s=st.floats(0.0, 0.3),
    sizes=st.lists(st.tuples(st.integers(1, 1_000_000), st.floats(0.0, 1.0)), min_size=1, max_size=60),
)
def test_a_link_is_never_thought_to_carry_more_than_it_does(
    bytes_per_s: float, way_s: float, sizes: list[tuple[int, float]]
) -> None:
    flow, now, free = Flow(), 0.0, 0.0
    on_the_way: list[tuple[float, int]] = []
    for number, (size, pause) in enumerate(sizes, 1):
        now += pause
        while on_the_way and on_the_way[0][0] <= now:
            at, arrived = on_the_way.pop(0)
            flow.acknowledged(arrived, at)
        flow.left(number, size, now)
        free = max(free, now) + size / bytes_per_s
        on_the_way.append((free + 2 * way_s, number))
    for at, arrived in on_the_way:
        flow.acknowledged(arrived, at)
    assert flow.carries <= bytes_per_s * 1.001


def test_a_link_that_is_kept_full_is_known_for_what_it_carries() -> None:
    link = Link()
    carried(link, 20, 0.025, 0.5e6)
    assert 0.4e6 < link.flow.carries <= 0.501e6


def test_what_a_link_carried_once_is_forgotten_when_its_pictures_are_slow() -> None:
    flow = Flow()
    for number in range(1, 40):
        flow.left(number, 100_000, float(number))
        flow.acknowledged(number, number + (0.01 if number == 1 else 0.5))
    assert flow.carries > 9e6
    flow.slow(39.5)
    assert flow.carries < 0.3e6


def test_pictures_that_did_not_leave_are_not_counted() -> None:
    flow = Flow()
    flow.left(1, 10_000, 0.0)
    flow.forget(1)
    flow.acknowledged(1, 0.1)
    assert flow.carries == 0
    flow.left(2, 10_000, 1.0)
    flow.acknowledged(2, 1.1)
    assert 0.9e5 < flow.carries < 1.1e5


def test_a_thin_link_gets_video_and_keeps_it_until_it_carries_twice_the_bound() -> None:
    thin = Thin()
    assert not thin.judge(THIN / 2, 0.0, slow=False), "a link that is quick enough is not thin"
    assert not thin.judge(THIN * 1.2, 0.0, slow=True)
    assert not thin.judge(0.0, 0.0, slow=True), "nothing is known yet"
    assert thin.judge(THIN / 2, 1.0, slow=True)
    assert thin.yes
    assert not thin.judge(THIN * 1.9, 1.0 + 2 * STAY_S, slow=False)
    assert not thin.judge(WIDE * 2, 1.0 + STAY_S / 2, slow=False), "the choice stands for a while"
    assert thin.judge(WIDE * 2, 1.0 + STAY_S, slow=False)
    assert not thin.yes


def test_h264_that_was_of_no_use_is_tried_again_later_each_time() -> None:
    thin, now = Thin(), 0.0
    tried: list[float] = []
    while len(tried) < 5:
        now += 1.0
        if thin.judge(THIN / 2, now, slow=True):
            tried.append(now)
            thin.helped(now, yes=False)
            assert not thin.yes
    waits = [later - earlier for earlier, later in pairwise(tried)]
    assert waits == sorted(set(waits))
    assert waits[0] == 2 * STAY_S


def test_pictures_that_something_else_holds_up_stay_jpeg() -> None:
    link, now, seen = Link(), 0.0, 0
    link.wish(view.THIN)
    for frame in range(1, 400):  # a page or a machine that is busy: 300 ms, whatever the size
        link.sent(frame, now)
        link.flow.left(frame, round(sizes_of(link)), now)
        now += 0.3
        link.acknowledged(frame, now)
        seen += link.video
    assert not link.video
    assert seen < 60


@given(st.lists(st.tuples(st.floats(0, 1e8), st.floats(0, 1), st.booleans()), max_size=100))
def test_the_choice_does_not_swing(facts: list[tuple[float, float, bool]]) -> None:
    thin, now = Thin(), 0.0
    changes: list[float] = []
    for carries, pause, slow in facts:
        now += pause
        if thin.judge(carries, now, slow=slow):
            changes.append(now)
    assert all(later >= earlier + STAY_S for earlier, later in pairwise(changes))


@given(carries=st.floats(0, 1e9), share=st.sampled_from(SHARES), before=st.none() | st.integers(400, 16_000))
def test_rates_have_bounds_and_steps(carries: float, share: float, before: int | None) -> None:
    kbit = kbit_for(carries, share, before)
    assert SLOWEST_KBIT <= kbit <= FASTEST_KBIT
    assert kbit_for(carries, share, kbit) == kbit, "a change is made once"
    if carries * share * 8 / 1000 > 2 * SLOWEST_KBIT:
        assert kbit <= carries * share * 8 / 1000 * STEP * 1.001


def test_a_link_of_which_nothing_is_known_is_coded_for_as_a_wide_one() -> None:
    assert kbit_for(0.0, 1.0, None) > FASTEST_KBIT / STEP - 1


def test_a_thin_link_gets_h264_where_the_viewer_can_decode_it_and_is_quick_then() -> None:
    for wish in (view.NEVER, view.THIN):
        link = Link()
        link.wish(wish)
        now = carried(link, 60, 0.025, 0.5e6)
        assert link.video == (wish == view.THIN)
    carried(link, 100, 0.025, 0.5e6, now, 60)
    assert link.video
    assert 1500 < link.kbit <= 4000
    assert link.trip_s is not None
    assert link.trip_s < LONG_S


def test_a_quick_link_and_a_long_one_keep_jpeg() -> None:
    for way_s in (0.001, 0.15):
        link = Link()
        link.wish(view.THIN)
        carried(link, 300, way_s, 100e6)
        assert not link.video


def test_h264_is_given_up_when_a_still_shows_that_the_link_has_become_wide() -> None:
    link = Link()
    link.wish(view.THIN)
    now = carried(link, 60, 0.025, 0.5e6)
    assert link.video
    now = carried(link, 30, 0.005, 12e6, now + 10, 60)
    chosen = [link.video]
    carried(link, 1, 0.005, 12e6, now, 90, lambda _: 250e3, still=True)
    chosen.append(link.video)
    assert chosen == [True, False], "small pictures show nothing"
    assert link.fineness == RUNGS[0]


def test_a_still_that_was_slow_shows_a_thin_link_before_anything_moves() -> None:
    for bytes_per_s, thin in ((0.5e6, True), (3e6, False)):
        link = Link()
        link.wish(view.THIN)
        carried(link, 1, 0.025, bytes_per_s, 0.0, 0, lambda _: 400e3, still=True)
        assert link.video == thin


def test_h264_that_is_asked_for_comes_on_every_link_and_from_the_finest_on() -> None:
    link = Link()
    link.wish(view.ALWAYS)
    assert link.video
    carried(link, 60, 0.001, 100e6)
    assert link.video
    assert link.fineness == RUNGS[0]
    link.wish(view.NEVER)
    assert not link.video
