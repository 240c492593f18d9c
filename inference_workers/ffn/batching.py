"""Many canvases, one network: the questions of several flood fills go into one batch.

Each canvas goes on as soon as its own answer is there, and what becomes of it does not depend on which
others shared its batches, as long as the network treats the rows of a batch alike.  (A batch that does
not fit into memory is halved by the network itself.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.canvas import Canvas, Filled, Patch, Predict, Steps


class _Asked(NamedTuple):
    number: int
    steps: Steps
    image: Patch
    seed: Patch


def fill_together(
    work: Sequence[tuple[Canvas, NDArray[np.integer[Any]]]],
    predict: Predict,
    batch: int = 1,
    beat: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, Filled]]:
    """Fills canvases of one field of view from their seeds, up to ``batch`` at a time.  Yields the place in ``work``
    and what became of each as soon as it is full.  ``beat`` is called before each batch."""
    waiting = [(number, canvas.steps(seeds)) for number, (canvas, seeds) in enumerate(work)][::-1]
    active: list[_Asked] = []
    while waiting or active:
        while waiting and len(active) < batch:
            number, steps = waiting.pop()
            try:
                active.append(_Asked(number, steps, *next(steps)))
            except StopIteration as end:
                yield number, end.value
        if not active:
            continue
        beat()
        shape = (len(active), *active[0].image.shape)
        images, seeds = np.empty(shape, np.float32), np.empty(shape, np.float32)
        for row, asked in enumerate(active):
            images[row], seeds[row] = asked.image, asked.seed
        answers = predict(images, seeds)
        going = []
        for asked, answer in zip(active, answers, strict=True):
            try:
                going.append(_Asked(asked.number, asked.steps, *asked.steps.send(answer)))
            except StopIteration as end:
                yield asked.number, end.value
        active = going
