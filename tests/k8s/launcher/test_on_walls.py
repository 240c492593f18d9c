"""Runs of a cluster on walls: on the nodes that a wall's labels name and nowhere else, hung, taken off, and tried."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.control.parts import ended, start, volume
from tests.control.wall_files import DEADLINE_MS, detail, eventually, on, put, showing, wall
from tests.k8s.launcher.world import NAMESPACE, Killed, World, serving, state, until
from tests.k8s.server.kinds import BY_RESOURCE

ZONE = {"zone": "cave"}
TAINT = {"key": "reserved", "value": "cave", "effect": "NoSchedule"}
SELECTOR = '[selector]\nlabels = { zone = "cave" }\ntolerations = ["reserved=cave"]\n'
OF_WALL = (
    "daemonsets.apps wall-1", "deployments.apps conductor-1", "services conductor-1", "configmaps file-1",
    "configmaps seats-1", "networkpolicies.networking.k8s.io netconductor", "networkpolicies.networking.k8s.io nettile",
    "networkpolicies.networking.k8s.io netwallfeed",
)  # fmt: skip
SITE = {"more": '[wall]\nscreen = "none"\n'}


@contextmanager
def cave(world: World, nodes: int = 2, **site: Any) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """A control plane whose cluster has display nodes that are kept for a wall of two."""
    for number in range(1, nodes + 1):
        world.cluster.add_node(f"cave-{number}", ZONE, taints=[TAINT])
    with serving(world, world.site(**{**SITE, **site}), CAVECAST_WALL_DEADLINE_MS=DEADLINE_MS) as (client, process):
        put(client, wall("cave", more=SELECTOR))
        yield client, process


def begin(world: World, client: httpx.Client, *walls: str, **more: Any) -> str:
    source = volume(world.folder / "a.npy")
    asked = {"input": str(source), "threshold": 0.6, "chunk": [8, 12, 12], "workers": 1, "view": False, "pace_s": 60}
    run_id: str = start(client, **{**asked, "walls": walls, **more})["run_id"]
    return run_id


def on_nodes(world: World) -> list[str]:
    """The nodes of all tiles."""
    return sorted(
        pod["spec"].get("nodeName", "") for pod in world.cluster.every("pods", NAMESPACE)
        if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "tile"
    )  # fmt: skip


def tile_pods(world: World) -> dict[str, tuple[str, int]]:
    """The tiles' pods by their nodes: which they are, and how often they were started again."""
    return {
        pod["spec"]["nodeName"]: (
            pod["metadata"]["uid"], sum(one["restartCount"] for one in pod["status"].get("containerStatuses", ())),
        ) for pod in world.cluster.every("pods", NAMESPACE)
        if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "tile"
    }  # fmt: skip


def relabel(world: World, node: str, labels: dict[str, str]) -> None:
    """An administrator gives a node other labels."""
    with world.cluster.lock:
        found = world.cluster.get("nodes", "", node)
        assert found is not None
        found["metadata"]["labels"] |= labels
        world.cluster.keep(BY_RESOURCE["nodes"], found)


def take_off(client: httpx.Client, run_id: str, name: str) -> dict[str, Any]:
    """The run, once it was taken off a wall and nothing of that is left: at once, unless the machine is busy."""
    took = client.delete(f"/api/v1/runs/{run_id}/walls/{name}")
    assert took.status_code in (200, 202), took.text
    run = eventually(client, run_id, lambda run: name not in run["leaving"], "nothing is left")
    assert took.status_code == 202 or took.json()["leaving"] == []
    return run


def shown(world: World, run_id: str) -> dict[str, str]:
    """The DaemonSets of a run by the walls that they are for, with their uids."""
    return {
        one["metadata"]["annotations"]["cavecast/wall"]: one["metadata"]["uid"]
        for one in world.cluster.every("daemonsets.apps", NAMESPACE) if run_id in one["metadata"]["name"]
    }  # fmt: skip


def of_wall(world: World, run_id: str) -> set[str]:
    """What there is of the run's first wall, with short names."""
    every = {one.replace(f"cc-{run_id}-", "") for one in world.objects()}
    return every & set(OF_WALL)


