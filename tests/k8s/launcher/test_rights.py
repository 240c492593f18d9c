"""What the chart's Role lets a control plane do is what it does, and nothing else: both ways, over a whole life."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import yaml

from streamer.control.cluster.engine import Access, Engine
from streamer.control.cluster.facts import FOLLOWED
from streamer.control.cluster.following import ClusterLine
from streamer.control.cluster.hand import Hand
from streamer.control.cluster.names import RUN_ID, labels
from streamer.control.cluster.plan import Object
from tests.control.parts import DEADLINE_S, volume
from tests.control.wall_files import on, put, wall
from tests.k8s.launcher.test_lives import begin, workers
from tests.k8s.launcher.world import NAMESPACE, World, serving, state, until
from tests.k8s.manifests.plans import everything, made
from tests.k8s.manifests.tools import called, unpacked

CHART = Path(__file__).parents[3] / "k8s" / "chart" / "cavecast"
_PATH = re.compile(
    r"/api(?:s/(?P<group>[^/]+))?/v[^/]+(?:/namespaces/(?P<space>[^/]+))?"
    r"/(?P<what>[a-z]+)(?:/(?P<name>[^/?]+))?(?:/(?P<sub>[a-z]+))?(?:\?(?P<query>.*))?"
)
VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete", "PUT": "update"}
SERVICES = ("renderers", "streamer")
WALLS, SELECTOR = '[wall]\nscreen = "none"\n', '[selector]\nlabels = { zone = "cave" }\n'
Right = tuple[str, str]
"""Verb and resource."""


def asked(request: str) -> Right:
    """What a request needs, as RBAC calls it."""
    method, path = request.split(" ", 1)
    found = _PATH.fullmatch(path)
    assert found is not None, request
    verb = VERBS.get(method) or ("watch" if "watch=" in (found["query"] or "") else "get" if found["name"] else "list")
    return verb, found["what"] + (f"/{found['sub']}" if found["sub"] else "")


def granted(roles: list[Object]) -> set[Right]:
    return {
        (verb, what)
        for role in roles
        for rule in role.get("rules", ())
        for verb in rule["verbs"]
        for what in rule["resources"]
    }


@pytest.fixture
def chart(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., list[Object]]:
    """The chart's objects, as release ``lab`` in a namespace."""
    cache = request.config.cache
    assert cache is not None
    helm = unpacked(cache.mkdir("kubectl-layer")) / "helm" / "helm"
    home = tmp_path / "home"
    home.mkdir()

    def render(namespace: str, *values: str) -> list[Object]:
        given = ("--namespace", namespace, "--set", "launcher=kubernetes", *values)
        done = called(helm, "template", "lab", CHART, *given, home=home)
        assert done.returncode == 0, done.stderr
        return [one for one in yaml.safe_load_all(done.stdout) if one]

    return render


def of_roles(things: list[Object], namespace: str) -> list[Object]:
    """All that has to do with rights, each in a namespace as helm has it there."""
    found = [one for one in things if "Role" in one["kind"]]
    for one in found:
        if not one["kind"].startswith("Cluster"):
            one["metadata"].setdefault("namespace", namespace)
    return found


@pytest.fixture
def roles(chart: Callable[..., list[Object]]) -> list[Object]:
    """The chart's roles for one namespace."""
    return of_roles(chart(NAMESPACE), NAMESPACE)


def test_the_charts_role_is_enough_and_all_of_it_is_used(shell: World, roles: list[Object]) -> None:
    for one in roles:
        shell.cluster.create(one)
    token = shell.cluster.account_token(NAMESPACE, "lab-cavecast")
    site = shell.site(installation="lab-cavecast", orphans_s=8, more=WALLS)
    source = volume(shell.folder / "a.npy")
    shell.cluster.create({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "me", "namespace": NAMESPACE},
        "spec": {"containers": [{"name": "control", "image": "x"}]},
    })  # fmt: skip
    shell.cluster.requests.clear()
    with serving(shell, site, token=token, POD_NAME="me", POD_NAMESPACE=NAMESPACE) as (client, _):
        until(lambda: (shell.cluster.get("pods", NAMESPACE, "me") or {})["metadata"].get("labels"), "it is marked")
        put(client, wall("cave", more=SELECTOR))
        run_id = begin(client, source, view=True, walls=["cave"])
        until(lambda: shell.get("daemonsets.apps", run_id, "wall-1"), "it is shown")
        shell.cluster.add_node("cave-1", {"zone": "cave"})
        until(lambda: shell.cluster.pods(NAMESPACE, cavecast__part="wall-1"), "it is shown on the node that came")
        client.delete(f"/api/v1/runs/{run_id}/walls/cave").raise_for_status()
        until(lambda: not state(client, run_id)["leaving"], "nothing of it is left")
        assert shell.objects("daemonsets.apps", "services") == [f"services cc-{run_id}-{one}" for one in SERVICES]
        until(lambda: len(workers(shell, run_id)) == 2, "both run")
        client.post(f"/api/v1/runs/{run_id}/scale", json={"workers": 1}).raise_for_status()
        until(lambda: len(workers(shell, run_id)) == 1, "one runs")
        until(lambda: state(client, run_id)["parts"], "it is shown")
        client.get(f"/api/v1/runs/{run_id}/logs").raise_for_status()
        client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
        client.delete(f"/api/v1/runs/{run_id}").raise_for_status()
        until(lambda: shell.objects() == [], "nothing is left")
        asyncio.run(_everything(shell, token))
        # Objects that their root was taken from are removed, whatever they are.
        # Secrets are not followed, so one that has lost its root stays.
        until(lambda: _left(shell) == [], lambda: f"what nobody owns is removed: {_left(shell)}", 2 * DEADLINE_S)
    used = {asked(one) for one in shell.cluster.requests if "/authorization" not in one}
    # What the server asks for behind the request has no request of its own.
    assert used | {("update", "configmaps/finalizers")} >= granted(roles), granted(roles) - used
    assert used <= granted(roles), used - granted(roles)


