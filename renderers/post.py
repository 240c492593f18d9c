"""The post: a thread that owns the viewers' door and makes pixels into pictures, beside the thread that draws.

What viewers say is taken, and the time noted, while the next picture is being drawn; a picture leaves as soon as it is
encoded.  Pixels are handed over in pages of memory that are used again; there are a few, so that the thread that draws
is never far ahead.

The encoders of H.264 are here as well, one for each chain of pictures that somebody follows (``renderers.chains``); the
thread that draws decides which there are, and says with every picture which may be given up.
"""

from __future__ import annotations

import select
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import zmq
from numpy.typing import NDArray

from renderers.bell import Bell
from renderers.chains import Leg, Way
from renderers.door import ViewsDoor
from renderers.picture import Pixels, halved, jpeg
from renderers.video import Encoder, NoEncoder
from streamer.wire.keys import Keys
from streamer.wire.view import H264, JPEG, KEY, Frame, encode_frame, is_acknowledged

PAGES = 2
"""Pictures that may wait to be encoded."""
FAREWELL_MS = 200
AT_ONCE = 1000
"""Messages that are taken before anything else is looked at."""
MOST_HEARD = 2000
"""What viewers have said and the thread that draws has not taken: with so much, the rest waits at the door."""
READABLE = int(zmq.POLLIN)
FULL_MS = 20
"""After so long it is looked again whether it has been taken."""


class Heard(NamedTuple):
    """A viewer has said something."""

    peer: bytes
    frames: Sequence[bytes]
    at: float


class Left(NamedTuple):
    """A picture has left."""

    peer: bytes
    frame: int
    nbytes: int
    at: float
    encode_s: float
    """What encoding it here took; 0: it came encoded."""


class Unable(NamedTuple):
    """H.264 cannot be encoded in some way, and JPEG was sent instead: why."""

    why: str
    way: Way


class Lost(NamedTuple):
    """A message was not sent: there was no room for it, or the viewer is not there any more."""

    peer: bytes
    frame: int
    """Number of the picture; 0: it was a note."""
    gone: bool


class Letter(NamedTuple):
    """A message that is ready."""

    peer: bytes
    message: bytes
    frame: int = 0
    encode_s: float = 0.0


class Copy(NamedTuple):
    """One viewer's picture of pixels that may be several viewers'."""

    peer: bytes
    header: Frame
    quality: int
    half: bool
    leg: Leg | None = None
    """The chain of H.264 that it is of; None: it is a JPEG."""


class Print(NamedTuple):
    """Pixels to be encoded and sent: each way of encoding once, however many get it."""

    page: Pixels
    copies: tuple[Copy, ...]
    chains: Collection[int]


class Chains(NamedTuple):
    """Only these chains are still followed."""

    followed: Collection[int]


Event = Heard | Lost | Left | Unable


