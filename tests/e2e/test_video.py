"""H.264 in a real Chromium: on a thin link and on request, after a loss, after a reconnect, and where it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, expect

from streamer.wire.view import (
    ALWAYS,
    FRAME_HEADER,
    H264,
    KEY,
    NEVER,
    NOTE,
    STILL,
    THIN,
    Acknowledged,
    Camera,
    Frame,
    Input,
    Video,
    decode_frame,
    decode_up,
    encode_ack,
    encode_input,
    encode_video,
)
from tests.e2e.test_viewers import DRIVE, PATIENCE_S, Plane, apart, at_rest, dial, looks, seen, soon
from tests.e2e.thin_link import thin_link

pytestmark = pytest.mark.browser
CAUGHT_UP = "(({ input, asked }) => input === asked)(document.querySelector('#picture').dataset)"
VIDEO = "document.querySelector('#picture').dataset.video === 'true'"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """With all detail also while the camera moves, so that nothing but the codec tells pictures apart."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CAVECAST_FULL_DETAIL", "1")
        made = Plane(tmp_path_factory.mktemp("plane"))
    yield made
    made.kill()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(viewport={"width": 1025, "height": 641})  # odd sizes are the harder ones
    made.set_default_timeout(1000 * PATIENCE_S)
    yield made
    made.close()


class Tap:
    """Stands in a page's line: sees all that passes, and may change or hold back what comes down."""

    def __init__(self, page: Page, plane: Plane) -> None:
        self.down: list[Frame] = []
        self.wishes: list[int] = []
        self.change: Callable[[bytes], bytes | None] = lambda raw: raw
        self._line: WebSocketRoute | None = None
        page.route_web_socket(f"{plane.view}**", self._connect)

    def _connect(self, line: WebSocketRoute) -> None:
        self.down.append(Frame(0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0))  # a connection begins
        self._line, server = line, line.connect_to_server()

        def down(message: str | bytes) -> None:
            assert isinstance(message, bytes)
            passed = self.change(message)
            if passed is not None:
                self.down.append(decode_frame(passed))
                line.send(passed)

        def up(message: str | bytes) -> None:
            assert isinstance(message, bytes)
            said = decode_up(message)
            if isinstance(said, Video):
                self.wishes.append(said.wish)
            server.send(message)

        server.on_message(down)
        line.on_message(up)

    def cut(self) -> None:
        """The line is lost."""
        assert self._line is not None
        self._line.close(code=4503, reason="cut")

    @property
    def videos(self) -> list[Frame]:
        """The H.264 pictures of the last connection."""
        begun = max(i for i, frame in enumerate(self.down) if frame.codec == 0)
        return [frame for frame in self.down[begun:] if frame.codec == H264]


def take_hold(page: Page) -> None:
    page.mouse.move(300, 300)
    page.mouse.down()


def caught_up(page: Page) -> NDArray[np.int16]:
    """What is seen when the picture shows the last input."""
    page.mouse.move(390, 320)  # so that what began is a drag, and letting go is no click
    soon(
        page,
        lambda: page.evaluate(CAUGHT_UP),
        "the last input is shown",
    )
    return seen(page)


def test_a_page_that_asks_for_h264_moves_in_it_and_sees_what_the_still_shows(
    context: BrowserContext, plane: Plane
) -> None:
    page = context.new_page()
    tap = Tap(page, plane)
    page.goto(f"{plane.page}?codec=h264")
    expect(page.locator("#connection")).to_have_attribute("data-kind", "live")
    soon(page, lambda: bool(tap.videos) or page.evaluate(VIDEO), "the first pictures")
    before = at_rest(page)
    take_hold(page)
    page.evaluate(DRIVE, 40)
    moving = caught_up(page)
    assert page.evaluate(VIDEO)
    page.mouse.up()
    still = at_rest(page)
    assert page.locator("#picture").get_attribute("data-still") == "true"
    assert apart(before, still) > 4, "the picture has turned"
    # How finely depends on how quickly pictures go, which a busy machine slows down too.
    assert apart(moving, still) < min(8.0, apart(before, still)), "while it moves it is the same picture, less finely"
    assert tap.wishes[0] == ALWAYS
    assert len(tap.videos) > 5
    assert [bool(frame.flags & KEY) for frame in tap.videos].count(True) <= 3, "few pictures decode by themselves"
    assert tap.videos[0].flags & KEY
    assert all(not frame.flags & STILL for frame in tap.videos)


def test_on_a_thin_link_pictures_become_h264_by_themselves_and_on_a_quick_one_they_do_not(
    context: BrowserContext, plane: Plane
) -> None:
    quick = looks(context, plane.page)
    take_hold(quick)
    quick.evaluate(DRIVE, 60)
    quick.mouse.up()
    assert not quick.evaluate(VIDEO)
    quick.close()
    with thin_link(plane.port) as port:
        page = looks(context, f"http://127.0.0.1:{port}/view/{plane.run}")
        take_hold(page)
        soon(page, lambda: page.evaluate(DRIVE, 30) is not None and page.evaluate(VIDEO), "pictures in H.264")
        page.evaluate(DRIVE, 60)
        expect(page.locator("#truth")).to_contain_text("H.264")
        moving = caught_up(page)
        page.mouse.up()
        assert apart(moving, at_rest(page)) < 8
        expect(page.locator("#trouble")).to_be_hidden()
        page.close()


