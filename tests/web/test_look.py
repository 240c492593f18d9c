"""What is seen and how, chosen on the page, in a real Chromium (the server is tests/web/server.py)."""

from __future__ import annotations

import json
import math
import re

import pytest
from playwright.sync_api import Browser, Page, expect

from streamer.wire.colour import object_colour
from streamer.wire.viewing import ObjectLook, View
from tests.web.browser import CONTRAST, middle, open_run, until_shown
from tests.web.server import Fake, object_row

pytestmark = pytest.mark.browser

HALF = [0.8, 0.5, 0.4]
FIELD = {"range": [0.0, 1672.0], "histogram": [100, 50, 20, 5, 0, 1], "colours": ["#030512", "#3f3a8c", "#eafcfd"]}
THERE: dict[str, object] = {
    "id": 41, "voxels": 900, "first": 3, "last": 8, "life": "1959-01-02 to 1959-01-04, 36 h", "voxel": [3, 2, 1],
    "coordinates": [6.0, -30.0, 120.0], "place": ["1959-01-02 06:00", "30°S", "120°E"], "variable": "ivt",
    "value": 312.0, "value_words": "312 ± 1.2 kg m-1 s-1",
}  # fmt: skip


@pytest.fixture
def run(fake: Fake) -> Fake:
    """A run with a field, of which everything has come."""
    fake.more = {"half": HALF, "when": {"step": 239, "words": "1959-01-30 21:00", "newest": 239}, "field": FIELD}
    fake.objects = [object_row(i) for i in range(30)]
    fake.progress(64, 0, state="complete")
    return fake


def look(fake: Fake) -> View:
    return fake.looks[-1].view


def near(points: tuple[tuple[float, float], ...], place: int, there: tuple[float, float]) -> bool:
    """Whether a point of the transfer function is at a place."""
    return len(points) > place and points[place] == pytest.approx(there, abs=0.006)


def choose(page: Page, name: str, value: str) -> None:
    """A radio button, which lies unseen below its words."""
    page.locator(f"label:has(input[name={name}][value={value}])").click()


def test_a_look_is_sent_shown_and_stands_in_the_link_which_restores_it(
    page: Page, address: str, run: Fake, complaints: list[str]
) -> None:
    open_run(page, address, run)
    assert run.looks == [], "nobody has asked for anything unusual"
    choose(page, "mode", "map")
    run.wait(lambda: bool(run.looks) and look(run).mode == "map", "the map")
    until_shown(page, run.looks[-1].sequence)
    page.get_by_role("slider", name="time").fill("100")
    run.wait(lambda: look(run).time == 100, "the step")
    page.locator("#picture").focus()
    page.keyboard.press("z")
    run.wait(lambda: run.inputs[-1].camera.elevation > 1.57 and not run.inputs[-1].moving, "the view from above")
    wanted, camera = look(run), run.inputs[-1].camera
    assert wanted == View("map", time=100.0)
    expect(page).to_have_url(re.compile("#camera=.*&look="))

    run.looks.clear()
    page.reload()
    until_shown(page, 2)
    assert run.looks[0].view == wanted
    assert run.looks[0].sequence == 1, "the look is there before the first picture is asked for"
    assert run.inputs[-1].camera.azimuth == pytest.approx(camera.azimuth, abs=1e-4)
    assert run.inputs[-1].camera.elevation == pytest.approx(camera.elevation, abs=1e-4)
    expect(page.locator("input[name=mode][value=map]")).to_be_checked()
    expect(page.get_by_role("button", name="Live", exact=True)).to_have_count(0)
    page.get_by_role("button", name="All", exact=True).click()
    run.wait(lambda: look(run).time is None, "the newest data")
    assert complaints == []


