"""How the archive follows a log: where it stands, how much it has asked for, and what it does about silence.

Pure: messages and the time in, messages out.  Credit counts an entry's payload bytes from Hello on.  After
a silence it asks whether anybody is there, then introduces itself anew with its number, and at last gives
up in words.  Entries that were already read are passed over, and a gap is asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamer.wire.block import PARTS
from streamer.wire.header import VERSION
from streamer.wire.messages import Credit, Entry, Hello, Message, Pulse, Refuse, Welcome

MESSAGES = 4096
"""Entries asked for at a time."""
SMALLEST_WINDOW = 64 << 20
LARGEST_WINDOW = 2 << 30


class Lost(Exception):
    """The feed cannot be followed any further: why, in a sentence."""


@dataclass(frozen=True, slots=True)
class Patience:
    """When silence is answered by what, in seconds."""

    pulse_s: float = 2.0
    hello_s: float = 5.0
    give_up_s: float = 120.0
    tell_s: float = 0.5
    """How far the archive has read is told at least so often while it reads."""


class Follower:
    """One subscription.  ``next`` is the number of the entry wanted next; ``epoch`` that of the log followed."""

    def __init__(self, name: str, patience: Patience, now: float) -> None:
        self.epoch = ""
        self.next = 0
        self.parts: tuple[str, ...] = PARTS
        """The parts of a chunk that are asked for."""
        self._name, self._patience = name, patience
        self._heard = self._said = now
        self._welcomed = False
        self._window = SMALLEST_WINDOW
        self._bytes = self._messages = 0
        self._told = (0, 0, 0)
        self._told_at = now
        self._bad = 0

    def hello(self, now: float) -> list[Message]:
        """The first word, and that after a silence."""
        self._said, self._welcomed = now, False
        return [Hello(VERSION, "archive", self._name, self.epoch, self.next, self.parts)]

    def ask(self, parts: tuple[str, ...], now: float) -> list[Message]:
        """From the next entry on other parts are needed: asks for these, if they are others."""
        if parts == self.parts:
            return []
        self.parts = parts
        return self.hello(now)

    def welcome(self, message: Welcome, now: float) -> bool:
        """An answer to Hello; ``credit`` is to be sent.  Returns whether it is another log, read from its beginning."""
        self._heard, self._welcomed = now, True
        anew = message.epoch != self.epoch
        if anew:
            self.epoch, self.next = message.epoch, 0
        self._window = max(self._window, min(2 * message.largest, LARGEST_WINDOW))
        self._bytes = self._messages = 0
        self._told = (0, 0, 0)
        return anew

    def take(self, entry: Entry, size: int, now: float) -> bool:
        """An entry of ``size`` payload bytes has come; whether it is the one wanted, to be handed on.

        What is not wanted was read before, or says that something is missing: ``gap`` tells which.
        """
        self._heard = now
        self._bytes += size
        self._messages += 1
        return self._welcomed and entry.number == self.next

    def gap(self, entry: Entry) -> bool:
        """Whether entries before this one are missing."""
        return self._welcomed and entry.number > self.next

    def read(self, now: float) -> list[Message]:
        """The entry that was taken has been dealt with; tells so from time to time."""
        self.next += 1
        self._bad = 0
        spent = (
            self._told[0] - self._bytes < self._window * 3 // 4 or self._told[1] - self._messages < MESSAGES * 3 // 4
        )
        return self.credit(now) if spent or now - self._told_at >= self._patience.tell_s else []

    def damaged(self, why: str, now: float) -> list[Message]:
        """The entry that was taken cannot be read: it is asked for again.  Raises Lost at the third time."""
        self._bad += 1
        if self._bad >= 3:
            raise Lost(f"entry {self.next} of the log arrived damaged three times: {why}")
        return self.hello(now)

    def credit(self, now: float) -> list[Message]:
        """Asks for as much as the window holds beyond what has come."""
        self._told = (self._bytes + self._window, self._messages + MESSAGES, self.next)
        self._told_at = self._said = now
        return [Credit(*self._told)]

    def refused(self, message: Refuse, now: float) -> list[Message]:
        """The streamer says no: to a window that is too small, which can be helped, or to all.  Raises Lost."""
        self._heard = now
        if not self._welcomed or self._window >= LARGEST_WINDOW:
            raise Lost(f"the streamer refuses the archive: {message.reason}")
        self._window = min(2 * self._window, LARGEST_WINDOW)
        return self.credit(now)

    def signed(self, now: float) -> None:
        """Any other sign of life."""
        self._heard = now

    def tick(self, now: float) -> list[Message]:
        """What the time brings.  Raises Lost after a long silence."""
        silent, patience = now - self._heard, self._patience
        if silent >= patience.give_up_s:
            raise Lost(f"nothing was heard from the streamer for {silent:.0f} s")
        if self._welcomed and self.next != self._told[2] and now - self._told_at >= patience.tell_s:
            return self.credit(now)
        if silent >= patience.hello_s and now - self._said >= patience.pulse_s:
            return self.hello(now)
        if self._welcomed and silent >= patience.pulse_s and now - self._said >= patience.pulse_s:
            self._said = now
            return [Pulse()]
        return []

    def deadline(self, now: float) -> float:
        """When ``tick`` wants to be called next, at the latest."""
        return now + min(self._patience.tell_s, self._patience.pulse_s) / 2
