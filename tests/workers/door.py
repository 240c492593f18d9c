"""A streamer's ingest door made of one real ROUTER socket, for tests of real worker processes."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import zmq

from streamer.wire.header import VERSION, decode, encode
from streamer.wire.messages import Message, Welcome
from streamer.wire.volume import RunSpec, encode_spec
from tests import nursery
from tests.ending import end, line_within

DEADLINE_S = 60.0
T = TypeVar("T", bound=Message)


class Door:
    """Speaks to the one worker that comes.  Every wait ends with an error after half a minute."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.set(zmq.ROUTER_MANDATORY, 1)
        self._socket.set(zmq.LINGER, 0)
        self._socket.bind(address)
        self.peer = b""
        self.heard: list[Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()

    def say(self, message: Message, *payloads: bytes) -> None:
        self._socket.send_multipart([self.peer, encode(message), *payloads])

    def say_raw(self, *frames: bytes) -> None:
        self._socket.send_multipart([self.peer, *frames])

    def welcome(self, spec: RunSpec, epoch: str = "e") -> None:
        self.say(Welcome(VERSION, epoch, 0, 0), encode_spec(spec))

    def expect(self, kind: type[T]) -> tuple[T, Sequence[Any]]:
        """The next message of a kind; others are kept in ``heard``."""
        until = time.monotonic() + DEADLINE_S
        while True:
            left = until - time.monotonic()
            if left <= 0 or not self._socket.poll(int(left * 1000)):
                raise AssertionError(f"no {kind.__name__} within {DEADLINE_S:g} s; heard were {self.heard}")
            self.peer, *frames = self._socket.recv_multipart()
            message, payloads = decode(frames)
            assert message is not None
            self.heard.append(message)
            if isinstance(message, kind):
                return message, payloads


class Process:
    """A real ``cavecast worker``."""

    def __init__(self, address: str, *options: str) -> None:
        self._process = nursery.Part(["worker", "--ingest", address, "--name", "w", *options])

    def ready(self) -> dict[str, Any]:
        """The line that it prints when it is at work."""
        return dict(json.loads(line_within(self._process.stdout)))

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> tuple[int, str, str]:
        """Its exit code, and the rest of its stdout and stderr."""
        out, err = self._process.communicate(timeout=DEADLINE_S)
        return self._process.wait(), out, err

    def kill(self) -> None:
        end(self._process, signal.SIGKILL)


@contextmanager
def process(address: str, *options: str) -> Iterator[Process]:
    """A worker that does not outlive the test."""
    started = Process(address, *options)
    try:
        yield started
    finally:
        started.kill()
