"""A secret key stands in its file and nowhere else: not in JSON, logs, process lists or environments."""

from __future__ import annotations

from pathlib import Path

import psutil

from streamer.keys import make
from streamer.wire.keys import ROLES, read
from tests.control.parts import control_plane, ended, start, volume
from tests.security.parties import Part, streamer
from tests.streamer.runs import spec_of


def test_the_control_plane_shows_no_secret_and_its_parts_are_not_confused_by_keys(tmp_path: Path) -> None:
    make(tmp_path / "keys")
    secrets = [read(tmp_path / "keys" / f"{role}.toml", role).secret.decode() for role in ROLES]
    where = tmp_path / "runs"
    with control_plane("--dir", str(where), CAVECAST_KEYS=str(tmp_path / "keys" / "control.toml")) as (client, server):
        run = start(client, input=str(volume(tmp_path / "v.npy")), threshold=0.5, view=False, pace_s=1)
        shown = [client.get(path).text for path in ("/api/v1/runs", f"/api/v1/runs/{run['run_id']}", "/metrics")]
        for process in psutil.Process(server.pid).children(recursive=True):
            shown += process.cmdline()
            assert "CAVECAST_KEYS" not in process.environ()
        assert ended(client, run["run_id"])["state"] == "complete"
        assert "cavecast_streamer_committed_chunks" in client.get("/metrics").text
    shown += [path.read_text(errors="replace") for path in where.rglob("*") if path.is_file()]
    assert not [secret for secret in secrets if secret in "\n".join(shown)]


def test_a_part_with_keys_shows_its_secret_to_nobody(tmp_path: Path) -> None:
    make(tmp_path / "keys")
    secrets = [read(tmp_path / "keys" / f"{role}.toml", role).secret.decode() for role in ROLES]
    served = streamer(tmp_path, spec_of((4, 6, 6), (2, 3, 3)), tmp_path / "keys", "--metrics-port", "0")
    worker = None
    try:
        ready = served.ready()
        worker = Part("worker", "--ingest", ready["ingest"], "--keys", str(tmp_path / "keys" / "worker.toml"))
        worker.wait()
        shown = [str(ready), served.said, worker.said, *psutil.Process(served.process.pid).cmdline()]
        shown += [path.read_text(errors="replace") for path in (tmp_path / "log").rglob("*") if path.is_file()]
        assert not [secret for secret in secrets if secret in "\n".join(shown)]
    finally:
        served.end()
        if worker is not None:
            worker.end()