def test_a_loss_and_a_reconnect_are_followed_by_a_picture_that_decodes_by_itself(
    context: BrowserContext, plane: Plane
) -> None:
    page = context.new_page()
    tap = Tap(page, plane)
    page.goto(f"{plane.page}?codec=h264")
    expect(page.locator("#connection")).to_have_attribute("data-kind", "live")
    take_hold(page)
    soon(page, lambda: page.evaluate(DRIVE, 10) is not None and len(tap.videos) > 5, "pictures in H.264")
    lost: list[int] = []

    def lose(raw: bytes) -> bytes | None:
        if lost or decode_frame(raw).codec != H264:
            return raw
        lost.append(decode_frame(raw).frame)
        return None

    keys = sum(bool(frame.flags & KEY) for frame in tap.videos)
    asked = len(tap.wishes)
    tap.change = lose
    soon(
        page,
        lambda: (
            page.evaluate(DRIVE, 10) is not None
            and sum(bool(frame.flags & KEY) for frame in tap.videos) > keys
            and len(tap.wishes) > asked
        ),
        "one is asked for, and comes",
    )
    assert lost
    caught_up(page)
    shown = int(page.locator("#picture").get_attribute("data-frame") or 0)
    assert shown > lost[0]
    expect(page.locator("#trouble")).to_be_hidden()

    tap.cut()
    expect(page.locator("#connection")).to_have_attribute("data-kind", "waiting")
    expect(page.locator("#connection")).to_have_attribute("data-kind", "live")
    soon(page, lambda: page.evaluate(DRIVE, 10) is not None and len(tap.videos) > 3, "pictures in H.264 again")
    assert tap.videos[0].flags & KEY
    moving = caught_up(page)
    page.mouse.up()
    assert apart(moving, at_rest(page)) < 3


def test_what_no_decoder_can_make_anything_of_is_given_up_with_a_sentence(
    context: BrowserContext, plane: Plane
) -> None:
    page = context.new_page()
    tap = Tap(page, plane)

    def spoil(raw: bytes) -> bytes:
        if decode_frame(raw).codec != H264:
            return raw
        return raw[: FRAME_HEADER + 40] + bytes(len(raw) - FRAME_HEADER - 40)

    tap.change = spoil
    page.goto(f"{plane.page}?codec=h264")
    expect(page.locator("#connection")).to_have_attribute("data-kind", "live")
    take_hold(page)
    soon(page, lambda: page.evaluate(DRIVE, 10) is not None and NEVER in tap.wishes, "it is given up")
    expect(page.locator("#complaints")).to_contain_text("could not decode H.264")
    expect(page.locator("#complaints")).to_contain_text("so pictures come as JPEG")
    page.evaluate(DRIVE, 10)
    caught_up(page)
    assert not page.evaluate(VIDEO)
    page.mouse.up()


def test_a_browser_without_a_decoder_gets_jpeg_and_says_so_only_if_it_was_asked_for_more(
    context: BrowserContext, plane: Plane
) -> None:
    context.add_init_script("delete window.VideoDecoder")
    for query, words in (("", ""), ("?codec=h264", "does not decode H.264")):
        page = context.new_page()
        tap = Tap(page, plane)
        page.goto(f"{plane.page}{query}")
        expect(page.locator("#connection")).to_have_attribute("data-kind", "live")
        take_hold(page)
        page.evaluate(DRIVE, 10)
        caught_up(page)
        page.mouse.up()
        expect(page.locator("#complaints")).to_contain_text(words)
        assert not tap.videos
        assert not tap.wishes
        page.close()


def test_who_asks_on_the_line_itself_gets_a_chain_and_another_one_with_each_size(plane: Plane) -> None:
    here = Camera(0.0, 0.5, 4.0, (0.0, 0.0, 0.0))
    with dial(plane) as line:
        line.send(encode_video(Video(THIN)))
        line.send(encode_video(Video(ALWAYS)))
        keys = []
        for sequence, width in enumerate((320, 320, 322, 322, 322), 1):
            camera = here._replace(azimuth=0.1 * sequence)
            line.send(encode_input(Input(sequence, width, 180, True, camera)))
            while True:
                raw = line.recv(timeout=PATIENCE_S)
                assert isinstance(raw, bytes)
                frame = decode_frame(raw)
                if frame.codec != NOTE:
                    line.send(encode_ack(Acknowledged(frame.frame, 1.0)))
                if frame.codec != NOTE and frame.input == sequence:
                    break
            assert frame.codec == H264
            keys.append((frame.width, bool(frame.flags & KEY)))
        assert keys == [(320, True), (320, False), (322, True), (322, False), (322, False)]