def test_a_run_is_shown_on_the_nodes_that_the_walls_labels_name_and_nowhere_else(lab: World) -> None:
    with cave(lab) as (client, _):
        there = client.get("/api/v1/walls/cave").json()
        assert [(one["node"], one["state"]) for one in there["seats"]] == [("cave-1", "ready"), ("cave-2", "ready")]
        run_id = begin(lab, client, "cave")
        shown = showing(client, run_id, "cave")
        assert (shown["tiles"], shown["dark"], shown["sentences"]) == (2, [], [])
        assert shown["frames"] > 0
        assert on_nodes(lab) == ["cave-1", "cave-2"]
        parts = {one["name"]: one["state"] for one in state(client, run_id)["parts"]}
        expected = {"conductor:cave", "tile:cave:cave-1", "tile:cave:cave-2"}
        assert {name: parts.get(name) for name in expected} == dict.fromkeys(expected, "running")
        view = f"/api/v1/runs/{run_id}/views/wall.cave"
        changed = client.patch(view, json={"state": {"mode": "globe"}})
        assert (changed.status_code, client.get(view).json()["state"]["mode"]) == (200, "globe"), changed.text
        made = list(yaml.safe_load_all(client.get(f"/api/v1/runs/{run_id}/manifests").text))
        assert f"cc-{run_id}-wall-1" in {one["metadata"]["name"] for one in made if one["kind"] == "DaemonSet"}
        took = take_off(client, run_id, "cave")
        assert (took["walls"], took["state"]) == ([], "running")
        assert of_wall(lab, run_id) == set()
        assert on_nodes(lab) == []
        # Nothing is shown there now, and its tiles can be tried.
        tried = client.post("/api/v1/walls/cave/identify", json={"seconds": 1})
        assert tried.status_code == 202, tried.text
        assert tried.json()["sentences"] == []
        assert on_nodes(lab) == ["cave-1", "cave-2"]
        until(lambda: not [one for one in lab.objects() if "identify" in one], "nothing of the pattern is left")


def test_a_wall_is_hung_and_taken_off_while_a_run_goes_on_and_deleting_it_leaves_nothing(shell: World) -> None:
    with cave(shell) as (client, _):
        put(client, wall("desk", more='[selector]\nlabels = { zone = "desk" }\n'))
        put(client, wall("bare"))
        run_id = begin(shell, client)
        walls = f"/api/v1/runs/{run_id}/walls"
        until(lambda: shell.get("daemonsets.apps", run_id, "wall-1") is None and shell.objects("jobs.batch"), "it runs")
        for _ in range(2):  # nobody takes that for somebody else's deleting it
            client.post(walls, json={"walls": ["cave"]}).raise_for_status()
            until(lambda: on_nodes(shell) == ["cave-1", "cave-2"], "it is shown there")
            assert of_wall(shell, run_id) == set(OF_WALL)
            take_off(client, run_id, "cave")
            assert (of_wall(shell, run_id), on_nodes(shell)) == (set(), [])
        client.post(walls, json={"walls": ["cave", "desk", "bare"]}).raise_for_status()
        run = eventually(client, run_id, lambda run: on(run, "desk")["sentences"], "of the desk something is said")
        assert on(run, "desk")["sentences"] == [
            "wall desk expects 2 nodes and 0 were found; dark: p-0-0, p-0-1: look for nodes that are down or lack the "
            "labels zone=desk"
        ]
        (why,) = on(run, "bare")["sentences"]
        assert why.startswith(f"run {run_id} cannot be shown on wall bare: wall bare has no labels in its selector")
        until(lambda: shell.get("daemonsets.apps", run_id, "wall-2"), "the desk has its objects too")
        assert shell.must("configmaps", run_id, "seats-1")["data"] == {"cave-1": "p-0-0", "cave-2": "p-0-1"}
        take_off(client, run_id, "cave")
        assert shell.get("daemonsets.apps", run_id, "wall-2") is not None, "the other one stays as it is"
        assert shell.get("networkpolicies.networking.k8s.io", run_id, "nettile") is not None
        assert state(client, run_id)["state"] == "starting"
        client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
        until(lambda: shell.objects("pods", "daemonsets.apps") == [], "no process is left")
        assert client.get("/api/v1/walls/desk").json()["busy"] is False
        client.delete(f"/api/v1/runs/{run_id}").raise_for_status()
        until(lambda: shell.objects() == [], "nothing is left")


