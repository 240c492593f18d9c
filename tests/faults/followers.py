"""Subscribers of the tests' own: they keep account of what came, apart from the product's following.

Each entry is checked as it comes: exactly once, in the order of the log, with the bytes that its commit names.
What is damaged, missing or silent makes one say Hello again with the number that it wants, as the protocol says.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import zmq

from streamer.wire.batch import entries_of, unpack_present
from streamer.wire.block import PARTS
from streamer.wire.codec import Buffer, crc32c
from streamer.wire.header import VERSION, Refused, decode, encode
from streamer.wire.messages import (
    FETCHED,
    AskIndex,
    Commit,
    Credit,
    Entries,
    Entry,
    Fetch,
    Hello,
    Index,
    Known,
    Welcome,
)

SILENCE_S = 1.0
WINDOW = 1 << 20

Log = dict[int, tuple[str, list[bytes]]]
"""Entries by their numbers."""


class Follower:
    """One subscriber; ``messages`` is how many it asks for at a time.

    One that is ``late`` asks what is there, fetches that, and follows from there on.
    """

    def __init__(self, name: str, socket: zmq.Socket[bytes], messages: int = 64, *, late: bool = False) -> None:
        self.name, self.socket, self._messages, self.late = name, socket, messages, late
        self.epoch, self.next = "", 0
        self.log: Log = {}
        """What it has of the present log."""
        self.missing: list[int] = []
        self.greetings = 0
        self.damaged = 0
        self.reads = True
        """Whether it takes what comes."""
        self._prev, self._bytes, self._count = -1, 0, 0
        self._welcome = self._indexed = False
        self._heard = 0.0
        self.hello()

    @property
    def complete(self) -> bool:
        """Whether it has all up to the run's end."""
        kinds = [kind for kind, _ in self.log.values()]
        return ("end" in kinds) and not self.missing

    @property
    def chunks(self) -> dict[int, list[bytes]]:
        """The payloads of each chunk, in the order of the log.  A chunk that is there twice is an error."""
        found: dict[int, list[bytes]] = {}
        for _, (kind, payloads) in sorted(self.log.items()):
            if kind == "chunk":
                commit = commit_of(payloads)
                assert commit.chunk not in found, f"{self.name} has chunk {commit.chunk} twice"
                found[commit.chunk] = payloads
        return found

    def say(self, message: Known, payloads: Sequence[bytes] = ()) -> None:
        self.socket.send_multipart([encode(message), *payloads])

    def hello(self) -> None:
        """Begins the conversation, or begins it anew where it stopped."""
        self.greetings += 1
        self._welcome, self._bytes, self._count, self._prev = False, 0, 0, self.next - 1
        self._heard = time.monotonic()
        self.say(Hello(VERSION, "renderer", self.name, self.epoch, self.next, PARTS))

    def turn(self) -> None:
        """Takes what has come, if it reads at all; after a silence it says Hello again."""
        while self.reads and self.socket.poll(0):
            self._heard = time.monotonic()
            frames = self.socket.recv_multipart()
            try:
                message, payloads = decode(frames)
                self._hear(message, payloads)
            except Refused:
                self.damaged += 1
                self.hello()
            if self._messages == 1:
                return
        if self.reads and not self.complete and time.monotonic() - self._heard > SILENCE_S:
            self.hello()

    def _hear(self, message: Known | None, payloads: Sequence[Buffer]) -> None:
        match message:
            case Welcome():
                self._welcomed(message)
            case Index() if self._welcome and not self._indexed:
                self._stands(message, payloads)
            case Entry() | Entries() if self._welcome:
                for sent in entries_of(message, payloads):
                    if not self._take(sent.entry, [bytes(raw) for raw in sent.payloads]):
                        return
                    self._bytes += sent.nbytes
                    self._count += 1
                self._credit()

    def _welcomed(self, welcome: Welcome) -> None:
        self._welcome = True
        if welcome.epoch != self.epoch:
            # Another log: what was known is forgotten.
            self.epoch, self.next, self._prev = welcome.epoch, 0, -1
            self._indexed = False
            self.log.clear()
            self.missing.clear()
        if self.late and not self._indexed:
            self.say(AskIndex(1))
            return
        self._fetch()
        self._credit()

    def _stands(self, index: Index, payloads: Sequence[Buffer]) -> None:
        present = unpack_present(index, payloads)
        assert len(set(present.chunks.tolist())) == len(present.chunks)
        self._indexed = True
        self.missing, self.next = present.numbers.tolist(), present.head
        if present.end:
            self.log[present.head - 1] = ("end", [present.end.encode()])
        for kind, pairs in (("merges", present.merges), ("verdicts", present.verdicts)):
            self.log[-1 - len(self.log)] = (kind, [pairs.astype("<u8").tobytes()])
        if len(present.failed):
            self.log[-1 - len(self.log)] = ("failed", [present.failed.astype("<u4").tobytes(), b""])
        self.hello()

    def _fetch(self) -> None:
        if self.missing:
            self.say(Fetch(len(self.missing)), [np.array(self.missing, "<u8").tobytes()])

    def _take(self, entry: Entry, payloads: list[bytes]) -> bool:
        """Whether the conversation goes on."""
        if entry.kind == "chunk" and damage_of(payloads):
            self.damaged += 1
            self.hello()
            return False
        if entry.prev == FETCHED:
            assert entry.number in self.missing, f"{self.name} was sent {entry.number}, and did not ask for it"
            self.missing.remove(entry.number)
        else:
            assert entry.number >= self.next, f"{self.name} was sent entry {entry.number} again"
            if entry.prev != self._prev or entry.number != self.next:
                self.hello()  # something was lost between the two
                return False
            self._prev, self.next = entry.number, entry.number + 1
        assert entry.number not in self.log, f"{self.name} has entry {entry.number} twice"
        self.log[entry.number] = (entry.kind, payloads)
        return True

    def _credit(self) -> None:
        self.say(Credit(self._bytes + WINDOW, self._count + self._messages, self.next))


def commit_of(payloads: Sequence[bytes]) -> Commit:
    """The header of a chunk's entry."""
    commit, _ = decode([payloads[0]])
    assert isinstance(commit, Commit)
    return commit


def damage_of(payloads: Sequence[bytes]) -> str:
    """What is wrong with a chunk's entry; empty if it is whole."""
    try:
        commit, _ = decode([payloads[0]])
    except Refused as why:
        return str(why)
    if not isinstance(commit, Commit):
        return "no commit"
    for part, raw in zip(commit.parts, payloads[1:], strict=True):
        if (part.size, part.crc) != (len(raw), crc32c(raw)):
            return f"part {part.name} of chunk {commit.chunk}"
    return ""
