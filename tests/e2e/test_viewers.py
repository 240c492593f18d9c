"""Several real browsers look at one run, lines break and are forged, and the server is killed while somebody looks."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, BrowserContext, Page, expect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from streamer.control.access.people import LOCAL
from streamer.control.view_seats import Seat, Seats
from streamer.wire.view import FRAME_HEADER, NOTE, Camera, Input, decode_frame, encode_input
from tests.e2e.test_browser import until
from tests.e2e.thin_link import thin_link
from tests.e2e.whole import COMMAND, descendants, until_heard
from tests.ending import end, line_within, tied

pytestmark = pytest.mark.browser

PATIENCE_S = 60.0
PICTURES = Path(__file__).resolve().parents[2] / "benchmarks" / "pictures.html"
SAMPLE = """() => {
  const canvas = document.querySelector('#picture'), small = document.createElement('canvas');
  small.width = 96; small.height = 54;
  const paint = small.getContext('2d');
  paint.drawImage(canvas, 0, 0, 96, 54);
  return Array.from(paint.getImageData(0, 0, 96, 54).data);
}"""
DRIVE = """(moves) => new Promise((done, fail) => {
  // One move on every second frame of the page, as thirty a second from a hand; the button is down already.
  const canvas = document.querySelector('#picture'), box = canvas.getBoundingClientRect();
  const begun = performance.now(), first = Number(canvas.dataset.frame);
  let n = 0;
  // Frames may stop coming; a timer does not.
  setTimeout(() => fail(new Error(`the page draws no more: ${n} of ${2 * moves} frames`)), 60000);
  const step = () => {
    if (n % 2 === 0) canvas.dispatchEvent(new PointerEvent('pointermove', {
      pointerId: 1, pointerType: 'mouse', buttons: 1, bubbles: true,
      clientX: box.left + 300 + 2 * (n % 200), clientY: box.top + 300 + n % 7}));
    n += 1;
    if (n < 2 * moves) requestAnimationFrame(step);
    else done(1000 * (Number(canvas.dataset.frame) - first) / (performance.now() - begun));
  };
  step();
})"""
"""Pictures a second while the picture is dragged."""


class Plane:
    """A control plane with a finished run, at a port that it has again after it was killed."""

    def __init__(self, folder: Path, **more: str) -> None:
        """``more``: of the environment."""
        self.folder, self.environment = folder, {**os.environ, **more}
        with socket.create_server(("127.0.0.1", 0)) as door:
            self.port = int(door.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()
        try:
            wanted = {"input": "sample:rivers"}
            made = httpx.post(f"{self.url}/api/v1/runs", json=wanted, timeout=60).raise_for_status().json()
            self.run = str(made["run_id"])
            until_heard(f"{self.url}/api/v1/runs/{self.run}", '"state":"complete"')
        except BaseException:
            self.kill()
            raise
        self.page = f"{self.url}/view/{self.run}"
        self.view = f"ws://127.0.0.1:{self.port}/api/v1/runs/{self.run}/view"

    def start(self) -> None:
        self.process = subprocess.Popen(
            tied(COMMAND, "serve", "--port", self.port, "--dir", self.folder),
            stdout=subprocess.PIPE, text=True, env=self.environment,
        )  # fmt: skip
        try:
            assert json.loads(line_within(self.process.stdout))["url"] == self.url
        except BaseException:
            self.kill()
            raise

    def again(self) -> None:
        """It is killed, with all its parts, and started anew."""
        self.kill()
        self.start()

    def kill(self) -> None:
        for one in descendants(self.process.pid):
            one.kill()
        end(self.process, signal.SIGKILL)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    made = Plane(tmp_path_factory.mktemp("plane"))
    yield made
    made.kill()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(viewport={"width": 1024, "height": 640})
    made.set_default_timeout(1000 * PATIENCE_S)
    yield made
    made.close()


def looks(context: BrowserContext, address: str) -> Page:
    """A page that shows a picture."""
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#connection")).to_have_attribute("data-kind", "live")
    until(page, "document.querySelector('#picture').dataset.frame && document.querySelector('#waiting').hidden")
    return page


def seen(page: Page) -> NDArray[np.int16]:
    return np.array(page.evaluate(SAMPLE), np.int16)


def apart(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    """How much two pictures differ, per channel of a pixel."""
    return float(np.abs(one - other).mean())


FRAME = """() => new Promise((done, fail) => {
  requestAnimationFrame(done);
  setTimeout(() => fail(new Error('the page draws no more')), 60000);
})"""
"""A frame of the page, which never comes where nothing is drawn."""


def soon(page: Page, holds: Any, what: str) -> None:
    """Waits, a frame of the page at a time, until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        page.evaluate(FRAME)


