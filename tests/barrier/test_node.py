"""Two windows of one process: surfaces are made once, both windows show the same pixels, whatever the view; picks."""

from __future__ import annotations

from contextlib import closing

import msgspec
import numpy as np

from renderers.feed import Arrived, Started
from renderers.wall.burn import Burned
from renderers.wall.messages import Pick, Scene
from renderers.wall.studio import Studio
from streamer.wire.viewing import FieldLook, Placement, Plane, View
from tests.barrier.house import same_screen
from tests.renderers.runs import blobs, earth, piece_of, spec_of

WALL = same_screen(["a", "b"], size=(96, 54))
SPEC = msgspec.structs.replace(spec_of(earth((8, 18, 36)), (8, 9, 18)), layers=("field",), field_range=(0.0, 1.0))
LABELS = blobs(SPEC.grid.shape, level=0.66)
HOME = Placement((0.0, 0.0, -400.0), (-(0.5**0.5), 0.0, 0.0, 0.5**0.5), 600.0)


def views() -> list[View]:
    """One after the other, as people look."""
    plain = View(placement=HOME)
    change = msgspec.structs.replace
    return [
        plain,
        change(plain, planes=(Plane((0.0, 0.0, 0.0), (1.0, 0.0, 0.0)),)),
        change(plain, opacity=0.5),
        change(plain, field=FieldLook("slice"), time=3.0),
        change(plain, field=FieldLook("volume")),
        change(plain, mode="globe", time=3.0),
        change(plain, mode="map", time=4.0, field=FieldLook("slice")),
        change(plain, pattern=True),
        plain,
    ]


def test_two_windows_show_the_same_of_surfaces_that_are_made_once() -> None:
    with closing(Studio(WALL, ["a", "b"], offscreen=True, burn=False)) as studio:
        studio.happen(Started(SPEC, "e"), 0.0)
        pictures = []
        for number in range(SPEC.grid.size):
            piece = piece_of(SPEC.grid, number, LABELS, number)
            piece = piece._replace(field=np.full(SPEC.grid.core(number).shape, 40 * number + 30, np.uint8))
            studio.happen(Arrived(number, "chunk", 1, piece), 0.0)
            for view in views() if number + 1 == SPEC.grid.size else views()[:1]:
                scene = Scene(view, WALL.head)
                studio.ripen(scene)
                shown = []
                for painter in studio.painters.values():
                    painter.draw(scene, Burned(1, 1, 1), stale=False)
                    shown.append(painter.pixels().copy())
                pictures.append(shown[0])
                if not view.pattern:  # there each tile says its own name
                    assert np.array_equal(shown[0], shown[1]), view
        assert all(picture.max() > 60 for picture in pictures)
        assert np.array_equal(pictures[-1], pictures[-9])
        assert len({picture.tobytes() for picture in pictures[-9:]}) == 8
        theatre = studio._scene.theatre
        assert theatre is not None
        assert theatre.extractions == SPEC.grid.size


def test_a_tile_says_which_object_a_ray_meets_how_large_it_is_and_when() -> None:
    with closing(Studio(WALL, ["a"], offscreen=True, burn=False)) as studio:
        studio.happen(Started(SPEC, "e"), 0.0)
        cube = np.zeros(SPEC.grid.shape, np.uint32)
        cube[2:6, 4:14, 10:26] = 1  # through all four chunks
        sizes = 0
        for number in range(SPEC.grid.size):
            piece = piece_of(SPEC.grid, number, cube, number)
            sizes += int(piece.voxels[1 : piece.own + 1].sum())
            studio.happen(Arrived(number, "chunk", 1, piece), 0.0)
        studio.ripen(Scene(View(), WALL.head))
        down = studio.pick(Pick(5, (0.0, 0.0, 3.0), (0.0, 0.0, -1.0)))
        assert down.request == 5
        assert down.object_id > 0
        assert (down.first, down.last) == (2, 5)
        assert 0 < down.voxels <= sizes == cube.sum()
        assert studio.pick(Pick(6, (0.0, 0.0, 3.0), (0.0, 0.0, 1.0))).object_id == 0
        assert studio.pick(Pick(7, (5.0, 5.0, 3.0), (0.0, 0.0, -1.0))).object_id == 0
