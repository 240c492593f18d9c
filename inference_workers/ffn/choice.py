"""Which backend runs a network here: pure decisions about what is installed and what was measured.

Which one is faster depends on the processor, the network's shape and the precision, so it is measured
once for each and kept.  Records of measurements that cannot be read count as none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from inference_workers.ffn.model import ModelError

Backend = Literal["tensorflow", "openvino"]
BACKENDS: tuple[Backend, ...] = ("tensorflow", "openvino")
GAIN = 1.05
"""OpenVINO is taken if it is so many times as fast: less is within what a measurement varies."""
MOST_KEPT = 200
PACKAGES = {"tensorflow": "cavecast[worker]", "openvino": "cavecast[openvino]"}
PRECISIONS = ("float32", "bf16", "mixed")


class Kind(NamedTuple):
    """What a measurement holds for."""

    depth: int
    features: int
    fov: tuple[int, int, int]
    precision: str
    threads: int
    processor: str
    versions: str

    @property
    def key(self) -> str:
        """The same as text."""
        return "|".join(str(part) for part in self)


class Choice(NamedTuple):
    """A backend, and why."""

    backend: Backend
    why: str


def among(installed: frozenset[str], wanted: str, gpu: bool) -> Choice | None:
    """The backend where there is nothing to measure; None where both could be taken.

    Raises ModelError if what is wanted is not installed, or nothing is.
    """
    if wanted != "auto" and wanted not in BACKENDS:
        raise ModelError(f"there is no backend {wanted!r}; there are auto, {' and '.join(BACKENDS)}")
    for backend in BACKENDS:
        if wanted == backend:
            if backend not in installed:
                raise ModelError(f"{backend} is not installed: pip install '{PACKAGES[backend]}'")
            return Choice(backend, "asked for")
    if not installed:
        raise ModelError(
            "neither TensorFlow nor OpenVINO is installed, and a network needs one:"
            f" pip install '{PACKAGES['tensorflow']}'"
        )
    if gpu and "tensorflow" in installed:
        return Choice("tensorflow", "there is a GPU")
    if len(installed) == 1:
        (only,) = (backend for backend in BACKENDS if backend in installed)
        return Choice(only, "the only one installed")
    return None


def faster(seconds: Mapping[str, float]) -> Choice:
    """The backend by the seconds that each takes for one field of view."""
    ratio = seconds["tensorflow"] / seconds["openvino"]
    figures = ", ".join(f"{name} {1000 * seconds[name]:.3g} ms" for name in BACKENDS)
    return Choice("openvino" if ratio >= GAIN else "tensorflow", f"measured for one field of view: {figures}")


def remembered(raw: bytes, kind: Kind) -> dict[str, float] | None:
    """What was measured for this kind before, from the text of the record; None if it does not say."""
    seconds = _record(raw).get(kind.key, {})
    return seconds if all(seconds.get(name, 0) > 0 for name in BACKENDS) else None


def remember(raw: bytes, kind: Kind, seconds: Mapping[str, float]) -> bytes:
    """The record with a measurement more; the oldest go when there are many."""
    record = _record(raw)
    record.pop(kind.key, None)
    record[kind.key] = dict(seconds)
    kept = dict(list(record.items())[-MOST_KEPT:])
    return msgspec.json.format(msgspec.json.encode(kept))


def _record(raw: bytes) -> dict[str, dict[str, float]]:
    try:
        return msgspec.json.decode(raw, type=dict[str, dict[str, float]])
    except (msgspec.DecodeError, ValueError):
        return {}
