"""The network that ships: what it has seen, how large it is, and how good it is where it has seen nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.components import connected, lasting
from inference_workers.ffn.demo_model import located, path
from inference_workers.ffn.file import read_config
from inference_workers.ffn.measures import by_objects, by_voxels, contingency
from inference_workers.ffn.segmenter import Ffn, Flooding
from inference_workers.segmenter import Block
from inference_workers.source import InspectRequest, inspect, open_source
from streamer.wire.grid import Box, Flags, Grid
from streamer.wire.volume import Volume

SEEN = 160
THRESHOLD = 500.0


def segmented(sample: str, first: int) -> tuple[NDArray[np.uint32], NDArray[np.floating[Any]], Volume]:
    """What the model makes of a sample from step ``first`` on, as one chunk, and the field there."""
    found = inspect(InspectRequest(f"sample:{sample}"))
    nz, ny, nx = found.volume.shape
    nz -= first
    periodic: Flags = found.grid.periodic
    segmenter = Ffn(Flooding(model="demo", backend="tensorflow"))
    pad = 1 if periodic[2] else 0
    z, y, x = segmenter.halo
    with open_source(found.source, found.volume) as opened:
        field = opened.read(Box((first, -y, -x), (first + nz, ny + y, nx + pad + x)))
    # Nothing before the first step is looked at: the model has seen it.
    field = np.pad(field, ((z, z), (0, 0), (0, 0)), constant_values=np.nan)
    inner = Box((z, y, x), (z + nz, y + ny, x + nx + pad))
    grid = Grid((nz, ny, nx), (nz, ny, nx), periodic)
    block = Block(grid, 0, found.volume, field, inner, None, lambda: None)
    labels = segmenter.segment(block).labels.copy()
    if pad:  # the last column is the first one again
        same = (labels[:, :, 0] > 0) & (labels[:, :, -1] > 0)
        pairs = np.unique(np.stack([labels[:, :, 0][same], labels[:, :, -1][same]], axis=1), axis=0)
        for one, other in pairs.tolist():
            labels[labels == max(one, other)] = min(one, other)
        labels = labels[:, :, :-1]
    return labels.astype(np.uint32), field[inner.slices][:, :, :nx], found.volume


def test_the_model_is_small_and_says_what_it_has_seen() -> None:
    assert path().stat().st_size < 3_000_000
    training = read_config(path()).training
    assert training is not None
    assert (training.source, training.steps) == ("sample:rivers", [(0, SEEN)])
    assert training.labels == "connect ≥ 500, 26 neighbours, at least 24 h"
    assert msgspec.json.decode(msgspec.json.encode(Flooding(model="demo")))["model"] == str(path())
    assert located("./demo").name == "demo", "a file of that name is asked for by a path"
    assert located("./demo") != path()


def test_on_days_that_it_has_never_seen_it_finds_what_connect_finds() -> None:
    labels, field, volume = segmented("rivers", SEEN)
    hours = volume.axes[0].widths[SEEN:]
    truth = lasting(connected(field >= THRESHOLD, 26, (False, False, True)), hours, 24)
    table = contingency(lasting(labels, hours, 24), truth)
    voxels, objects = by_voxels(table), by_objects(table)
    assert voxels.f1 is not None
    assert voxels.iou is not None
    assert objects.f1 is not None
    assert voxels.f1 >= 0.92
    assert voxels.iou >= 0.85
    assert objects.f1 >= 0.75


def test_on_a_real_flood_it_finds_what_connect_finds() -> None:
    labels, field, _ = segmented("flood2021", 0)
    voxels = by_voxels(contingency(labels, connected(field >= THRESHOLD)))
    assert voxels.f1 is not None
    assert voxels.f1 >= 0.85
