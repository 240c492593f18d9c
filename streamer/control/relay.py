"""A browser's line to the renderer: one DEALER per browser, messages passed on unopened.

The renderer hears Opened first and Closed last; both come from here, never from the browser.  No
more is taken from the renderer than the browser's socket has taken before, so nothing queues up:
the renderer itself counts what the browser has acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, cast

import zmq
import zmq.asyncio
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from streamer.control.dealer import Dealer
from streamer.control.view_lines import ViewLine
from streamer.dial import lock
from streamer.wire.keys import Keys
from streamer.wire.view import (
    FRAME_HEADER,
    KEEP,
    LAST,
    MAX_UP,
    NOTE,
    Frame,
    Opened,
    decode_frame,
    encode_closed,
    encode_frame,
    encode_goodbye,
    encode_opened,
    of_relay,
)

IN_FLIGHT = 4
"""Messages that ZeroMQ may hold for one browser."""
MAX_DOWN_BYTES = 64 << 20
LAST_S = 2.0
"""The renderer has so long, once a browser has gone, to say what is to be kept of its view."""

# Codes of a closed WebSocket: two of RFC 6455, and five of our own, of which 4503 is worth coming again,
# and 4403 without the token of the seat: it is not taken, or what it was given for is not allowed any more.
TOO_LARGE, NOT_BINARY = 1009, 1003
NO_VIEW, VIEW_OVER, RENDERER_GONE = 4404, 4410, 4503
GARBAGE, NO_SEAT = 4400, 4403
OWN_VIEW = Opened()
SLOWEST_S = 30.0
"""A browser that takes nothing for so long has gone."""
HANG_UP_S = 2.0
"""So long may a browser take to take our last word; one that reads nothing never does."""


async def relay(
    browser: WebSocket,
    context: zmq.asyncio.Context,
    views: str,
    gone: asyncio.Event,
    keys: Keys | None = None,
    opened: Opened = OWN_VIEW,
    line: ViewLine | None = None,
    barred: Callable[[], Coroutine[Any, Any, str]] | None = None,
    slowest_s: float = SLOWEST_S,
) -> None:
    """Passes messages both ways until one side leaves or ``gone`` says that the renderer has.

    ``opened``: which view the browser comes to, and what it may there, as the renderer is told.  ``line``: what is
    known of that view besides, and where what the renderer wants to be kept goes.  ``barred`` returns when the
    browser may not go on, with the reason.  One that takes nothing for ``slowest_s`` is let go.

    The WebSocket has been accepted already; it is closed here unless the browser did.
    """
    dealer = _dealer(context, views, keys)
    pace = Pace(slowest_s)
    code, why = 1000, ""
    try:
        await dealer.send(encode_opened(opened))
        # Before anything that the browser says: what is kept of a view comes before what its page begins with.
        while line is not None and (news := line.now()) is not None:
            await dealer.send(news)
        ways = [
            asyncio.create_task(_up(browser, dealer)),
            asyncio.create_task(_down(dealer, browser, line, pace)),
            asyncio.create_task(_until(gone)),
            asyncio.create_task(pace.lost()),
        ]
        if line is not None:
            ways.append(asyncio.create_task(_tell(line, dealer)))
        if barred is not None:
            ways.append(asyncio.create_task(_barred(barred)))
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            code, why = next(iter(done)).result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
    finally:
        with contextlib.suppress(zmq.ZMQError):
            dealer.offer(encode_closed())
        try:
            await hang_up(browser, code, why)
            me = asyncio.current_task()
            if line is not None and not gone.is_set() and me is not None and not me.cancelling():
                await _last(dealer, line)
        finally:
            dealer.close()


def note(said: dict[str, str]) -> bytes:
    """A note of the control plane's own."""
    return encode_frame(Frame(NOTE, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0)) + json.dumps(said).encode()


def farewell(raw: bytes) -> str | None:
    """Why the renderer does not listen to the browser any more, if that is what a message says."""
    if raw[1:2] != bytes((NOTE,)) or not decode_frame(raw).flags & LAST:
        return None
    return str(json.loads(raw[FRAME_HEADER:]).get("text", ""))


