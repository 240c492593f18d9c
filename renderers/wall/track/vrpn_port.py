"""The sockets of a VRPN connection: how it is made, kept, given up and made again.

Two ways lead to a server.  The old one, which gives poses by UDP: we send ``HOST PORT`` to its UDP port, it
connects to us there, and after the cookies we say where datagrams are wanted.  The other is a plain TCP
connection to it, for ``DEVICE@tcp://HOST`` and for networks in which the old one gets no answer: for
``DEVICE@HOST`` both are tried in turn.  Only the server's own address is let in.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import queue
import selectors
import socket
import threading
from collections import Counter

from renderers.wall.records import TrackerSource
from renderers.wall.track.ports import AT_ONCE, LARGEST_DATAGRAM, RETRY_S
from renderers.wall.track.sensed import Gone, Record
from renderers.wall.track.vrpn import Client, NotVrpn, parse_address

PATIENCE_S = 3.0
"""For a server to connect to us, or to take our connection."""
LOOK_S = 0.02
"""So often it is asked whether a name has been found."""


class Name:
    """A host's name, looked up in a thread: a name server that is silent for seconds holds no frame back."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._found: queue.SimpleQueue[str | OSError] | None = None

    def address(self) -> str | None:
        """Its IPv4 address, once; None: not known yet, ask again.  Raises OSError where there is none."""
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv4Address(self._host))
        if self._found is None:
            self._found = queue.SimpleQueue()
            threading.Thread(target=_look_up, args=(self._host, self._found), name="names", daemon=True).start()
        try:
            found = self._found.get_nowait()
        except queue.Empty:
            return None
        self._found = None
        if isinstance(found, OSError):
            raise found
        return found


def _look_up(host: str, found: queue.SimpleQueue[str | OSError]) -> None:
    try:
        found.put(str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]))
    except OSError as why:
        found.put(why)
    except UnicodeError:
        found.put(OSError(0, "it is no name of a host"))


