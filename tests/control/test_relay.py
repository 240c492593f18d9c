"""The browser's line to the renderer, over a real WebSocket and real ZeroMQ."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
import uvicorn
import zmq
import zmq.asyncio
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from streamer.control.dealer import Dealer
from streamer.control.relay import GARBAGE, NOT_BINARY, RENDERER_GONE, SLOWEST_S, TOO_LARGE, _dealer, relay
from streamer.control.view_lines import ViewLine
from streamer.wire.view import JPEG, KEEP, LAST, MAX_UP, NOTE, Closed, Frame, Opened, decode_up, encode_frame

DEADLINE_S = 10.0
OPENED, CLOSED = Opened(), Closed()


class Bench:
    """A relay between a browser's end and a renderer's end, both held by the test."""

    def __init__(self, renderer: zmq.asyncio.Socket, port: int, gone: asyncio.Event) -> None:
        self.renderer, self.port, self.gone = renderer, port, gone
        self.left = asyncio.Event()
        """Set when a browser's line has been put away."""

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
async def bench(folder: Path, line: ViewLine | None = None, slowest_s: float = SLOWEST_S) -> AsyncIterator[Bench]:
    context = zmq.asyncio.Context()
    renderer = context.socket(zmq.ROUTER)
    renderer.setsockopt(zmq.ROUTER_MANDATORY, 1)
    renderer.setsockopt(zmq.SNDHWM, 2)
    address = f"ipc://{folder}/views"
    renderer.bind(address)
    gone = asyncio.Event()

    async def endpoint(browser: WebSocket) -> None:
        await browser.accept()
        await relay(browser, context, address, gone, line=line, slowest_s=slowest_s)
        at.left.set()

    listening = socket.create_server(("127.0.0.1", 0))
    at = Bench(renderer, listening.getsockname()[1], gone)
    config = uvicorn.Config(
        Starlette(routes=[WebSocketRoute("/", endpoint)]), log_config=None, lifespan="off", ws_per_message_deflate=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve(sockets=[listening]))
    try:
        yield at
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


def test_what_is_kept_of_a_view_goes_both_ways_and_the_browser_hears_nothing_of_it(tmp_path: Path) -> None:
    async def story() -> None:
        line = ViewLine()
        line.tell(b"\x24first")
        async with bench(tmp_path, line) as at, at.browser() as browser:
            await browser.send(b"\x01said at once")
            peer = await at.opened()
            assert (await at.heard())[1] == b"\x24first", "before anything that the browser says"
            assert (await at.heard())[1] == b"\x01said at once"
            line.tell(b"\x24second")
            assert (await at.heard())[1] == b"\x24second"
            keep = encode_frame(Frame(KEEP, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0))
            for state in (b"{1}", b"{2}"):
                await at.renderer.send_multipart([peer, keep + state])
            await at.renderer.send_multipart([peer, b"a picture"])
            assert await asyncio.wait_for(browser.recv(), DEADLINE_S) == b"a picture"
            assert await line.wants() == b"{2}", "the newest"
            await browser.send(b"\x24forged")
            assert (await closed(browser))[0] == NOT_BINARY
            line.end()
            assert await line.wants() is None

    asyncio.run(story())


def test_what_the_last_browser_did_is_kept_when_it_has_gone(tmp_path: Path) -> None:
    async def story() -> None:
        line = ViewLine()
        async with bench(tmp_path, line) as at:
            async with at.browser():
                peer = await at.opened()
            assert decode_up((await at.heard())[1]) == CLOSED
            keep = encode_frame(Frame(KEEP, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0))
            for message in (b"a picture on its way", keep + b"{last}"):
                await at.renderer.send_multipart([peer, message])
            assert await asyncio.wait_for(line.wants(), DEADLINE_S) == b"{last}"

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
        (b"\x03\x02\x02\x00", NOT_BINARY),
        (b"\x04\x02", NOT_BINARY),
    ],
    ids=["too long", "text", "says it has opened", "says it has closed"],
)
def test_a_browser_that_says_what_it_may_not_is_let_go(tmp_path: Path, message: bytes | str, code: int) -> None:
    async def story() -> None:
        async with bench(tmp_path) as at, at.browser() as browser:
            peer = await at.opened()
            await browser.send(message)
            assert (await closed(browser))[0] == code
            assert await at.heard() == (peer, b"\x04\x02"), "nothing of it reached the renderer"

    asyncio.run(story())


