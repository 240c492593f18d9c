"""A VRPN server for tests, written from the protocol's description and not from our client.

It answers both ways of connecting: a datagram ``HOST PORT`` to its UDP port (it then connects to there, and
sends poses by UDP to where type −3 asks for them), and a TCP connection.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from types import TracebackType
from typing import Self

COOKIE = b"vrpn: ver. 07.34  0\0\0\0\0\0"


def packed(kind: int, sender: int, body: bytes, seconds: int = 0, micros: int = 0) -> bytes:
    """Header of 20 bytes, 4 bytes of a sequence number, body, zeros up to a multiple of 8."""
    out = (24 + len(body)).to_bytes(4, "big") + seconds.to_bytes(4, "big") + micros.to_bytes(4, "big")
    out += sender.to_bytes(4, "big", signed=True) + kind.to_bytes(4, "big", signed=True) + b"\0\0\0\0" + body
    return out + bytes((8 - len(out) % 8) % 8)


def named(kind: int, number: int, name: str) -> bytes:
    """What a sender (kind −1) or a type (−2) is called."""
    text = name.encode() + b"\0"
    return packed(kind, number, len(text).to_bytes(4, "big") + text)


def pose(
    kind: int, sender: int, sensor: int, position: tuple[float, ...], turn: tuple[float, ...], micros: int = 250000
) -> bytes:
    return packed(kind, sender, struct.pack(">ii7d", sensor, 0, *position, *turn), 1700000000, micros)


class Server:
    """One server on loopback.  ``sent`` holds what clients told it, message by message: (type, sender, body)."""

    def __init__(self, port: int = 0, answers_calls: bool = True, takes_tcp: bool = True) -> None:
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind(("127.0.0.1", port))
        self.port = int(self.tcp.getsockname()[1])
        if takes_tcp:
            self.tcp.listen()
        else:
            self.tcp.close()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.answers_calls = answers_calls
        self.stream: socket.socket | None = None
        self.datagrams_to: tuple[str, int] | None = None
        self.sent: list[tuple[int, int, bytes]] = []
        self.calls: list[bytes] = []
        self.described = False
        self.greeted = threading.Event()
        self.asked_for_udp = threading.Event()
        self._stop_read, self._stop_write = socket.socketpair()
        self._buffer = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def say(self, data: bytes, by_udp: bool = False) -> None:
        """Bytes to the client."""
        if by_udp:
            assert self.datagrams_to is not None
            self.udp.sendto(data, self.datagrams_to)
        else:
            assert self.stream is not None
            self.stream.sendall(data)

    def describe(self, *senders: str) -> None:
        """Senders numbered from 3, and the types, as numbers that nobody could guess."""
        self.described = True
        self.say(b"".join(named(-1, 3 + i, name) for i, name in enumerate(senders)))
        types = {
            11: "vrpn_Tracker Pos_Quat", 12: "vrpn_Button Change", 13: "vrpn_Button States", 14: "vrpn_Analog Channel",
            15: "vrpn_Base ping_message", 16: "vrpn_Base pong_message", 17: "vrpn_Tracker Velocity",
            18: "VRPN_Connection_Got_First_Connection",
        }  # fmt: skip
        self.say(b"".join(named(-2, number, name) for number, name in types.items()))

    def close(self) -> None:
        self._stop_write.send(b"x")
        self._thread.join(60)
        for each in (self.tcp, self.udp, self._stop_read, self._stop_write, self.stream):
            if each is not None:
                each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            watched = [each for each in (self.tcp, self.udp, self._stop_read, self.stream) if each is not None]
            ready, _, _ = select.select([each for each in watched if each.fileno() >= 0], [], [])
            if self._stop_read in ready:
                return
            if self.tcp in ready:
                self._take(self.tcp.accept()[0])
            if self.udp in ready:
                self._called(self.udp.recv(1000))
            if self.stream is not None and self.stream in ready:
                self._hear()

    def _called(self, data: bytes) -> None:
        self.calls.append(data)
        if self.answers_calls and self.stream is None:
            host, port = data.rstrip(b"\0").split()
            assert data.endswith(b"\0")
            stream = socket.socket()
            stream.connect((host.decode(), int(port)))
            self._take(stream)

    def _take(self, stream: socket.socket) -> None:
        if self.stream is not None:
            self.stream.close()
        self.stream, self._buffer, self.described = stream, b"", False
        self.greeted.clear()
        self.asked_for_udp.clear()
        stream.sendall(COOKIE)

    def _hear(self) -> None:
        assert self.stream is not None
        data = b""
        with contextlib.suppress(OSError):
            data = self.stream.recv(65536)
        if not data:
            self.asked_for_udp.clear()
            self.stream.close()
            self.stream = None
            return
        self._buffer += data
        if not self.greeted.is_set():
            if len(self._buffer) < 24:
                return
            assert self._buffer.startswith(b"vrpn: ver. 07."), self._buffer[:24]
            self._buffer = self._buffer[24:]
            self.greeted.set()
        while len(self._buffer) >= 24:
            length, _, _, sender, kind = struct.unpack(">iiiii", self._buffer[:20])
            if len(self._buffer) < (length + 7) // 8 * 8:
                return
            body = self._buffer[24:length]
            self._buffer = self._buffer[(length + 7) // 8 * 8 :]
            self.sent.append((kind, sender, body))
            if kind == -3:
                self.datagrams_to = (body.rstrip(b"\0").decode(), sender)
                self.asked_for_udp.set()
