"""Which node of a cluster shows which part of a wall.

A wall's file either names hosts, or leaves it to the order of the names of those nodes that its selector finds.  A
node keeps its seat as long as it is one of the wall's: when another is lost or comes back, no picture moves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streamer.control.cluster.observed import called, dig, text
from streamer.control.cluster.plan import Object, WallPlan

HOSTNAME = "kubernetes.io/hostname"
_NODE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


class DisplayNode(NamedTuple):
    """A node that the wall's selector finds."""

    name: str
    host: str = ""
    """Its label ``kubernetes.io/hostname``."""

    def is_called(self, host: str) -> bool:
        """Whether a wall's file means this node."""
        return host in (self.name, self.host) or host in (self.name.partition(".")[0], self.host.partition(".")[0])


def display_nodes(nodes: Sequence[Object], selector: Mapping[str, str]) -> list[DisplayNode]:
    """Those of a cluster's nodes, as it reports them, that a wall's selector finds."""
    found = []
    for node in nodes:
        labels = dig(node, "metadata", "labels")
        carried = labels if isinstance(labels, dict) else {}
        if called(node) and all(carried.get(key) == value for key, value in selector.items()):
            found.append(DisplayNode(called(node), text(carried, HOSTNAME)))
    return sorted(found)


class Seating(NamedTuple):
    """Who sits where."""

    seats: Mapping[str, str]
    """By the node's name in the cluster, its name in the wall's file."""
    sentences: tuple[str, ...] = ()
    """What is wrong, each with what to do."""


def seat(wall: WallPlan, nodes: Sequence[DisplayNode] | None, before: Mapping[str, str] | None = None) -> Seating:
    """The seats of a wall's nodes.

    ``nodes``: those that the selector finds, or None if they may not be listed; ``before``: the seats so far.
    """
    if nodes is None:
        return _blind(wall, before or {})
    said: list[str] = []
    named = {one.name for one in wall.seats}
    seats: dict[str, str] = {}
    taken: dict[str, str] = {}
    sat = before or {}

    def give(node: str, place: str) -> None:
        seats[node], taken[place] = place, node

    free = sorted(nodes)
    for one in wall.seats:
        if not one.host:
            continue
        claims = [node for node in free if node.is_called(one.host)]
        # Whoever is called exactly so comes before those of whom that is the first part of their name.
        exact = [node for node in claims if one.host in (node.name, node.host)]
        # A picture stays where it is, however another node comes to be called; then the node's own name counts.
        claims = sorted(exact or claims, key=lambda node: (sat.get(node.name) != one.name, node.name != one.host, node))
        if len(claims) > 1:
            names = " and ".join(node.name for node in claims)
            said.append(
                f"{names} both claim {one.name} of wall {wall.name}, whose file calls its host {one.host}: only "
                f"{claims[0].name} shows it; write that node's whole name into the wall's file, or take the wall's "
                f"labels or a wrong label {HOSTNAME} from the other"
            )
        if claims:
            give(claims[0].name, one.name)
            free = [node for node in free if node not in claims]
    hosted = {one.name for one in wall.seats if one.host}
    for node in [*free]:
        place = sat.get(node.name, "")
        if place in named - hosted and place not in taken:
            give(node.name, place)
            free.remove(node)
    for one in wall.seats:
        if not one.host and one.name not in taken and free:
            give(free.pop(0).name, one.name)
    if len(seats) < wall.expected:
        dark = [one.name for one in wall.seats if one.name not in taken]
        where = f"; dark: {_few(dark)}" if dark else ""
        said.append(
            f"wall {wall.name} expects {wall.expected} nodes and {len(seats)} were found{where}: look for nodes that "
            f"are down or lack the labels {_labels(wall.selector)}"
        )
    if free:
        said.append(
            f"wall {wall.name} has no tile for {_few([node.name for node in free])}, though its labels are there: take "
            "the labels away, or name the host in the wall's file"
        )
    return Seating(seats, tuple(said))


def _blind(wall: WallPlan, before: Mapping[str, str]) -> Seating:
    """Without a list of nodes the hosts of the file are taken to be the nodes' names; others stay as they sat."""
    seats: dict[str, str] = {}
    said = []
    for one in wall.seats:
        if one.host and not _NODE.fullmatch(one.host):
            said.append(f"{one.name} of wall {wall.name} is on host {one.host!r}, which no node can be called: mend it")
        elif one.host and one.host in seats:
            said.append(
                f"{seats[one.host]} and {one.name} of wall {wall.name} are both on host {one.host}: only the first is "
                "shown; give each node of the wall's file a host of its own"
            )
        elif one.host:
            seats[one.host] = one.name
    nameless = [one.name for one in wall.seats if not one.host]
    seats |= {node: place for node, place in before.items() if place in nameless and node not in seats}
    nameless = [place for place in nameless if place not in seats.values()]
    if nameless:
        said.append(
            f"the nodes of wall {wall.name} may not be listed, so nothing can be shown on {_few(nameless)}: name hosts "
            "in the wall's file, or allow the control plane to list nodes (docs/cluster.md)"
        )
    else:
        said.append(
            f"the nodes of wall {wall.name} may not be listed: the hosts of its file are taken for the nodes' names, "
            "and nobody can say which of them are down"
        )
    return Seating(seats, tuple(said))


def _few(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _labels(selector: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(selector.items())) or "of its selector (it has none)"