def test_what_is_under_the_pointer_is_named_and_a_click_marks_it_in_the_table(
    page: Page, address: str, run: Fake, complaints: list[str]
) -> None:
    run.objects[20] |= {"id": 41}
    run.there = THERE
    open_run(page, address, run)
    x, y = middle(page)
    page.mouse.move(x - 40, y)
    page.mouse.move(x, y)
    expect(page.locator("#tip")).to_contain_text("Object 41")
    expect(page.locator("#tip")).to_contain_text("312 ± 1.2 kg m⁻¹ s⁻¹")
    expect(page.locator("#tip")).to_contain_text("30°S · 120°E")
    assert (run.questions[-1].x, run.questions[-1].y) == pytest.approx((0.5, 0.5), abs=2e-3)
    page.mouse.click(x, y)
    run.wait(lambda: bool(run.looks) and look(run).selected == (41,), "the mark")
    row = page.locator("tr[data-id='41']")
    expect(row).to_have_class(re.compile("chosen"))
    expect(row).to_be_in_viewport()
    expect(page.locator("#chosen-name")).to_have_text("Object 41")
    page.get_by_role("button", name="Alone").click()
    run.wait(lambda: look(run).isolate, "the object alone")
    run.there = None
    page.mouse.click(x + 90, y)
    run.wait(lambda: look(run) == View(), "letting go")
    expect(page.locator("#chosen")).to_be_hidden()
    expect(page.locator("#tip")).to_be_hidden()
    assert complaints == []


def test_a_drag_chooses_nothing_and_asks_nothing(page: Page, address: str, run: Fake) -> None:
    open_run(page, address, run)
    x, y = middle(page)
    page.mouse.move(x, y)
    run.wait(lambda: bool(run.questions), "the question of the hover")
    asked = len(run.questions)
    page.mouse.down()
    page.mouse.move(x + 120, y + 30, steps=10)
    page.mouse.up()
    run.wait(lambda: len(run.inputs) > 2 and not run.inputs[-1].moving, "the end of the drag")
    until_shown(page, run.inputs[-1].sequence)
    assert len(run.questions) == asked
    assert run.looks == []


