"""Flood-filling networks: a network that fills one object at a time, moving its field of view where the
object goes on (Januszewski et al. 2018, doi:10.1038/s41592-018-0049-4).

``load_network`` is the way to the modules that know TensorFlow and OpenVINO; the rest is arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference_workers.ffn.canvas import Canvas
from inference_workers.ffn.settings import FloodFillSettings, SeedSettings

if TYPE_CHECKING:
    from inference_workers.ffn.loading import load_network

__all__ = ["Canvas", "FloodFillSettings", "SeedSettings", "load_network"]


def __getattr__(name: str) -> Any:
    """``load_network`` is looked up when it is asked for, so that nobody loads TensorFlow unawares."""
    if name == "load_network":
        from inference_workers.ffn.loading import load_network

        return load_network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
