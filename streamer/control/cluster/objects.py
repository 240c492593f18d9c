"""All objects of a run, in the order in which they are to be created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from streamer.control.cluster import jobs, policies, serving, streaming, walls
from streamer.control.cluster.names import ALL_WALLS, name
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
    plan: ClusterPlan, made: Object, keys: Mapping[str, str], seats: Sequence[Mapping[str, str] | None] = ()
) -> list[Object]:
    """All else, owned by the root as it was ``made``.

    ``keys``: for each role the file that ``cavecast keys`` makes; ``seats``: for each wall who shows what
    (``seating.seat``), None if that is not known yet.  Policies come before pods, so that none is ever without.

    Raises NotPossible.
    """
    bare = msgspec.structs.replace(plan, walls=())
    found = [serving.keys(plan, keys), streaming.claim(plan), *policies.policies(plan), *serving.services(bare)]
    found += [streaming.streamer(plan), *streaming.relays(plan), jobs.workers(plan)]
    found += [*serving.renderers(plan), *jobs.archive(plan)]
    return [*owned(found, made), *for_walls(plan, made, seats)]


def for_walls(plan: ClusterPlan, made: Object, seats: Sequence[Mapping[str, str] | None]) -> list[Object]:
    """What a run has because of its walls, owned by the root as it was ``made``; it comes and goes with them.

    ``seats``: as for ``rest``.  Raises NotPossible.
    """
    found = [walls.marked(one, ALL_WALLS) for one in policies.wall_policies(plan)]
    met = {one["metadata"]["name"]: one for one in serving.services(plan)}
    for wall, given in zip(plan.walls, seats, strict=True):
        tiles = walls.tiles(plan, wall)
        its = [
            *policies.tracker_policies(plan, wall), met[name(plan.run_id, walls.conductor_part(wall.number))],
            walls.wall_map(plan, wall), walls.seats_map(plan, wall, given or {}), walls.conductor(plan, wall),
            tiles if given is None else walls.placed(tiles, given),
        ]  # fmt: skip
        found += [walls.marked(one, wall.name) for one in its]
    return owned(found, made)


def with_counts(plan: ClusterPlan, workers: int, renderers: int) -> ClusterPlan:
    """The plan with other numbers of workers and renderers: it stays the same run."""
    found = msgspec.structs.replace(plan, workers=msgspec.structs.replace(plan.workers, count=workers))
    if plan.renderers is None:
        return found
    return msgspec.structs.replace(found, renderers=msgspec.structs.replace(plan.renderers, count=renderers))
