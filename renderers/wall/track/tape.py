"""A session that is written in a thread of its own, so that a slow disk holds no frame back.

What waits for the disk is bounded: what finds no room is lost, and counted.  A disk that refuses ends the
recording; what was written until then can be played.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import BinaryIO

from renderers.wall.records import TrackerSource
from renderers.wall.track.record import Recorder
from renderers.wall.track.sensed import Record

ROOM = 20_000
"""Records that may wait: a minute of a busy tracker, some MB."""
PATIENCE_S = 5.0
"""For the disk, at the end."""


class Tape:
    """Records to a file of its own, which must be open for writing bytes, unbuffered.  Close it, or use ``with``."""

    def __init__(self, out: BinaryIO, sources: Sequence[TrackerSource], now: float, room: int = ROOM) -> None:
        """Writes the session's head, at once.  Raises OSError and ValueError; the file is then still the caller's."""
        self._recorder = Recorder(out, sources, now)
        self._out, self._room = out, room
        self._waiting: deque[tuple[Record, float]] = deque()
        self._turn = threading.Condition()
        self._over = False
        self.written = 0
        """Records that are in the file."""
        self.lost = 0
        """Records that should be and are not."""
        self.trouble = ""
        """Why nothing is written any more; empty while it is."""
        # A disk that never answers must not keep the process from ending.
        self._thread = threading.Thread(target=self._write, name="tape", daemon=True)
        self._thread.start()

    def put(self, records: Sequence[Record], now: float) -> None:
        """Takes what came at ``now``.  Never waits for the disk."""
        with self._turn:
            fits = 0 if self.trouble or self._over else max(0, self._room - len(self._waiting))
            self._waiting.extend((record, now) for record in records[:fits])
            self.lost += max(0, len(records) - fits)
            self._turn.notify()

    def close(self, patience_s: float = PATIENCE_S) -> None:
        """Writes what waits, for so long at most, and closes the file."""
        with self._turn:
            self._over = True
            self._turn.notify()
        self._thread.join(patience_s)
        with self._turn:
            self.lost += len(self._waiting)
            self._waiting.clear()

    def _write(self) -> None:
        try:
            while True:
                with self._turn:
                    while not self._waiting and not self._over:
                        self._turn.wait()
                    if not self._waiting:
                        return
                    record, at = self._waiting.popleft()
                self._recorder.write(record, at)
                self.written += 1
        except (OSError, ValueError) as why:
            with self._turn:
                self.trouble = str(getattr(why, "strerror", None) or why)
                self.lost += 1 + len(self._waiting)
                self._waiting.clear()
        finally:
            self._out.close()
