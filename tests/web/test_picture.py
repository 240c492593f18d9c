"""The picture in a real Chromium: frames, camera, connection (the server is tests/web/server.py)."""

from __future__ import annotations

import io
import re
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.web.browser import drag, middle, open_run, shown, until_shown
from tests.web.server import Fake, picture, serving

pytestmark = pytest.mark.browser


def test_a_frame_is_on_the_canvas_in_its_real_pixels(
    page: Page, address: str, fake: Fake, complaints: list[str]
) -> None:
    open_run(page, address, fake)
    box = page.locator("#picture").bounding_box()
    assert box is not None
    size = page.evaluate("() => { const c = document.getElementById('picture'); return [c.width, c.height]; }")
    assert size == [round(box["width"]), round(box["height"])]
    expect(page.locator("#connection")).to_have_text("Connected")
    expect(page.locator("#waiting")).to_be_hidden()
    assert complaints == []


def test_a_drag_turns_the_camera_and_its_last_move_is_sent(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    before = fake.inputs[-1].camera
    drag(page, 120, -60)
    fake.wait(lambda: len(fake.inputs) > 2 and not fake.inputs[-1].moving, "the word that the drag is over")
    last = fake.inputs[-1]
    box = page.locator("#picture").bounding_box()
    assert box is not None
    per_pixel = np.pi / min(box["width"], box["height"])
    assert last.camera.azimuth == pytest.approx(before.azimuth - 120 * per_pixel, abs=1e-5)
    assert last.camera.elevation == pytest.approx(before.elevation - 60 * per_pixel, abs=1e-5)
    assert any(state.moving for state in fake.inputs)
    assert [state.sequence for state in fake.inputs] == list(range(1, len(fake.inputs) + 1))
    until_shown(page, last.sequence)
    assert shown(page) == last.sequence


def test_the_right_button_moves_the_wheel_zooms_and_a_double_click_fits(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    home = fake.inputs[-1].camera
    drag(page, 80, 40, "right")
    fake.wait(lambda: any(fake.inputs[-1].camera.target), "a move of the target")
    assert fake.inputs[-1].camera.azimuth == pytest.approx(home.azimuth)
    page.mouse.wheel(0, -300)
    fake.wait(lambda: fake.inputs[-1].camera.distance < home.distance - 0.1, "a zoom")
    fake.wait(lambda: not fake.inputs[-1].moving, "rest after the wheel")
    page.mouse.dblclick(*middle(page))
    fake.wait(lambda: fake.inputs[-1].camera == home and not fake.inputs[-1].moving, "the fit")


def test_keys_and_buttons_move_the_camera(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    home = fake.inputs[-1].camera
    page.locator("#picture").focus()
    page.keyboard.press("ArrowRight")
    fake.wait(lambda: fake.inputs[-1].camera.azimuth < home.azimuth, "a turn by key")
    page.keyboard.press("+")
    fake.wait(lambda: fake.inputs[-1].camera.distance < home.distance, "a zoom by key")
    page.get_by_role("button", name="Top").click()
    fake.wait(lambda: fake.inputs[-1].camera.elevation > 1.57, "the view from above")
    page.get_by_role("button", name="Fit").click()
    fake.wait(lambda: fake.inputs[-1].camera == home, "the fit")


def test_two_fingers_zoom(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    home = fake.inputs[-1].camera
    x, y = middle(page)
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *apart: float) -> None:
        points = [{"x": x + d, "y": y, "id": i} for i, d in enumerate(apart)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", -50)
    fingers("touchStart", -50, 50)
    for d in (60, 80, 100):
        fingers("touchMove", -d, d)
    fake.wait(lambda: fake.inputs[-1].camera.distance < 0.6 * home.distance, "the zoom by two fingers")
    assert fake.inputs[-1].moving
    fingers("touchEnd")
    fake.wait(lambda: not fake.inputs[-1].moving, "rest after the fingers")
    assert fake.inputs[-1].camera.distance == pytest.approx(home.distance / 2, rel=1e-4)
    assert fake.inputs[-1].camera.azimuth == pytest.approx(home.azimuth)


def test_the_newest_frame_wins_and_all_are_acknowledged(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    x, y = middle(page)
    page.mouse.move(x, y)
    page.mouse.down()
    numbers = []
    for i in range(40):
        page.mouse.move(x + 6 * i, y)
        numbers.append(shown(page))
    page.mouse.up()
    fake.wait(lambda: not fake.inputs[-1].moving, "the end of the drag")
    until_shown(page, fake.inputs[-1].sequence)
    assert numbers == sorted(numbers), "an older picture was shown after a newer one"
    assert len(set(numbers)) > 3, "the picture did not move with the pointer"
    assert fake.most_in_flight <= fake.window
    frames = int(page.locator("#picture").get_attribute("data-frame") or 0)
    fake.wait(lambda: len(fake.acks) == frames, "an acknowledgement for each frame")
    assert sorted(fake.acks) == list(range(1, frames + 1))


def test_the_page_comes_back_by_itself_with_the_same_camera(page: Page, fake: Fake, complaints: list[str]) -> None:
    with serving(fake) as address:
        open_run(page, address, fake)
        drag(page, -90, 30)
        fake.wait(lambda: not fake.inputs[-1].moving, "the end of the drag")
        camera = fake.inputs[-1].camera
    expect(page.locator("#connection")).to_contain_text("Reconnecting")
    expect(page.locator("#trouble")).to_contain_text("trying again")
    assert shown(page) > 0, "the last picture stays"
    # What the browser itself says of a server that goes away is no fault of the page's.
    assert [said for said in complaints if "net::ERR_" not in said] == []
    fake.inputs.clear()
    with serving(fake, int(address.rpartition(":")[2])):
        fake.wait(lambda: bool(fake.inputs), "the viewer's return", 15)
        expect(page.locator("#connection")).to_have_text("Connected")
        expect(page.locator("#trouble")).to_be_hidden()
        until_shown(page, fake.inputs[0].sequence)
        assert fake.inputs[0].camera == camera
        assert fake.seats == ["", "seat.token-1"], "it comes with the token of its seat"
        page.goto("about:blank")


def test_a_seat_that_is_not_kept_is_said_and_the_page_comes_without_it(page: Page, fake: Fake) -> None:
    with serving(fake) as address:
        open_run(page, address, fake)
    fake.refused_seat = "the token of the seat has expired: open the view anew"
    fake.inputs.clear()
    with serving(fake, int(address.rpartition(":")[2])):
        fake.wait(lambda: bool(fake.inputs), "the viewer's return", 15)
        expect(page.locator("#connection")).to_have_text("Connected")
        expect(page.locator("#complaints")).to_contain_text("the token of the seat has expired")
        assert fake.seats == ["", "seat.token-1", ""]
        page.goto("about:blank")


WAKE = "() => dispatchEvent(new Event('online'))"


def test_what_is_said_of_a_seat_stands_for_its_time_from_the_last_loss_on(page: Page, address: str, fake: Fake) -> None:
    page.clock.install()
    open_run(page, address, fake)
    fake.refused_seat = "the token of the seat has expired"
    complaint = f"Your place in the view is not kept: {fake.refused_seat}."

    def loses_it(times: int) -> None:
        fake.mute = True
        # What was on its way is a sign of life yet, so it asks again until it hears nothing.
        while page.locator("#connection").text_content() == "Connected" and len(fake.seats) < 2 * times:
            page.evaluate(WAKE)  # whoever wakes up asks at once
            page.clock.run_for(5000)
        fake.mute = False
        # And waits no longer.  If it is back already it does not ask, for here the answer had three seconds of a clock
        # that is about to jump.
        page.evaluate(f"() => document.querySelector('#connection').textContent === 'Connected' || ({WAKE})()")
        fake.wait(lambda: len(fake.seats) == 1 + 2 * times, "the viewer's return without its seat")
        expect(page.locator("#connection")).to_have_text("Connected")
        expect(page.locator("#complaints")).to_contain_text(complaint)
        page.clock.run_for(10_000)
        expect(page.locator("#complaints")).to_contain_text(complaint)

    loses_it(1)
    loses_it(2)
    page.clock.run_for(11_000)
    expect(page.locator("#complaints")).not_to_contain_text(complaint)


def test_a_renderer_that_is_silent_is_asked_and_a_dead_line_is_left(page: Page, address: str, fake: Fake) -> None:
    page.clock.install()
    with page.expect_websocket() as found:
        open_run(page, address, fake)
    with found.value.expect_event("framereceived", lambda _: fake.beats == 1):
        page.clock.run_for(21_000)
    expect(page.locator("#connection")).to_have_text("Connected")
    page.clock.run_for(15_000)
    assert (fake.beats, fake.viewers) == (1, 1), "it was answered"
    fake.mute = True
    page.clock.run_for(10_000)
    fake.wait(lambda: fake.beats == 2, "the page's second question")
    # Ten seconds after the question, of which four have gone, it leaves the line and half a second later it is back.
    # No more is run than that, since an attempt has ten seconds of this clock, in which the network does not run.
    page.clock.run_for(7500)
    fake.mute = False
    fake.wait(lambda: len(fake.seats) == 2, "the viewer's return")
    assert fake.seats == ["", "seat.token-1"]


def test_a_page_that_is_loaded_anew_shows_what_it_showed(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    drag(page, -90, 30)
    fake.wait(lambda: not fake.inputs[-1].moving, "the end of the drag")
    camera = fake.inputs[-1].camera
    fake.inputs.clear()
    page.reload()
    fake.wait(lambda: bool(fake.inputs), "the page's first input")
    assert fake.inputs[0].camera == camera


def test_the_screenshot_is_the_picture(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save the picture").click()
    path = waiting.value.path()
    assert waiting.value.suggested_filename.startswith("cavecast-rivers-01-")
    saved = np.asarray(Image.open(io.BytesIO(Path(path).read_bytes())).convert("RGB"))
    size = page.evaluate("() => { const c = document.getElementById('picture'); return [c.height, c.width]; }")
    assert list(saved.shape[:2]) == size
    assert saved.std() > 5
    # What was on the screen was a JPEG; what is kept is without loss: asked for once, and for this picture only.
    exact = next(state for state in fake.inputs if state.exact)
    assert np.array_equal(saved, np.asarray(Image.open(io.BytesIO(picture(exact))).convert("RGB")))
    page.locator("#picture").focus()
    page.keyboard.press("ArrowLeft")
    fake.wait(lambda: fake.inputs[-1].sequence > exact.sequence and not fake.inputs[-1].exact, "the next picture")


def test_before_the_first_picture_the_page_says_what_it_waits_for(page: Page, address: str, fake: Fake) -> None:
    fake.window = 0
    page.goto(f"{address}/view/{fake.run_id}")
    expect(page.locator("#waiting-heading")).to_have_text("The first picture is on its way")
    expect(page.locator("#waiting")).to_be_visible()


def test_an_unknown_run_is_said_to_be_unknown(page: Page, address: str) -> None:
    page.goto(f"{address}/view/nonsense")
    expect(page.locator("#title")).to_have_text("No such run")
    expect(page.locator("#connection")).to_have_text("Not connected")
    expect(page.locator("#facts")).to_have_text("There is no run nonsense.")
    for useless in ("#objects-scroll", "#downloads", "#tools", "#progress"):
        expect(page.locator(useless)).to_be_hidden()
    page.locator("#waiting").get_by_role("link", name="All runs").click()
    expect(page.locator("#runs")).to_be_visible()


def test_a_picture_that_is_none_is_said_and_the_next_one_shown(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    good, fake.draw = fake.draw, lambda _: b"no picture at all"
    page.locator("#picture").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#trouble")).to_contain_text("could not be decoded")
    fake.draw = good
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#trouble")).to_be_hidden()


def test_a_server_that_is_not_there_is_said_in_words(page: Page, fake: Fake) -> None:
    with serving(fake) as address:
        page.goto(f"{address}/view/{fake.run_id}")
        until_shown(page, 1)
        port = int(address.rpartition(":")[2])
    expect(page.locator("#trouble")).to_contain_text("trying again in")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#connection")).to_contain_text("Reconnecting")
    with socket.socket() as door, pytest.raises(ConnectionRefusedError):
        door.connect(("127.0.0.1", port))


def test_a_note_is_shown_and_never_acknowledged_as_if_it_were_a_picture(page: Page, address: str, fake: Fake) -> None:
    fake.note_text = "The streamer has been silent for 5 s."
    open_run(page, address, fake)
    expect(page.locator("#trouble")).to_contain_text("silent for 5 s")
    fake.wait(lambda: bool(fake.acks), "the first picture's acknowledgement")
    assert fake.acks == [1]
    fake.note_text = ""
    page.locator("#picture").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#trouble")).to_be_hidden()


def test_a_fine_screen_gets_all_its_pixels(chromium: Browser, address: str, fake: Fake) -> None:
    context = chromium.new_context(viewport={"width": 800, "height": 500}, device_scale_factor=2)
    page = context.new_page()
    open_run(page, address, fake)
    width, height = page.evaluate("() => { const c = document.getElementById('picture'); return [c.width, c.height]; }")
    box = page.locator("#picture").bounding_box()
    assert box is not None
    assert [width, height] == [round(2 * box["width"]), round(2 * box["height"])]
    assert fake.inputs[0].width == width, "the very first picture already has the right size"
    context.close()


def test_the_truth_line_tells_rate_latency_and_bytes(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    drag(page, 200, 0)
    expect(page.locator("#truth")).to_contain_text(re.compile(r"frames/s · \d+ ms input → picture · \d+\.\d.MB"))
    expect(page.locator("#truth")).to_contain_text("Picture at rest")
