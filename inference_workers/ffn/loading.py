"""From a model file to a network that predicts: ``load_network``.

The backend is chosen here: as asked for, else by what is installed, else by a trial on the model's own
field of view, whose result is kept in the user's cache folder.  TensorFlow and OpenVINO are imported only
when they are about to be used.  A batch that does not fit into memory is halved and tried again.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from inference_workers import cores
from inference_workers.ffn import choice
from inference_workers.ffn.file import Model, read_model
from inference_workers.ffn.model import ModelConfig, ModelError

FloatArray = NDArray[np.float32]
Run = Callable[[FloatArray, FloatArray], FloatArray]
TRIAL_S = 0.8
"""Least time of a trial of both backends; slow networks get three runs in each at least."""


class Engine(Protocol):
    """What runs a network.  Raises MemoryError where a batch is too large."""

    name: str
    precision: str
    device: str

    def __call__(self, image: FloatArray, seed: FloatArray) -> FloatArray:
        """New seed logits, (b, z, y, x)."""


class Network:
    """A network that is ready to predict.  For one thread at a time."""

    def __init__(self, config: ModelConfig, engine: Engine, threads: int, why: str) -> None:
        self.config = config
        self.backend, self.precision, self.device = engine.name, engine.precision, engine.device
        self.threads, self.why = threads, why
        self._engine = engine
        self._fits: int | None = None

    def predict(self, image: NDArray[np.floating], seed: NDArray[np.floating]) -> FloatArray:
        """The seed's logits after one step: seed + update, float32 (b, z, y, x).

        ``image`` is (field − mean) / std, ``seed`` logits, both (b, z, y, x) of any batch and shape.
        Raises ValueError if the two do not fit, MemoryError if not even one field of view does.
        """
        image, seed = (np.ascontiguousarray(array, np.float32) for array in (image, seed))
        if image.ndim != 4 or image.shape != seed.shape:
            raise ValueError(f"image and seed are (b, z, y, x) of one shape, not {image.shape} and {seed.shape}")
        if not image.size:
            return np.empty(image.shape, np.float32)
        return self._predict(image, seed)

    def _predict(self, image: FloatArray, seed: FloatArray) -> FloatArray:
        done: list[FloatArray] = []
        at = 0
        while at < len(image):
            rows = min(len(image) - at, self._fits or len(image))
            try:
                done.append(self._engine(image[at : at + rows], seed[at : at + rows]))
            except MemoryError as why:
                if rows == 1:
                    raise MemoryError(
                        f"one field of view of {image.shape[1:]} voxels is too large for the memory that is left"
                        f" ({' '.join(str(why).split()) or 'out of memory'}): end other programs, or take a smaller one"
                    ) from None
                self._fits = rows // 2
                structlog.get_logger().warning("batch halved: out of memory", batch=rows, now=self._fits)
            else:
                at += rows
        return done[0] if len(done) == 1 else np.concatenate(done)


def load_network(
    path: Path | str, precision: str = "float32", backend: str = "auto", threads: int | None = None
) -> Network:
    """The network of a model file, ready to predict.

    ``precision``: ``float32`` is exact; ``bf16`` computes in bfloat16 and ``mixed`` in the fastest short
    format, where the hardware has one.  ``backend``: ``auto``, ``tensorflow`` or ``openvino``.  ``threads``:
    without it ``CAVECAST_THREADS``, else all cores this process may use.  Raises ModelError, in one sentence.
    """
    return start(read_model(path), precision, backend, threads, what=str(path))


def start(
    model: Model, precision: str = "float32", backend: str = "auto", threads: int | None = None, what: str = "a model"
) -> Network:
    """The same for a model that has been read."""
    if precision not in choice.PRECISIONS:
        raise ModelError(f"there is no precision {precision!r}; there are {', '.join(choice.PRECISIONS)}")
    count = threads or cores.threads()
    chosen = choice.among(installed(), backend, gpu_visible()) or _by_trial(model, precision, count)
    network = Network(model.config, engine(model, chosen.backend, precision, count), count, chosen.why)
    structlog.get_logger().info(
        "network ready", model=what, backend=network.backend, why=chosen.why, device=network.device,
        precision=network.precision, threads=count,
    )  # fmt: skip
    if precision != "float32" and network.precision == "float32":
        structlog.get_logger().warning("this processor has no bfloat16: computing in float32", asked_for=precision)
    return network


def engine(model: Model, backend: str, precision: str, threads: int) -> Engine:
    """A model in one backend, which is installed."""
    depth, features = model.config.depth, model.config.features
    if backend == "openvino":
        from inference_workers.ffn.backend_openvino import OpenVinoEngine

        return OpenVinoEngine(depth, model.weights, precision, threads)
    from inference_workers.ffn.network import TensorFlowEngine

    return TensorFlowEngine(depth, features, model.weights, precision, threads)


def installed() -> frozenset[str]:
    """Which backends could be imported; imports none."""
    return frozenset(name for name in choice.BACKENDS if importlib.util.find_spec(name) is not None)


def gpu_visible() -> bool:
    """Whether there is a GPU that TensorFlow may use, by the driver's files and ``CUDA_VISIBLE_DEVICES``."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and (Path("/dev/nvidia0").exists() or Path("/proc/driver/nvidia/version").exists())


def trial(runs: Mapping[str, Run], fov: tuple[int, int, int], threads: int, least_s: float) -> dict[str, float]:
    """Seconds of the quickest prediction of one field of view in each backend.

    They take turns, so that what else the machine does hits all alike; one thread's seconds are those of
    the processor, which other programs hardly change.
    """
    clock = time.process_time if threads == 1 else time.perf_counter
    image = np.random.default_rng(0).standard_normal((1, *fov), np.float32)
    seed = np.full_like(image, -2.9)
    for run in runs.values():
        run(image, seed)  # compiles
    best = dict.fromkeys(runs, float("inf"))
    begun, rounds = time.perf_counter(), 0
    while rounds < 3 or time.perf_counter() - begun < least_s:
        for name, run in runs.items():
            before = clock()
            run(image, seed)
            best[name] = min(best[name], clock() - before)
        rounds += 1
    return best


def cache_file() -> Path:
    """Where measurements are kept: in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".cache") / "cavecast" / "ffn-backends.json"


def _by_trial(model: Model, precision: str, threads: int) -> choice.Choice:
    config = model.config
    versions = " ".join(f"{name} {_version(name)}" for name in choice.BACKENDS)
    kind = choice.Kind(config.depth, config.features, config.fov, precision, threads, cores.processor(), versions)
    raw = _read(cache_file())
    seconds = choice.remembered(raw, kind)
    if seconds is None:
        runs: dict[str, Run] = {name: engine(model, name, precision, threads) for name in choice.BACKENDS}
        seconds = trial(runs, config.fov, threads, TRIAL_S)
        _keep(cache_file(), choice.remember(raw, kind, seconds))
    return choice.faster(seconds)


def _version(name: str) -> str:
    for package in (name, f"{name}-cpu"):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "?"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _keep(path: Path, raw: bytes) -> None:
    """Writes the record whole or not at all; where that is not possible, the next start measures again."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(raw)
        beside.replace(path)
    except OSError as why:
        structlog.get_logger().debug("measurement not kept", path=str(path), why=str(why))