async def hang_up(browser: WebSocket, code: int, why: str) -> None:
    """Closes the WebSocket with a reason that the page can show, said before as well, if it is open and takes that."""
    if WebSocketState.DISCONNECTED in (browser.application_state, browser.client_state):
        return
    with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
        async with asyncio.timeout(HANG_UP_S):
            if why:
                await browser.send_bytes(encode_goodbye(code, why))
            await browser.close(code, why.encode()[:120].decode("utf-8", "ignore"))


class Pace:
    """How long the browser has been taking what is sent to it: one clock for all messages, instead of one for each."""

    def __init__(self, slowest_s: float = SLOWEST_S) -> None:
        self._since, self._slowest_s = inf, slowest_s

    def begins(self) -> None:
        """A message is being sent."""
        self._since = time.monotonic()

    def ends(self) -> None:
        """It has been taken."""
        self._since = inf

    async def lost(self) -> tuple[int, str]:
        """Returns when the browser has taken nothing for too long."""
        while True:
            await asyncio.sleep(self._slowest_s / 5)
            if time.monotonic() - self._since >= self._slowest_s:
                return 1000, ""


def _dealer(context: zmq.asyncio.Context, views: str, keys: Keys | None) -> Dealer:
    # Not one of the shadow of the context, which would not know it when it is destroyed.
    plain = cast("zmq.Context[zmq.Socket[bytes]]", context)
    socket = plain.socket(zmq.DEALER, socket_class=zmq.Socket)
    try:
        socket.setsockopt(zmq.SNDHWM, 64)
        socket.setsockopt(zmq.RCVHWM, IN_FLIGHT)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_DOWN_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        if keys is not None:
            lock(socket, keys, keys.peers["renderer"])
        socket.connect(views)
        return Dealer(socket)
    except BaseException:
        socket.close(0)
        raise


async def _up(browser: WebSocket, dealer: Dealer) -> tuple[int, str]:
    while True:
        message = await browser.receive()
        if message["type"] == "websocket.disconnect":
            return 1000, ""
        raw = message.get("bytes")
        if raw is None:
            return NOT_BINARY, "this line carries binary messages only"
        if len(raw) > MAX_UP:
            return TOO_LARGE, f"a message of {len(raw)} bytes; {MAX_UP} are allowed"
        if of_relay(raw):
            return NOT_BINARY, "only the relay says that a viewer has come or gone"
        await dealer.send(raw)


async def _tell(line: ViewLine, dealer: Dealer) -> tuple[int, str]:
    while True:
        await dealer.send(await line.news())


async def _down(dealer: Dealer, browser: WebSocket, line: ViewLine | None, pace: Pace) -> tuple[int, str]:
    try:
        while True:
            raw = await dealer.recv()
            if raw[1:2] == bytes((KEEP,)):
                if line is not None:
                    line.keep(raw[FRAME_HEADER:])
                continue
            if (why := farewell(raw)) is not None:
                return GARBAGE, why
            pace.begins()
            await browser.send_bytes(raw)
            pace.ends()
    except (WebSocketDisconnect, RuntimeError):
        return 1000, ""


async def _last(dealer: Dealer, line: ViewLine) -> None:
    """What the browser did last is kept too, if it was the last one and the renderer says so soon."""
    with contextlib.suppress(TimeoutError, zmq.ZMQError):
        async with asyncio.timeout(LAST_S):
            while True:
                raw = await dealer.recv()
                if raw[1:2] == bytes((KEEP,)):
                    line.keep(raw[FRAME_HEADER:])
                    return


async def _barred(barred: Callable[[], Coroutine[Any, Any, str]]) -> tuple[int, str]:
    return NO_SEAT, await barred()


async def _until(gone: asyncio.Event) -> tuple[int, str]:
    await gone.wait()
    return RENDERER_GONE, "the renderer has gone; reconnect in a moment"
