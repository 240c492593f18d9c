"""What a run is to the control plane, and what follows when something happens to it.  Pure.

A run is ``starting`` until its streamer answers, ``waiting`` while the streamer holds the work back
for a first viewer, ``running`` or ``paused``, and in the end ``complete``, ``failed`` or ``cancelled``.  It is
complete when the streamer has said so *and* the archive, if there is one, has written all of it.
Chunks that could not be segmented do not fail a run: it completes and lists them.

What people want of a run (so many workers, a pause, its end) is part of its record, with a number that grows with
each change: it is written down before anything is done about it, so a control plane that is started again goes on.

A part that ends before its time is started again, later each time, and given up after a few times
within a minute: a lost worker is then left out while others work on, a lost renderer or relay is missed by those
alone who look through it, any other part fails the run.
A part that was refused for wrong use (exit code 2) would be refused again, so it is not retried.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import count, islice
from typing import Literal, NamedTuple, get_args

import msgspec

from streamer.wire.grid import Flags, Grid, Triple
from streamer.wire.status import RunStatus
from streamer.wire.volume import Keep, Parameter

State = Literal["starting", "waiting", "running", "paused", "complete", "failed", "cancelled"]
Role = Literal["streamer", "relay", "worker", "renderer", "archive"]
STATES: tuple[State, ...] = get_args(State)
ENDED: frozenset[State] = frozenset(("complete", "failed", "cancelled"))

RESTARTS = 5
"""So many restarts of one part within WINDOW_S are tried."""
WINDOW_S = 60.0
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
WRONG_USE = 2
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
    paused: bool = False
    """Whether a pause is wanted: chunks that are being worked on are finished, no others are begun."""
    cancelling: bool = False
    """Whether its end is wanted."""
    generation: int = 1
    """Grows with each change of what is wanted (``workers``, ``paused``, ``cancelling``); the run's ETag."""
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


class Part(msgspec.Struct, frozen=True):
    """A part of the run, as its process goes."""

    role: Role
    alive: bool = True
    """Whether it runs, or will again."""
    ready: bool = False
    """Whether it has said that it is ready, since it was started last."""
    restarts: tuple[float, ...] = ()
    """When it was restarted."""
    dismissed: bool = False
    """Whether it is not wanted any more: its end is meant."""

    @property
    def state(self) -> Literal["starting", "running", "ended"]:
        """As the API shows it."""
        if not self.alive:
            return "ended"
        return "running" if self.ready else "starting"


class Life(msgspec.Struct, frozen=True):
    """All that decides what becomes of a run."""

    state: State = "starting"
    error: str | None = None
    remarks: tuple[str, ...] = ()
    parts: dict[str, Part] = {}
    ended: str = ""
    """The streamer's last word, ``complete`` or ``cancelled``; empty until then."""
    archived: bool = True
    """Whether nothing is left to be written to a store."""

    @property
    def over(self) -> bool:
        """Whether the state will not change any more."""
        return self.state in ENDED

    @property
    def restarted(self) -> dict[str, int]:
        """Restarts of each part that needed any."""
        return {name: len(part.restarts) for name, part in self.parts.items() if part.restarts}


class Restart(NamedTuple):
    """Start the part again, this many seconds from now."""

    after_s: float


def new(parts: dict[str, Role], *, archive: bool) -> Life:
    """The beginning: all parts are being started."""
    return Life(parts={name: Part(role) for name, role in parts.items()}, archived=not archive)


def opened(parts: dict[str, Role], state: State) -> Life:
    """A run that is over is served once more, from its log: nothing of what it was changes."""
    return Life(state=state, parts={name: Part(role) for name, role in parts.items()}, ended="complete")


def staffing(life: Life, workers: int) -> tuple[list[str], list[str]]:
    """The names of workers that are to be started, and of those that are to leave, so that there are so many."""
    here = [name for name, part in life.parts.items() if part.role == "worker" and not part.dismissed]
    free = (name for n in count(1) if (name := f"worker-{n}") not in life.parts)
    return list(islice(free, max(0, workers - len(here)))), here[workers:]


def joined(life: Life, name: str) -> Life:
    """One worker more."""
    return msgspec.structs.replace(life, parts={**life.parts, name: Part("worker")})


def dismissed(life: Life, name: str) -> Life:
    """A worker is not wanted any more."""
    changed = msgspec.structs.replace(life.parts[name], dismissed=True)
    return msgspec.structs.replace(life, parts={**life.parts, name: changed})


