"""One view, many ways to look: time, windows, planes, marks, glass and field, in real pictures of real runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from renderers.camera import eye_of
from renderers.entries import Arrived, Started
from renderers.geometry import room_of
from renderers.glance import glance
from renderers.layout import project
from renderers.legend import Facts, arrange
from renderers.picture import Pixels
from renderers.show import Show
from renderers.staging import box_of, cuts, shown_step, staging
from renderers.vtk_window import open_window
from streamer.wire.codec import Labels
from streamer.wire.colour import object_colour
from streamer.wire.view import Camera
from streamer.wire.viewing import FieldLook, ObjectLook, Placement, Plane, View
from streamer.wire.volume import RunSpec
from tests.renderers.runs import earth, pairs, piece_of, plain, spec_of

SIDE = 320
SHAPE = (16, 18, 36)
ABOVE = Camera(0.0, np.pi / 2, 3.6, (0.0, 0.0, 0.0))
BARE = Facts("", 1, 1, 0, "complete", ())


@pytest.fixture(scope="module")
def window() -> Iterator[Any]:
    opened = open_window(SIDE, SIDE)
    yield opened
    opened.Finalize()


def with_field(spec: RunSpec) -> RunSpec:
    return RunSpec(
        spec.run_id, spec.source, spec.volume, spec.grid, spec.segmenter, layers=("field",), field_range=(100.0, 300.0)
    )


def two_boxes() -> Labels:
    """One object early in the west, one late in the east."""
    labels = np.zeros(SHAPE, np.uint32)
    labels[1:7, 6:12, 5:13] = 1
    labels[9:15, 6:12, 23:31] = 2
    return labels


IDS = tuple(1 + int(np.flatnonzero(two_boxes().ravel() == label)[0]) for label in (1, 2))
PLACES = ((4.0, 9.0, 9.0), (12.0, 9.0, 27.0))
"""In the middle of each, (z, y, x)."""


def show_of(window: Any, spec: RunSpec, labels: Labels, field: NDArray[np.uint8] | None = None) -> Show:
    show = Show(window)
    show.happen(Started(spec), 0.0)
    for chunk in range(spec.grid.size):
        part = None if field is None else field[spec.grid.core(chunk).slices]
        piece = piece_of(spec.grid, chunk, labels)._replace(field=part)
        show.happen(Arrived(chunk, "chunk", 0, piece=piece), 0.0)
    while show.tidy(9.0):
        pass
    return show


@pytest.fixture
def show(window: Any) -> Iterator[Show]:
    field = np.full(SHAPE, 128, np.uint8)
    made = show_of(window, with_field(spec_of(earth(SHAPE), SHAPE, (False, False, True))), two_boxes(), field)
    yield made
    assert made.theatre is not None
    made.theatre.close()


def picture(show: Show, view: View, camera: Camera = ABOVE) -> Pixels:
    assert show.theatre is not None
    show.look(view)
    show.ripen()
    return show.theatre.draw(camera, SIDE, SIDE, BARE).copy()


def pixel(show: Show, shot: Pixels, place: tuple[float, float, float], camera: Camera = ABOVE) -> NDArray[np.uint8]:
    """What is seen in the cube where a voxel is."""
    assert show.theatre is not None
    matrix = show.theatre._stage.look(eye_of(camera), SIDE, SIDE)
    column, row = project(show.theatre.room.points(np.array([place])).astype(float), matrix, SIDE, SIDE)[0]
    seen: NDArray[np.uint8] = shot[SIDE - 1 - int(row), int(column)]
    return seen


def like(seen: Any, colour: tuple[int, int, int]) -> bool:
    """Whether a pixel has a colour's hue, in whatever light."""
    a, b = np.array(seen, float), np.array(colour, float)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) > 0.985 and float(a.max()) > 50


