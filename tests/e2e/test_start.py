"""A run is started from the form in a real Chromium, by a real control plane, and seen to its end."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.whole import field, ids_of_whole, started
from tests.ending import line_within

pytestmark = pytest.mark.browser


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(60_000)
    yield page
    page.close()


def test_a_sample_is_segmented_from_the_form(page: Page) -> None:
    with started("serve", "--port", "0") as plane:
        origin = json.loads(line_within(plane.stdout))["url"].rstrip("/")
        page.goto(f"{origin}/")
        page.get_by_role("link", name="New run").click()
        page.get_by_label("File or address").fill("sample:flood2021")
        page.keyboard.press("Enter")
        expect(page.get_by_label("Variable")).to_have_value("ivt", timeout=60_000)
        page.get_by_label("Threshold").fill("400")
        page.get_by_label("Workers").fill("1")
        page.get_by_role("button", name="Start run").dblclick()
        page.wait_for_url(f"{origin}/view/*")
        expect(page.locator("#badge")).to_have_text("Complete", timeout=60_000)
        (run,) = httpx.get(f"{origin}/api/v1/runs").json()
        assert (run["state"], run["workers"], run["parameters"]["threshold"]) == ("complete", 1, 400)
        objects = len(set(ids_of_whole(field("flood2021", "ivt"), 400, periodic=False).flat) - {0})
        expect(page.locator("#objects-count")).to_have_text(str(objects), timeout=20_000)
        page.get_by_role("button", name="Log").click()
        expect(page.locator("#log-lines li").filter(has_text="streamer").first).to_be_visible(timeout=20_000)
        page.locator("#log-close").click()
        page.get_by_title("All runs").click()
        expect(page.locator("#runs-list > li")).to_have_count(1)
        page.get_by_label("State").select_option("failed")
        expect(page.locator("#runs-nothing")).to_have_text("No run is in this state.")
