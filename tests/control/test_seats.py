"""Who sits where, on this machine and in a cluster, and how a wall stands: pure decisions."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest

from streamer.control.cluster.plan import Pod
from streamer.control.onwall import MOST_DARK, PartState, standing
from streamer.control.seats import MOST_AT_HOME, Listing, NodeFacts, at_home, in_cluster, is_called, wall_plan
from streamer.control.this_machine import ThisMachine
from streamer.wire.conducting import Spread, WallNews
from streamer.wire.walls import SeatFacts, TileFacts, WallFacts

NAMES = ("box", "localhost", "127.0.0.1")


def facts(*hosts: str, labels: dict[str, str] | None = None, tiles: int = 2) -> WallFacts:
    """A wall with a node for each host, and so many tiles on each."""
    seats = tuple(
        SeatFacts(f"n{i}", host, tuple(f"t{i}{j}" for j in range(tiles))) for i, host in enumerate(hosts)
    )  # fmt: skip
    outputs = tuple(
        TileFacts(name, name, seat.name, "", (0, 0), (16, 16), "mono") for seat in seats for name in seat.tiles
    )
    return WallFacts(
        name="w", title="", size_mm=(1, 1, 0), screens=len(outputs), megapixels=0.1, fov_deg=(1, 1), seats=seats,
        tiles=outputs, labels=labels or {}, expected_nodes=len(seats), tolerations=("a=b",),
    )  # fmt: skip


def news(*stale: str, frames: int = 9) -> WallNews:
    times = Spread(5, 0.1, 0.2, 0.3)
    return WallNews(frames, 2.0, 44, stale, 0, times, times, Spread(), times)


def test_at_home_are_nodes_without_a_host_and_those_of_this_machine() -> None:
    found = at_home(facts("", "box", "box.lab.edu", "LOCALHOST", "other", "10.0.0.1"), "box", NAMES)
    assert [seat.state for seat in found.seats] == ["ready"] * 4 + ["missing"] * 2
    assert [seat.node for seat in found.seats] == ["box"] * 4 + [""] * 2
    (sentence,) = found.sentences
    assert "n4 (host other), n5 (host 10.0.0.1) of wall w: not this machine, box" in sentence
    assert at_home(facts("", ""), "box", NAMES).sentences == ()


def test_a_number_is_no_name_and_a_first_part_is_enough() -> None:
    assert is_called("box.elsewhere", NAMES)
    assert not is_called("127.0.0.2", NAMES)
    assert not is_called("::2", NAMES)
    assert not is_called("bo", NAMES)


def test_one_machine_does_not_drive_a_hall() -> None:
    found = at_home(facts(*[""] * (MOST_AT_HOME + 3)), "box", NAMES)
    assert len(found.taken) == MOST_AT_HOME
    assert "n16, n17, n18 of wall w: this machine shows 16 nodes of a wall at most" in found.sentences[0]


def test_this_machine_is_asked_by_its_own_name() -> None:
    here = ThisMachine()
    wall = facts(socket.gethostname(), "elsewhere.example")
    listing = asyncio.run(here.nodes({"any": "label"}))
    assert [node.name for node in listing.nodes] == [socket.gethostname()]
    assert here.seats(wall, listing).taken == ("n0",)


def test_in_a_cluster_each_node_has_one_seat_and_keeps_it() -> None:
    wall = facts("", "", labels={"zone": "cave"})
    nodes = Listing((NodeFacts("b", "b", ready=False), NodeFacts("a", "a")))
    found = in_cluster(wall, nodes)
    assert [(seat.node, seat.state) for seat in found.seats] == [("a", "ready"), ("b", "not ready")]
    assert found.sentences == ("b of wall w: not ready, so dark until the node is: kubectl describe node",)
    kept = in_cluster(wall, nodes, {"a": "n1"})
    assert [seat.node for seat in kept.seats] == ["b", "a"]
    one = in_cluster(wall, Listing(nodes.nodes[1:]))
    assert [seat.state for seat in one.seats] == ["ready", "missing"]
    assert "expects 2 nodes and 1 were found; dark: n1" in one.sentences[0]


def test_where_nodes_may_not_be_listed_hosts_are_taken_for_names() -> None:
    found = in_cluster(facts("x", "", labels={"zone": "cave"}), Listing(why="nodes may not be listed: ask for it"))
    assert [(seat.node, seat.state) for seat in found.seats] == [("x", "unknown"), ("", "missing")]
    assert found.sentences[0] == "nodes may not be listed: ask for it"
    assert "so nothing can be shown on n1" in found.sentences[1]


def test_a_wall_becomes_a_plan_for_a_cluster() -> None:
    wall = facts("x", labels={"zone": "cave"})
    plan = wall_plan(wall, "name = 'w'", Pod(image="i"), Pod(image="c"), screen="none", deadline_ms=9.0)
    assert (plan.name, plan.selector, plan.tolerations, plan.expected) == ("w", {"zone": "cave"}, ("a=b",), 1)
    assert [(seat.name, seat.host) for seat in plan.seats] == [("n0", "x")]


@pytest.mark.parametrize(
    ("conductor", "states", "said", "state", "words"),
    [
        ("starting", ("starting", "starting"), None, "starting", ""),
        ("ended", ("running", "running"), None, "dark", "the conductor of wall w was given up"),
        ("running", ("running", "running"), news(), "showing", ""),
        ("running", ("running", "ended"), news("t10", "t11"), "partly", "t10, t11 of wall w (node n1): dark, since"),
        ("running", ("running", "starting"), news("t10", "t11"), "partly", "dark until its process is there"),
        ("running", ("running", "again"), news(), "partly", "(node n1): dark, since its process ended"),
        ("running", ("again", "again"), news(frames=0), "dark", "the run's logs say why it ended"),
        ("again", ("running", "running"), news(), "starting", ""),
        ("running", ("running", "running"), news("t10"), "partly", "not as far as the wall"),
        ("running", ("running", "running"), news("t00", "t01", "t10", "t11", frames=0), "starting", ""),
        ("running", ("ended", "ended"), news("t00", "t01", "t10", "t11"), "dark", "given up"),
    ],
)  # fmt: skip
def test_how_a_wall_stands(
    conductor: PartState, states: tuple[PartState, PartState], said: WallNews | None, state: str, words: str
) -> None:
    found = standing(
        facts("", ""), ("a node is missing",), conductor, dict(zip(("n0", "n1"), states, strict=True)), said
    )
    assert found.state == state
    assert found.sentences[0] == "a node is missing"
    assert words in " ".join(found.sentences)
    times = found.skew_s, found.chunk_to_show_s, found.draw_to_show_s
    assert times == ((0.2, 0.2, 0.2) if said is not None and conductor == "running" else (None, None, None))
    assert found.sensor_to_show_s is None, "no tracker has measured anything"


def test_the_names_of_dark_tiles_are_bounded() -> None:
    wall = facts("", tiles=MOST_DARK + 10)
    found = standing(wall, (), "starting", {}, None)
    assert (len(found.dark), found.tiles) == (MOST_DARK, MOST_DARK + 10)
    every = msgspec.structs.replace(news(), stale=tuple(tile.name for tile in wall.tiles))
    assert len(standing(wall, (), "running", {"n0": "running"}, every).dark) == MOST_DARK
