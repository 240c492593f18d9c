"""The page in a real Firefox, driven by WebDriver BiDi.

A longer test, which needs the package firefox-esr: ``make long-test``.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.whole import started, until_heard
from tests.ending import ending, line_within, lines_within

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
REFINED = (
    "document.querySelector('#picture').dataset.still === 'true' && "
    "document.querySelector('#picture').dataset.input === document.querySelector('#picture').dataset.asked"
)
SMALL = """(() => {
  const small = document.createElement("canvas");
  small.width = 96; small.height = 60;
  const pen = small.getContext("2d");
  pen.drawImage(document.querySelector("#picture"), 0, 0, 96, 60);
  return JSON.stringify([...pen.getImageData(0, 0, 96, 60).data]);
})()"""
HELD = DRAG[:-1]
"""A drag in which nobody has let go yet."""
VIDEO = "document.querySelector('#picture').dataset.video"
CAUGHT_UP = "(({ input, asked }) => input === asked)(document.querySelector('#picture').dataset)"
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


def decoders(folder: Path) -> dict[str, str]:
    """An environment in which Firefox finds FFmpeg's decoders by the names that it knows: it has none of H.264 itself.

    Those that come with PyAV have other names.
    """
    libraries = Path(av.__file__).parents[1] / "av.libs"
    folder.mkdir()
    for library in libraries.glob("libav*"):
        if found := re.fullmatch(r"(libav(?:codec|util))-\w+\.so\.(\d+)\..*", library.name):
            (folder / f"{found[1]}.so.{found[2]}").symlink_to(library)
    return {"LD_LIBRARY_PATH": f"{folder}:{libraries}"}


@contextmanager
def firefox(profile: Path, more: Mapping[str, str] | None = None) -> Iterator[str]:
    """A Firefox without a window; gives the address at which it is driven.  ``more``: of its environment."""
    profile.mkdir(exist_ok=True)
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    assert path, "this test needs Firefox: install the package firefox-esr"
    arguments = [path, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    process = subprocess.Popen(
        arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env={**os.environ, **(more or {})}
    )
    with ending(process):
        said = lines_within(process.stderr)
        yield f"{next(line.split()[-1] for line in said if 'WebDriver BiDi listening' in line)}/session"


@pytest.mark.long
def test_a_run_grows_turns_and_counts_in_firefox(tmp_path: Path) -> None:
    with started("serve", "--port", "0", "--log-level", "error") as plane:
        origin = json.loads(line_within(plane.stdout))["url"]
        wanted = {"input": "sample:flood2021", "threshold": 310, "pace_s": 4, "start": "first_viewer"}
        run = httpx.post(f"{origin}/api/v1/runs", json=wanted, timeout=60).raise_for_status().json()
        with firefox(tmp_path) as where:
            asyncio.run(look(where, origin, run))


@pytest.mark.long
def test_what_is_picked_stands_in_the_link_and_comes_back_in_firefox(tmp_path: Path) -> None:
    with started("serve", "--port", "0", "--log-level", "error") as plane:
        origin = json.loads(line_within(plane.stdout))["url"]
        wanted = {"input": "sample:flood2021", "threshold": 310, "layers": ["labels1", "field"]}
        run = httpx.post(f"{origin}/api/v1/runs", json=wanted, timeout=60).raise_for_status().json()
        until_heard(f"{origin}/api/v1/runs/{run['run_id']}", '"complete"')
        with firefox(tmp_path) as where:
            asyncio.run(pick(where, origin, run))


@pytest.fixture(scope="module")
def shown() -> Iterator[str]:
    """The page of a finished run, drawn with all detail also while it moves, so that nothing but the codec differs."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CAVECAST_FULL_DETAIL", "1")
        with started("serve", "--port", "0", "--log-level", "error") as plane:
            origin = json.loads(line_within(plane.stdout))["url"]
            wanted = {"input": "sample:flood2021", "threshold": 310}
            run = httpx.post(f"{origin}/api/v1/runs", json=wanted, timeout=60).raise_for_status().json()
            until_heard(f"{origin}/api/v1/runs/{run['run_id']}", '"complete"')
            yield origin + run["view_url"]


@pytest.mark.long
def test_a_page_that_asks_for_h264_moves_in_it_and_sees_what_the_still_shows_in_firefox(
    tmp_path: Path, shown: str
) -> None:
    async def story() -> None:
        async with opened(where, f"{shown}?codec=h264") as browser:
            before, moving, still = await moves(browser, "true")
            assert "H.264" in await browser.value("document.querySelector('#truth').textContent")
            assert await browser.value("document.querySelector('#complaints').textContent") == ""
            assert np.abs(still - before).mean() > 2, "the picture has turned"
            assert np.abs(moving - still).mean() < min(8.0, np.abs(still - before).mean())
            assert browser.console == []

    with firefox(tmp_path / "profile", decoders(tmp_path / "decoders")) as where:
        asyncio.run(story())


