"""The entries of a log that were written or read last: those who follow its head all want the same ones."""

from __future__ import annotations

RECENT_BYTES = 16 << 20
"""What is kept takes so much; more than comes in one turn of a door, so that followers find what came in it."""
ENTRY_BYTES, PAYLOAD_BYTES = 1024, 512
"""What an entry and each of its payloads take besides their bytes, roughly: else a million small ones would be kept."""
LogEntry = tuple[str, list[memoryview]]


class Recent:
    """Entries by number, as many as ``RECENT_BYTES`` hold, and the newest in any case."""

    def __init__(self) -> None:
        self._entries: dict[int, LogEntry] = {}
        self._bytes = 0
        self.get = self._entries.get

    def keep(self, number: int, entry: LogEntry) -> None:
        """An entry that is not kept yet; the oldest give way."""
        self._entries[number] = entry
        self._bytes += _size(entry)
        while self._bytes > RECENT_BYTES and len(self._entries) > 1:
            self._bytes -= _size(self._entries.pop(next(iter(self._entries))))

    def clear(self) -> None:
        """Forgets all."""
        self._entries.clear()
        self._bytes = 0


def _size(entry: LogEntry) -> int:
    return ENTRY_BYTES + sum(map(len, entry[1])) + PAYLOAD_BYTES * len(entry[1])
