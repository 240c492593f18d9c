"""The line to the streamer, in a thread of its own: entries in, unpacked for the thread that draws.

Unpacking (zstd, CRC-32C) happens here, so the drawing thread only gets arrays.  What waits between the
two is bounded by the credit: the streamer sends no more before the drawing thread has used something up.
Chunks whose labels have left the log are read from the archive's store (``renderers.stored``); those for
which there is no room there are fetched once more later.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from math import ceil

import msgspec
import numpy as np
import structlog
import zmq
from zmq.utils.monitor import parse_monitor_message

from renderers.bell import Bell
from renderers.entries import Arrived, Event, Started, There, Told, unpack
from renderers.follow import (
    ANEW_S,
    WINDOW_MESSAGES,
    Anew,
    Ask,
    Begin,
    Elsewhere,
    Follower,
    Stand,
    Step,
    Take,
    Tell,
)
from renderers.look import nearest_first
from renderers.shelf import Shelf
from streamer.wire.codec import Buffer
from streamer.wire.grid import Grid
from streamer.wire.header import MAX_PAYLOAD_BYTES, Refused, decode, encode
from streamer.wire.keys import Keys
from streamer.wire.line import EVENTS, Line
from streamer.wire.messages import FETCHED, Focus, Goodbye, Message
from streamer.wire.volume import decode_spec

__all__ = ["Arrived", "Event", "FeedLine", "Started", "There", "Told", "unpack"]


class FeedLine:
    """Follows a feed in a thread.  ``wake`` rings when there are events to ``take``."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], address: str, name: str, keys: Keys | None = None
    ) -> None:
        self._context, self._address, self._name, self._keys = context, address, name, keys
        self._line = Line("renderer", "streamer", address, len(keys.servers) if keys else 0)
        self._monitor: zmq.Socket[bytes] | None = None
        self._log = structlog.get_logger("renderer.feed")
        self._events: deque[Event] = deque()
        self._used: deque[int] = deque()
        self._looks: deque[Focus] = deque()
        self._foci: dict[int, Focus] = {}
        self._chunk_of: dict[int, int] = {}
        """Of the entries that are fetched, the chunks."""
        self._grid: Grid | None = None
        self._left: deque[int] = deque()
        """Entries to be read from the store for which there was no room yet."""
        self._shelf = Shelf(self._bring)
        self.wake, self._used_up, self._read = Bell(), Bell(), Bell()
        self._brought: deque[Event] = deque()
        """From the thread that reads the store."""
        self._stop = False
        self.heard_at = time.monotonic()
        """When anything came last."""
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begins to follow."""
        self.heard_at = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Says goodbye and ends the thread; returns when it has ended."""
        self._stop = True
        self._used_up.ring()
        if self._thread.ident is not None:
            self._thread.join()
        for end in (self.wake, self._used_up, self._read):
            end.close()

    def take(self) -> Event | None:
        """The next event, or None if there is none now.  Every Arrived is to be given back with ``used``."""
        return self._events.popleft() if self._events else None

    def used(self, arrived: Arrived) -> None:
        """An entry has been used up."""
        if arrived.stored:
            self._shelf.used(arrived)
        else:
            self._used.append(arrived.nbytes)
        self._used_up.ring()

    def look(self, foci: Iterable[Focus]) -> None:
        """Viewers look there: the streamer is told, and what is near is fetched first."""
        self._looks.extend(foci)
        self._used_up.ring()

    @property
    def waiting(self) -> int:
        """Events that can be taken."""
        return len(self._events)

    # ------------------------------------------------------------------ in the thread

    def _run(self) -> None:
        follower = Follower(self._name, time.monotonic(), late=True)
        socket = self._call()
        self._send(socket, follower.hello(time.monotonic()))
        try:
            while not self._stop:
                poller = zmq.Poller()
                poller.register(socket, zmq.POLLIN)
                poller.register(self._used_up.fileno(), zmq.POLLIN)
                poller.register(self._read.fileno(), zmq.POLLIN)
                poller.register(self._monitor, zmq.POLLIN)
                wait_s = max(0.0, min(follower.deadline(), self._line.deadline()) - time.monotonic())
                ready = dict(poller.poll(ceil(1000 * wait_s)))
                steps: list[Step] = []
                if self._used_up.fileno() in ready:
                    self._used_up.hush()
                    while self._used:
                        steps += follower.used(self._used.popleft())
                    steps += self._looked(follower)
                    steps += self._again(follower)
                if self._read.fileno() in ready:
                    self._read.hush()
                    while self._brought:
                        self._give(self._brought.popleft())
                if socket in ready:
                    steps += self._receive(socket, follower)
                steps += self._watch(time.monotonic())
                if time.monotonic() >= follower.deadline():
                    steps += follower.tick(time.monotonic())
                socket = self._carry_out(steps, socket, follower)
            self._send(socket, Goodbye())
        finally:
            self._hang_up(socket, 200)
            self._shelf.stop()

    def _looked(self, follower: Follower) -> list[Step]:
        steps: list[Step] = []
        while self._looks:
            focus = self._looks.popleft()
            self._foci[focus.view] = focus
            steps.append(focus)
        if steps:
            self._sort(follower)
        return steps

    def _sort(self, follower: Follower) -> None:
        """What is missing of the present state, the nearest to where people look first."""
        if self._grid is None:
            return
        foci = [focus for focus in self._foci.values() if focus.weight > 0]
        for waiting in (follower.coarse, follower.missing):
            # What is fetched once more is no part of the present state.
            known = [number for number in waiting if number in self._chunk_of]
            rest = [number for number in waiting if number not in self._chunk_of]
            chunks = np.array([self._chunk_of[number] for number in known], np.int64)
            waiting[:] = [known[i] for i in nearest_first(self._grid, chunks, foci).tolist()] + rest

    def _watch(self, now: float) -> list[Step]:
        """Why there is no connection, for people, and whether it is to be made anew."""
        assert self._monitor is not None, "there is a socket"
        steps: list[Step] = []
        while self._monitor.poll(0):
            event = parse_monitor_message(self._monitor.recv_multipart())
            if said := self._line.event(str(zmq.Event(event["event"]).name), event["value"], now):
                steps.append(Tell(f"{said[:1].upper()}{said[1:]}."))
        return [*steps, Anew()] if self._line.redial(now) else steps

    def _receive(self, socket: zmq.Socket[bytes], follower: Follower) -> list[Step]:
        frames = [frame.buffer for frame in socket.recv_multipart(copy=False)]
        self.heard_at = time.monotonic()
        try:
            message, payloads = decode(frames)
        except Refused as why:
            return [Tell(f"The streamer sent what is no message: {why}."), Anew()]
        return [] if message is None else follower.receive(message, payloads, time.monotonic())

    def _carry_out(self, steps: list[Step], socket: zmq.Socket[bytes], follower: Follower) -> zmq.Socket[bytes]:
        """Does what the follower says; returns the socket, which may be a new one."""
        waiting = deque(steps)
        while waiting:
            match waiting.popleft():
                case Begin(spec):
                    waiting.extendleft(reversed(self._begin(spec, follower.epoch)))
                case Stand(present):
                    self._chunk_of = dict(zip(present.numbers.tolist(), present.chunks.tolist(), strict=True))
                    self._sort(follower)
                    self._give(There(present))
                case Take() as entry:
                    waiting.extendleft(reversed(self._unpack(entry, follower)))
                case Elsewhere(_, store):
                    self._shelf.at(store)
                case Tell(sentence):
                    if sentence:
                        self._log.warning("feed", said=sentence)
                    self._give(Told(sentence))
                case Anew():
                    self._hang_up(socket, 0)
                    socket = self._call()
                    self._send(socket, follower.hello(time.monotonic()))
                    return socket
                case Ask(message, payloads):
                    self._send(socket, message, payloads)
                case message:
                    self._send(socket, message)
        return socket

    def _begin(self, raw: Buffer, epoch: str) -> list[Step]:
        try:
            spec = decode_spec(bytes(raw))
        except (msgspec.MsgspecError, ValueError) as why:
            return [Tell(f"The streamer's specification of the run cannot be read: {why}.")]
        self._grid = spec.grid
        self._chunk_of.clear()
        self._left.clear()
        self._shelf.open(spec.grid)
        self._give(Started(spec, epoch))
        return []

    def _unpack(self, entry: Take, follower: Follower) -> list[Step]:
        if self._grid is None:
            return follower.used(entry.nbytes)
        try:
            arrived = unpack(self._grid, entry)
        except (ValueError, OverflowError, MemoryError) as why:  # Refused is one of them
            return follower.damaged(entry, str(why), time.monotonic())
        follower.intact()
        if isinstance(arrived, Arrived):
            self._give(arrived)
            return []
        if entry.level:  # the store has the whole labels alone
            return follower.used(entry.nbytes)
        if self._shelf.room:
            self._shelf.put(arrived)
        else:
            self._left.append(arrived.number)
        if entry.entry.prev == FETCHED:
            return follower.used(entry.nbytes)
        # In the order of the log it counts like any other entry: the position moves on.
        self._give(Arrived(arrived.number, "evicted", entry.nbytes))
        return []

    def _again(self, follower: Follower) -> list[Step]:
        """Fetches once more what there was no room for at the store, now that there is."""
        if not self._left or not self._shelf.room:
            return []
        return follower.fetch(self._left.popleft())

    def _bring(self, event: Event) -> None:
        """In the thread that reads the store."""
        if not self._stop:
            self._brought.append(event)
            self._read.ring()

    def _give(self, event: Event) -> None:
        self._events.append(event)
        self.wake.ring()

    def _call(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, WINDOW_MESSAGES + 4)
        socket.setsockopt(zmq.SNDHWM, 64)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_PAYLOAD_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, int(1000 * ANEW_S / 2))
        if self._keys is not None:
            socket.setsockopt(zmq.CURVE_PUBLICKEY, self._keys.public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret)
            socket.setsockopt(zmq.CURVE_SERVERKEY, self._keys.servers[self._line.key])
        self._monitor = socket.get_monitor_socket(sum(zmq.Event[name] for name in EVENTS))
        socket.connect(self._address)
        return socket

    def _hang_up(self, socket: zmq.Socket[bytes], linger_ms: int) -> None:
        socket.disable_monitor()
        if self._monitor is not None:
            self._monitor.close(0)
        socket.close(linger_ms)

    def _send(self, socket: zmq.Socket[bytes], message: Message, payloads: Sequence[Buffer] = ()) -> None:
        try:
            socket.send_multipart([encode(message), *payloads], zmq.NOBLOCK)
        except zmq.Again:
            self._log.debug("full", message=type(message).__name__)  # silence will make it start anew
