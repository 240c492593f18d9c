"""The worker's shell: one socket, one thread, one chunk at a time.

Everything happens in the main thread, so that beats can only come from where the work is done: between
reading, segmenting, measuring and packing, and wherever a segmenter calls ``Block.beat``.  At each of
these points the socket is emptied, the session is asked what the time brings, and a signal or the end
of the run breaks the work off.  A chunk that cannot be read or segmented is reported and left; only
what concerns the whole run ends the worker.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import msgspec
import structlog
import zmq
from zmq.utils.monitor import parse_monitor_message

from inference_workers.chunk import Tools, finish, read_block
from inference_workers.segmenter import SegmenterError, load_segmenter
from inference_workers.session import End, Manners, Out, Session
from inference_workers.source import InputError, open_source
from streamer.wire.header import MAX_PAYLOAD_BYTES, Refused, decode, encode
from streamer.wire.keys import Keys
from streamer.wire.line import EVENTS, Line
from streamer.wire.messages import Lease, Refuse

LINGER_MS = 500
"""How long the last words may take to leave the process."""


class BreakOff(BaseException):
    """The chunk at work is not wanted any more.  No Exception, so that a segmenter does not catch it."""


class WorkerEnded(Exception):
    """The worker could not go on; the sentence says why."""

    def __init__(self, end: End) -> None:
        super().__init__(end.reason)
        self.exit_code = end.code


FAILED, WRONG_USE = 1, 2
"""Exit codes: for what may go better next time, and for a segmenter that cannot be had as the run asks for it."""


class Worker:
    """Works for the streamer at ``ingest`` until the run ends.  ``ready`` is called once, when it is welcomed."""

    def __init__(
        self, ingest: str, name: str, manners: Manners, ready: Callable[[], None], keys: Keys | None = None
    ) -> None:
        self._session = Session(name, ingest, manners, time.monotonic())
        self._ready = ready
        self._tools: Tools | None = None
        self._stopped = ""
        self._keys = keys
        self._line = Line("worker", "streamer", ingest, len(keys.servers) if keys else 0)
        self._log = structlog.get_logger().bind(worker=name)
        self._ingest = ingest
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.set(zmq.LINGER, LINGER_MS)
        self._socket.set(zmq.MAXMSGSIZE, MAX_PAYLOAD_BYTES)
        self._socket.set(zmq.ROUTING_ID, b"w" + os.urandom(15))
        self._socket.set(zmq.RECONNECT_IVL, 100)
        self._socket.set(zmq.RECONNECT_IVL_MAX, 2000)
        self._socket.set(zmq.HEARTBEAT_IVL, 5000)
        self._socket.set(zmq.HEARTBEAT_TIMEOUT, 20000)
        self._monitor = self._socket.get_monitor_socket(sum(zmq.Event[name] for name in EVENTS))

    # ------------------------------------------------------------ the loop

    def run(self) -> End:
        """Works until there is nothing more to do, or a signal comes; returns why.  To be called once."""
        try:
            self._connect()
            with self._signals() as wake:
                end = self._loop(wake)
            return End(FAILED, self._line.said) if end.code and self._line.said else end
        finally:
            if self._tools is not None:
                self._tools.source.close()
            self._socket.disable_monitor()
            self._monitor.close(0)
            self._socket.close()
            self._context.term()

    def _loop(self, wake: socket.socket) -> End:
        try:
            self._send(self._session.hello(time.monotonic()))
            while self._session.end is None:
                self._prepare()
                lease = self._session.next_work(time.monotonic()) if self._tools else None
                if lease is not None:
                    self._work_together(lease)
                elif self._session.end is None:
                    self._wait(wake)
                    self._attend()
            return self._session.end
        except BaseException:
            self._send(self._session.leave("an error", 1))  # so that others get the leases at once
            raise

    def _connect(self) -> None:
        if self._keys is not None:
            self._socket.set(zmq.CURVE_PUBLICKEY, self._keys.public)
            self._socket.set(zmq.CURVE_SECRETKEY, self._keys.secret)
            self._socket.set(zmq.CURVE_SERVERKEY, self._keys.servers[self._line.key])
        try:
            self._socket.connect(self._ingest)
        except zmq.ZMQError as why:
            sentence = f"{self._ingest} is no address of a streamer ({why}): give its --ingest"
            raise WorkerEnded(End(FAILED, sentence)) from None

    def _wait(self, wake: socket.socket) -> None:
        """Until something comes in, a signal comes, or the session wants to be asked."""
        poller = zmq.Poller()
        for end in (self._socket, self._monitor, wake):
            poller.register(end, zmq.POLLIN)
        wait_s = min(self._session.deadline(), self._line.deadline()) - time.monotonic()
        poller.poll(int(max(0.0, wait_s) * 1000) + 1)

    def _attend(self) -> None:
        """Reads what has come, and says what is due."""
        self._watch()
        while self._session.end is None and self._socket.poll(0):
            frames = self._socket.recv_multipart(copy=False)
            now = time.monotonic()
            try:
                message, payloads = decode([frame.buffer for frame in frames])
            except Refused as why:
                self._log.warning("not understood", why=str(why))
                self._send(self._session.garbled(str(why)))
                continue
            if isinstance(message, Refuse):
                self._log.warning("refused", why=message.reason, chunk=message.chunk)
            if message is not None:
                self._send(self._session.hear(message, payloads, now))
        if self._stopped and self._session.end is None:
            self._send(self._session.leave(self._stopped))
        self._send(self._session.tick(time.monotonic()))

    def _watch(self) -> None:
        """A connection made anew may lead to a new process, which has to be greeted; one that ended is made anew."""
        while self._monitor.poll(0):
            event, now = parse_monitor_message(self._monitor.recv_multipart()), time.monotonic()
            if said := self._line.event(str(zmq.Event(event["event"]).name), event["value"], now):
                self._log.warning("no connection", why=said)
            if event["event"] != zmq.EVENT_HANDSHAKE_SUCCEEDED:
                continue
            if self._line.connections > 1:
                self._log.info("connected again")
            if self._line.connections + self._line.dialled > 1:
                self._send(self._session.hello(now))
        if self._line.redial(time.monotonic()):
            with suppress(zmq.ZMQError):
                self._socket.disconnect(self._ingest)
            self._connect()

    def _send(self, outs: Iterable[Out]) -> None:
        for message, payloads in outs:
            try:
                self._socket.send_multipart([encode(message), *payloads], zmq.NOBLOCK, copy=False)
            except zmq.Again:
                # There is no line.  Once there is one, the streamer is greeted, and gets what it has not acknowledged.
                self._log.debug("not said", message=type(message).__name__)

    @contextmanager
    def _signals(self) -> Iterator[socket.socket]:
        """SIGTERM and SIGINT end the work at the next point where it can be left; the socket given wakes the loop."""
        wake, alarm = socket.socketpair()
        wake.setblocking(False)
        alarm.setblocking(False)

        def stop(number: int, frame: FrameType | None) -> None:
            del frame
            self._stopped = f"ended by {signal.Signals(number).name}"

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        descriptor = signal.set_wakeup_fd(alarm.fileno())
        try:
            yield wake
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in before.items():
                signal.signal(number, handler)
            wake.close()
            alarm.close()

    # ------------------------------------------------------------ the work

    def _prepare(self) -> None:
        """Gets the tools, once the worker is welcome.  What cannot be had ends it."""
        spec = self._session.spec
        if self._tools is not None or spec is None or self._session.end is not None:
            return
        self._log = self._log.bind(run=spec.run_id)
        try:
            segmenter = load_segmenter(spec.segmenter, spec.parameters)
            self._tools = Tools(spec, open_source(spec.source, spec.volume), segmenter)
        except (SegmenterError, InputError) as why:
            self._send(self._session.leave(str(why), WRONG_USE if isinstance(why, SegmenterError) else FAILED))
            return
        self._log.info("ready", source=spec.source.address, segmenter=spec.segmenter)
        self._ready()

    def _work_together(self, lease: Lease) -> None:
        """The chunk, and as many others that are held as the segmenter wants at a time."""
        tools = self._tools
        assert tools is not None, "work begins when there are tools"
        leases = self._session.held(int(getattr(tools.segmenter, "together", 1)))
        if len(leases) < 2:
            self._work(lease)
            return
        left = dict(enumerate(leases))
        try:
            start = time.monotonic()
            blocks = [read_block(tools, each.chunk, self._beat) for each in leases]
            began = time.monotonic()
            read_s = (began - start) / len(leases)
            for place, labelling in tools.segmenter.segment_together(blocks):  # type: ignore[attr-defined]
                self._beat()
                commit, payloads = finish(tools, left[place], blocks[place], labelling, read_s, began)
                self._send(self._session.finished(commit, payloads, time.monotonic()))
                del left[place]
                began = time.monotonic()
        except BreakOff:
            self._log.info("broken off", chunks=[each.chunk for each in left.values()])
            return
        except Exception as why:
            # One of them cannot be done, or not beside the others: each is tried alone.
            self._log.warning("failed together", chunks=[each.chunk for each in left.values()], why=str(why))
            for each in left.values():
                if self._session.end is None:
                    self._work(each)
        self._attend()

    def _work(self, lease: Lease) -> None:
        """One chunk, from the source to the streamer."""
        tools, log = self._tools, self._log.bind(chunk=lease.chunk)
        assert tools is not None, "work begins when there are tools"
        try:
            start = time.monotonic()
            block = read_block(tools, lease.chunk, self._beat)
            self._beat()
            read = time.monotonic()
            labelling = tools.segmenter.segment(block)
            self._beat()
            commit, payloads = finish(tools, lease, block, labelling, read - start, read)
        except BreakOff:
            log.info("broken off")
            return
        except Exception as why:
            reason = " ".join(f"{type(why).__name__}: {why}".split())
            log.error("failed", why=reason, exc_info=not isinstance(why, InputError))
            self._send(self._session.failed(lease, reason, time.monotonic()))
        else:
            self._send(self._session.finished(commit, payloads, time.monotonic()))
            log.debug(
                "finished", objects=commit.own, read_s=round(commit.read_s, 3), segment_s=round(commit.segment_s, 3)
            )
        self._attend()

    def _beat(self) -> None:
        """Called from the work.  Raises BreakOff when the work is not wanted any more."""
        self._attend()
        if self._session.end is not None:
            raise BreakOff


def announce(name: str) -> None:
    """The line on stdout that says that the worker is at work."""
    print(msgspec.json.encode({"ready": "worker", "name": name}).decode(), file=sys.stdout, flush=True)


def work(ingest: str, name: str, manners: Manners, keys: Keys | None = None) -> None:
    """Runs a worker in this process's main thread until the run ends.  Raises WorkerEnded if it could not go on."""
    end = Worker(ingest, name, manners, lambda: announce(name), keys).run()
    if end.code:
        raise WorkerEnded(end)
    structlog.get_logger().info("ended", worker=name, why=end.reason)
