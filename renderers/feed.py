"""The line to the streamer, in a thread of its own: entries in, unpacked for the thread that draws.

Unpacking (zstd, CRC-32C) happens here, so the drawing thread only gets arrays.  What waits between the
two is bounded by the credit: the streamer sends no more before the drawing thread has used something up.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from math import ceil
from typing import NamedTuple

import msgspec
import numpy as np
import structlog
import zmq
from numpy.typing import NDArray
from zmq.utils.monitor import parse_monitor_message

from renderers.follow import ANEW_S, PARTS, WINDOW_MESSAGES, Anew, Ask, Begin, Follower, Stand, Step, Take, Tell
from renderers.look import nearest_first
from renderers.scene import Piece
from streamer.wire.batch import Present
from streamer.wire.block import unpack_block, unpack_ids
from streamer.wire.codec import Buffer, crc32c
from streamer.wire.grid import Grid
from streamer.wire.header import MAX_PAYLOAD_BYTES, Refused, decode, encode
from streamer.wire.keys import Keys
from streamer.wire.line import EVENTS, Line
from streamer.wire.messages import FETCHED, Commit, Focus, Goodbye, Message
from streamer.wire.volume import RunSpec, decode_spec


class Started(NamedTuple):
    """A run's log has been opened; the scene starts anew."""

    spec: RunSpec
    epoch: str = ""
    """Names the log; positions of another one mean nothing here."""


class Arrived(NamedTuple):
    """An entry of the log, unpacked.  What it says depends on ``kind``."""

    number: int
    kind: str
    nbytes: int
    piece: Piece | None = None
    pairs: NDArray[np.uint64] | None = None
    chunks: tuple[int, ...] = ()
    state: str = ""
    fetched: bool = False
    """It was there before; it stands outside the order of the log."""


class There(NamedTuple):
    """What is there, as of its head; its chunks follow as ``Arrived``."""

    present: Present


class Told(NamedTuple):
    """Something that a person should know; empty when all is well again."""

    sentence: str


Event = Started | There | Arrived | Told


def unpack(grid: Grid, entry: Take) -> Arrived:
    """An entry as the drawing thread wants it.  Raises Refused if its bytes are not what they should be."""
    number, kind, payloads = entry.entry.number, entry.entry.kind, entry.payloads
    arrived = Arrived(number, kind, entry.nbytes, fetched=entry.entry.prev == FETCHED)
    if kind == "chunk":
        return arrived._replace(piece=_piece(grid, payloads))
    if kind in ("merges", "verdicts"):
        raw = _one(kind, payloads)
        if len(raw) % 16:
            raise Refused(f"{kind} of {len(raw)} bytes; a row has 16")
        return arrived._replace(pairs=np.frombuffer(raw, "<u8").reshape(-1, 2))
    if kind == "failed":
        raw = _one(kind, payloads[:1])  # the reason follows
        if len(raw) % 4:
            raise Refused(f"failed chunks in {len(raw)} bytes; a number has 4")
        return arrived._replace(chunks=tuple(c for c in np.frombuffer(raw, "<u4").tolist() if c < grid.size))
    if kind == "end":
        return arrived._replace(state=bytes(_one(kind, payloads)).decode("utf-8", "replace"))
    return arrived  # of a kind that a later version knows


def _one(kind: str, payloads: Sequence[Buffer]) -> Buffer:
    if len(payloads) != 1:
        raise Refused(f"an entry of kind {kind} with {len(payloads)} payloads; it has one")
    return payloads[0]


