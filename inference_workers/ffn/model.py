"""What a model file says of itself: the network's shape, what its input was, and how to fill with it.

The record lies as JSON inside the model file, beside the weights, so that a model is one file and can
be used without knowing how it was trained.  Nothing here loads a network.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from inference_workers.ffn.settings import FloodFillSettings, SeedSettings
from streamer.wire.grid import Triple


class ModelError(ValueError):
    """A model file that cannot be used: which, why, and what to do, in a sentence."""


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """What a network was trained on, so that nobody evaluates it on what it has seen."""

    source: str
    """The volume: an address, or the name of a sample."""
    variable: str = ""
    labels: str = ""
    """Where the truth came from, such as ``connect ≥ 500, 26 neighbours``, or an address."""
    steps: list[tuple[int, int]] = []
    """Ranges of time steps (or of z) that were seen: first, and one after the last."""
    times: list[tuple[str, str]] = []
    """The same as first and last instant (ISO 8601, UTC), where axis 0 is time."""
    region: tuple[float, float, float, float] | None = None
    """South, north, west and east in degrees (or low and high y and x), both ends included; None: everywhere."""
    examples: int = 0
    """Fields of view that were learned from."""
    seed: int = 0
    """Of the random numbers."""


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A network and how it is meant to be used.  A reader passes over fields that it does not know."""

    depth: Annotated[int, Meta(ge=1)]
    """Pairs of convolutions, the first included."""
    features: Annotated[int, Meta(ge=1)]
    """Filters of each convolution."""
    mean: float
    std: Annotated[float, Meta(gt=0)]
    """The network's image is (field − mean) / std."""
    flood: FloodFillSettings
    seeds: SeedSettings = SeedSettings()
    variable: str = ""
    units: str = ""
    """What the field was that ``mean`` and ``std`` belong to."""
    training: Training | None = None
    provenance: str = ""
    """Where the weights are from, and their licence, in a sentence."""
    version: int = 1

    @property
    def fov(self) -> Triple:
        """Field of view, (z, y, x)."""
        return self.flood.fov

    @property
    def deltas(self) -> Triple:
        """Steps, (z, y, x)."""
        return self.flood.deltas


def encode_config(config: ModelConfig) -> bytes:
    """The record as JSON."""
    return msgspec.json.encode(config)


def decode_config(raw: bytes | str, what: str) -> ModelConfig:
    """The record from JSON; ``what`` names the file.  Raises ModelError if it is none or of a newer kind."""
    try:
        config = msgspec.json.decode(raw, type=ModelConfig)
    except (msgspec.DecodeError, ValueError) as why:
        raise ModelError(
            f"{what} does not say how it is to be used ({why}): write it again with cavecast ffn"
        ) from None
    if config.version > 1:
        raise ModelError(f"{what} is of version {config.version}, this CaveCast reads version 1: take a newer CaveCast")
    return config
