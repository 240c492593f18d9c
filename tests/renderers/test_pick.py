"""Under the pointer, in cube, globe and map: the object that is seen there is the one that the labels name there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from renderers.camera import eye_of
from renderers.dates import moment
from renderers.entries import Arrived, Event, Started
from renderers.pick import Hit, Solid, pick
from renderers.picture import Pixels
from renderers.reading import Found, Value, lifetime_of, place_of, written
from renderers.show import Show
from renderers.vtk_window import open_window
from renderers.wall.burn import Burned
from renderers.wall.framing import MAX_NOTE, decode, encode
from renderers.wall.messages import Pick, Picked, Scene
from renderers.wall.picking import answer
from renderers.wall.scenery import words
from renderers.wall.studio import Studio
from streamer.wire.block import Ids
from streamer.wire.codec import Labels
from streamer.wire.grid import Triple
from streamer.wire.header import MAX_HEADER
from streamer.wire.layers import quantise
from streamer.wire.view import Camera
from streamer.wire.viewing import Mode, Placement, Plane, Vec3, View
from streamer.wire.volume import RunSpec
from tests.barrier.house import same_screen
from tests.renderers.runs import blobs, coarse_of, earth, pairs, piece_of, plain, spec_of

SIDE = 240
SHAPE: Triple = (16, 18, 36)
RANGE = (100.0, 300.0)
CAMERAS = {
    "cube": Camera(-0.7, 0.6, 3.0, (0.0, 0.0, 0.0)),
    "globe": Camera(0.5, 0.4, 2.8, (0.0, 0.0, 0.0)),
    "map": Camera(-1.5, 0.9, 2.6, (0.0, 0.0, 0.0)),
}


class Truth:
    """A run of which all is known: labels with run-wide ids, and the field as it was measured."""

    def __init__(self) -> None:
        base = replace(spec_of(earth(SHAPE), (8, 9, 9), (False, False, True)), layers=("field",), field_range=RANGE)
        self.spec: RunSpec = base
        self.labels: Labels = blobs(SHAPE, seed=4, level=0.8)
        self.ids: Ids = _run_wide(self.labels)
        rng = np.random.default_rng(9)
        self.field: NDArray[np.float64] = rng.uniform(*RANGE, SHAPE)

    def show(self, window: Any, *, coarse: bool = False) -> Show:
        """The run, merged, in a window."""
        show = Show(window)
        for event in self.events(coarse=coarse):
            show.happen(event, 0.0)
        while show.tidy(9.0):
            pass
        return show

    def events(self, *, coarse: bool = False) -> Iterator[Event]:
        """The run, as its feed would bring it."""
        grid, merges = self.spec.grid, set()
        yield Started(self.spec, "e")
        bytes_ = quantise(self.field, RANGE)
        for chunk in range(grid.size):
            whole = piece_of(grid, chunk, self.labels)
            piece = coarse_of(grid, chunk, self.labels) if coarse else whole
            yield Arrived(chunk, "chunk", 0, piece=piece._replace(field=bytes_[grid.core(chunk).slices]))
            for one in whole.ids.tolist():
                speaks = int(self.ids.ravel()[one - 1])
                merges |= {(speaks, one)} if speaks != one else set()
        yield Arrived(grid.size, "merges", 0, pairs=pairs(*sorted(merges)))


def _run_wide(labels: Labels) -> Ids:
    """1 + the lowest voxel of each object, across the date line too; (z, y, x)."""
    named = labels.astype(np.int64)
    wrapped = np.concatenate([named[:, :, -1:], named[:, :, :1]], axis=2)
    joined = True
    while joined:
        joined = False
        for z, y in np.argwhere(wrapped[:, :, 0] > 0):
            here = named[max(0, z - 1) : z + 2, max(0, y - 1) : y + 2, 0]
            for other in np.unique(here[here > 0]):
                mine = named[z, y, -1]
                if other != mine:
                    named[named == max(mine, other)] = min(mine, other)
                    joined = True
    ids = np.zeros(labels.shape, np.uint64)
    for label in np.unique(named[named > 0]):
        ids[named == label] = 1 + int(np.flatnonzero(named.ravel() == label)[0])
    return ids


TRUTH = Truth()
THERE = np.unique(TRUTH.ids[TRUTH.ids > 0]).tolist()
MODES: tuple[Mode, ...] = ("cube", "globe", "map")


@pytest.fixture(scope="module")
def window() -> Iterator[Any]:
    opened = open_window(SIDE, SIDE)
    yield opened
    opened.Finalize()


@pytest.fixture(scope="module")
def run(window: Any) -> Iterator[Show]:
    show = TRUTH.show(window)
    yield show
    assert show.theatre is not None
    show.theatre.close()


def picture(show: Show, view: View, camera: Camera, level: int = 0) -> Pixels:
    show.look(view)
    show.ripen()
    return show.draw(camera, SIDE, SIDE, level=level).copy()


def ray(show: Show, camera: Camera, column: float, row: float) -> tuple[Vec3, Vec3]:
    """From the eye through a pixel, counted from the upper left corner."""
    assert show.theatre is not None
    eye = eye_of(camera)
    back = np.linalg.inv(show.theatre._stage.look(eye, SIDE, SIDE))
    there = back @ np.array([2 * (column + 0.5) / SIDE - 1, 1 - 2 * (row + 0.5) / SIDE, 0.0, 1.0])
    along = there[:3] / there[3] - eye.position
    x, y, z = (along / np.linalg.norm(along)).tolist()
    return eye.position, (x, y, z)


CUTS = (Plane((-0.2, 0.0, 0.0), (0.8, -0.6, 0.0)), Plane((0.0, 0.3, 0.0), (0.0, -1.0, 0.2)))
VIEWS = {
    "all": View(time=6.0),
    "window": View(time=6.0, window=(3, 11)),
    "newest": View(window=(2, 9.4)),
    "planes": View(time=6.0, planes=CUTS),
}


def silhouettes(show: Show, view: View, camera: Camera) -> NDArray[np.int64]:
    """Which object is seen in each pixel, by what marks change: a bit of its place among all for each; 0: none."""
    plainly = picture(show, replace(view, selected=()), camera).astype(int)
    seen = np.zeros((SIDE, SIDE), np.int64)
    for bit in range(len(THERE).bit_length()):
        others = tuple(one for place, one in enumerate(THERE, start=1) if not place >> bit & 1)
        # Marked objects are lighter than plain ones, all others darker.
        marked = picture(show, replace(view, selected=others), camera).astype(int)
        seen |= np.where((marked - plainly).sum(axis=2) < -8, 1 << bit, 0)
    return np.array([0, *THERE, *[0] * len(THERE)])[seen]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", VIEWS)
def test_what_is_picked_is_what_is_seen_and_what_the_labels_name(run: Show, mode: Mode, name: str) -> None:
    camera, view = CAMERAS[mode], replace(VIEWS[name], mode=mode)
    seen = silhouettes(run, view, camera)
    run.look(view)
    rng = np.random.default_rng(1)
    found = missed = strange = 0
    first, last = (0, SHAPE[0] - 1) if view.window is None else view.window
    for column, row in rng.integers(1, SIDE - 1, (1500, 2)).tolist():
        around = np.unique(seen[row - 1 : row + 2, column - 1 : column + 2])
        if len(around) > 1:
            continue  # at an edge a pixel's middle may lie on either side
        here = int(around[0])
        got = run.pick(*ray(run, camera, column, row))
        if got is None:
            missed += here != 0
            continue
        found += 1
        strange += got.object_id != here
        assert TRUTH.ids[got.place.voxel] == got.object_id
        # What begins a step outside the window may reach into it by less than half a voxel, as it is softened.
        assert first - 1 <= got.place.voxel[0] <= last + 1
        if mode != "cube":
            assert got.place.voxel[0] == (6 if name != "newest" else 9)
    assert found > 25, "objects are in sight"
    assert (missed, strange) == (0, 0)


@pytest.mark.parametrize("mode", MODES)
def test_what_is_left_alone_is_found_alone_and_what_is_not_shown_is_not_found(run: Show, mode: Mode) -> None:
    camera, view = CAMERAS[mode], View(mode, time=6.0)
    picture(run, view, camera)
    rays = [ray(run, camera, column, row) for column in range(20, SIDE, 9) for row in range(20, SIDE, 9)]
    first = [run.pick(*one) for one in rays]
    ids = [got.object_id for got in first if got is not None]
    most = max(set(ids), key=ids.count)
    picture(run, replace(view, selected=(most,), isolate=True), camera)
    alone = [run.pick(*one) for one in rays]
    assert {got.object_id for got in alone if got is not None} == {most}
    assert all(after is not None for before, after in zip(first, alone, strict=True) if before and before[0] == most)
    picture(run, replace(view, labels=False), camera)
    assert not any(run.pick(*one) for one in rays)


def chunk_of(voxel: Triple) -> int:
    z, y, x = (at // side for at, side in zip(voxel, TRUTH.spec.grid.chunk, strict=True))
    return TRUTH.spec.grid.number((z, y, x))


@pytest.mark.parametrize("coarse", [False, True])
def test_a_coarse_surface_is_found_too(window: Any, coarse: bool) -> None:
    show = TRUTH.show(window, coarse=coarse)
    picture(show, View(), CAMERAS["cube"], level=1)
    found = [show.pick(*ray(show, CAMERAS["cube"], at, at)) for at in range(30, SIDE - 30, 3)]
    hits = [got for got in found if got is not None]
    assert len(hits) > 20
    for got in hits:
        start = TRUTH.spec.grid.core(chunk_of(got.place.voxel)).start
        # Until the whole has come nobody knows which voxels of a coarse cell are the object's.
        cell = tuple(
            slice(a, a + 1) if not coarse else slice(o + (a - o) // 2 * 2, o + (a - o) // 2 * 2 + 2)
            for a, o in zip(got.place.voxel, start, strict=True)
        )
        assert got.object_id in TRUTH.ids[cell]
    assert show.theatre is not None
    show.theatre.close()


def test_the_field_under_the_pointer_is_told_as_well_as_it_is_known_and_so_is_the_place(run: Show) -> None:
    camera = CAMERAS["map"]
    picture(run, View("map", time=6.0), camera)
    got = next(
        found
        for at in range(20, SIDE * (SIDE - 20), 53)
        if (found := run.pick(*ray(run, camera, at % SIDE, at // SIDE))) is not None
    )
    z, y, x = got.place.voxel
    value = got.place.value
    assert value is not None
    assert abs(value.value - TRUTH.field[z, y, x]) <= value.within == pytest.approx(200 / 254 / 2)
    axes = TRUTH.spec.volume.axes
    assert got.place.coordinates == (18.0, axes[1].points[y], axes[2].points[x])
    assert got.place.words[0] == "1959-01-02 18:00"
    assert got.place.words[1].endswith(("°N", "°S"))
    assert got.place.words[2].endswith(("°E", "°W"))
    steps = np.flatnonzero((TRUTH.ids == got.object_id).any(axis=(1, 2)))
    assert (got.first, got.last) == (steps[0], steps[-1])
    assert got.voxels == (TRUTH.ids == got.object_id).sum()
    assert got.lifetime.endswith(f", {3 * (steps[-1] - steps[0] + 1)} h")
    assert (got.variable, got.units) == ("ivt", "kg m-1 s-1")


def test_a_value_is_written_with_the_digits_that_are_known() -> None:
    assert written(Value(312.4567, 1.18), "kg m-1 s-1") == "312.5 ± 1.2 kg m-1 s-1"
    assert written(Value(312.4567, 23.0), "1") == "312 ± 23"
    assert written(Value(0.0123456, 0.00004), "m") == "0.012346 ± 4e-05 m"
    assert written(Value(1000.0, 1.0, 1), "K") == "at least 1000.0 K"
    assert written(Value(-3.0, 1.0, -1), "K") == "at most -3.0 K"
    spec = TRUTH.spec
    assert place_of(spec, (0, 0, 0), 0, moment).value is None, "there is nothing"
    assert place_of(spec, (0, 0, 0), None, moment).value is None, "nothing has come"
    clipped = place_of(spec, (0, 0, 0), 255, moment).value
    assert clipped is not None
    assert clipped.beyond == 1
    assert clipped.value <= 300.0
    tissue = spec_of(plain((4, 4, 4)), (4, 4, 4))
    assert place_of(tissue, (1, 2, 3), 7, moment) == ((1, 2, 3), (1.0, 2.0, 3.0), ("z 1 um", "y 2 um", "x 3 um"), None)
    assert lifetime_of(tissue, 1, 3, moment) == "z 1 um to z 3 um"
    assert lifetime_of(spec, 1, 1, moment) == "1959-01-02 03:00, 3 h"


def test_what_a_tile_answers_fits_into_a_header_whatever_the_data_are_called() -> None:
    place = place_of(TRUTH.spec, (15, 17, 35), 200, moment)
    long = "水汽输送" * 50 + "\n" * 9
    found = Found(2**62, 2**52, 10**9, 10**9, long, long, long, place._replace(words=(long, long, long)))
    said = answer(2**50, found)
    assert len(encode(said)) <= MAX_HEADER
    assert decode([encode(said)]).message == said
    assert len(words(said)) <= MAX_NOTE
    assert words(said).count("\n") == 4
    ordinary = answer(1, Found(77, 12345, 3, 9, "1959-01-02 to 1959-01-03, 9 h", "ivt", "kg m-1 s-1", place))
    assert words(ordinary).splitlines()[2:] == [
        "1959-01-02 to 1959-01-03, 9 h",
        "here: 1959-01-03 21:00, 85°N, 10°W",
        "ivt 256.69 ± 0.39 kg m-1 s-1",
    ]


def test_a_tile_says_what_is_under_a_ray_on_the_globe_and_shows_it_in_its_corner() -> None:
    wall = same_screen(["a"], size=(320, 180))
    view = View("globe", Placement((0.0, 0.0, -1200.0), size=700.0), time=6.0)
    with closing(Studio(wall, ["a"], offscreen=True, burn=False)) as studio:
        for event in TRUTH.events():
            studio.happen(event, 0.0)
        studio.ripen(Scene(view, wall.head))
        row, column = np.argwhere(TRUTH.ids[6] > 0)[3]
        lat, lon = (np.radians(TRUTH.spec.volume.axes[i].points[at]) for i, at in ((1, row), (2, column)))
        out = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        x, y, z = (3 * out).tolist()
        picked = studio.pick(Pick(7, (x, y, z), (-x / 3, -y / 3, -z / 3)))
        assert picked.voxel == (6, row, column)
        assert picked.object_id == TRUTH.ids[6, row, column]
        assert picked.value is not None
        assert abs(picked.value - TRUTH.field[6, row, column]) <= picked.within
        assert picked.place[0] == "1959-01-02 18:00"
        assert studio.pick(Pick(8, (x, y, z), (x / 3, y / 3, z / 3))) == Picked(8)
        shown = []
        for note in ("", words(picked)):
            painter = studio.painters["a"]
            painter.draw(Scene(view, wall.head, note=note, noted="middle"), Burned(1, 1, 1), stale=False)
            shown.append(painter.pixels().astype(int).copy())
        rows, columns = np.nonzero(np.abs(shown[0] - shown[1]).max(axis=2))
        assert rows.min() > 90, "it stands in the lower left corner"
        assert columns.min() == 0
        assert rows.max() == 179


def test_the_nearest_triangle_counts_and_what_is_cut_away_or_turned_away_does_not() -> None:
    def sheet(chunk: int, z: float, *, inside: bool = True) -> Solid:
        points = np.array([[-1, -1, z], [1, -1, z], [0, 1, z]], np.float32)
        return Solid(chunk, points, np.array([1, 1, 1], np.uint32), np.array([[0, 1, 2]]), inside)

    def ids(chunk: int) -> Ids:
        return np.array([0, 100 + chunk], np.uint64)

    def met(hit: Hit | None) -> tuple[int, float] | None:
        return None if hit is None else hit[:2]

    solids = [sheet(2, 0.5), sheet(1, 0.0), sheet(3, -0.5)]
    start, down, up = (0.0, 0.0, 2.0), (0.0, 0.0, -1.0), (0.0, 0.0, 1.0)
    assert pick(solids, ids, start, down) == Hit(102, 1.5, 2, 1)
    assert met(pick(solids, ids, start, down, [Plane((0.0, 0.0, 0.2), down)])) == (101, 2.0)
    assert met(pick(solids, ids, (0.0, 0.0, -2.0), up)) == (103, 1.5)
    assert met(pick([sheet(1, 0.0), sheet(3, -0.5, inside=False)], ids, (0.0, 0.0, -2.0), up)) == (101, 2.0)
    assert met(pick([sheet(1, 0.0, inside=False)], ids, start, down)) == (101, 2.0)
    assert pick(solids, ids, (3.0, 0.0, 2.0), down) is None
    assert pick([], ids, start, down) is None
