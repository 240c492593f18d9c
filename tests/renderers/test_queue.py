"""The nearest surfaces are drawn first, by where the eye is and by nothing else."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from vtkmodules.vtkRenderingCore import vtkActor, vtkRenderer

from renderers.vtk_queue import Queue
from streamer.wire.viewing import Vec3

SIDE = 4
HALF: Vec3 = (0.8, 0.4, 0.2)


def middle(chunk: int) -> Vec3:
    x, y, z = ((index + 0.5) / SIDE * 2 - 1 for index in np.unravel_index(chunk, (SIDE, SIDE, SIDE)))
    return float(x) * HALF[0], float(y) * HALF[1], float(z) * HALF[2]


class Stand:
    """A queue of some chunks in a renderer that has something else as well."""

    def __init__(self, chunks: list[int]) -> None:
        self.renderer = vtkRenderer()
        self.other = vtkActor()
        self.renderer.AddActor(self.other)
        self.queue = Queue(self.renderer)
        self.queue.stand(HALF, middle)
        self.actors = {chunk: vtkActor() for chunk in chunks}
        for chunk, actor in self.actors.items():
            self.queue.enter(chunk, 0, actor)

    def drawn(self) -> list[int]:
        """The chunks in the order in which they are drawn."""
        props = list(self.renderer.GetViewProps())
        assert props[-1] is self.other, "whatever else there is comes after them"
        names = {actor: chunk for chunk, actor in self.actors.items()}
        return [names[prop] for prop in props[:-1]]


@pytest.mark.parametrize("eye", [(3.0, 0.1, 0.1), (-0.3, -4.0, 2.0), (0.05, 0.05, 9.0), (0.1, 0.1, 0.05)])
def test_no_chunk_comes_before_one_that_may_hide_it(eye: Vec3) -> None:
    stand = Stand(list(range(SIDE**3)))
    stand.queue.face(eye)
    place = {chunk: at for at, chunk in enumerate(stand.drawn())}
    seen = [half * round(2 * min(1, max(-1, at / half))) / 2 for at, half in zip(eye, HALF, strict=True)]
    for one, other in product(place, repeat=2):
        near, far = (np.abs(np.subtract(middle(chunk), seen)) for chunk in (one, other))
        if (near <= far + 1e-12).all() and (near < far - 1e-9).any():
            assert place[one] < place[other]


def test_the_order_does_not_depend_on_which_came_first_or_where_the_eye_was() -> None:
    one, other = Stand([3, 60, 17, 8]), Stand([8, 17, 60, 3])
    one.queue.face((-5.0, 2.0, 1.0))
    for stand in (one, other):
        stand.queue.face((2.0, -3.0, 0.4))
    late = vtkActor()
    for stand in (one, other):
        stand.actors[33] = late
        stand.queue.enter(33, 0, late)
    assert one.drawn() == other.drawn()


def test_what_leaves_is_gone_and_may_come_back() -> None:
    stand = Stand([1, 2, 3])
    stand.queue.face((2.0, 0.0, 0.0))
    before = stand.drawn()
    actor = stand.actors.pop(2)
    stand.queue.leave(2, 0)
    assert stand.drawn() == [chunk for chunk in before if chunk != 2]
    stand.actors[2] = actor
    stand.queue.enter(2, 0, actor)
    assert stand.drawn() == before