class VrpnPort:
    """One VRPN device."""

    def __init__(self, selector: selectors.BaseSelector, source: TrackerSource, number: int, now: float) -> None:
        self.device, self.host, self.port, self.tcp_only = parse_address(source.address)
        self._name = Name(self.host)
        self.packets = 0
        self.garbage: Counter[str] = Counter()
        self.trouble = "not connected yet"
        self.connections = 0
        """How often the server has let us in."""
        self._selector, self._number = selector, number
        self._call_next = not self.tcp_only
        self._client: Client | None = None
        self._stream: socket.socket | None = None
        self._udp: socket.socket | None = None
        self._door: socket.socket | None = None
        self._unsent = b""
        self._server = ""
        self._local = ""
        self._connecting = False
        self._announced = False
        self._give_up_at = self._again_at = now
        self.tick(now)

    def ready(self, fd: int, mask: int, now: float, /) -> list[Record]:
        if self._door is not None and fd == self._door.fileno():
            return self._answered(now)
        if self._udp is not None and fd == self._udp.fileno():
            return self._datagrams(now)
        if self._stream is not None and fd == self._stream.fileno():
            return self._streamed(mask, now)
        return []  # closed a moment ago, in the same round

    def tick(self, now: float, /) -> list[Record]:
        if self._client is not None:
            if self._client.silent(now):
                return self._end(f"{self.host}:{self.port} has said nothing for some seconds", now)
            self._client.tick(now)
            return self._send(now)
        if self._door is not None or self._connecting:
            if now >= self._give_up_at:
                how = "did not connect to us" if self._door is not None else "did not answer"
                return self._end(f"{self.host}:{self.port} {how}; does a VRPN server run there?", now)
            self._again_at = now + RETRY_S
            self._call()
            return []
        try:
            # For each attempt, since a server may have moved.
            server = self._name.address()
            if server is None:
                self._again_at = now + LOOK_S
                return []
            self._server = server
        except OSError as error:
            return self._end(f"{self.host} cannot be found: {error.strerror or error}", now)
        try:
            if self._call_next:
                self._open_door(now)
            else:
                self._connect(now)
        except OSError as error:
            return self._end(f"{self.host}:{self.port} cannot be reached: {error.strerror or error}", now)
        finally:
            self._call_next = not self._call_next and not self.tcp_only
        return []

    def deadline(self) -> float:
        if self._client is not None:
            return self._client.deadline()
        if self._door is not None or self._connecting:
            return min(self._again_at, self._give_up_at)
        return self._again_at

    def close(self) -> None:
        """Let go of all sockets."""
        for each in (self._stream, self._udp, self._door):
            if each is not None:
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(each)
                each.close()
        self._stream = self._udp = self._door = self._client = None
        self._unsent, self._connecting, self._announced = b"", False, False

    def _open_door(self, now: float) -> None:
        """The old way: wait for the server to connect to us, and ask it to."""
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setblocking(False)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((self._server, self.port))  # sends nothing; says which of our addresses faces the server
            self._local = str(probe.getsockname()[0])
        self._udp.bind((self._local, 0))
        self._door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._door.setblocking(False)
        self._door.bind((self._local, 0))
        self._door.listen(2)
        for each in (self._udp, self._door):
            self._selector.register(each, selectors.EVENT_READ, self)
        self._give_up_at, self._again_at = now + PATIENCE_S, now + RETRY_S
        self._call()

    def _call(self) -> None:
        if self._door is not None and self._udp is not None:
            text = f"{self._local} {self._door.getsockname()[1]}".encode() + b"\0"
            with contextlib.suppress(OSError):  # nobody there yet; said when patience ends
                self._udp.sendto(text, (self._server, self.port))

    def _connect(self, now: float) -> None:
        """The plain way."""
        self._stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._stream.setblocking(False)
        self._stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(BlockingIOError):
            self._stream.connect((self._server, self.port))
        self._connecting = True
        self._give_up_at = self._again_at = now + PATIENCE_S
        self._selector.register(self._stream, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def _answered(self, now: float) -> list[Record]:
        assert self._door is not None
        try:
            stream, peer = self._door.accept()
        except OSError:
            return []
        if peer[0] != self._server:
            stream.close()
            self.garbage["foreign sender"] += 1
            return []
        self._selector.unregister(self._door)
        self._door.close()
        self._door = None
        stream.setblocking(False)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = stream
        self._selector.register(stream, selectors.EVENT_READ, self)
        return self._begin(now)

    def _begin(self, now: float) -> list[Record]:
        self._client = Client(self.device, self._number, now)
        # One count over all connections.
        self._client.garbage, self._client.packets = self.garbage, self.packets
        self.connections += 1
        self.trouble = f"{self.host}:{self.port} has not greeted yet"
        return self._send(now)

    def _streamed(self, mask: int, now: float) -> list[Record]:
        assert self._stream is not None
        if self._connecting:
            problem = self._stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if problem:
                return self._end(f"{self.host}:{self.port} cannot be reached: {os.strerror(problem)}", now)
            self._connecting = False
            return self._begin(now)
        if self._client is None:
            return []
        records: list[Record] = []
        if mask & selectors.EVENT_READ:
            try:
                data = self._stream.recv(LARGEST_DATAGRAM)
            except BlockingIOError:
                data = None
            except OSError as error:
                return self._end(f"{self.host}:{self.port} broke off: {error.strerror}", now)
            if data == b"":
                return self._end(f"{self.host}:{self.port} closed the connection", now)
            if data:
                try:
                    records += self._client.feed(data, now)
                except NotVrpn as error:
                    return self._end(f"{self.host}:{self.port} cannot be understood: {error}", now)
            self._look(now)
        return records + self._send(now)

    def _look(self, now: float) -> None:
        """After the stream brought something: what is known now."""
        client = self._client
        assert client is not None
        self.packets = client.packets
        if client.version:
            self.trouble = ""
            if self._udp is not None and not self._announced:
                self._announced = True
                client.listen_at(self._local, self._udp.getsockname()[1], now)
            if client.first and self.device not in client.first:
                there = ", ".join(sorted(name for name in client.first if name != "VRPN Control")[:8])
                self.trouble = f"{self.host}:{self.port} has no device {self.device!r}; it names {there or 'none'}"

    def _datagrams(self, now: float) -> list[Record]:
        assert self._udp is not None
        records: list[Record] = []
        for _ in range(AT_ONCE):
            try:
                data, sender = self._udp.recvfrom(LARGEST_DATAGRAM)
            except BlockingIOError:
                break
            except OSError:  # the server's port was closed when we called; it may open yet
                continue
            if sender[0] != self._server or self._client is None:
                self.garbage["foreign sender"] += 1
                continue
            records += self._client.datagram(data, now)
            self.packets = self._client.packets
        return records

    def _send(self, now: float) -> list[Record]:
        assert self._stream is not None
        assert self._client is not None
        self._unsent += self._client.taken()
        if self._unsent:
            try:
                self._unsent = self._unsent[self._stream.send(self._unsent) :]
            except BlockingIOError:
                pass
            except OSError as error:
                return self._end(f"{self.host}:{self.port} broke off: {error.strerror}", now)
            if len(self._unsent) > LARGEST_DATAGRAM:
                return self._end(f"{self.host}:{self.port} takes nothing from us", now)
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._stream, wanted, self)
        return []

    def _end(self, why: str, now: float) -> list[Record]:
        """Give the connection up; another is made after a moment."""
        was = self._client is not None
        self.close()
        self.trouble = why
        self._again_at = now + RETRY_S
        return [Gone(self._number)] if was else []
