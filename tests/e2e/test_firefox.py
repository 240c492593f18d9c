"""The page in a real Firefox, driven by WebDriver BiDi.

A longer test, which needs the package firefox-esr: ``make long-test``.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.whole import started

LIMIT_S = 60
DRAG = [
    {"type": "pointerMove", "x": 400, "y": 400},
    {"type": "pointerDown", "button": 0},
    *({"type": "pointerMove", "x": 400 + 20 * i, "y": 400, "duration": 30} for i in range(1, 11)),
    {"type": "pointerUp", "button": 0},
]
UNTIL = """new Promise((done, fail) => {{
  const end = performance.now() + 60000;
  const look = () => ({0}) ? done(true) : performance.now() > end ? fail(new Error('never')) : setTimeout(look, 50);
  look();
}})"""
FRAME = "Number(document.querySelector('#picture').dataset.frame)"


class Firefox:
    """One page of a Firefox; what it writes on its console is kept."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0
        self.page = ""
        self.console: list[str] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            said = json.loads(await asyncio.wait_for(self._socket.recv(), LIMIT_S + 10))
            if said.get("method") == "log.entryAdded":
                self.console.append(str(said["params"].get("text")))
            if said.get("id") == self._number:
                assert said["type"] == "success", said
                result: dict[str, Any] = said["result"]
                return result

    async def value(self, expression: str) -> Any:
        target = {"context": self.page}
        found = await self.call("script.evaluate", expression=expression, target=target, awaitPromise=True)
        assert found["type"] == "success", found
        return found["result"].get("value")


@pytest.mark.long
def test_a_run_grows_turns_and_counts_in_firefox(tmp_path: Path) -> None:
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    assert path, "this test needs Firefox: install the package firefox-esr"
    with started("serve", "--port", "0", "--log-level", "error") as plane:
        assert plane.stdout is not None
        origin = json.loads(plane.stdout.readline())["url"]
        wanted = {"input": "sample:flood2021", "threshold": 310, "pace_s": 4, "start": "first_viewer"}
        run = httpx.post(f"{origin}/api/v1/runs", json=wanted, timeout=60).raise_for_status().json()
        arguments = [path, "--headless", "--no-remote", "--profile", str(tmp_path), "--remote-debugging-port", "0"]
        firefox = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        try:
            assert firefox.stderr is not None
            where = next(line.split()[-1] for line in firefox.stderr if "WebDriver BiDi listening" in line)
            asyncio.run(look(f"{where}/session", origin, run))
        finally:
            firefox.terminate()
            firefox.communicate(timeout=20)


async def look(where: str, origin: str, run: dict[str, Any]) -> None:
    async with connect(where, max_size=None) as socket:
        browser = Firefox(socket)
        await browser.call("session.new", capabilities={})
        await browser.call("session.subscribe", events=["log.entryAdded"])
        browser.page = (await browser.call("browsingContext.getTree"))["contexts"][0]["context"]
        await browser.call("browsingContext.setViewport", context=browser.page, viewport={"width": 1280, "height": 800})
        await browser.call(
            "browsingContext.navigate", context=browser.page, url=origin + run["view_url"], wait="complete"
        )

        await browser.value(UNTIL.format("document.querySelector('#badge').textContent === 'Complete'"))
        assert await browser.value(FRAME) > 1  # it has grown while nobody touched it
        async with httpx.AsyncClient() as client:
            status = (await client.get(f"{origin}/api/v1/runs/{run['run_id']}")).json()["status"]
        count = f"document.querySelector('#objects-count').textContent === '{status['objects']}'"
        await browser.value(UNTIL.format(count))

        before = await browser.value(FRAME)
        pointer = {"type": "pointer", "id": "mouse", "actions": DRAG}
        await browser.call("input.performActions", context=browser.page, actions=[pointer])
        await browser.value(UNTIL.format(f"{FRAME} > {before}"))
        assert browser.console == []