def left(life: Life, name: str) -> Life:
    """A worker that was dismissed has gone."""
    return msgspec.structs.replace(life, parts={one: part for one, part in life.parts.items() if one != name})


def told(life: Life, streamer_state: str) -> Life:
    """The streamer has said how the run stands: ``waiting``, ``running``, ``paused``, ``complete`` or ``cancelled``."""
    if life.over:
        return life
    if streamer_state == "waiting" or streamer_state == "running" or streamer_state == "paused":
        return msgspec.structs.replace(life, state=streamer_state)
    if streamer_state in ("complete", "cancelled"):
        return _settle(msgspec.structs.replace(life, ended=streamer_state))
    return life


def greeted(life: Life, name: str) -> Life:
    """A part has said that it is ready."""
    changed = msgspec.structs.replace(life.parts[name], ready=True)
    return msgspec.structs.replace(life, parts={**life.parts, name: changed})


def failed(life: Life, sentence: str) -> Life:
    """The run cannot go on."""
    return life if life.over else msgspec.structs.replace(life, state="failed", error=sentence)


def cancelled(life: Life) -> Life:
    """The run was stopped; what is committed stays."""
    return life if life.over else msgspec.structs.replace(life, state="cancelled")


def exited(life: Life, name: str, code: int, words: str, now: float) -> tuple[Life, Restart | None]:
    """A part's process has ended with ``code``; ``words`` is the last that it said.  What now?"""
    part = life.parts[name]
    if part.dismissed:
        return left(life, name), None
    if code == 0 and part.role == "archive":
        return _settle(msgspec.structs.replace(_put(life, name, alive=False), archived=True)), None
    if code == 0 and part.role == "worker" and life.ended:
        return _put(life, name, alive=False), None
    if life.state in ("failed", "cancelled") or (life.state == "complete" and part.role in ("worker", "archive")):
        return _put(life, name, alive=False), None
    recent = [at for at in part.restarts if now - at < WINDOW_S]
    if code == WRONG_USE or len(recent) >= RESTARTS:
        return _give_up(_put(life, name, alive=False), name, code, words, len(recent)), None
    wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** len(recent))
    return _put(life, name, alive=True, restarts=(*part.restarts, now)), Restart(wait)


def _settle(life: Life) -> Life:
    if life.ended == "complete" and life.archived and not life.over:
        return msgspec.structs.replace(life, state="complete")
    if life.ended == "cancelled" and life.archived:
        return cancelled(life)
    return life


def _put(life: Life, name: str, *, alive: bool, restarts: tuple[float, ...] | None = None) -> Life:
    part = life.parts[name]
    changed = msgspec.structs.replace(
        part, alive=alive, ready=False, restarts=part.restarts if restarts is None else restarts
    )
    return msgspec.structs.replace(life, parts={**life.parts, name: changed})


def _give_up(life: Life, name: str, code: int, words: str, times: int) -> Life:
    role = life.parts[name].role
    sentence = gone(name, code, words, times)
    if role == "worker":
        others = any(part.role == "worker" and part.alive for part in life.parts.values())
        if others and code != WRONG_USE:
            return _remark(life, f"{sentence}; the other workers go on")
        return failed(life, sentence)
    if role == "renderer" and life.state != "waiting":
        return _remark(life, f"{sentence}; the run goes on without a view")
    if role == "relay":
        return _remark(life, f"{sentence}; the run goes on, and who is behind it sees nothing new")
    return failed(life, sentence)


def _remark(life: Life, sentence: str) -> Life:
    return msgspec.structs.replace(life, remarks=(*life.remarks, sentence))


def gone(name: str, code: int, words: str, restarts: int = 0) -> str:
    """A part's end in a sentence."""
    said = words.strip().removeprefix("cavecast: ").rstrip(".")
    if code == WRONG_USE and said:
        return f"{name} could not start: {said}"
    how = f"was ended by {_signal(-code)}" if code < 0 else f"ended with exit code {code}"
    often = f" again, after {restarts} restarts within a minute" if restarts else ""
    return f"{name} {how}{often}" + (f": {said}" if said else "")


_SIGNALS = {
    2: "SIGINT",
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    15: "SIGTERM",
}
"""Those that end processes, by the numbers that Linux and macOS share (but for 7)."""


def _signal(number: int) -> str:
    return _SIGNALS.get(number, f"signal {number}")


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
    return msgspec.structs.replace(run, generation=run.generation + 1, **changes)


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
