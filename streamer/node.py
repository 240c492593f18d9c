"""The streamer's shell: two ROUTER sockets, one thread, and the hub that decides.

A peer whose pipe is full only stays where it is: its entry is tried again.  A peer that is gone is
forgotten when something is to be sent to it.  What waits for one peer in ZeroMQ is bounded by a few
messages, because credit and not the high-water mark is what lets entries go.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from math import ceil
from types import FrameType

import msgspec
import structlog
import zmq

from streamer.doors import Doors, Opening, take
from streamer.exposition import Endpoint
from streamer.figures import RunFigures, Tally
from streamer.hub import Door, Hub, Send
from streamer.keeper import Keeper
from streamer.record import BadLog, LogBroken
from streamer.wire.codec import Buffer
from streamer.wire.grid import Grid
from streamer.wire.header import MAX_PAYLOAD_BYTES, Refused, decode, encode
from streamer.wire.keys import Keys, out_of_role
from streamer.wire.messages import AskFigures, Entry, Figures

BATCH = 64
"""Messages that are taken from a door, and entries that are given out, before the others have their turn."""
TURN_BYTES = 2 << 20
"""Bytes after which a door has had its turn: what has come is passed on while the processor has it at hand."""
COPIED = 1 << 20
"""Bytes up to which a part that was read from the log is copied into its message: what pyzmq does to lend it, and to
learn that ZeroMQ needs it no more (a message to a thread of its own), costs more."""
FEED_PIPE, INGEST_PIPE = 16, 64
"""Messages that may wait for one peer."""
MOST_ANSWERS = 1024
"""Leases and acknowledgements that may wait for one worker: more than there can be, for one that is lost costs time."""
MAX_QUESTION = 1 << 16
"""Bytes of a frame from a subscriber."""
LONGEST_S = 1.0
OF_THE_LOG = (BadLog, LogBroken)
"""What no peer is to blame for: all that is said hangs on the log."""
_GONE = (zmq.EHOSTUNREACH,)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
_NOBLOCK = int(zmq.NOBLOCK)


class Node:
    """Listens at two addresses for one hub; with keys, to those alone who have one of the run's.  Raises BadAddress."""

    def __init__(
        self,
        hub: Hub,
        grid: Grid,
        ingest: str,
        feed: str,
        clock: Callable[[], float],
        keys: Keys | None = None,
        keeper: Keeper | None = None,
        run_id: str = "",
        endpoint: Endpoint | None = None,
    ) -> None:
        self._hub, self._clock, self._keeper = hub, clock, keeper
        self._log = structlog.get_logger("streamer")
        self.counts: Counter[str] = Counter()
        self._tally = Tally(run_id, hub, clock())
        self._endpoint, self._show_at = endpoint, 0.0
        with ExitStack() as undo:
            self._context = zmq.Context()
            undo.callback(self._context.destroy, linger=0)
            openings: dict[str, Opening] = {
                "ingest": Opening(ingest, INGEST_PIPE, largest_part(grid), MOST_ANSWERS),
                "feed": Opening(feed, FEED_PIPE, MAX_QUESTION),
            }
            self._doors = Doors(self._context, openings, keys)
            self._sockets: dict[Door, zmq.Socket[bytes]] = {
                "ingest": self._doors.sockets["ingest"],
                "feed": self._doors.sockets["feed"],
            }
            undo.pop_all()

    @property
    def addresses(self) -> tuple[str, str]:
        """Where it listens, in words that a peer can connect to: (ingest, feed)."""
        return self._doors.address("ingest"), self._doors.address("feed")

    def close(self) -> None:
        """Hangs up; what peers have not read yet is dropped, and they will ask again."""
        self._doors.close()
        self._context.destroy(linger=0)

    def run(self) -> int:
        """Serves until SIGTERM (returns 0) or SIGINT (returns 130).  To be called from the main thread.

        Raises LogBroken, or LogDamaged, when the log fails it: with one of these the process is to end.
        """
        with signals() as (wake, caught):
            poller = zmq.Poller()
            poller.register(wake, zmq.POLLIN)
            for source in (*self._sockets.values(), *self._doors.others):
                poller.register(source, zmq.POLLIN)
            if self._keeper is not None:
                poller.register(self._keeper.wake, zmq.POLLIN)
            more, state = False, ""
            while not caught:
                wait_s = 0.0 if more else min(max(self._hub.deadline() - self._clock(), 0.0), LONGEST_S)
                ready = dict(poller.poll(ceil(wait_s * 1000)))
                more = False
                if any(other in ready for other in self._doors.others):
                    self._doors.attend(self._clock())
                for door, socket in self._sockets.items():
                    if socket in ready:
                        more |= self._receive(door, socket)
                now = self._clock()
                if now >= self._hub.deadline():
                    self._send(self._hub.tick(now))
                if self._keeper is not None:
                    if self._keeper.wake in ready:
                        self._keeper.rang()
                    self._send(self._keeper.turn(now))
                more |= self._drain(now)
                self._tally.turn(*self._hub.log_length, now)
                if self._endpoint is not None and now >= self._show_at:
                    self._show_at = now + LONGEST_S
                    self._endpoint.show(self.figures(now))
                if self._hub.state != state:
                    state = self._hub.state
                    self._log.info("run", state=state, **self._hub.counts(now))
        return 130 if caught[0] == signal.SIGINT else 0

    def figures(self, now: float) -> RunFigures:
        """The run in figures."""
        reasons = ("undecodable", "out_of_role", "ignored", "dropped", "full", "gone")
        doors = {reason: self.counts[reason] for reason in reasons}
        return self._tally.figures({**doors, "not_let_in": self._doors.refused}, now)

    def _receive(self, door: Door, socket: zmq.Socket[bytes]) -> bool:
        """Takes what has come, up to a batch; returns whether there may be more.

        What is to be said because of it goes out together, so that a peer wakes up once for all of it.
        """
        sends: list[Send] = []
        more = self._hear(door, socket, sends)
        self._send(sends)
        return more

    def _hear(self, door: Door, socket: zmq.Socket[bytes], sends: list[Send]) -> bool:
        taken = 0
        for _ in range(BATCH):
            try:
                frames = take(socket)
            except zmq.Again:
                return False
            peer = frames[0].bytes
            if self._hub.aside(door, peer, self._clock()):
                self.counts["ignored"] += 1
                continue
            try:
                role = self._doors.role(frames[0])
                views = [frame.buffer for frame in frames[1:]]
                sends += self._take(door, peer, role, views)
            except OF_THE_LOG:
                raise
            except Exception:
                # One peer's message must not end the run for all the others.
                self._drop(door, peer)
                continue
            taken += sum(map(len, views))
            if taken >= TURN_BYTES:
                break
        return True

    def _drop(self, door: Door, peer: bytes) -> None:
        """Lets go of a peer because of the exception that is being handled."""
        self._log.exception("dropped", door=door, peer=peer.hex())
        self.counts["dropped"] += 1
        self._hub.forget(door, peer)

    def _take(self, door: Door, peer: bytes, role: str, frames: Sequence[memoryview]) -> list[Send]:
        now = self._clock()
        try:
            message, payloads = decode(frames)
        except Refused as why:
            self.counts["undecodable"] += 1
            self._log.warning("undecodable", door=door, peer=peer.hex(), why=str(why))
            return self._hub.garbled(door, peer, str(why), now)
        if message is None:
            return []  # a name that a later version knows
        if role and (why_not := out_of_role(role, message)):
            self.counts["out_of_role"] += 1
            self._log.warning("out of role", door=door, peer=peer.hex(), why=why_not)
            return self._hub.garbled(door, peer, why_not, now)
        if isinstance(message, AskFigures) and door == "feed":
            return [Send(door, peer, Figures(message.request), [msgspec.msgpack.encode(self.figures(now))])]
        self._tally.heard(message, payloads, now)
        decide = self._hub.ingest if door == "ingest" else self._hub.feed
        return decide(peer, message, payloads, now)

    def _drain(self, now: float) -> bool:
        """Gives out entries, up to a batch; returns whether there may be more."""
        return self._send(islice(self._hub.drain_feed(now), BATCH)) == BATCH

    def _send(self, sends: Iterable[Send]) -> int:
        """Sends all; returns how many there were."""
        number = 0
        for send in sends:
            number += 1
            try:
                self._say(send)
            except Exception:
                self._drop(send.door, send.peer)
        return number

    def _say(self, send: Send) -> None:
        if send.door == "ingest":
            self._tally.said(send.message, self._clock())
        socket, header = self._sockets[send.door], encode(send.message)
        try:
            # Part by part: what pyzmq does besides for many parts costs more than the parts.
            socket.send(send.peer, _MORE)
            if not send.payloads:
                socket.send(header, _NOBLOCK)
                return
            socket.send(header, _MORE)
            last = len(send.payloads) - 1
            for place, raw in enumerate(send.payloads):
                part = _as_it_came(raw)
                copy = part is raw and len(raw) <= COPIED
                socket.send(part, _NOBLOCK if place == last else _MORE, copy=copy)
        except zmq.Again:
            self.counts["full"] += 1
            # All but entries are said again when they are asked for again.
            self._hub.stuck(send, self._clock())
        except zmq.ZMQError as why:
            if why.errno not in _GONE:
                raise
            self.counts["gone"] += 1
            if not isinstance(send.message, Entry):
                self._log.info("peer gone", door=send.door, peer=send.peer.hex())
            self._hub.forget(send.door, send.peer)


def _as_it_came(raw: Buffer) -> Buffer | zmq.Frame:
    """The ZeroMQ frame whose bytes these are, if they are one's: that is passed on without a copy of anything."""
    frame: object = raw.obj if isinstance(raw, memoryview) else None
    return frame if isinstance(frame, zmq.Frame) and len(frame) == len(raw) else raw


def largest_part(grid: Grid) -> int:
    """The most bytes that one part of a chunk may have: its statistics if each voxel were a component of its own."""
    z, y, x = grid.chunk
    return min(max(1 << 20, 128 * z * y * x), MAX_PAYLOAD_BYTES)


@contextmanager
def signals() -> Iterator[tuple[int, list[int]]]:
    """A descriptor that becomes readable at SIGTERM or SIGINT, and the signals that came."""
    caught: list[int] = []
    read, write = os.pipe()
    os.set_blocking(write, False)

    def note(number: int, _: FrameType | None) -> None:
        caught.append(number)
        with suppress(BlockingIOError):
            os.write(write, b"\0")

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield read, caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(read)
        os.close(write)


def clock() -> float:
    """Seconds from some fixed point."""
    return time.monotonic()
