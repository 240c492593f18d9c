"""A kernel that refuses a call from somewhere on, for one process: what a failing disk looks like from above.

A seccomp filter, set before the process becomes ``cavecast``, answers the call with an error in place of carrying it
out, as soon as one of its arguments is large enough: a file's offset (the disk's end is spoilt), or a descriptor
(files that were opened late).  The program is the real one and so is what the system tells it; the disk is not asked.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

CALLS: dict[str, dict[str, tuple[int, ...]]] = {
    "pwritev": {"x86_64": (296, 328), "aarch64": (70, 287)},  # which library calls the second, pwritev2, is its affair
    "fdatasync": {"x86_64": (75,), "aarch64": (83,)},
}
"""The numbers of a call by kind of machine."""
THERE = sys.platform == "linux" and platform.machine() in CALLS["fdatasync"]
"""Whether this machine's kernel can be asked for it."""
_NO_NEW_PRIVS, _SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_REFUSE, _ALLOW = 0x0005_0000, 0x7FFF_0000
_ARGUMENTS = 16
"""Where a call's arguments begin in ``struct seccomp_data``, 8 bytes each, the low half first (seccomp(2))."""


def refusing(call: str, argument: int, least: int, error: int = errno.EIO) -> list[str]:
    """What is put before a command so that ``call`` fails whenever that argument is at least so large."""
    # A name of its own, because the folder of the tests is not where the command is started.
    return [sys.executable, str(Path(__file__)), call, str(argument), str(least), str(error)]


def refuse(numbers: Sequence[int], argument: int, least: int, error: int) -> None:
    """Sets the filter for this process and whatever it becomes.  Raises OSError."""
    last = len(numbers) - 1
    steps = [
        (_LOAD, 0, 0, 0),
        *((_EQUAL, last - place, 0 if place < last else 3, number) for place, number in enumerate(numbers)),
        (_LOAD, 0, 0, _ARGUMENTS + 8 * argument),
        (_AT_LEAST, 0, 1, least),
        (_RETURN, 0, 0, _REFUSE | error),
        (_RETURN, 0, 0, _ALLOW),
    ]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    what = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(program)))
    system = ctypes.CDLL(None, use_errno=True)
    for option, *values in ((_NO_NEW_PRIVS, 1, None), (_SECCOMP, _FILTER, what)):
        if system.prctl(option, *values, 0, 0):
            raise OSError(ctypes.get_errno(), "a filter of system calls cannot be set")


if __name__ == "__main__":
    name, *numbers = sys.argv[1:5]
    refuse(CALLS[name][platform.machine()], *map(int, numbers))
    os.execv(sys.argv[5], sys.argv[5:])  # noqa: S606  (the command is the test's own)
