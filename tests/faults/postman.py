"""Between workers and the streamer: passes each message on as often, as late and as damaged as it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import zmq

from streamer.wire.header import Refused, decode
from streamer.wire.messages import Message

Way = Literal["in", "out"]
Frames = list[bytes]
Passes = Callable[[Way, bytes, Frames], list[Frames]]
"""What a peer's message becomes on its way to the streamer (``in``) or from it."""


class Postman:
    """Listens at ``here`` for workers, and speaks for each with the streamer ``there``; ``turn`` does what is due."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], here: str, there: str, passes: Passes) -> None:
        self._context, self._there, self._passes = context, there, passes
        self._front = context.socket(zmq.ROUTER)
        self._front.setsockopt(zmq.LINGER, 0)
        self._front.bind(here)
        self._backs: dict[bytes, zmq.Socket[bytes]] = {}

    def turn(self) -> None:
        while self._front.poll(0):
            peer, *frames = self._front.recv_multipart()
            if peer not in self._backs:
                self._backs[peer] = self._context.socket(zmq.DEALER)
                self._backs[peer].setsockopt(zmq.LINGER, 0)
                self._backs[peer].connect(self._there)
            for one in self._passes("in", peer, frames):
                self._backs[peer].send_multipart(one)
        for peer, back in self._backs.items():
            while back.poll(0):
                for one in self._passes("out", peer, back.recv_multipart()):
                    self._front.send_multipart([peer, *one])

    def close(self) -> None:
        for socket in (self._front, *self._backs.values()):
            socket.close(0)


def message_of(frames: Frames) -> Message | None:
    """What a message says, if it is one."""
    try:
        return decode(frames)[0]
    except Refused:
        return None


class Twice:
    """Each message of a kind comes twice."""

    def __init__(self, *kinds: type) -> None:
        self._kinds, self.times = kinds, 0

    def __call__(self, _: Way, __: bytes, frames: Frames) -> list[Frames]:
        again = isinstance(message_of(frames), self._kinds)
        self.times += again
        return [frames, frames] if again else [frames]


class Later:
    """Each second message of a kind of a peer comes after the peer's next message."""

    def __init__(self, kind: type) -> None:
        self._kind, self.times = kind, 0
        self._waits: dict[tuple[Way, bytes], Frames] = {}

    def __call__(self, way: Way, peer: bytes, frames: Frames) -> list[Frames]:
        waits = self._waits.pop((way, peer), None)
        if waits is not None:
            return [frames, waits]
        if isinstance(message_of(frames), self._kind):
            self._waits[way, peer] = frames
            self.times += 1
            return []
        return [frames]


class Lost:
    """The first messages of a kind are lost, and some later ones, until ``most`` are."""

    def __init__(self, *kinds: type, most: int = 4) -> None:
        self._kinds, self._most, self._seen, self.times = kinds, most, 0, 0

    def __call__(self, _: Way, __: bytes, frames: Frames) -> list[Frames]:
        if not isinstance(message_of(frames), self._kinds) or self.times == self._most:
            return [frames]
        self._seen += 1
        if self._seen % 3 == 0:
            return [frames]
        self.times += 1
        return []
