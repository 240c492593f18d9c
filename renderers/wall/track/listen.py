"""The listener: owns the sockets and devices of all trackers, and gives what they say as records.

One file descriptor (``fileno``) becomes readable when any of them has something, so that the conductor can
poll it beside its ZeroMQ sockets; ``read`` then takes it all without ever waiting.  ``deadline`` says when
``read`` wants to be called although nothing came: to connect again, to ask a server whether it lives, to
play a session on.  What cannot be opened or breaks is tried again each second and told in ``states``.
"""

from __future__ import annotations

import contextlib
import math
import selectors
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from renderers.wall.records import TrackerSource
from renderers.wall.track.ports import DevicePort, Port, UdpPort
from renderers.wall.track.record import Player, Recording
from renderers.wall.track.sensed import Gone, Record, SourceState
from renderers.wall.track.vrpn_port import VrpnPort


class ReplayPort:
    """A recorded session, as if its devices were here."""

    def __init__(self, path: Path, first: int, now: float) -> None:
        """Its sources become those from ``first`` on.  Raises OSError, NotASession."""
        self.packets = 0
        self.trouble = ""
        self._first = first
        self._file = path.open("rb")
        try:
            self._recording = Recording(self._file, str(path))
            self._player = Player(self._recording, now)
        except BaseException:
            self._file.close()
            raise
        self.sources = self._recording.sources

    @property
    def garbage(self) -> Counter[str]:
        return self._recording.bad

    def ready(self, _fd: int, _mask: int, _now: float, /) -> list[Record]:
        return []

    def tick(self, now: float, /) -> list[Record]:
        """What has come due; when the session ends, its devices are gone."""
        records: list[Record] = []
        for _, record in self._player.due(now):
            self.packets += 1
            records.append(msgspec.structs.replace(record, source=self._first + record.source))
        self.trouble = self._recording.first_bad
        if self._player.deadline() is None:
            torn, bad = self._recording.torn, self._recording.first_bad
            self.trouble = "; ".join(("the recorded session is over", *filter(None, (torn, bad))))
            records += [Gone(self._first + i) for i in range(len(self.sources))]
        return records

    def deadline(self) -> float:
        due = self._player.deadline()
        return math.inf if due is None else due

    def close(self) -> None:
        self._file.close()


class Listener:
    """Listens to the trackers of a wall.  Use it in one thread; close it, or use it in a ``with``."""

    def __init__(self, sources: Sequence[TrackerSource], now: float) -> None:
        """Opens what can be opened.  Raises ValueError for an address that makes no sense, OSError for an
        address of our own that cannot be had (a UDP port in use), NotASession and OSError for a file."""
        self._selector = selectors.DefaultSelector()
        self._ports: list[tuple[int, Port]] = []
        self._heard: dict[int, float] = {}
        all_sources: list[TrackerSource] = []
        try:
            for source in sources:
                number = len(all_sources)
                if source.kind == "replay":
                    replay = ReplayPort(Path(source.address), number, now)
                    self._ports.append((number, replay))
                    all_sources += replay.sources
                    continue
                all_sources.append(source)
                if source.kind == "vrpn":
                    self._ports.append((number, VrpnPort(self._selector, source, number, now)))
                elif source.kind in ("dtrack", "osc"):
                    self._ports.append((number, UdpPort(self._selector, source, number)))
                elif source.kind == "gamepad":
                    self._ports.append((number, DevicePort(self._selector, source, number, now)))
        except BaseException:
            self.close()
            raise
        self.sources = tuple(all_sources)
        """As records number them: the wall's, with each ``replay`` replaced by the sources of its session.
        Pass these to ``Trackers``."""

    def fileno(self) -> int:
        """A descriptor that is readable when ``read`` has something to do."""
        return self._selector.fileno()

    def read(self, now: float) -> list[Record]:
        """All that came, in the order in which each device said it.  Never waits and never raises."""
        records: list[Record] = []
        for key, mask in self._selector.select(0):
            port: Port = key.data
            records += port.ready(key.fd, mask, now)
        for _, port in self._ports:
            if port.deadline() <= now:
                records += port.tick(now)
        self._heard.update((record.source, now) for record in records if not isinstance(record, Gone))
        return records

    def deadline(self) -> float:
        """When ``read`` wants to be called at the latest; infinity: when the descriptor says so."""
        return min((each.deadline() for _, each in self._ports), default=math.inf)

    def states(self) -> list[SourceState]:
        """How each source is doing, in the order of ``sources``; of a replay its first source stands for all."""
        out = []
        for number, source in enumerate(self.sources):
            port = next((port for first, port in self._ports if first == number), None)
            out.append(
                SourceState(
                    source.kind,
                    source.address,
                    port.packets if port is not None else 0,
                    dict(port.garbage) if port is not None else {},
                    self._heard.get(number),
                    port.trouble if port is not None else "",
                )
            )
        return out

    def close(self) -> None:
        """Let go of everything."""
        for _, each in self._ports:
            with contextlib.suppress(OSError):
                each.close()
        self._ports = []
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
