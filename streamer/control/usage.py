"""What the parts of a run use: samples by role, and what is kept of them.  Pure.

A launcher says what each role has used so far, since it was started; here that becomes points in a series of bounded
length.  What a point sums up (processor time, seconds, bytes) goes on over restarts of parts and of the control plane,
so the last point says it all; what a point measures at its moment (processes, memory, GPUs) keeps its peaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

import msgspec

Number = TypeVar("Number", int, float)
MOST_POINTS = 240
GAP_S = 30.0
"""Nobody has looked for so long: the time between is not counted as work."""


class Usage(NamedTuple):
    """What one role of a run uses and has used, as a launcher measures it; None is what it cannot."""

    role: str
    processes: int
    """Processes (or pods) that are there now."""
    cpu_s: float | None = None
    """Processor seconds of all that are or were there, since the launcher has looked."""
    memory: int | None = None
    """Bytes at the peak of those that are there."""
    gpus: int | None = None
    """GPUs that they hold now."""
    gpu_use: float | None = None
    """How busy these are now on average, 0 to 1."""
    read_bytes: int | None = None
    """Since the launcher has looked."""
    written_bytes: int | None = None


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One role at one moment."""

    at: float
    """Seconds since 1970."""
    processes: int
    seconds: float
    """So long there have been any."""
    cpu_s: float | None
    memory: int | None
    gpus: int | None
    gpu_s: float | None
    """GPUs times seconds."""
    gpu_busy_s: float | None
    """The same, times how busy they were."""
    read_bytes: int | None
    written_bytes: int | None


NOTHING = Point(0.0, 0, 0.0, None, None, None, None, None, None, None)


class Series(msgspec.Struct, frozen=True):
    """One role through a run."""

    points: tuple[Point, ...] = ()
    """Not more than ``MOST_POINTS``, the oldest first."""

    @property
    def last(self) -> Point | None:
        """The newest; its sums are those of the whole run."""
        return self.points[-1] if self.points else None

    def peak(self, what: str) -> int | None:
        """The largest that was measured of ``processes``, ``memory`` or ``gpus``; None if nothing was."""
        return max((value for point in self.points if (value := getattr(point, what)) is not None), default=None)


def with_sample(series: Series, carried: Point | None, usage: Usage, now: float) -> Series:
    """With one more sample.  ``carried`` is what there was before the launcher began to count, if there was a before.

    A clock that was put back counts as no time.
    """
    before, base = series.last, carried or NOTHING
    step = now - before.at if before is not None and before.processes else 0.0
    step = step if 0.0 < step <= GAP_S else 0.0
    gpu_s = None if usage.gpus is None else usage.gpus * step
    busy_s = None if gpu_s is None or usage.gpu_use is None else gpu_s * usage.gpu_use
    point = Point(
        at=now,
        processes=usage.processes,
        seconds=(before.seconds if before else 0.0) + step,
        cpu_s=_sum(base.cpu_s, usage.cpu_s),
        memory=usage.memory,
        gpus=usage.gpus,
        gpu_s=_sum(before.gpu_s if before else None, gpu_s),
        gpu_busy_s=_sum(before.gpu_busy_s if before else None, busy_s),
        read_bytes=_sum(base.read_bytes, usage.read_bytes),
        written_bytes=_sum(base.written_bytes, usage.written_bytes),
    )
    return Series(thinned((*series.points, point)))


def thinned(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Half as many, once there are too many: of two neighbours the later, with the peaks of both."""
    if len(points) <= MOST_POINTS:
        return points
    pairs = zip(points[:-1:2], points[1::2], strict=False)
    odd = points[-1:] if len(points) % 2 else ()
    return (*(_both(one, two) for one, two in pairs), *odd)


def _both(one: Point, two: Point) -> Point:
    return msgspec.structs.replace(
        two,
        processes=max(one.processes, two.processes),
        memory=_most(one.memory, two.memory),
        gpus=_most(one.gpus, two.gpus),
    )


def _most(one: int | None, two: int | None) -> int | None:
    return max((each for each in (one, two) if each is not None), default=None)


def _sum(one: Number | None, two: Number | None) -> Number | None:
    if one is None or two is None:
        return two if one is None else one
    return one + two


class Counting:
    """Adds up a counter that may begin anew with the process that keeps it, as Prometheus' ``increase`` does."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self.total: dict[str, int] = {}

    def heard(self, counters: Mapping[str, tuple[str, int]]) -> None:
        """Each counter by its name, with the name of what it is added to and its value now."""
        for name, (into, value) in counters.items():
            last = self._last.get(name, 0)
            self.total[into] = self.total.get(into, 0) + (value - last if value >= last else value)
            self._last[name] = value


class Reading(NamedTuple):
    """One process at one moment, as the kernel tells."""

    cpu_s: float
    memory: int
    read_bytes: int
    written_bytes: int
    gpus: frozenset[str] = frozenset()
    """The GPUs that it holds, by their names."""


class Meter:
    """Adds up processes that come and go: what one that has ended had used is not forgotten."""

    def __init__(self) -> None:
        self._here: dict[tuple[str, str], Reading] = {}
        self._gone: dict[str, Reading] = {}

    def read(
        self, readings: Mapping[tuple[str, str], Reading], roles: Iterable[str], busy: Mapping[str, float] | None
    ) -> tuple[Usage, ...]:
        """What each role uses now.  ``readings`` by role and process; ``busy``: how busy GPUs are, None if unknown."""
        for (role, process), before in self._here.items():
            if (role, process) not in readings:
                gone = self._gone.get(role, Reading(0.0, 0, 0, 0))
                self._gone[role] = gone._replace(
                    cpu_s=gone.cpu_s + before.cpu_s,
                    read_bytes=gone.read_bytes + before.read_bytes,
                    written_bytes=gone.written_bytes + before.written_bytes,
                )
        self._here = dict(readings)
        return tuple(self._of(role, busy) for role in dict.fromkeys(roles))

    def _of(self, role: str, busy: Mapping[str, float] | None) -> Usage:
        here = [reading for (one, _), reading in self._here.items() if one == role]
        every = [*here, self._gone.get(role, Reading(0.0, 0, 0, 0))]
        gpus = frozenset[str]().union(*(reading.gpus for reading in here))
        known = [busy[gpu] for gpu in gpus if busy is not None and gpu in busy]
        return Usage(
            role,
            len(here),
            cpu_s=sum(reading.cpu_s for reading in every),
            memory=sum(reading.memory for reading in here),
            gpus=None if busy is None else len(gpus),
            gpu_use=sum(known) / len(known) if known else None,
            read_bytes=sum(reading.read_bytes for reading in every),
            written_bytes=sum(reading.written_bytes for reading in every),
        )
