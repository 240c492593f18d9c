"""The label chunks of the three samples, as `connect` makes them."""

from __future__ import annotations

from collections.abc import Iterator

from inference_workers.connect import Connectivity, components
from inference_workers.source import InspectRequest, inspect, open_source
from streamer.wire.codec import Labels
from streamer.wire.grid import Triple

SAMPLES = ("rivers", "flood2021", "blocking1980")


def label_chunks() -> Iterator[tuple[str, Triple, list[Labels]]]:
    """Name, chunk shape, and the labels of each core that is not all background."""
    for name in SAMPLES:
        found = inspect(InspectRequest(f"sample:{name}"))
        threshold = Connectivity(float(str(found.suggested["threshold"]))).threshold
        cores = []
        with open_source(found.source, found.volume) as volume:
            for number in range(found.grid.size):
                core = volume.read(found.grid.core(number)) >= threshold
                if core.any() and core.shape == found.grid.chunk:
                    cores.append(components(core, 26).astype("<u4"))
        yield name, found.grid.chunk, cores
