"""WCAG 2.2 AA as far as a machine can tell: axe-core in a real Chromium, the way of the Tab key, motion."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from inference_workers.segmenter import catalogue
from inference_workers.source import InspectRequest, inspect
from streamer.control.access.shown import ProjectShown, Share
from streamer.control.openapi import WallEntry
from streamer.control.said import Line
from tests.web.browser import open_run
from tests.web.server import Fake, object_row
from tests.web.test_look import FIELD, HALF
from tests.web.tools import installed

pytestmark = pytest.mark.browser

SCHEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")
SIZES = ((1280, 800), (390, 844))
AXE = """async () => {
  const found = await axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    rules: {"target-size": {enabled: true}},
  });
  const passed = found.passes.length;
  const bad = found.violations.filter((one) => ["serious", "critical"].includes(one.impact));
  const where = (one) => one.nodes.map((node) => node.html.slice(0, 160));
  return JSON.stringify({passed, bad: bad.map((one) => [one.id, one.impact, one.help, where(one)])});
}"""


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> None:
    """What the server looks at inputs and segmenters with is loaded before a page waits for it."""
    assert {"connect", "ffn"} <= {entry.name for entry in catalogue()}
    inspect(InspectRequest("sample:flood2021"))


@pytest.fixture
def watched(chromium: Browser) -> Iterator[Page]:
    """A page that axe-core can look at; it is put in by the browser and not served."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.add_init_script(path=installed() / "axe-core" / "axe.min.js")
    page = context.new_page()
    page.set_default_timeout(10_000)
    yield page
    context.close()


@pytest.fixture
def busy(fake: Fake) -> Fake:
    """A run of which some has come, and what there is to say of it."""
    fake.more = {"half": HALF, "when": {"step": 120, "words": "1959-01-16 00:00", "newest": 120}, "field": FIELD}
    fake.objects = [object_row(i, final=i % 3 > 0) for i in range(30)]
    fake.progress(24, 2, 1)
    return fake


def looked_at(page: Page, place: str) -> None:
    """Nothing serious or critical, in light and dark, on a desk and on a phone."""
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            found = json.loads(page.evaluate(AXE))
            assert found["passed"] > 10, "axe looked at next to nothing"
            assert found["bad"] == [], f"{place}, {width} wide, {scheme}: {json.dumps(found['bad'], indent=1)}"


def test_axe_finds_what_is_wrong(watched: Page, address: str, busy: Fake) -> None:
    open_run(watched, address, busy)
    watched.evaluate(
        "() => { for (const name of ['aria-label', 'title']) document.getElementById('play').removeAttribute(name);"
        " document.getElementById('sentence').style.color = '#888'; }"
    )
    bad = {one[0] for one in json.loads(watched.evaluate(AXE))["bad"]}
    assert {"button-name", "color-contrast"} <= bad


def test_the_list_of_runs(watched: Page, address: str, fake: Fake) -> None:
    fake.past = [
        {**fake.run, "run_id": f"past-{i}", "title": f"run {i}", "state": ("complete", "failed", "cancelled")[i % 3]}
        for i in range(60)
    ]
    fake.progress(24, 2, 1)
    watched.goto(f"{address}/")
    expect(watched.locator("#runs-list li").first).to_be_visible()
    looked_at(watched, "the list")
    watched.get_by_label("Search the runs").fill("nowhere")
    expect(watched.locator("#runs-nothing")).to_be_visible()
    looked_at(watched, "the list without a run")


def test_the_form_that_starts_a_run(watched: Page, address: str, fake: Fake) -> None:
    fake.me |= {"means": "session", "name": "Ada", "projects": {"a": "operator", "b": "admin"}}
    free = Share(0, None)
    fake.projects = [ProjectShown(n, n, r, Share(1, 4), free, free) for n, r in fake.me["projects"].items()]
    fake.walls = [
        WallEntry(name="cave", title="The cave", generation=1, changed="", nodes=2, tiles=4, screens=4, megapixels=8,
                  busy=True, run_id="rivers-00"),
    ]  # fmt: skip
    watched.goto(f"{address}/#new")
    expect(watched.get_by_label("File or address")).to_be_focused()
    looked_at(watched, "the empty form")
    watched.get_by_label("File or address").fill("sample:flood2021")
    watched.get_by_role("button", name="Inspect").click()
    watched.get_by_label("How to segment").select_option("ffn")
    for fold in watched.locator("#new-form summary").all():
        fold.click()
    watched.get_by_label("The cave").check()
    watched.get_by_label("Workers").fill("many")
    watched.get_by_role("button", name="Start run").click()
    expect(watched.locator("#new-workers-wrong")).not_to_be_empty()
    looked_at(watched, "the form with everything open and mistakes in it")


def opened_appearance(page: Page) -> None:
    page.get_by_role("button", name="Appearance").click()
    page.locator("label:has(input[name=draw][value=slice])").click()
    page.get_by_label("Cut along").select_option("0")
    page.get_by_label("Coloured").select_option("one")
    expect(page.locator("#one-colours")).to_be_visible()
    expect(page.locator("#section-more")).to_be_visible()


def opened_object(page: Page) -> None:
    page.locator("#objects-table tbody tr").first.click()
    expect(page.locator("#life")).to_be_visible()


