"""The browser's line to the renderer, over a real WebSocket and real ZeroMQ."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
import zmq
import zmq.asyncio
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from streamer.control.relay import NOT_BINARY, RENDERER_GONE, TOO_LARGE, relay
from streamer.wire.view import MAX_UP, Closed, Opened, decode_up

DEADLINE_S = 10.0
OPENED, CLOSED = Opened(), Closed()


class Bench:
    """A relay between a browser's end and a renderer's end, both held by the test."""

    def __init__(self, renderer: zmq.asyncio.Socket, port: int, gone: asyncio.Event) -> None:
        self.renderer, self.port, self.gone = renderer, port, gone

    def browser(self) -> connect:
        return connect(f"ws://127.0.0.1:{self.port}/", compression=None, max_size=None, proxy=None)

    async def heard(self) -> tuple[bytes, bytes]:
        peer, message = await asyncio.wait_for(self.renderer.recv_multipart(), DEADLINE_S)
        return peer, message

    async def opened(self) -> bytes:
        peer, message = await self.heard()
        assert decode_up(message) == OPENED
        return peer


@contextlib.asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    context = zmq.asyncio.Context()
    renderer = context.socket(zmq.ROUTER)
    renderer.setsockopt(zmq.ROUTER_MANDATORY, 1)
    renderer.setsockopt(zmq.SNDHWM, 2)
    address = f"ipc://{folder}/views"
    renderer.bind(address)
    gone = asyncio.Event()

    async def endpoint(browser: WebSocket) -> None:
        await browser.accept()
        await relay(browser, context, address, gone)

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Starlette(routes=[WebSocketRoute("/", endpoint)]), log_config=None, lifespan="off", ws_per_message_deflate=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve(sockets=[listening]))
    try:
        yield Bench(renderer, listening.getsockname()[1], gone)
    finally:
        server.should_exit = True
        await serving
        context.destroy(linger=0)


async def closed(browser: ClientConnection) -> tuple[int, str]:
    async def consume() -> None:
        while True:
            await browser.recv()

    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(consume(), DEADLINE_S)
    assert browser.close_code is not None
    return browser.close_code, browser.close_reason or ""


def test_messages_pass_both_ways_unopened_between_opened_and_closed(tmp_path: Path) -> None:
    async def story() -> None:
        async with bench(tmp_path) as at:
            async with at.browser() as browser:
                peer = await at.opened()
                await browser.send(b"\x01anything at all\xff")
                assert await at.heard() == (peer, b"\x01anything at all\xff")
                picture = bytes(range(256)) * 4000
                await at.renderer.send_multipart([peer, picture])
                assert await asyncio.wait_for(browser.recv(), DEADLINE_S) == picture
            peer_again, last = await at.heard()
            assert (peer_again, decode_up(last)) == (peer, CLOSED)

    asyncio.run(story())


def test_each_browser_has_a_line_of_its_own(tmp_path: Path) -> None:
    async def story() -> None:
        async with bench(tmp_path) as at, at.browser() as first, at.browser() as second:
            one, two = await at.opened(), await at.opened()
            assert one != two
            await second.send(b"\x01b")
            speaker, _ = await at.heard()
            other = one if speaker == two else two
            await at.renderer.send_multipart([speaker, b"for the second"])
            await at.renderer.send_multipart([other, b"for the first"])
            assert await second.recv() == b"for the second"
            assert await first.recv() == b"for the first"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\x01" + b"x" * MAX_UP, TOO_LARGE),
        ("text", NOT_BINARY),
        (b"\x03\x01", NOT_BINARY),
        (b"\x04\x01", NOT_BINARY),
    ],
    ids=["too long", "text", "says it has opened", "says it has closed"],
)
def test_a_browser_that_says_what_it_may_not_is_let_go(tmp_path: Path, message: bytes | str, code: int) -> None:
    async def story() -> None:
        async with bench(tmp_path) as at, at.browser() as browser:
            peer = await at.opened()
            await browser.send(message)
            assert (await closed(browser))[0] == code
            assert await at.heard() == (peer, b"\x04\x01"), "nothing of it reached the renderer"

    asyncio.run(story())


def test_when_the_renderer_goes_the_browser_is_told_to_come_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with bench(tmp_path) as at, at.browser() as browser:
            await at.opened()
            at.gone.set()
            code, why = await closed(browser)
            assert code == RENDERER_GONE
            assert "reconnect" in why

    asyncio.run(story())


def test_a_browser_that_does_not_read_holds_up_the_renderer_and_not_our_memory(tmp_path: Path) -> None:
    async def story() -> None:
        async with bench(tmp_path) as at, at.browser() as browser:
            peer = await at.opened()
            browser.transport.pause_reading()
            picture = b"x" * (1 << 20)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 200:  # without a limit all 200 MB would lie in the relay
                    await asyncio.wait_for(at.renderer.send_multipart([peer, picture]), 1.0)
                    sent += 1
            assert sent < 60
            browser.transport.resume_reading()
            for _ in range(sent):
                assert await asyncio.wait_for(browser.recv(), DEADLINE_S) == picture

    asyncio.run(story())
