"""When an entry counts as kept, and who waits for that.

``written``: once the kernel has it.  ``group``: once one fdatasync for all that came within 20 ms is done.
``each``: once it has had an fdatasync of its own.  Entries go on to subscribers before; a worker hears of
its chunk, and that the run has ended, only afterwards.  The shell carries the flush out and says how it went.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import Literal, NamedTuple

Policy = Literal["written", "group", "each"]
GROUP_S = 0.02
"""What comes within so long is flushed together."""
MOST_HELD = 4096
"""Acknowledgements that wait for a flush; when there are so many, no more work is given out."""


class Waiting(NamedTuple):
    """Somebody who brought a chunk, and the entry that it became."""

    number: int
    chunk: int
    peer: bytes


class Durable:
    """All entries before ``head`` are kept at the beginning."""

    def __init__(self, policy: Policy, head: int, *, retry_s: float = 0.5) -> None:
        self.policy, self._retry_s = policy, retry_s
        self.trouble = ""
        """Why nothing can be flushed, in a sentence; empty while it can."""
        self._safe = self._head = head
        self._due = inf
        self._flushing = False
        self._held: list[Waiting] = []

    @property
    def all_kept(self) -> bool:
        """Whether nothing waits for a flush."""
        return self.policy == "written" or self._safe >= self._head

    @property
    def pressed(self) -> bool:
        """Whether no more work should be given out."""
        return bool(self.trouble) or len(self._held) >= MOST_HELD

    def kept(self, number: int) -> bool:
        """Whether an entry is kept."""
        return self.policy == "written" or number < self._safe

    def hold(self, number: int, chunk: int, peer: bytes) -> None:
        """A peer is to hear of an entry once it is kept."""
        heappush(self._held, Waiting(number, chunk, peer))

    def wrote(self, head: int, now: float) -> None:
        """The log has entries up to ``head`` by now."""
        if head > self._head:
            self._head = head
            if self.policy != "written":
                self._due = min(self._due, now + (GROUP_S if self.policy == "group" else 0.0))

    def begin(self, now: float) -> int | None:
        """Up to where the log is to be flushed now, or None.  ``done`` or ``failed`` must follow."""
        if self._flushing or now < self._due:
            return None
        self._flushing, self._due = True, inf
        return self._head if self.policy == "group" else self._safe + 1

    def done(self, upto: int, now: float) -> list[Waiting]:
        """The log has been flushed up to there; returns who is to hear of it, by entry."""
        self._flushing, self.trouble = False, ""
        self._safe = max(self._safe, upto)
        if self._safe < self._head and self.policy == "each":
            self._due = now
        freed = []
        while self._held and self._held[0].number < self._safe:
            freed.append(heappop(self._held))
        return freed

    def failed(self, why: str, now: float) -> None:
        """The flush failed: all that was to be kept by it is tried again after a while."""
        self._flushing, self.trouble = False, why
        self._due = now + self._retry_s

    def deadline(self) -> float:
        """When ``begin`` should be asked next, or infinity."""
        return inf if self._flushing else self._due
