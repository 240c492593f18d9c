"""The archive's process: a socket at the streamer's feed, one thread, one entry after the other.

It asks for more only after it has written what it got, so a slow disk slows down nobody but the archive.
A store that cannot be written stops it where it is: it says so and tries again, ever more seldom, and what
it has not written stays in the log.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from math import ceil, inf

import msgspec
import structlog
import zmq

from streamer import logs
from streamer.archive.follow import WINDOW_MESSAGES, Follower, Lost, NotHeard
from streamer.archive.layout import UNFINISHED, digest
from streamer.archive.place import ArchiveError, PlaceError, patiently, place_of
from streamer.archive.shards import Shards, choose
from streamer.archive.store import Store
from streamer.archive.there import There, counts, examine
from streamer.archive.writer import Summary, Writer
from streamer.dial import Dialled
from streamer.wire.codec import Buffer
from streamer.wire.follow import ANEW_S, Anew, Begin, Step, Take, Tell
from streamer.wire.grid import Triple
from streamer.wire.header import MAX_HEADER, MAX_PAYLOAD_BYTES, Refused, brief, decode, encode
from streamer.wire.keys import Keys
from streamer.wire.line import NOT_HEARD
from streamer.wire.messages import Archived, Credit, Goodbye, Hello, Message, Trouble, Welcome
from streamer.wire.volume import RunSpec, decode_spec

FLUSH_S = 1.0
"""What was written is made durable, noted and told to the streamer at most so often."""
REFRESH_S = 3.0
"""Shards, states and CSV tables are brought up to date at most so often, and not for more than a tenth of the time."""
BATCH = 64
"""Messages that are dealt with before anything else has its turn."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
"""Before a store that could not be written is tried again: after the first time, and at most."""

log = structlog.get_logger()


