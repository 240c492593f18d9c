"""VRPN: a client of the public protocol (07.xx), as a machine of bytes in and bytes out.

Both sides send a 24-byte cookie; then come messages: a header of five big-endian int32 (length of header
and body without padding, seconds, microseconds, sender, type), a sequence number, the body, zeros up to a
multiple of 8.  Senders and types are numbers of the connection; descriptions (types −1 and −2) name them.
Type −3 says where UDP datagrams, which hold the same messages, are wanted.

The shell (``listen``) owns the sockets.  A server that restarts numbers its names anew: make a new Client
for each connection, and ask ``silent`` when to give one up.  Source: the VRPN library's description of its
protocol (Taylor et al., VRPN, VRST 2001; versions 07.15 to 07.35).
"""

from __future__ import annotations

import math
import struct

from renderers.wall.track.sensed import MOST_AXES, MOST_BUTTONS, Axis, Button, Decoder, Record, pose

PORT = 3883
COOKIE_BYTES, HEADER_BYTES, ALIGN = 24, 24, 8
COOKIE = b"vrpn: ver. 07.35  0".ljust(COOKIE_BYTES, b"\0")
MAGIC = b"vrpn: ver. "
MAJOR = b"07"
LARGEST, MOST_NAMES, LONGEST_NAME = 65_536, 2_000, 128
"""Bytes of a message, names of senders or types, bytes of a name: what the library itself allows, or a little more."""
SENDER, TYPE, UDP, LOG, DISCONNECT = -1, -2, -3, -4, -5
PING, PONG = "vrpn_Base ping_message", "vrpn_Base pong_message"
POSE, CHANGE, STATES, CHANNELS = (
    "vrpn_Tracker Pos_Quat", "vrpn_Button Change", "vrpn_Button States", "vrpn_Analog Channel",
)  # fmt: skip
OURS = (PING, PONG, POSE, CHANGE, STATES, CHANNELS)
PING_EVERY_S, SILENT_S = 1.0, 5.0
"""A server that has nothing to tell is asked once a second; it is given up after five seconds without a byte."""


class NotVrpn(ConnectionError):
    """The other side does not speak VRPN, or another version of it, or has sent what breaks the stream."""


def parse_address(address: str) -> tuple[str, str, int, bool]:
    """Device, host, port, and whether only TCP is wanted, of ``DTrack@host``, ``DTrack@host:3884``,
    ``DTrack@tcp://host:3883``.  Raises ValueError."""
    device, at, place = address.partition("@")
    tcp = place.startswith(("tcp://", "tcp:"))
    place = place.removeprefix("x-vrpn:").removeprefix("tcp:").removeprefix("//").rstrip("/")
    host, colon, port = place.rpartition(":") if place.count(":") == 1 else (place, "", "")
    if (
        not device
        or not at
        or not host
        or len(device) > 100
        or (colon and not (port.isdigit() and 0 < int(port) < 65536))
    ):
        raise ValueError(
            f"VRPN address {address!r}: write it as in 'DTrack@localhost:3883' or 'DTrack@tcp://localhost'"
        )
    return device, host, int(port) if colon else PORT, tcp


def message(type_: int, sender: int, body: bytes = b"", now: float = 0.0, sequence: int = 0) -> bytes:
    """The bytes of a message."""
    seconds = int(now)
    head = struct.pack(
        ">IIIiiI", HEADER_BYTES + len(body), seconds & 0xFFFFFFFF, int((now - seconds) * 1e6), sender, type_, sequence
    )
    return head + body + bytes(-len(body) % ALIGN)


def description(type_: int, number: int, name: str, now: float = 0.0) -> bytes:
    """The message that names a sender (SENDER) or a type (TYPE)."""
    text = name.encode("ascii") + b"\0"
    return message(type_, number, struct.pack(">I", len(text)) + text, now)


