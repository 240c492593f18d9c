"""Many canvases, one network: the questions of several flood fills go into one batch.

Each canvas goes on as soon as its own answer is there, and what becomes of it does not depend on which
others shared its batches, as long as the network treats the rows of a batch alike.  A batch that does
not fit into memory is halved and asked again, and later ones stay as small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.canvas import Canvas, Filled, Patch, Predict, Steps

EXHAUSTED = ("resourceexhausted", "out of memory", "outofmemory", "bad_alloc", "failed to allocate", "oom when")


class OutOfMemory(MemoryError):
    """Not even one field of view fits into memory: which, and what to do, in a sentence."""


def is_exhaustion(why: BaseException) -> bool:
    """Whether an exception says that memory did not suffice, in whichever library's words."""
    return isinstance(why, MemoryError) or any(word in f"{type(why).__name__}: {why}".lower() for word in EXHAUSTED)


class Halving:
    """A network whose batches are cut as small as memory asks for.  ``told`` hears of each halving, in a sentence."""

    def __init__(self, predict: Predict, most: int, told: Callable[[str], None] = lambda _: None) -> None:
        self._predict = predict
        self._told = told
        self.most = most
        """Rows of the largest batch that is tried."""

    def __call__(self, image: Patch, seed: Patch) -> Patch:
        """Predicts (batch, z, y, x).  Raises OutOfMemory if one row alone does not fit."""
        answers: list[Patch] = []
        at = 0
        while at < len(image):
            stop = min(at + self.most, len(image))
            try:
                answers.append(self._predict(image[at:stop], seed[at:stop]))
            except Exception as why:
                if not is_exhaustion(why):
                    raise
                self._halve(stop - at, image.shape[1:], why)
                continue
            at = stop
        return answers[0] if len(answers) == 1 else np.concatenate(answers)

    def _halve(self, rows: int, fov: tuple[int, ...], why: Exception) -> None:
        if rows <= 1:
            raise OutOfMemory(
                f"one field of view of {fov} does not fit into memory:"
                " take a smaller network, or fewer workers on this machine"
            ) from why
        self.most = rows // 2
        self._told(f"a batch of {rows} fields of view does not fit into memory; going on with {self.most}")


def fill_together(
    work: Sequence[tuple[Canvas, NDArray[np.integer[Any]]]],
    predict: Predict,
    batch: int = 1,
    beat: Callable[[], None] = lambda: None,
) -> list[Filled]:
    """Fills canvases of one field of view from their seeds, up to ``batch`` at a time; results in the order of
    ``work``.  ``beat`` is called before each batch."""
    done: dict[int, Filled] = {}
    waiting = [(number, canvas.steps(seeds)) for number, (canvas, seeds) in enumerate(work)][::-1]
    active: list[tuple[int, Steps, tuple[Patch, Patch]]] = []
    while waiting or active:
        while waiting and len(active) < batch:
            number, steps = waiting.pop()
            _advance(number, steps, None, active, done)
        if not active:
            continue
        beat()
        asked, active = active, []
        if len(asked) == 1:
            image, seed = asked[0][2]
            answers = predict(image[None], seed[None])
        else:
            answers = predict(
                np.stack([patches[0] for _, _, patches in asked]), np.stack([patches[1] for _, _, patches in asked])
            )
        for (number, steps, _), answer in zip(asked, answers, strict=True):
            _advance(number, steps, answer, active, done)
    return [done[number] for number in range(len(work))]


def _advance(
    number: int,
    steps: Steps,
    answer: Patch | None,
    active: list[tuple[int, Steps, tuple[Patch, Patch]]],
    done: dict[int, Filled],
) -> None:
    """Lets a canvas go on to its next question or to its end."""
    try:
        active.append((number, steps, next(steps) if answer is None else steps.send(answer)))
    except StopIteration as end:
        done[number] = end.value
