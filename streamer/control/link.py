"""The control plane's line to a run's streamer: it asks, and the streamer answers.

One question at a time and each with a deadline, so that neither side can be flooded.  A streamer
that does not answer is asked again on a fresh connection, with a new Hello: it may have been
restarted and know nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from itertools import count

import msgspec
import zmq
import zmq.asyncio
from zmq.utils.monitor import parse_monitor_message

from streamer.dial import lock
from streamer.figures import RunFigures
from streamer.relay_figures import RelayFigures
from streamer.wire.header import MAX_PAYLOAD_BYTES, VERSION, Refused, decode, encode
from streamer.wire.keys import Keys, Role
from streamer.wire.line import EVENTS, Line
from streamer.wire.messages import (
    AskFigures,
    AskStatus,
    AskTable,
    Command,
    Figures,
    Hello,
    Message,
    Pulse,
    Refuse,
    Status,
    Table,
    Welcome,
)
from streamer.wire.status import Course, ObjectPage, RunStatus

DEADLINE_S = 5.0
_figures = msgspec.msgpack.Decoder(RunFigures)
_relay_figures = msgspec.msgpack.Decoder(RelayFigures)
_status = msgspec.msgpack.Decoder(RunStatus)
_page = msgspec.msgpack.Decoder(ObjectPage)
_courses = msgspec.msgpack.Decoder(list[Course])


class NoAnswer(RuntimeError):
    """The streamer did not answer before the deadline, or answered with no: which question, and why."""


class StreamerLink:
    """Asks the streamer at ``address`` (its feed), or a relay.  Close it when done."""

    def __init__(
        self,
        context: zmq.asyncio.Context,
        address: str,
        name: str = "control",
        keys: Keys | None = None,
        server: Role = "streamer",
    ) -> None:
        self._context, self._address, self._name, self._keys, self._server = context, address, name, keys, server
        self._line = Line("control plane", server, address, 1 if keys else 0)
        self._socket: zmq.asyncio.Socket | None = None
        self._monitor: zmq.asyncio.Socket | None = None
        self._turn = asyncio.Lock()
        self._requests = count(1)

    async def status(self, *, with_chunks: bool = False, deadline_s: float = DEADLINE_S) -> tuple[RunStatus, bytes]:
        """How the run stands, and one byte of state per chunk if asked for (else empty).  Raises NoAnswer."""
        number = next(self._requests)
        payloads = await self._ask(AskStatus(number, with_chunks), Status(number), deadline_s)
        return _status.decode(payloads[0]), bytes(payloads[1]) if len(payloads) > 1 else b""

    async def figures(self, *, deadline_s: float = DEADLINE_S) -> RunFigures:
        """The run in figures.  Raises NoAnswer."""
        number = next(self._requests)
        return _figures.decode((await self._ask(AskFigures(number), Figures(number), deadline_s))[0])

    async def relay_figures(self, *, deadline_s: float = DEADLINE_S) -> RelayFigures:
        """A relay in figures, if this is the line to one.  Raises NoAnswer."""
        number = next(self._requests)
        return _relay_figures.decode((await self._ask(AskFigures(number), Figures(number), deadline_s))[0])

    async def table(self, limit: int, object_id: int = 0, *, deadline_s: float = DEADLINE_S) -> ObjectPage:
        """The largest objects, or one with its life.  Raises NoAnswer."""
        number = next(self._requests)
        return _page.decode((await self._ask(AskTable(number, limit, object_id), Table(number), deadline_s))[0])

    async def courses(self, ids: Sequence[int], *, deadline_s: float = DEADLINE_S) -> list[Course]:
        """The lives of these objects in few points.  Raises NoAnswer."""
        number = next(self._requests)
        question = AskTable(number, courses_of=tuple(ids))
        return _courses.decode((await self._ask(question, Table(number), deadline_s))[0])

    async def command(self, what: str, *, deadline_s: float = DEADLINE_S) -> RunStatus:
        """``start``, ``pause``, ``resume`` or ``cancel``; returns the status after it.  Raises NoAnswer."""
        number = next(self._requests)
        questions = (Command(what), AskStatus(number))  # in order on one line, so the answer follows the deed
        return _status.decode((await self._ask(questions, Status(number), deadline_s))[0])

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.disable_monitor()
            self._socket.close(linger=0)
            self._socket = None
        if self._monitor is not None:
            self._monitor.close(linger=0)
            self._monitor = None

    async def _ask(
        self, question: Message | Sequence[Message], answer: Message, deadline_s: float
    ) -> Sequence[bytes | memoryview]:
        questions = (question,) if isinstance(question, Message) else question
        try:
            async with asyncio.timeout(deadline_s), self._turn:
                try:
                    socket = self._socket or await self._connect()
                    for one in questions:
                        await socket.send(encode(one))
                    return await self._answer(socket, answer)
                except BaseException:
                    self._look_why()
                    self.close()  # what is still on its way would be taken for the next answer
                    raise
        except TimeoutError:
            asked = type(questions[-1]).__name__
            why = f": {self._line.said}" if self._line.said else ""
            raise NoAnswer(f"the {self._server} did not answer {asked} within {deadline_s:g} s{why}") from None

    def _look_why(self) -> None:
        """Takes note of what has become of the connection."""
        if self._monitor is None:
            return
        now = asyncio.get_running_loop().time()
        with contextlib.suppress(zmq.Again):
            plain: zmq.Socket[bytes] = zmq.Socket.shadow(self._monitor)
            while True:
                event = parse_monitor_message(plain.recv_multipart(zmq.NOBLOCK))
                self._line.event(str(zmq.Event(event["event"]).name), event["value"], now)

    async def _connect(self) -> zmq.asyncio.Socket:
        self._socket = socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_PAYLOAD_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        self._monitor = socket.get_monitor_socket(sum(zmq.Event[name] for name in EVENTS))
        if self._keys is not None:
            lock(socket, self._keys, self._keys.peers[self._server])
        socket.connect(self._address)
        await socket.send(encode(Hello(VERSION, "control", self._name)))
        while True:
            message, _ = decode(await socket.recv_multipart())
            if isinstance(message, Welcome):
                return socket
            if isinstance(message, Refuse):
                raise NoAnswer(f"the {self._server} refused the control plane: {message.reason}")

    async def _answer(self, socket: zmq.asyncio.Socket, answer: Message) -> Sequence[bytes | memoryview]:
        while True:
            try:
                message, payloads = decode(await socket.recv_multipart())
            except Refused as why:
                raise NoAnswer(f"the streamer's answer is no message: {why}") from None
            if message == answer:
                return payloads
            if isinstance(message, Refuse):
                raise NoAnswer(f"the streamer refused: {message.reason}")
            if isinstance(message, Pulse):
                await socket.send(encode(Pulse()))
