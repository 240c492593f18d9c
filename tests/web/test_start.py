"""A run is started from the browser, those of before are found, and the log is read (served by tests/web/server.py)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from playwright.sync_api import Page, expect

from inference_workers.samples import SAMPLES
from inference_workers.segmenter import catalogue
from inference_workers.source import InspectRequest, inspect
from streamer.control.access.shown import ProjectShown, Share
from streamer.control.openapi import WallEntry
from streamer.control.said import Line
from tests.web.browser import CONTRAST, open_run
from tests.web.server import WEB, Fake

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> None:
    """What the server looks at inputs and segmenters with is loaded before a page waits for it."""
    assert {"connect", "ffn"} <= {entry.name for entry in catalogue()}
    inspect(InspectRequest("sample:flood2021"))


def open_form(page: Page, address: str) -> None:
    page.goto(f"{address}/")
    page.get_by_role("link", name="New run").click()
    expect(page.get_by_role("heading", name="New run")).to_be_visible()
    expect(page.get_by_label("File or address")).to_be_focused()


def look_at(page: Page, name: str) -> None:
    page.get_by_label("File or address").fill(name)
    page.keyboard.press("Enter")


def two_variables(folder: Path) -> str:
    values = np.arange(24.0).reshape(2, 3, 4)
    path = folder / "both.nc"
    xr.Dataset(dict.fromkeys(("u", "v"), (("a", "b", "c"), values))).to_netcdf(path)
    return str(path)


def test_a_run_is_started_with_the_keyboard_alone(page: Page, address: str, fake: Fake, complaints: list[str]) -> None:
    open_form(page, address)
    look_at(page, "sample:flood2021")
    expect(page.locator("#new-title")).to_contain_text("flood", ignore_case=True)
    expect(page.locator("#new-axes")).to_contain_text("2021-07-1")
    expect(page.get_by_label("Variable")).to_have_value("ivt")
    expect(page.get_by_label("Threshold")).not_to_have_value("")
    expect(page.get_by_label("Connectivity")).to_have_value("26")
    expect(page.locator("#new-walls-field")).to_be_hidden()
    expect(page.get_by_label("Project")).to_be_hidden()
    page.get_by_label("Threshold").fill("450,5")
    page.get_by_label("Workers").fill("3")
    page.get_by_role("button", name="Start run").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/view/{fake.run_id}")
    ((key, asked),) = fake.wishes
    assert key
    assert asked == {
        "input": "sample:flood2021", "variable": "ivt", "segmenter": "connect", "parameters": {"threshold": 450.5},
        "workers": 3,
    }  # fmt: skip
    assert complaints == []


def test_a_double_click_starts_one_run_and_another_try_has_the_same_key(page: Page, address: str, fake: Fake) -> None:
    open_form(page, address)
    page.get_by_role("button", name="flood2021").click()
    start = page.get_by_role("button", name="Start run")
    fake.refusals = [(503, "the database does not answer")]
    start.click()
    expect(page.locator("#new-wrong")).to_have_text("The database does not answer.")
    fake.slow_s = 0.5
    start.dblclick()
    page.wait_for_url(f"{address}/view/{fake.run_id}")
    assert len(fake.wishes) == 2
    assert fake.wishes[0] == fake.wishes[1]


def test_what_is_wrong_is_said_where_it_is_wrong(page: Page, address: str, fake: Fake) -> None:
    open_form(page, address)
    source = page.get_by_label("File or address")
    page.get_by_role("button", name="Inspect").click()
    expect(page.locator("#new-input-wrong")).to_contain_text("Say first which data")
    look_at(page, "/nowhere.nc")
    expect(page.locator("#new-input-wrong")).to_contain_text("/nowhere.nc")
    expect(source).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#new-start")).to_be_hidden()
    look_at(page, "sample:flood2021")
    threshold = page.get_by_label("Threshold")
    threshold.fill("high")
    page.get_by_role("button", name="Start run").click()
    expect(page.locator("#new-parameter-threshold-wrong")).to_contain_text("“high”")
    expect(threshold).to_be_focused()
    threshold.fill("500")
    expect(threshold).not_to_have_attribute("aria-invalid", "true")
    fake.refusals = [(422, "/a.zarr is there already: remove it, or give another --out")]
    page.get_by_role("button", name="Start run").click()
    expect(page.locator("#new-wrong")).to_contain_text("give another “Keep the result”")
    expect(page.locator("#new-out")).to_be_focused()
    source.fill("sample:rivers")
    expect(page.locator("#new-rest")).to_be_hidden()


def test_one_of_several_variables_is_chosen(page: Page, address: str, fake: Fake, tmp_path: Path) -> None:
    open_form(page, address)
    look_at(page, two_variables(tmp_path))
    variable = page.get_by_label("Variable")
    expect(variable).to_be_focused()
    expect(page.locator("#new-about")).to_contain_text("2 variables")
    expect(page.locator("#new-rest")).to_be_hidden()
    variable.select_option("v")
    expect(page.locator("#new-axes")).to_contain_text("0 to 3")
    expect(page.get_by_label("Threshold")).to_have_value("")
    page.get_by_label("Threshold").fill("5")
    page.get_by_role("button", name="Start run").click()
    page.wait_for_url(f"{address}/view/{fake.run_id}")
    assert fake.wishes[0][1]["variable"] == "v"


def test_a_segmenter_has_the_form_that_its_schema_asks_for(page: Page, address: str, fake: Fake) -> None:
    open_form(page, address)
    look_at(page, "sample:rivers")
    page.get_by_label("How to segment").select_option("ffn")
    expect(page.locator("#new-parameter-threshold")).to_have_count(0)
    page.get_by_role("button", name="Start run").click()
    expect(page.locator("#new-parameter-model-wrong")).to_have_text("Model is needed.")
    page.get_by_label("Model").fill("demo")
    page.get_by_text("more settings").click()
    page.get_by_label("Reach").fill("2")
    page.get_by_label("Consensus").select_option("true")
    page.get_by_label("Carry the values too").check()
    page.get_by_role("button", name="Start run").click()
    page.wait_for_url(f"{address}/view/{fake.run_id}")
    asked = fake.wishes[0][1]
    assert asked["parameters"] == {"model": "demo", "reach": 2, "consensus": True}
    assert asked["layers"] == ["labels1", "field"]


def test_walls_and_projects_can_be_chosen_where_there_are_some(page: Page, address: str, fake: Fake) -> None:
    fake.me |= {"means": "session", "administrator": False, "projects": {"a": "operator", "b": "admin", "c": "viewer"}}
    free = Share(0, None)
    fake.projects = [ProjectShown(n, n, r, Share(1, 4), free, free) for n, r in fake.me["projects"].items()]
    one = WallEntry(name="cave", title="The cave", generation=1, changed="", nodes=2, tiles=4, screens=4, megapixels=8)
    fake.walls = [
        one,
        WallEntry(name="hall", title="hall", generation=1, changed="", nodes=1, tiles=1, screens=1, megapixels=2,
                  busy=True, run_id="rivers-00"),
    ]  # fmt: skip
    open_form(page, address)
    look_at(page, "sample:flood2021")
    # Projects and walls are asked for beside the data: they may come after it.
    expect(page.get_by_label("Project").locator("option")).to_have_text(
        ["a (1 of 4 runs at work)", "b (1 of 4 runs at work)"]
    )
    page.get_by_label("Project").select_option("b")
    take = page.get_by_label("Take walls from the runs")
    page.get_by_label("The cave").check()
    expect(take).to_be_hidden()
    page.get_by_label("hall").check()
    take.check()
    page.get_by_role("button", name="Start run").click()
    page.wait_for_url(f"{address}/view/{fake.run_id}")
    asked = fake.wishes[0][1]
    assert (asked["project"], asked["walls"], asked["take"]) == ("b", ["cave", "hall"], True)


def test_whoever_may_only_look_is_not_offered_to_start(page: Page, address: str, fake: Fake) -> None:
    fake.me |= {"means": "session", "administrator": False, "projects": {"c": "viewer"}}
    page.goto(f"{address}/")
    expect(page.locator("#runs .account")).to_be_visible()
    expect(page.get_by_role("link", name="Atmospheric")).to_be_visible()
    expect(page.get_by_role("link", name="New run")).to_be_hidden()


def test_runs_of_before_are_found_by_words_and_state_page_by_page(
    page: Page, address: str, fake: Fake, complaints: list[str]
) -> None:
    fake.past = [
        {**fake.run, "run_id": f"old-{i}", "title": f"Old run {i:02}", "state": "failed" if i % 2 else "complete"}
        for i in range(60)
    ]
    page.goto(f"{address}/")
    cards = page.locator("#runs-list > li")
    expect(cards).to_have_count(24)
    page.get_by_role("link", name="Older").click()
    expect(cards.first).to_contain_text("Old run 23")
    page.get_by_role("link", name="Older").click()
    expect(cards).to_have_count(13)
    expect(page.get_by_role("link", name="Older")).to_be_hidden()
    page.go_back()
    expect(cards.first).to_contain_text("Old run 23")
    page.get_by_role("link", name="Newest").click()
    expect(cards.first).to_contain_text("Atmospheric")
    page.get_by_label("State").select_option("failed")
    expect(cards.first).to_contain_text("Old run 01")
    page.get_by_label("Search the runs").fill("run 3")
    expect(cards).to_have_count(5)
    page.reload()
    expect(cards).to_have_count(5)
    expect(page.get_by_label("Search the runs")).to_have_value("run 3")
    page.get_by_label("Search the runs").fill("nowhere")
    expect(page.locator("#runs-nothing")).to_contain_text("“nowhere”")
    assert complaints == []


def test_the_log_of_a_run_is_read_by_part_and_follows(page: Page, address: str, fake: Fake) -> None:
    said = "2026-01-05T10:00:0{}.5+00:00"
    fake.lines = [
        Line(said.format(1), "streamer", "info", "listens"),
        Line(said.format(2), "worker-1", "warning", "<b>slow</b> disk"),
    ]
    fake.progress(4, 2)
    open_run(page, address, fake)
    page.get_by_role("button", name="Log").click()
    rows = page.locator("#log-lines li")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("10:00:02")
    expect(rows.nth(1)).to_contain_text("warning: <b>slow</b> disk")
    fake.lines.append(Line(said.format(3), "worker-1", "info", "goes on"))
    expect(rows).to_have_count(3)
    page.locator("#log-part").select_option("streamer")
    expect(rows).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#log")).to_be_hidden()
    expect(page.get_by_role("button", name="Log")).to_be_focused()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_form_can_be_read_has_names_and_fits_a_phone(page: Page, address: str, fake: Fake, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    open_form(page, address)
    look_at(page, "sample:flood2021")
    page.get_by_label("Threshold").fill("high")
    page.get_by_role("button", name="Start run").click()
    page.locator("#new-more summary").click()
    expect(page.get_by_label("Keep the result")).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    assert json.loads(page.evaluate(CONTRAST)) == []
    nameless = page.evaluate(
        "() => [...document.querySelectorAll('#runs input, #runs select, #runs button')]"
        ".filter((one) => !one.labels?.length && !one.ariaLabel && !one.textContent.trim()).map((one) => one.id)"
    )
    assert nameless == []
    small = page.evaluate(
        "() => [...document.querySelectorAll('#new-run input, #new-run select, #new-run button, summary')]"
        ".filter((one) => one.checkVisibility()).map((one) => [one.id, one.closest('label') ?? one])"
        ".filter(([, one]) => one.getBoundingClientRect().height < 24).map(([id]) => id)"
    )
    assert small == [], "what is to be hit has 24 pixels (WCAG 2.5.8)"


def test_the_samples_that_are_offered_are_those_that_there_are() -> None:
    offered = re.findall(r'data-sample="sample:(\w+)"', (WEB / "index.html").read_text())
    assert sorted(offered) == sorted(sample.name for sample in SAMPLES)
