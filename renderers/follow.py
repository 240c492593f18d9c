"""How the renderer follows the log: one cursor, credit, and a question on silence.  Decisions only.

Entries are taken strictly in order of their numbers: what comes twice is skipped, a gap or damaged bytes
make it say Hello again with the number it wants.  Credit is given back as entries are used up, so what
waits here is bounded.  When nothing was heard for a while it asks; when that is not answered, it starts
the conversation anew where it stopped.  A log of another epoch is another log: the scene starts anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from streamer.wire.codec import Buffer
from streamer.wire.messages import VERSION, Credit, Entry, Hello, Known, Message, Pulse, Refuse, Welcome

PARTS = ("labels", "seam", "ids")
ASK_S, ANEW_S, SLOWEST_S = 1.5, 4.0, 30.0
"""Silence after which it asks; after which it starts anew; and the longest between two attempts."""
WINDOW_BYTES, WINDOW_MESSAGES = 32 << 20, 12
LARGEST_WINDOW = 1 << 30


class Begin(NamedTuple):
    """A log has been opened; ``spec`` as MessagePack.  All that was known before belongs to another log."""

    spec: Buffer


class Take(NamedTuple):
    """The next entry."""

    entry: Entry
    payloads: Sequence[Buffer]
    nbytes: int
    """What it costs; to be given back with ``used`` when it is used up."""


class Anew(NamedTuple):
    """Hang up, call again and say the Hello that ``Follower.hello`` gives."""


class Tell(NamedTuple):
    """Something that a person should know; empty when all is well again."""

    sentence: str


Step = Message | Begin | Take | Anew | Tell


class Follower:
    """One subscription.  What it returns is to be carried out in order: messages are sent to the streamer."""

    def __init__(self, name: str, now: float) -> None:
        self._name = name
        self.epoch = ""
        self.next = 0
        """The number of the next entry wanted."""
        self.head = 0
        self._used_bytes = self._used_messages = 0
        self._waiting_bytes = self._waiting_messages = 0
        """Of the entries that were taken and are not used up yet."""
        self._given = (0, 0)
        self._window = WINDOW_BYTES
        self._welcome = False
        self._heard_at = self._asked_at = self._moved_at = now
        self._received = 0
        self._anew_at = inf
        self._failures = 0
        self._troubled = False

    def hello(self, now: float) -> Hello:
        """The first word of a conversation; counts of credit start anew."""
        self._welcome = False
        # What still waits here takes its room from the new conversation, so that many of them cannot fill the memory.
        self._used_bytes, self._used_messages, self._received = -self._waiting_bytes, -self._waiting_messages, 0
        self._anew_at = inf
        self._given = (0, 0)
        self._heard_at = self._asked_at = self._moved_at = now
        return Hello(VERSION, "renderer", self._name, self.epoch, self.next, PARTS)

    def receive(self, message: Known, payloads: Sequence[Buffer], now: float) -> list[Step]:
        """A message from the streamer."""
        self._heard_at = self._asked_at = now
        if isinstance(message, Welcome | Entry):
            self._moved_at = now
        match message:
            case Welcome():
                return self._welcomed(message, payloads, now)
            case Entry() if self._welcome:
                return self._entry(message, payloads)
            case Pulse():
                self.head = max(self.head, message.head)
                return self._well() if self._welcome else []
            case Refuse():
                return self._refused(message)
            case _:
                return []

    def used(self, nbytes: int) -> list[Step]:
        """An entry that was taken has been used up: its room is free again."""
        self._waiting_bytes -= nbytes
        self._waiting_messages -= 1
        return self._free(nbytes)

    def damaged(self, entry: Take, why: str, now: float) -> list[Step]:
        """The entry taken last could not be read: ask for it once more."""
        self._waiting_bytes -= entry.nbytes
        self._waiting_messages -= 1
        self.next = entry.entry.number
        self._failures += 1
        self._troubled = True
        # After three times in a row nothing more is taken until it starts anew, ever more slowly.
        self._welcome = False
        again: list[Step] = [Anew()] if self._failures < 3 else []
        self._anew_at = inf if again else now + self._patience_s
        return [Tell(f"Entry {self.next} of the log arrived damaged ({why}); it is asked for again."), *again]

    def intact(self) -> None:
        """The entry taken last could be read."""
        self._failures = 0

    def tick(self, now: float) -> list[Step]:
        """To be called at ``deadline``."""
        patience = self._patience_s
        if now >= self._anew_at:
            self._anew_at = inf
            return [Anew()]
        if now - self._heard_at >= patience:
            self._failures += 1
            self._troubled = True
            seconds = round(now - self._heard_at)
            return [Tell(f"The streamer has not been heard for {seconds} s: the picture stays as it is."), Anew()]
        owed = self.next < self.head and self._received < self._given[1]
        if self._welcome and owed and now - self._moved_at >= ANEW_S:
            # It answers, it has more, it was asked for it: somewhere a message was lost.
            return [Anew()]
        if now - self._asked_at >= ASK_S:
            self._asked_at = now
            return [Pulse(self.next)] if self._welcome else []
        return []

    def deadline(self) -> float:
        """When ``tick`` wants to be called."""
        patience = self._patience_s
        return min(self._asked_at + ASK_S, self._heard_at + patience, self._anew_at)

    @property
    def _patience_s(self) -> float:
        """Silence after which it starts anew; longer with every failure in a row."""
        return min(ANEW_S * float(2 ** min(self._failures, 3)), SLOWEST_S)

    # ------------------------------------------------------------------ inside

    def _welcomed(self, message: Welcome, payloads: Sequence[Buffer], now: float) -> list[Step]:
        del now
        steps: list[Step] = []
        if message.epoch != self.epoch or self.next > message.head:
            if not payloads:
                return [Tell("the streamer's welcome came without the run's specification; asking again"), Anew()]
            self.epoch, self.next = message.epoch, 0
            steps.append(Begin(payloads[0]))
        self.head = message.head
        self._welcome = True
        self._window = min(max(self._window, 2 * message.largest), LARGEST_WINDOW)
        return [*steps, *self._well(), *self._credit(eager=True)]

    def _entry(self, entry: Entry, payloads: Sequence[Buffer]) -> list[Step]:
        nbytes = sum(len(raw) for raw in payloads)
        self._received += 1
        self.head = max(self.head, entry.number + 1)
        if entry.number < self.next:
            return self._free(nbytes)
        if entry.prev >= self.next:
            return [Anew()]
        self.next = entry.number + 1
        self._waiting_bytes += nbytes
        self._waiting_messages += 1
        return [*self._well(), Take(entry, payloads, nbytes)]

    def _refused(self, message: Refuse) -> list[Step]:
        self._troubled = True
        if self._welcome:
            # Our window cannot hold the next entry.
            self._window = min(2 * self._window, LARGEST_WINDOW)
            return [Tell(f"The streamer refuses: {message.reason}"), *self._credit(eager=True)]
        return [Tell(f"The streamer refuses: {message.reason}")]

    def _free(self, nbytes: int) -> list[Step]:
        self._used_bytes += nbytes
        self._used_messages += 1
        return self._credit(eager=False)

    def _credit(self, *, eager: bool) -> list[Step]:
        """Credit, if there is enough new to be worth a message."""
        total = (self._used_bytes + self._window, self._used_messages + WINDOW_MESSAGES)
        little = total[1] - self._given[1] < WINDOW_MESSAGES // 4 and total[0] - self._given[0] < self._window // 4
        if not eager and little and self.next < self.head:
            return []
        self._given = total
        return [Credit(total[0], total[1], self.next)]

    def _well(self) -> list[Step]:
        if not self._troubled:
            return []
        self._troubled = False
        return [Tell("")]
