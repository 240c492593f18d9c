"""A relay's shell: a ROUTER for those that it serves, a DEALER to its source, and the log between them.

What comes from the source is checked, appended and only then served; the room that it took is given back
to the source when it is in the log, so a relay whose disk is full or slow waits, and nothing piles up.
"""

from __future__ import annotations

import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from itertools import islice
from math import ceil, inf
from pathlib import Path

import msgspec
import structlog
import zmq

from streamer.dial import Dialled
from streamer.doors import Doors, Opening
from streamer.feed import Send
from streamer.index import CHUNKS
from streamer.log import Log
from streamer.node import BATCH, FEED_PIPE, LONGEST_S, MAX_QUESTION, signals
from streamer.relay import Relay, Up
from streamer.wire.batch import BATCH_BYTES, Sent
from streamer.wire.block import EXTRA, PARTS
from streamer.wire.codec import Buffer, crc32c
from streamer.wire.follow import ANEW_S, Anew, Ask, Begin, Follower, Step, Take, Tell, Wants
from streamer.wire.header import MAX_PAYLOAD_BYTES, Refused, decode, encode
from streamer.wire.keys import Keys, out_of_role
from streamer.wire.messages import Command, Commit, Goodbye, Message, Refuse
from streamer.wire.volume import RunSpec, decode_spec

WINDOW_BYTES, WINDOW_MESSAGES = 32 << 20, 1024
_GONE = (zmq.EHOSTUNREACH,)


