"""What the page's tests share: a run to show, and a page that reports every error on its console."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.web.server import Fake, serving


@pytest.fixture
def fake() -> Fake:
    """The run that the test's server shows."""
    return Fake()


@pytest.fixture
def address(fake: Fake) -> Iterator[str]:
    """Where the run is served."""
    with serving(fake) as address:
        yield address


@pytest.fixture
def complaints() -> list[str]:
    """What the page wrote on the console as an error or warning, and requests that left its server."""
    return []


@pytest.fixture
def page(chromium: Browser, complaints: list[str]) -> Iterator[Page]:
    """A page of 1280×800."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark", accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda asked: (
            None if "//127.0.0.1:" in asked.url or asked.url.startswith("blob:") else complaints.append(asked.url)
        ),
    )
    yield page
    context.close()