def test_a_row_marks_its_object_by_mouse_and_keys_and_shows_its_life(page: Page, address: str, run: Fake) -> None:
    open_run(page, address, run)
    rows = page.locator("#objects-table tbody tr")
    first, second = (int(rows.nth(i).get_attribute("data-id") or 0) for i in (0, 1))
    rows.nth(0).click()
    run.wait(lambda: bool(run.looks) and look(run).selected == (first,), "the mark")
    expect(page.locator("#life .line").first).to_be_visible()
    expect(page.locator("#life")).to_have_attribute(
        "aria-label", re.compile(r"Area .* 1959-01-06 06:00 to 1959-01-25 .* at most 2\.4")
    )
    page.get_by_label("Life:").select_option("voxels")
    expect(page.locator("#life")).to_have_attribute("aria-label", re.compile(r"Voxels .* at most 64: 1959-01-25 06:00"))
    rows.nth(1).get_by_role("button").focus()
    page.keyboard.press("Shift+Enter")
    run.wait(lambda: look(run).selected == (first, second), "the second mark")
    expect(rows.nth(1).get_by_role("button")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#chosen-others")).to_have_text("and 1 more marked")
    expect(page.locator("#life .line").first).to_be_visible()
    box = page.locator("#life").bounding_box()
    assert box is not None
    page.locator("#life").click(position={"x": box["width"] * 412 / 420, "y": 20})
    run.wait(lambda: look(run).time == 24, "the step that was clicked in the chart")
    page.get_by_role("button", name="Let go").click()
    run.wait(lambda: look(run).selected == (), "letting go")


def test_the_table_is_searched_and_can_be_had(page: Page, address: str, run: Fake) -> None:
    open_run(page, address, run)
    expect(page.locator("#objects-table tbody tr")).to_have_count(30)
    page.get_by_label("Search the objects").fill("max>900")
    some = [row for row in run.objects if float(str(row["max"])) > 900]
    expect(page.locator("#objects-table tbody tr")).to_have_count(len(some))
    expect(page.locator("#objects-caption")).to_have_text(f"{len(some)} found among 30")
    page.get_by_label("Search the objects").fill("")
    expect(page.locator("#objects-caption")).to_have_text("All 30")
    for name, kind in (("CSV", "csv"), ("Parquet", "parquet"), ("GeoJSON", "geojson")):
        link = page.locator("#downloads").get_by_role("link", name=name)
        expect(link).to_have_attribute(
            "href", re.compile(f"/api/v1/runs/{run.run_id}/objects\\?limit=10000&format={kind}$")
        )
    expect(page.locator("#downloads-said")).to_have_text("")
    run.total = 12_345
    page.reload()
    expect(page.locator("#downloads-said")).to_have_text("The largest 10\u202f000 of 12\u202f345:")


def test_time_plays_pauses_and_goes_step_by_step(page: Page, address: str, run: Fake) -> None:
    open_run(page, address, run)
    page.get_by_role("button", name="Appearance").click()
    page.get_by_label("Speed").select_option("20")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Play").click()
    run.wait(lambda: len(run.looks) > 3, "some steps")
    page.get_by_role("button", name="Pause").click()
    times = [one.view.time for one in run.looks]
    assert times[0] == 0
    assert times == sorted(times, key=lambda time: time or 0.0)
    assert all(one.view.window == (0.0, one.view.time) for one in run.looks), "a cube shows what was until then"
    page.locator("#picture").focus()
    now = int(page.locator("#time").input_value())
    page.keyboard.press(".")
    run.wait(lambda: look(run).time == now + 1, "one step on")
    page.keyboard.press(",")
    run.wait(lambda: look(run).time == now, "one step back")
    page.keyboard.press("l")
    run.wait(lambda: look(run) == View(), "live")


def test_layers_colours_the_transfer_function_and_a_section_are_chosen_in_the_drawer(
    page: Page, address: str, run: Fake, complaints: list[str]
) -> None:
    open_run(page, address, run)
    page.get_by_role("button", name="Appearance").click()
    choose(page, "draw", "volume")
    run.wait(lambda: bool(run.looks) and look(run).field.draw == "volume", "the cloud")
    page.get_by_label("Colours").select_option("batlow")
    page.get_by_label("From", exact=True).fill("100")
    page.get_by_label("From", exact=True).press("Enter")
    run.wait(lambda: (look(run).field.colours, look(run).field.low) == ("batlow", 100.0), "colours and range")
    page.get_by_label("Show objects").uncheck()
    run.wait(lambda: not look(run).labels, "no objects")

    curve = page.locator("#transfer")
    box = curve.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.6)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.2, steps=4)
    page.mouse.up()
    width, height = box["width"], box["height"]
    share, opacity = (0.6 * width - 8) / (width - 16), 1 - (0.2 * height - 8) / (height - 26)
    run.wait(lambda: near(look(run).field.opacity_points, 1, (share, opacity)), "the point there")
    opacity = look(run).field.opacity_points[1][1]
    curve.focus()
    page.keyboard.press("ArrowDown")
    run.wait(lambda: look(run).field.opacity_points[1][1] == pytest.approx(opacity - 0.04), "the point by key")
    page.get_by_role("button", name="Reset").click()
    run.wait(lambda: look(run).field.opacity_points == (), "the ramp")

    page.get_by_label("Cut along").select_option("latitude")
    run.wait(lambda: len(look(run).planes) == 1, "the section")
    page.get_by_label("Where").fill("75")
    run.wait(lambda: look(run).planes[0].point == pytest.approx((0.0, 0.25, 0.0)), "the section's place")
    assert look(run).planes[0].normal == (0.0, -1.0, 0.0)
    page.keyboard.press("Escape")
    expect(page.locator("#appearance")).to_be_hidden()
    expect(page.get_by_role("button", name="Appearance")).to_be_focused()
    assert complaints == []


