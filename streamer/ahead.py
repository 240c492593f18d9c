"""Room on the disk that is taken before it is needed.

Where a file grows record by record, the kernel looks for blocks at every write.  Taken in larger steps they
cost a third less processor time in all, and lie in one piece.  The file's size does not change, so nobody
who reads it notices; what was taken and not used is given back when the file is finished.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

LEAST, MOST = 1 << 20, 16 << 20
"""Bytes of a step: as many as the file has, within these bounds."""
_KEEP_SIZE = 1


class Ahead:
    """The room that has been taken for one open file."""

    def __init__(self) -> None:
        self._until = 0

    def reach(self, file: int, end: int, upto: int) -> None:
        """The file, which ends at ``end``, is about to be written up to ``upto``.  Never raises.

        A disk that is full, or cannot do it, says so when the record itself is written.
        """
        if upto > self._until:
            self._until = upto + min(max(end, LEAST), MOST)
            if _fallocate is not None:
                _fallocate(file, _KEEP_SIZE, end, self._until - end)

    def give_back(self, file: int, end: int) -> None:
        """Cuts the file at its end, and the room that was taken beyond.  Raises OSError."""
        os.ftruncate(file, end)
        self._until = 0

    @property
    def taken(self) -> bool:
        """Whether there may be some."""
        return self._until > 0


def _find() -> Callable[[int, int, int, int], int] | None:
    """The system's call, where there is one; Python itself has only one that changes the size."""
    call = getattr(ctypes.CDLL(None), "fallocate64", None)
    if call is None:
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    call.restype = ctypes.c_int

    def fallocate(file: int, mode: int, offset: int, length: int) -> int:
        return int(call(file, mode, offset, length))

    return fallocate


_fallocate = _find()
