"""A real Chromium, a real run: what is pointed at is what the store says, and a link shows the same pixels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.e2e.whole import started, until_heard
from tests.ending import line_within

pytestmark = pytest.mark.browser

REFINED = (
    "document.querySelector('#picture').dataset.still === 'true' && "
    "document.querySelector('#picture').dataset.input === document.querySelector('#picture').dataset.asked"
)
"""The picture is the refined one of the last thing that was asked for."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """A finished run with its values: origin, id, store."""
    out = tmp_path_factory.mktemp("look") / "rivers.zarr"
    with started("serve", "--port", "0") as plane:
        origin = json.loads(line_within(plane.stdout))["url"]
        wanted = {
            "input": "sample:rivers", "segmenter": "connect", "out": str(out), "pace_s": 0, "layers": ["field"],
            "start": "at_once",
        }  # fmt: skip
        made = httpx.post(f"{origin}/api/v1/runs", json=wanted, timeout=60)
        assert made.status_code < 300, made.text
        run_id = made.json()["run_id"]
        until_heard(f"{origin}/api/v1/runs/{run_id}", '"complete"')
        yield origin, run_id, out


def opened(chromium: Browser, address: str) -> Page:
    page = chromium.new_page(viewport={"width": 1100, "height": 700})
    page.set_default_timeout(60_000)
    page.goto(address)
    until(page, REFINED)
    return page


def until(page: Page, condition: str) -> None:
    """Waits, frame by frame, for a condition in the page (its security policy forbids to evaluate strings there)."""
    page.evaluate(
        f"() => new Promise((done, fail) => {{ const end = performance.now() + 60000; const look = () => ({condition})"
        " ? done() : performance.now() > end ? fail(new Error('never')) : requestAnimationFrame(look); look(); })"
    )


def saved(page: Page) -> NDArray[np.uint8]:
    """The picture as a person keeps it: without loss, once it is refined."""
    until(page, REFINED)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save the picture").click()
    with Image.open(waiting.value.path()) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert page.locator("#picture").get_attribute("data-lossless") == "true", "the link brought none in time"
    return pixels


def test_what_is_pointed_at_is_the_label_in_the_store(chromium: Browser, run: tuple[str, str, Path]) -> None:
    origin, run_id, out = run
    page = opened(chromium, f"{origin}/view/{run_id}")
    box = page.locator("#picture").bounding_box()
    assert box is not None
    with xr.open_zarr(out) as store:
        labels = store["labels"].load()
    tip = page.locator("#tip")
    found = 0
    for share in (0.35, 0.45, 0.55, 0.65):
        for height in (0.45, 0.5, 0.55, 0.6, 0.65):
            before = int(tip.get_attribute("data-answered") or 0)
            page.mouse.move(box["x"] + share * box["width"], box["y"] + height * box["height"])
            until(page, f"Number(document.querySelector('#tip').dataset.answered ?? 0) > {before}")
            if tip.is_hidden():
                continue
            texts = tip.inner_text().split("\n")
            moment, latitude, longitude = next(text for text in texts if "°" in text).split(" · ")
            place = {"time": np.datetime64(moment), "lat": degrees(latitude), "lon": degrees(longitude) % 360}
            here = labels.sel(place, method="nearest")
            assert int(here) == int("".join(filter(str.isdigit, texts[0]))), texts
            found += 1
    assert found >= 5
    page.close()


def degrees(word: str) -> float:
    number, side = word[:-2], word[-1]
    return float(number) * (-1 if side in "SW" else 1)


def test_a_link_shows_others_the_same_pixels_and_a_reload_too(chromium: Browser, run: tuple[str, str, Path]) -> None:
    origin, run_id, _ = run
    page = opened(chromium, f"{origin}/view/{run_id}")
    page.locator("#objects-table tbody tr").first.click()
    page.get_by_role("slider", name="time").fill("150")
    page.locator("#picture").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#when")).to_contain_text("1959-01-")
    mine = saved(page)
    expect(page).to_have_url(re.compile("#camera=.*&look=.*150.*selected"))
    other = opened(chromium, page.url)
    assert np.array_equal(saved(other), mine), "who opens the link sees the same, pixel for pixel"
    expect(other.locator("tr.chosen")).to_have_count(1)
    page.reload()
    until(page, REFINED)
    assert np.array_equal(saved(page), mine), "and so does who comes back"
    page.locator("#picture").focus()
    page.keyboard.press("ArrowRight")
    until(page, REFINED)
    assert np.abs(saved(page).astype(np.int16) - mine).mean() > 2, "another camera is another picture"
    page.close()
    other.close()


def test_where_all_objects_have_one_colour_picture_legend_and_table_have_the_same(
    chromium: Browser, run: tuple[str, str, Path]
) -> None:
    origin, run_id, _ = run
    page = opened(chromium, f"{origin}/view/{run_id}")
    page.set_viewport_size({"width": 1400, "height": 700})  # so that the legend has room for objects
    page.locator("#picture").focus()
    page.keyboard.press("ArrowLeft")
    red, pink = (0xD8, 0x5A, 0x1E), (0xCC, 0x79, 0xA7)
    each = saved(page)
    page.get_by_role("button", name="Appearance").click()
    page.get_by_label("Coloured").select_option("one")
    for name, colour in (("Red", red), ("Pink", pink)):
        page.get_by_role("radio", name=name).check()
        expect(page.locator("tr .swatch").first).to_have_css("background-color", "rgb({}, {}, {})".format(*colour))
        picture = saved(page).astype(float)
        swatches = (picture == colour).all(axis=2)
        assert swatches[:, :200].sum() > 300, "those of the legend"
        # Shaded, but of that hue and of no other: all that is coloured is so.
        bright = picture[np.ptp(picture, axis=2) > 70]
        hue = bright @ colour / (np.linalg.norm(bright, axis=1) * np.linalg.norm(colour))
        assert len(bright) > 2000
        assert (hue > 0.97).mean() > 0.98
    page.get_by_label("Coloured").select_option("id")
    assert np.array_equal(saved(page), each), "each its own again"
    page.close()
