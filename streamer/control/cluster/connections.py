"""What comes over the connections to an API server: whole answers and watches, within bounds of size and time.

A thread that reads can be woken from another one: all connections are known here, and a shutdown of their sockets ends
whatever waits for them.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from streamer.control.cluster.hearing import Event, Object
from streamer.control.cluster.troubles import Unanswered, of_silence, of_status, one_line

_BLOCK = 1 << 16
# In these ways urllib3 and http.client say that a connection is lost or was shut down under them.
_LOST = (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError)


class Sockets:
    """All connections of an engine, so that they can be shut down from another thread.

    Each is known by a second descriptor of its socket: what a thread does with the first one, be it a TLS handshake,
    is left alone, and ends by itself when the connection under it is shut down.
    """

    def __init__(self) -> None:
        self._open: weakref.WeakKeyDictionary[HTTPConnection, socket.socket] = weakref.WeakKeyDictionary()
        self._lock = threading.RLock()
        self.closed = False

    def classes(self) -> dict[str, type[HTTPConnectionPool]]:
        """Pools whose connections are known here, for urllib3's ``pool_classes_by_scheme``."""
        sockets = self

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return sockets.add(self, super()._new_conn())

            def close(self) -> None:
                sockets.remove(self)
                super().close()

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return sockets.add(self, super()._new_conn())

            def close(self) -> None:
                sockets.remove(self)
                super().close()

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

            def _put_conn(self, conn: Any) -> None:
                if sockets.refuses(conn, super()._put_conn):
                    conn.close()

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

            def _put_conn(self, conn: Any) -> None:
                if sockets.refuses(conn, super()._put_conn):
                    conn.close()

        return {"http": PlainPool, "https": SecurePool}

    def add(self, connection: HTTPConnection, made: socket.socket) -> socket.socket:
        """A connection has this socket now; where all are closed it is shut at once."""
        self.remove(connection)
        with self._lock:
            if self.closed:
                _shut(made)
            else:
                self._open[connection] = made.dup()
        return made

    def refuses(self, connection: Any, put: Callable[[Any], None]) -> bool:
        """Puts a connection back into its pool, unless all are closed: a pool that is closed meanwhile would lose it.

        Returns whether it is to be closed instead.
        """
        with self._lock:
            if not self.closed:
                put(connection)
            return self.closed and connection is not None

    def remove(self, connection: HTTPConnection) -> None:
        """A connection is about to be closed."""
        with self._lock:
            second = self._open.pop(connection, None)
        if second is not None:
            second.close()

    def close(self) -> None:
        """Shuts all, and all that are made later."""
        with self._lock:
            self.closed = True
            for second in self._open.values():
                _shut(second)


def _shut(found: socket.socket) -> None:
    # Closing would not wake a thread that reads; a shutdown does.
    with contextlib.suppress(OSError):
        found.shutdown(socket.SHUT_RDWR)


class Watch:
    """A watch under way: its events, until the server ends it.  ``stop`` may be called from another thread."""

    def __init__(self, what: str, server: str, response: Any, largest_bytes: int) -> None:
        self._what, self._server, self._response, self._largest_bytes = what, server, response, largest_bytes
        self._stopped = False

    def __iter__(self) -> Iterator[Event]:
        """Raises Expired for a version that is too old, other Trouble, and Unanswered where the connection is lost."""
        rest = b""
        try:
            # Not ``stream``: that one waits until a block is full where an answer is not in chunks.
            while block := self._response.read1(_BLOCK):
                *lines, rest = (rest + block).split(b"\n")
                if len(rest) > self._largest_bytes:
                    raise Unanswered(f"{self._what}: one event is larger than {self._largest_bytes} bytes")
                yield from (self._event(line) for line in lines if line.strip())
        except _LOST as error:
            raise of_silence(self._what, self._server, reason(error)) from None
        finally:
            self.close()
        if self._stopped:
            raise Unanswered(f"{self._what}: it was ended")

    def _event(self, line: bytes) -> Event:
        found = parsed(self._what, self._server, line)
        kind, thing = found.get("type"), found.get("object")
        if kind == "ERROR" and isinstance(thing, dict):
            raise of_status(self._what, self._server, thing)
        if not isinstance(kind, str) or not isinstance(thing, dict) or not proper(thing, kind == "BOOKMARK"):
            raise Unanswered(f"{self._what}: {self._server} sends events that are none of an API server")
        return Event(kind, thing)

    def stop(self) -> None:
        """Ends it: whoever reads from it raises Unanswered."""
        self._stopped = True
        with contextlib.suppress(*_LOST, RuntimeError):  # it has ended by itself
            self._response.shutdown()

    def close(self) -> None:
        """Gives its connection up; for the thread that reads."""
        with contextlib.suppress(*_LOST, RuntimeError):
            self._response.close()


def whole(what: str, server: str, response: Any, largest_bytes: int, longest_s: float) -> bytes:
    """The whole of an answer.  Raises Unanswered where it does not come, or not within the bounds."""
    until, found = time.monotonic() + longest_s, bytearray()
    try:
        while block := response.read1(_BLOCK):
            found += block
            if len(found) > largest_bytes:
                raise Unanswered(f"{what}: the answer is larger than {largest_bytes} bytes")
            if time.monotonic() > until:
                raise Unanswered(f"{what}: the answer took longer than {longest_s:g} s; it is tried again")
    except _LOST as error:
        response.close()
        raise of_silence(what, server, reason(error)) from None
    except Unanswered:
        response.close()
        raise
    response.release_conn()
    return bytes(found)


def parsed(what: str, server: str, raw: bytes) -> Object:
    """JSON of the server.  Raises Unanswered for what is no object."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unanswered(f"{what}: {server} answers with something that is none of an API server")
    return found


def proper(found: Any, bookmark: bool = False) -> bool:
    """Whether something is an object as API servers have them."""
    data = found.get("metadata") if isinstance(found, dict) else None
    wanted = ("resourceVersion",) if bookmark else ("name", "uid", "resourceVersion")
    return isinstance(data, dict) and all(isinstance(data.get(key), str) and data[key] for key in wanted)


def reason(error: BaseException) -> str:
    """Why a connection came to nothing: the innermost cause, in its own words."""
    timed_out = isinstance(error, urllib3.exceptions.ConnectTimeoutError)
    if timed_out and not isinstance(error, urllib3.exceptions.NewConnectionError):
        return "connecting timed out"
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return "it was silent for too long"
    text = one_line(error)
    return text.rpartition(": ")[2] or text