@pytest.mark.long
@pytest.mark.parametrize(("query", "words"), [("", ""), ("?codec=h264", "This browser does not decode H.264 here")])
def test_a_firefox_without_a_decoder_gets_jpeg_and_says_so_only_if_it_was_asked_for_more(
    tmp_path: Path, shown: str, query: str, words: str
) -> None:
    async def story() -> None:
        async with opened(where, shown + query) as browser:
            before, moving, still = await moves(browser, "false")
            said = await browser.value("document.querySelector('#complaints').textContent")
            assert (words in said) if words else (said == ""), said
            assert "H.264" not in await browser.value("document.querySelector('#truth').textContent")
            assert np.abs(still - before).mean() > 2, "the picture has turned"
            assert np.abs(moving - still).mean() < 8
            assert browser.console == []

    profile = tmp_path / "profile"
    profile.mkdir()
    (profile / "user.js").write_text('user_pref("media.ffmpeg.enabled", false);\n')
    with firefox(profile) as where:
        asyncio.run(story())


async def moves(browser: Firefox, video: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """What is seen before a drag, at its end while the button is still down, and when all is at rest again.

    ``video``: what the page says, while it is dragged, of whether its pictures are H.264.
    """
    before = await pixels(browser)
    held = {"type": "pointer", "id": "mouse", "actions": HELD}
    await browser.call("input.performActions", context=browser.page, actions=[held])
    await browser.value(UNTIL.format(f"{CAUGHT_UP} && {VIDEO} === '{video}'"))
    moving = np.array(json.loads(await browser.value(SMALL)), float)
    freed = {"type": "pointer", "id": "mouse", "actions": DRAG[-1:]}
    await browser.call("input.performActions", context=browser.page, actions=[freed])
    return before, moving, await pixels(browser)


@asynccontextmanager
async def opened(where: str, address: str) -> AsyncIterator[Firefox]:
    """A page in a Firefox."""
    async with connect(where, max_size=None) as socket:
        browser = Firefox(socket)
        await browser.call("session.new", capabilities={})
        await browser.call("session.subscribe", events=["log.entryAdded"])
        browser.page = (await browser.call("browsingContext.getTree"))["contexts"][0]["context"]
        await browser.call("browsingContext.setViewport", context=browser.page, viewport={"width": 1280, "height": 800})
        await browser.call("browsingContext.navigate", context=browser.page, url=address, wait="complete")
        yield browser


async def point(browser: Firefox, x: int, y: int, *, press: bool = False) -> None:
    """The pointer goes there, and presses if that is wanted."""
    actions: list[dict[str, Any]] = [{"type": "pointerMove", "x": x, "y": y}]
    if press:
        actions += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
    pointer = {"type": "pointer", "id": "mouse", "actions": actions}
    await browser.call("input.performActions", context=browser.page, actions=[pointer])


async def pixels(browser: Firefox) -> NDArray[np.float64]:
    """The refined picture, small."""
    await browser.value(UNTIL.format(REFINED))
    return np.array(json.loads(await browser.value(SMALL)), float)


async def pick(where: str, origin: str, run: dict[str, Any]) -> None:
    async with opened(where, origin + run["view_url"]) as browser:
        await browser.value(UNTIL.format(REFINED))
        answered = "Number(document.querySelector('#tip').dataset.answered ?? 0)"
        for x, y in ((x, y) for y in (400, 450, 350, 500, 300) for x in (430, 400, 460, 370, 490)):
            before = await browser.value(answered)
            await point(browser, x, y)
            await browser.value(UNTIL.format(f"{answered} > {before}"))
            if not await browser.value("document.querySelector('#tip').hidden"):
                break
        else:
            raise AssertionError("nothing is where the picture is")
        named = await browser.value("document.querySelector('#tip').textContent")
        assert "kg" in named, "the value is named"
        await point(browser, x, y, press=True)
        await browser.value(UNTIL.format("!document.querySelector('#chosen').hidden"))
        chosen = await browser.value("document.querySelector('tr.chosen').dataset.id")
        assert chosen in "".join(filter(str.isalnum, named))
        await browser.value(UNTIL.format("location.hash.includes('selected')"))
        mine, link = await pixels(browser), await browser.value("location.href")

        await browser.call("browsingContext.reload", context=browser.page, wait="complete")
        await browser.value(UNTIL.format(f"document.querySelector('tr.chosen')?.dataset.id === '{chosen}'"))
        assert np.abs(await pixels(browser) - mine).mean() < 1
        await browser.call("browsingContext.navigate", context=browser.page, url="about:blank", wait="complete")
        await browser.call("browsingContext.navigate", context=browser.page, url=link, wait="complete")
        await browser.value(UNTIL.format(f"document.querySelector('tr.chosen')?.dataset.id === '{chosen}'"))
        assert np.abs(await pixels(browser) - mine).mean() < 1
        await browser.value(UNTIL.format("document.querySelector('.spark .area')"))
        assert browser.console == []


async def look(where: str, origin: str, run: dict[str, Any]) -> None:
    async with opened(where, origin + run["view_url"]) as browser:
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
