"""The archive's process: a socket at the streamer's feed, one thread, one entry after the other.

It asks for more only after it has written what it got, so a slow disk slows down nobody but the archive.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

import structlog
import zmq

from streamer import logs
from streamer.archive.follow import Follower, Lost, Patience
from streamer.archive.layout import UNFINISHED, digest
from streamer.archive.place import ArchiveError, place_of
from streamer.archive.shards import Shards, choose
from streamer.archive.store import Store, counts, examine
from streamer.archive.writer import Summary, Writer
from streamer.dial import Dialled
from streamer.wire.codec import Buffer
from streamer.wire.grid import Triple
from streamer.wire.header import MAX_HEADER, MAX_PAYLOAD_BYTES, Refused, decode, encode
from streamer.wire.keys import Keys
from streamer.wire.messages import Archived, Entry, Goodbye, Message, Refuse, Welcome
from streamer.wire.volume import RunSpec, decode_spec

FLUSH_S = 1.0
"""What was written is made durable, noted and told to the streamer at most so often."""
REFRESH_S = 3.0
"""Shards, states and CSV tables are brought up to date at most so often, and not for more than a tenth of the time."""

log = structlog.get_logger()


class Node:
    """One archive, from Hello to the end of its run."""

    def __init__(
        self,
        feed: str,
        out: str,
        software: str,
        patience: Patience,
        say: Callable[[str], None],
        keys: Keys | None = None,
        shard: Triple | None = None,
    ) -> None:
        self._place = place_of(out)
        self._there = examine(self._place)
        self._keys, self._shard = keys, shard
        self._feed, self._software, self._say = feed, software, say
        self._follower = Follower("archive", patience, time.monotonic())
        self._store: Store | None = None
        self._writer: Writer | None = None
        self._refresh_at = self._flush_at = 0.0
        self._archived = 0
        self._ready = False

    def run(self) -> Summary:
        """Follows the feed until the run's end.  Raises ArchiveError."""
        context = zmq.Context()
        dialled = Dialled(context, self._feed, "archive", self._keys, log)
        socket = dialled.socket
        try:
            socket.setsockopt(zmq.LINGER, 1000)
            socket.setsockopt(zmq.MAXMSGSIZE, max(MAX_PAYLOAD_BYTES, MAX_HEADER))
            try:
                dialled.connect()
            except zmq.ZMQError as why:
                raise ArchiveError(f"{self._feed} is no address to connect to: {why.strerror}", 2) from None
            return self._follow(dialled)
        except Lost as why:
            raise ArchiveError(
                f"the archive of {self._feed} stopped: {dialled.line.said or why}; start it again with the same --out"
            ) from None
        finally:
            dialled.close()
            context.term()
            self._place.close()

    def _follow(self, dialled: Dialled) -> Summary:
        follower, socket = self._follower, dialled.socket
        self._send(socket, follower.hello(time.monotonic()))
        while True:
            now = time.monotonic()
            if socket.poll(max(0, round(1000 * (follower.deadline(now) - now)))):
                done = self._message(socket, socket.recv_multipart())
                if done is not None:
                    self._send(socket, [*follower.credit(time.monotonic()), Goodbye()])
                    return done
            if dialled.attend(time.monotonic()):
                self._send(socket, follower.hello(time.monotonic()))
            self._send(socket, follower.tick(time.monotonic()))
            self._refresh()
            self._flush(socket)

    def _message(self, socket: zmq.Socket[bytes], frames: Sequence[bytes]) -> Summary | None:
        follower, now = self._follower, time.monotonic()
        try:
            message, payloads = decode(frames)
        except Refused as why:
            raise Lost(f"the streamer sent what is no message: {why}") from None
        if isinstance(message, Welcome):
            return self._welcome(socket, message, payloads)
        elif isinstance(message, Refuse):
            log.warning("refused", reason=message.reason)
            self._send(socket, follower.refused(message, now))
        elif isinstance(message, Entry):
            return self._entry(socket, message, payloads)
        else:
            follower.signed(now)
        return None

    def _welcome(self, socket: zmq.Socket[bytes], message: Welcome, payloads: Sequence[Buffer]) -> Summary | None:
        if not payloads:
            raise Lost("the streamer did not say which run it is")
        follower = self._follower
        if follower.welcome(message, time.monotonic()):
            spec = decode_spec(bytes(payloads[0]))
            logs.bind(run=spec.run_id)
            if self._store is None and self._there is not None and self._there.state != UNFINISHED:
                return self._done_before(spec)
            self._begin(spec, message.epoch)
        assert self._writer is not None, "the first welcome begins"
        other = follower.ask(self._writer.wants, time.monotonic())
        self._send(socket, other or follower.credit(time.monotonic()))
        return None

    def _done_before(self, spec: RunSpec) -> Summary:
        """An earlier process finished the store and did not live to say so.  Raises ArchiveError if it is another's."""
        assert self._there is not None, "only called if there is a store"
        self._there.refuse_other(self._place.label, spec, digest(spec))
        self._announce()
        return Summary(self._there.state, *counts(self._place))

    def _begin(self, spec: RunSpec, epoch: str) -> None:
        if self._store is not None:
            log.warning("log begins anew", epoch=epoch)
        shards = Shards(spec.grid, self._shard or choose(spec.grid))
        self._store = Store(self._place, spec, self._software, shards, epoch)
        self._writer = Writer(self._store, spec)
        if self._store.progress.next:
            log.info("goes on", entries=self._store.progress.next)
        self._announce()

    def _announce(self) -> None:
        if not self._ready:
            self._ready = True
            self._say(json.dumps({"ready": "archive"}))

    def _entry(self, socket: zmq.Socket[bytes], entry: Entry, payloads: Sequence[Buffer]) -> Summary | None:
        follower = self._follower
        if not follower.take(entry, sum(len(raw) for raw in payloads), time.monotonic()):
            if follower.gap(entry):
                log.warning("gap", wanted=follower.next, came=entry.number)
                self._send(socket, follower.hello(time.monotonic()))
            return None
        assert self._writer is not None, "an entry is only taken after a welcome"
        try:
            done = self._writer.entry(entry.kind, payloads)
        except Refused as why:
            log.warning("damaged", entry=entry.number, why=str(why))
            self._send(socket, follower.damaged(str(why), time.monotonic()))
            return None
        self._send(socket, follower.read(time.monotonic()))
        self._send(socket, follower.ask(self._writer.wants, time.monotonic()))
        return done

    def _refresh(self) -> None:
        began = time.monotonic()
        if self._writer is None or began < self._refresh_at:
            return
        self._writer.refresh()
        now = time.monotonic()
        self._refresh_at = now + max(REFRESH_S, 10 * (now - began))

    def _flush(self, socket: zmq.Socket[bytes]) -> None:
        """Makes what was written durable, and says so: the streamer may let go of what readers find in the store."""
        now = time.monotonic()
        if self._writer is None or self._store is None or now < self._flush_at:
            return
        if self._writer.next > self._store.progress.next:
            self._store.put_progress(self._writer.next)
            if self._writer.served > self._archived:
                self._archived = self._writer.served
                self._send(socket, [Archived(self._archived, self._place.label)])
        self._flush_at = time.monotonic() + max(FLUSH_S, 10 * (time.monotonic() - now))

    def _send(self, socket: zmq.Socket[bytes], messages: Sequence[Message]) -> None:
        for message in messages:
            try:
                socket.send(encode(message), zmq.NOBLOCK)
            except zmq.Again:
                # The streamer is away; silence makes us say it again.
                return
