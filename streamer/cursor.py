"""One subscriber: how far it has been served, and how much more it has asked for.

There is no queue: a cursor points into the log, and credit says how far it may move.  Credit is
cumulative and counts from Hello, so that a message lost or said twice changes nothing.  Bytes are
those of an entry's payloads (its header is free); each entry counts as one message.
"""

from __future__ import annotations

from dataclasses import dataclass

NO_ROOM = -1


@dataclass(slots=True)
class Cursor:
    """Where a subscriber stands in the log; numbers are those of entries."""

    next: int
    """The entry to be sent next."""
    prev: int = -1
    """The entry sent before it; for a newcomer the one before its first."""
    read: int = 0
    """The entry that the subscriber says it wants next: all before it have arrived."""
    credit_bytes: int = 0
    credit_messages: int = 0
    sent_bytes: int = 0
    sent_messages: int = 0
    widest: int = 0
    """The most that there was room for when credit came: its window, as far as can be seen from here."""
    needs: int = 0
    """Payload bytes of entry ``next``, once that has been found out."""

    @classmethod
    def at(cls, number: int) -> Cursor:
        """A subscriber that has read all before ``number``, and has not given credit yet."""
        return cls(next=number, prev=number - 1, read=number)

    @property
    def room(self) -> int:
        """Bytes that may be sent now, or NO_ROOM if no message may."""
        if self.sent_messages >= self.credit_messages:
            return NO_ROOM
        return self.credit_bytes - self.sent_bytes

    def may_send(self, head: int) -> bool:
        """Whether there is an entry to send and, as far as its size is known, credit for it."""
        return self.next < head and self.room >= self.needs

    def credit(self, total_bytes: int, messages: int, read: int) -> None:
        """Up to these totals may be sent; all before ``read`` have arrived."""
        self.credit_bytes = max(self.credit_bytes, total_bytes)
        self.credit_messages = max(self.credit_messages, messages)
        self.read = max(self.read, min(read, self.next))
        self.widest = max(self.widest, self.room)

    @property
    def reached(self) -> int:
        """What the subscriber has read, what it does not want included: an entry before which it lacks nothing."""
        return self.next if self.read > self.prev else self.read

    @property
    def starved(self) -> bool:
        """Whether all that was sent has been read, and the whole window is too small for the next entry."""
        return self.reached == self.next and NO_ROOM < self.room < self.needs and self.widest < self.needs

    def skip(self, number: int) -> None:
        """Nothing before ``number`` is wanted."""
        if number > self.next:
            self.next, self.needs = number, 0

    def fetched(self, size: int) -> None:
        """An entry outside the order, of ``size`` payload bytes, is on its way."""
        self.sent_bytes += size
        self.sent_messages += 1

    def sent(self, size: int) -> None:
        """Entry ``next``, of ``size`` payload bytes, is on its way."""
        self.prev, self.next = self.next, self.next + 1
        self.sent_bytes += size
        self.sent_messages += 1
        self.needs = 0

    def copy(self) -> Cursor:
        """Another one that stands where this one does."""
        # Written out: the library's copy takes ten times as long, and this is done for each entry.
        return Cursor(
            self.next, self.prev, self.read, self.credit_bytes, self.credit_messages, self.sent_bytes,
            self.sent_messages, self.widest, self.needs,
        )  # fmt: skip

    def unsent(self, before: Cursor) -> None:
        """What was sent last is not on its way: the peer's pipe was full.  ``before`` is a copy from before it."""
        self.next, self.prev, self.needs = before.next, before.prev, before.needs
        self.sent_bytes, self.sent_messages = before.sent_bytes, before.sent_messages
