"""What is left in a cluster of runs that nobody looks after: those that are over, and those of which no run is known.

Only objects with the label of this installation are looked at, and only what the books have said decides: where they
do not answer, nothing is removed.  Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from streamer.control.cluster.facts import going
from streamer.control.cluster.names import RUN_ID, RUN_LABEL
from streamer.control.cluster.observed import items, text
from streamer.control.cluster.plan import Object
from streamer.control.cluster.standing import ended_at


class Tidied(NamedTuple):
    """What is to be removed now, and what was found to have no run since when."""

    due: tuple[Object, ...]
    since: Mapping[str, float]


def is_root(found: Object) -> bool:
    """Whether an object owns a run."""
    return text(found, "metadata", "labels", "cavecast/part") == "run"


def run_of(found: Object) -> str:
    """The run's id as an object has it."""
    return text(found, "metadata", "annotations", RUN_ID)


def orphans(
    objects: Sequence[Object], known: Mapping[str, bool], since: Mapping[str, float], now: float, grace_s: float
) -> Tidied:
    """Roots of runs that are not in the books, and what has no owner though its run has no root.

    ``known``: for each run's id whether the books have it; what they were not asked for, or did not say, stays.
    """
    rooted = {text(one, "metadata", "labels", RUN_LABEL) for one in objects if is_root(one)}
    lost = [one for one in objects if not going(one) and _lost(one, rooted, known)]
    found = {_uid(one): since.get(_uid(one), now) for one in lost}
    return Tidied(tuple(one for one in lost if now - found[_uid(one)] >= grace_s), found)


def _lost(found: Object, rooted: set[str], known: Mapping[str, bool]) -> bool:
    run_id = run_of(found)
    if not run_id or known.get(run_id) is not False:
        return False
    if is_root(found):
        return True
    owned = any(True for _ in items(found, "metadata", "ownerReferences"))
    return not owned and text(found, "metadata", "labels", RUN_LABEL) not in rooted


def _uid(found: Object) -> str:
    return text(found, "metadata", "uid")


def outlived(root: Object, clock: float, kept_s: float) -> bool:
    """Whether the log of a run that is over has been kept for long enough."""
    said = ended_at(root)
    try:
        then = datetime.fromisoformat(said)
    except ValueError:
        return False
    return clock - (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() >= kept_s
