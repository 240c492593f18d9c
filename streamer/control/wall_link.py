"""The control plane's line to a wall's conductor: one question at a time, each with a deadline.

A conductor that does not answer is asked again on a fresh connection: what is still on its way would be taken for
the next answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import count
from typing import Any, TypeVar

import msgspec
import zmq
import zmq.asyncio

from streamer.control.link import NoAnswer
from streamer.dial import lock
from streamer.wire.conducting import MAX_ANSWER, Answer, Ask, Change, Message, Refuse, Viewed, WallNews, encode, heard
from streamer.wire.header import Refused
from streamer.wire.keys import Keys

DEADLINE_S = 3.0
Record = TypeVar("Record")


class ConductorLink:
    """Asks the conductor at ``address``.  Close it when done.  Questions raise NoAnswer."""

    def __init__(self, context: zmq.asyncio.Context, address: str, keys: Keys | None = None) -> None:
        self.address = address
        self._context, self._keys = context, keys
        self._socket: zmq.asyncio.Socket | None = None
        self._turn = asyncio.Lock()
        self._requests = count(1)

    async def figures(self) -> WallNews:
        """How the wall stands."""
        request = next(self._requests)
        return _read(await self._ask(Ask(request, "figures"), request), WallNews)

    async def view(self) -> Viewed:
        """What the wall shows."""
        request = next(self._requests)
        return _read(await self._ask(Ask(request, "view"), request), Viewed)

    async def change(self, changes: Mapping[str, Any], base: str = "") -> Viewed:
        """Changes some of what it shows (see ``conducting.Change``); what it shows then, and whether it could."""
        request, raw = next(self._requests), msgspec.msgpack.encode(changes)
        return _read(await self._ask(Change(request, base), request, raw), Viewed)

    def close(self) -> None:
        """Hangs up."""
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None

    async def _ask(self, question: Message, request: int, payload: bytes = b"") -> bytes:
        try:
            async with asyncio.timeout(DEADLINE_S), self._turn:
                try:
                    socket = self._socket or self._connect()
                    await socket.send_multipart([encode(question), payload] if payload else [encode(question)])
                    while True:
                        answer, came = heard(await socket.recv_multipart())
                        if isinstance(answer, Refuse):
                            raise NoAnswer(f"the conductor refused: {answer.reason}")
                        if answer == Answer(request):
                            return came
                except BaseException:
                    self.close()
                    raise
        except TimeoutError:
            asked = type(question).__name__
            raise NoAnswer(f"the wall's conductor did not answer {asked} within {DEADLINE_S:g} s") from None
        except Refused as why:
            raise NoAnswer(f"the wall's conductor answered what is no message: {why}") from None

    def _connect(self) -> zmq.asyncio.Socket:
        self._socket = socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_ANSWER)
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        if self._keys is not None:
            lock(socket, self._keys, self._keys.peers["renderer"])
        socket.connect(self.address)
        return socket


def _read(raw: bytes, kind: type[Record]) -> Record:
    try:
        return msgspec.msgpack.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as why:
        raise NoAnswer(f"the wall's conductor answered what is no {kind.__name__}: {why}") from None