def test_who_is_not_listened_to_any_more_is_let_go_with_the_renderers_sentence_and_nobody_else(tmp_path: Path) -> None:
    async def story() -> None:
        async with bench(tmp_path) as at, at.browser() as rude:
            peer = await at.opened()
            async with at.browser() as polite:
                other = await at.opened()
                header = Frame(NOTE, LAST, 0, 0, 0, 0, 0, 0, 0.0, 0.0)
                await at.renderer.send_multipart([peer, encode_frame(header) + b'{"text": "that was garbage"}'])
                assert await closed(rude) == (GARBAGE, "that was garbage")
                # A picture whose flags have the same bit is none of the relay's business.
                picture = encode_frame(header._replace(codec=JPEG)) + b"pixels"
                await at.renderer.send_multipart([other, picture])
                assert await asyncio.wait_for(polite.recv(), DEADLINE_S) == picture

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


def test_a_browser_that_never_reads_again_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.control.relay.HANG_UP_S", 0.1)

    async def story() -> None:
        async with bench(tmp_path, slowest_s=0.5) as at, at.browser() as browser:
            peer = await at.opened()
            browser.transport.pause_reading()

            async def draws() -> None:
                with contextlib.suppress(zmq.ZMQError):  # the line is not there any more
                    while True:
                        await at.renderer.send_multipart([peer, b"x" * (1 << 20)])

            drawing = asyncio.create_task(draws())
            try:
                assert decode_up((await at.heard())[1]) == CLOSED
                await asyncio.wait_for(at.left.wait(), DEADLINE_S)
            finally:
                drawing.cancel()
                browser.transport.abort()

    asyncio.run(story())


async def exchange(folder: Path) -> None:
    """ZeroMQ tells of news once: whoever sends takes notice of it too, and the receiver is still to hear of it."""
    context = zmq.asyncio.Context()
    router = context.socket(zmq.ROUTER)
    router.bind(f"ipc://{folder}/line")
    plain = cast("zmq.Context[zmq.Socket[bytes]]", context)
    socket = plain.socket(zmq.DEALER, socket_class=zmq.Socket)
    socket.setsockopt(zmq.SNDHWM, 1)
    socket.connect(f"ipc://{folder}/line")
    dealer = Dealer(socket)
    rounds = 300
    try:

        async def echo() -> None:
            for _ in range(rounds):
                peer, message = await router.recv_multipart()
                await router.send_multipart([peer, message, b"again"])

        async def say() -> None:
            for number in range(rounds):
                await dealer.send(b"%d " % number)

        async def hear() -> list[bytes]:
            return [await dealer.recv() for _ in range(rounds)]

        heard, *_ = await asyncio.wait_for(asyncio.gather(hear(), say(), echo()), DEADLINE_S)
        assert heard == [b"%d again" % number for number in range(rounds)]
    finally:
        dealer.close()
        router.close(0)
        context.term()


def test_a_context_that_is_destroyed_takes_the_lines_of_browsers_with_it(tmp_path: Path) -> None:
    async def story() -> bool:
        context = zmq.asyncio.Context()
        dealer = _dealer(context, f"ipc://{tmp_path}/views", None)
        context.destroy(linger=0)  # it would wait for ever for a socket that it does not know
        return dealer._socket.closed

    assert asyncio.run(story())


def test_a_dealer_hears_what_came_while_it_sent(tmp_path: Path) -> None:
    asyncio.run(exchange(tmp_path))
