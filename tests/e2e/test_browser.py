"""A real Chromium looks at a real run: the picture grows, a drag turns it, and everybody counts the same objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import xarray as xr
from playwright.sync_api import Browser, Page, expect

from tests.e2e.whole import started, until_heard
from tests.ending import line_within

pytestmark = pytest.mark.browser

WATCH = """() => {
  // Notes when the canvas changes, from samples of its pixels at each animation frame.
  const canvas = document.querySelector('#picture'), small = document.createElement('canvas');
  small.width = 64; small.height = 36;
  const paint = small.getContext('2d', {willReadFrequently: true});
  window.changes = [];
  let last = null;
  const look = () => {
    paint.drawImage(canvas, 0, 0, 64, 36);
    const now = paint.getImageData(0, 0, 64, 36).data;
    let sum = 0;
    if (last) for (let i = 0; i < now.length; i += 4) sum += Math.abs(now[i] - last[i]);
    if (last && sum > 200) window.changes.push(performance.now());
    last = now;
    requestAnimationFrame(look);
  };
  look();
  window.pressed = [];
  canvas.addEventListener('pointermove', e => { if (e.buttons) window.pressed.push(performance.now()); }, true);
}"""


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(60_000)
    yield page
    page.close()


def until(page: Page, condition: str) -> None:
    """Waits, frame by frame, for a condition in the page (its security policy forbids to evaluate strings there)."""
    page.evaluate(
        f"() => new Promise((done, fail) => {{ const end = performance.now() + 60000; const look = () => ({condition})"
        " ? done() : performance.now() > end ? fail(new Error('never')) : requestAnimationFrame(look); look(); })"
    )


def test_the_picture_grows_turns_within_half_a_second_and_all_count_the_same(page: Page, tmp_path: Path) -> None:
    out = tmp_path / "rivers.zarr"
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    with started("serve", "--port", "0") as plane:
        origin = json.loads(line_within(plane.stdout))["url"]
        wanted = {"input": "sample:rivers", "out": str(out), "pace_s": 15, "start": "first_viewer"}
        run = httpx.post(f"{origin}/api/v1/runs", json=wanted, timeout=60).raise_for_status().json()
        api = f"{origin}/api/v1/runs/{run['run_id']}"

        # It waits for its first viewer.
        until_heard(api, '"state":"waiting"')
        assert httpx.get(api).json()["status"]["committed"] == 0

        # The picture changes while chunks arrive: nobody touches anything.
        page.goto(f"{origin}/view/{run['run_id']}")
        expect(page.locator("#connection")).to_have_attribute("data-kind", "live")
        until(page, "document.querySelector('#waiting').hidden")
        page.evaluate(WATCH)
        until(page, "window.changes.length >= 4")
        assert page.locator("#badge").inner_text() == "Computing"

        # A drag turns it within 500 ms: from the first move to the first picture that differs, all at rest before.
        page.locator("#badge").filter(has_text="Complete").wait_for()
        until(page, "performance.now() - (window.changes.at(-1) ?? 0) > 1000")
        page.mouse.move(400, 400)
        page.mouse.down()
        page.mouse.move(520, 400, steps=4)
        # On a busy machine the refined picture of before may still come while the button goes down.
        until(page, "window.changes.at(-1) > window.pressed[0]")
        page.mouse.up()
        waited = page.evaluate("window.changes.find((at) => at > window.pressed[0]) - window.pressed[0]")
        assert 0 < waited <= 500

        # The number on the page is the API's and the store's.
        record = httpx.get(api).json()
        until(page, f"document.querySelector('#objects-count').textContent === '{record['status']['objects']}'")
        with xr.open_zarr(out) as store:
            assert store.sizes["object"] == record["status"]["objects"] > 50
        listed = httpx.get(f"{api}/objects", params={"limit": 5}).json()
        assert listed["total"] == record["status"]["objects"]
        first = page.locator("#objects-table tbody tr").first
        expect(first).to_have_attribute("data-id", str(listed["objects"][0]["id"]))
    assert not trouble