def at_rest(page: Page) -> NDArray[np.int16]:
    """What a page shows when nothing changes any more: no new picture for half a second."""
    page.evaluate(
        """() => new Promise((done, fail) => {
          const canvas = document.querySelector('#picture');
          setTimeout(() => fail(new Error('the picture does not come to rest')), 60000);
          let frame = canvas.dataset.frame, since = performance.now();
          const look = () => {
            if (canvas.dataset.frame !== frame) { frame = canvas.dataset.frame; since = performance.now(); }
            if (performance.now() - since > 1500) done(); else requestAnimationFrame(look);
          };
          look();
        })"""
    )
    return seen(page)


def drag(page: Page, dx: float, dy: float) -> None:
    page.mouse.move(400, 320)
    page.mouse.down()
    page.mouse.move(400 + dx, 320 + dy, steps=8)
    page.mouse.up()


def test_two_browsers_see_one_view_and_who_takes_hold_of_it_leads(context: BrowserContext, plane: Plane) -> None:
    first, second = (looks(context, f"{plane.page}?view=both") for _ in range(2))
    assert apart(at_rest(first), at_rest(second)) < 2
    for leader, other in ((first, second), (second, first)):
        turned(leader, other, 150)
        soon(other, lambda: apart(seen(first), seen(second)) < 2, "both show the same")
        assert apart(at_rest(leader), at_rest(other)) < 2
    private = looks(context, plane.page)
    assert apart(at_rest(private), at_rest(first)) > 4, "a view of one's own is one's own"


def turned(leader: Page, other: Page, dx: float) -> None:
    """A drag on one page turns the picture of another."""
    before = at_rest(other)
    drag(leader, dx, 40)
    soon(other, lambda: apart(seen(other), before) > 4, "the picture turns")


def test_a_browser_behind_a_thin_link_does_not_slow_another_one_of_the_same_view(
    chromium: Browser, context: BrowserContext, plane: Plane
) -> None:
    # In a window of its own: pages behind others are not drawn.
    far = chromium.new_context(viewport={"width": 1024, "height": 640})
    quick = looks(context, f"{plane.page}?view=thin")
    quick.mouse.move(300, 300)
    quick.mouse.down()
    quick.evaluate(DRIVE, 20)
    shares: list[float] = []
    with thin_link(plane.port) as port:
        address = f"http://127.0.0.1:{port}/view/{plane.run}?view=thin"
        # In pairs, so that whatever else this machine does meets both.  Any second browser that shows pictures takes
        # its share of the machine, so the other one of a pair shows as many of its own, from nowhere.
        while len(shares) < 3 or (median(shares) < 0.9 and len(shares) < 9):
            slow = looks(far, address)
            quick.evaluate(DRIVE, 60)  # by then it is known what the link carries
            frames, begun = shown(slow), time.monotonic()
            beside = float(quick.evaluate(DRIVE, 60))
            rate = (shown(slow) - frames) / (time.monotonic() - begun)
            slow.close()
            assert rate > 1, "it sees the drag too"
            other = far.new_page()
            other.goto(f"{PICTURES.as_uri()}?rate={rate:.1f}")
            until(other, "Number(document.title) > 2")
            shares.append(beside / float(quick.evaluate(DRIVE, 60)))
            other.close()
    quick.mouse.up()
    far.close()
    assert median(shares) >= 0.9, shares


