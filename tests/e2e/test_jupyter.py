"""Below a real Jupyter server's proxy (jupyter-server-proxy), as JupyterHub gives one to each of its users.

That proxy answers a WebSocket before it calls what lies behind, does not pass on why that has closed the line, and
serves the first page under an address without a slash at its end, too.  It is asked by the name of this machine, and
by one that is none, as a hub's.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.e2e.test_viewers import PATIENCE_S, Plane, apart, at_rest, drag, looks, seen, soon
from tests.e2e.whole import started
from tests.ending import ending, line_within, tied

pytestmark = [pytest.mark.browser, pytest.mark.long]

TOKEN = secrets.token_hex(16)
USER = "/user/x"
HUB = "hub.localhost"
"""A name that is not this machine's to CaveCast; browsers look no further for it, and take what is there for safe."""
STANDINGS = """() => {
  // Notes what the page says of its connection.
  const shown = document.querySelector('#connection');
  window.standings = [shown.dataset.kind];
  const note = () => { if (window.standings.at(-1) !== shown.dataset.kind) window.standings.push(shown.dataset.kind); };
  new MutationObserver(note).observe(shown, { attributes: true });
}"""


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Jupyter server with a token, under the prefix that a hub would give it."""
    home = tmp_path_factory.mktemp("jupyter")
    port = free()
    places = {f"JUPYTER_{what}_DIR": str(home / what.lower()) for what in ("CONFIG", "DATA", "RUNTIME")}
    command = tied(
        sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser", f"--port={port}", "--port-retries=0",
        "--ip=127.0.0.1", f"--ServerApp.base_url={USER}/", f"--ServerApp.root_dir={home}",
        f"--IdentityProvider.token={TOKEN}", "--ServerApp.allow_remote_access=True",
    )  # fmt: skip
    process = subprocess.Popen(command, env={**os.environ, **places, "HOME": str(home)})
    with ending(process):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert process.poll() is None, f"Jupyter ended with {process.returncode}: install cavecast[long]"
            assert time.monotonic() < deadline, "Jupyter does not answer"
            try:
                httpx.get(f"http://127.0.0.1:{port}{USER}/api").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield port


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    made = Plane(tmp_path_factory.mktemp("plane"))
    yield made
    made.kill()


class Visitor:
    """A browser that has signed in at Jupyter, and what it has complained of."""

    def __init__(self, context: BrowserContext, jupyter: str) -> None:
        self.page, self.complaints = context.new_page(), list[str]()
        self.page.goto(f"{jupyter}/api/status?token={TOKEN}")
        self.page.on("console", lambda said: self.complain(said.text) if said.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complain(str(error)))
        self.page.on("request", lambda asked: None if asked.url.startswith(jupyter) else self.complain(asked.url))

    def complain(self, what: str) -> None:
        self.complaints.append(what)


@contextmanager
def visiting(chromium: Browser, jupyter: str) -> Iterator[Visitor]:
    context = chromium.new_context(viewport={"width": 1024, "height": 640})
    context.set_default_timeout(1000 * PATIENCE_S)
    try:
        yield Visitor(context, jupyter)
    finally:
        context.close()


def works(visitor: Visitor, below: str) -> None:
    """A run is started from its first page, seen to its end, turned, and an object of it is chosen."""
    page = visitor.page
    page.goto(below)  # without a slash at its end
    page.get_by_role("link", name="New run").click()
    page.get_by_label("File or address").fill("sample:flood2021")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Variable")).to_have_value("ivt")
    page.get_by_label("Threshold").fill("400")
    page.get_by_role("button", name="Start run").click()
    page.wait_for_url(f"{below}/view/*")
    expect(page.locator("#badge")).to_have_text("Complete")
    expect(page.locator("#picture")).to_have_attribute("data-still", "true")
    turns(page)
    page.locator("#objects-table tbody tr").first.click()
    expect(page.locator("#life")).to_be_visible()
    page.get_by_title("All runs").click()
    expect(page).to_have_url(f"{below}/")
    expect(page.locator("#runs-list > li").first).to_contain_text("Complete")
    assert visitor.complaints == []


def turns(page: Page) -> None:
    """A drag turns the picture."""
    before = at_rest(page)
    drag(page, 140, 40)
    soon(page, lambda: apart(seen(page), before) > 4, "the picture turns")


def test_pages_pictures_and_input_work_below_a_jupyter_server(chromium: Browser, jupyter: int, plane: Plane) -> None:
    where = f"http://127.0.0.1:{jupyter}{USER}"
    with visiting(chromium, where) as visitor:
        works(visitor, f"{where}/proxy/{plane.port}")


def test_a_hubs_name_is_taken_from_a_proxy_that_is_said_to_let_nobody_else_by(
    chromium: Browser, jupyter: int, tmp_path: Path
) -> None:
    port, where = free(), f"http://{HUB}:{jupyter}{USER}"
    below = f"{where}/proxy/{port}"
    with started("serve", "--port", str(port), "--dir", str(tmp_path / "unnamed")) as plane:
        assert json.loads(line_within(plane.stdout))
        with visiting(chromium, where) as visitor:
            visitor.page.goto(below)
            expect(visitor.page.locator("body")).to_contain_text(f"the Host {HUB}:{jupyter} is not this machine")
    told = ("--public-url", f"{below}/", "--proxy-login", "--plain-http")
    with started("serve", "--port", str(port), "--dir", str(tmp_path / "named"), *told) as plane:
        assert json.loads(line_within(plane.stdout))
        with visiting(chromium, where) as visitor:
            works(visitor, below)


def test_a_page_of_another_site_gets_by_neither_jupyter_nor_us(jupyter: int, plane: Plane) -> None:
    signed_in = {"Authorization": f"token {TOKEN}"}
    where = f"127.0.0.1:{jupyter}{USER}/proxy/{plane.port}/api/v1/runs"
    for origin, status in (("http://evil.example", 403), (f"http://127.0.0.1:{jupyter}", 422)):
        answer = httpx.post(f"http://{where}", json={}, headers={**signed_in, "Origin": origin})
        assert answer.status_code == status, answer.text
        assert ("a page of http://evil.example may not use this server" in answer.text) == (status == 403)
    view = f"ws://{where}/{plane.run}/view"
    # Who comes with a token may be of anywhere to Jupyter, which takes the call before it calls us; a cookie may not.
    foreign = connect(view, origin=Origin("http://evil.example"), additional_headers=signed_in, proxy=None)
    with foreign as line, pytest.raises(ConnectionClosed):
        line.recv(timeout=PATIENCE_S)
    ours = Origin(f"http://127.0.0.1:{jupyter}")
    with connect(view, origin=ours, additional_headers=signed_in, proxy=None) as line:
        assert isinstance(line.recv(timeout=PATIENCE_S), bytes)


@pytest.mark.parametrize("seat", ["kept", "lost"])
def test_the_page_comes_back_by_itself_below_a_jupyter_server(
    chromium: Browser, jupyter: int, plane: Plane, seat: str
) -> None:
    where = f"http://127.0.0.1:{jupyter}{USER}"
    with visiting(chromium, where) as visitor:
        page = looks(visitor.page.context, f"{where}/proxy/{plane.port}/view/{plane.run}")
        turns(page)
        before = at_rest(page)
        page.evaluate(STANDINGS)
        plane.kill()
        # So long that it has called in vain: Jupyter takes the call, and then finds nobody.
        soon(page, lambda: page.evaluate("window.standings.length") >= 2, "the line is lost")
        expect(page.locator("#connection")).to_have_text("Reconnecting in 2 s")
        assert "live" not in page.evaluate("window.standings.slice(1)"), "nobody was there"
        if seat == "lost":
            (plane.folder / "seats.seal").unlink()
        plane.start()
        expect(page.locator("#connection")).to_have_attribute("data-kind", "live")
        soon(page, lambda: apart(at_rest(page), before) < 1, "the same picture")
        said = expect(page.locator("#complaints"))
        (said.to_contain_text if seat == "lost" else said.not_to_contain_text)("Your place in the view is not kept")
        turns(page)
