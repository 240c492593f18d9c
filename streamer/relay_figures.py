"""A relay in figures, for whoever watches over it: how far its copy is, behind what, and who reads it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from streamer.figures import Marks, SubscriberFigures


class RelayFigures(msgspec.Struct, frozen=True):
    """All of it, at one moment."""

    run_id: str
    relay: str
    """Its name."""
    position: int
    """Entries of its log."""
    kept: int
    """Entries that are as durable as its policy asks for."""
    log_bytes: int
    lag_entries: int
    """Entries of the streamer's log that it has not copied, as far as it has heard."""
    lag_bytes: int
    """Their bytes in the streamer's log."""
    lag_s: float
    """For how long it has known of the first of them."""
    silent_s: float
    """Since anything was heard of its source; −1 before."""
    credit_bytes: int
    """Room that it has given its source and that is not filled yet."""
    credit_messages: int
    full: bool
    """Whether it waits for room on its disk, or for the disk itself."""
    begun: int
    """How often its copy began anew, because the source's log was another one."""
    damaged: int
    """Entries that came damaged and were asked for again."""
    doors: Mapping[str, int]
    """What went wrong at its door, by reason."""
    subscribers: tuple[SubscriberFigures, ...]


class SourceMarks:
    """What is known of the length of the log at the other end of the line."""

    def __init__(self, head: int, nbytes: int, now: float) -> None:
        self._marks, self._head = Marks(head, nbytes, now), head

    def told(self, head: int, nbytes: int, now: float) -> None:
        """The streamer's log has so many entries and bytes."""
        if head > self._head:
            self._head = head
            self._marks.mark(head, nbytes, now)

    def behind(self, position: int, now: float) -> tuple[int, int, float]:
        """What lies beyond a position: entries, bytes, and for how many seconds the first has been known."""
        nbytes, seconds = self._marks.behind(position, now)
        return max(0, self._head - position), nbytes, seconds
