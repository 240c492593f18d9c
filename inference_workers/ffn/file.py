"""A model file: a ``.keras`` archive with one member more, which says how the network is to be used.

``keras.models.load_model`` opens it as it is.  We read it without Keras: the zip archive, our JSON, and
the arrays of its HDF5 file, whose names and shapes must be those of the network that the JSON describes.
So no code can come out of a file, no more memory is taken than its network needs, and a worker that runs
on OpenVINO never loads TensorFlow.  Sizes are compared before anything is read.
"""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import msgspec
import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.model import ModelConfig, ModelError, decode_config, encode_config
from inference_workers.ffn.structure import MOST_DEPTH, Weights, check, parameters, shapes

CONFIG = "cavecast.json"
WEIGHTS = "model.weights.h5"
VERSION = 1
LARGEST_CONFIG = 1 << 20
MOST_VOXELS = 1 << 26
"""Of a field of view."""
_OVERHEAD = 1 << 16, 1 << 13
"""Bytes that HDF5 adds: once, and for each variable; generously."""


class Model(NamedTuple):
    """What is in a model file."""

    config: ModelConfig
    weights: Weights


class _Version(msgspec.Struct):
    version: int = VERSION


def read_config(path: Path | str) -> ModelConfig:
    """How a model is to be used, without its weights.  Raises ModelError."""
    with _archive(Path(path)) as archive:
        return _config(archive, str(path))


def read_model(path: Path | str) -> Model:
    """A model file, whole.  Raises ModelError, in one sentence, if it cannot be used."""
    what = str(path)
    with _archive(Path(path)) as archive:
        config = _config(archive, what)
        raw = _member(archive, WEIGHTS, _largest(config), what)
    weights = _weights(raw, config, what)
    check(weights, config.depth, config.features, what)
    return Model(config, weights)


def write_model(path: Path | str, config: ModelConfig, weights: Weights) -> None:
    """Writes a model file, in place of what may be there, and never half of one.

    Raises ModelError if the weights are not those of a network of ``config``, or the name does not end in .keras.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ModelError(f"{path} does not end in .keras, as a model file's name does")
    check(weights, config.depth, config.features, str(path))
    from inference_workers.ffn.network import write_keras

    beside = path.with_name(f".{path.stem}.{os.getpid()}.keras")
    try:
        write_keras(beside, config.depth, config.features, weights)
        with zipfile.ZipFile(beside, "a") as archive:
            archive.writestr(CONFIG, encode_config(config))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The file as a zip archive; what goes wrong in reading it becomes a sentence."""
    if not path.is_file():
        raise ModelError(f"there is no model file {path}")
    with path.open("rb") as file:
        begins = file.read(4)
    if begins != b"PK\x03\x04":
        raise ModelError(
            f"{path} is no Keras file (.keras is a zip archive): make one with cavecast ffn train or import"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as why:
        raise ModelError(f"{path} is truncated or damaged ({_line(why)}): copy it again") from None


def _member(archive: zipfile.ZipFile, name: str, largest: int, what: str) -> bytes:
    """A member's bytes, which are not more than ``largest``, whatever the archive says of itself."""
    try:
        told = archive.getinfo(name)
    except KeyError:
        raise ModelError(
            f"{what} is a zip archive, but no model of a flood-filling network: it has no {name};"
            " make one with cavecast ffn train or import"
        ) from None
    if told.file_size > largest:
        raise ModelError(f"{what}: {name} has {told.file_size:,} bytes, {largest:,} is the most that is possible")
    with archive.open(told) as member:
        raw = member.read(largest + 1)
    if len(raw) != told.file_size:
        raise ModelError(f"{what} is truncated or damaged ({name} does not have the size that it says): copy it again")
    return raw


def _config(archive: zipfile.ZipFile, what: str) -> ModelConfig:
    raw = _member(archive, CONFIG, LARGEST_CONFIG, what)
    with contextlib.suppress(msgspec.DecodeError):  # what is no such record is said below
        version = msgspec.json.decode(raw, type=_Version).version
        if version > VERSION:
            raise ModelError(
                f"{what} is of version {version}, this CaveCast reads version {VERSION}: take a newer CaveCast"
            )
    config = decode_config(raw, what)
    try:
        shapes(config.depth, config.features)
    except ModelError as why:
        raise ModelError(f"{what}: {why}") from None
    if int(np.prod(config.fov, dtype=object)) > MOST_VOXELS:
        raise ModelError(
            f"{what}: a field of view of {config.fov} is out of reach; {MOST_VOXELS:,} voxels are the most"
        )
    return config


def _largest(config: ModelConfig) -> int:
    once, each = _OVERHEAD
    return 4 * parameters(config.depth, config.features) + once + each * 2 * len(shapes(config.depth, config.features))


def _weights(raw: bytes, config: ModelConfig, what: str) -> dict[str, NDArray[np.float32]]:
    """The arrays by the names of their layers, each of the shape that the configuration means."""
    expected = shapes(config.depth, config.features)
    found: dict[str, NDArray[np.float32]] = {}
    try:
        with h5py.File(io.BytesIO(raw), "r") as file:
            layers = _group(file, "layers")
            if len(layers) > 8 * MOST_DEPTH:
                raise ModelError(f"{what} has {len(layers)} layers, more than any network of ours")
            for key in layers:
                variables = _group(_group(layers, key), "vars")
                for number, kind in enumerate(("weights", "biases")):
                    name = f"{variables.attrs.get('name', '')}/{kind}"
                    if str(number) in variables:
                        found[name] = _array(variables, str(number), expected.get(name), f"{what}: {name}")
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as why:
        if isinstance(why, ModelError):
            raise
        raise ModelError(f"{what}: its weights are damaged ({_line(why)}): copy it again") from None
    return found


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    """A group that lies in the file itself: links could lead to other files of this machine."""
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink) or not isinstance(parent[name], h5py.Group):
        raise KeyError(f"no group {name}")
    return parent[name]


def _array(parent: h5py.Group, name: str, shape: tuple[int, ...] | None, what: str) -> NDArray[np.float32]:
    """A float32 array that lies in the file itself and has this shape."""
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink) or not isinstance(parent[name], h5py.Dataset):
        raise KeyError(f"no array {name}")
    dataset = parent[name]
    if shape is None:
        raise ModelError(f"{what} has no place in the network that the file describes")
    if dataset.shape != shape:
        raise ModelError(f"{what} has shape {dataset.shape}, but the network that the file describes means {shape}")
    if dataset.dtype != np.float32 or dataset.is_virtual or dataset.external:
        raise ModelError(f"{what} is not stored as plain float32: write the model again with cavecast ffn")
    return np.asarray(dataset[...], np.float32)


def _line(why: BaseException) -> str:
    return " ".join(str(why).split()) or type(why).__name__
