"""What a run is to the control plane and to people, and what is wanted of it.  Pure.

A run is ``queued`` until there is room for it, ``starting`` until its streamer answers, ``waiting`` while the streamer
holds the work back for a first viewer, ``running`` or ``paused``, and in the end ``complete``, ``failed`` or
``cancelled`` (``lives`` says how it comes to that).

What people want of a run (so many workers, a pause, its end) is part of its record, with a number that grows with
each change: it is written down before anything is done about it, so a control plane that is started again goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple, get_args

import msgspec

from streamer.control.access.people import DEFAULT
from streamer.control.onwall import OnWall
from streamer.wire.grid import Flags, Grid, Triple
from streamer.wire.status import RunStatus
from streamer.wire.volume import Keep, Parameter

State = Literal["queued", "starting", "waiting", "running", "paused", "complete", "failed", "cancelled"]
Role = Literal["streamer", "relay", "worker", "renderer", "archive", "conductor", "tile"]
STATES: tuple[State, ...] = get_args(State)
ENDED: frozenset[State] = frozenset(("complete", "failed", "cancelled"))

PROGRESS_S = 5.0
"""So long the books may be behind a run's progress."""


class Standing(msgspec.Struct, frozen=True):
    """A part of a run as the API shows it."""

    name: str
    role: Role
    state: Literal["starting", "running", "ended"]
    """``starting`` also while it waits for another part, or to be started again."""
    restarts: int = 0
    listens: dict[str, str] = {}
    """Its doors (``ingest``, ``feed``, ``views``) and where they are, once it has said so."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as the API shows it."""

    run_id: str
    project: str = DEFAULT
    """Whose it is: who has a role in it may see the run."""
    state: State = "starting"
    error: str | None = None
    """Why it failed, in a sentence."""
    remarks: tuple[str, ...] = ()
    """What a person should know: the reader's notes on the input, parts that were lost."""
    title: str
    created: str
    """ISO 8601, UTC."""
    input: str
    variable: str
    units: str
    segmenter: str
    parameters: dict[str, Parameter]
    keep: Keep
    workers: int
    """So many are wanted."""
    gpus: int = 0
    """Of each worker, in a cluster."""
    paused: bool = False
    """Whether a pause is wanted: chunks that are being worked on are finished, no others are begun."""
    cancelling: bool = False
    """Whether its end is wanted."""
    runs_before: int | None = None
    """While it is queued: how many runs are before it in the queue."""
    generation: int = 1
    """Grows with each change of what is wanted (``workers``, ``paused``, ``cancelling``, ``walls``); the run's ETag."""
    walls: tuple[OnWall, ...] = ()
    """The walls that it is to be shown on, and how each stands."""
    leaving: tuple[str, ...] = ()
    """Walls that it was taken off and where something of it is left; that goes by itself, as soon as it can."""
    pace_s: float
    shape: Triple
    chunk: Triple
    counts: Triple
    """Chunks along (z, y, x)."""
    periodic: Flags
    dims: tuple[str, str, str]
    """Names of the dimensions, (z, y, x)."""
    on_sphere: bool
    """Whether the volume is latitude by longitude, so that objects have an area."""
    has_time: bool
    y_descending: bool = False
    """Whether axis 1 runs downwards in the picture, such as latitude from north to south."""
    status: RunStatus
    """As the streamer told it last; all zero before it has."""
    restarts: dict[str, int] = {}
    """Restarts of each part that needed any, since the beginning."""
    parts: tuple[Standing, ...] = ()
    """Its processes, in the order of starting."""
    viewers: int = 0
    view_url: str | None = None
    """Path of the viewer's page; None if the run has no renderer."""
    out: str | None = None
    """The Zarr store that is written."""


class NotNow(ValueError):
    """What is wanted of a run cannot be had as it stands: why, in a sentence."""


def wanted(run: Run, *, workers: int | None = None, paused: bool | None = None, cancelling: bool | None = None) -> Run:
    """The run's record with what is wanted of it from now on; the same record if that changes nothing.

    Raises NotNow if the run is over, or is being ended.
    """
    changes: dict[str, int | bool] = {
        name: value
        for name, value in (("workers", workers), ("paused", paused), ("cancelling", cancelling))
        if value is not None and value != getattr(run, name)
    }
    if not changes:
        return run
    if run.state in ENDED:
        raise NotNow(f"run {run.run_id} is {run.state}: nothing can be changed any more")
    if run.cancelling:
        raise NotNow(f"run {run.run_id} is being cancelled")
    changed = msgspec.structs.replace(run, generation=run.generation + 1, **changes)
    # Nothing of a run that waits for room is there to be ended.
    over = msgspec.structs.replace(changed, state="cancelled", walls=())
    return over if cancelling and run.state == "queued" else changed