def has(shot: Pixels, object_id: int) -> int:
    """How many pixels have an object's colour."""
    flat = shot.reshape(-1, 3).astype(float)
    colour = np.array(object_colour(object_id), float)
    alike = flat @ colour / (np.linalg.norm(flat, axis=1) * np.linalg.norm(colour) + 1e-9) > 0.992
    return int((alike & (flat.max(axis=1) > 60)).sum())


@pytest.mark.parametrize("mode", ["globe", "map"])
def test_a_step_on_earth_is_that_of_the_time_cursor(show: Show, mode: Any) -> None:
    camera = Camera(np.radians(90 + 90), 0.0, 4.0, (0, 0, 0)) if mode == "globe" else ABOVE
    west, east = IDS
    early, late = (picture(show, View(mode, time=time), camera) for time in (3.0, 12.4))
    assert has(early, west) > 100
    assert has(early, east) == 0
    if mode == "map":
        assert has(late, east) > 100
    assert has(late, west) == 0
    assert show.theatre is not None
    show.look(View(mode))
    assert show.theatre.step == 14, "the newest with something in it"
    assert show.theatre.moment == "1959-01-03 18:00"
    show.look(View(mode, window=(2, 5)))
    assert show.theatre.step == 5


def test_a_merge_and_a_late_chunk_change_the_step_that_is_shown(window: Any) -> None:
    labels, spec = two_boxes(), spec_of(earth(SHAPE), (16, 18, 18), (False, False, True))
    labels[1:7, 6:12, 23:31] = 2
    show = Show(window)
    show.look(View("map", time=3))
    show.happen(Started(spec), 0.0)
    ids = (int(piece_of(spec.grid, 0, labels).ids[0]), int(piece_of(spec.grid, 1, labels).ids[0]))
    seen = []
    for number, chunk in enumerate((1, 0)):
        show.happen(Arrived(number, "chunk", 0, piece=piece_of(spec.grid, chunk, labels)), 0.0)
        seen.append([has(show.draw(ABOVE, SIDE, SIDE), i) for i in ids])
    show.happen(Arrived(2, "merges", 0, pairs=pairs(ids)), 0.0)
    seen.append([has(show.draw(ABOVE, SIDE, SIDE), i) for i in ids])
    (before, alone), (west, east), (both, gone) = seen
    assert (before, gone) == (0, 0)
    assert min(alone, west, east) > 100
    assert both > 1.8 * west
    assert show.theatre is not None
    stands = show.theatre._layers.stands
    show.draw(ABOVE, SIDE, SIDE)
    assert show.theatre._layers.stands == stands, "what is as it was is not made again"
    show.theatre.close()


def test_views_are_changed_without_making_a_surface_again_and_back(show: Show) -> None:
    assert show.theatre is not None
    first = picture(show, View())
    made = show.theatre.extractions
    others = (View("globe"), View("map", time=3), View(opacity=0.3), View(field=FieldLook("volume")),
              View(planes=(Plane((0, 0, 0), (1, 0, 0)),)), View(selected=IDS[:1]))  # fmt: skip
    for other in others:
        assert not np.array_equal(picture(show, other), first)
    assert np.array_equal(picture(show, View()), first)
    assert show.theatre.extractions == made
    version = show.version
    show.look(View(placement=Placement(size=7.0)))
    assert show.version == version, "where the scene stands in a room is no matter of the scene"


def test_a_time_window_leaves_only_its_steps(show: Show) -> None:
    west, east = IDS
    assert all(has(picture(show, View()), i) > 100 for i in IDS)
    shot = picture(show, View(window=(0, 7)))
    assert has(shot, west) > 100
    assert has(shot, east) == 0
    assert has(picture(show, View(window=(7.4, 7.6))), west) == 0


