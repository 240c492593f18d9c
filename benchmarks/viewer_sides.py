"""The sides of the viewer's comparison: ours, today's reference and the bare stream, each with the same scene.

The measuring tools lie beside the project (``../shared/bench/browser``, or what CAVECAST_BENCH names).  What the other
sides need is installed into an environment of the benchmark's own, below the user's cache, once.
Our side is the real thing: a control plane, a streamer, workers and a renderer, with a run over a volume
of the others' smoothed noise, resampled so that its surfaces have as many triangles as their isosurface at 0.35.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

NEEDS = (
    "trame>=3", "trame-vtk", "trame-rca", "trame-vuetify", "vtk", "PyTurboJPEG<2", "fastapi", "uvicorn", "websockets",
    "av", "scipy", "numpy", "psutil", "playwright", "pillow",
)  # fmt: skip
READY_S = 90.0
SIZE = "1280x720"
"""Of everybody's pictures, as the harness writes it."""
THRESHOLD = 0.35
FINER = {"tiny": 0.789, "small": 0.878, "large": 0.945}
"""Surfaces of voxels have more triangles than isosurfaces: our volumes have so many voxels for each of the others'."""
SCENES = {"tiny": "17 k", "small": "154 k", "large": "1.47 M"}
"""The harness's names of the scenes, and their triangles."""


class NotThere(RuntimeError):
    """Something that the benchmark needs is missing: what, and how to get it."""


class Tools(NamedTuple):
    """Where things are."""

    harness: Path
    python: Path
    """Of the environment with the other sides."""
    cache: Path


class Side(NamedTuple):
    """A viewer that is being served."""

    name: str
    url: str
    pid: int


def tools() -> Tools:
    """The harness and the environment of the other sides, made if it is not there yet.  Raises NotThere."""
    named = os.environ.get("CAVECAST_BENCH")
    root = Path(__file__).resolve().parents[1]
    harness = Path(named) if named else root.parent / "shared" / "bench" / "browser"
    if not (harness / "viewer_bench.py").is_file():
        raise NotThere(
            f"the measuring tools are not at {harness}: put them there, or name their folder in CAVECAST_BENCH"
        )
    if shutil.which("chromium") is None:
        raise NotThere("there is no chromium on the PATH: install it (Debian and Ubuntu: apt install chromium)")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cavecast-viewer-benchmark"
    python = home / "venv" / "bin" / "python"
    if not (home / "installed").is_file():
        print(f"viewer: installing the other sides into {home} (once, some minutes)", file=sys.stderr)
        venv.create(home / "venv", with_pip=True, clear=True)
        done = subprocess.run([python, "-m", "pip", "install", "-q", *NEEDS], capture_output=True, text=True)
        if done.returncode:
            raise NotThere(f"the other sides cannot be installed into {home}: {done.stderr.strip().splitlines()[-1:]}")
        (home / "installed").touch()
    turbo = subprocess.run([python, "-c", "import turbojpeg; turbojpeg.TurboJPEG()"], capture_output=True)
    if turbo.returncode:
        raise NotThere("libturbojpeg is missing for the other sides: install it (Debian: apt install libturbojpeg0)")
    cache = home / "scenes"
    cache.mkdir(parents=True, exist_ok=True)
    return Tools(harness, python, cache)


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def _in_other(at: Tools, code: str) -> str:
    """What a few lines print in the other sides' environment, with the harness's modules."""
    found = subprocess.run(
        [at.python, "-c", code], capture_output=True, text=True, cwd=at.harness, env=_environment(at), timeout=600
    )
    if found.returncode:
        raise NotThere(f"the scenes cannot be made: {found.stderr.strip().splitlines()[-1:]}")
    return found.stdout


def _environment(at: Tools) -> dict[str, str]:
    path = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**path, "BENCH_CACHE": str(at.cache), "PYTHONPATH": str(at.harness), "PYTHONDONTWRITEBYTECODE": "1"}


def reference_triangles(at: Tools, scene: str) -> int:
    """How many triangles the other sides draw; made once."""
    return int(_in_other(at, f"import scene; print(scene.polydata({scene!r}).GetNumberOfPolys())").split()[-1])


def volume(at: Tools, scene: str) -> Path:
    """The volume behind a scene, as a .npy file of (z, y, x) float32."""
    path = at.cache / f"ours-{scene}.npy"
    if not path.is_file():
        _in_other(at, _VOLUME.format(scene=scene, path=str(path), finer=FINER[scene]))
    return path


def reel(at: Tools) -> Path:
    """Twenty-four pictures of the scene of 154 k triangles, for measuring without drawing."""
    path = at.cache / "frames24.npy"
    if not path.is_file():
        _in_other(at, _REEL.format(path=str(path)))
    return path


_VOLUME = """
import numpy as np, scene
from scipy.ndimage import zoom
shape, sigma = scene.SIZES[{scene!r}]
np.save({path!r}, zoom(scene.volume(shape, sigma=sigma), {finer}, order=1).astype(np.float32))
"""
_REEL = """
import numpy as np, scene
import vtkmodules.all as vtk
from vtkmodules.util.numpy_support import vtk_to_numpy
window, renderer, _, _ = scene.make("small", interactor=False)
raw, found = vtk.vtkUnsignedCharArray(), []
for _ in range(24):
    renderer.GetActiveCamera().Azimuth(2)
    renderer.ResetCameraClippingRange()
    window.Render()
    window.GetPixelData(0, 0, 1279, 719, 0, raw, 0)
    found.append(vtk_to_numpy(raw).reshape(720, 1280, 3)[::-1].copy())
np.save({path!r}, np.stack(found))
"""


