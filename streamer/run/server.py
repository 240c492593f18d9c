"""A control plane of one's own: started as a child, spoken to over HTTP, ended with the command.

Its stdout brings the address.  Its log goes to our stderr: unchanged if that is not a terminal, else
only what needs a person's attention, above the progress.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import IO

from streamer.control.script import command
from streamer.credentials import TOKEN
from streamer.lifeline import Lifeline

READY_S = 60.0
END_S = 3.0
_ATTENTION = ("warning", "error", "critical")


class Gone(RuntimeError):
    """The control plane did not start, or has ended by itself: the last that it said."""

    exit_code = 1


class Server(AbstractContextManager["Server"]):
    """``cavecast serve`` on a free loopback port, for the length of a ``with``."""

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        """``show`` gets the sentences that need attention; without it the log is passed on to stderr as it is."""
        self._show = show
        self._words: deque[str] = deque(maxlen=20)
        self.at_work = ""
        """The run that was started and has not ended; empty if there is none."""

    def __enter__(self) -> Server:
        """Raises Gone if it does not start."""
        self._lifeline = Lifeline()
        self._process = subprocess.Popen(
            command("serve", "--port", "0"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._lifeline.environment({name: value for name, value in os.environ.items() if name != TOKEN}),
            pass_fds=(self._lifeline.fd,),
            start_new_session=True,  # Ctrl-C is ours; it is then ended in order
        )
        announced: queue.SimpleQueue[str] = queue.SimpleQueue()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._threads = [
            threading.Thread(target=_first_line, args=(self._process.stdout, announced), daemon=True),
            threading.Thread(target=self._relay, args=(self._process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        try:
            line = announced.get(timeout=READY_S)
        except queue.Empty:
            line = ""
        except BaseException:
            self._end()
            raise
        if not line:
            self._end()
            said = self._words[-1].removeprefix("cavecast: ") if self._words else "it said nothing"
            raise Gone(f"the control plane did not start: {said}")
        self.url = str(json.loads(line)["url"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it and all that it has started."""
        self._end()

    def wait(self) -> None:
        """Stays until it ends by itself, which it should not.  Raises Gone then."""
        self._process.wait()
        raise self.gone("")

    def gone(self, why: str) -> Gone:
        """That it is lost, with its exit code or else ``why``, and the last that it said."""
        try:
            # The end of the line to it is seen before the end of its process.
            how = f"it ended with exit code {self._process.wait(0.5)}"
        except subprocess.TimeoutExpired:
            how = why
        last = f": {self._words[-1]}" if self._words else ""
        return Gone(f"the control plane is gone, {how}{last}")

    def _end(self) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C shall not leave half of it behind
        try:
            self._process.terminate()
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._lifeline.close()
            for thread in self._threads:
                thread.join(1.0)
        finally:
            signal.signal(signal.SIGINT, before)

    def _relay(self, stderr: IO[bytes]) -> None:
        with stderr:
            for raw in stderr:
                line = raw.decode("utf-8", "replace").rstrip()
                record = _record(line)
                self._words.append(str(record.get("event", line)) if record else line)
                if self._show is None:
                    sys.stderr.write(f"{line}\n")  # at one go: others write sentences there meanwhile
                    sys.stderr.flush()
                elif record is None or record.get("level") in _ATTENTION:
                    self._show(_sentence(record) if record else line)


def _first_line(stdout: IO[bytes], announced: queue.SimpleQueue[str]) -> None:
    with stdout:
        announced.put(stdout.readline().decode("utf-8", "replace").strip())
        while stdout.read(65536):
            pass


def _record(line: str) -> dict[str, object] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _sentence(record: dict[str, object]) -> str:
    part = f"{record['part']}: " if "part" in record else ""
    more = " ".join(f"{key}={value}" for key, value in record.items() if key in ("why", "reason", "chunk", "exception"))
    return f"{part}{record.get('event', '')} {more}".rstrip()
