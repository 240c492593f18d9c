"""The page in a real browser, at a real server that asks who one is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from tests.access.issuer import Issuer, issuing
from tests.access.parts import Plane, access_of, serving
from tests.web.browser import CONTRAST

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        issuer.lifetime_s = 1_000_000  # the tests put the server's clock forward
        yield issuer


@pytest.fixture(scope="module")
def plane(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("page")
    with serving(access_of(folder, issuer.url), folder / "runs") as plane:
        yield plane


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_somebody_signs_in_sees_who_they_are_and_signs_out(
    chromium: Browser, plane: Plane, issuer: Issuer, scheme: Literal["dark", "light"]
) -> None:
    issuer.offers_logout = False
    plane.clock.ahead_s += 1000  # what the issuer says of itself is asked for again
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 900, "height": 600})
    page = context.new_page()
    page.set_default_timeout(10_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{plane.url}/view/run-1")
    way = page.get_by_role("link", name="Sign in")
    way.wait_for()
    assert page.locator("#sign-in").evaluate("dialog => dialog.matches(':modal')")
    page.keyboard.press("Escape")
    assert way.is_visible(), "there is nothing to see behind it"
    poor = page.evaluate(CONTRAST.replace("#viewer *", "#sign-in *").replace(", dialog", ""))
    assert json.loads(poor) == []
    way.click()
    page.wait_for_url(f"{plane.url}/view/run-1")
    page.get_by_text("there is no run run-1").first.wait_for()
    page.goto(plane.url)
    page.locator("#runs .account span").get_by_text("Ada Lovelace").wait_for()
    page.get_by_role("heading", name="No runs yet").wait_for()
    assert page.locator("#runs .account span").get_attribute("title") == "operator of rivers"
    cookies = {cookie["name"]: cookie for cookie in context.cookies()}
    assert cookies["cavecast"]["httpOnly"]
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").wait_for()
    assert "cavecast" not in {cookie["name"] for cookie in context.cookies()}
    assert not errors
    context.close()


def test_a_session_that_ends_meanwhile_is_asked_for_again(chromium: Browser, plane: Plane) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto(plane.url)
    page.get_by_role("link", name="Sign in").click()
    page.locator("#runs .account span").wait_for()
    plane.clock.ahead_s += 9 * 3600
    page.get_by_role("link", name="Sign in").wait_for()
    context.close()


def test_where_nobody_can_sign_in_with_a_browser_the_page_says_so(chromium: Browser, tmp_path: Path) -> None:
    with serving(access_of(tmp_path), tmp_path / "runs") as plane:
        context = chromium.new_context()
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.goto(plane.url)
        page.get_by_text("This server is for programs with a token").wait_for()
        context.close()
