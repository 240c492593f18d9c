"""No test waits without limit: for a process to end, for what it says first, or for a run's events.

A part that does not end when it is told to is asked for its stacks (SIGABRT, which a Python with
PYTHONFAULTHANDLER answers on stderr), killed, and the test fails with what it said last.  Where a
process inherits our stderr, pytest shows that itself.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, AnyStr, Protocol, TypeVar

DEADLINE_S = 60.0
STACKS_S = 5.0
"""What a process has to write its stacks."""
KILLED_S = 10.0
PATIENCE_S = 120.0
"""What a run has for what is waited for."""
TAIL = 6000
"""Characters of stderr that are shown of a process that had to be killed."""


class Process(Protocol):
    """What subprocess.Popen and tests.nursery.Part have in common."""

    args: Any
    stdout: Any
    stderr: Any

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int, /) -> None: ...


P = TypeVar("P", bound=Process)


def end(
    process: Process, number: int | None = signal.SIGTERM, within_s: float = DEADLINE_S, log: Path | None = None
) -> int:
    """Its exit code, once it has ended: asked to by a signal, or (None) by itself.  Its pipes are closed afterwards.

    What it still says meanwhile is read, so that it cannot wait for us.  ``log`` is where its stderr goes if to a file.
    """
    said = _Rest(process)
    try:
        if number is not None and process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(within_s)
        except subprocess.TimeoutExpired:
            kill(process)
    finally:
        said.close()
    asked = "by itself" if number is None else f"after {signal.Signals(number).name}"
    shown = said.tail() or (
        log.read_text(errors="replace")[-TAIL:] if log else "what it said stands in the stderr of the test"
    )
    raise AssertionError(f"{process.args} did not end within {within_s:g} s {asked}:\n{shown}")


def kill(process: Process) -> None:
    """Ends what hears nothing, if it must be without asking; its stacks first."""
    for number, within_s in ((signal.SIGABRT, STACKS_S), (signal.SIGKILL, KILLED_S)):
        if process.poll() is None:
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(within_s)


@contextmanager
def ending(
    process: P, number: int | None = signal.SIGTERM, within_s: float = DEADLINE_S, log: Path | None = None
) -> Iterator[P]:
    """A process that has ended when its block is left, however that is."""
    try:
        yield process
    finally:
        end(process, number, within_s, log)


class _Rest:
    """Reads what a process still says, straight from its pipes, and keeps the last of its stderr.

    A pipe that outlives its process (a child of its own holds it) is not waited for.
    """

    def __init__(self, process: Process) -> None:
        self._said = [s for s in (process.stdout, process.stderr) if s is not None and not s.closed]
        self._streams = [*self._said, *filter(None, [getattr(process, "stdin", None)])]
        self._stderr = process.stderr
        self._kept = b""
        self._stop, self._bell = os.pipe()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(self._stop, selectors.EVENT_READ)
            for stream in self._said:
                ready.register(stream.fileno(), selectors.EVENT_READ, stream)
            last = False
            while len(ready.get_map()) > 1:
                found = ready.select(0 if last else None)
                news = [key for key, _ in found if key.data is not None]
                last = last or len(news) < len(found)
                if last and not news:
                    return
                for key in news:
                    some = os.read(key.fd, 65536)
                    if not some:
                        ready.unregister(key.fd)
                    elif key.data is self._stderr:
                        self._kept = (self._kept + some)[-TAIL:]

    def close(self) -> None:
        """What was there when the process ended has been read."""
        os.close(self._bell)
        self._thread.join(KILLED_S)
        os.close(self._stop)
        # Whoever still reads a pipe that a grandchild holds has its lock: not to be waited for in a way no signal ends.
        closer = threading.Thread(target=self._close, daemon=True)
        closer.start()
        closer.join(KILLED_S)

    def _close(self) -> None:
        for stream in self._streams:
            with suppress(OSError, ValueError):  # nobody reads any more what stands in its buffer
                stream.close()

    def tail(self) -> str:
        return self._kept.decode(errors="replace")


def line_within(stream: IO[AnyStr] | None, within_s: float = DEADLINE_S) -> AnyStr:
    """The next line, empty at the end of the stream; fails if neither comes in time.

    By a thread, as what has been read already cannot be selected.  It ends with the process: whoever calls this ends
    the process then.
    """
    assert stream is not None
    found: list[AnyStr] = []

    def read() -> None:
        with suppress(OSError, ValueError):  # closed meanwhile
            found.append(stream.readline())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(within_s)
    if not found:
        raise AssertionError(f"nothing was said within {within_s:g} s")
    return found[0]


def lines_within(stream: IO[AnyStr] | None, within_s: float = PATIENCE_S) -> Iterator[AnyStr]:
    """The lines of a process until the stream ends; fails if that, or what is looked for among them, is not in time."""
    deadline = time.monotonic() + within_s
    while line := line_within(stream, max(0.0, deadline - time.monotonic())):
        yield line


def in_time(lines: Iterable[str], within_s: float = PATIENCE_S) -> Iterator[str]:
    """The lines of a run's events; fails if they go on for longer, with the last record.

    The server says that it is there every few seconds, so that a limit on reading is never met.
    """
    deadline, last = time.monotonic() + within_s, "nothing"
    for line in lines:
        if line.startswith("data:"):
            last = line
        assert time.monotonic() < deadline, f"it goes on after {within_s:g} s; the last that was heard: {last}"
        yield line


# Linux only: elsewhere a test that is killed leaves its servers behind.
_TIED = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9)\n"
    "os.getppid() == int(sys.argv[1]) or sys.exit('whoever started it has gone')\n"
    "os.execvp(sys.argv[2], sys.argv[2:])"
)


def tied(*command: Any, lent: bool = False) -> list[str]:
    """A command whose process ends when the thread that starts it does, whatever ended that.

    ``lent``: it runs under another user's name, who may not be allowed our Python.
    """
    words = [str(word) for word in command]
    if sys.platform != "linux":
        return words
    if lent:
        return [*(("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()), *words]
    return [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *words]
