"""A relay's line to its source: what comes is checked, copied, and its room given back once it is kept.

So a relay whose disk is full or slow waits, and nothing piles up.  Who owns the copy says whether an entry
found room in it (``Copies``); everything about the run's own way of speaking is ``streamer.wire.follow``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import inf
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
import zmq

from streamer.dial import Dialled
from streamer.durable import Policy
from streamer.layout import note
from streamer.log import Log
from streamer.node import BATCH
from streamer.relay import damage
from streamer.relay_disk import Flusher
from streamer.relay_figures import SourceMarks
from streamer.wire.batch import BATCH_BYTES, Sent
from streamer.wire.block import EXTRA, PARTS
from streamer.wire.codec import Buffer
from streamer.wire.follow import ANEW_S, Anew, Ask, Begin, Elsewhere, Follower, Step, Take, Tell, Wants
from streamer.wire.header import MAX_PAYLOAD_BYTES, Refused, decode, encode
from streamer.wire.keys import Keys
from streamer.wire.messages import AskStatus, Message, Status
from streamer.wire.status import RunStatus
from streamer.wire.volume import RunSpec, decode_spec

WINDOW_BYTES, WINDOW_MESSAGES = 32 << 20, 1024
LOOK_S = 1.0
"""How often it asks how long the streamer's log is."""
RETRY_S = 0.5
"""When a full disk is tried again."""
OWN = 0
"""The number of its own questions; those that it passes on begin with 1."""
_status = msgspec.msgpack.Decoder(RunStatus)


class Copies(Protocol):
    """Who has the copy."""

    def begin(self, spec: RunSpec) -> None:
        """The log is empty, and is to be the copy of this run's."""

    def copy(self, sent: Sent) -> str:
        """The next entry; returns why it is not in the log, in a sentence, or nothing."""

    def elsewhere(self, number: int) -> None:
        """Labels of entries before this one are in the store that the log names now."""

    def answered(self, message: Message, payloads: Sequence[Buffer]) -> None:
        """What the source said that is no part of the log."""


