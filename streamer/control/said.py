"""What the parts of a run have said: the newest lines in memory, and all of them in two files of bounded size.

Lines are taken at once and written a little later, in a thread: a slow disk holds up nobody.  What comes faster than
the disk takes it is counted, and that is said in its place.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

FILE = "parts.log"
"""In the run's folder, one line of JSON each; what came before it lies in ``parts.log.1``."""
LARGEST = 4 << 20
"""A file of so many bytes is put aside, in place of the one that was before."""
MOST = 2000
"""Lines that are kept in memory, and that may wait to be written."""
WRITE_S = 0.5


class Line(msgspec.Struct, frozen=True):
    """One line that a part has said."""

    time: str
    """ISO 8601, UTC."""
    part: str
    level: str
    text: str


def writable(text: str) -> str:
    """A text as it can be written anywhere: without what is no character of UTF-8, and without NUL, which no database
    takes.  A part's JSON may hold both: half of a pair stands there for a byte of a file's name that is not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _now() -> datetime:
    return datetime.now(UTC)


class Said:
    """The lines of one run, in memory and in ``folder``, if there is one.  ``close`` it when done."""

    def __init__(self, folder: Path | None, clock: Callable[[], datetime] = _now) -> None:
        self._path = folder / FILE if folder is not None else None
        self._clock = clock
        self._newest: deque[Line] = deque(maxlen=MOST)
        self._waiting: list[Line] = []
        self._lost = 0
        self.trouble = ""
        """Why lines cannot be written, in a sentence."""

    def add(self, part: str, level: str, text: str) -> None:
        """A part has said something."""
        line = Line(self._clock().isoformat(timespec="milliseconds"), part, level, text)
        self._newest.append(line)
        if self._path is None:
            return
        if len(self._waiting) < MOST:
            self._waiting.append(line)
        else:
            self._lost += 1

    async def keep(self) -> None:
        """Writes what has come, for as long as it is not cancelled."""
        while True:
            await asyncio.sleep(WRITE_S)
            if self._waiting:
                await asyncio.to_thread(self._write, self._taken())

    def close(self) -> None:
        """Writes the rest, and keeps nothing in memory: there may be many runs that are over."""
        if rest := self._taken():
            self._write(rest)
        self._newest.clear()

    def tail(self, lines: int, part: str = "") -> list[Line]:
        """The newest lines (of one part), oldest first."""
        found = [line for line in self._newest if part in ("", line.part)]
        return found[-lines:] if lines else []

    def _taken(self) -> list[Line]:
        taken, self._waiting = self._waiting, []
        if self._lost:
            text = f"{self._lost} lines came faster than they could be written"
            taken.append(Line(self._clock().isoformat(timespec="milliseconds"), "", "warning", text))
            self._lost = 0
        return taken

    def _write(self, lines: list[Line]) -> None:
        if self._path is None:
            return
        try:
            if self._path.exists() and self._path.stat().st_size > LARGEST:
                self._path.replace(self._path.with_name(f"{FILE}.1"))
            with self._path.open("ab") as file:
                file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
            self.trouble = ""
        except OSError as why:  # a full disk, or a folder that was removed: the lines in memory stay
            self.trouble = f"what the parts say cannot be written to {self._path}: {why.strerror}"


def read(folder: Path, lines: int, part: str = "") -> list[Line]:
    """The newest lines that lie in a run's folder (of one part), oldest first; none if there is no file.

    Reads from the end, and no more than the two files are allowed to hold; a line that is none is passed over.
    """
    found: list[Line] = []
    for name in (FILE, f"{FILE}.1"):
        try:
            with (folder / name).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 2 * LARGEST))
                raw = file.read(2 * LARGEST).splitlines()
        except OSError:
            continue
        for text in reversed(raw):
            if len(found) >= lines:
                return found[::-1]
            try:
                line = msgspec.json.decode(text, type=Line)
            except msgspec.MsgspecError:
                continue
            if part in ("", line.part):
                found.append(line)
    return found[::-1]
