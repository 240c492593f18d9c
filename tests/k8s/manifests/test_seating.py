"""Which node shows which part of a wall."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streamer.control.cluster.plan import Object, Seat, WallPlan
from streamer.control.cluster.seating import DisplayNode, display_nodes, seat
from tests.k8s.manifests.plans import wall

HOSTS = st.lists(st.sampled_from(["", "", "a", "b", "c.example.org"]), min_size=1, max_size=5)
NODES = st.sets(st.sampled_from([DisplayNode(f"{name}.example.org", name) for name in "abcdef"]))


def of(hosts: list[str], expected: int = 0) -> WallPlan:
    """A wall with seats s0, s1 … on hosts."""
    seats = tuple(Seat(f"s{i}", host) for i, host in enumerate(hosts))
    return msgspec.structs.replace(wall(), seats=seats, expected_nodes=expected)


@given(HOSTS, NODES, NODES)
def test_no_tile_has_two_nodes_and_no_node_that_stays_moves(
    hosts: list[str], before: set[DisplayNode], now: set[DisplayNode]
) -> None:
    here = of(hosts)
    first = seat(here, sorted(before))
    later = seat(here, sorted(now), first.seats)
    for found, nodes in ((first, before), (later, now)):
        assert len(set(found.seats.values())) == len(found.seats)
        assert set(found.seats.values()) <= {one.name for one in here.seats}
        assert set(found.seats) <= {node.name for node in nodes}
        # Everyone who can sit does: a seat is left free only if no node is.
        free = {one.name for one in here.seats if not one.host} - set(found.seats.values())
        assert not free or len(found.seats) + len([n for n in nodes if n.name not in found.seats]) == len(nodes)
        assert not free or all(
            node.name in found.seats or any(node.is_called(one.host) for one in here.seats if one.host)
            for node in nodes
        )
    for node, place in first.seats.items():
        if node in {each.name for each in now}:
            assert later.seats[node] == place
    assert seat(here, sorted(now), first.seats) == later


@given(HOSTS, NODES)
def test_every_dark_seat_and_every_node_without_a_tile_is_told_of(hosts: list[str], nodes: set[DisplayNode]) -> None:
    here = of(hosts)
    found = seat(here, sorted(nodes))
    said = " ".join(found.sentences)
    assert (len(found.seats) < len(hosts)) == ("expects" in said)
    for node in nodes:
        assert node.name in found.seats or node.name in said
    assert seat(here, sorted(nodes, reverse=True)) == found


def test_a_wall_by_labels_is_filled_in_the_order_of_names() -> None:
    found = seat(of(["", ""]), [DisplayNode("n2"), DisplayNode("n1")])
    assert found == ({"n1": "s0", "n2": "s1"}, ())


def test_missing_nodes_are_counted_and_what_stays_dark_is_named() -> None:
    assert seat(of(["", "", ""]), [DisplayNode("n1")]).sentences == (
        "wall suncave expects 3 nodes and 1 were found; dark: s1, s2: look for nodes that are down or lack the labels "
        "topology.kubernetes.io/zone=ucsd-suncave",
    )


def test_two_nodes_that_claim_one_tile_are_both_named_and_one_shows_it() -> None:
    found = seat(of(["cave"]), [DisplayNode("cave.site-b.org"), DisplayNode("cave.site-a.org")])
    assert found.seats == {"cave.site-a.org": "s0"}
    assert found.sentences == (
        "cave.site-a.org and cave.site-b.org both claim s0 of wall suncave, whose file calls its host cave: only "
        "cave.site-a.org shows it; write that node's whole name into the wall's file, or take the wall's labels or a "
        "wrong label kubernetes.io/hostname from the other",
    )


def test_who_shows_a_tile_keeps_it_though_another_comes_to_be_called_so() -> None:
    mine, other = DisplayNode("cave.site-b.org"), DisplayNode("cave.site-a.org")
    assert seat(of(["cave"]), [other, mine], {mine.name: "s0"}).seats == {mine.name: "s0"}
    # Where nobody sat before, the node that has the name comes before the one that is only labelled so.
    assert seat(of(["cave"]), [DisplayNode("a", "cave"), DisplayNode("cave", "cave")]).seats == {"cave": "s0"}


def test_nobody_moves_when_nodes_may_not_be_listed_any_more() -> None:
    found = seat(of(["a", "", ""]), None, {"n2": "s1", "n3": "gone"})
    assert found.seats == {"a": "s0", "n2": "s1"}
    assert "nothing can be shown on s2:" in found.sentences[0]


def test_a_whole_name_is_meant_before_the_first_part_of_one() -> None:
    found = seat(of(["cave"]), [DisplayNode("cave"), DisplayNode("cave.site-b.org")])
    assert found.seats == {"cave": "s0"}
    assert "no tile for cave.site-b.org" in found.sentences[0]


def test_without_a_list_of_nodes_the_files_hosts_are_taken_and_it_is_said() -> None:
    named = seat(of(["a", "b"]), None)
    assert named.seats == {"a": "s0", "b": "s1"}
    assert named.sentences == (
        "the nodes of wall suncave may not be listed: the hosts of its file are taken for the nodes' names, and nobody "
        "can say which of them are down",
    )
    nameless = seat(of(["a", "", "a"]), None)
    assert nameless.seats == {"a": "s0"}
    assert nameless.sentences == (
        "s0 and s2 of wall suncave are both on host a: only the first is shown; give each node of the wall's file a "
        "host of its own",
        "the nodes of wall suncave may not be listed, so nothing can be shown on s1: name hosts in the wall's file, or "
        "allow the control plane to list nodes (docs/cluster.md)",
    )


def test_display_nodes_are_those_that_carry_all_labels_of_the_selector() -> None:
    zone = {"topology.kubernetes.io/zone": "ucsd-suncave"}
    nodes: list[Object] = [
        {"metadata": {"name": "n2", "labels": {**zone, "kubernetes.io/hostname": "column-2"}}},
        {"metadata": {"name": "n1", "labels": {**zone, "more": "x"}}},
        {"metadata": {"name": "n3", "labels": {"topology.kubernetes.io/zone": "elsewhere"}}},
        {"metadata": {"name": "n4", "labels": None}},
        {"metadata": None},
    ]
    assert display_nodes(nodes, zone) == [DisplayNode("n1"), DisplayNode("n2", "column-2")]


def test_a_host_that_no_node_can_be_called_is_not_looked_up_by() -> None:
    found = seat(of(["a", "b/../c"]), None)
    assert found.seats == {"a": "s0"}
    assert found.sentences[0] == "s1 of wall suncave is on host 'b/../c', which no node can be called: mend it"
