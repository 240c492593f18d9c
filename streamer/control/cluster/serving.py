"""What makes a run's parts found and kept apart: Services, the Secret with its keys, renderers for browsers."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from streamer.control.cluster.commands import FEED, INGEST, VIEWS, WALL, of_part
from streamer.control.cluster.names import selector
from streamer.control.cluster.plan import ClusterPlan, NotPossible, Object
from streamer.control.cluster.pods import Part, template
from streamer.control.cluster.root import metadata
from streamer.control.cluster.streaming import deployment
from streamer.control.cluster.walls import conductor_part
from streamer.wire.keys import ROLES


def renderers(plan: ClusterPlan) -> list[Object]:
    """Renderers that serve browsers, if the run has any."""
    if plan.renderers is None:
        return []
    arguments = of_part(plan, "renderers", "renderer")
    part = Part("renderers", "renderer", "renderer", arguments, ports=(("views", VIEWS),))
    pods = template(plan, plan.renderers.pod, part)
    labels = plan.renderers.pod.labels
    return [deployment(plan, "renderers", "renderer", plan.renderers.count, pods, labels, rolling=True)]


def doors(plan: ClusterPlan) -> dict[str, tuple[str, dict[str, int]]]:
    """For each part that others connect to: its role and its doors."""
    found: dict[str, tuple[str, dict[str, int]]] = {"streamer": ("streamer", {"ingest": INGEST, "feed": FEED})}
    found |= {f"relay-{number}": ("relay", {"feed": FEED}) for number in range(1, len(plan.relays) + 1)}
    if plan.renderers is not None:
        found["renderers"] = ("renderer", {"views": VIEWS})
    found |= {conductor_part(wall.number): ("conductor", {"wall": WALL}) for wall in plan.walls}
    return found


def services(plan: ClusterPlan) -> list[Object]:
    """A Service for each part that others connect to, in the order of ``doors``.

    That of the renderers has no address of its own, so that the control plane sees each of them.
    """
    found = []
    for part, (role, ports) in doors(plan).items():
        spec: Object = {
            "selector": selector(plan.run_id, part),
            "ports": [{"name": door, "port": port, "targetPort": door} for door, port in ports.items()],
        }
        if part == "renderers":
            spec["clusterIP"] = "None"
        found.append({"apiVersion": "v1", "kind": "Service", "metadata": metadata(plan, part, role), "spec": spec})
    return found


def keys(plan: ClusterPlan, files: Mapping[str, str]) -> Object:
    """The Secret with the run's keys: a file for each role, as ``cavecast keys`` makes them.

    A pod mounts the file of its own role and no other.  Raises NotPossible if a role is missing.
    """
    missing = [role for role in ROLES if role not in files]
    if missing or len(files) != len(ROLES):
        raise NotPossible(
            f"the keys of run {plan.run_id} are to be those of {', '.join(ROLES)}; {missing or 'some'} do not fit"
        )
    data = {f"{role}.toml": base64.b64encode(files[role].encode()).decode() for role in ROLES}
    about = metadata(plan, "keys", "keys")
    return {"apiVersion": "v1", "kind": "Secret", "metadata": about, "type": "Opaque", "immutable": True, "data": data}
