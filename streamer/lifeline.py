"""A part ends when its parent does, whatever ended the parent.

The parent holds the write end of a pipe and passes the read end to its children, by number in
``CAVECAST_LIFELINE``.  No one ever writes: when the parent is gone (``kill -9`` included) the kernel
closes the write end and every child reads the end of file.  It then asks itself to end as a SIGTERM
would, and ends without asking a little later.  Each level holds a pipe of its own, so a chain of
processes falls from the top.  On Linux the kernel is asked for a SIGTERM as well, which arrives even
while the thread that reads is kept waiting.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
import sys
import threading
import time

VARIABLE = "CAVECAST_LIFELINE"
GRACE_S = 1.0
"""What a part has to tidy up in once its parent is gone."""
_PR_SET_PDEATHSIG = 1


class NotTied(ValueError):
    """The environment names a parent that is not there."""

    exit_code = 2


class Lifeline:
    """The parent's end.  Keep it for as long as the children shall live; ``close`` ends them all."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()  # neither is inherited unless it is passed

    @property
    def fd(self) -> int:
        """The read end, to be passed to the child (``pass_fds``)."""
        return self._read

    def environment(self, base: dict[str, str]) -> dict[str, str]:
        """The environment for a child."""
        return {**base, VARIABLE: str(self._read)}

    def close(self) -> None:
        """Let go: the children end."""
        for fd in (self._read, self._write):
            if fd >= 0:
                os.close(fd)
        self._read = self._write = -1


def hold(grace_s: float = GRACE_S) -> bool:
    """Tie this process to its parent, if there is one that asks for it; called once, at the start of a command.

    Returns whether it is tied.  Raises NotTied, with a sentence, if the variable names no pipe.
    """
    text = os.environ.pop(VARIABLE, "")
    if not text:
        return False
    try:
        fd = int(text)
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            raise OSError
    except (ValueError, OSError, OverflowError):
        raise NotTied(
            f"{VARIABLE}={text} in the environment is no pipe of a parent process: unset it to start this part alone"
        ) from None
    os.set_inheritable(fd, False)
    # The order matters: a parent that dies between the two calls is seen by the pipe.
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    threading.Thread(target=_wait, args=(fd, grace_s), name="lifeline", daemon=True).start()
    return True


def _wait(fd: int, grace_s: float) -> None:
    while os.read(fd, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os._exit(1)