def _piece(grid: Grid, payloads: Sequence[Buffer]) -> Piece:
    if len(payloads) != 1 + len(PARTS):
        raise Refused(f"a chunk with {len(payloads)} payloads; {1 + len(PARTS)} were asked for")
    commit, _ = decode([memoryview(payloads[0])])
    if not isinstance(commit, Commit) or not 0 <= commit.chunk < grid.size:
        raise Refused("a chunk whose header is no commit of this grid")
    infos = {info.name: info for info in commit.parts}
    for name, raw in zip(PARTS, payloads[1:], strict=True):
        info = infos.get(name)
        if info is None or info.size != len(raw) or info.crc != crc32c(raw):
            raise Refused(f"chunk {commit.chunk}: part {name} differs from what its header says")
    z, y, x = grid.block_shape(commit.chunk)
    if not 0 <= commit.own <= commit.components <= z * y * x or commit.constant > commit.own:
        raise Refused(f"chunk {commit.chunk}: {commit.own} of {commit.components} components in {z * y * x} voxels")
    labels, seam, ids = payloads[1:]
    block = unpack_block(grid, commit, labels, seam)
    core = block[tuple(slice(0, n) for n in grid.core(commit.chunk).shape)]
    if int(block.max()) > commit.components:
        raise Refused(f"chunk {commit.chunk}: labels beyond its {commit.components} components")
    voxels = np.bincount(core.ravel(), minlength=commit.components + 1)
    return Piece(commit.chunk, block, commit.own, commit.components, unpack_ids(commit, ids), bytes(seam), voxels)


class FeedLine:
    """Follows a feed in a thread.  ``wake`` is a socket that becomes readable when there are events to ``take``."""

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
        here, there = f"inproc://wake-{secrets.token_hex(8)}", f"inproc://used-{secrets.token_hex(8)}"
        self.wake, self._waking = _pair(context, here)
        self._using, self._used_up = _pair(context, there)
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begins to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Says goodbye and ends the thread; returns when it has ended."""
        self._stop = True
        _ring(self._using)
        if self._thread.ident is not None:
            self._thread.join()
        else:
            self._waking.close(0)
            self._used_up.close(0)
        for socket in (self.wake, self._using):
            socket.close(0)

    def take(self) -> Event | None:
        """The next event, or None if there is none now.  Every Arrived is to be given back with ``used``."""
        return self._events.popleft() if self._events else None

    def used(self, arrived: Arrived) -> None:
        """An entry has been used up."""
        self._used.append(arrived.nbytes)
        _ring(self._using)

    def look(self, foci: Iterable[Focus]) -> None:
        """Viewers look there: the streamer is told, and what is near is fetched first."""
        self._looks.extend(foci)
        _ring(self._using)

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
                poller.register(self._used_up, zmq.POLLIN)
                poller.register(self._monitor, zmq.POLLIN)
                wait_s = max(0.0, min(follower.deadline(), self._line.deadline()) - time.monotonic())
                ready = dict(poller.poll(ceil(1000 * wait_s)))
                steps: list[Step] = []
                if self._used_up in ready:
                    hush(self._used_up)
                    while self._used:
                        steps += follower.used(self._used.popleft())
                    steps += self._looked(follower)
                if socket in ready:
                    steps += self._receive(socket, follower)
                steps += self._watch(time.monotonic())
                if time.monotonic() >= follower.deadline():
                    steps += follower.tick(time.monotonic())
                socket = self._carry_out(steps, socket, follower)
            self._send(socket, Goodbye())
        finally:
            self._hang_up(socket, 200)
            for end in (self._waking, self._used_up):
                end.close(0)

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
        if self._grid is not None and follower.missing:
            chunks = np.array([self._chunk_of[number] for number in follower.missing])
            foci = [focus for focus in self._foci.values() if focus.weight > 0]
            follower.missing = [follower.missing[i] for i in nearest_first(self._grid, chunks, foci).tolist()]

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
        self._give(arrived)
        return []

    def _give(self, event: Event) -> None:
        self._events.append(event)
        _ring(self._waking)

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


def _pair(context: zmq.Context[zmq.Socket[bytes]], address: str) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
    ends = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    for end in ends:
        end.setsockopt(zmq.LINGER, 0)
        end.setsockopt(zmq.SNDHWM, 1)
        end.setsockopt(zmq.RCVHWM, 1)
    ends[0].bind(address)
    ends[1].connect(address)
    return ends


def _ring(socket: zmq.Socket[bytes]) -> None:
    """Makes the other end readable; once is enough."""
    try:
        socket.send(b"", zmq.NOBLOCK)
    except zmq.Again:
        return


def hush(socket: zmq.Socket[bytes]) -> None:
    """Reads all rings."""
    while True:
        try:
            socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return
