"""Who may speak to whom, for the network: nobody, but for the ways of the data.

The ways are those of docs/protocol.md, each with the door that it leads to; both ends are opened, and only for pods
of this run.  What the network lets through still has to have the right key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from streamer.control.cluster.commands import FEED, INGEST, VIEWS, WALL
from streamer.control.cluster.names import ROLE_LABEL, RUN_LABEL, name, run_labels, selector, slug
from streamer.control.cluster.plan import ClusterPlan, Object, Opening, WallPlan
from streamer.control.cluster.root import metadata
from streamer.control.cluster.walls import conductor_part

CONTROL = "control"
TO_DATA = ("worker", "archive", "renderer", "tile")
"""Roles that read volumes or stores: renderers and tiles read labels that have left the log."""


class Way(NamedTuple):
    """Who connects to which door of whom."""

    source: str
    """A role; ``control``: the control plane."""
    target: str
    door: str
    port: int


def ways(plan: ClusterPlan) -> list[Way]:
    """All ways of a run's data."""
    found = [Way("worker", "streamer", "ingest", INGEST), Way(CONTROL, "streamer", "feed", FEED)]
    readers = [
        *(["relay"] if plan.relays else []),
        *(["archive"] if plan.archive is not None else []),
        *(["renderer"] if plan.renderers is not None else []),
        *(["tile"] if plan.walls else []),
    ]
    found += [Way(reader, "streamer", "feed", FEED) for reader in readers]
    if plan.relays:
        found += [Way(reader, "relay", "feed", FEED) for reader in (*readers, CONTROL) if reader != "archive"]
    if plan.renderers is not None:
        found.append(Way(CONTROL, "renderer", "views", VIEWS))
    if plan.walls:
        found += [Way("tile", "conductor", "wall", WALL), Way(CONTROL, "conductor", "wall", WALL)]
    return found


def policies(plan: ClusterPlan) -> list[Object]:
    """The NetworkPolicies of a run, whether it is shown on walls or not."""
    found = [_policy(plan, "deny", {}, [], []), _policy(plan, "dns", {}, None, [_dns(plan)])]
    return found + _of_roles(plan, [way for way in ways(plan) if not _for_walls(way)])


def wall_policies(plan: ClusterPlan) -> list[Object]:
    """Those that are added while it is shown on any walls."""
    opened = [way for way in ways(plan) if _for_walls(way)]
    parts = {"streamer": "wallfeed", "relay": "wallrelay"}
    return _of_roles(plan, opened, parts) if plan.walls else []


def tracker_policies(plan: ClusterPlan, wall: WallPlan) -> list[Object]:
    """That of one wall's trackers, if it has any."""
    if not wall.trackers:
        return []
    ingress, egress = ([_opened(way, one) for one in wall.trackers] for way in ("from", "to"))
    pods = selector(plan.run_id, conductor_part(wall.number))
    return [_policy(plan, f"trackers-{wall.number}", pods, ingress, egress)]


def _for_walls(way: Way) -> bool:
    return way.source == "tile" or way.target == "conductor"


def _of_roles(plan: ClusterPlan, all_ways: list[Way], parts: Mapping[str, str] | None = None) -> list[Object]:
    """A policy for each role that has a part in these ways; ``parts`` are other names than the roles'."""
    found = []
    roles = sorted({one for way in all_ways for one in (way.source, way.target)} - {CONTROL})
    for role in roles:
        ingress = [
            {"from": [_peer(plan, way.source)], "ports": [_port(way.port)]} for way in all_ways if way.target == role
        ]
        egress = [
            {"to": [_peer(plan, way.target)], "ports": [_port(way.port)]} for way in all_ways if way.source == role
        ]
        if role in TO_DATA and plan.data:
            egress += [_opened("to", one) for one in plan.data]
        part = (parts or {}).get(role, role)
        found.append(_policy(plan, part, {ROLE_LABEL: role}, ingress, egress))
    return found


def _policy(
    plan: ClusterPlan, part: str, pods: dict[str, str], ingress: list[Object] | None, egress: list[Object]
) -> Object:
    """A policy for some of the run's pods; what is empty is closed, ``ingress`` None is not spoken of."""
    kinds = (["Ingress"] if ingress is not None else []) + ["Egress"]
    spec: Object = {"podSelector": {"matchLabels": {**run_labels(plan.run_id), **pods}}, "policyTypes": kinds}
    if ingress:
        spec["ingress"] = ingress
    if egress:
        spec["egress"] = egress
    about = metadata(plan, part, "network")
    about["name"] = name(plan.run_id, part if part.startswith("trackers") else f"net{part}")
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": about, "spec": spec}


def _peer(plan: ClusterPlan, role: str) -> Object:
    if role == CONTROL:
        where = {"matchLabels": {"kubernetes.io/metadata.name": plan.controllers.namespace}}
        return {"namespaceSelector": where, "podSelector": {"matchLabels": plan.controllers.labels}}
    return {"podSelector": {"matchLabels": {RUN_LABEL: slug(plan.run_id), ROLE_LABEL: role}}}


def _port(port: int, protocol: str = "TCP") -> Object:
    return {"port": port, "protocol": protocol}


def _dns(plan: ClusterPlan) -> Object:
    server = plan.name_server
    where = {"matchLabels": {"kubernetes.io/metadata.name": server.namespace}}
    to: list[Object] = [{"namespaceSelector": where, "podSelector": {"matchLabels": server.labels}}]
    if server.local:
        to.append({"ipBlock": {"cidr": server.local}})
    return {"to": to, "ports": [_port(server.port, "UDP"), _port(server.port)]}


def _opened(side: str, opening: Opening) -> Object:
    ports = {"ports": [_port(opening.port, opening.protocol)]} if opening.port is not None else {}
    return {side: [{"ipBlock": {"cidr": opening.cidr}}], **ports}


def data_openings(addresses: Iterable[str]) -> tuple[Opening, ...]:
    """What the network must let through so that volumes and stores at these addresses can be reached.

    A policy knows addresses and no names, so it is the port that is opened, to anywhere; nothing for paths.
    """
    ports: dict[int, None] = {}
    for address in addresses:
        scheme, separator, rest = address.partition("://")
        if not separator or scheme == "file":
            continue
        place = rest.partition("/")[0].rpartition("@")[2]
        port = place.rpartition(":")[2] if ":" in place and not place.endswith("]") else ""
        given = int(port) if port.isdecimal() and len(port) <= 5 else 0
        ports[given if 0 < given < 65536 else 80 if scheme == "http" else 443] = None
    return tuple(Opening(cidr=cidr, port=port) for port in ports for cidr in ("0.0.0.0/0", "::/0"))
