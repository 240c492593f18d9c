"""What is known of a run's objects at one moment.  Pure.

What was not heard is not known to be gone: an object is only missing if its kind was heard and it was not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streamer.control.cluster.observed import condition, dig
from streamer.control.cluster.plan import Object

Key = tuple[str, str]
"""Kind and name."""
FOLLOWED = (
    "ConfigMap", "PersistentVolumeClaim", "NetworkPolicy", "Service", "StatefulSet", "Deployment", "Job", "DaemonSet",
    "Pod",
)  # fmt: skip
"""What is followed in each namespace, by the installation's label.  Secrets are not: nobody may list them."""


class Facts(NamedTuple):
    """What the followers know."""

    objects: Mapping[Key, Object] = {}
    """All of a run."""
    heard: frozenset[str] = frozenset()
    """Kinds whose collection is known as it is now."""
    words: str = ""
    """Why some are not, in a sentence that stays the same while that lasts."""
    events: Sequence[Object] = ()
    nodes: Sequence[Object] | None = None
    """None: they may not be listed, or are not known."""
    nodes_why: str = ""
    """Why they may not be listed, in a sentence, if that is certain."""
    clock: float = 0.0
    """Seconds since 1970, to tell old events."""

    def of(self, kind: str) -> list[Object]:
        """The run's objects of a kind."""
        return [found for (its, _), found in self.objects.items() if its == kind]

    def missing(self, key: Key) -> bool:
        """Whether an object is not there for certain."""
        return key[0] in self.heard and key not in self.objects


def key_of(found: Object) -> Key:
    """An object's kind and name."""
    return found["kind"], found["metadata"]["name"]


def going(found: Object) -> bool:
    """Whether an object is being deleted."""
    return bool(dig(found, "metadata", "deletionTimestamp"))


def finished(job: Object) -> str:
    """``Complete`` or ``Failed`` if a Job has ended for good."""
    return next((how for how in ("Complete", "Failed") if condition(job, how).get("status") == "True"), "")


def ready(pod: Object) -> bool:
    """Whether a pod serves."""
    return condition(pod, "Ready").get("status") == "True" and not going(pod)
