"""The step table of a run: what each step of it took, as in the papers about CHASE-CI.  Pure.

A run's steps follow from what it does: its input is looked at (``inspect``), chunks are computed and joined
(``segment``: streamer, relays and workers), written to a store (``archive``) and drawn (``view``, ``wall``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from streamer.control.runs import Run
from streamer.control.usage import Series

STEPS: Mapping[str, tuple[str, ...]] = {
    "inspect": ("inspect",),
    "segment": ("streamer", "relay", "worker"),
    "archive": ("archive",),
    "view": ("renderer",),
    "wall": ("conductor", "tile"),
}
"""The roles of each step, in the order of the table."""
LOW_USE = 0.4


class Step(msgspec.Struct, frozen=True):
    """One step of a run.  What could not be measured is null, never 0."""

    step: str
    processes: int
    """At the most at one time; pods, on a cluster."""
    seconds: float
    """So long any of them was there."""
    cpu_s: float | None
    cpus: float | None
    """Processor seconds per second."""
    gpus: int | None
    """At the most at one time."""
    gpu_hours: float | None
    gpu_use: float | None
    """How busy the GPUs were while they were held, 0 to 1."""
    read_bytes: int | None
    written_bytes: int | None
    peak_memory: int | None
    """Bytes, of all of them together."""


class Report(msgspec.Struct, frozen=True):
    """What a run took, step by step."""

    run_id: str
    title: str
    state: str
    steps: tuple[Step, ...]
    gpu_hours: float | None
    gpu_use: float | None
    warnings: tuple[str, ...] = ()
    """What the figures say that should be looked at, in sentences."""


def report(run: Run, roles: Mapping[str, Series]) -> Report:
    """The table, from what was sampled of each role."""
    steps = tuple(
        _step(name, [roles[role] for role in of if role in roles and roles[role].points])
        for name, of in STEPS.items()
        if any(role in roles and roles[role].points for role in of)
    )
    held = _total([step.gpu_hours for step in steps])
    used = [(step.gpu_hours, step.gpu_use) for step in steps if step.gpu_hours and step.gpu_use is not None]
    use = sum(hours * share for hours, share in used) / sum(hours for hours, _ in used) if used else None
    warnings = tuple(
        f"{step.step} held its GPUs for {step.gpu_hours:.2g} GPU-hours and used {100 * step.gpu_use:.0f} % of them: "
        "fewer GPUs, larger chunks or larger batches would do as much"
        for step in steps
        if step.gpu_hours and step.gpu_use is not None and step.gpu_use < LOW_USE
    )
    return Report(run.run_id, run.title, run.state, steps, held, use, warnings)


def _step(name: str, series: Sequence[Series]) -> Step:
    last = [one.last for one in series if one.last is not None]
    seconds = max(point.seconds for point in last)
    cpu_s = _total([point.cpu_s for point in last])
    gpu_s, busy_s = _total([point.gpu_s for point in last]), _total([point.gpu_busy_s for point in last])
    return Step(
        step=name,
        processes=sum(one.peak("processes") or 0 for one in series),
        seconds=seconds,
        cpu_s=cpu_s,
        cpus=cpu_s / seconds if cpu_s is not None and seconds > 0 else None,
        gpus=_whole([one.peak("gpus") for one in series]),
        gpu_hours=None if gpu_s is None else gpu_s / 3600,
        gpu_use=busy_s / gpu_s if busy_s is not None and gpu_s else None,
        read_bytes=_whole([point.read_bytes for point in last]),
        written_bytes=_whole([point.written_bytes for point in last]),
        peak_memory=_whole([one.peak("memory") for one in series]),
    )


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _whole(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


COLUMNS = ("step", "pods", "CPUs", "GPUs", "data read", "data written", "peak memory", "time")


def cells(step: Step) -> tuple[str, ...]:
    """A step as the table shows it, in the order of ``COLUMNS``."""
    return (
        step.step, f"{step.processes:,}", "not measured" if step.cpus is None else f"{step.cpus:.2g}",
        "not measured" if step.gpus is None else f"{step.gpus:,}", size(step.read_bytes), size(step.written_bytes),
        size(step.peak_memory), span(step.seconds),
    )  # fmt: skip


def markdown(found: Report) -> str:
    """The table in Markdown, with the GPU-hours and what there is to say."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(cells, found.steps)]
    return "\n".join(["| " + " | ".join(row) + " |" for row in rows] + ["", *said(found)])


def said(found: Report) -> list[str]:
    """What there is to say below the table."""
    if found.gpu_hours is None:
        return ["GPU-hours: not measured."]
    use = "" if found.gpu_use is None else f", of which {100 * found.gpu_use:.0f} % were used"
    return [f"GPU-hours: {found.gpu_hours:.3g}{use}.", *(f"{warning}." for warning in found.warnings)]


def size(nbytes: int | None) -> str:
    """Bytes for people."""
    if nbytes is None:
        return "not measured"
    for unit, large in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= large:
            return f"{nbytes / large:.3g} {unit}"
    return f"{nbytes} B"


def span(seconds: float) -> str:
    """A time for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
