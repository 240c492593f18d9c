"""Many canvases, one network."""

from __future__ import annotations

import numpy as np

from inference_workers.ffn.batching import fill_together
from inference_workers.ffn.canvas import Canvas, Filled
from inference_workers.ffn.seeds import maxima
from inference_workers.ffn.settings import FloodFillSettings
from tests.ffn.growing import GrowingNetwork, blobs

SETTINGS = FloodFillSettings(fov=(3, 5, 5), deltas=(1, 2, 2), min_segment_size=1)
IMAGES = [blobs((10, 18, 20 + 4 * i), seed=i, sigma=1.3) - 0.5 for i in range(5)] + [
    np.full((8, 16, 20), -1.0, np.float32)
]


def fill(batch: int) -> tuple[list[Filled], GrowingNetwork, int]:
    network, beats = GrowingNetwork(), [0]
    work = [(Canvas(image, network.predict, SETTINGS), maxima(image, 0.0)) for image in IMAGES]

    def beat() -> None:
        beats[0] += 1

    done = dict(fill_together(work, network.predict, batch, beat))
    return [done[number] for number in range(len(IMAGES))], network, beats[0]


def test_what_becomes_of_a_canvas_does_not_depend_on_who_shares_its_batches() -> None:
    alone = [Canvas(image, GrowingNetwork().predict, SETTINGS).segment(maxima(image, 0.0)) for image in IMAGES]
    for batch in (1, 2, 3, 16):
        together, _, _ = fill(batch)
        for one, other in zip(alone, together, strict=True):
            assert np.array_equal(one.labels, other.labels)
            assert np.array_equal(one.trace, other.trace)
            assert one.origins == other.origins


def test_batches_are_as_full_as_there_are_canvases_and_never_fuller_than_allowed() -> None:
    filled, network, beats = fill(3)
    assert max(network.batches) == 3
    assert sum(network.batches) == sum(each.iterations for each in filled)
    assert len(network.batches) == beats, "a beat before each batch"
    # A place that becomes free is taken at once, so only the end runs with fewer.
    assert all(size == 3 for size in network.batches[: len(network.batches) // 2])


def test_a_canvas_without_seeds_is_full_at_once() -> None:
    network = GrowingNetwork()
    done = list(
        fill_together([(Canvas(IMAGES[-1], network.predict, SETTINGS), np.empty((0, 3), int))], network.predict)
    )
    assert [number for number, _ in done] == [0]
    assert not done[0][1].labels.any()
    assert not network.batches
