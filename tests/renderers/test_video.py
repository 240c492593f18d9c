"""H.264 as a viewer's decoder sees it, through the encoder alone and through the post."""

from __future__ import annotations

from io import BytesIO

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from renderers.chains import Leg, Way
from renderers.post import Copy, Left, Post, Unable
from renderers.video import BURST_S, RATE, Encoder, NoEncoder, even
from streamer.wire.view import DEGRADED, FRAME_HEADER, H264, JPEG, KEY, Frame, decode_frame
from tests.control.parts import eventually
from tests.renderers import test_post
from tests.renderers.test_post import Came, received, soon

came, context, post = test_post.came, test_post.context, test_post.post  # its fixtures

SIZE = (361, 641)


def scene(turn: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Smooth colours and a sharp edge, which move."""
    y, x = np.indices(size)
    red = 127 + 100 * np.sin((x + 3 * turn) / 60) * np.cos(y / 50)
    green = 40 + 150 * (((x - 5 * turn) // 80 + y // 80) % 2)
    return np.stack([red, green, 255 * x / size[1]], axis=-1).astype(np.uint8)


class Decoder:
    """A viewer's decoder."""

    def __init__(self) -> None:
        context = av.CodecContext.create("h264", "r")
        assert isinstance(context, av.VideoCodecContext)
        context.thread_count = 1
        self._context = context

    def decode(self, picture: bytes) -> NDArray[np.uint8]:
        (frame,) = self._context.decode(av.Packet(picture))
        return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def test_each_picture_comes_out_at_once_and_is_what_went_in() -> None:
    encoder, decoder = Encoder(641, 361, 16_000), Decoder()
    for turn in range(12):
        coded = encoder.encode(scene(turn), key=turn == 0)
        got = decoder.decode(coded)
        assert got.shape == (362, 642, 3), "colour is coded for two by two pixels"
        assert apart(got[:361, :641], scene(turn)) < 6, turn
        assert apart(got[:361, :641], scene(turn + 6)) > 12


def test_a_key_picture_carries_all_that_a_decoder_needs_and_others_are_small() -> None:
    encoder = Encoder(641, 361, 16_000)
    coded = [encoder.encode(scene(turn), key=turn in (0, 5)) for turn in range(8)]
    for turn, picture in enumerate(coded):
        kinds = {picture[at + 4] & 31 for at in range(len(picture) - 4) if picture[at : at + 4] == b"\0\0\0\1"}
        assert ({7, 8} <= kinds) == (turn in (0, 5)), kinds
    assert Decoder().decode(coded[5]).shape == (362, 642, 3)
    with pytest.raises((av.FFmpegError, ValueError)):
        Decoder().decode(coded[6])


def test_the_link_bounds_the_pictures() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (360, 640, 3)).astype(np.uint8)
    encoder = Encoder(640, 360, 1000)
    encoder.encode(noise * 0, key=True)
    sizes = [len(encoder.encode(np.roll(noise, 40 * turn, 1), key=False)) for turn in range(2 * RATE)]
    free = len(Encoder(640, 360, 16_000).encode(noise, key=True))
    assert sum(sizes[RATE:]) * 8 < 1.5e6
    assert max(sizes) * 8 < 3 * BURST_S * 1e6
    assert free > 2 * max(sizes), "the picture would have more if it could"


def test_sizes_are_made_even_by_doubling_the_edge() -> None:
    picture = scene(0)
    assert even(picture[:360, :640]) is not None
    grown = even(picture)
    assert grown.shape == (362, 642, 3)
    assert np.array_equal(grown[:361, :641], picture)
    assert np.array_equal(grown[361, :641], picture[360])


def test_what_cannot_be_encoded_is_said() -> None:
    with pytest.raises(NoEncoder, match="0x0"):
        Encoder(0, 0, 1000)


def head(frame: int, flags: int = 0) -> Frame:
    return Frame(JPEG, flags, frame, 7, 0, 3, 641, 361, 1.5, 0.0)


def test_the_post_encodes_a_chain_once_and_gives_its_encoder_up(came: Came, post: Post) -> None:
    (first, one), (second, two), (third, three) = came(), came(), came()
    way, decoder = Way(641, 361, False, 8000), Decoder()
    for turn in range(3):
        page = soon(post.wake, lambda: post.page(*SIZE))
        page[:] = scene(turn)
        leg = Leg(4, turn == 0, way)
        copies = [Copy(one, head(turn + 1), 75, False, leg), Copy(two, head(turn + 8, DEGRADED), 75, False, leg)]
        post.print(page, [*copies, Copy(three, head(turn + 1), 75, False)], {4})
        mine, theirs, still = received(first), received(second), received(third)
        assert mine[FRAME_HEADER:] == theirs[FRAME_HEADER:]
        assert [decode_frame(raw).codec for raw in (mine, theirs, still)] == [H264, H264, JPEG]
        key = KEY if turn == 0 else 0
        assert [decode_frame(raw).flags for raw in (mine, theirs, still)] == [key, key | DEGRADED, KEY]
        assert apart(decoder.decode(mine[FRAME_HEADER:])[:361, :641], scene(turn)) < 6
        assert Image.open(BytesIO(still[FRAME_HEADER:])).size == (641, 361)
        eventually(lambda: len(post._in) == 3)  # which is no news, so that no bell rings
        events = [post.take() for _ in range(3)]
        assert [(e.peer, e.frame, e.nbytes) for e in events if isinstance(e, Left)] == [
            (one, turn + 1, len(mine)), (two, turn + 8, len(theirs)), (three, turn + 1, len(still))
        ]  # fmt: skip
    assert len(post._encoders) == 1
    post.chains(frozenset())
    # A picture of a chain that is over is a JPEG: whoever gets it can see it, whatever he has had.
    page = soon(post.wake, lambda: post.page(*SIZE))
    post.print(page, [Copy(one, head(9), 75, False, Leg(4, False, way))], set())
    assert (decode_frame(received(first)).codec, len(post._encoders)) == (JPEG, 0)


def test_a_picture_that_no_encoder_takes_goes_as_jpeg_and_it_is_said(came: Came, post: Post) -> None:
    viewer, peer = came()
    page = soon(post.wake, lambda: post.page(48, 64))
    page[:] = 99
    post.print(page, [Copy(peer, head(1), 75, False, Leg(1, True, Way(64, 48, False, -5)))], {1})
    assert decode_frame(received(viewer)).codec == JPEG
    event = soon(post.wake, post.take)
    assert isinstance(event, Unable)
    assert "64x48" in event.why
