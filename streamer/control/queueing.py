"""Which of the runs that wait begins now.  Pure.

Runs wait in the order in which they were made, and none overtakes another that could begin itself.  Only who is kept
back by something of its own (a pause, the quota of its project) is passed over meanwhile, and keeps its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import ceil, isfinite
from typing import NamedTuple

SOONEST_S, LATEST_S, UNKNOWN_S = 5, 300, 30
"""Within these bounds a refused request is to come again; the last where no run at work knows when it will end."""


class Claim(NamedTuple):
    """What a run takes of what there is, while it is at work."""

    run_id: str
    workers: int
    paused: bool = False
    """Whether it is not to begin yet, though it may."""
    project: str = ""
    gpus: int = 0
    """Of all its workers."""


def _anything(claim: Claim, at_work: Sequence[Claim]) -> bool:
    del claim, at_work
    return True


class Limits(NamedTuple):
    """How much there is."""

    runs: int
    """So many may be at work at a time."""
    allows: Callable[[Claim, Sequence[Claim]], bool] = _anything
    """Whether a run's own quota has room for it beside those at work; pure as well."""


def due(waiting: Sequence[Claim], at_work: Sequence[Claim], limits: Limits) -> list[str]:
    """The names of the runs that begin now, in that order.  ``waiting``: the oldest first."""
    busy, found = list(at_work), []
    for claim in waiting:
        if len(busy) >= limits.runs:
            break
        if not claim.paused and limits.allows(claim, busy):
            busy.append(claim)
            found.append(claim.run_id)
    return found


def again_s(left_s: Iterable[float | None]) -> int:
    """After how many seconds there may be room, if those at work have so long to go, as far as that is known."""
    known = [one for one in left_s if one is not None and isfinite(one)]
    return min(LATEST_S, max(SOONEST_S, ceil(min(known)))) if known else UNKNOWN_S
