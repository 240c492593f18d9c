"""The panel, the list of runs and the looks in a real Chromium (the server is tests/web/server.py)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from streamer.wire.colour import object_colour
from tests.web.browser import CONTRAST, open_run, until_shown
from tests.web.server import Fake, object_row, serving

pytestmark = pytest.mark.browser


def test_progress_objects_and_chunks_are_on_the_page(
    page: Page, address: str, fake: Fake, complaints: list[str]
) -> None:
    fake.objects = [object_row(i) for i in range(250)]
    fake.objects[0] |= {"id": 25_659_749, "lifetime_h": 654.0, "voxels": 1_001_334, "footprint_km2": 69.7e6}
    fake.progress(24, 2, 1)
    open_run(page, address, fake)
    expect(page.locator("#objects-count")).to_have_text("250")
    expect(page.locator("#chunks-count")).to_have_text("24 / 64")
    expect(page.locator("#title")).to_contain_text("simulation")
    expect(page.locator("#facts")).to_contain_text("ivt ≥ 500")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "37")
    expect(page.locator("#chunks-strip")).to_have_attribute(
        "aria-label", "24 of 64 chunks done, 2 being computed, 1 failed"
    )
    expect(page.locator("#objects-table tbody tr")).to_have_count(200)
    expect(page.locator("#objects-caption")).to_have_text("The largest 200 of 250")
    # The tests' browser hides its bars, a user's does not: there must be room for one.
    room = page.locator(".scroll").evaluate(
        "box => { box.firstElementChild.style.width = 'min-content';"
        " return box.clientWidth - box.firstElementChild.offsetWidth; }"
    )
    assert room >= 15, f"the table leaves {room} pixels for a scroll bar"
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
    assert 2 <= len(asked) <= asked[-1] - asked[0] + 2, asked


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


def test_what_is_looked_for_is_found_among_all_objects_and_not_the_largest_alone(
    page: Page, address: str, fake: Fake
) -> None:
    fake.objects = [object_row(i) for i in range(250)]
    fake.objects[240] |= {"id": 4_242_424, "max": 99_999.0}
    fake.progress(64, 0, state="complete")
    open_run(page, address, fake)
    rows, caption = page.locator("#objects-table tbody tr"), page.locator("#objects-caption")
    expect(caption).to_have_text("The largest 200 of 250")
    page.get_by_role("searchbox", name="Search the objects").fill("4242424")
    expect(caption).to_have_text("1 found among 250")
    expect(rows).to_have_count(1)
    page.get_by_role("searchbox", name="Search the objects").fill("")
    expect(caption).to_have_text("The largest 200 of 250")
    page.get_by_role("columnheader", name="Max").get_by_role("button").click()
    expect(rows.first).to_have_attribute("data-id", "4242424")
    expect(caption).to_have_text("The first 200 of 250")
    expect(rows).to_have_count(200)
    assert len(fake.asked) < 12, "what is known already is not asked for with each letter"


def test_cancelling_asks_first(page: Page, address: str, fake: Fake) -> None:
    fake.progress(20, 2)
    open_run(page, address, fake)
    page.get_by_role("button", name="Cancel run").click()
    page.get_by_role("button", name="Keep it running").click()
    expect(page.locator("#ask-cancel")).to_be_hidden()
    assert not fake.cancelled
    page.get_by_role("button", name="Cancel run").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator("#badge")).to_have_text("Cancelled")
    assert fake.cancelled


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
    shown = page.locator("#picture").bounding_box()
    assert shown is not None
    assert shown["height"] > 650
    fake.wait(lambda: fake.inputs[-1].height == round(shown["height"]), "a picture of the new size")


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


def test_a_link_says_whether_the_panel_is_open_where_that_is_not_as_usual(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    page.get_by_role("button", name="Panel").click()
    page.wait_for_function("() => location.hash === '#panel=closed'")
    before = len(fake.inputs)
    page.reload()
    fake.wait(lambda: len(fake.inputs) > before, "the picture is asked for")
    assert {state.width for state in fake.inputs[before:]} == {1280}, "never a narrower one first"
    page.evaluate("() => { location.hash = ''; }")
    expect(page.locator("#toggle")).to_have_attribute("aria-expanded", "true")
    page.get_by_role("button", name="Panel").click()
    page.get_by_role("button", name="Panel").click()
    page.wait_for_function("() => location.hash === ''")


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


def test_objects_that_cannot_be_had_any_more_are_said_to_be_gone(page: Page, address: str, fake: Fake) -> None:
    fake.refusing = True
    fake.progress(20, 0, state="cancelled")
    page.goto(f"{address}/view/{fake.run_id}")
    expect(page.locator("#objects-caption")).to_have_text("No longer to be had")


def test_keys_are_listed_where_one_asks_for_them(page: Page, address: str, fake: Fake, complaints: list[str]) -> None:
    fake.progress(12, 2)
    open_run(page, address, fake)
    page.locator("#picture").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.get_by_label("Search the objects").press("?")
    expect(page.locator("#keys")).to_be_hidden()
    page.get_by_role("button", name="Keys", exact=True).click()
    expect(page.locator("#keys")).to_contain_text("turn; with shift move")
    expect(page.locator("#truth")).to_contain_text("newest chunk")
    assert complaints == []