def test_what_is_wrong_with_a_walls_nodes_is_said_once_on_the_run(shell: World) -> None:
    with cave(shell, nodes=1) as (client, _):
        run_id = begin(shell, client, "cave")
        missing = eventually(client, run_id, lambda run: on(run, "cave")["sentences"], "a node is missing")
        assert on(missing, "cave")["sentences"] == [
            "wall cave expects 2 nodes and 1 were found; dark: p-0-1: look for nodes that are down or lack the labels "
            "zone=cave"
        ]
        until(lambda: on_nodes(shell) == ["cave-1"], "it is shown where it can be")
        shell.cluster.add_node("cave-0", ZONE, taints=[TAINT])
        until(lambda: on_nodes(shell) == ["cave-0", "cave-1"], "the node that comes is used")
        eventually(client, run_id, lambda run: not on(run, "cave")["sentences"], "and nothing is missing")
        seats = {"cave-1": "p-0-0", "cave-0": "p-0-1"}
        until(lambda: shell.must("configmaps", run_id, "seats-1")["data"] == seats, "nobody moves")
        shell.cluster.lose_node("cave-0")
        shell.machines.pass_time(60)
        lost = eventually(client, run_id, lambda run: on(run, "cave")["sentences"], "a node is lost")
        assert on(lost, "cave")["sentences"] == [
            "cave-0 of wall cave: not ready, so dark until the node is: kubectl describe node"
        ]
        assert shell.must("configmaps", run_id, "seats-1")["data"] == seats
        shell.cluster.return_node("cave-0")
        eventually(client, run_id, lambda run: not on(run, "cave")["sentences"], "it is back")


def test_two_nodes_that_claim_one_tile_are_named_and_the_run_recovers_when_the_label_is_mended(shell: World) -> None:
    hosts = "".join(f'[[nodes]]\nname = "p-0-{i}"\nhost = "cave-{i + 1}"\n' for i in range(2))
    with cave(shell) as (client, _):
        put(client, wall("named", more=SELECTOR + hosts))
        run_id = begin(shell, client, "named")
        until(lambda: on_nodes(shell) == ["cave-1", "cave-2"], "it is shown there")
        pods = tile_pods(shell)
        seats = {"cave-1": "p-0-0", "cave-2": "p-0-1"}
        until(lambda: shell.must("configmaps", run_id, "seats-1")["data"] == seats, "they are seated")
        eventually(client, run_id, lambda run: not on(run, "named")["sentences"], "all is well")
        # A spare whose name comes first is put into the zone, with the label of the node that it is to replace.
        shell.cluster.add_node("a-spare", {**ZONE, "kubernetes.io/hostname": "cave-1"}, taints=[TAINT])
        run = eventually(client, run_id, lambda run: on(run, "named")["sentences"], "it is said")
        words = (
            "cave-1 and a-spare both claim p-0-0 of wall named, whose file calls its host cave-1: only cave-1 shows "
            "it; write that node's whole name into the wall's file, or take the wall's labels or a wrong label "
            "kubernetes.io/hostname from the other"
        )
        assert on(run, "named")["sentences"] == [words]
        assert client.get("/api/v1/walls/named").json()["sentences"] == [words]
        assert run["state"] == "starting", "a wall never fails its run"
        relabel(shell, "a-spare", {"kubernetes.io/hostname": "a-spare"})
        run = eventually(client, run_id, lambda run: words not in on(run, "named")["sentences"], "it is mended")
        (left,) = on(run, "named")["sentences"]
        assert left.startswith("wall named has no tile for a-spare, though its labels are there")
        relabel(shell, "a-spare", {"zone": "desk"})
        eventually(client, run_id, lambda run: not on(run, "named")["sentences"], "all is well again")
        assert shell.must("configmaps", run_id, "seats-1")["data"] == seats
        assert tile_pods(shell) == pods, "nobody was started again or anywhere else"


