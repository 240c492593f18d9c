"""With TLS and behind a prefix: the page finds its files, the API and the WebSocket (tests/e2e has a real proxy)."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.access.certificate import certificate
from tests.web.browser import drag, until_shown
from tests.web.server import Fake, object_row, serving

pytestmark = pytest.mark.browser

PREFIX = "/user/x/proxy/8000"


def test_the_page_speaks_tls_behind_a_prefix(chromium: Browser, fake: Fake, tmp_path: Path) -> None:
    fake.objects = [object_row(i) for i in range(5)]
    fake.progress(12, 2)
    context = chromium.new_context(ignore_https_errors=True, viewport={"width": 1000, "height": 700})
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    sockets: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("websocket", lambda one: sockets.append(one.url))
    with serving(fake, prefix=PREFIX, tls=certificate(tmp_path)) as address:
        assert address.startswith("https://")
        page.goto(f"{address}/")
        page.get_by_role("link", name="Atmospheric water vapour").click()
        until_shown(page, 1)
        expect(page.locator("#chunks-count")).to_have_text("12 / 64")
        expect(page.locator(".spark .area").first).to_be_attached()
        drag(page, 60, 20)
        fake.wait(lambda: not fake.inputs[-1].moving and len(fake.inputs) > 1, "the drag")
        until_shown(page, fake.inputs[-1].sequence)
        assert {one.rsplit("/api/", 1)[0] for one in sockets} == {address.replace("https:", "wss:")}
        assert complaints == []
        context.close()
