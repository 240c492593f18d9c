"""Pixels become pictures beside the thread that draws; what does not reach a viewer is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from io import BytesIO
from typing import TypeVar

import numpy as np
import pytest
import simplejpeg
import zmq
from PIL import Image

from renderers.bell import Bell
from renderers.finishing import Finisher, Wanted
from renderers.picture import Blend, GivenUp, png
from renderers.post import PAGES, Copy, Heard, Left, Letter, Lost, Post
from streamer.wire.view import (
    FRAME_HEADER,
    JPEG,
    KEY,
    PNG,
    Acknowledged,
    Camera,
    Frame,
    Input,
    decode_frame,
    encode_ack,
)
from tests.control.parts import eventually

PATIENCE_MS = 10_000
PATIENCE_S = PATIENCE_MS / 1000
T = TypeVar("T")
STATE = Input(1, 64, 48, False, Camera(0.0, 0.0, 4.0, (0.0, 0.0, 0.0)))


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield made
    made.destroy(linger=0)


@pytest.fixture
def post(context: zmq.Context[zmq.Socket[bytes]]) -> Iterator[Post]:
    made = Post(context, "tcp://127.0.0.1:0", None)
    made.start()
    yield made
    made.stop()


def soon(bell: Bell, look: Callable[[], T | None]) -> T:
    """The first thing that is seen when the bell rings."""
    while True:
        found = look()
        if found is not None:
            return found
        assert bell.wait(PATIENCE_S), "the bell did not ring"
        bell.hush()


def header(frame: int) -> Frame:
    return Frame(JPEG, KEY, frame, 7, 0, 3, 64, 48, 1.5, 0.0)


Came = Callable[[], tuple[zmq.Socket[bytes], bytes]]


@pytest.fixture
def came(context: zmq.Context[zmq.Socket[bytes]], post: Post) -> Iterator[Came]:
    """A viewer that has said something, and what the post calls it."""
    with ExitStack() as undo:

        def one() -> tuple[zmq.Socket[bytes], bytes]:
            viewer = context.socket(zmq.DEALER)
            undo.callback(viewer.close, 0)
            viewer.setsockopt(zmq.RCVHWM, 4)
            viewer.connect(post.address)
            before = time.monotonic()
            viewer.send(b"here")
            heard = soon(post.wake, post.take)
            assert isinstance(heard, Heard)
            assert heard.frames == [b"here"]
            assert before <= heard.at <= time.monotonic()
            return viewer, heard.peer

        yield one


def received(viewer: zmq.Socket[bytes]) -> bytes:
    assert viewer.poll(PATIENCE_MS)
    return viewer.recv()


def test_one_page_becomes_each_viewers_picture_and_is_free_again(came: Came, post: Post) -> None:
    (first, one), (second, two), (third, three) = came(), came(), came()
    pages = [post.page(48, 64) for _ in range(PAGES)]
    assert post.full
    assert post.page(48, 64) is None
    page = pages[0]
    assert page is not None
    page[:] = (200, 30, 60)
    copies = Copy(one, header(1), 75, False), Copy(two, header(5), 75, False), Copy(three, header(9), 50, True)
    post.print(page, copies)
    whole, same, half = received(first), received(second), received(third)
    assert [decode_frame(raw).frame for raw in (whole, same, half)] == [1, 5, 9]
    assert decode_frame(whole).encode_ms > 0
    assert whole[FRAME_HEADER:] == same[FRAME_HEADER:]
    assert simplejpeg.decode_jpeg(whole[FRAME_HEADER:]).shape == (48, 64, 3)
    assert simplejpeg.decode_jpeg(half[FRAME_HEADER:]).shape == (24, 32, 3)
    assert abs(simplejpeg.decode_jpeg(half[FRAME_HEADER:])[5, 5].astype(int) - (200, 30, 60)).max() < 12
    again = soon(post.wake, lambda: None if post.full else post.page(24, 32))
    assert again.shape == (24, 32, 3)
    assert np.shares_memory(again, page), "memory is used again, also for another size"


def test_what_is_no_news_rings_no_bell_and_comes_with_what_is(came: Came, post: Post) -> None:
    (viewer, peer), (other, _) = came(), came()
    post.patient = {peer}
    post.send(Letter(peer, b"a picture", 1))
    assert received(viewer) == b"a picture"
    # What was rung for the two who came may ring after they have been heard, but before the picture leaves.
    post.wake.hush()
    viewer.send(encode_ack(Acknowledged(1, 2.0)))
    eventually(lambda: len(post._in) == 2)  # it has left, and was shown
    assert post.waiting
    assert not post.wake.wait(0.05)
    other.send(encode_ack(Acknowledged(1, 2.0)))  # of one who waits for his next picture
    assert post.wake.wait(PATIENCE_S)
    post.wake.hush()
    found = [post.take() for _ in range(3)]
    assert [type(event) for event in found] == [Left, Heard, Heard]
    page = post.page(48, 64)
    assert page is not None
    assert not post.full
    post.print(page, ())
    eventually(lambda: len(post._free) == PAGES)
    assert not post.wake.wait(0.05), "nobody has missed a page"


def test_who_says_more_than_is_taken_waits_at_the_door_and_nothing_is_lost(
    came: Came, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("renderers.post.MOST_HEARD", 20)
    monkeypatch.setattr("renderers.post.AT_ONCE", 5)
    viewer, _ = came()
    for i in range(500):
        viewer.send(b"%d" % i)
    heard: list[int] = []
    most = 0
    while len(heard) < 500:
        most = max(most, len(post._in))
        event = soon(post.wake, post.take)
        assert isinstance(event, Heard)
        heard.append(int(event.frames[0]))
    assert heard == list(range(500))
    assert most <= 25


def test_what_does_not_reach_a_viewer_is_said(came: Came, post: Post) -> None:
    post.send(Letter(b"nobody", b"x", 4))
    assert soon(post.wake, post.take) == Lost(b"nobody", 4, True)
    _, peer = came()
    lost: list[object] = []
    big, number = bytes(1 << 20), 0
    while not lost:  # nobody reads: its pipe is full sooner or later
        number += 1
        post.send(Letter(peer, big, number))
        event = post.take()
        lost += [event] if isinstance(event, Lost) else []
        assert number < 100_000
    found = lost[0]
    assert isinstance(found, Lost)
    assert (found.peer, found.gone) == (peer, False)
    assert found.frame > 1


def blend(value: int, size: int = 48) -> Blend:
    made = Blend()
    made.add(np.full((size, 64, 3), value, np.uint8))
    made.add(np.full((size, 64, 3), value + 2, np.uint8))
    return made


def test_a_still_is_finished_beside_and_can_be_given_up() -> None:
    finisher = Finisher()
    finisher.start()
    try:
        for version, lossless in enumerate((True, False)):
            wanted = Wanted(b"somebody", STATE, version)
            finisher.begin(wanted, blend(100), lossless=lossless)
            assert finisher.wanted == wanted

            def finished() -> object:
                over, still = finisher.take()
                return still if over else None

            still = soon(finisher.wake, finished)
            assert still.wanted == wanted  # type: ignore[attr-defined]
            assert still.codec == (PNG if lossless else JPEG)  # type: ignore[attr-defined]
            assert finisher.wanted is None
        # Tall enough that it cannot be finished before it is given up; whichever comes first, nobody gets it.
        finisher.begin(Wanted(b"somebody", STATE, 3), blend(100, 20_000), lossless=True)
        finisher.give_up()
        assert soon(finisher.wake, lambda: ((over := finisher.take())[0] and over) or None) == (True, None)
    finally:
        finisher.stop()


def test_a_png_is_the_same_in_strips_and_ends_between_them() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (333, 57, 3)).astype(np.uint8)
    with closing(Image.open(BytesIO(png(pixels)))) as read:
        assert np.array_equal(np.asarray(read), pixels)
    asked = iter([False, False, True])
    with pytest.raises(GivenUp):
        png(pixels, over=lambda: next(asked))
    assert next(asked, None) is None


def test_both_threads_end_whether_they_were_started_or_not(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    before = threading.active_count()
    for started in (False, True):
        post, finisher = Post(context, "tcp://127.0.0.1:0", None), Finisher()
        if started:
            post.start()
            finisher.start()
        finisher.stop()
        post.stop()
    assert threading.active_count() == before
