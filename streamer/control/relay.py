"""A browser's line to the renderer: one DEALER per browser, messages passed on unopened.

The renderer hears Opened first and Closed last; both come from here, never from the browser.  No
more is taken from the renderer than the browser's socket has taken before, so nothing queues up:
the renderer itself counts what the browser has acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib

import zmq
import zmq.asyncio
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from streamer.dial import lock
from streamer.wire.keys import Keys
from streamer.wire.view import MAX_UP, encode_presence

IN_FLIGHT = 4
"""Messages that ZeroMQ may hold for one browser."""
MAX_DOWN_BYTES = 64 << 20
FAREWELL_MS = 300

# Codes of a closed WebSocket: two of RFC 6455, and three of our own, of which only the last is worth coming again.
TOO_LARGE, NOT_BINARY = 1009, 1003
NO_VIEW, VIEW_OVER, RENDERER_GONE = 4404, 4410, 4503
SLOWEST_S = 30.0
"""A browser that takes nothing for so long has gone."""


async def relay(
    browser: WebSocket,
    context: zmq.asyncio.Context,
    views: str,
    gone: asyncio.Event,
    keys: Keys | None = None,
) -> None:
    """Passes messages both ways until one side leaves or ``gone`` says that the renderer has.

    The WebSocket has been accepted already; it is closed here unless the browser did.
    """
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.SNDHWM, 64)
    dealer.setsockopt(zmq.RCVHWM, IN_FLIGHT)
    dealer.setsockopt(zmq.MAXMSGSIZE, MAX_DOWN_BYTES)
    dealer.setsockopt(zmq.RECONNECT_IVL, 50)
    if keys is not None:
        lock(dealer, keys, keys.peers["renderer"])
    dealer.connect(views)
    code, why = 1000, ""
    try:
        await dealer.send(encode_presence("opened"))
        ways = [
            asyncio.create_task(_up(browser, dealer)),
            asyncio.create_task(_down(dealer, browser)),
            asyncio.create_task(_until(gone)),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            code, why = next(iter(done)).result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
    finally:
        with contextlib.suppress(zmq.ZMQError):
            await dealer.send(encode_presence("closed"), zmq.DONTWAIT)
        dealer.close(linger=FAREWELL_MS)
        await hang_up(browser, code, why)


async def hang_up(browser: WebSocket, code: int, why: str) -> None:
    """Closes the WebSocket with a reason that the page can show, if it is still open."""
    if WebSocketState.DISCONNECTED in (browser.application_state, browser.client_state):
        return
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await browser.close(code, why.encode()[:120].decode("utf-8", "ignore"))


async def _up(browser: WebSocket, dealer: zmq.asyncio.Socket) -> tuple[int, str]:
    while True:
        message = await browser.receive()
        if message["type"] == "websocket.disconnect":
            return 1000, ""
        raw = message.get("bytes")
        if raw is None:
            return NOT_BINARY, "this line carries binary messages only"
        if len(raw) > MAX_UP:
            return TOO_LARGE, f"a message of {len(raw)} bytes; {MAX_UP} are allowed"
        if raw[:1] in (b"\x03", b"\x04"):
            return NOT_BINARY, "only the relay says that a viewer has come or gone"
        await dealer.send(raw)


async def _down(dealer: zmq.asyncio.Socket, browser: WebSocket) -> tuple[int, str]:
    try:
        while True:
            frames = await dealer.recv_multipart()
            async with asyncio.timeout(SLOWEST_S):
                await browser.send_bytes(frames[0] if len(frames) == 1 else b"".join(frames))
    except (WebSocketDisconnect, RuntimeError, TimeoutError):
        return 1000, ""


async def _until(gone: asyncio.Event) -> tuple[int, str]:
    await gone.wait()
    return RENDERER_GONE, "the renderer has gone; reconnect in a moment"