class Node:
    """One archive, from Hello to the end of its run."""

    def __init__(
        self,
        feed: str,
        out: str,
        software: str,
        patience_s: float,
        say: Callable[[str], None],
        keys: Keys | None = None,
        shard: Triple | None = None,
    ) -> None:
        self._place = place_of(out)
        self._there: There | None = None
        try:
            self._there = examine(self._place)  # what is wrong for good is said at once
        except PlaceError as why:
            if not why.passes:
                raise
        self._keys, self._shard = keys, shard
        self._feed, self._software, self._say = feed, software, say
        self._follower = Follower("archive", patience_s, time.monotonic())
        self._why = ""
        """Why there is no connection, as far as it was said."""
        self._store: Store | None = None
        self._writer: Writer | None = None
        self._refresh_at = self._flush_at = 0.0
        self._archived = 0
        """How far the streamer knows that the store serves the log."""
        self._stands_still = ""
        self._ready = False

    def run(self) -> Summary:
        """Follows the feed until the run's end.  Raises ArchiveError."""
        self._context = zmq.Context()
        try:
            self._line = self._call()
            try:
                return self._follow()
            except Lost as why:
                said = self._line.line.said or self._why
                raise ArchiveError(
                    f"the archive of {self._feed} stopped: {said or why}; start it again with the same --out",
                    NOT_HEARD if isinstance(why, NotHeard) and not said else 1,
                ) from None
            finally:
                self._line.close()
        finally:
            self._context.term()
            self._place.close()

    def _call(self) -> Dialled:
        line = Dialled(self._context, self._feed, "archive", self._keys, log)
        line.socket.setsockopt(zmq.LINGER, 1000)
        line.socket.setsockopt(zmq.RCVHWM, WINDOW_MESSAGES)
        line.socket.setsockopt(zmq.MAXMSGSIZE, max(MAX_PAYLOAD_BYTES, MAX_HEADER))
        line.socket.setsockopt(zmq.RECONNECT_IVL, 50)
        line.socket.setsockopt(zmq.RECONNECT_IVL_MAX, int(1000 * ANEW_S / 2))
        try:
            line.connect()
        except zmq.ZMQError as why:
            line.close()
            raise ArchiveError(f"{self._feed} is no address to connect to: {why.strerror}", 2) from None
        return line

    def _follow(self) -> Summary:
        follower = self._follower
        self._send(follower.hello(time.monotonic()))
        while True:
            poller = zmq.Poller()  # anew: the line may be another one
            for source in (self._line.socket, self._line.monitor):
                poller.register(source, zmq.POLLIN)
            wait_s = min(follower.deadline(), self._line.line.deadline(), self._due()) - time.monotonic()
            ready = dict(poller.poll(ceil(1000 * max(0.0, wait_s))))
            self._attend()
            done = self._receive() if self._line.socket in ready else None
            if done is None:
                done = self._carry_out(follower.tick(time.monotonic()))
            if done is not None:
                self._tell_archived(done)
                self._carry_out(follower.told())
                self._send(Goodbye())
                return done
            self._refresh()
            self._flush()

    def _attend(self) -> None:
        """Looks after the line; one that was made anew begins with a greeting."""
        if self._line.attend(time.monotonic()):
            self._send(self._follower.hello(time.monotonic()))

    def _due(self) -> float:
        """When there is something to be brought up to date, or infinity."""
        if self._writer is None or self._store is None:
            return inf
        flush = self._writer.next > self._store.progress.next or self._writer.served > self._archived
        return min(self._flush_at if flush else inf, self._refresh_at if self._writer.stale else inf)

    # ------------------------------------------------------------ what comes

    def _receive(self) -> Summary | None:
        """Some of the messages that have come; what the store holds if the run's end was among them."""
        for _ in range(BATCH):
            try:
                frames = [frame.buffer for frame in self._line.socket.recv_multipart(zmq.NOBLOCK, copy=False)]
            except zmq.Again:
                return None
            try:
                message, payloads = decode(frames)
            except Refused as why:
                raise Lost(f"the streamer sent what is no message: {why}") from None
            if message is None:
                continue
            if isinstance(message, Welcome):
                self._why, self._archived = "", 0  # it may be another streamer's process
            line = self._line
            done = self._carry_out(self._follower.receive(message, payloads, time.monotonic()))
            if done is not None or self._line is not line:
                return done
        return None

    def _carry_out(self, steps: Iterable[Step]) -> Summary | None:
        """Does what the follower says.  Credit is given once for all entries that came together."""
        follower, todo, credit = self._follower, deque(steps), list[Credit]()
        while todo:
            match todo.popleft():
                case Take() as take:
                    assert self._writer is not None, "entries come after the run's specification"
                    number = take.entry.number
                    try:
                        done = self._writer.entry(take.entry.kind, take.payloads)
                    except Refused as why:
                        follower.back(number, todo)
                        todo = deque(follower.damaged(take, str(why), time.monotonic()))
                        continue
                    follower.intact()
                    todo.extend(follower.used(take.nbytes))
                    if done is not None:
                        return done
                    self._ask(number + 1, todo)
                case Begin(spec):
                    done = self._begin(spec)
                    if done is not None:
                        return done
                    self._ask(follower.next, todo)
                case Anew():
                    follower.back(follower.next, todo)
                    self._why = self._line.line.said or self._why
                    self._line.socket.setsockopt(zmq.LINGER, 0)
                    self._line.close()
                    self._line = self._call()
                    self._send(follower.hello(time.monotonic()))
                    return None
                case Tell(sentence):
                    if sentence:
                        log.warning("feed", said=sentence)
                case Credit() as given:
                    credit = [given]
                case Hello() as hello:
                    credit.clear()  # it counts from there
                    self._send(hello)
                case Message() as message:
                    self._send(message)
        for given in credit:
            self._send(given)
        return None

    def _ask(self, number: int, todo: deque[Step]) -> None:
        """Asks for other parts from an entry on, if others are needed; what has come of it is left out then."""
        assert self._writer is not None, "somebody writes what is asked for"
        if hello := self._follower.ask(self._writer.wants, time.monotonic()):
            self._follower.back(number, todo)
            todo.clear()
            todo.extend(hello)

    # ------------------------------------------------------------ the store

    def _begin(self, raw: Buffer) -> Summary | None:
        try:
            spec = decode_spec(bytes(raw))
        except (msgspec.MsgspecError, ValueError) as why:
            raise Lost(f"the streamer's specification of the run cannot be read: {why}") from None
        logs.bind(run=spec.run_id)
        epoch = self._follower.epoch
        if self._store is not None:
            log.warning("log begins anew", epoch=epoch)
        done = patiently(lambda: self._open(spec, epoch), self._wait, wrong_too=False)
        if done is not None or self._store is None:
            return done
        if self._store.progress.next:
            log.info("goes on", entries=self._store.progress.next)
        self._announce()
        return None

    def _open(self, spec: RunSpec, epoch: str) -> Summary | None:
        """Opens the store.  May be done twice."""
        if self._store is None:
            self._there = examine(self._place)
            if self._there is not None and self._there.state != UNFINISHED:
                return self._done_before(self._there.state, spec)
        shards = Shards(spec.grid, self._shard or choose(spec.grid))
        store = Store(self._place, spec, self._software, shards, epoch, self._wait)
        self._store, self._writer = store, Writer(store, spec)
        return None

    def _done_before(self, state: str, spec: RunSpec) -> Summary:
        """An earlier process finished the store and did not live to say so.  Raises ArchiveError if it is another's."""
        assert self._there is not None, "only called if there is a store"
        self._there.refuse_other(self._place.label, spec, digest(spec))
        self._place.noted("zarr.json")  # what it wrote last, and may not have made durable
        self._place.flush()
        self._announce()
        return Summary(state, *counts(self._place))

    def _announce(self) -> None:
        if not self._ready:
            self._ready = True
            self._say(json.dumps({"ready": "archive"}))

    def _refresh(self) -> None:
        began = time.monotonic()
        if self._writer is None or began < self._refresh_at or not self._writer.stale:
            return
        self._writer.refresh()
        now = time.monotonic()
        self._refresh_at = now + max(REFRESH_S, 10 * (now - began))

    def _flush(self) -> None:
        """Makes what was written durable, and says so: the streamer may let go of what readers find in the store."""
        now = time.monotonic()
        if self._writer is None or self._store is None or now < self._flush_at:
            return
        if self._writer.next > self._store.progress.next:
            self._store.put_progress(self._writer.next)
        self._tell_archived()
        self._flush_at = time.monotonic() + max(FLUSH_S, 10 * (time.monotonic() - now))

    def _tell_archived(self, done: Summary | None = None) -> None:
        """How far the store serves the log; a run that is whole in it, as far as it has come."""
        if self._writer is not None and self._store is not None:
            served = self._writer.served if done else min(self._writer.served, self._store.progress.next)
        elif done is not None and done.state == "complete":
            served = self._follower.head
        else:
            return
        if served > self._archived:
            self._archived = served
            self._send(Archived(served, self._place.address))

    def _wait(self, why: str, tries: int) -> None:
        """The store could not be written (for the n-th time in a row): says so, and returns when to try again."""
        if not why:
            log.warning("goes on", store=self._place.label)
            self._stands_still = ""
            self._send(Trouble(""))
            self._follower.busy(time.monotonic())
            return
        self._announce()  # it is there, and says itself why it does nothing
        if why != self._stands_still:
            self._stands_still = why
            log.warning("stands still", why=why)
        until = time.monotonic() + min(FIRST_WAIT_S * 2.0 ** min(tries - 1, 10), LONGEST_WAIT_S)
        while (left := until - time.monotonic()) > 0:
            self._attend()
            self._send(Trouble(brief(why)))  # also a sign of life
            time.sleep(min(1.0, left))

    def _send(self, *messages: Message) -> None:
        for message in messages:
            try:
                self._line.socket.send(encode(message), zmq.NOBLOCK)
            except zmq.Again:
                # The streamer is away; silence makes us say it again.
                return
