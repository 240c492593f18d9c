"""Parts of CaveCast as processes of their own, without the second that each takes to import its libraries.

One process (the nursery) imports what all parts need, once in a test session; each part is a fork of it, with its
own pid, arguments, environment, stdout and stderr, and ends, is killed or stopped as any other process.  A warning
is an error in it.
``Part`` has what the tests use of ``subprocess.Popen``.
"""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NoReturn

MODULES = (
    "streamer.cli", "streamer.main", "streamer.relay_node", "inference_workers.main", "inference_workers.node",
    "inference_workers.connect", "streamer.archive.main", "streamer.archive.node",
)  # fmt: skip
DEADLINE_S = 60.0


class Part:
    """``cavecast`` with some arguments, as a process.  stdout and stderr are read as text."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.args = ["cavecast", *arguments]
        self.returncode: int | None = None
        self.stdout, out = _pipe()
        self.stderr, err = _pipe()
        self._status, status = os.pipe()
        request = [list(arguments), dict(os.environ if environment is None else environment), str(Path.cwd())]
        try:
            self.pid = _nursery().fork(json.dumps(request).encode(), [out, err, status])
        finally:
            for end in (out, err, status):
                os.close(end)

    def poll(self) -> int | None:
        """Its exit code if it has ended; that of a signal is negative."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended.  Raises subprocess.TimeoutExpired."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = int(os.read(self._status, 20) or b"-9")  # nothing: the nursery has gone, and all with it
            os.close(self._status)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """The rest of its stdout and stderr, once it has ended.  Raises subprocess.TimeoutExpired."""
        said: dict[IO[str], list[str]] = {one: [] for one in (self.stdout, self.stderr) if not one.closed}
        readers = [threading.Thread(target=lambda one=one: said[one].append(one.read()), daemon=True) for one in said]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
        if any(reader.is_alive() for reader in readers):  # who closes what is being read waits, and hears no signal
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self.close()
        return "".join(said.get(self.stdout, [])), "".join(said.get(self.stderr, []))

    def close(self) -> None:
        """Closes its stdout and stderr."""
        self.stdout.close()
        self.stderr.close()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _pipe() -> tuple[IO[str], int]:
    read, write = os.pipe()
    return os.fdopen(read, "r"), write


# ---------------------------------------------------------------- the side of the tests


class _Nursery:
    def __init__(self) -> None:
        self._line, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.settimeout(DEADLINE_S)
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.nursery", str(there.fileno())],
            pass_fds=[there.fileno()], cwd=Path(__file__).parents[1],
            # Threads do not survive a fork; the packages of whichever test comes first are not everybody's.
            env={**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        there.close()
        atexit.register(self.close)

    def fork(self, request: bytes, files: list[int]) -> int:
        socket.send_fds(self._line, [request], files)
        return int(self._line.recv(20))

    def close(self) -> None:
        self._line.close()
        try:
            self._process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE_S)
            raise


_the_nursery: list[_Nursery] = []


def _nursery() -> _Nursery:
    if not _the_nursery:
        _the_nursery.append(_Nursery())
    return _the_nursery[0]


# ---------------------------------------------------------------- the nursery


def serve(line: socket.socket) -> None:
    """Forks whatever is asked for, and says how each has ended; ends all when nobody asks any more."""
    for module in MODULES:
        importlib.import_module(module)
    gc.freeze()
    bell, rings = os.pipe()
    for end in (bell, rings):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(rings)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})  # whoever started us may have blocked it
    children: dict[int, int] = {}
    try:
        while True:
            ready, _, _ = select.select([line.fileno(), bell], [], [])
            if bell in ready:
                os.read(bell, 1024)
                _reap(children)
            if line.fileno() in ready:
                request, files, _, _ = socket.recv_fds(line, 1 << 20, 3)
                if not request:
                    break
                pid = os.fork()
                if not pid:
                    _become(request, files)
                children[pid] = files[2]
                for file in files[:2]:
                    os.close(file)
                line.send(b"%d" % pid)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        end_at = time.monotonic() + DEADLINE_S
        while children and (left_s := end_at - time.monotonic()) > 0:
            _reap(children)
            if children and select.select([bell], [], [], left_s)[0]:
                os.read(bell, 1024)


def _reap(children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with suppress(BrokenPipeError):  # nobody wants to know
            os.write(children[pid], b"%d" % os.waitstatus_to_exitcode(status))
        os.close(children.pop(pid))


def _become(request: bytes, files: list[int]) -> NoReturn:
    """The part itself; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for file, to in ((nothing, 0), (files[0], 1), (files[1], 2)):
            os.dup2(file, to)
        faulthandler.enable()  # a SIGABRT shows what it is at
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: the nursery may be killed too
        os.closerange(3, 4096)
        arguments, environment, folder = json.loads(request)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        random.seed()
        sys.argv = ["cavecast", *arguments]
        sys.path[:0] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
        importlib.invalidate_caches()
        from streamer.cli import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