def test_a_node_with_the_walls_labels_and_no_tile_has_no_pod_and_no_picture_blinks_for_those_that_come(
    shell: World,
) -> None:
    with cave(shell) as (client, _):
        run_id = begin(shell, client, "cave")
        until(lambda: on_nodes(shell) == ["cave-1", "cave-2"], "it is shown there")
        pods = tile_pods(shell)
        shell.cluster.add_node("cave-0", ZONE, taints=[TAINT])
        run = eventually(client, run_id, lambda run: on(run, "cave")["sentences"], "it is said")
        assert on(run, "cave")["sentences"][0].startswith("wall cave has no tile for cave-0, though its labels are")
        assert tile_pods(shell) == pods
        shell.cluster.remove_node("cave-2")
        until(lambda: on_nodes(shell) == ["cave-0", "cave-1"], "it takes the seat of one that is not there any more")
        assert tile_pods(shell)["cave-1"] == pods["cave-1"], "the other one goes on"
        until(lambda: shell.must("configmaps", run_id, "seats-1")["data"] == {"cave-1": "p-0-0", "cave-0": "p-0-1"},
              "and finds what it is to show")  # fmt: skip
        shell.cluster.add_node("cave-3", ZONE, taints=[TAINT])
        take_off(client, run_id, "cave")
        assert on_nodes(shell) == []


def test_a_test_pattern_is_shown_by_those_nodes_alone_that_have_tiles(lab: World) -> None:
    with cave(lab, nodes=3) as (client, _):
        tried = client.post("/api/v1/walls/cave/identify", json={"seconds": 1})
        assert tried.status_code == 202, tried.text
        assert on_nodes(lab) == ["cave-1", "cave-2"]
        assert tried.json()["sentences"][0].startswith("wall cave has no tile for cave-3")
        until(lambda: not [one for one in lab.objects() if "identify" in one], "nothing of the pattern is left")


def test_a_run_outside_the_walls_namespace_is_refused_and_takes_no_wall_from_others(shell: World) -> None:
    shell.cluster.namespace("walls")
    more = '[wall]\nscreen = "none"\nnamespace = "walls"\n'
    with cave(shell, more=more) as (client, _):
        put(client, wall("other", more=SELECTOR))
        first, second = begin(shell, client), begin(shell, client, "other")
        ask = {"walls": ["cave"]}
        refused = detail(client.post(f"/api/v1/runs/{first}/walls", json=ask), 409)
        assert refused == (
            f"run {first} cannot be shown on wall cave: the run is in namespace {NAMESPACE}, and walls are shown in "
            "walls, which lets tiles use X servers: start the run (or a clone of it) with the wall"
        )
        assert state(client, first)["walls"] == []
        assert client.get("/api/v1/walls/cave").json()["busy"] is False
        take = {"walls": ["other"], "take": True}
        detail(client.post(f"/api/v1/runs/{first}/walls", json=take), 409)
        assert [one["name"] for one in state(client, second)["walls"]] == ["other"], "nothing was taken from it in vain"
        client.post(f"/api/v1/runs/{second}/walls", json=ask).raise_for_status()
        until(lambda: shell.cluster.pods("walls", cavecast__part="wall-2"), "it is shown on both")


def test_a_run_that_waits_for_room_begins_where_walls_are_if_it_was_hung_meanwhile(shell: World) -> None:
    shell.cluster.namespace("walls")
    shell.cluster.add_node("cave-1", ZONE, taints=[TAINT])
    site = shell.site(more='[wall]\nscreen = "none"\nnamespace = "walls"\n')
    with serving(shell, site, CAVECAST_MAX_RUNS="1") as (client, _):
        put(client, wall("cave", more=SELECTOR))
        first, waits = begin(shell, client), begin(shell, client)
        assert state(client, waits)["state"] == "queued"
        client.post(f"/api/v1/runs/{waits}/walls", json={"walls": ["cave"]}).raise_for_status()
        client.post(f"/api/v1/runs/{first}/cancel").raise_for_status()
        until(lambda: shell.cluster.pods("walls", cavecast__part="wall-1"), "it is shown")
        assert shell.cluster.pods("walls", cavecast__part="workers"), "the run is there as well"


