"""The list of people and what stands over the picture, in a real Chromium (the server is tests/web/server.py)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from streamer.wire.presence import At, Drawn, Named, Wish
from tests.web.browser import CONTRAST, middle, open_run
from tests.web.server import Fake

pytestmark = pytest.mark.browser

ADA: dict[str, Any] = {"n": 2, "name": "Ada", "role": "lead"}
LONG: dict[str, Any] = {"n": 3, "name": "Wilhelmina of the Long Corridor", "role": "own", "invites": "now"}


def tell(fake: Fake, *all_of_them: dict[str, Any], **more: Any) -> None:
    """The renderer says who is there; the page's own number is 1."""
    fake.others.append({"people": {"you": 1, "may": 1, "all": list(all_of_them), **more}})


def hear(page: Page, fake: Fake) -> None:
    """The page says something, so that what waits for it is sent."""
    page.mouse.move(*middle(page))
    page.mouse.wheel(0, 10)
    fake.wait(lambda: not fake.others, "it is told")


def test_the_lead_is_asked_for_with_the_keyboard_and_everything_has_a_name(
    page: Page, address: str, fake: Fake, complaints: list[str]
) -> None:
    open_run(page, address, fake)
    tell(fake, {"n": 1, "role": "follow"}, ADA, {"n": 4, "role": "look"})
    hear(page, fake)
    page.locator("#people-toggle").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="People")
    expect(dialog.get_by_role("listitem")).to_have_text(
        ["guest 1 (you)follows", "Adaleads", "guest 4looks on"]
    )  # fmt: skip
    expect(page.locator("#people-close")).to_be_focused()
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Ask for the lead")).to_be_focused()
    page.keyboard.press("Enter")
    fake.wait(lambda: Wish("ask") in fake.said, "the wish")
    tell(fake, {"n": 1, "role": "follow", "asks": True}, ADA)
    hear(page, fake)
    expect(page.locator("#company-text")).to_have_text("You have asked Ada for the lead.")
    tell(fake, {"n": 1, "role": "lead"}, {**ADA, "role": "follow", "asks": True})
    hear(page, fake)
    expect(page.locator("#people-said")).to_have_text("Ada asks for the lead. You lead.")
    page.locator("#company").get_by_role("button", name="Hand over").click()
    fake.wait(lambda: fake.handed[-1:] == [2], "the lead is handed over")
    page.locator("#people-close").focus()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#people-toggle")).to_be_focused()
    assert complaints == []


def test_one_thing_at_a_time_is_open_over_the_picture(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    menu, people, looks = page.locator("#take"), page.locator("#people"), page.locator("#appearance")
    page.locator("#take-toggle").click()
    expect(menu).to_be_visible()
    page.locator("#people-toggle").click()
    expect(people).to_be_visible()
    expect(menu).to_be_hidden()
    page.locator("#take-toggle").click()
    expect(people).to_be_hidden()
    page.mouse.click(*middle(page))
    expect(menu).to_be_hidden()
    page.locator("#people-toggle").click()
    page.locator("#appearance-toggle").click()
    expect(looks).to_be_visible()
    expect(people).to_be_hidden()


def test_one_name_is_kept_and_that_of_an_account_cannot_be_changed(page: Page, address: str, fake: Fake) -> None:
    open_run(page, address, fake)
    page.locator("#people-toggle").click()
    page.get_by_label("Your name").fill("\u202eBen  ")
    fake.wait(lambda: Named("Ben") in fake.said, "the name")
    fake.said.clear()
    page.reload()
    fake.wait(lambda: Named("Ben") in fake.said, "the name again")
    tell(fake, {"n": 1, "name": "Ben Trovato", "role": "own", "account": True}, named=True, may=None)
    tell(fake, {"n": 1, "name": "Ben Trovato", "role": "own", "account": True}, ADA, named=True, may=None)
    hear(page, fake)
    page.locator("#people-toggle").click()
    expect(page.get_by_text("Ben Trovato (you)")).to_be_visible()
    expect(page.get_by_label("Your name")).to_be_hidden()


def test_pointers_are_sent_in_company_alone_and_answered_when_they_are_drawn(
    page: Page, address: str, fake: Fake, complaints: list[str]
) -> None:
    open_run(page, address, fake)
    tell(fake, {"n": 1, "role": "own"}, {**ADA, "role": "own"}, may=None)
    hear(page, fake)
    page.mouse.move(300, 300)
    tell(fake, {"n": 1, "role": "follow"}, ADA)
    fake.others.append({"pointers": [[2, 0.1, -0.2], [9, 99.0, 0.0], ["x"]]})
    hear(page, fake)
    expect(page.locator("#pointers div:visible")).to_have_text(["Ada"])
    fake.wait(lambda: Drawn() in fake.said, "they have been drawn")
    places = [one for one in fake.said if isinstance(one, At)]
    page.mouse.move(400, 300)
    fake.wait(lambda: len([one for one in fake.said if isinstance(one, At)]) > len(places), "the pointer")
    box = page.locator("#picture").bounding_box()
    assert box is not None
    fake.wait(
        lambda: (
            isinstance(last := fake.said[-1], At)
            and last.place
            == pytest.approx(((400 - box["width"] / 2) / box["height"], 300 / box["height"] - 0.5), abs=1e-3)
        ),
        "where it is",
    )
    assert complaints == []


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1280), ("light", 1280), ("dark", 390), ("light", 390)])
def test_the_list_and_the_words_over_the_picture_are_readable(
    chromium: Browser, address: str, fake: Fake, scheme: Any, width: int
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    open_run(page, address, fake)
    tell(fake, {"n": 1, "role": "own"}, LONG, {"n": 4, "name": "Ben", "role": "own"}, may=None)
    hear(page, fake)
    expect(page.locator("#company")).to_be_visible()
    page.locator("#people-toggle").click()
    assert json.loads(page.evaluate(CONTRAST)) == []
    for name in ("#people", "#company"):
        box = page.locator(name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    buttons = page.locator("#people-list button, #people-acts button, #company button").all()
    assert len(buttons) == 6
    assert all((box := button.bounding_box()) is not None and box["height"] >= 24 for button in buttons)
    context.close()
