"""Many files as one volume, joined along time.  Pure.

Each file is one ``Part``.  Files are put in the order of their times; two that hold the same time, or
that interleave, cannot be one volume.  The plan is written into the Source in a few characters, so that
a worker opens the same files in the same order without looking into each of them again.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import PurePath
from typing import NamedTuple

import numpy as np

from inference_workers.source.records import InputError
from inference_workers.source.times import say
from streamer.wire.volume import Floats


class Part(NamedTuple):
    """One file's share of the time axis, in the units of the first file."""

    path: str
    points: Floats
    bounds: Floats | None


class Plan(NamedTuple):
    """Files in the order of time."""

    paths: tuple[str, ...]
    counts: tuple[int, ...]
    """Steps of each."""


class Joined(NamedTuple):
    """A plan, the time axis that comes of it, and what to say about it."""

    plan: Plan
    hints: dict[str, str]
    points: Floats
    bounds: Floats | None
    notes: tuple[str, ...]


def natural(path: str) -> tuple[tuple[int, str | int], ...]:
    """A key that puts day10 behind day9."""
    return tuple((1, int(s)) if s.isdigit() else (0, s) for s in re.split(r"([0-9]+)", path) if s)


def join(parts: Sequence[Part], units: str, calendar: str) -> Joined:
    """All parts in the order of time.  ``parts`` stand in the order of their names.  Raises InputError."""
    order = sorted(range(len(parts)), key=lambda i: float(parts[i].points[0]))
    for a, b in pairwise(order):
        before, after = parts[a], parts[b]
        if after.points[0] <= before.points[-1]:
            both = np.intersect1d(before.points, after.points)
            if len(both):
                raise InputError(
                    f"{_name(before.path)} and {_name(after.path)} both hold {say(float(both[0]), units, calendar)}: "
                    "narrow the glob so that each time comes once."
                )
            raise InputError(
                f"The times of {_name(before.path)} and {_name(after.path)} overlap: merge them into one file first."
            )
    notes = []
    out_of_order = sum(b < a for a, b in pairwise(order))
    if out_of_order:
        a, b = next((a, b) for a, b in pairwise(order) if b < a)
        notes.append(
            f"Files were put in the order of their times, not of their names ({_name(parts[b].path)} comes after "
            f"{_name(parts[a].path)})."
        )
    counts = tuple(len(parts[i].points) for i in order)
    bounds = [edges for i in order if (edges := parts[i].bounds) is not None]
    plan = Plan(tuple(parts[i].path for i in order), counts)
    hints = {
        "files": str(len(parts)),
        "names": f"{_checksum([p.path for p in parts]):08x}",
        "order": write_order(order),
        "steps": write_counts(counts),
    }
    return Joined(
        plan,
        hints,
        np.concatenate([parts[i].points for i in order]),
        np.concatenate(bounds) if len(bounds) == len(parts) else None,
        tuple(notes),
    )


def recall(listed: Sequence[str], hints: Mapping[str, str], where: str) -> Plan:
    """The plan again, from the files that a glob lists now.  Raises InputError if they are not the same.

    Files that were added since, and sort behind the others, do no harm: an archive may grow.
    """
    n = int(hints["files"])
    if len(listed) < n or f"{_checksum(listed[:n]):08x}" != hints["names"]:
        raise InputError(
            f"The files of {where} are not those that the run was started with ({n} then, {len(listed)} now): "
            "start the run again."
        )
    return Plan(tuple(listed[i] for i in read_order(hints["order"])), tuple(read_counts(hints["steps"])))


def write_order(order: Sequence[int]) -> str:
    """Indices, as runs of ascending ones: ``0-4,9,5-8``."""
    runs: list[list[int]] = []
    for i in order:
        if runs and runs[-1][1] + 1 == i:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    return ",".join(f"{a}-{b}" if b > a else str(a) for a, b in runs)


def read_order(text: str) -> list[int]:
    """The indices of ``write_order``."""
    found: list[int] = []
    for run in text.split(","):
        first, _, last = run.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def write_counts(counts: Sequence[int]) -> str:
    """Numbers, as runs of equal ones: ``8x100,4``."""
    runs: list[list[int]] = []
    for n in counts:
        if runs and runs[-1][0] == n:
            runs[-1][1] += 1
        else:
            runs.append([n, 1])
    return ",".join(f"{n}x{times}" if times > 1 else str(n) for n, times in runs)


def read_counts(text: str) -> list[int]:
    """The numbers of ``write_counts``."""
    found: list[int] = []
    for run in text.split(","):
        n, _, times = run.partition("x")
        found.extend([int(n)] * int(times or 1))
    return found


def _checksum(paths: Sequence[str]) -> int:
    """Of the names alone: another machine may have mounted the archive elsewhere."""
    return zlib.crc32("\n".join(_name(p) for p in paths).encode())


def _name(path: str) -> str:
    return PurePath(path).name