def test_a_wall_is_taken_off_at_once_though_a_node_is_lost_and_the_next_control_plane_sees_to_the_rest(
    shell: World,
) -> None:
    for number in (1, 2):
        shell.cluster.add_node(f"cave-{number}", ZONE, taints=[TAINT])
    # Nobody would wait so long: the answer must not depend on it.
    site = shell.site(more='grace_s = 100_000\n[wall]\nscreen = "none"\n')
    first = Killed(shell, site)
    first.leads()
    put(first.client, wall("cave", more=SELECTOR))
    run_id = begin(shell, first.client, "cave")
    until(lambda: on_nodes(shell) == ["cave-1", "cave-2"], "it is shown there")
    shell.cluster.lose_node("cave-2")
    shell.machines.pass_time(60)
    eventually(first.client, run_id, lambda run: on(run, "cave")["sentences"], "the node is known to be lost")
    took = first.client.delete(f"/api/v1/runs/{run_id}/walls/cave")
    assert (took.status_code, took.json()["walls"], took.json()["leaving"]) == (202, [], ["cave"]), took.text
    said = (
        "what showed the run on wall cave is left on cave-2, which does not answer: it goes when the node is back; of "
        "one that will not come back, delete the node (kubectl delete node)"
    )
    eventually(first.client, run_id, lambda run: said in run["remarks"], "it is said, with what to do")
    assert first.client.get("/api/v1/walls/cave").json()["busy"] is False
    detail(first.client.delete(f"/api/v1/runs/{run_id}/walls/cave"), 404)
    first.kill()
    with serving(shell, site) as (client, _):
        eventually(client, run_id, lambda run: run["leaving"] == ["cave"] and said in run["remarks"], "it knows it too")
        assert on_nodes(shell) == ["cave-2"]
        # The wall is free, and is shown where that is possible.
        client.post(f"/api/v1/runs/{run_id}/walls", json={"walls": ["cave"]}).raise_for_status()
        until(lambda: "cave-1" in on_nodes(shell), "it is shown again")
        client.delete(f"/api/v1/runs/{run_id}/walls/cave").raise_for_status()
        shell.cluster.return_node("cave-2")
        eventually(client, run_id, lambda run: not run["leaving"] and said not in run["remarks"], "all of it is gone")
        assert of_wall(shell, run_id) == set()
        assert on_nodes(shell) == []


@pytest.mark.long
def test_what_the_cluster_refuses_of_a_wall_is_a_remark_and_the_run_goes_on(shell: World) -> None:
    with cave(shell) as (client, _):
        run_id = begin(shell, client)
        taken = {"name": f"cc-{run_id}-conductor-1", "namespace": NAMESPACE}
        shell.cluster.create({
            "apiVersion": "v1", "kind": "Service", "metadata": taken,
            "spec": {"selector": {"a": "b"}, "ports": [{"name": "x", "port": 1}]},
        })  # fmt: skip
        walls = f"/api/v1/runs/{run_id}/walls"
        client.post(walls, json={"walls": ["cave"]}).raise_for_status()
        words = f"Service cc-{run_id}-conductor-1 is there already and belongs to nobody that CaveCast knows"

        def said() -> bool:
            return any(words in one for one in state(client, run_id)["remarks"])

        until(said, "it is said")
        assert state(client, run_id)["state"] == "starting"
        client.delete(f"{walls}/cave").raise_for_status()
        assert shell.get("services", run_id, "conductor-1") is not None, "it is somebody else's"
        until(lambda: not said(), "it is said no more")
        assert shell.get("daemonsets.apps", run_id, "wall-1") is None


