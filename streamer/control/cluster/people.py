"""A run's pods as the API shows parts: names that people know, states, and restarts.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

from streamer.control.cluster.facts import going, ready
from streamer.control.cluster.names import PART_LABEL
from streamer.control.cluster.observed import called, dig, items, role, text
from streamer.control.cluster.plan import ClusterPlan, Object
from streamer.control.lives import WRONG_USE, gone
from streamer.control.runs import Role, Standing

_ROLES: dict[str, Role] = {one: one for one in get_args(Role)}
_INDEX = "batch.kubernetes.io/job-completion-index"
_FAILURES = "batch.kubernetes.io/job-index-failure-count"
_ORDER = ("streamer", "relay", "worker", "renderer", "archive")


class Shown(NamedTuple):
    """A pod under the name that people know it by."""

    name: str
    role: str
    pod: Object
    failed: int = 0
    """Pods of that name that failed before it, and are still there."""


def shown(pods: Iterable[Object], plan: ClusterPlan) -> list[Shown]:
    """The run's pods by their parts' names, the newest of each; in the order of starting."""
    found: dict[str, Shown] = {}
    failed: dict[str, int] = {}
    for pod in sorted(pods, key=lambda one: (text(one, "metadata", "creationTimestamp"), called(one))):
        name = _name(pod, plan)
        failed[name] = failed.get(name, 0) + (text(pod, "status", "phase") == "Failed")
        before = found.get(name)
        # A pod that is to go gives its name to the one that comes, unless it is the only one.
        if before is None or not _over(pod) or _over(before.pod):
            found[name] = Shown(name, role(pod), pod)
    here = (
        one._replace(failed=failed[one.name] - (text(one.pod, "status", "phase") == "Failed")) for one in found.values()
    )
    return sorted(here, key=_place)


def standings(every: Iterable[Shown]) -> tuple[Standing, ...]:
    """The parts as the API has them; of roles that it does not know nothing is said."""
    return tuple(
        Standing(one.name, _ROLES[one.role], _state(one.pod), restarts(one)) for one in every if one.role in _ROLES
    )


def restarts(one: Shown) -> int:
    """How often the part was started again, as far as its pods tell."""
    pod = one.pod
    again = sum(
        count
        for state in items(pod, "status", "containerStatuses")
        if isinstance(count := state.get("restartCount"), int)
    )
    failures = text(pod, "metadata", "annotations", _FAILURES)
    return again + max(one.failed, int(failures) if failures.isdecimal() else 0)


def wrong_use(every: Iterable[Shown]) -> str:
    """What a part says that was refused for wrong use, in a sentence: it would be refused again.  Empty if none was."""
    for one in every:
        for state in items(one.pod, "status", "containerStatuses"):
            for ended in (dig(state, "state", "terminated"), dig(state, "lastState", "terminated")):
                if dig(ended, "exitCode") == WRONG_USE:
                    return gone(one.name, WRONG_USE, last_words(dig(ended, "message")))
    return ""


def last_words(message: object) -> str:
    """The sentence with which a command of ours ends, if a container's last words have one; else their last line."""
    lines = message[-8192:].strip().splitlines() if isinstance(message, str) else []
    ours = [line for line in lines if line.startswith("cavecast: ")]
    return (ours or lines or [""])[-1][:400]


def _name(pod: Object, plan: ClusterPlan) -> str:
    part = text(pod, "metadata", "labels", PART_LABEL)
    if part == "workers":
        index = text(pod, "metadata", "labels", _INDEX) or text(pod, "metadata", "annotations", _INDEX)
        return f"worker-{int(index) + 1}" if index.isdecimal() else called(pod)
    if part.startswith("relay-") and part.removeprefix("relay-").isdecimal():
        number = int(part.removeprefix("relay-"))
        return f"relay-{plan.relays[number - 1].name}" if 0 < number <= len(plan.relays) else part
    if part == "renderers":
        return "renderer"
    kind, _, of = part.rpartition("-")
    if kind in ("wall", "conductor") and of.isdecimal():
        wall = next((one.name for one in plan.walls if one.number == int(of)), of)
        # A pod on each node; before it is placed its node is not known.
        return f"conductor:{wall}" if kind == "conductor" else f"tile:{wall}:{text(pod, 'spec', 'nodeName')}"
    return part or called(pod)


def _over(pod: Object) -> bool:
    return going(pod) or text(pod, "status", "phase") in ("Succeeded", "Failed")


def _state(pod: Object) -> Literal["starting", "running", "ended"]:
    if text(pod, "status", "phase") in ("Succeeded", "Failed"):
        return "ended"
    return "running" if ready(pod) else "starting"


def _place(one: Shown) -> tuple[int, int, str]:
    number = one.name.rpartition("-")[2]
    place = _ORDER.index(one.role) if one.role in _ORDER else len(_ORDER)
    return place, int(number) if number.isdecimal() else 0, one.name
