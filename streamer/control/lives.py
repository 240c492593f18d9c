"""The life of a run, and what follows when something happens to it or to one of its parts.  Pure.

A run is complete when the streamer has said so *and* the archive, if there is one, has written all of it.  Chunks that
could not be segmented do not fail a run: it completes and lists them.

A part that ends before its time is started again, later each time, and given up after a few times
within a minute: a lost worker is then left out while others work on, a lost renderer or relay is missed by those
alone who look through it, any other part fails the run.
A part that was refused for wrong use (exit code 2) would be refused again, so it is not retried.
"""

from __future__ import annotations

from itertools import count, islice
from typing import Literal, NamedTuple

import msgspec

from streamer.control.runs import ENDED, Role, State

RESTARTS = 5
"""So many restarts of one part within WINDOW_S are tried."""
WINDOW_S = 60.0
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
WRONG_USE = 2


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


def joined(life: Life, name: str, role: Role = "worker") -> Life:
    """One part more: a worker, or of a wall."""
    return msgspec.structs.replace(life, parts={**life.parts, name: Part(role)})


def dismissed(life: Life, name: str) -> Life:
    """A worker, or a part of a wall, is not wanted any more."""
    changed = msgspec.structs.replace(life.parts[name], dismissed=True)
    return msgspec.structs.replace(life, parts={**life.parts, name: changed})


def left(life: Life, name: str) -> Life:
    """A part that was dismissed has gone."""
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


def archived(life: Life) -> Life:
    """The store has all of it."""
    return life if life.archived else _settle(msgspec.structs.replace(life, archived=True))


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
    if role in ("conductor", "tile"):
        return _remark(life, f"{sentence}; the run goes on without it")
    return failed(life, sentence)


def _remark(life: Life, sentence: str) -> Life:
    if sentence in life.remarks:  # of a part that was tried again, and given up for the same reason
        return life
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