def test_a_change_of_a_wall_that_is_refused_is_a_remark_for_as_long_as_it_is_due(shell: World) -> None:
    with cave(shell, nodes=1) as (client, _):
        run_id = begin(shell, client, "cave")
        until(lambda: on_nodes(shell) == ["cave-1"], "it is shown where it can be")

        def fixed(immutable: bool) -> None:
            """An administrator forbids to change who sits where, or allows it again."""
            with shell.cluster.lock:
                seats = shell.must("configmaps", run_id, "seats-1")
                shell.cluster.keep(BY_RESOURCE["configmaps"], {**seats, "immutable": immutable})

        def said() -> list[str]:
            return [one for one in state(client, run_id)["remarks"] if "field is immutable" in one]

        fixed(True)
        shell.cluster.add_node("cave-2", ZONE, taints=[TAINT])
        until(said, "it is said")
        assert state(client, run_id)["state"] == "starting", "a wall fails no run"
        shell.cluster.remove_node("cave-2")  # then nobody asks for the change any more
        until(lambda: not said(), "it is said no more")
        shell.cluster.add_node("cave-2", ZONE, taints=[TAINT])
        until(said, "it is said again")
        fixed(False)
        until(lambda: on_nodes(shell) == ["cave-1", "cave-2"], "it is shown on both")
        until(lambda: not said(), "it is said no more")
        assert state(client, run_id)["state"] == "starting"


@pytest.mark.long
def test_a_run_that_is_over_is_shown_too_also_when_it_has_to_be_served_again(lab: World) -> None:
    with cave(lab) as (client, _):
        run_id = begin(lab, client, pace_s=0, relays=[{"name": "far"}], behind="far", view=True)
        assert ended(client, run_id)["state"] == "complete"
        walls = f"/api/v1/runs/{run_id}/walls"
        for _ in range(2):
            client.post(walls, json={"walls": ["cave"]}).raise_for_status()
            assert showing(client, run_id, "cave")["position"] > 0
            client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()  # its processes are not needed any more
            until(lambda: lab.objects("pods") == [], "no process is left")
            assert of_wall(lab, run_id) == set()
            assert client.get("/api/v1/walls/cave").json()["busy"] is False
        client.delete(f"/api/v1/runs/{run_id}").raise_for_status()
        until(lambda: lab.objects() == [], "nothing is left")


@pytest.mark.long
def test_the_next_control_plane_knows_what_is_shown_and_clears_what_is_not_to_be(shell: World) -> None:
    for number in (1, 2):
        shell.cluster.add_node(f"cave-{number}", ZONE, taints=[TAINT])
    site = shell.site(**SITE)
    first = Killed(shell, site)
    first.leads()
    for name in ("left", "cave"):
        put(first.client, wall(name, more=SELECTOR))
    run_id = begin(shell, first.client, "left", "cave")
    until(lambda: len(on_nodes(shell)) == 4, "both are shown")
    before = shown(shell, run_id)
    with shell.line.silent():  # what is wanted is written down, and the cluster does not hear of it
        with pytest.raises(httpx.TimeoutException):
            first.client.delete(f"/api/v1/runs/{run_id}/walls/left", timeout=2)
        first.kill()
    with serving(shell, site) as (client, _):
        until(lambda: list(shown(shell, run_id)) == ["cave"], "the one is cleared")
        until(lambda: on_nodes(shell) == ["cave-1", "cave-2"], "the other is not")
        assert shown(shell, run_id) == {"cave": before["cave"]}
        assert [one["name"] for one in state(client, run_id)["walls"]] == ["cave"]
        client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
        client.delete(f"/api/v1/runs/{run_id}").raise_for_status()
        until(lambda: shell.objects() == [], "nothing is left")


@pytest.mark.long
def test_a_pattern_that_cannot_be_shown_is_refused_in_a_sentence_and_leaves_nothing(shell: World) -> None:
    with cave(shell, nodes=0) as (client, _):
        put(client, wall("bare"))
        for name, words in (("cave", "expects 2 nodes and 0 were found"), ("bare", "has no labels in its selector")):
            answer = client.post(f"/api/v1/walls/{name}/identify", json={"seconds": 1})
            assert words in detail(answer, 409)
        assert shell.objects() == []
    site = Path(shell.site("missing", **SITE))
    text = site.read_text().replace("cavecast-renderer:test", "does-not-exist:test")
    site.write_text(text)
    shell.cluster.add_node("cave-1", ZONE, taints=[TAINT])
    with serving(shell, site, CAVECAST_READY_S="3") as (client, _):
        said = detail(client.post("/api/v1/walls/cave/identify", json={"seconds": 1}), 503)
        assert said.startswith("the test pattern cannot be shown on wall cave: ")
        assert "cannot get the image registry.example.org/does-not-exist:test" in said
        until(lambda: shell.objects() == [], "nothing is left")