def test_with_a_site_of_ones_own_it_leads_by_the_lease_that_the_chart_gives_it(
    shell: World, chart: Callable[..., list[Object]]
) -> None:
    """The site names no Lease, and would have it under the installation's name where the runs are."""
    site = shell.site()
    whole = f"cluster.site={json.dumps(site.read_text())}"
    things = chart("control", "--set-json", whole, "--set", f"cluster.namespaces={{{NAMESPACE}}}")
    shell.cluster.namespace("control")
    for one in of_roles(things, "control"):
        shell.cluster.create(one)
    token = shell.cluster.account_token("control", "lab-cavecast")
    (deployment,) = [one for one in things if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one["value"] for one in container["env"] if one["name"].endswith(("_LEASE", "_NAMESPACES"))}
    with serving(shell, site, token=token, **given) as (client, _):
        assert client.get("/api/v1/runs").status_code == 200
        assert shell.cluster.get("leases.coordination.k8s.io", "control", "lab-cavecast") is not None
        run_id = begin(client, volume(shell.folder / "a.npy"))
        until(lambda: len(workers(shell, run_id)) == 2, "both run")


def _left(shell: World) -> list[str]:
    return [one for one in shell.objects() if not one.startswith("secrets ")]


def test_where_nodes_may_not_be_listed_a_wall_is_shown_on_the_hosts_of_its_file(
    shell: World, roles: list[Object]
) -> None:
    for one in roles:
        if not one["kind"].startswith("Cluster"):
            shell.cluster.create(one)
    for name in ("cave-1", "cave-2"):
        shell.cluster.add_node(name, {"zone": "cave"})
    site = shell.site(installation="lab-cavecast", more=WALLS)
    token = shell.cluster.account_token(NAMESPACE, "lab-cavecast")
    hosts = "".join(f'[[nodes]]\nname = "p-0-{i}"\nhost = "cave-{i + 1}"\n' for i in range(2))
    with serving(shell, site, token=token) as (client, _):
        put(client, wall("cave", more=SELECTOR + hosts))
        there = client.get("/api/v1/walls/cave").json()
        assert [(one["node"], one["state"]) for one in there["seats"]] == [
            ("cave-1", "unknown"), ("cave-2", "unknown"),
        ]  # fmt: skip
        run_id = begin(client, volume(shell.folder / "a.npy"), walls=["cave"])
        seats = {"cave-1": "p-0-0", "cave-2": "p-0-1"}
        until(lambda: (shell.get("configmaps", run_id, "seats-1") or {}).get("data") == seats, "they are seated")
        until(lambda: len(shell.cluster.pods(NAMESPACE, cavecast__part="wall-1")) == 2, "it is shown there")
        said = on(state(client, run_id), "cave")["sentences"]
        assert "may not list nodes in the whole cluster; ask the administrator for a role that allows it" in said[0]
        assert said[1].startswith("the nodes of wall cave may not be listed: the hosts of its file are taken for the")


async def _everything(shell: World, token: str) -> None:
    """Each kind of object is made, met again, and left without an owner, as the launcher's hand does it."""
    line = ClusterLine(Engine.connect(Access(str(shell.server.kubeconfig(token, NAMESPACE, name="mine")))))
    hand = Hand(line, lambda: True)
    plan = msgspec.structs.replace(everything("lost-1a2b3c4d"), namespace=NAMESPACE, installation="lab-cavecast")
    try:
        for one in made(plan):
            loose = {**one["metadata"]}
            loose.pop("ownerReferences", None)
            if one["metadata"]["labels"]["cavecast/part"] == "run":
                await hand.create(one)
                continue
            for _ in range(2):  # the second time it is there already
                await hand.create({**one, "metadata": loose})
        # A pod that a Job left behind which was deleted without a policy.
        left = {
            "labels": labels(plan.run_id, "worker", "workers", plan.installation),
            "annotations": {RUN_ID: plan.run_id},
        }
        shell.cluster.create({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cc-left", "namespace": NAMESPACE, **left},
            "spec": {"containers": [{"name": "worker", "image": "x"}]},
        })  # fmt: skip
        for kind in FOLLOWED:
            await line.ask(line.engine.list_all, kind, "", NAMESPACE)
    finally:
        await line.close()