class Source:
    """The feed at ``address``, and its copy in ``log``.  ``spec`` is the run's, if the log has any of it.

    ``file`` is where the specification is noted.  Poll ``socket``, ``monitor`` and ``wake``, which change, and call
    ``turn`` after each of them and at ``deadline``.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], address: str, log: Log, file: Path, spec: RunSpec | None,
        copies: Copies, name: str, clock: Callable[[], float], keys: Keys | None, policy: Policy,
    ) -> None:  # fmt: skip
        self._context, self._address, self._log, self._file = context, address, log, file
        self._copies, self._clock, self._keys = copies, clock, keys
        self._say = structlog.get_logger("relay")
        self._flusher = Flusher(log, policy)
        now = clock()
        wants = Wants("relay", name, (*PARTS, *EXTRA), WINDOW_BYTES, WINDOW_MESSAGES, BATCH_BYTES)
        epoch, read = (log.epoch, log.head) if spec is not None else ("", 0)
        self._follower = Follower(wants, now, epoch, read)
        self._known = spec is not None
        self.marks = SourceMarks(log.head, log.nbytes, now)
        self._waiting: deque[Take] = deque()
        """Taken from the source, and not in the log because the disk is full."""
        self.full = ""
        """Why nothing can be copied, in a sentence."""
        self._retry = inf
        self._look_at = now
        self.heard_at = -inf
        self.begun = self.damaged = self.unsaid = 0
        self._up = self._call()

    # ------------------------------------------------------------ the loop's side

    @property
    def pollable(self) -> list[zmq.Socket[bytes] | int]:
        """What may become readable; the sockets change when the line is made anew."""
        return [self._up.socket, self._up.monitor, self._flusher.wake]

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """What ``receive`` reads from."""
        return self._up.socket

    @property
    def credit(self) -> tuple[int, int]:
        """Bytes and entries that may still come."""
        return self._follower.credit

    @property
    def kept(self) -> int:
        """All entries before it are as durable as asked for."""
        return self._flusher.kept

    @property
    def trouble(self) -> str:
        """Why it waits for its disk, in a sentence; empty if it does not."""
        return self.full or self._flusher.trouble

    def greet(self) -> None:
        """The first word on a line."""
        self.tell(self._follower.hello(self._clock()))

    def turn(self, now: float) -> None:
        """What the time brings, and what has become of the line."""
        if self._up.attend(now):
            self.greet()
        if now >= self._retry:
            self._retry = inf
            self._copy()
        for nbytes in self._flusher.turn(now):
            self._carry_out(self._follower.used(nbytes))
        if now >= self._follower.deadline():
            self._carry_out(self._follower.tick(now))
        if self._known and now >= self._look_at:
            self._look_at = now + LOOK_S
            self.tell(AskStatus(OWN))

    def deadline(self) -> float:
        """When ``turn`` wants to be called next."""
        look = self._look_at if self._known else inf
        return min(self._follower.deadline(), self._flusher.deadline(), self._retry, look)

    def receive(self) -> bool:
        """Takes what has come, up to a batch; returns whether there may be more."""
        for _ in range(BATCH):
            try:
                frames = self._up.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return False
            self.heard_at = self._clock()
            try:
                message, payloads = decode([frame.buffer for frame in frames])
            except Refused as why:
                self._carry_out([Tell(f"The source sent what is no message: {why}."), Anew()])
                return True
            if message is None:
                continue
            if isinstance(message, Status) and message.request == OWN:
                self._look(payloads)
                continue
            steps = self._follower.receive(message, payloads, self._clock())
            self._copies.answered(message, payloads)
            if self._carry_out(steps):
                return True
        return True

    def tell(self, message: Message, payloads: Sequence[Buffer] = ()) -> None:
        """Says something to the source; what it cannot hear is lost, and silence makes us say it again."""
        try:
            self._up.socket.send_multipart([encode(message), *payloads], zmq.NOBLOCK)
        except zmq.Again:
            self.unsaid += 1

    def close(self) -> None:
        """Hangs up."""
        self._up.close()
        self._flusher.close()

    # ------------------------------------------------------------ inside

    def _call(self) -> Dialled:
        line = Dialled(self._context, self._address, "relay", self._keys, self._say)
        line.socket.setsockopt(zmq.LINGER, 0)
        line.socket.setsockopt(zmq.RCVHWM, WINDOW_MESSAGES)
        line.socket.setsockopt(zmq.MAXMSGSIZE, MAX_PAYLOAD_BYTES)
        line.socket.setsockopt(zmq.RECONNECT_IVL, 50)
        line.socket.setsockopt(zmq.RECONNECT_IVL_MAX, int(1000 * ANEW_S / 2))
        line.connect()
        return line

    def _look(self, payloads: Sequence[Buffer]) -> None:
        """How long the streamer's log is."""
        try:
            status = _status.decode(payloads[0]) if payloads else None
        except msgspec.MsgspecError:
            return  # a later version's; lag is then not known
        if status is not None:
            self.marks.told(status.log_position, status.log_bytes, self._clock())

    def _carry_out(self, steps: Iterable[Step]) -> bool:
        """Does what the follower says; returns whether the line to the source is a new one."""
        todo = deque(steps)
        while todo:
            match todo.popleft():
                case Take() as take:
                    why = damage(take.entry.kind, take.payloads)
                    if why:
                        self.damaged += 1
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
                case Elsewhere(number, store):
                    self._log.labels_in(store)
                    self._copies.elsewhere(number)
                case Tell(sentence):
                    if sentence:
                        self._say.warning("source", said=sentence)
                case Anew():
                    for take in (*self._drop(), *(step for step in todo if isinstance(step, Take))):
                        self._follower.dropped(take.nbytes)
                    self._follower.next = self._log.head
                    self._up.close()
                    self._up = self._call()
                    self.greet()
                    return True
                case Ask(message, payloads):
                    self.tell(message, payloads)
                case Message() as message:
                    self.tell(message)
        return False

    def _drop(self) -> list[Take]:
        """Lets go of what waits for room; it is asked for again."""
        left = list(self._waiting)
        self._waiting.clear()
        self._retry, self.full = inf, ""
        return left

    def _begin(self, raw: Buffer) -> list[Step]:
        """The source's log is another one: the copy begins anew, and so do those who are served."""
        try:
            spec = decode_spec(bytes(raw))
        except (msgspec.MsgspecError, ValueError) as why:
            return [Tell(f"The source's specification of the run cannot be read: {why}.")]
        for nbytes in (*(take.nbytes for take in self._drop()), *self._flusher.anew()):
            self._follower.dropped(nbytes)
        self._say.info("copy begins", epoch=self._follower.epoch, thrown_away=self._log.head)
        # In this order, whoever is killed in between begins anew.
        self._file.unlink(missing_ok=True)
        self._log.copy_of(self._follower.epoch)
        note(self._file, msgspec.json.encode(spec))
        self.begun += 1
        self._known = True
        self.marks = SourceMarks(0, self._log.nbytes, self._clock())
        self._copies.begin(spec)
        return []

    def _copy(self) -> None:
        """Appends what has come, as far as there is room."""
        assert self._known or not self._waiting, "entries come after the run's specification"
        while self._waiting:
            entry, payloads, nbytes, *_ = self._waiting[0]
            full = self._copies.copy(Sent(entry, payloads, nbytes))
            if full:
                if not self.full:
                    self._say.warning("full", why=full)
                self.full, self._retry = full, self._clock() + RETRY_S
                return
            self.full = ""
            self._waiting.popleft()
            if self._flusher.wrote(entry.number, nbytes, self._clock()):
                self._carry_out(self._follower.used(nbytes))
