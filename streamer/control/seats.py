"""Which nodes a wall has, and which of them shows what: the question a launcher answers for the control plane.

``NodeSource`` is asked for the nodes that a wall's selector finds and says who sits where.  On this machine alone
(``at_home``) all seats whose host is this machine are its own; in a cluster (``in_cluster``) each node has one.  Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, Protocol

import msgspec

from streamer.control.cluster.plan import Pod, Seat, WallPlan
from streamer.control.cluster.seating import DisplayNode, seat
from streamer.wire.walls import SeatFacts, WallFacts

MOST_AT_HOME = 16
"""Seats that this machine shows of one wall; each is a process that draws."""


class NodeFacts(msgspec.Struct, frozen=True):
    """A node that may show a wall."""

    name: str
    host: str = ""
    ready: bool = True
    labels: dict[str, str] = {}


class Listing(msgspec.Struct, frozen=True):
    """The nodes that a selector finds."""

    nodes: tuple[NodeFacts, ...] = ()
    why: str = ""
    """Why they may not be listed, in a sentence with what to do; then ``nodes`` says nothing."""


class Seated(msgspec.Struct, frozen=True):
    """A node of a wall's file, and who sits there."""

    seat: str
    host: str
    """As the file names it; empty if it names none."""
    tiles: tuple[str, ...]
    node: str = ""
    """The node that shows it; empty: none does."""
    state: Literal["ready", "not ready", "missing", "unknown"] = "missing"
    """``unknown``: nodes may not be listed."""


class Seatings(msgspec.Struct, frozen=True):
    """All seats of a wall."""

    seats: tuple[Seated, ...]
    sentences: tuple[str, ...] = ()
    """What is missing or doubled, each with what to do."""

    @property
    def taken(self) -> tuple[str, ...]:
        """The seats that somebody has."""
        return tuple(one.seat for one in self.seats if one.node)


class NodeSource(Protocol):
    """Where nodes come from: this machine, or a cluster."""

    async def nodes(self, labels: Mapping[str, str]) -> Listing:
        """The nodes that carry all of these labels.  Raises nothing: what is in the way is said in the listing."""
        ...

    def seats(self, wall: WallFacts, found: Listing) -> Seatings:
        """Who sits where."""
        ...


class Nowhere:
    """The node source of a launcher that shows nothing on walls."""

    def __init__(self, launcher: str) -> None:
        self._why = f"the launcher {launcher} shows no runs on walls"

    async def nodes(self, labels: Mapping[str, str]) -> Listing:
        """None that can be used."""
        del labels
        return Listing(why=self._why)

    def seats(self, wall: WallFacts, found: Listing) -> Seatings:
        """Nobody sits anywhere."""
        return Seatings(tuple(Seated(one.name, one.host, one.tiles) for one in wall.seats), (found.why,))


def at_home(wall: WallFacts, node: str, names: Collection[str]) -> Seatings:
    """The seats of a machine that has these ``names``: those whose host is one of them, and those without a host."""
    seats: list[Seated] = []
    away: list[SeatFacts] = []
    crowded: list[SeatFacts] = []
    room = MOST_AT_HOME
    for one in wall.seats:
        mine = not one.host or is_called(one.host, names)
        if mine and room:
            room -= 1
            seats.append(Seated(one.name, one.host, one.tiles, node, "ready"))
            continue
        seats.append(Seated(one.name, one.host, one.tiles))
        (crowded if mine else away).append(one)
    said = []
    if away:
        said.append(
            f"{_few([f'{one.name} (host {one.host})' for one in away])} of wall {wall.name}: not this machine, {node}, "
            "and without a cluster only this one shows tiles: start cavecast serve there, or name this host in the file"
        )
    if crowded:
        said.append(
            f"{_few([one.name for one in crowded])} of wall {wall.name}: this machine shows {MOST_AT_HOME} nodes of a "
            "wall at most: name the hosts that drive them in the wall's file"
        )
    return Seatings(tuple(seats), tuple(said))


def in_cluster(wall: WallFacts, found: Listing, before: Mapping[str, str] | None = None) -> Seatings:
    """The seats of a wall in a cluster, as ``cluster.seating`` decides it; ``before``: by node, the seats so far."""
    bare = Pod(image="")
    plan = wall_plan(wall, "", bare, bare)
    nodes = None if found.why else [DisplayNode(node.name, node.host) for node in found.nodes]
    decided = seat(plan, nodes, before)
    places = {place: node for node, place in decided.seats.items()}
    ready = {node.name: node.ready for node in found.nodes}
    states: dict[bool, Literal["ready", "not ready"]] = {True: "ready", False: "not ready"}
    seats = tuple(
        Seated(
            one.name, one.host, one.tiles, places.get(one.name, ""),
            "missing" if one.name not in places else states[ready[places[one.name]]] if nodes is not None
            else "unknown",
        )
        for one in wall.seats
    )  # fmt: skip
    down = [one.node for one in seats if one.state == "not ready"]
    said = [found.why] if found.why else []
    if down:
        said.append(f"{_few(down)} of wall {wall.name}: not ready, so dark until the node is: kubectl describe node")
    return Seatings(seats, (*said, *decided.sentences))


def wall_plan(
    wall: WallFacts,
    text: str,
    pod: Pod,
    conductor: Pod,
    *,
    screen: Literal["x", "none"] = "x",
    deadline_ms: float = 250.0,
    behind: str = "",
) -> WallPlan:
    """A wall as a cluster's plan has it; ``text`` is its file."""
    return WallPlan(
        name=wall.name, text=text, seats=tuple(Seat(one.name, one.host) for one in wall.seats), pod=pod,
        conductor=conductor, selector=wall.labels, tolerations=wall.tolerations, expected_nodes=wall.expected_nodes,
        screen=screen, behind=behind, deadline_ms=deadline_ms,
    )  # fmt: skip


def is_called(host: str, names: Collection[str]) -> bool:
    """Whether a host is one of these names, whole or by the part before the first dot."""
    low, known = host.lower(), {name.lower() for name in names}
    numeric = low.replace(".", "").isdigit() or ":" in low
    return low in known or (not numeric and low.partition(".")[0] in {name.partition(".")[0] for name in known})


def _few(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