def waits(run: Run) -> str:
    """What a run waits for that has not begun, in words; empty if it has."""
    if run.state != "queued":
        return ""
    if run.paused:
        return "is paused before it has begun"
    before = run.runs_before or 0
    return (
        f"waits for {before:,} run{'s' if before != 1 else ''} before it" if before else "waits for room, as the next"
    )


def needs_room(run: Run) -> bool:
    """Whether a run that has begun still takes the room of one: it is at work, or some of its work has not ended."""
    return run.state not in ENDED or any(
        part.role in ("worker", "archive") and part.state != "ended" for part in run.parts
    )


def shown_on(run: Run, names: Collection[str]) -> Run:
    """The run's record when it is to be shown on these walls too; the same record if it is.  Also of one that is over.

    Raises NotNow if the run is being ended.
    """
    here = {wall.name for wall in run.walls}
    more = tuple(OnWall(name=name) for name in dict.fromkeys(names) if name not in here)
    if more and run.cancelling and run.state not in ENDED:
        raise NotNow(f"run {run.run_id} is being cancelled")
    if not more:
        return run
    return msgspec.structs.replace(run, generation=run.generation + 1, walls=(*run.walls, *more))


def taken_off(run: Run, names: Collection[str]) -> Run:
    """The run's record when it is not to be shown on these walls any more; the same record if it is not."""
    left = tuple(wall for wall in run.walls if wall.name not in names)
    if len(left) == len(run.walls):
        return run
    return msgspec.structs.replace(run, generation=run.generation + 1, walls=left)


class Page(NamedTuple):
    """Some of the runs, newest first."""

    runs: list[Run]
    more: bool
    """Whether there are older ones that fit as well."""


def page(
    found: Iterable[Run],
    states: Collection[State],
    words: str,
    before: tuple[str, str] | None,
    limit: int,
    *,
    more: bool,
) -> Page:
    """Of some runs those that fit, newest first, no more than ``limit``.

    ``states`` are those that are wanted (none: all); ``words`` stand in the title, the input or the name; ``before``
    is the time of creation and the name of a run that all of them are older than.  ``more``: there were more already.
    """
    low = words.lower()
    fit = [
        run
        for run in found
        if (not states or run.state in states)
        and (not low or any(low in text.lower() for text in (run.title, run.input, run.run_id)))
        and (before is None or (run.created, run.run_id) < before)
    ]
    fit.sort(key=lambda run: (run.created, run.run_id), reverse=True)
    return Page(fit[:limit], more or len(fit) > limit)


Order = Literal["start", "cancel", "pause", "resume", ""]


def due(run: Run, streamer_state: str, *, begins: bool) -> Order:
    """What the streamer is to be told, given what is wanted and how it says that the run stands; empty if nothing.

    ``begins`` says whether a run that waits for its first viewer has one.  It is told again until it does so: a
    streamer that was killed has forgotten.
    """
    if streamer_state not in ("waiting", "running", "paused"):
        return ""
    if run.cancelling:
        return "cancel"
    if run.paused != (streamer_state == "paused"):
        return "pause" if run.paused else "resume"
    return "start" if streamer_state == "waiting" and begins else ""


def worth_writing(before: Run | None, now: Run, since_s: float) -> bool:
    """Whether the books should hear of a run's news at once; progress alone can wait for ``PROGRESS_S``."""
    if before is None:
        return True
    if (before.state, before.generation, before.error, before.remarks) != (
        now.state, now.generation, now.error, now.remarks,
    ):  # fmt: skip
        return True
    return before.status != now.status and since_s >= PROGRESS_S


def not_begun(run_id: str, grid: Grid) -> RunStatus:
    """What is shown until the streamer has told more."""
    return RunStatus(
        run_id=run_id, state="starting", chunks=grid.size, committed=0, leased=0, failed=0, voxels=grid.voxels,
        voxels_done=0, labelled_voxels=0, objects=0, seconds=0.0, voxels_per_second=0.0, eta_s=None,
        log_position=0, log_bytes=0,
    )  # fmt: skip
