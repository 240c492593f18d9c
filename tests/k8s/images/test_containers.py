"""The images as they are built, the demo in one of them, and a run whose pods are containers of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from websockets.sync.client import ClientConnection, connect

from streamer.wire.view import FRAME_HEADER, JPEG, Camera, Input, decode_frame, encode_input
from tests.control.parts import DEADLINE_S, ended, start, volume
from tests.k8s.images.podman import Podman, locked
from tests.k8s.images.pods import PART, Containers
from tests.k8s.launcher.world import NAMESPACE, World, serving, until, world

pytestmark = pytest.mark.long
USER = 10001
PREFIX = f"10.{64 + os.getpid() % 128}"
"""Of the containers' addresses."""
DEMO_S = 300.0


class Role(NamedTuple):
    """What an image has to have, and must not have."""

    has: tuple[str, ...]
    lacks: tuple[str, ...]
    most_mb: int


ROLES = {
    "control": Role(("vtkmodules.vtkRenderingOpenGL2", "openvino", "kubernetes", "psycopg"), ("tensorflow",), 1900),
    "worker": Role(("tensorflow", "openvino", "obstore"), ("vtkmodules", "pyvista"), 1900),
    "renderer": Role(("vtkmodules.vtkRenderingOpenGL2", "obstore"), ("tensorflow", "keras", "openvino"), 1600),
}
LOOK = """
import importlib, json, os, pathlib, sys
def there(name):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return False
    return True
def written(folder):
    try:
        pathlib.Path(folder, "file").write_text("")
    except OSError as why:
        return os.strerror(why.errno)
    return True
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
print(json.dumps({
    "ids": [os.getuid(), os.getgid(), os.getgroups()],
    "written": [written("/"), written("/opt/cavecast"), written("/tmp")],
    "capabilities": {int(status[one], 16) for one in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0},
    "there": [there(name) for name in sys.argv[1:]],
}))
"""
SITE = """
namespace = "{namespace}"
installation = "lab"

[reach]
feed = "tcp://{{ip}}:{{port}}"

[streamer]
image = "{control}"
[worker]
image = "{worker}"
volumes = [{{ name = "data", hostPath = {{ path = "{data}" }} }}]
mounts = [{{ name = "data", mountPath = "{data}", readOnly = true }}]
[renderer]
image = "{renderer}"
[archive]
image = "{control}"
volumes = [{{ name = "results", hostPath = {{ path = "{results}" }} }}]
mounts = [{{ name = "results", mountPath = "{results}" }}]
"""


@pytest.mark.parametrize("role", ROLES)
def test_an_image_has_what_its_role_needs_and_runs_as_nobody_who_may_write_nothing(
    podman: Podman, images: Mapping[str, str], role: str
) -> None:
    wanted, (facts,) = ROLES[role], podman.inspected("image", images[role])
    assert facts["Config"]["User"] == f"{USER}:{USER}"
    assert facts["Size"] < wanted.most_mb * 1e6
    look = locked(images[role], "-c", LOOK, *wanted.has, *wanted.lacks, more=("--entrypoint", "python3"))
    assert json.loads(podman.done(*look)) == {
        "ids": [USER, USER, [USER]],
        "written": ["Read-only file system", "Read-only file system", True],
        "capabilities": True,
        "there": [True] * len(wanted.has) + [False] * len(wanted.lacks),
    }
    assert podman.done(*locked(images[role], "--version")).startswith("cavecast ")


def test_the_demo_runs_in_a_container_without_a_network(podman: Podman, images: Mapping[str, str]) -> None:
    words = ("demo", "--no-browser", "--exit-when-complete", "--json", "--pace", "0")
    report = json.loads(podman.done(*locked(images["control"], *words), within_s=DEMO_S))
    assert report["shape"] == [240, 64, 128]
    assert report["objects"] > 0


@pytest.fixture
def lab(podman: Podman, tmp_path: Path) -> Iterator[World]:
    """A cluster whose pods are containers on a network of their own."""
    with podman.network(f"{PREFIX}.0.0/16") as network:
        machines = partial(Containers, podman=podman, network=network, prefix=PREFIX)
        with world(tmp_path, machines) as found:
            yield found


def picture(browser: ClientConnection) -> bytes:
    """The first JPEG that a browser is sent."""
    while True:
        raw = browser.recv(timeout=DEADLINE_S)
        assert isinstance(raw, bytes)
        if decode_frame(raw).codec == JPEG:
            return raw[FRAME_HEADER:]


def test_a_run_is_computed_drawn_and_written_by_pods_that_are_containers_of_the_images(
    podman: Podman, images: Mapping[str, str], lab: World
) -> None:
    data, results = lab.folder / "data", lab.folder / "results"
    for folder in (data, results):
        folder.mkdir()
    os.chown(results, USER, USER)
    source, out = volume(data / "a.npy"), results / "a.zarr"
    site = lab.folder / "site.toml"
    site.write_text(SITE.format(namespace=NAMESPACE, data=data, results=results, **images))
    with serving(lab, site) as (client, _):
        asked = {"input": str(source), "threshold": 0.6, "chunk": [8, 12, 12], "workers": 2, "out": str(out)}
        run_id = start(client, **asked, start="first_viewer")["run_id"]  # so all of them are there until somebody looks
        there = podman.inspected(
            "container", *until(lambda: names if len(names := podman.names()) == 5 else [], "all run")
        )
        parts = sorted(one["Config"]["Labels"][PART] for one in there)
        assert parts == ["archive", "renderer", "streamer", "worker", "worker"]
        for one in there:
            assert one["Config"]["User"] == f"{USER}:{USER}"
            assert one["HostConfig"]["ReadonlyRootfs"]
            assert not one["EffectiveCaps"]
        address = f"ws://{client.base_url.netloc.decode()}/api/v1/runs/{run_id}/view"
        with connect(address, compression=None, max_size=None, proxy=None, open_timeout=DEADLINE_S) as browser:
            browser.send(encode_input(Input(1, 320, 200, False, Camera(0.3, 0.4, 3.0, (0, 0, 0)))))
            assert picture(browser)[:2] == b"\xff\xd8"
            done = ended(client, run_id)
        assert (done["state"], done["error"], done["status"]["committed"]) == ("complete", None, 8)
        assert client.get(f"/api/v1/runs/{run_id}/objects").json()["objects"]
        assert (out / "zarr.json").is_file()
        assert out.stat().st_uid == USER
        client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
        until(lambda: lab.objects("pods") == [], "no pod is left")
        until(lambda: podman.names() == [], "no container is left")
        assert client.delete(f"/api/v1/runs/{run_id}").status_code == 204
        until(lambda: lab.objects() == [], "nothing is left")
