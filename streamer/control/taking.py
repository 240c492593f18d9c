"""Has a renderer make a picture or a film, and passes the file on as it is made.

A line of its own to the renderer's door for viewers, one wish on it.  What has been passed on is acknowledged, so that
no more than a few pieces are ever on their way; when whoever asked has gone the line is closed, and it is given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import zmq
import zmq.asyncio

from streamer.control.schema import Problem
from streamer.dial import lock
from streamer.wire.header import Refused
from streamer.wire.keys import Keys
from streamer.wire.taking import Wish, encode_taking
from streamer.wire.view import (
    FILE,
    FRAME_HEADER,
    LAST,
    NOTE,
    Acknowledged,
    Frame,
    decode_frame,
    encode_ack,
    encode_closed,
)

IN_FLIGHT = 8
MAX_PIECE_BYTES = 4 << 20
MOST_BYTES = 256 << 20
"""Of a file."""
FIRST_S, NEXT_S = 120.0, 60.0
"""So long a file's first piece is waited for, others may be made before it; and each of the next ones."""
FAREWELL_MS = 300


class Taken:
    """A file that is being made.  Its pieces are asked for once; close it when done."""

    def __init__(self, context: zmq.asyncio.Context, views: str, gone: asyncio.Event, keys: Keys | None) -> None:
        self._gone = gone
        self._dealer = context.socket(zmq.DEALER)
        self._dealer.setsockopt(zmq.RCVHWM, IN_FLIGHT)
        self._dealer.setsockopt(zmq.MAXMSGSIZE, MAX_PIECE_BYTES)
        self._dealer.setsockopt(zmq.RECONNECT_IVL, 50)
        if keys is not None:
            lock(self._dealer, keys, keys.peers["renderer"])
        self._dealer.connect(views)
        self._first = (Frame(0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0), b"")

    async def begin(self, wish: Wish) -> Frame:
        """Waits for the first piece; its header.  Raises Problem."""
        try:
            await self._dealer.send(encode_taking(wish))
        except Refused as why:
            raise Problem(422, str(why)) from None
        self._first = await self._piece(FIRST_S)
        return self._first[0]

    async def pieces(self) -> AsyncIterator[bytes]:
        """The file.  Raises Problem where it ends before its end."""
        frame, piece = self._first
        nbytes = 0
        try:
            while True:
                nbytes += len(piece)
                if nbytes > MOST_BYTES:
                    raise Problem(503, f"the renderer made a file of more than {MOST_BYTES:,} bytes")
                yield piece
                if frame.flags & LAST:
                    return
                await self._dealer.send(encode_ack(Acknowledged(frame.frame, 0.0)))
                frame, piece = await self._piece(NEXT_S)
        finally:
            self.close()

    def close(self) -> None:
        """Hangs up; what is not made yet is given up."""
        if not self._dealer.closed:
            with contextlib.suppress(zmq.ZMQError):
                zmq.Socket.shadow(self._dealer).send(encode_closed(), zmq.NOBLOCK)
            self._dealer.close(linger=FAREWELL_MS)

    async def _piece(self, within_s: float) -> tuple[Frame, bytes]:
        came, left = asyncio.ensure_future(self._dealer.recv()), asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait((came, left), timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            if not came.done():
                gone = "has gone" if self._gone.is_set() else f"has made nothing for {within_s:g} s"
                raise Problem(503, f"the renderer {gone}: try again in a moment")
            raw = came.result()
        finally:
            for one in (came, left):
                one.cancel()
            await asyncio.gather(came, left, return_exceptions=True)
        try:
            frame = decode_frame(raw)
            if frame.codec == NOTE:
                said = json.loads(raw[FRAME_HEADER:])
                raise Problem(429 if said.get("status") == 429 else 503, str(said.get("text", "")))
            if frame.codec != FILE:
                raise Refused(f"a frame of codec {frame.codec} in the place of a piece")
        except (Refused, ValueError) as why:
            raise Problem(503, f"the renderer sent {why}") from None
        return frame, raw[FRAME_HEADER:]
