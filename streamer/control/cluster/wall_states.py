"""How a wall's nodes and pods stand in a cluster, in the words that the control plane has for walls.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from streamer.control.cluster.facts import Facts, going, ready
from streamer.control.cluster.names import ALL_WALLS, PART_LABEL
from streamer.control.cluster.observed import called, condition, dig, items, text
from streamer.control.cluster.plan import Object
from streamer.control.cluster.seating import HOSTNAME, display_nodes
from streamer.control.cluster.walls import conductor_part, number_of, of_wall, wall_part
from streamer.control.onwall import PartState
from streamer.control.seats import Listing, NodeFacts, Seated, Seatings, in_cluster
from streamer.wire.walls import WallFacts


def listing(nodes: Sequence[Object] | None, why: str, labels: Mapping[str, str]) -> Listing:
    """The nodes that carry all of these labels.  ``why`` they are not known, if ``nodes`` is None."""
    if nodes is None:
        return Listing(why=why)
    found = {one.name for one in display_nodes(nodes, labels)}
    return Listing(tuple(sorted((_node(one) for one in nodes if called(one) in found), key=lambda one: one.name)))


def _node(node: Object) -> NodeFacts:
    labels = dig(node, "metadata", "labels")
    carried = {str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}
    return NodeFacts(
        called(node), text(carried, HOSTNAME), condition(node, "Ready").get("status") == "True", carried
    )  # fmt: skip


def seatings(wall: WallFacts, found: Listing, before: Mapping[str, str] | None = None) -> Seatings:
    """Who sits where (see ``seats.in_cluster``); nobody, for a wall that would be shown by every node."""
    if wall.labels:
        return in_cluster(wall, found, before)
    return Seatings(
        tuple(Seated(one.name, one.host, one.tiles) for one in wall.seats),
        (f"wall {wall.name} has no labels in its selector, so no node of the cluster is its own: write [selector] with "
         "labels into the wall's file",),
    )  # fmt: skip


def numbers(facts: Facts) -> dict[int, tuple[str, bool]]:
    """The numbers that objects of walls have: for which wall, and whether none of them is being deleted."""
    found = dict[int, tuple[str, bool]]()
    for one in facts.objects.values():
        if (wall := of_wall(one)) and (number := number_of(one)):
            _, whole = found.get(number, (wall, True))
            found[number] = wall, whole and not going(one)
    return found


def leaving(facts: Facts, wanted: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Walls that are not wanted and of which something is left: for each the nodes that do not answer and so keep it.

    It is read from the cluster alone, so that whoever comes after this control plane knows it too.
    """
    parts: dict[str, set[str]] = {}
    for one in facts.objects.values():
        if (wall := of_wall(one)) and wall not in (ALL_WALLS, *wanted):
            parts.setdefault(wall, set()).add(wall_part(number_of(one)))
    down = {called(node) for node in facts.nodes or () if condition(node, "Ready").get("status") != "True"}
    there = [(text(pod, "metadata", "labels", PART_LABEL), text(pod, "spec", "nodeName")) for pod in facts.of("Pod")]
    return {
        wall: tuple(sorted({node for part, node in there if part in its and node in down}))
        for wall, its in sorted(parts.items())
    }  # fmt: skip


def kept_by(wall: str, nodes: Sequence[str]) -> str:
    """What is said of a wall that nodes which do not answer keep something of."""
    return (
        f"what showed the run on wall {wall} is left on {', '.join(nodes)}, which do{'es' * (len(nodes) == 1)} not "
        "answer: it goes when the node is back; of one that will not come back, delete the node (kubectl delete node)"
    )


def conductor_state(facts: Facts, number: int) -> PartState:
    """How the conductor of a wall is."""
    pods = _pods(facts, conductor_part(number))
    return _state(pods[-1]) if pods else "starting"


def tile_states(facts: Facts, number: int, seats: Seatings) -> dict[str, PartState]:
    """How the tiles are, by their seats.  Of a node that is lost nothing is said: its seat says it."""
    here = {text(pod, "spec", "nodeName"): _state(pod) for pod in _pods(facts, wall_part(number))}
    return {
        one.seat: here.get(one.node, "starting") for one in seats.seats if one.node and one.state != "not ready"
    }  # fmt: skip


def _pods(facts: Facts, part: str) -> list[Object]:
    """The pods of a part, the newest last."""
    pods = [pod for pod in facts.of("Pod") if text(pod, "metadata", "labels", PART_LABEL) == part and not going(pod)]
    return sorted(pods, key=lambda pod: (text(pod, "metadata", "creationTimestamp"), called(pod)))


def _state(pod: Object) -> PartState:
    if ready(pod) and text(pod, "status", "phase") == "Running":
        return "running"
    restarts = [one.get("restartCount") for one in items(pod, "status", "containerStatuses")]
    return "again" if any(restarts) or text(pod, "status", "phase") in ("Succeeded", "Failed") else "starting"
