"""All objects of a run, in the order in which they are to be created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from streamer.control.cluster import jobs, policies, serving, streaming, walls
from streamer.control.cluster.plan import ClusterPlan, Object
from streamer.control.cluster.root import owned, root
from streamer.wire.volume import RunSpec

KINDS = (
    "ConfigMap", "Secret", "PersistentVolumeClaim", "NetworkPolicy", "Service", "StatefulSet", "Deployment", "Job",
    "DaemonSet",
)  # fmt: skip
"""All kinds that a run has; what is looked through for objects that nobody owns any more."""


def first(spec: RunSpec, plan: ClusterPlan) -> Object:
    """The root, which is created alone; what the API server returns goes into ``rest``."""
    return root(spec, plan)


def rest(
    plan: ClusterPlan, made: Object, keys: Mapping[str, str], seats: Sequence[Mapping[str, str]] = ()
) -> list[Object]:
    """All else, owned by the root as it was ``made``.

    ``keys``: for each role the file that ``cavecast keys`` makes; ``seats``: for each wall who shows what
    (``seating.seat``).  Policies come before pods, so that none is ever without.  Raises NotPossible.
    """
    found = [serving.keys(plan, keys), streaming.claim(plan), *policies.policies(plan), *serving.services(plan)]
    numbers = range(1, len(plan.walls) + 1)
    for number, given in zip(numbers, seats, strict=True):
        found += [walls.wall_map(plan, number), walls.seats_map(plan, number, given)]
    found += [streaming.streamer(plan), *streaming.relays(plan), jobs.workers(plan)]
    found += [*serving.renderers(plan), *jobs.archive(plan)]
    for number in numbers:
        found += [walls.conductor(plan, number), walls.tiles(plan, number)]
    return owned(found, made)


def with_counts(plan: ClusterPlan, workers: int, renderers: int) -> ClusterPlan:
    """The plan with other numbers of workers and renderers: it stays the same run."""
    found = msgspec.structs.replace(plan, workers=msgspec.structs.replace(plan.workers, count=workers))
    if plan.renderers is None:
        return found
    return msgspec.structs.replace(found, renderers=msgspec.structs.replace(plan.renderers, count=renderers))