def test_objects_are_all_of_one_colour_in_the_picture_and_on_the_page(
    page: Page, address: str, run: Fake, complaints: list[str]
) -> None:
    run.there = THERE | {"id": run.objects[0]["id"]}
    open_run(page, address, run)
    own = "rgb({}, {}, {})".format(*object_colour(run.objects[0]["id"]))
    swatch = page.locator(f"tr[data-id='{run.objects[0]['id']}'] .swatch")
    line = page.locator("#life .line").first
    expect(swatch).to_have_css("background-color", own)
    x, y = middle(page)
    page.mouse.move(x - 20, y)
    page.mouse.click(x, y)
    run.wait(lambda: bool(run.looks) and bool(look(run).selected), "the mark")
    expect(line).to_have_css("stroke", own)
    page.get_by_role("button", name="Appearance").click()
    group = page.get_by_role("radiogroup", name="All objects are")
    expect(group).to_be_hidden()
    page.get_by_label("Coloured").select_option("all the same")
    run.wait(lambda: look(run).objects == ObjectLook("one"), "one colour")
    expect(page.get_by_role("radio", name="Grey")).to_be_checked()
    page.get_by_role("radio", name="Grey").focus()
    page.keyboard.press("ArrowRight")
    run.wait(lambda: look(run).objects == ObjectLook("one", "#56b4e9"), "the next one by key")
    blue = "rgb(86, 180, 233)"
    for place, what in (
        (swatch, "background-color"),
        (line, "stroke"),
        (page.locator("#tip .swatch"), "background-color"),
    ):
        expect(place).to_have_css(what, blue)
    expect(page).to_have_url(re.compile("look=.*%2356b4e9"))
    page.reload()
    expect(swatch).to_have_css("background-color", blue)
    page.get_by_role("button", name="Appearance").click()
    expect(page.get_by_role("radio", name="Blue")).to_be_checked()
    page.get_by_label("Another colour").fill("#102030")
    run.wait(lambda: look(run).objects == ObjectLook("one", "#102030"), "a colour of one's own")
    expect(group.locator("input:checked")).to_have_count(0)
    page.get_by_label("Coloured").select_option("each for itself")
    run.wait(lambda: look(run).objects == ObjectLook("id", "#102030"), "each its own")
    expect(swatch).to_have_css("background-color", own)
    expect(group).to_be_hidden()
    assert complaints == []


def test_who_does_not_lead_has_the_leaders_colours_on_his_page(page: Page, address: str, run: Fake) -> None:
    led = {"objects": {"colour_by": "one", "colour": "#e69f00"}}
    run.more["view"] = {"you": 2, "lead": 1, "viewers": 2, "look": led}
    open_run(page, address, run)
    swatch = page.locator(f"tr[data-id='{run.objects[0]['id']}'] .swatch")
    expect(swatch).to_have_css("background-color", "rgb(230, 159, 0)")
    run.more["view"] = {"you": 2, "lead": 1, "viewers": 2, "look": {}}
    page.locator("#picture").focus()
    page.keyboard.press("ArrowLeft")
    expect(swatch).to_have_css("background-color", "rgb({}, {}, {})".format(*object_colour(run.objects[0]["id"])))


def test_a_run_without_its_values_says_how_to_have_them(page: Page, address: str, run: Fake) -> None:
    run.more.pop("field")
    open_run(page, address, run)
    page.get_by_role("button", name="Appearance").click()
    expect(page.locator("#field-none")).to_contain_text("--layers field")
    expect(page.locator("#field-some")).to_be_hidden()


def test_what_the_leader_sees_is_taken_over_and_who_may_not_lead_gives_way(page: Page, address: str, run: Fake) -> None:
    led = {"mode": "globe", "time": 12.0, "selected": [41]}
    run.more["view"] = {"you": 2, "lead": 1, "viewers": 2, "look": led}
    open_run(page, address, run)
    expect(page.locator("input[name=mode][value=globe]")).to_be_checked()
    expect(page.locator("#chosen-name")).to_have_text("Object 41")
    assert run.looks == [], "what others see is not sent back to them"
    choose(page, "mode", "map")
    run.wait(lambda: bool(run.looks), "the wish")
    assert run.looks[0].view.mode == "map"
    run.more["settled"] = True
    page.locator("#picture").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("input[name=mode][value=globe]")).to_be_checked()