class RelayNode:
    """Copies the log behind ``source`` and serves it at ``feed``.  Raises BadAddress.

    ``run`` is a file that says of which run the log is, or that is to say so.  Raises ValueError if it says nonsense.
    """

    def __init__(
        self, source: str, log: Log, run: Path, feed: str, name: str,
        clock: Callable[[], float], keys: Keys | None = None,
    ) -> None:  # fmt: skip
        self._source, self._log, self._run, self._clock, self._keys = source, log, run, clock, keys
        self._say = structlog.get_logger("relay")
        self.counts: Counter[str] = Counter()
        now = clock()
        self._relay: Relay | None = None
        spec = msgspec.json.decode(run.read_bytes(), type=RunSpec) if run.exists() else None
        if spec is not None:
            self._serve(spec)
        wants = Wants("relay", name, (*PARTS, *EXTRA), WINDOW_BYTES, WINDOW_MESSAGES, BATCH_BYTES)
        epoch, read = (log.epoch, log.head) if spec is not None else ("", 0)
        self._follower = Follower(wants, now, epoch, read)
        self._waiting: deque[Take] = deque()
        """Taken from the source, and not in the log because the disk is full."""
        self._retry = inf
        with ExitStack() as undo:
            self._context = zmq.Context()
            undo.callback(self._context.destroy, linger=0)
            self._doors = Doors(self._context, {"feed": Opening(feed, FEED_PIPE, MAX_QUESTION)}, keys)
            self._socket = self._doors.sockets["feed"]
            self._up = self._call()
            undo.pop_all()

    @property
    def address(self) -> str:
        """Where it listens."""
        return self._doors.address("feed")

    def close(self) -> None:
        """Hangs up."""
        self._up.close()
        self._doors.close()
        self._context.destroy(linger=0)

    def _serve(self, spec: RunSpec) -> None:
        structlog.contextvars.bind_contextvars(run=spec.run_id)
        self._relay = Relay(spec, self._log, self._clock())

    def run(self) -> int:
        """Serves until SIGTERM (returns 0) or SIGINT (returns 130).  To be called from the main thread."""
        with signals() as (wake, caught):
            self._tell(self._follower.hello(self._clock()))
            more = False
            while not caught:
                poller = zmq.Poller()  # anew: the line to the source may be another one
                for source in (wake, self._socket, self._up.socket, self._up.monitor, *self._doors.others):
                    poller.register(source, zmq.POLLIN)
                now = self._clock()
                times = [self._follower.deadline(), self._retry, now + LONGEST_S]
                if self._relay is not None:
                    times.append(self._relay.deadline(now))
                ready = dict(poller.poll(0 if more else ceil(1000 * max(0.0, min(times) - now))))
                if any(other in ready for other in self._doors.others):
                    self._doors.attend(self._clock())
                if self._up.attend(self._clock()):
                    self._tell(self._follower.hello(self._clock()))
                more = self._from_source() if self._up.socket in ready else False
                more |= self._from_peers() if self._socket in ready else False
                more |= self._turn(self._clock())
            self._tell(Goodbye())
        return 130 if caught[0] == signal.SIGINT else 0

    def _turn(self, now: float) -> bool:
        """What the time brings, and entries for those who asked."""
        if now >= self._retry:
            self._retry = inf
            self._copy()
        if now >= self._follower.deadline():
            self._carry_out(self._follower.tick(now))
        if self._relay is None:
            return False
        self._send(self._relay.tick(now))
        return self._send(islice(self._relay.drain_feed(now), BATCH)) == BATCH

    # ------------------------------------------------------------ the source

    def _call(self) -> Dialled:
        line = Dialled(self._context, self._source, "relay", self._keys, self._say)
        line.socket.setsockopt(zmq.LINGER, 0)
        line.socket.setsockopt(zmq.RCVHWM, WINDOW_MESSAGES)
        line.socket.setsockopt(zmq.MAXMSGSIZE, MAX_PAYLOAD_BYTES)
        line.socket.setsockopt(zmq.RECONNECT_IVL, 50)
        line.socket.setsockopt(zmq.RECONNECT_IVL_MAX, int(1000 * ANEW_S / 2))
        line.connect()
        return line

    def _from_source(self) -> bool:
        for _ in range(BATCH):
            try:
                frames = self._up.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return False
            try:
                message, payloads = decode([frame.buffer for frame in frames])
            except Refused as why:
                self._carry_out([Tell(f"The source sent what is no message: {why}."), Anew()])
                return True
            if message is None:
                continue
            steps = self._follower.receive(message, payloads, self._clock())
            if self._relay is not None:
                self._send(self._relay.answered(message, payloads))
            if self._carry_out(steps):
                return True
        return True

    def _carry_out(self, steps: Iterable[Step]) -> bool:
        """Does what the follower says; returns whether the line to the source is a new one."""
        todo = deque(steps)
        while todo:
            match todo.popleft():
                case Take() as take:
                    why = damage_of(take)
                    if why:
                        # What follows in the same message is asked for again with it.
                        for later in (*self._drop(), *todo):
                            if isinstance(later, Take):
                                self._follower.dropped(later.nbytes)
                        todo = deque(self._follower.damaged(take, why, self._clock()))
                        continue
                    self._follower.intact()
                    self._waiting.append(take)
                    self._copy()
                case Begin(spec):
                    todo.extendleft(reversed(self._begin(spec)))
                case Tell(sentence):
                    if sentence:
                        self._say.warning("source", said=sentence)
                case Anew():
                    for take in (*self._drop(), *(step for step in todo if isinstance(step, Take))):
                        self._follower.dropped(take.nbytes)
                    self._follower.next = self._log.head
                    self._up.close()
                    self._up = self._call()
                    self._tell(self._follower.hello(self._clock()))
                    return True
                case Ask(message, payloads):
                    self._tell(message, payloads)
                case Message() as message:
                    self._tell(message)
        return False

    def _drop(self) -> list[Take]:
        """Lets go of what waits for room; it is asked for again."""
        left = list(self._waiting)
        self._waiting.clear()
        self._retry = inf
        return left

    def _begin(self, raw: Buffer) -> list[Step]:
        """The source's log is another one: the copy begins anew, and so do those who are served."""
        try:
            spec = decode_spec(bytes(raw))
        except (msgspec.MsgspecError, ValueError) as why:
            return [Tell(f"The source's specification of the run cannot be read: {why}.")]
        for take in self._drop():
            self._follower.dropped(take.nbytes)
        self._say.info("copy begins", epoch=self._follower.epoch, thrown_away=self._log.head)
        # In this order, whoever is killed in between begins anew.
        self._run.unlink(missing_ok=True)
        self._log.copy_of(self._follower.epoch)
        beside = self._run.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(spec))
        beside.replace(self._run)
        self._serve(spec)
        return []

    def _copy(self) -> None:
        """Appends what has come, as far as there is room."""
        assert self._relay is not None or not self._waiting, "entries come after the run's specification"
        while self._waiting and self._relay is not None:
            entry, payloads, nbytes, _ = self._waiting[0]
            before = self._relay.full
            if not self._relay.copy(Sent(entry, payloads, nbytes)):
                if not before:
                    self._say.warning("full", why=self._relay.full)
                self._retry = self._clock() + 0.5
                return
            self._waiting.popleft()
            self._carry_out(self._follower.used(nbytes))

    def _tell(self, message: Message, payloads: Sequence[Buffer] = ()) -> None:
        try:
            self._up.socket.send_multipart([encode(message), *payloads], zmq.NOBLOCK)
        except zmq.Again:
            self.counts["unsaid"] += 1  # the source is away; silence makes us say it again

    # ------------------------------------------------------------ those who are served

    def _from_peers(self) -> bool:
        for _ in range(BATCH):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return False
            relay, peer, now = self._relay, frames[0].bytes, self._clock()
            if relay is None or relay.aside(peer, now):
                continue  # it does not know the run yet; whoever hears nothing asks again
            try:
                message, payloads = decode([frame.buffer for frame in frames[1:]])
            except Refused as why:
                self._send(relay.garbled(peer, str(why), now))
                continue
            if message is None:
                continue
            role = self._doors.role(frames[0])
            if role and (why_not := out_of_role(role, message)):
                self.counts["out_of_role"] += 1
                self._send(relay.garbled(peer, why_not, now))
                continue
            if role and isinstance(message, Command):
                # The source takes commands from the control plane's key alone, and this side has a relay's.
                self._send([Send("feed", peer, Refuse("under keys a relay passes no commands on: tell the streamer"))])
                continue
            try:
                self._send(relay.feed(peer, message, payloads, now))
            except Exception:
                # One peer's message must not end the feed for all the others.
                self._say.exception("dropped", peer=peer.hex())
                self.counts["dropped"] += 1
                self._send(relay.forget(peer))
        return True

    def _send(self, sends: Iterable[Send | Up]) -> int:
        number = 0
        for send in sends:
            number += 1
            if isinstance(send, Up):
                self._tell(send.message)
                continue
            assert self._relay is not None, "nobody is served before the run is known"
            try:
                frames: list[Buffer] = [send.peer, encode(send.message), *send.payloads]
                self._socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
            except zmq.Again:
                self.counts["full"] += 1
                self._relay.stuck(send, self._clock())
            except zmq.ZMQError as why:
                if why.errno not in _GONE:
                    raise
                self.counts["gone"] += 1
                for up in self._relay.forget(send.peer):
                    self._tell(up.message)
        return number


def damage_of(take: Take) -> str:
    """What is wrong with an entry from the source, in words; empty if nothing is."""
    if take.entry.kind not in CHUNKS:
        return ""
    try:
        commit, _ = decode([memoryview(take.payloads[0])]) if take.payloads else (None, ())
    except Refused as why:
        return str(why)
    if not isinstance(commit, Commit) or len(commit.parts) != len(take.payloads) - 1:
        return "a chunk whose header is no commit of its parts"
    for info, raw in zip(commit.parts, take.payloads[1:], strict=True):
        if take.entry.kind == "evicted" and not len(raw):
            continue
        if len(raw) != info.size or crc32c(raw) != info.crc:
            return f"chunk {commit.chunk}: part {info.name} differs from what its header says"
    return ""
