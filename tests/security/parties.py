"""Real parts with keys: a streamer as a process, peers of any role, and a wire on which a bit can be turned."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import zmq

from streamer.dial import lock
from streamer.wire.header import decode, encode
from streamer.wire.keys import ROLES, Role, read
from streamer.wire.messages import Known
from streamer.wire.volume import RunSpec
from tests import nursery
from tests.ending import kill, line_within

DEADLINE_S = 60.0
START = [sys.executable, "-c", "from streamer.cli import main; main()"]


class Part:
    """A process of ``cavecast``, whose stderr is read as it comes; ``prefix`` is put before its command."""

    def __init__(self, *arguments: str, prefix: Sequence[str] = ()) -> None:
        self.process: subprocess.Popen[str] | nursery.Part = (
            subprocess.Popen([*prefix, *START, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if prefix
            else nursery.Part(arguments)
        )
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def said(self) -> str:
        """All that it has said on stderr."""
        with self._news:
            return "".join(self._lines)

    def ready(self) -> dict[str, Any]:
        """The line on stdout that says that it is ready."""
        line = line_within(self.process.stdout)
        assert line, self.said
        found: dict[str, Any] = json.loads(line)
        return found

    def says(self, *words: str, within_s: float = DEADLINE_S) -> None:
        """Waits until it has said each of these on stderr."""
        with self._news:
            done = self._news.wait_for(lambda: self._ended or all(w in "".join(self._lines) for w in words), within_s)
            said = "".join(self._lines)
        assert done, (words, said)
        assert all(w in said for w in words), (words, said)

    def wait(self) -> int:
        """Its exit code, once it has ended by itself."""
        try:
            code = self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            kill(self.process)
            self._reader.join(DEADLINE_S)
            raise AssertionError(f"{self.process.args!r} did not end:\n{self.said}") from None
        self._reader.join(DEADLINE_S)
        return code

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.wait()
        assert not self._reader.is_alive(), "somebody else holds its stderr"
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code


def streamer(
    folder: Path, spec: RunSpec, keys: Path | None, *options: str, prefix: Sequence[str] = (), log: str = "log"
) -> Part:
    """A streamer's process."""
    (folder / "RUN.json").write_bytes(msgspec.json.encode(spec))
    locked = ["--keys", str(keys / "streamer.toml")] if keys else []
    return Part(
        "streamer", "--run", str(folder / "RUN.json"), "--log", str(folder / log), *locked, *options, prefix=prefix
    )


class Sockets:
    """The sockets of a test, which are closed at its end."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._made: list[zmq.Socket[bytes]] = []

    def dealer(self) -> zmq.Socket[bytes]:
        self._made.append(self.context.socket(zmq.DEALER))
        self._made[-1].setsockopt(zmq.LINGER, 0)
        return self._made[-1]

    def close(self) -> None:
        for one in self._made:
            one.close()
        self.context.term()


@contextmanager
def opened() -> Iterator[Sockets]:
    sockets = Sockets()
    try:
        yield sockets
    finally:
        sockets.close()


class Peer:
    """A socket with the key of a role (of any folder), or with none."""

    def __init__(
        self, sockets: Sockets, address: str, keys: Path | None, role: Role, server: Role = "streamer"
    ) -> None:
        self.socket = sockets.dealer()
        if keys is not None:
            mine = read(keys / f"{role}.toml", *ROLES)
            lock(self.socket, mine, read(keys / f"{server}.toml", server).public)
        self.socket.connect(address)

    def say(self, message: Known, payloads: Sequence[bytes] = ()) -> None:
        self.socket.send_multipart([encode(message), *payloads])

    def hears(self, within_s: float) -> bool:
        """Whether anything comes in a time."""
        return bool(self.socket.poll(int(1000 * within_s)))

    def wait_for(self, *kinds: type) -> tuple[Known, list[bytes]]:
        """The next message of one of these kinds."""
        end = time.monotonic() + DEADLINE_S
        while self.hears(end - time.monotonic()):
            message, payloads = decode(self.socket.recv_multipart())
            if message is not None and isinstance(message, kinds):
                return message, [bytes(raw) for raw in payloads]
        raise TimeoutError(f"no {kinds} came")


class Wire:
    """A TCP proxy on loopback: passes bytes both ways; ``spoil`` may change those to the server, ``back`` the rest."""

    def __init__(
        self, port: int, spoil: Callable[[bytes], bytes] = bytes, back: Callable[[bytes], bytes] = bytes
    ) -> None:
        self._port, self._spoil, self._back = port, spoil, back
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                return
            self.connections += 1
            self._open += [client, server]
            for ends in ((client, server, self._spoil), (server, client, self._back)):
                thread = threading.Thread(target=self._pass, args=ends, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes]) -> None:
        try:
            while raw := source.recv(1 << 16):
                sink.sendall(change(raw))
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            with suppress(OSError):  # it has hung up already
                end.shutdown(socket.SHUT_RDWR)  # which wakes the thread that reads, as closing does not
        for thread in self._threads:
            thread.join(5)
        for end in self._open:
            end.close()
