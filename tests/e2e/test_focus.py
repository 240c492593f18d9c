"""A chunk that is clicked in the page's strip is computed next: the camera goes there, and computing follows."""

from __future__ import annotations

import json

import httpx
import pytest
from playwright.sync_api import Browser, expect

from streamer.wire.status import COMMITTED, PENDING
from tests.e2e.whole import started
from tests.ending import in_time, line_within

pytestmark = pytest.mark.browser

PLACE = """async (chunk) => {
  const {corner, layout} = await import(new URL("static/chunks.js", document.baseURI));
  const box = document.getElementById("chunks-box");
  const strip = layout(chunk.counts, box.clientWidth, 132);
  const {left, top} = corner(strip, chunk.counts, ...chunk.index, chunk.descending);
  return {x: left + strip.cell / 2 - 1, y: top + strip.cell / 2 - 1};
}"""
"""Where in the strip a chunk is drawn."""


@pytest.mark.parametrize("mode", ["cube", "globe", "map"])
def test_computing_follows_to_the_chunk_that_is_clicked(chromium: Browser, mode: str) -> None:
    with started("serve", "--port", "0") as plane:
        origin = json.loads(line_within(plane.stdout))["url"]
        wanted = {
            "input": "sample:rivers", "segmenter": "connect", "workers": 1, "pace_s": 64, "start": "first_viewer",
        }  # fmt: skip
        run = httpx.post(f"{origin}/api/v1/runs", json=wanted, timeout=60).raise_for_status().json()
        api = f"{origin}/api/v1/runs/{run['run_id']}"
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(60_000)
        page.goto(f"{origin}/view/{run['run_id']}")
        page.locator("#waiting").wait_for(state="hidden")
        expect(page.locator("#chunks-count")).to_contain_text("/")
        page.locator("#chunks-strip[aria-label*='done']").wait_for()
        if mode != "cube":
            page.locator(f"label:has(input[name=mode][value={mode}])").click()
            page.wait_for_url(f"**/*#look=*{mode}*")
        chunks = httpx.get(f"{api}/chunks").json()
        # Of the chunks that nobody has begun, the one that would come last: in a corner of the volume.
        counts = chunks["counts"]
        corners = [(z, y, x) for z in (0, counts[0] - 1) for y in (0, counts[1] - 1) for x in (0, counts[2] - 1)]
        number = {c: (c[0] * counts[1] + c[1]) * counts[2] + c[2] for c in corners}
        far = next(c for c in reversed(corners) if chunks["states"][number[c]] == PENDING)
        place = page.evaluate(PLACE, {"counts": counts, "index": far, "descending": run["y_descending"]})
        before = httpx.get(api).json()["status"]["committed"]
        page.locator("#chunks-strip").click(position=place)
        page.wait_for_url("**/*#camera=*")
        with httpx.stream("GET", f"{api}/events", timeout=120) as events:
            for line in in_time(events.iter_lines()):
                if not line.startswith("data:"):
                    continue
                if httpx.get(f"{api}/chunks").json()["states"][number[far]] == COMMITTED:
                    break
                done = httpx.get(api).json()["status"]["committed"]
                assert done <= before + 12, "computing did not follow"
            else:
                raise AssertionError("the run ended before")
        httpx.post(f"{api}/cancel", timeout=60)
        page.close()