def test_a_plane_cuts_open_and_the_inside_is_neither_black_nor_hollow(show: Show) -> None:
    west, east = IDS
    room = room_of(earth(SHAPE))
    middle = tuple(room.points(np.array([PLACES[0]]))[0].tolist())
    from_west = Camera(-np.pi / 2, 0.0, 3.6, (0.0, 0.0, 0.0))
    shot = picture(show, View(planes=(Plane(middle, (1.0, 0.0, 0.0)),)), from_west)
    assert like(pixel(show, shot, PLACES[0], from_west), object_colour(west)), "its far side is seen in its colour"
    cut = picture(show, View(planes=(Plane((0, 0, 0), (1.0, 0.0, 0.0)),)))
    assert has(cut, west) == 0
    assert has(cut, east) > 100


def test_what_is_cut_open_is_filled_also_in_chunks_that_the_plane_does_not_touch(window: Any) -> None:
    labels = np.zeros((24, 24, 24), np.uint32)
    labels[4:20, 4:20, 4:20] = 1
    show = show_of(window, spec_of(plain((24, 24, 24)), (6, 6, 6)), labels)
    one = 1 + int(np.flatnonzero(labels.ravel())[0])
    room = room_of(plain((24, 24, 24)))
    at = tuple(room.points(np.array([[12.0, 12.0, 8.0]]))[0].tolist())
    from_west = Camera(-np.pi / 2, 0.0, 3.6, (0.0, 0.0, 0.0))
    whole, cut = (has(picture(show, view, from_west), one) for view in (View(), View(planes=(Plane(at, (1, 0, 0)),))))
    assert cut > 0.8 * whole > 1000, "its far side is four chunks away"
    assert has(picture(show, View(), from_west), one) == whole
    assert show.theatre is not None
    show.theatre.close()


@pytest.mark.parametrize("mode", ["globe", "map"])
def test_planes_cut_the_earth_and_what_stands_on_it(show: Show, mode: Any) -> None:
    camera = facing(60.0) if mode == "globe" else ABOVE
    view = View(mode, time=3.0, field=FieldLook("slice", opacity=1.0))
    whole = picture(show, view, camera)
    cut = picture(
        show, replace(view, planes=(Plane((0, 0, 0.0), (1.0, 0, 0)), Plane((0, 0, 5.0), (0, 0, 1.0)))), camera
    )
    assert has(whole, IDS[0]) > 100
    assert len(np.unique(cut.reshape(-1, 3), axis=0)) < 300 < (whole != cut).any(axis=2).sum(), "nothing is left of it"
    assert np.array_equal(picture(show, view, camera), whole)


