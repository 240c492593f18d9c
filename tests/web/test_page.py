"""The page in a real Chromium, against a small server that speaks the contract (tests/web/server.py)."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from streamer.wire.colour import object_colour
from tests.web.server import BITS, BLOCK, Fake, object_row, serving

pytestmark = pytest.mark.browser

SHOWN = f"""() => {{
  const canvas = document.getElementById("picture");
  if (!canvas.dataset.frame) return null;
  const strip = Object.assign(document.createElement("canvas"), {{width: {BITS * BLOCK}, height: 1}});
  const pen = strip.getContext("2d", {{willReadFrequently: true}});
  pen.drawImage(canvas, 0, canvas.height - {BLOCK // 2}, {BITS * BLOCK}, 1, 0, 0, {BITS * BLOCK}, 1);
  const row = pen.getImageData(0, 0, {BITS * BLOCK}, 1).data;
  let n = 0;
  for (let i = 0; i < {BITS}; i += 1) n = 2 * n + (row[4 * (i * {BLOCK} + {BLOCK // 2})] > 127 ? 1 : 0);
  return n;
}}"""


def shown(page: Page) -> int:
    """The number of the input that the picture on the canvas answers, read from its pixels."""
    return int(page.evaluate(SHOWN) or 0)


def until_shown(page: Page, at_least: int) -> None:
    page.wait_for_function(f"() => ({SHOWN})() >= {at_least}")


def open_run(page: Page, address: str, fake: Fake) -> None:
    page.goto(f"{address}/view/{fake.run_id}")
    until_shown(page, 1)


def middle(page: Page) -> tuple[float, float]:
    box = page.locator("#picture").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, dx: float, dy: float, button: Any = "left") -> None:
    x, y = middle(page)
    page.mouse.move(x, y)
    page.mouse.down(button=button)
    page.mouse.move(x + dx, y + dy, steps=12)
    page.mouse.up(button=button)


def test_a_frame_is_on_the_canvas_in_its_real_pixels(
    page: Page, address: str, fake: Fake, complaints: list[str]
) -> None:
    open_run(page, address, fake)
    box = page.locator("#picture").bounding_box()
    assert box is not None
    size = page.evaluate("() => { const c = document.getElementById('picture'); return [c.width, c.height]; }")
    assert size == [round(box["width"]), round(box["height"])]
    expect(page.locator("#connection")).to_have_text("Live")
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
    page.get_by_role("button", name="Map").click()
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
        expect(page.locator("#connection")).to_have_text("Live")
        expect(page.locator("#trouble")).to_be_hidden()
        until_shown(page, fake.inputs[0].sequence)
        assert fake.inputs[0].camera == camera
        page.goto("about:blank")


def test_progress_objects_and_chunks_are_on_the_page(
    page: Page, address: str, fake: Fake, complaints: list[str]
) -> None:
    fake.objects = [object_row(i) for i in range(250)]
    fake.progress(24, 2, 1)
    open_run(page, address, fake)
    expect(page.locator("#objects-count")).to_have_text("250")
    expect(page.locator("#chunks-count")).to_have_text("24 / 64")
    expect(page.locator("#title")).to_contain_text("simulation")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "37")
    expect(page.locator("#chunks-strip")).to_have_attribute(
        "aria-label", "24 of 64 chunks done, 2 being computed, 1 failed"
    )
    expect(page.locator("#objects-table tbody tr")).to_have_count(200)
    expect(page.locator("#objects-caption")).to_have_text("The largest 200 of 250")
    expect(page.locator("#remarks")).to_contain_text("out of memory")
    fake.objects.append(object_row(250))
    fake.progress(64, 0, state="complete")
    expect(page.locator("#badge")).to_have_text("Complete")
    expect(page.locator("#objects-count")).to_have_text("251")
    expect(page.locator("#objects-caption")).to_have_text("The largest 200 of 251")
    expect(page.locator("#cancel")).to_be_hidden()
    assert complaints == []


def test_the_table_is_asked_for_once_a_second_at_most_and_the_last_time_at_the_end(
    page: Page, address: str, fake: Fake
) -> None:
    open_run(page, address, fake)
    for committed in range(1, 64):
        fake.objects.append(object_row(committed))
        fake.progress(committed, 1)
        page.wait_for_function(f"() => document.getElementById('chunks-count').textContent.startsWith('{committed} ')")
    fake.progress(64, 0, state="complete")
    expect(page.locator("#objects-caption")).to_have_text("All 63")
    asked = [at for what, at in fake.asked if what == "objects"]
    assert all(b - a > 0.9 for a, b in zip(asked, asked[1:], strict=False)), asked


@pytest.mark.parametrize(
    ("column", "key", "falling"), [("Max", "max", True), ("Object", "id", False), ("Life", "lifetime_h", True)]
)
def test_the_table_sorts_by_its_columns(
    page: Page, address: str, fake: Fake, column: str, key: str, falling: bool
) -> None:
    fake.objects = [object_row(i, final=i % 3 > 0) for i in range(30)]
    fake.progress(30, 2)
    open_run(page, address, fake)

    def ids() -> list[int]:
        return [int(row.get_attribute("data-id") or 0) for row in page.locator("#objects-table tbody tr").all()]

    def expected(by: str, descending: bool) -> list[int]:
        rows = sorted(fake.objects, key=lambda row: row["id"])  # type: ignore[arg-type, return-value]
        rows.sort(key=lambda row: row[by], reverse=descending)  # type: ignore[arg-type, return-value]
        return [row["id"] for row in rows]  # type: ignore[misc]

    expect(page.locator("#objects-table tbody tr")).to_have_count(30)
    assert ids() == expected("voxels", True)
    head = page.get_by_role("columnheader", name=column)
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending" if falling else "ascending")
    assert ids() == expected(key, falling)
    head.get_by_role("button").click()
    assert ids() == expected(key, not falling)
    swatch = page.locator("#objects-table tbody tr .swatch").first
    red, green, blue = object_colour(ids()[0])
    assert swatch.evaluate("mark => getComputedStyle(mark).borderTopColor") == f"rgb({red}, {green}, {blue})"


def test_cancelling_asks_first(page: Page, address: str, fake: Fake) -> None:
    fake.progress(20, 2)
    open_run(page, address, fake)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep it running").click()
    expect(page.locator("#ask-cancel")).to_be_hidden()
    assert not fake.cancelled
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator("#badge")).to_have_text("Cancelled")
    assert fake.cancelled


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


def test_before_the_first_picture_the_page_says_what_it_waits_for(page: Page, address: str, fake: Fake) -> None:
    fake.window = 0
    page.goto(f"{address}/view/{fake.run_id}")
    expect(page.locator("#waiting-heading")).to_have_text("The first picture is on its way")
    expect(page.locator("#waiting")).to_be_visible()


def test_an_unknown_run_is_said_to_be_unknown(page: Page, address: str) -> None:
    page.goto(f"{address}/view/nonsense")
    expect(page.locator("#title")).to_have_text("No such run")
    expect(page.locator("#connection")).to_have_text("Ended")
    expect(page.locator("#sentence")).to_contain_text("there is no run nonsense")


def test_a_picture_that_is_none_is_said_and_the_next_one_shown(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    good, fake.draw = fake.draw, lambda state: b"no picture at all"
    page.locator("#picture").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#trouble")).to_contain_text("could not be decoded")
    fake.draw = good
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#trouble")).to_be_hidden()


@pytest.mark.parametrize("prefix", ["", "/user/ada/proxy/8000"])
def test_the_list_of_runs_leads_to_the_view_also_behind_a_prefix(
    page: Page, fake: Fake, prefix: str, complaints: list[str]
) -> None:
    fake.progress(12, 2)
    with serving(fake, prefix=prefix) as address:
        page.goto(f"{address}/")
        page.get_by_role("link", name="Atmospheric water vapour").click()
        until_shown(page, 1)
        assert page.url == f"{address}/view/{fake.run_id}"
        expect(page.locator("#chunks-count")).to_have_text("12 / 64")
        page.get_by_title("All runs").click()
        expect(page.get_by_role("heading", name="CaveCast")).to_be_visible()
        assert complaints == []
        page.goto("about:blank")


def test_on_a_phone_nothing_is_cut_off_and_the_picture_stays_in_sight(page: Page, address: str, fake: Fake) -> None:
    fake.objects = [object_row(i) for i in range(40)]
    page.set_viewport_size({"width": 390, "height": 844})
    fake.progress(24, 2)
    open_run(page, address, fake)
    expect(page.locator("#objects-table tbody tr")).to_have_count(40)
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    picture, panel = page.locator("#stage").bounding_box(), page.locator("#panel").bounding_box()
    assert picture is not None
    assert panel is not None
    assert picture["height"] > 300
    assert panel["y"] == pytest.approx(picture["y"] + picture["height"], abs=1)
    expect(page.locator("#title")).to_be_in_viewport()
    page.get_by_role("button", name="Panel").click()
    page.wait_for_function("() => document.getElementById('stage').clientHeight === 844")
    fake.wait(lambda: fake.inputs[-1].height == 844, "a picture of the new size")


def test_hiding_the_panel_gives_the_picture_the_window(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    narrow = fake.inputs[-1].width
    page.get_by_role("button", name="Panel").click()
    fake.wait(lambda: fake.inputs[-1].width == 1280, "the wider picture")
    assert narrow < 1280
    page.locator("#picture").focus()
    page.keyboard.press("Tab")
    focused = {page.evaluate("() => document.activeElement.id")}
    for _ in range(12):
        page.keyboard.press("Tab")
        focused.add(page.evaluate("() => document.activeElement.closest('#panel') ? 'panel' : ''"))
    assert "panel" not in focused, "what is hidden cannot be reached by keyboard"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_has_the_contrast_that_wcag_asks_for(page: Page, address: str, fake: Fake, scheme: Any) -> None:
    fake.objects = [object_row(i) for i in range(8)]
    fake.progress(24, 2, 1)
    page.emulate_media(color_scheme=scheme)
    open_run(page, address, fake)
    expect(page.locator("#objects-table tbody tr")).to_have_count(8)
    for state in ("running", "failed", "complete"):
        page.evaluate("state => { document.body.dataset.state = state; }", state)
        poor = json.loads(page.evaluate(CONTRAST))
        assert poor == [], f"{state}: {poor}"


CONTRAST = """() => {
  const pen = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d", {willReadFrequently: true});
  const over = (colours) => {
    pen.fillStyle = "#000"; pen.fillRect(0, 0, 1, 1);
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((n) => n / 255).map((n) => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor = [];
  for (const element of document.querySelectorAll("#viewer *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility({visibilityProperty: true}) || element.closest(".unseen, dialog, #waiting")) continue;
    const behind = [];
    for (let e = element; e; e = e.parentElement) behind.unshift(getComputedStyle(e).backgroundColor);
    const a = light(over(behind)), b = light(over([...behind, getComputedStyle(element).color]));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([element.id || element.className || element.tagName, element.textContent.slice(0, 20), ratio]);
  }
  return JSON.stringify(poor);
}"""


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
