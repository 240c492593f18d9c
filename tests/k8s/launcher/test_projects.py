"""Runs of projects: in the project's own namespace, and no more GPUs at work than its quota has."""

from __future__ import annotations

import hashlib

from tests.control.parts import volume
from tests.k8s.launcher.test_lives import begin
from tests.k8s.launcher.world import NAMESPACE, World, serving, state, until

TOKEN = "cavecast_" + "5" * 64
ACCESS = f"""
[projects.storms]
namespace = "storms"
quota = {{ gpus = 3 }}
[[tokens]]
name = "nightly"
role = "operator"
project = "storms"
sha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"
"""


def test_a_project_has_its_runs_in_its_namespace_and_no_more_gpus_than_its_quota(shell: World) -> None:
    source, access, site = volume(shell.folder / "a.npy"), shell.folder / "access.toml", shell.site()
    access.write_text(ACCESS)
    site.write_text(site.read_text().replace("node_selector = {", "gpu = { count = 1 }\nnode_selector = {"))
    shell.cluster.namespace("storms")

    def at_work() -> int:
        pods = shell.cluster.pods("storms", cavecast__part="workers")
        return sum(pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"] for pod in pods)

    def used() -> dict[str, int]:
        (project,) = client.get("/api/v1/projects").json()
        found: dict[str, int] = project["gpus"]
        return found

    with serving(shell, site, CAVECAST_ACCESS=str(access)) as (client, _):
        client.headers["authorization"] = f"Bearer {TOKEN}"
        never = client.post("/api/v1/runs", json={"input": str(source), "threshold": 0.6, "workers": 4})
        assert never.status_code == 422
        assert "project storms asks for 4 GPUs, has 0 at work and may have 3" in never.json()["detail"]
        asked = {"input": str(source), "threshold": 0.6, "view": False}
        made = client.post("/api/v1/runs/manifests", json=asked)
        assert (made.status_code, "namespace: storms" in made.text, "namespace: rivers" in made.text) == (
            200, True, False,
        )  # fmt: skip
        first = begin(client, source)
        until(lambda: at_work() == 2, "both workers run, where the project has its runs")
        assert (state(client, first)["gpus"], used()) == (1, {"used": 2, "limit": 3})
        assert shell.cluster.pods(NAMESPACE) == []
        second = begin(client, source)
        assert state(client, second)["state"] == "queued"
        refused = client.post(f"/api/v1/runs/{first}/scale", json={"workers": 4})
        assert (refused.status_code, "asks for 2 GPUs, has 2 at work" in refused.json()["detail"]) == (409, True)
        without = begin(client, source, gpus=0)
        until(lambda: at_work() == 4, "what takes no GPU does not wait for any")
        client.post(f"/api/v1/runs/{first}/cancel").raise_for_status()
        until(lambda: state(client, second)["state"] == "starting", "there are GPUs for it now")
        assert (state(client, without)["gpus"], used()) == (0, {"used": 2, "limit": 3})
