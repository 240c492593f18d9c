"""The network between a client and an API server: a TCP forwarder on loopback that can fail in the ways networks do.

It knows nothing of HTTP or TLS, so it stands as well before a real kube-apiserver.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

DEADLINE_S = 20.0
_BLOCK = 65536


class Line:
    """Forwards to an address.  ``cut`` breaks what is open and refuses what is new; ``hold`` lets nothing through."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._bell, self._rings = socket.socketpair()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self._closing = self._down = self._held = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Every connection is reset, and new ones are closed at once."""
        self._down = True
        self._reset()

    def drop(self) -> None:
        """Every connection that is open is reset; new ones go through."""
        self._reset()

    def mend(self) -> None:
        """All goes through again."""
        self._down = self._held = False
        self._ring()

    def hold(self) -> None:
        """Connections stay open, new ones are taken, and nothing passes either way."""
        self._held = True
        self._ring()

    @contextmanager
    def out(self) -> Iterator[None]:
        """An outage for as long as the block lasts."""
        self.cut()
        try:
            yield
        finally:
            self.mend()

    @contextmanager
    def silent(self) -> Iterator[None]:
        self.hold()
        try:
            yield
        finally:
            self._held = False
            self._reset()  # what was lost in the silence is not made up for

    def close(self) -> None:
        self._closing = True
        self._ring()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the line did not close"
        for one in (self._listener, self._bell, self._rings):
            one.close()

    def _is_down(self) -> bool:
        return self._down

    def _ring(self) -> None:
        with suppress(OSError):
            self._rings.send(b"x")

    def _reset(self) -> None:
        with self._lock:
            for one in list(self._pairs):
                # An RST, as a machine sends that has just started again.
                with suppress(OSError):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                one.close()
            self._pairs.clear()
        self._ring()

    def _run(self) -> None:
        while not self._closing:
            with self._lock:
                ends = [] if self._held else list(self._pairs)
            with suppress(OSError, ValueError):  # an end was closed while it was looked at
                ready, _, _ = select.select([self._listener, self._bell, *ends], [], [], 5)
                for one in ready:
                    if one is self._bell:
                        self._bell.recv(4096)
                    elif one is self._listener:
                        self._accept()
                    else:
                        self._pass(one)
        self._reset()

    def _accept(self) -> None:
        here, _ = self._listener.accept()
        if self._is_down():
            # In order, not with an RST: on that CPython 3.11 loses the socket whose TLS it is about to begin.
            here.close()
            return
        try:
            there = socket.create_connection(self._to, DEADLINE_S)
        except OSError:
            here.close()
            return
        with self._lock:
            if self._is_down():  # it was cut meanwhile
                here.close()
                there.close()
                return
            self._pairs |= {here: there, there: here}

    def _pass(self, one: socket.socket) -> None:
        other = self._pairs.get(one)
        if other is None:
            return
        try:
            block = one.recv(_BLOCK)
            if block:
                other.sendall(block)
                return
        except OSError:
            pass
        with self._lock:
            for end in (one, other):
                self._pairs.pop(end, None)
                end.close()