@pytest.mark.parametrize("draw", ["slice", "volume"])
def test_planes_cut_a_slice_and_a_volume_and_a_window_cuts_a_volume(show: Show, draw: Any) -> None:
    view = View(labels=False, time=12.0, field=FieldLook(draw, "fire", opacity=1.0))
    half = Plane((0, 0, 0), (1.0, 0, 0))

    def drawn(view: View) -> NDArray[np.bool_]:
        without = picture(show, replace(view, field=FieldLook())).astype(int)
        differs: NDArray[np.bool_] = np.abs(picture(show, view) - without).max(axis=2) > 3
        return differs

    whole, cut = drawn(view), drawn(replace(view, planes=(half,)))
    assert 0.4 < cut.sum() / whole.sum() < 0.6
    assert not cut[:, : SIDE // 2 - 2].any()
    if draw == "volume":
        side = Camera(0.0, 0.0, 3.6, (0.0, 0.0, 0.0))
        off, early = replace(view, time=None, field=FieldLook()), replace(view, time=None, window=(0, 7))
        plain_, windowed = (picture(show, one, side).astype(int) for one in (off, early))
        rows = np.flatnonzero((np.abs(windowed - plain_).max(axis=2) > 6).any(axis=1))
        assert rows.min() > SIDE // 2 - 4, "the upper half, which is later, is gone"


def test_the_time_cursor_is_seen_in_the_cube_and_its_moment_is_told(show: Show) -> None:
    picture(show, View(time=13.0))
    assert show.facts().moment == "1959-01-03 15:00"
    side = Camera(0.0, 0.05, 3.6, (0.0, 0.0, 0.0))
    without, early, late = (
        picture(show, View(time=time, labels=False), side).astype(int) for time in (None, 2.0, 13.0)
    )
    heights = [np.flatnonzero((np.abs(one - without).max(axis=2) > 20).any(axis=1)).mean() for one in (early, late)]
    assert heights[0] > heights[1] + 40, "the later one is higher up"


def facing(lon: float) -> Camera:
    return Camera(np.radians(lon + 90), 0.0, 4.0, (0.0, 0.0, 0.0))


def test_marked_objects_stand_out_and_may_stand_alone(show: Show) -> None:
    west, east = IDS
    plainly, marked = picture(show, View()), picture(show, View(selected=(west,)))
    for place, brighter in zip(PLACES, (True, False), strict=True):
        before, after = (int(pixel(show, shot, place).sum()) for shot in (plainly, marked))
        assert (after > before) == brighter
    alone = picture(show, View(selected=(west,), isolate=True))
    assert (has(alone, west) > 100, has(alone, east)) == (True, 0)
    assert np.array_equal(picture(show, View(isolate=True)), plainly), "no mark isolates nothing"
    show.happen(Arrived(50, "merges", 0, pairs=pairs((west, east))), 0.0)
    both = picture(show, View(selected=(east,), isolate=True))
    assert has(both, west) > 1.5 * has(alone, west), "a marked object that has merged is what it has become"


@pytest.mark.parametrize("mode", ["cube", "globe", "map"])
def test_all_objects_have_one_colour_where_that_is_wanted_and_so_has_the_legend(show: Show, mode: Any) -> None:
    west, east = IDS
    red = (0xD0, 0x20, 0x10)
    view = View(mode, time=None if mode == "cube" else 3.0)
    camera = facing(60.0) if mode == "globe" else ABOVE
    each = picture(show, view, camera)
    assert has(each, west) > 100
    assert show.facts().colours == (object_colour(west), object_colour(east))
    alike = picture(show, replace(view, objects=ObjectLook("one", "#d02010")), camera)
    assert (has(alike, west), has(alike, east)) == (0, 0)
    assert sum(like(seen, red) for seen in alike.reshape(-1, 3)) > 0.9 * (has(each, west) + has(each, east))
    assert show.facts().colours == (red, red)
    assert [swatch.colour for swatch in arrange(show.facts(), 1280, 720).swatches[-2:]] == [red, red]
    assert np.array_equal(picture(show, view, camera), each), "and each its own again"


def test_through_glass_is_seen_what_lies_behind(window: Any) -> None:
    labels = np.zeros((12, 12, 12), np.uint32)
    labels[8:11, 1:11, 1:11] = 1
    labels[2:5, 4:8, 4:8] = 2
    show = show_of(window, spec_of(plain((12, 12, 12)), (12, 12, 12)), labels)
    inner = 1 + int(np.flatnonzero(labels.ravel() == 2)[0])
    outer = 1 + int(np.flatnonzero(labels.ravel() == 1)[0])
    differ = []
    for opacity in (1.0, 0.3):
        alone = picture(show, View(opacity=opacity, selected=(outer,), isolate=True)).astype(int)
        differ.append(int(np.abs(picture(show, View(opacity=opacity)) - alone).max()))
    assert differ[0] < 3, "through what is solid nothing is seen"
    assert differ[1] > 20
    assert has(picture(show, View(labels=False)), inner) == 0
    assert show.theatre is not None
    show.theatre.close()


def test_the_field_is_drawn_as_it_is_asked_for_and_the_legend_says_what_it_means(show: Show) -> None:
    sliced = View(labels=False, time=9, field=FieldLook("slice", "viridis", low=150.0, high=250.0, opacity=1.0))
    shot = picture(show, sliced)
    seen = pixel(show, shot, (9.0, 9.0, 18.0))
    assert like(seen, (33, 145, 140)), "half of the range is the middle of the map"
    facts = show.facts()
    assert facts.bar is not None
    assert (facts.bar.low, facts.bar.high, facts.bar.title) == ("150", "250", "ivt (kg m-1 s-1)")
    assert facts.moment == "1959-01-03 03:00"
    texts = [line.text for line in arrange(facts, 1280, 720).lines]
    assert {"1959-01-03 03:00", "ivt (kg m-1 s-1)", "150", "250"} <= set(texts)
    dark = picture(show, View(labels=False))
    body = picture(show, View(labels=False, field=FieldLook("volume", "viridis")))
    assert int(body.sum()) > 1.2 * int(dark.sum())
    ground, coloured = (
        picture(show, replace(sliced, mode="map", field=FieldLook(d, "fire"))) for d in ("off", "slice")
    )
    assert np.abs(ground.astype(int) - coloured).max(axis=2).mean() > 5
    show.look(View(field=FieldLook("slice", "nobody's")))
    show.ripen()
    assert show.note()["text"] == ""


def test_what_cannot_be_shown_is_said_and_the_nearest_is_shown(window: Any) -> None:
    spec = spec_of(plain((8, 8, 8)), (8, 8, 8))
    show = show_of(window, spec, np.ones((8, 8, 8), np.uint32))
    cube = picture(show, View())
    assert np.array_equal(picture(show, View("globe", field=FieldLook("slice"))), cube)
    assert "no globe" in str(show.note()["text"])
    assert "no layer field" in str(show.note()["text"])
    picture(show, View())
    assert show.note()["text"] == ""
    assert show.theatre is not None
    show.theatre.close()


def test_a_view_meets_the_axes_of_a_run() -> None:
    spec = with_field(spec_of(earth(SHAPE), (8, 9, 9)))
    room = room_of(spec.volume)
    asked = staging(View(time=99.0, window=(12, 3), planes=(Plane((0, 0, 0), (1, 0, 0)),) * 6), spec, room)
    assert asked.step == 12
    assert len(asked.planes) == 8
    low, high = asked.planes[0].point[2], asked.planes[1].point[2]
    assert (low, high) == pytest.approx(room.rulers[2].at(np.array([2.5, 12.5])).tolist())
    assert staging(View(field=FieldLook(low=150, high=400)), spec, room).ends == pytest.approx((0.25, 1.5))
    assert shown_step(staging(View(), spec, room), (2.0, 5.0), 9) == 5
    assert shown_step(staging(View(), spec, room), None, 9) == 9


SIZE = 20
STEPS = st.floats(-1e6, 1e6) | st.sampled_from((0.0, -0.5, SIZE - 1.0, float(SIZE)))


@given(st.none() | STEPS, st.none() | st.tuples(STEPS, STEPS), st.integers(0, SIZE - 1))
def test_whatever_time_a_look_asks_for_a_step_of_the_run_is_shown(
    time: float | None, window: tuple[float, float] | None, newest: int
) -> None:
    spec = spec_of(earth((SIZE, 4, 4)), (SIZE, 4, 4))
    view = View("globe", time=time, window=window)
    step = shown_step(staging(view, spec, room_of(spec.volume)), window, newest)
    assert 0 <= step < SIZE
    told = glance(view, spec, room_of(spec.volume), newest, lambda *_: "then")
    assert told["when"] == {"step": step, "words": "then", "newest": newest}


def test_only_planes_that_cut_a_chunk_are_its_matter() -> None:
    spec = spec_of(plain((8, 8, 8)), (4, 4, 4))
    low, high = box_of(spec.grid, room_of(spec.volume), 0)
    out = Plane((0.9, 0, 0), (1.0, 0, 0))
    away, through = Plane((-0.9, 0, 0), (1.0, 0, 0)), Plane((low[0] + 0.1, 0, 0), (1.0, 0, 0))
    assert cuts((away, through), low, high) == (1,)
    assert cuts((away, out), low, high) is None
    assert cuts((), low, high) == ()
