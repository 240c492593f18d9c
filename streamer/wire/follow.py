"""How a subscriber follows a log: one cursor, credit, and a question on silence.  Decisions only.

Entries are taken strictly in order of their numbers: what comes twice is skipped, a gap or damaged bytes
make it say Hello again with the number it wants.  Credit is given back as entries are used up, so what
waits here is bounded.  When nothing was heard for a while it asks; when that is not answered, it starts
the conversation anew where it stopped.  A log of another epoch is another log: all starts anew.

One that comes ``late`` asks what is there first, fetches it in the order that its owner likes, and follows
from there on: what it fetched stands outside the order, what it follows never does.  If it wants that
``coarse_first``, it fetches all chunks at half the resolution, where the log has that, before any of them whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from streamer.wire.batch import Sent, entries_of, unpack_present
from streamer.wire.codec import Buffer
from streamer.wire.header import VERSION, Refused
from streamer.wire.messages import (
    FETCHED,
    AskIndex,
    Credit,
    Entries,
    Entry,
    Fetch,
    Hello,
    Index,
    Known,
    Pulse,
    Refuse,
    Snapshot,
    Welcome,
)
from streamer.wire.steps import Anew, Ask, Begin, Elsewhere, Stand, Step, Take, Tell, Wants

__all__ = [
    "ANEW_S", "ASK_S", "FETCH", "LARGEST_WINDOW", "SLOWEST_S", "Anew", "Ask", "Begin", "Elsewhere", "Follower", "Stand",
    "Step", "Take", "Tell", "Wants",
]  # fmt: skip

ASK_S, ANEW_S, SLOWEST_S = 1.5, 4.0, 30.0
"""Silence after which it asks; after which it starts anew; and the longest between two attempts."""
LARGEST_WINDOW = 1 << 30
FETCH = 64
"""Entries that are fetched at a time; so soon does a new order of them count."""


class Follower:
    """One subscription.  What it returns is to be carried out in order: messages are sent to the streamer."""

    def __init__(self, wants: Wants, now: float, epoch: str = "", next: int = 0) -> None:
        self._wants = wants
        self.epoch = epoch
        self.next = next
        """The number of the next entry wanted."""
        self.head = 0
        self.missing: list[int] = []
        """Entries of the present state that have not come, the next to be fetched first.  May be sorted anew."""
        self.coarse: list[int] = []
        """Those that have not come at level 1 either, and are fetched so before all of ``missing``."""
        self._fetching: set[int] = set()
        self._level = 0
        """At which level they are fetched."""
        self._used_bytes = self._used_messages = 0
        self._waiting_bytes = self._waiting_messages = 0
        """Of the entries that were taken and are not used up yet."""
        self._given = (0, 0)
        self._window = wants.window_bytes
        self._welcome = False
        self._asks_index = False
        self._heard_at = self._asked_at = self._moved_at = now
        self._received = 0
        self._anew_at = inf
        self._failures = 0
        self._troubled = False

    def hello(self, now: float) -> Hello:
        """The first word of a conversation; counts of credit start anew."""
        self._welcome = self._asks_index = False
        # What was asked for by number and has not come is forgotten on the other side.
        (self.coarse if self._level else self.missing)[:0] = sorted(self._fetching)
        self._fetching.clear()
        # What still waits here takes its room from the new conversation, so that many of them cannot fill the memory.
        self._used_bytes, self._used_messages, self._received = -self._waiting_bytes, -self._waiting_messages, 0
        self._anew_at = inf
        self._given = (0, 0)
        self._heard_at = self._asked_at = self._moved_at = now
        wants = self._wants
        return Hello(
            VERSION, wants.role, wants.name, self.epoch, self.next, wants.parts, wants.region, wants.level, wants.batch
        )

    def receive(self, message: Known, payloads: Sequence[Buffer], now: float) -> list[Step]:
        """A message from the streamer."""
        self._heard_at = self._asked_at = now
        if isinstance(message, Welcome | Entry | Entries | Index):
            self._moved_at = now
        match message:
            case Welcome():
                return self._welcomed(message, payloads)
            case Entry() | Entries() if self._welcome:
                return self._arrived(message, payloads)
            case Index() if self._asks_index:
                return self._stands(message, payloads, now)
            case Pulse():
                self.head = max(self.head, message.head)
                if self._welcome and message.prev >= self.next:
                    return [Anew()]  # it was sent and has not come
                return self._well() if self._welcome else []
            case Snapshot():
                return [Elsewhere(message.number, message.store)]
            case Refuse():
                return self._refused(message)
            case _:
                return []

    def used(self, nbytes: int) -> list[Step]:
        """An entry that was taken has been used up: its room is free again."""
        self.dropped(nbytes)
        self._moved_at = self._heard_at  # what is owed is owed from now on
        return self._free(nbytes)

    def dropped(self, nbytes: int) -> None:
        """An entry that was taken is not used, because the conversation begins anew before it."""
        self._waiting_bytes -= nbytes
        self._waiting_messages -= 1

    def damaged(self, entry: Take, why: str, now: float) -> list[Step]:
        """The entry taken last could not be read: ask for it once more."""
        self.dropped(entry.nbytes)
        if entry.entry.prev == FETCHED:
            (self.coarse if entry.level else self.missing).insert(0, entry.entry.number)
        else:
            self.next = entry.entry.number
        self._failures += 1
        self._troubled = True
        # After three times in a row nothing more is taken until it starts anew, ever more slowly.
        self._welcome = False
        again: list[Step] = [Anew()] if self._failures < 3 else []
        self._anew_at = inf if again else now + self._patience_s
        number = entry.entry.number
        return [Tell(f"Entry {number} of the log arrived damaged ({why}); it is asked for again."), *again]

    def intact(self) -> None:
        """The entry taken last could be read."""
        self._failures = 0

    def fetch(self, number: int) -> list[Step]:
        """An entry that has come already is wanted once more, after all that is missing."""
        self.missing.append(number)
        return self._fetch() if self._welcome else []

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
        if self._asks_index and now - self._moved_at >= ASK_S:
            # It does not say what is there; then all that led to it is read.
            self._asks_index, self._welcome = False, True
            return self._credit(eager=True)
        # With a filter, an entry that does not come may be one that is not wanted; then Pulse says what was sent.
        owed = not self._wants.region and self.next < self.head and not self._waiting_messages
        if (owed or self._fetching) and self._received < self._given[1] and now - self._moved_at >= ANEW_S:
            # It answers, it has more, it was asked for it: somewhere a message was lost.
            return [Anew()] if self._welcome else []
        if now - self._asked_at >= ASK_S:
            self._asked_at = now
            return [Pulse(self.next)] if self._welcome else []
        return []

    def deadline(self) -> float:
        """When ``tick`` wants to be called."""
        patience = self._patience_s
        return min(self._asked_at + ASK_S, self._heard_at + patience, self._anew_at)

    @property
    def credit(self) -> tuple[int, int]:
        """What may still come: bytes and entries that were asked for."""
        given, messages = self._given
        taken = self._used_bytes + self._waiting_bytes, self._used_messages + self._waiting_messages
        return max(0, given - taken[0]), max(0, messages - taken[1])

    @property
    def _patience_s(self) -> float:
        """Silence after which it starts anew; longer with every failure in a row."""
        return min(ANEW_S * float(2 ** min(self._failures, 3)), SLOWEST_S)

    # ------------------------------------------------------------------ inside

    def _welcomed(self, message: Welcome, payloads: Sequence[Buffer]) -> list[Step]:
        steps: list[Step] = []
        if message.epoch != self.epoch or self.next > message.head:
            if not payloads:
                return [Tell("the streamer's welcome came without the run's specification; asking again"), Anew()]
            self.epoch, self.next = message.epoch, 0
            self.missing.clear()
            self.coarse.clear()
            self._fetching.clear()
            steps.append(Begin(payloads[0]))
        self._window = min(max(self._window, 2 * message.largest), LARGEST_WINDOW)
        self.head = message.head
        if self._wants.late and not self.next and message.head:
            self._asks_index = True
            return [*steps, AskIndex(1, self._wants.region)]
        self._welcome = True
        return [*steps, *self._well(), *self._credit(eager=True), *self._fetch()]

    def _stands(self, message: Index, payloads: Sequence[Buffer], now: float) -> list[Step]:
        """The present state has come: the conversation begins anew where it ends."""
        try:
            present = unpack_present(message, payloads)
        except Refused as why:
            return [Tell(f"What the streamer says of the present state cannot be read: {why}."), Anew()]
        if present.epoch != self.epoch:
            return [Anew()]
        self.next = present.head
        self.missing = present.numbers.tolist()
        self.coarse = self.missing.copy() if self._wants.coarse_first and "labels1" in present.parts else []
        return [Stand(present), self.hello(now)]

    def _arrived(self, message: Entry | Entries, payloads: Sequence[Buffer]) -> list[Step]:
        try:
            batch = entries_of(message, payloads)
        except Refused as why:
            return [Tell(f"The streamer sent what is no message: {why}."), Anew()]
        steps = self._well()
        for sent in batch:
            steps += self._entry(sent)
            if steps and isinstance(steps[-1], Anew):
                break
        return steps

    def _entry(self, sent: Sent) -> list[Step]:
        entry, payloads, nbytes = sent
        self._received += 1
        if entry.prev == FETCHED:
            if entry.number not in self._fetching:
                return self._free(nbytes)
            self._fetching.discard(entry.number)
        else:
            self.head = max(self.head, entry.number + 1)
            if entry.number < self.next:
                return self._free(nbytes)
            if entry.prev >= self.next:
                return [Anew()]
            self.next = entry.number + 1
        self._waiting_bytes += nbytes
        self._waiting_messages += 1
        level = self._level if entry.prev == FETCHED else 0
        return [Take(entry, payloads, nbytes, level), *self._fetch()]

    def _fetch(self) -> list[Step]:
        """Asks for more of the present state when what was asked for has come."""
        waiting = self.coarse or self.missing
        if self._fetching or not waiting:
            return []
        self._level = int(waiting is self.coarse)
        numbers = waiting[:FETCH]
        del waiting[:FETCH]
        self._fetching.update(numbers)
        ask = Fetch(len(numbers), self._level)
        return [Ask(ask, [b"".join(number.to_bytes(8, "little") for number in numbers)])]

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
        messages = self._wants.window_messages
        total = (self._used_bytes + self._window, self._used_messages + messages)
        little = total[1] - self._given[1] < messages // 4 and total[0] - self._given[0] < self._window // 4
        if not eager and little and (self.next < self.head or self._fetching):
            return []
        self._given = total
        return [Credit(total[0], total[1], self.next)]

    def _well(self) -> list[Step]:
        if not self._troubled:
            return []
        self._troubled = False
        return [Tell("")]
