"""The last moment of a process that is to end: whatever holds it up, it is gone after a bounded time, and says why.

A database that is silent keeps the thread that asks it, and Python waits for its threads; so does a task that waits for
an answer that never comes.  A thread of its own waits for neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import sys
import tempfile
import threading
from typing import IO

STUCK = 71
"""The exit code of a process that was asked to end and could not."""
SAYING_S = 1.0
"""So long it may take to say what did not end: who should read that may be stuck as well."""


class LastMoment:
    """Begins once, and is not taken back: an end in order is sooner."""

    def __init__(self, after_s: float, code: int = STUCK) -> None:
        self._after_s, self._code, self._begun = after_s, code, False

    def begin(self) -> None:
        """The process has so long to end from now on.  To be called in the event loop."""
        if self._begun:
            return
        self._begun = True
        loop = asyncio.get_running_loop()
        # Both begin now: while the interpreter ends, no more threads can be started.
        for after_s, what, about in (
            (self._after_s, self._end, (loop,)),
            (self._after_s + SAYING_S, os._exit, (self._code,)),
        ):
            watch = threading.Timer(after_s, what, about)
            watch.daemon = True
            watch.start()

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            threads = [
                one.name for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()
            ]
            print(_stacks(), file=sys.stderr)
            print(f"cavecast: {sentence(self._after_s, threads, _tasks(loop))}", file=sys.stderr, flush=True)
        finally:
            os._exit(self._code)


def sentence(after_s: float, threads: list[str], tasks: list[str]) -> str:
    """That it did not end, and what did not.  Pure."""
    there = [
        f"{kind} {', '.join(sorted(set(some)))}" for kind, some in (("threads", threads), ("tasks", tasks)) if some
    ]
    return f"asked to end {after_s:g} s ago and not ended, so it ends at once: {' and '.join(there) or 'nothing'} left"


def _tasks(loop: asyncio.AbstractEventLoop) -> list[str]:
    with contextlib.suppress(RuntimeError):  # it goes on meanwhile
        return [getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks(loop)]
    return []


def _stacks() -> str:
    """Where all threads are.  By way of a file: what writes them lets nobody else run meanwhile."""
    file: IO[bytes]
    with contextlib.suppress(OSError), tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read().decode(errors="replace")
    return ""
