"""What only a cluster has is refused by a control plane of one machine, in a sentence."""

from __future__ import annotations

from pathlib import Path

from tests.control.parts import control_plane, start, volume


def test_gpus_and_manifests_are_a_clusters(tmp_path: Path) -> None:
    asked = {"input": str(volume(tmp_path / "a.npy")), "threshold": 0.6, "view": False}
    with control_plane() as (client, _):
        refused = client.post("/api/v1/runs", json={**asked, "gpus": 1})
        assert refused.status_code == 422
        assert refused.json()["detail"].startswith("gpus are given out by a cluster (launcher kubernetes)")
        assert client.get("/api/v1/runs").json() == []
        run_id = start(client, **asked, gpus=0)["run_id"]
        shown = client.get(f"/api/v1/runs/{run_id}/manifests")
        assert (shown.status_code, "consists of processes" in shown.text) == (409, True)
        assert client.post("/api/v1/runs/manifests", json=asked).status_code == 409
        assert client.get("/api/v1/runs/none/manifests").status_code == 404