class Post:
    """``wake`` rings when there is something to ``take`` that matters, or when a page is free that was missed.

    What is no news by itself, that a picture has left or has been shown, is taken with what comes next.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str, keys: Keys | None) -> None:
        """Raises BadAddress."""
        self._door = ViewsDoor(context, address, keys)
        self.address = self._door.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        """Where viewers are waited for."""
        self.wake, self._asked = Bell(), Bell()
        self.patient: Collection[bytes] = ()
        """Viewers that get their next picture whether or not they have shown the last ones."""
        self._out: deque[Letter | Print | Chains] = deque()
        self._in: deque[Event] = deque()
        self._encoders: dict[int, Encoder] = {}
        self._free: deque[NDArray[np.uint8]] = deque(np.empty(0, np.uint8) for _ in range(PAGES))
        self._missed = False
        """A page was wanted, and none was free."""
        self._stop = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="post", daemon=True)

    def start(self) -> None:
        """Opens."""
        self._thread.start()

    def stop(self) -> None:
        """Sends what is left, closes the door and ends the thread."""
        self._stop = True
        self._asked.ring()
        if self._thread.ident is not None:
            self._thread.join()
        else:
            self._close()
        for end in (self.wake, self._asked):
            end.close()

    def take(self) -> Event | None:
        """What has happened next, if anything.  Raises what ended the thread."""
        if self._failure is not None:
            raise self._failure
        return self._in.popleft() if self._in else None

    @property
    def waiting(self) -> bool:
        """Whether there is something to take, be it no news."""
        return bool(self._in)

    def page(self, height: int, width: int) -> Pixels | None:
        """Memory for a picture, (height, width, 3), to be given back with ``print``; None if none is free now."""
        if self.full:
            return None
        memory, needed = self._free.pop(), 3 * width * height
        if memory.size < needed:
            memory = np.empty(needed, np.uint8)
        return memory[:needed].reshape(height, width, 3)

    @property
    def full(self) -> bool:
        """Whether no page is free."""
        if self._free:
            return False
        # Before it is looked once more: one may have become free in between.
        self._missed = True
        return not self._free

    def print(self, page: Pixels, copies: Sequence[Copy], chains: Collection[int] = ()) -> None:
        """Encodes and sends a picture.  ``chains``: those of H.264 that are followed from now on."""
        self._out.append(Print(page, tuple(copies), chains))
        self._asked.ring()

    def chains(self, followed: Collection[int]) -> None:
        """Gives up the encoders of all other chains."""
        self._out.append(Chains(followed))
        self._asked.ring()

    def send(self, letter: Letter) -> None:
        """Sends a message, after all that was given before."""
        self._out.append(letter)
        self._asked.ring()

    # ------------------------------------------------------------------ in the thread

    def _run(self) -> None:
        # A socket's descriptor tells once that something has happened to it, and is quiet when all of it has been
        # taken notice of; polling it costs a fifth of what ZeroMQ's own poller does (docs/performance.md).
        poll, others = select.poll(), [other.FD for other in self._door.others]
        for source in (self._asked.fileno(), self._door.socket.FD, *others):
            poll.register(source, select.POLLIN)
        try:
            self._door.attend(time.monotonic())
            while not self._stop:
                self._carry()
                # After whatever was sent, for sending takes notice of what has come too.
                wait_ms = self._listen()
                ready = [source for source, _ in poll.poll(wait_ms)]
                if self._asked.fileno() in ready:
                    self._asked.hush()
                if any(other in ready for other in others):
                    self._door.attend(time.monotonic())
            self._carry()
        except Exception as why:  # the thread that draws ends with it: nobody could see its pictures
            self._failure = why
            self.wake.ring()
        finally:
            self._close()

    def _close(self) -> None:
        self._door.close(FAREWELL_MS)

    def _listen(self) -> int | None:
        """Takes what viewers say; returns after how many milliseconds there is more, None: when they say more."""
        news, wait_ms = False, 0
        for _ in range(AT_ONCE):
            if len(self._in) >= MOST_HEARD:
                self._door.socket.get(zmq.EVENTS)  # so that its descriptor is quiet
                wait_ms = FULL_MS
                break
            if not int(self._door.socket.get(zmq.EVENTS)) & READABLE:
                wait_ms = -1
                break
            peer, *frames = self._door.socket.recv_multipart(zmq.NOBLOCK)
            self._in.append(Heard(peer, frames, time.monotonic()))
            news = news or peer not in self.patient or not is_acknowledged(frames)
        if news or wait_ms == FULL_MS:
            self.wake.ring()
        return None if wait_ms < 0 else wait_ms

    def _carry(self) -> None:
        while self._out:
            match self._out.popleft():
                case Letter() as letter:
                    self._send(letter)
                case Chains(followed):
                    self._keep(followed)
                case Print(page, copies, chains):
                    self._keep(chains)
                    self._print(page, copies)
                    assert isinstance(page.base, np.ndarray)
                    self._free.append(page.base)
                    if self._missed:
                        self._missed = False
                        self.wake.ring()

    def _print(self, page: Pixels, copies: Sequence[Copy]) -> None:
        coded: dict[object, tuple[int, int, bytes, float]] = {}
        for copy in copies:
            way = (copy.quality, copy.half) if copy.leg is None else copy.leg
            if way not in coded:
                begun = time.monotonic()
                coded[way] = *self._coded(page, copy), 1000 * (time.monotonic() - begun)
            codec, key, picture, encode_ms = coded[way]
            header = copy.header._replace(codec=codec, flags=copy.header.flags | key, encode_ms=encode_ms)
            self._send(Letter(copy.peer, encode_frame(header) + picture, header.frame, encode_ms / 1000))

    def _coded(self, page: Pixels, copy: Copy) -> tuple[int, int, bytes]:
        """Codec, the flag KEY if it decodes by itself, and the picture."""
        pixels, leg = halved(page) if copy.half else page, copy.leg
        if leg is not None:
            try:
                if leg.key:
                    height, width, _ = pixels.shape
                    self._encoders[leg.chain] = Encoder(width, height, leg.way.kbit)
                if (encoder := self._encoders.get(leg.chain)) is not None:
                    return H264, KEY * leg.key, encoder.encode(pixels, key=leg.key)
            except NoEncoder as why:
                self._encoders.pop(leg.chain, None)
                self._in.append(Unable(str(why), leg.way))
                self.wake.ring()
        return JPEG, KEY, jpeg(pixels, copy.quality)

    def _keep(self, chains: Collection[int]) -> None:
        self._encoders = {chain: encoder for chain, encoder in self._encoders.items() if chain in chains}

    def _send(self, letter: Letter) -> None:
        try:
            self._door.socket.send_multipart(
                [letter.peer, letter.message], zmq.NOBLOCK, copy=len(letter.message) < 65536
            )
            if letter.frame:
                at, nbytes = time.monotonic(), len(letter.message)
                self._in.append(Left(letter.peer, letter.frame, nbytes, at, letter.encode_s))
        except zmq.Again:
            self._lose(letter, gone=False)
        except zmq.ZMQError as why:
            if why.errno != zmq.EHOSTUNREACH:
                raise
            self._lose(letter, gone=True)

    def _lose(self, letter: Letter, *, gone: bool) -> None:
        self._in.append(Lost(letter.peer, letter.frame, gone))
        self.wake.ring()