@contextmanager
def process(arguments: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process with its complaints in a file, ended with the block."""
    with log.open("w") as complaints:
        one = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=complaints, text=True, env=environment, start_new_session=True
        )
        try:
            yield one
        finally:
            one.terminate()
            try:
                one.wait(20)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
            if one.stdout is not None:
                one.stdout.close()


def _answers(url: str, one: subprocess.Popen[str], log: Path) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if one.poll() is not None:
            raise NotThere(f"a side ended before it was ready: {log.read_text()[-300:]}")
        try:
            httpx.get(url, timeout=5.0, trust_env=False)
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise NotThere(f"{url} did not answer in {READY_S:g} s: {log.read_text()[-300:]}")


@contextmanager
def other(at: Tools, name: str, script: str, *options: str) -> Iterator[Side]:
    """One of the harness's own servers."""
    port, log = free_port(), at.cache / f"{name}-{os.getpid()}.log"
    arguments = [str(at.python), str(at.harness / script), *options, "--p", str(port)]
    try:
        with process(arguments, log, _environment(at)) as one:
            url = f"http://127.0.0.1:{port}/"
            _answers(url, one, log)
            yield Side(name, url, one.pid)
    finally:
        log.unlink(missing_ok=True)


class Ours(NamedTuple):
    """Our side: what is served, and how many triangles it draws."""

    side: Side
    triangles: int


@contextmanager
def ours(at: Tools, name: str, scene: str, folder: Path, **debugging: str) -> Iterator[Ours]:
    """A control plane with a finished run over a scene's volume; ``debugging``: switches of the renderer."""
    log = folder / f"{name}.log"
    switches = {f"CAVECAST_{switch.upper()}": value for switch, value in debugging.items()}
    environment = {**os.environ, "CAVECAST_LATENCY_MARKER": "1", **switches}
    command = str(Path(sys.executable).parent / "cavecast")
    with ExitStack() as undo:
        arguments = [command, "serve", "--port", "0", "--dir", str(folder / name)]
        one = undo.enter_context(process(arguments, log, environment))
        assert one.stdout is not None
        origin = json.loads(one.stdout.readline() or "{}").get("url")
        if origin is None:
            raise NotThere(f"the control plane did not start: {log.read_text()[-300:]}")
        wanted = {"input": str(volume(at, scene)), "threshold": THRESHOLD, "periodic": "none"}
        with httpx.Client(base_url=f"{origin}/api/v1", timeout=60.0, trust_env=False) as client:
            answer = client.post("/runs", json=wanted)
            if answer.is_error:
                raise NotThere(f"our run did not start: {answer.text[:300]}")
            run = answer.json()["run_id"]
            _complete(client, run)
        # Without the panel the picture is as large as the others'.
        yield Ours(Side(name, f"{origin}/view/{run}#panel=closed", one.pid), _triangles(log))


def _complete(client: httpx.Client, run: str) -> None:
    until = time.monotonic() + 240.0
    state: Any = None
    while time.monotonic() < until:
        state = client.get(f"/runs/{run}").json()["state"]
        if state == "complete":
            return
        if state not in ("waiting", "starting", "running", "created", "finishing"):
            break
        time.sleep(0.25)
    raise NotThere(f"our run is {state} instead of complete")


def _triangles(log: Path) -> int:
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        found = re.findall(r'triangles["=: ]+(\d+)', log.read_text())
        if found:
            return int(found[-1])
        time.sleep(0.25)
    raise NotThere("our renderer did not say how many triangles it draws")


@contextmanager
def slow_link(at: Tools, side: Side) -> Iterator[Side]:
    """A side behind 4 Mbit/s and 25 ms each way."""
    port, to = free_port(), httpx.URL(side.url).port
    arguments = [str(at.python), str(at.harness / "slowlink.py"), "--listen", str(port), "--to", str(to)]
    log = at.cache / f"slow-{side.name}-{os.getpid()}.log"
    try:
        with process(arguments, log, _environment(at)):
            yield side._replace(url=side.url.replace(f":{to}", f":{port}"))
    finally:
        log.unlink(missing_ok=True)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that take all the processor they can get, as inference does."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for one in spinning:
            one.kill()
            one.wait()


Measured = dict[str, list[dict[str, Any]]]


def measure(
    at: Tools, sides: list[Side], folder: Path, rounds: int, seconds: float, bystanders: dict[str, str] | None = None
) -> Measured:
    """Drags in each side's picture, in turn, round by round; the harness's figures by side."""
    out = folder / "measured.json"
    arguments = [sys.executable, str(at.harness / "viewer_bench.py"), "--rounds", str(rounds), "--steps", "0"]
    arguments += ["--seconds", str(seconds), "--json", str(out), "--chromium", str(shutil.which("chromium"))]
    for side in sides:
        arguments += ["--target", f"{side.name}={side.url}", "--pid", f"{side.name}={side.pid}"]
    for name, url in (bystanders or {}).items():
        arguments += ["--bystander", f"{name}={url}", "--by-wait", "4"]
    limit_s = 60.0 + rounds * len(sides) * (60.0 + seconds)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=limit_s)
    if done.returncode:
        raise NotThere(f"the harness failed: {done.stderr[-400:]}")
    found: Measured = json.loads(out.read_text())
    for name, ones in found.items():
        wrong = next((one["error"] for one in ones if "error" in one), None)
        if wrong is not None:
            raise NotThere(f"{name} could not be measured: {wrong}")
        sizes = {one["size"] for one in ones} - {SIZE}
        if sizes:
            raise NotThere(f"{name} shows pictures of {', '.join(sorted(sizes))} pixels instead of {SIZE}")
    return found
