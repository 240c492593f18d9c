"""How much of the log stays: which segment may lose its labels next.

The oldest goes first, whole, and only once the archive has said that it serves all of it.  The newest
segment, which is written to, stays.  One archive may answer for a log: whoever comes later looks for all
that has gone in one store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

MOST_STORE = 400
"""Bytes of the store's name: it travels in a header."""

STUCK_S = 10.0
"""What the archive said of its standing still counts for so long; it says so every second."""


class Piece(NamedTuple):
    """A segment of the log."""

    first: int
    stop: int
    nbytes: int
    lean: bool


class Retention:
    """What the archive has said.  ``store`` is where labels that have gone already are, or empty."""

    def __init__(self, store: str) -> None:
        self.store, self.archived = store, 0
        self.trouble = ""
        """Why the log is larger than it should be, in a sentence."""
        self._stuck, self._stuck_at = "", 0.0

    def told(self, number: int, store: str, head: int) -> str:
        """The archive says that it serves all entries before ``number``; returns what is wrong with it, or nothing."""
        if not 0 <= number <= head:
            return f"entry {number} cannot be archived: the log ends before entry {head}"
        if not store or len(store.encode()) > MOST_STORE:
            return f"the archive's store needs a name of at most {MOST_STORE} bytes"
        if self.store and store != self.store:
            return f"what has left the log lies in {self.store}: an archive in {store} cannot take its place"
        self.store, self.archived = store, number
        return ""

    def stands_still(self, why: str, now: float) -> None:
        """The archive says why it stands still, or (nothing) that it goes on."""
        self._stuck, self._stuck_at = why, now

    def stuck(self, now: float) -> str:
        """Why the archive stands still; empty while it works.  One that has ended says nothing any more."""
        return self._stuck if now - self._stuck_at < STUCK_S else ""

    def next(self, pieces: Sequence[Piece], retain_bytes: int | None) -> int | None:
        """The first entry of the segment that is to be made lean, or None: all may stay, or must."""
        if retain_bytes is None or sum(piece.nbytes for piece in pieces) <= retain_bytes:
            return None
        for piece in pieces[:-1]:
            if not piece.lean:
                return piece.first if piece.stop <= self.archived else None
        return None