def opened_log(page: Page) -> None:
    page.get_by_role("button", name="Log", exact=True).click()
    expect(page.locator("#log-lines li")).to_have_count(2)


def opened_question(page: Page) -> None:
    page.get_by_role("button", name="Cancel run").click()
    expect(page.locator("#ask-cancel")).to_be_visible()


def opened_keys(page: Page) -> None:
    page.get_by_role("button", name="Keys", exact=True).click()
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def as_it_is(page: Page) -> None:
    expect(page.locator("#objects-table tbody tr").first).to_be_visible()


@pytest.mark.parametrize(
    "change", [as_it_is, opened_appearance, opened_object, opened_log, opened_keys, opened_question]
)
def test_the_page_of_a_run_while_it_computes(
    watched: Page, address: str, busy: Fake, change: Callable[[Page], None]
) -> None:
    busy.lines = [
        Line("2026-01-05T10:00:00.000+00:00", "worker-1", "error", "out of memory"),
        Line("2026-01-05T10:00:01.000+00:00", "streamer", "info", "ready"),
    ]
    open_run(watched, address, busy)
    change(watched)
    looked_at(watched, change.__name__)


def test_the_page_of_a_run_that_is_complete_and_one_without_a_picture(watched: Page, address: str, busy: Fake) -> None:
    busy.progress(64, 0, state="complete")
    open_run(watched, address, busy)
    expect(watched.locator("#badge")).to_have_text("Complete")
    looked_at(watched, "complete")
    watched.goto(f"{address}/view/nothing")
    expect(watched.locator("#title")).to_have_text("No such run")
    looked_at(watched, "no such run")


def test_the_page_on_which_one_signs_in(watched: Page, address: str, fake: Fake) -> None:
    fake.issuers = [{"issuer": "https://one.example", "name": "One"}, {"issuer": "https://two.example", "name": "Two"}]
    watched.goto(f"{address}/")
    expect(watched.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(watched.get_by_role("link", name="Sign in with One")).to_be_focused()
    looked_at(watched, "signing in")


def test_nothing_moves_by_itself_where_that_is_not_wanted(watched: Page, address: str, fake: Fake) -> None:
    fake.mute = True
    watched.goto(f"{address}/view/{fake.run_id}")
    expect(watched.locator("#waiting")).to_be_visible()
    assert watched.evaluate("() => document.getAnimations().length") == 0
    watched.emulate_media(reduced_motion="no-preference")
    watched.wait_for_function("() => document.getAnimations().length > 0")


FOCUSED = """() => {
  const here = document.activeElement;
  if (!here || here === document.body) return null;
  let shown = here;
  // A radio button that looks like a part of a bar shows its focus on the words beside it.
  if (here.matches(".choice input")) shown = here.nextElementSibling;
  const {outlineStyle, outlineWidth} = getComputedStyle(shown), box = shown.getBoundingClientRect();
  // Of what is larger than the window, the part that is inside it.
  const x = Math.max(0, box.left) + Math.min(innerWidth, box.right);
  const y = Math.max(0, box.top) + Math.min(innerHeight, box.bottom);
  const top = document.elementFromPoint(x / 2, y / 2);
  const free = top && (shown.contains(top) || top.contains(shown) || top === here);
  const again = Boolean(here.dataset.reached);
  here.dataset.reached = "yes";
  return {what: here.id || here.textContent.trim() || here.outerHTML.slice(0, 80),
    ring: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2, free: Boolean(free), again};
}"""
MISSED = """() => {
  const all = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']");
  // Of radio buttons one is in the row, arrows choose among them; a hundred rows of a table are reached one by one.
  const seen = [...all].filter((e) => e.checkVisibility({visibilityProperty: true}) && !e.disabled
    && !e.closest("[inert]") && !e.matches("input[type=radio]:not(:checked)") && !e.dataset.reached);
  return seen.map((e) => e.id || e.textContent.trim() || e.outerHTML.slice(0, 80));
}"""


def walked(page: Page) -> list[dict[str, Any]]:
    """Everything that Tab comes by, until it is at the first again; between the last and the first lies the browser."""
    steps: list[dict[str, Any]] = []
    for _ in range(200):
        page.keyboard.press("Tab")
        here = page.evaluate(FOCUSED)
        if here is not None and here["again"]:
            return steps
        if here is not None:
            steps.append(here)
    raise AssertionError("Tab comes to no end")


@pytest.mark.parametrize("size", SIZES)
def test_tab_comes_by_everything_and_one_sees_where_one_is(
    watched: Page, address: str, busy: Fake, size: tuple[int, int]
) -> None:
    watched.set_viewport_size({"width": size[0], "height": size[1]})
    open_run(watched, address, busy)
    if size[0] < 720 and watched.locator("#toggle").get_attribute("aria-expanded") == "false":
        watched.locator("#toggle").click()
    opened_object(watched)
    watched.evaluate("() => document.activeElement.blur()")
    steps = walked(watched)
    assert watched.evaluate(MISSED) == []
    assert len(steps) > 20
    assert [step["what"] for step in steps if not step["ring"]] == []
    assert [step for step in steps if not step["free"]] == [], "what has the focus must not be covered"
