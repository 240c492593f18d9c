"""What every benchmark prints: a row per figure with its bar, and whether it holds.

Absolute times mean nothing on a shared machine; ratios of things measured in turn, in one run, do.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """A figure beside its limit."""

    what: str
    value: str
    """What was measured, with its unit."""
    bar: str
    ratio: float
    """What the bar is about: ours over the limit's, or the figure itself."""
    holds: bool


class Options(NamedTuple):
    """How a benchmark was asked to run."""

    quick: bool
    as_json: bool
    only: str = ""
    """The one row that is wanted, or those that are measured with it; all if empty."""


def options(what: str, rows: Collection[str] = ()) -> Options:
    """The command line that all benchmarks have; with ``rows`` one can be asked for alone."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    if rows:
        parser.add_argument("--only", choices=sorted(rows), default="", help="one row instead of all")
    given = parser.parse_args()
    return Options(given.quick, given.json, getattr(given, "only", ""))


def at_most(what: str, value: str, ratio: float, bar: float) -> Row:
    """A figure that must not be above its bar."""
    return Row(what, value, f"≤ {bar:g}", ratio, ratio <= bar)


def at_least(what: str, value: str, ratio: float, bar: float) -> Row:
    """A figure that must not be below its bar."""
    return Row(what, value, f"≥ {bar:g}", ratio, ratio >= bar)


def median(values: Iterable[float]) -> float:
    """The median."""
    return statistics.median(values)


def interleaved(rounds: int, sides: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Each side once, then all again, so that a drift of the machine meets all of them alike."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            found[name].append(run())
    return found


def machine() -> dict[str, object]:
    """On what it was measured."""
    return {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 2),
    }


def conclude(name: str, rows: list[Row], given: Options) -> int:
    """Prints the rows; returns the exit status: 0 if all bars hold."""
    if given.as_json:
        print(json.dumps({"benchmark": name, "machine": machine(), "rows": [row._asdict() for row in rows]}))
    else:
        print(f"{name}: {machine()}")
        print("\n| what | value | bar | ratio | holds |\n| --- | --- | --- | --- | --- |")
        for row in rows:
            print(f"| {row.what} | {row.value} | {row.bar} | {row.ratio:.3g} | {'yes' if row.holds else 'NO'} |")
        sys.stdout.flush()
    return 0 if all(row.holds for row in rows) else 1
