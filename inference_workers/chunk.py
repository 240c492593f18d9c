"""One chunk's way through a worker: read with all that lies around it; labelled, measured and packed.

Says nothing to anybody: when this is done, and for whom, is the node's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from inference_workers.segmenter import Block, Labelling, Segmenter
from inference_workers.statistics import measure, with_layers
from streamer.wire.block import pack
from streamer.wire.grid import Box, triple
from streamer.wire.messages import Commit, Lease
from streamer.wire.volume import RunSpec


class Tools(NamedTuple):
    """What is needed to work on the chunks of a run."""

    spec: RunSpec
    source: Any
    """An ``inference_workers.source.opened.OpenVolume``."""
    segmenter: Segmenter


def read_block(tools: Tools, chunk: int, beat: Callable[[], None]) -> Block:
    """A chunk with its pad and the halo that the segmenter wants.  Raises InputError."""
    grid, halo = tools.spec.grid, tools.segmenter.halo
    core, shape = grid.core(chunk), grid.block_shape(chunk)
    box = Box(
        triple(a - h for a, h in zip(core.start, halo, strict=True)),
        triple(a + n + h for a, n, h in zip(core.start, shape, halo, strict=True)),
    )
    _, y, x = (slice(a, a + n) for a, n in zip(core.start, shape, strict=True))
    inner = Box(halo, triple(h + n for h, n in zip(halo, shape, strict=True)))
    areas = tools.source.cell_area_km2(y, x)
    return Block(grid, chunk, tools.spec.volume, tools.source.read(box), inner, areas, beat)


def finish(
    tools: Tools, lease: Lease, block: Block, labelling: Labelling, read_s: float, began: float
) -> tuple[Commit, list[bytes]]:
    """A labelled block as a commit; ``began`` is when its segmentation did.  Raises ValueError."""
    done = with_layers(tools.spec, block, labelling, measure(block, labelling))
    return pack(
        tools.spec.grid, lease.chunk, lease.lease, done,
        read_s=read_s, segment_s=time.monotonic() - began, layers=tools.spec.layers,
    )  # fmt: skip