def shown(page: Page) -> int:
    return int(page.locator("#picture").get_attribute("data-frame") or 0)


def dial(plane: Plane, *protocols: str, origin: str | None = None) -> ClientConnection:
    return connect(
        plane.view,
        origin=None if origin is None else Origin(origin),
        subprotocols=[Subprotocol(one) for one in protocols] or None,
        compression=None,
        max_size=None,
        proxy=None,
    )


def goodbye(line: ClientConnection) -> tuple[int, str]:
    """With which code and sentence the server closes a line."""
    try:
        while True:
            line.recv(timeout=PATIENCE_S)
    except ConnectionClosed:
        pass
    assert line.close_code is not None
    return line.close_code, line.close_reason or ""


def test_garbage_closes_that_connection_with_a_sentence_and_no_other(context: BrowserContext, plane: Plane) -> None:
    polite = looks(context, plane.page)
    with dial(plane) as rude:
        rude.send(encode_input(Input(1, 320, 180, False, Camera(0.0, 0.5, 4.0, (0.0, 0.0, 0.0)))))
        while decode_frame(raw := rude.recv(timeout=PATIENCE_S)).codec == NOTE:  # type: ignore[arg-type]  # bytes
            assert len(raw) > FRAME_HEADER
        rude.send(b"\x01\x02nonsense")
        code, why = goodbye(rude)
    assert code == 4400
    assert "kind 1 with 10 bytes is unknown" in why
    turned(polite, polite, 120)
    expect(polite.locator("#connection")).to_have_text("Connected")


def test_a_page_of_another_site_is_not_let_in(plane: Plane) -> None:
    with pytest.raises(InvalidStatus) as why:
        dial(plane, origin="http://evil.example").close()
    assert why.value.response.status_code == 403
    with dial(plane, origin=plane.url) as ours:
        assert decode_frame(ours.recv(timeout=PATIENCE_S)).codec == NOTE  # type: ignore[arg-type]  # bytes


def test_a_seats_token_that_is_wrong_or_expired_or_another_runs_is_refused_with_a_sentence(plane: Plane) -> None:
    with dial(plane, "cavecast.view") as line:
        note = line.recv(timeout=PATIENCE_S)
        assert isinstance(note, bytes)
        token = str(json.loads(note[FRAME_HEADER:])["seat"])
    with dial(plane, "cavecast.view", f"seat.{token}") as line:
        assert decode_frame(line.recv(timeout=PATIENCE_S)).codec == NOTE  # type: ignore[arg-type]  # bytes
    seats = Seats(bytes.fromhex((plane.folder / "seats.seal").read_text()))
    soon_over = Seat(plane.run, "", LOCAL.account, bytes(16), time.time() - 1)
    other = soon_over._replace(run="other", until=time.time() + 1000)
    for forged, words in (
        (token[:-4] + "AAAA", "none of this server's"),
        (seats.token(soon_over), "expired"),
        (seats.token(other), "of run other"),
    ):
        with dial(plane, "cavecast.view", f"seat.{forged}") as line:
            code, why = goodbye(line)
        assert code == 4403
        assert words in why


def test_the_page_comes_back_by_itself_with_the_same_view_when_the_server_was_killed(
    context: BrowserContext, plane: Plane
) -> None:
    page = looks(context, plane.page)
    first = at_rest(page)
    drag(page, 140, 60)
    soon(page, lambda: apart(seen(page), first) > 4, "the picture turns")
    before = at_rest(page)
    plane.again()
    until(page, "document.querySelector('#connection').dataset.kind === 'live'")
    # The new renderer's numbers begin again; until its first picture the old one stays, then the run fills up, and when
    # all of it is drawn, it shows what was seen before.
    soon(page, lambda: apart(at_rest(page), before) < 1, "the same picture")
    drag(page, -140, 0)
    soon(page, lambda: apart(seen(page), before) > 4, "the picture turns again")
