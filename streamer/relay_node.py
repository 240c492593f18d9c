"""A relay's shell: a ROUTER for those that it serves, a line to its source, and the log between them.

What comes from the source is appended and only then served.  What is served is looked at once more: a copy
that has been damaged on the disk is not passed on, but opened anew, cut there, and fetched again.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from itertools import islice
from math import ceil, inf
from pathlib import Path

import msgspec
import structlog
import zmq

from streamer.doors import Doors, Opening
from streamer.durable import Policy
from streamer.exposition import Endpoint
from streamer.feed import Send
from streamer.figures import Marks, readers
from streamer.log import Log
from streamer.node import BATCH, FEED_PIPE, LONGEST_S, MAX_QUESTION, signals
from streamer.record import LogBroken
from streamer.relay import CopyDamaged, Relay, Up
from streamer.relay_figures import RelayFigures
from streamer.relay_source import Source
from streamer.wire.batch import Sent
from streamer.wire.codec import Buffer
from streamer.wire.header import Refused, decode, encode
from streamer.wire.keys import Keys, out_of_role
from streamer.wire.messages import AskFigures, Command, Figures, Goodbye, Message, Refuse
from streamer.wire.volume import RunSpec

_GONE = (zmq.EHOSTUNREACH,)
_REASONS = ("refused", "undecodable", "out_of_role", "put_aside", "ignored", "dropped", "full", "gone")


class RelayNode:
    """Copies the log behind ``source`` and serves it at ``feed``.  Raises BadAddress.

    ``file`` says of which run the log is, or is to say so.  Raises ValueError if it says nonsense.
    """

    def __init__(
        self, source: str, log: Log, file: Path, feed: str, name: str, clock: Callable[[], float],
        keys: Keys | None = None, policy: Policy = "written", endpoint: Endpoint | None = None,
    ) -> None:  # fmt: skip
        self._log, self._clock, self._name = log, clock, name
        self._endpoint, self._show_at = endpoint, 0.0
        self._say = structlog.get_logger("relay")
        self.counts: Counter[str] = Counter()
        self._relay: Relay | None = None
        self._run_id = ""
        self._marks = Marks(log.head, log.nbytes, clock())
        spec = msgspec.json.decode(file.read_bytes(), type=RunSpec) if file.exists() else None
        if spec is not None:
            self.begin(spec)
        with ExitStack() as undo:
            self._context = zmq.Context()
            undo.callback(self._context.destroy, linger=0)
            self._doors = Doors(self._context, {"feed": Opening(feed, FEED_PIPE, MAX_QUESTION)}, keys)
            self._socket = self._doors.sockets["feed"]
            self._source = Source(self._context, source, log, file, spec, self, name, clock, keys, policy)
            undo.pop_all()

    @property
    def address(self) -> str:
        """Where it listens."""
        return self._doors.address("feed")

    def close(self) -> None:
        """Hangs up."""
        self._source.close()
        self._doors.close()
        self._context.destroy(linger=0)

    def run(self) -> int:
        """Serves until SIGTERM (returns 0) or SIGINT (returns 130).  To be called from the main thread.

        Raises CopyDamaged or LogBroken.
        """
        with signals() as (wake, caught):
            self._source.greet()
            more = False
            while not caught:
                poller = zmq.Poller()  # anew: the line to the source may be another one
                for one in (wake, self._socket, *self._source.pollable, *self._doors.others):
                    poller.register(one, zmq.POLLIN)
                now = self._clock()
                until = min(self._source.deadline(), self._relay.deadline() if self._relay else inf, now + LONGEST_S)
                ready = dict(poller.poll(0 if more else ceil(1000 * max(0.0, until - now))))
                if any(other in ready for other in self._doors.others):
                    self._doors.attend(self._clock())
                more = self._source.receive() if self._source.socket in ready else False
                self._source.turn(self._clock())
                more |= self._from_peers() if self._socket in ready else False
                more |= self._serve(self._clock())
            self._source.tell(Goodbye())
        return 130 if caught[0] == signal.SIGINT else 0

    def _serve(self, now: float) -> bool:
        """Entries for those who asked; returns whether there may be more."""
        self._marks.mark(self._log.head, self._log.nbytes, now)
        if self._relay is None:
            return False
        if self._endpoint is not None and now >= self._show_at:
            self._show_at = now + LONGEST_S
            self._endpoint.show(self.figures(now))
        self._send(self._relay.tick(now))
        return self._send(islice(self._relay.drain_feed(now), BATCH)) == BATCH

    def figures(self, now: float) -> RelayFigures:
        """The relay in figures."""
        relay, source, log = self._relay, self._source, self._log
        doors = Counter({reason: self.counts[reason] for reason in _REASONS})
        doors["not_let_in"] = self._doors.refused
        if relay is not None:
            doors["refused"], doors["put_aside"] = relay.refused, relay.put_aside
        entries, nbytes, seconds = source.marks.behind(log.head, now)
        credit_bytes, credit_messages = source.credit
        return RelayFigures(
            self._run_id, self._name, log.head, source.kept, log.nbytes, entries, nbytes, seconds,
            now - source.heard_at if source.heard_at > -inf else -1.0, credit_bytes, credit_messages,
            bool(source.trouble), source.begun, source.damaged, doors,
            readers(relay.cursors if relay is not None else (), self._marks, log.head, now),
        )  # fmt: skip

    # ------------------------------------------------------------ what the source brings

    def begin(self, spec: RunSpec) -> None:
        """The log is the copy of this run's from now on."""
        structlog.contextvars.bind_contextvars(run=spec.run_id)
        now = self._clock()
        self._run_id, self._marks = spec.run_id, Marks(self._log.head, self._log.nbytes, now)
        self._relay = Relay(spec, self._log, now)

    def copy(self, sent: Sent) -> str:
        """The next entry; returns why it is not in the log, or nothing."""
        assert self._relay is not None, "entries come after the run's specification"
        return "" if self._relay.copy(sent) else self._relay.full

    def elsewhere(self, number: int) -> None:
        """Labels of entries before this one are in the store that the log names now."""
        assert self._relay is not None, "this is said after the run's specification"
        self._send(self._relay.elsewhere(number))

    def answered(self, message: Message, payloads: Sequence[Buffer]) -> None:
        """The source has said something that is no part of the log."""
        if self._relay is not None:
            self._send(self._relay.answered(message, payloads))

    # ------------------------------------------------------------ those who are served

    def _from_peers(self) -> bool:
        for _ in range(BATCH):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return False
            relay, peer, now = self._relay, frames[0].bytes, self._clock()
            if relay is None:
                continue  # it does not know the run yet; whoever hears nothing asks again
            if relay.aside(peer, now):
                self.counts["ignored"] += 1
                continue
            try:
                message, payloads = decode([frame.buffer for frame in frames[1:]])
            except Refused as why:
                self.counts["undecodable"] += 1
                self._send(relay.garbled(peer, str(why), now))
                continue
            if message is None:
                continue
            role = self._doors.role(frames[0])
            if role and (why_not := out_of_role(role, message)):
                self.counts["out_of_role"] += 1
                self._send(relay.garbled(peer, why_not, now))
                continue
            if isinstance(message, AskFigures):
                figures = msgspec.msgpack.encode(self.figures(now))
                self._send([Send("feed", peer, Figures(message.request), [figures])])
                continue
            if role and isinstance(message, Command):
                # The source takes commands from the control plane's key alone, and this side has a relay's.
                self._send([Send("feed", peer, Refuse("under keys a relay passes no commands on: tell the streamer"))])
                continue
            try:
                self._send(relay.feed(peer, message, payloads, now))
            except (CopyDamaged, LogBroken):
                raise
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
                self._source.tell(send.message)
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
                    self._source.tell(up.message)
        return number