def test_who_does_not_lead_sees_what_the_leader_sees_and_his_links_say_so(page: Page, address: str, run: Fake) -> None:
    there = {"azimuth": 1.25, "elevation": 0.5, "distance": 4.0, "target": [0.0, 0.0, 0.0]}
    run.more["view"] = {"you": 2, "lead": 1, "viewers": 2, "look": {"mode": "globe"}, "camera": there}
    open_run(page, address, run)
    expect(page.locator("input[name=mode][value=globe]")).to_be_checked()
    page.wait_for_function("() => location.hash.includes('1.25')")
    link = page.evaluate("location.hash")
    page.locator("#picture").focus()
    page.keyboard.press("ArrowLeft")
    choose(page, "mode", "map")
    run.wait(lambda: bool(run.looks) and run.inputs[-1].camera.azimuth != 1.25, "what he wants")
    expect(page.locator("input[name=mode][value=globe]")).to_be_checked()
    page.wait_for_function("link => location.hash === link", arg=link)


def test_playing_ends_when_somebody_else_takes_the_lead(page: Page, address: str, run: Fake) -> None:
    run.more["view"] = {"you": 2, "lead": 2, "viewers": 2}
    open_run(page, address, run)
    page.get_by_role("button", name="Play").click()
    run.wait(lambda: len({one.view.time for one in run.looks}) > 5, "it plays")
    run.handed.clear()
    run.more["view"] = {"you": 2, "lead": 1, "viewers": 2, "look": {"time": 3.0}}
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(page.locator("#time")).to_have_value("3")
    assert run.handed == [], "the lead is left where it is"


def test_a_chunk_of_the_strip_is_looked_at_by_mouse_and_keys(page: Page, address: str, run: Fake) -> None:
    open_run(page, address, run)
    expect(page.locator("#chunks-count")).to_have_text("64 / 64")
    page.wait_for_function("() => document.getElementById('chunks-strip').clientHeight > 10")
    page.locator("#chunks-strip").click(position={"x": 4, "y": 4})
    run.wait(lambda: any(run.inputs[-1].camera.target), "the camera's new target")
    assert run.inputs[-1].camera.target == pytest.approx((-0.75 * 0.8, 0.75 * 0.5, -0.75 * 0.4), abs=1e-5)
    page.locator("#chunks-box").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    run.wait(lambda: run.inputs[-1].camera.target == pytest.approx((-0.2, -0.375, -0.3), abs=1e-5), "the next chunk")


