"""What a cluster reports, read with care.

The objects come from an API server as JSON: what is missing, null or of another type than it should be is taken as
not said, and texts are cut to one line before a person reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from streamer.control.cluster.names import ROLE_LABEL, RUN_LABEL
from streamer.control.cluster.plan import Object

LONGEST = 300
"""Characters of a cluster's own words in a sentence of ours."""


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run's objects.  Lists may be longer than the run: its label selects."""

    pods: Sequence[Object] = ()
    jobs: Sequence[Object] = ()
    nodes: Sequence[Object] | None = ()
    """None: they may not be listed."""
    events: Sequence[Object] = ()
    """Of the namespace, warnings at least."""
    now: float | None = None
    """Seconds since 1970, to tell old events; without it none is old."""


def dig(thing: Any, *path: str | int) -> Any:
    """What lies at a path through objects and lists; None where there is nothing."""
    for step in path:
        if isinstance(step, str):
            thing = thing.get(step) if isinstance(thing, dict) else None
        else:
            thing = thing[step] if isinstance(thing, list) and -len(thing) <= step < len(thing) else None
    return thing


def line(raw: str) -> str:
    """A text in one line, cut where it is long."""
    found = " ".join("".join(each if each.isprintable() else " " for each in raw[: 4 * LONGEST]).split())
    return found if len(found) <= LONGEST else found[: LONGEST - 1] + "…"


def text(thing: Any, *path: str | int) -> str:
    """The text at a path, in one line; empty where there is none."""
    found = dig(thing, *path)
    return line(found) if isinstance(found, str) else ""


def items(thing: Any, *path: str | int) -> Iterator[Object]:
    """The objects in the list at a path."""
    found = dig(thing, *path)
    if isinstance(found, list):
        yield from (one for one in found if isinstance(one, dict))


def called(thing: Any) -> str:
    """An object's name."""
    return text(thing, "metadata", "name")


def of_run(things: Sequence[Object], slug: str) -> list[Object]:
    """Those that carry the run's label."""
    return [one for one in things if text(one, "metadata", "labels", RUN_LABEL) == slug]


def role(thing: Any) -> str:
    """What an object is for: ``worker``, ``tile`` …"""
    return text(thing, "metadata", "labels", ROLE_LABEL) or "part"


def condition(thing: Any, kind: str) -> Object:
    """A condition by its type; empty if there is none."""
    return next((one for one in items(thing, "status", "conditions") if one.get("type") == kind), {})


def age_s(event: Object, now: float | None) -> float:
    """For how long an event has not happened again; 0 where that is not known."""
    said = text(event, "series", "lastObservedTime") or text(event, "lastTimestamp") or text(event, "eventTime")
    if now is None or not said:
        return 0.0
    try:
        then = datetime.fromisoformat(said)
        return now - (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def lost_nodes(observed: Observed) -> dict[str, str]:
    """The nodes that do not answer, and for how long they have not, in the cluster's words."""
    found = {}
    for node in observed.nodes or ():
        ready = condition(node, "Ready")
        if ready and ready.get("status") != "True":
            since = text(ready, "lastTransitionTime")
            found[called(node)] = f"since {since}" if since else "now"
    return found