class Client(Decoder):
    """One connection to a server, of which one device is listened to."""

    def __init__(self, device: str, source: int = 0, now: float = 0.0) -> None:
        super().__init__(source)
        self.device = device
        self.version = ""
        """What the server says it is, once its cookie has come."""
        self.first: set[str] = set()
        """Names of the senders that the server has described; for words about a device that is not there."""
        self.heard_at = now
        self._asked_at = now
        self._buffer = bytearray()
        self._senders: dict[int, str] = {}
        self._types: dict[int, str] = {}
        self._out = bytearray(COOKIE)

    def taken(self) -> bytes:
        """What is to be sent over TCP now; it counts as sent."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def listen_at(self, host: str, port: int, now: float) -> None:
        """Ask the server to send poses by UDP to this address (dotted IPv4) and port."""
        self._out += message(UDP, port, host.encode("ascii") + b"\0", now)

    def feed(self, data: bytes, now: float) -> list[Record]:
        """Bytes of the TCP stream.  Raises NotVrpn: close the connection, the stream cannot be followed any more."""
        self.heard_at = now
        self._buffer += data
        if not self.version:
            if not MAGIC.startswith(bytes(self._buffer[: len(MAGIC)])) and not self._buffer.startswith(MAGIC):
                self.garbage["cookie"] += 1
                raise NotVrpn(f"it greets with {bytes(self._buffer[:24])!r}, which is not VRPN's {MAGIC!r}")
            if len(self._buffer) < COOKIE_BYTES:
                return []
            if self._buffer[len(MAGIC) : len(MAGIC) + 2] != MAJOR:
                self.garbage["version"] += 1
                raise NotVrpn(f"it speaks {bytes(self._buffer[:16])!r}; only version 07.xx is understood")
            self.version = self._buffer[len(MAGIC) : 16].decode("latin-1").strip("\0 ")
            del self._buffer[:COOKIE_BYTES]
            self._introduce(now)
        records, used = self._messages(self._buffer)
        del self._buffer[:used]
        return records

    def datagram(self, data: bytes, now: float) -> list[Record]:
        """A UDP datagram with whole messages.  Never raises; what is broken is counted in ``garbage``."""
        if not self.version:
            # Whoever sends before the cookies were exchanged is not our server.
            self.garbage["too early"] += 1
            return []
        self.heard_at = now
        try:
            records, used = self._messages(data)
        except NotVrpn:
            return []
        if used < len(data):
            self.garbage["cut off"] += 1
        return records

    def tick(self, now: float) -> None:
        """Ask for a sign of life where there was none for a second."""
        if self.version and now - max(self.heard_at, self._asked_at) >= PING_EVERY_S:
            self._asked_at = now
            self._out += message(OURS.index(PING), 0, b"", now)

    def silent(self, now: float) -> bool:
        """Whether the connection is to be given up."""
        return now - self.heard_at >= SILENT_S

    def deadline(self) -> float:
        """When ``tick`` and ``silent`` want to be asked again, at the latest."""
        return min(max(self.heard_at, self._asked_at) + PING_EVERY_S, self.heard_at + SILENT_S)

    def _introduce(self, now: float) -> None:
        """Our names: servers deliver to who has described a device and a type, and answer pings of the device."""
        self._out += description(SENDER, 0, self.device, now)
        for number, name in enumerate(OURS):
            self._out += description(TYPE, number, name, now)
        self._out += message(OURS.index(PING), 0, b"", now)

    def _messages(self, data: bytes | bytearray) -> tuple[list[Record], int]:
        """The records of the whole messages at the start of ``data``, and how many bytes those are."""
        records: list[Record] = []
        at = 0
        while len(data) - at >= HEADER_BYTES:
            length, seconds, micros, sender, type_ = struct.unpack_from(">IIIii", data, at)
            if not HEADER_BYTES <= length <= LARGEST:
                self.garbage["length"] += 1
                raise NotVrpn(f"it announces a message of {length} bytes; {HEADER_BYTES} to {LARGEST} are possible")
            whole = length + -length % ALIGN
            if len(data) - at < whole:
                break
            self.packets += 1
            body = bytes(data[at + HEADER_BYTES : at + length])
            found = self._message(type_, sender, seconds + micros * 1e-6, body)
            if isinstance(found, str):
                self.garbage[found] += 1
            else:
                records += found
            at += whole
        return records, at

    def _message(self, type_: int, sender: int, stamp: float, body: bytes) -> list[Record] | str:
        """The records of a message, or why it is garbage."""
        if type_ in (SENDER, TYPE):
            return self._name(self._senders if type_ == SENDER else self._types, sender, body)
        if type_ < 0:
            # Where the server wants UDP from us, what it logs, that it lets go: nothing that has to be answered.
            return [] if type_ >= DISCONNECT else "system message"
        name = self._types.get(type_)
        if name is None or sender not in self._senders:
            return "not described"
        if self._senders[sender] != self.device:
            return []
        match name:
            case "vrpn_Base ping_message":
                self._out += message(OURS.index(PONG), 0)
            case "vrpn_Tracker Pos_Quat":
                return self._pose(body, stamp)
            case "vrpn_Button Change":
                return self._change(body)
            case "vrpn_Button States":
                return self._states(body)
            case "vrpn_Analog Channel":
                return self._channels(body)
        return []

    def _name(self, names: dict[int, str], number: int, body: bytes) -> list[Record] | str:
        if len(body) < 5 or not 0 <= number < MOST_NAMES:
            return "name"
        (length,) = struct.unpack_from(">I", body)
        if not 1 <= length <= min(LONGEST_NAME, len(body) - 4):
            return "name"
        name = body[4 : 4 + length].split(b"\0", 1)[0]
        if not name.isascii():
            return "name"
        names[number] = name.decode("ascii")
        if names is self._senders:
            self.first.add(names[number])
            if len(self.first) > MOST_NAMES:
                self.first = set(self._senders.values())
        return []

    def _pose(self, body: bytes, stamp: float) -> list[Record] | str:
        if len(body) != 64:
            return "length of a pose"
        sensor, x, y, z, qx, qy, qz, qw = struct.unpack(">i4x3d4d", body)
        found = pose(self.source, sensor, (x, y, z), (qx, qy, qz, qw), stamp)
        return found if isinstance(found, str) else [found]

    def _change(self, body: bytes) -> list[Record] | str:
        # The library sends one button and its state; its written description has a count before pairs.
        if len(body) == 8:
            pairs = [struct.unpack(">ii", body)]
        elif len(body) > 8 and len(body) % 8 == 4:
            (count,) = struct.unpack_from(">i", body)
            if count != (len(body) - 4) // 8 or count > MOST_BUTTONS:
                return "buttons"
            pairs = list(struct.iter_unpack(">ii", body[4:]))
        else:
            return "buttons"
        if not all(0 <= button < MOST_BUTTONS for button, _ in pairs):
            return "buttons"
        return [Button(self.source, button, state != 0) for button, state in pairs]

    def _states(self, body: bytes) -> list[Record] | str:
        count = len(body) // 4 - 1
        if len(body) < 4 or len(body) % 4 or count > MOST_BUTTONS or struct.unpack_from(">i", body)[0] != count:
            return "buttons"
        states = struct.unpack_from(f">{count}i", body, 4)
        return [Button(self.source, button, state != 0) for button, state in enumerate(states)]

    def _channels(self, body: bytes) -> list[Record] | str:
        count = len(body) // 8 - 1
        if len(body) < 8 or len(body) % 8 or count > 128:
            return "channels"
        said, *values = struct.unpack(f">{count + 1}d", body)
        if said != count or not all(map(math.isfinite, values)):
            return "channels"
        return [Axis(self.source, axis, value) for axis, value in enumerate(values[:MOST_AXES])]