def test_a_chunk_of_the_strip_is_turned_to_on_the_globe_and_its_time_chosen(
    page: Page, address: str, run: Fake
) -> None:
    run.more["bounds"] = {"longitude": [0.0, 360.0], "latitude": [-90.0, 90.0], "time": [0.0, 720.0]}
    open_run(page, address, run)
    expect(page.locator("#chunks-count")).to_have_text("64 / 64")
    page.get_by_role("radio", name="Globe").check(force=True)
    page.wait_for_function("() => document.getElementById('chunks-strip').clientHeight > 10")
    page.locator("#chunks-strip").click(position={"x": 4, "y": 4})
    run.wait(lambda: bool(run.looks) and look(run).time == 30, "the step in the chunk's middle")
    # The uppermost row is the northernmost: 67.5° N, and the first of four or eight along the equator.
    run.wait(lambda: run.inputs[-1].camera.elevation == pytest.approx(math.radians(67.5), abs=1e-4), "the place")
    east = math.degrees(run.inputs[-1].camera.azimuth) - 90
    assert east % 360 == pytest.approx(45)


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_drawer_and_the_card_are_readable_and_all_has_a_name(
    page: Page, address: str, run: Fake, scheme: str
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    run.there = THERE | {"id": run.objects[0]["id"]}
    open_run(page, address, run)
    page.get_by_role("button", name="Appearance").click()
    choose(page, "draw", "slice")
    x, y = middle(page)
    page.mouse.click(x - 200, y)
    expect(page.locator("#life .line").first).to_be_visible()
    expect(page.locator("#tip")).to_be_visible()
    assert json.loads(page.evaluate(CONTRAST)) == []
    nameless = page.evaluate(
        "() => [...document.querySelectorAll('#viewer :is(button, input, select, canvas, svg[role], a)')]"
        ".filter(e => !(e.labels?.length || e.ariaLabel || e.getAttribute('aria-labelledby') || e.textContent.trim()))"
        ".map(e => e.outerHTML.slice(0, 80))"
    )
    assert nameless == []


def test_on_a_phone_the_tools_and_the_drawer_fit(chromium: Browser, address: str, run: Fake) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    open_run(page, address, run)
    run.there = THERE
    page.get_by_role("button", name="Appearance").tap()
    drawer = page.locator("#appearance").bounding_box()
    assert drawer is not None
    assert drawer["x"] >= 0
    assert drawer["x"] + drawer["width"] <= 390
    page.get_by_role("button", name="Close").tap()
    for one in page.locator("#deck button:visible, #deck input[type=range]:visible").all():
        box = one.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390, one.get_attribute("id")
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    picture = page.locator("#picture").bounding_box()
    assert picture is not None
    page.touchscreen.tap(195, picture["y"] + picture["height"] / 3)
    run.wait(lambda: bool(run.looks) and look(run).selected == (41,), "the mark by a finger")
    context.close()


@pytest.mark.parametrize(("width", "height"), [(390, 844), (360, 640), (844, 390), (820, 1180)])
def test_where_there_is_little_room_the_picture_ends_at_the_tools_and_nothing_is_too_small_for_a_finger(
    chromium: Browser, address: str, run: Fake, width: int, height: int
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": height}, has_touch=True)
    page = context.new_page()
    run.there = THERE
    open_run(page, address, run)
    expect(page.locator("#times")).to_be_visible()
    picture, deck = page.locator("#picture").bounding_box(), page.locator("#deck").bounding_box()
    assert picture is not None
    assert deck is not None
    assert picture["y"] + picture["height"] <= deck["y"] + 1
    assert picture["height"] > 0.5 * (picture["height"] + deck["height"])
    rows = {
        round(box["y"])
        for one in page.locator("#modes, #tools, #times").all()
        if (box := one.bounding_box()) is not None and box["x"] >= 0 and box["x"] + box["width"] <= width
    }
    assert len(rows) == 2, "the tools are in one row, the time below them"
    page.touchscreen.tap(picture["x"] + picture["width"] / 2, picture["y"] + picture["height"] / 2)
    run.wait(lambda: bool(run.looks) and look(run).selected == (41,), "the mark by a finger")
    expect(page.locator("#tip")).to_contain_text("Object 41")
    small = page.evaluate(
        """() => [...document.querySelectorAll("#viewer :is(button, a, input, select)")]
          .filter((e) => e.checkVisibility() && !e.closest("[inert], td, label"))
          .map((e) => [e.id || e.textContent, e.getBoundingClientRect()])
          .filter(([, box]) => box.width && (box.width < 24 || box.height < 24)).map(([name]) => name)"""
    )
    assert small == [], "WCAG 2.2, 2.5.8"
    context.close()


def test_speed_and_loop_stand_in_the_time_bar_and_hold(page: Page, address: str, run: Fake) -> None:
    open_run(page, address, run)
    page.locator("#loop").uncheck()
    page.get_by_role("combobox", name="Speed").select_option("20/s")
    page.locator("#time").focus()
    page.locator("#time").evaluate("(e) => { e.value = 232; e.dispatchEvent(new Event('input')); }")
    run.wait(lambda: bool(run.looks) and look(run).time == 232, "the step that was chosen")
    page.get_by_role("button", name="Play").click()
    run.wait(lambda: look(run).time == 239, "the last step")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert look(run).time == 239, "without the loop it stops at the end"
    page.locator("#loop").check()
    page.get_by_role("button", name="Play").click()
    run.wait(lambda: 0 < (look(run).time or 0) < 230, "the beginning")
    page.get_by_role("button", name="Pause").click()


def test_what_is_copied_is_said_so_that_one_sees_it_also_without_a_clipboard(
    page: Page, address: str, run: Fake
) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    open_run(page, address, run)
    page.evaluate("() => document.addEventListener('copy', () => window.copied = String(getSelection()) || "
                  "document.activeElement.value)")  # fmt: skip
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#said")).to_have_text("The link is copied.")
    expect(page.locator("#said")).to_be_in_viewport()
    assert page.evaluate("() => window.copied").startswith(f"{address}/view/{run.run_id}")
    expect(page.get_by_role("button", name="Copy link")).to_be_focused()
    expect(page.locator("#said")).to_have_text("")


def test_small_charts_are_asked_for_by_rows_in_sight_and_follow_the_table(
    page: Page, address: str, run: Fake, complaints: list[str]
) -> None:
    run.objects = [object_row(i) for i in range(200)]
    run.progress(64, 0, state="complete")
    open_run(page, address, run)
    rows = page.locator("#objects-table tbody tr")
    expect(rows).to_have_count(200)
    expect(rows.first.locator(".spark .area")).to_have_count(1)
    expect(rows.first.locator(".spark .mean")).to_have_count(1)
    expect(rows.nth(199).locator(".spark path")).to_have_count(0)
    assert all(len(ids) <= 40 for ids in run.courses)
    asked = {one for ids in run.courses for one in ids}
    assert 0 < len(asked) < 100, "what is out of sight is not asked for"
    last = int(rows.nth(199).get_attribute("data-id") or 0)
    rows.nth(199).scroll_into_view_if_needed()
    expect(rows.nth(199).locator(".spark .area")).to_have_count(1)
    assert sum(last in ids for ids in run.courses) == 1, "what is known is not asked for again"
    head = page.locator("th[data-key=mean]")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    page.get_by_label("Search the objects").fill("max>900")
    expect(rows.first.locator(".spark .area")).to_have_count(1)
    assert complaints == []


def test_an_object_is_followed_through_its_life_and_its_row_is_copied(
    page: Page, address: str, run: Fake, complaints: list[str]
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    run.more["bounds"] = {"longitude": [0.0, 360.0], "latitude": [-90.0, 90.0], "time": [0.0, 720.0]}
    open_run(page, address, run)
    page.locator("#objects-table tbody tr").first.click()
    expect(page.locator("#life")).to_be_visible()
    page.get_by_label("Speed").evaluate("choice => { choice.value = '20'; }")
    before = run.inputs[-1].camera
    follow = page.get_by_role("button", name="Follow", exact=True)
    follow.click()
    expect(follow).to_have_attribute("aria-pressed", "true")
    # Its life is steps 5 to 24, at 10° N, 30° E: the camera goes up with time, and turns no way.
    run.wait(lambda: bool(run.looks) and look(run).time is not None and 5 <= (look(run).time or 0) <= 24, "its life")
    place = (2 * 30 / 360 - 1) * HALF[0], (2 * 100 / 180 - 1) * HALF[1]
    run.wait(lambda: run.inputs[-1].camera.target[:2] == pytest.approx(place, abs=1e-5), "the object in the middle")
    first = run.inputs[-1].camera.target[2]
    run.wait(lambda: run.inputs[-1].camera.target[2] > first + 0.02, "the object's way")
    assert (run.inputs[-1].camera.azimuth, run.inputs[-1].camera.distance) == (before.azimuth, before.distance)
    follow.click()
    expect(follow).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    page.get_by_role("button", name="Copy row").click()
    expect(page.locator("#said")).to_have_text("The row is copied as JSON.")
    assert json.loads(page.evaluate("() => navigator.clipboard.readText()"))["id"] == look(run).selected[0]
    page.get_by_role("button", name="Copy number").click()
    expect(page.locator("#said")).to_have_text("The number is copied.")
    assert int(page.evaluate("() => navigator.clipboard.readText()")) == look(run).selected[0]
    assert complaints == []
