"""Who holds a log, and how it was left: a file beside the segments, locked as long as its process lives.

It says ``closed``, or names the start of the machine during which the log was opened: after another start what the
kernel held is gone.  And it says from which entry on the disk may lack what the kernel still shows: once a sync has
failed, the next one may report success for pages that were dropped, and a new process would see nothing of it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path

CLOSED = b"closed"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class LogInUse(RuntimeError):
    """Another process writes this log."""


class Hold:
    """A log's lock.  ``closed``, ``same_start`` and ``unsure`` say how the process before left the log."""

    def __init__(self, folder: Path) -> None:
        """Raises LogInUse or OSError."""
        self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left, _, since = os.pread(self._file, 100, 0).partition(b" unsure ")
        except BlockingIOError:
            self.release()
            raise LogInUse(
                f"the log in {folder} is being written by another streamer: stop that one, or take another folder"
            ) from None
        except BaseException:
            self.release()
            raise
        self._start = _start()
        self.closed, self.same_start = left == CLOSED, left == self._start
        self.unsure: int | None = int(since) if since.isdigit() else None
        """Entries from this one on may not be on the disk, though they can be read."""

    @property
    def held(self) -> bool:
        return self._file >= 0

    def opened(self) -> None:
        """The log is open, and all of it is on the disk or will be if the machine goes on.  Raises OSError."""
        self._say(self._start)

    def close(self) -> None:
        """The log is closed and all of it is on the disk.  Raises OSError."""
        self._say(CLOSED)

    def doubt(self, since: int) -> None:
        """A sync has failed: what was written from entry ``since`` on is not to be believed before it is copied.

        Never raises; the kernel's memory is enough for it, since another start of the machine shows what is there.
        """
        with suppress(OSError):
            self._write(self._start + b" unsure %d" % since)

    def release(self) -> None:
        """Lets go of the log."""
        os.close(self._file)
        self._file = -1

    def _say(self, word: bytes) -> None:
        self._write(word)
        os.fdatasync(self._file)

    def _write(self, word: bytes) -> None:
        os.pwrite(self._file, word, 0)
        os.ftruncate(self._file, len(word))


def _start() -> bytes:
    """Names this start of the machine; without such a name, no start is like another."""
    try:
        return _BOOT.read_bytes().strip()
    except OSError:
        return secrets.token_hex(16).encode()
