"""Ports: one source's socket or device, and the decoder of what comes through it.

UDP sources (``udp://0.0.0.0:5000``, a multicast group as ``udp://224.0.1.0:5000``; ``?from=HOST`` takes
datagrams of that sender alone) are drained some at a time, so that a flood cannot keep the conductor from
its work.  Devices (``/dev/input/js0``, ``/dev/input/event3``) come and go with their cable.
"""

from __future__ import annotations

import fcntl
import ipaddress
import math
import os
import selectors
import socket
import stat
import struct
from collections import Counter
from typing import Protocol

from renderers.wall.records import TrackerSource
from renderers.wall.track.address import udp_address
from renderers.wall.track.dtrack import DTrack
from renderers.wall.track.gamepad import Evdev, Joystick
from renderers.wall.track.osc import Osc
from renderers.wall.track.sensed import MOST_AXES, Gone, Record

RETRY_S = 1.0
AT_ONCE = 64
"""Datagrams that are read in one go; the rest is still there at the next."""
LARGEST_DATAGRAM = 65_535


class Port(Protocol):
    """One source's way in."""

    @property
    def packets(self) -> int: ...
    @property
    def garbage(self) -> Counter[str]: ...
    @property
    def trouble(self) -> str: ...
    def ready(self, fd: int, mask: int, now: float, /) -> list[Record]:
        """A descriptor of the port is ready."""
        ...

    def tick(self, now: float, /) -> list[Record]:
        """The deadline has come."""
        ...

    def deadline(self) -> float: ...
    def close(self) -> None: ...


class UdpPort:
    """A socket that datagrams of DTrack or OSC come to."""

    trouble = ""

    def __init__(self, selector: selectors.BaseSelector, source: TrackerSource, number: int) -> None:
        self._decoder = DTrack(number) if source.kind == "dtrack" else Osc(number, source.head, source.wand)
        self._selector = selector
        host, port, sender = udp_address(source.address)
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._senders = {info[4][0] for info in socket.getaddrinfo(sender, None)} if sender else set()
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self.socket.setblocking(False)
            group = ipaddress.ip_address(str(where[0]))
            if group.is_multicast and group.version == 4:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.socket.bind((str(group), port))
                # Of the interface that has the route to the group.
                member = struct.pack("4s4x", group.packed)
                self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            else:
                self.socket.bind(where)
        except OSError as error:
            self.socket.close()
            raise OSError(
                error.errno,
                f"tracker {source.address} cannot be listened to: {os.strerror(error.errno or 0)}; is another program"
                " there, or is it an address of another machine?",
            ) from error
        selector.register(self.socket, selectors.EVENT_READ, self)

    @property
    def packets(self) -> int:
        return self._decoder.packets

    @property
    def garbage(self) -> Counter[str]:
        return self._decoder.garbage

    def ready(self, _fd: int, _mask: int, _now: float, /) -> list[Record]:
        records: list[Record] = []
        for _ in range(AT_ONCE):
            try:
                data, sender = self.socket.recvfrom(LARGEST_DATAGRAM)
            except BlockingIOError:
                break
            except OSError:  # an ICMP answer to something of ours; the socket goes on
                continue
            if self._senders and sender[0] not in self._senders:
                self.garbage["foreign sender"] += 1
                continue
            records += self._decoder.datagram(data)
        return records

    def tick(self, _now: float, /) -> list[Record]:
        return []

    def deadline(self) -> float:
        return math.inf

    def close(self) -> None:
        self._selector.unregister(self.socket)
        self.socket.close()


def axis_ranges(fd: int) -> dict[int, tuple[int, int]]:
    """Smallest and largest value of each absolute axis of an event device (EVIOCGABS); none where it does not tell."""
    ranges = {}
    for axis in range(MOST_AXES):
        # _IOR('E', 0x40 + axis, struct input_absinfo): 24 bytes.
        request = (2 << 30) | (24 << 16) | (ord("E") << 8) | (0x40 + axis)
        try:
            answer = fcntl.ioctl(fd, request, bytes(24))
        except OSError:
            continue
        _value, low, high, *_ = struct.unpack("6i", answer)
        if high > low:
            ranges[axis] = (low, high)
    return ranges


class DevicePort:
    """A gamepad or keyboard of this machine, opened again when it comes back."""

    def __init__(self, selector: selectors.BaseSelector, source: TrackerSource, number: int, now: float) -> None:
        self._selector, self._source, self._number = selector, source, number
        self._fd = -1
        self._retry_at = now
        self._decoder: Joystick | Evdev = self._made(-1)
        self.trouble = ""
        self.tick(now)

    @property
    def packets(self) -> int:
        return self._decoder.packets

    @property
    def garbage(self) -> Counter[str]:
        return self._decoder.garbage

    def ready(self, _fd: int, _mask: int, now: float, /) -> list[Record]:
        try:
            data = os.read(self._fd, 64 * 24)
        except BlockingIOError:
            return []
        except OSError as error:
            return self._gone(os.strerror(error.errno or 0), now)
        return self._decoder.feed(data) if data else self._gone("it was closed", now)

    def tick(self, now: float, /) -> list[Record]:
        path = self._source.address
        self._retry_at = now + RETRY_S
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self.trouble = (
                f"{path} cannot be opened: {os.strerror(error.errno or 0)}; is it plugged in, and may we read it?"
            )
            return []
        if not (stat.S_ISCHR(os.fstat(fd).st_mode) or stat.S_ISFIFO(os.fstat(fd).st_mode)):
            os.close(fd)
            self.trouble = f"{path} is no device"
            return []
        packets, garbage = self._decoder.packets, self._decoder.garbage
        self._fd, self._decoder = fd, self._made(fd)
        self._decoder.packets, self._decoder.garbage = packets, garbage
        self._retry_at, self.trouble = math.inf, ""
        self._selector.register(fd, selectors.EVENT_READ, self)
        return []

    def deadline(self) -> float:
        return self._retry_at

    def close(self) -> None:
        if self._fd >= 0:
            self._selector.unregister(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _made(self, fd: int) -> Joystick | Evdev:
        if "/event" in self._source.address:
            return Evdev(self._number, axis_ranges(fd) if fd >= 0 else None)
        return Joystick(self._number)

    def _gone(self, why: str, now: float) -> list[Record]:
        self.close()
        self._retry_at = now + RETRY_S
        self.trouble = f"{self._source.address} is gone: {why}"
        return [Gone(self._number)]
