"""Real pictures, drawn off screen: what is where, and what is not made twice."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

from renderers.camera import VIEW_ANGLE, eye_of, fit
from renderers.entries import Arrived, Started
from renderers.legend import Facts
from renderers.picture import SHIFTS, Blend, jpeg, png
from renderers.scene import Scene
from renderers.show import Show
from renderers.vtk_scene import Theatre
from renderers.vtk_window import describe, open_window
from streamer.wire.codec import Labels
from streamer.wire.colour import object_colour
from streamer.wire.view import Camera
from streamer.wire.viewing import ObjectLook, View
from streamer.wire.volume import RunSpec, Volume
from tests.renderers.runs import axis, blobs, earth, pairs, piece_of, plain, spec_of

WIDTH, HEIGHT = 640, 480
BARE = Facts("", 1, 1, 0, "complete", ())
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def window() -> Iterator[Any]:
    opened = open_window(WIDTH, HEIGHT)
    yield opened
    opened.Finalize()


def show_of(window: Any, spec: RunSpec, labels: Labels) -> Show:
    """A show into which all chunks have come."""
    show = Show(window)
    show.happen(Started(spec), 0.0)
    for chunk in range(spec.grid.size):
        show.happen(Arrived(chunk, "chunk", 0, piece=piece_of(spec.grid, chunk, labels)), 0.0)
    return show


def close(show: Show) -> None:
    assert show.theatre is not None
    show.theatre.close()


def pixel_of(theatre: Theatre, camera: Camera, index_zyx: tuple[float, float, float]) -> tuple[int, int]:
    """Row and column where a voxel should be seen, by an own pinhole."""
    eye = eye_of(camera)
    place = theatre.room.points(np.array([index_zyx]))[0] - np.array(eye.position)
    forward = np.array(eye.forward)
    right = np.cross(forward, eye.up)
    depth = place @ forward
    scale = HEIGHT / 2 / np.tan(VIEW_ANGLE / 2) / depth
    return round(HEIGHT / 2 - scale * (place @ np.array(eye.up))), round(WIDTH / 2 + scale * (place @ right))


def hue(pixel: Pixels) -> NDArray[np.float64]:
    """A colour without its brightness."""
    values = pixel.astype(float)
    return np.asarray(values / max(values.sum(), 1.0))


def like(pixel: Pixels, object_id: int) -> bool:
    """Whether a pixel has the colour of an object, in whatever light."""
    return bool(np.abs(hue(pixel) - hue(np.array(object_colour(object_id), np.uint8))).max() < 0.09)


def ball(shape: tuple[int, int, int], centre: tuple[int, int, int], radius: float) -> NDArray[np.bool_]:
    z, y, x = np.indices(shape)
    return np.asarray((z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius**2)


def two_balls() -> tuple[RunSpec, Labels]:
    spec = spec_of(plain((16, 24, 32)), (8, 12, 16))
    labels = np.zeros((16, 24, 32), np.uint32)
    labels[ball(labels.shape, (8, 12, 8), 5)] = 1
    labels[ball(labels.shape, (8, 12, 23), 5)] = 2
    return spec, labels


def first_id(labels: Labels, label: int) -> int:
    return 1 + int(np.flatnonzero(labels.ravel() == label)[0])


def join(show: Show, spec: RunSpec, labels: Labels, number: int) -> None:
    """The merges that make one object of each label, as the streamer would send them."""
    rows = []
    for label in np.unique(labels[labels > 0]):
        root = first_id(labels, int(label))
        for chunk in range(spec.grid.size):
            piece = piece_of(spec.grid, chunk, labels)
            core = piece.block[tuple(slice(0, n) for n in spec.grid.core(chunk).shape)]
            mine = np.unique(core[(labels[spec.grid.core(chunk).slices] == label)])
            rows += [(root, int(piece.ids[i - 1])) for i in mine if int(piece.ids[i - 1]) != root]
    show.happen(Arrived(number, "merges", 0, pairs=pairs(*rows)), 0.0)


@pytest.mark.parametrize("direction", [(-0.55, 0.5), (0.9, 0.1), (2.6, -0.4)])
def test_an_object_is_seen_in_its_colour_where_it_should_be(window: Any, direction: tuple[float, float]) -> None:
    spec, labels = two_balls()
    show = show_of(window, spec, labels)
    join(show, spec, labels, 8)
    assert show.theatre is not None
    camera = fit(WIDTH, HEIGHT, direction)
    picture = show.theatre.draw(camera, WIDTH, HEIGHT, BARE)
    centres = [(8.0, 12.0, 8.0), (8.0, 12.0, 23.0)]
    nearest = min(centres, key=lambda c: _depth(show, camera, c))
    for centre, label in zip(centres, (1, 2), strict=True):
        row, column = pixel_of(show.theatre, camera, centre)
        if centre == nearest or abs(direction[0]) < 1:
            assert like(picture[row, column], first_id(labels, label)), picture[row, column]
    assert picture[5, WIDTH - 5].max() < 60
    close(show)


def _depth(show: Show, camera: Camera, index: tuple[float, float, float]) -> float:
    assert show.theatre is not None
    eye = eye_of(camera)
    return float((show.theatre.room.points(np.array([index]))[0] - np.array(eye.position)) @ np.array(eye.forward))


def test_a_merge_recolours_without_making_any_surface_again(window: Any) -> None:
    spec, labels = two_balls()
    show = show_of(window, spec, labels)
    join(show, spec, labels, 8)
    theatre = show.theatre
    assert theatre is not None
    made, shown = theatre.extractions, theatre.triangles
    assert made == spec.grid.size
    camera = fit(WIDTH, HEIGHT)
    row, column = pixel_of(theatre, camera, (8.0, 12.0, 23.0))
    one, two = first_id(labels, 1), first_id(labels, 2)
    assert one < two
    assert like(show.draw(camera, WIDTH, HEIGHT)[row, column], two)
    show.happen(Arrived(9, "merges", 0, pairs=pairs((one, two))), 0.0)
    assert like(show.draw(camera, WIDTH, HEIGHT)[row, column], one)
    assert (theatre.extractions, theatre.triangles) == (made, shown)
    assert show.position == 10
    close(show)


def test_a_dropped_object_leaves_the_picture_and_the_others_stay(window: Any) -> None:
    spec, labels = two_balls()
    show = show_of(window, spec, labels)
    join(show, spec, labels, 8)
    theatre = show.theatre
    assert theatre is not None
    before = theatre.triangles
    show.happen(Arrived(9, "verdicts", 0, pairs=pairs((first_id(labels, 1), 0), (first_id(labels, 2), 1))), 0.0)
    camera = fit(WIDTH, HEIGHT)
    picture = show.draw(camera, WIDTH, HEIGHT)
    gone, stays = (pixel_of(theatre, camera, (8.0, 12.0, x)) for x in (8.0, 23.0))
    assert not like(picture[gone], first_id(labels, 1))
    assert like(picture[stays], first_id(labels, 2))
    assert theatre.triangles == before // 2
    assert show.facts().objects == 1
    close(show)


def test_a_picture_made_of_chunks_equals_one_of_the_whole(window: Any) -> None:
    shape = (16, 20, 28)
    labels = (blobs(shape, seed=4) > 0).astype(np.uint32)
    camera = fit(WIDTH, HEIGHT)
    pictures = []
    for chunk in (shape, (5, 7, 9)):
        spec = spec_of(earth(shape), chunk)
        show = show_of(window, spec, labels)
        rows = np.unique(np.concatenate([piece_of(spec.grid, c, labels).ids for c in range(spec.grid.size)]))
        merged = pairs(*[(int(rows[0]), int(i)) for i in rows[1:]])
        show.happen(Arrived(99, "merges", 0, pairs=merged), 0.0)
        while show.tidy(9.0):
            pass
        assert show.theatre is not None
        pictures.append(show.theatre.draw(camera, WIDTH, HEIGHT, BARE).astype(int))
        close(show)
    different = np.abs(pictures[0] - pictures[1]).max(axis=2) > 1
    assert different.mean() < 0.001


def test_descending_latitudes_make_the_same_picture(window: Any) -> None:
    shape = (12, 16, 24)
    labels = blobs(shape, seed=6)
    rising = earth(shape)
    south = axis("latitude", rising.axes[1].points[::-1].tolist(), "degrees_north")
    falling = Volume(rising.variable, (rising.axes[0], south, rising.axes[2]), title=rising.title)
    pictures = []
    for volume, array in ((rising, labels), (falling, np.ascontiguousarray(labels[:, ::-1]))):
        show = show_of(window, spec_of(volume, shape), (array > 0).astype(np.uint32))
        ids = piece_of(spec_of(volume, shape).grid, 0, (array > 0).astype(np.uint32)).ids
        show.happen(Arrived(1, "merges", 0, pairs=pairs(*[(1, int(i)) for i in ids if i != 1])), 0.0)
        assert show.theatre is not None
        pictures.append(show.theatre.draw(fit(WIDTH, HEIGHT), WIDTH, HEIGHT, BARE).astype(int))
        close(show)
    difference = np.abs(pictures[0] - pictures[1]).max(axis=2)
    # Cells are cut into triangles the other way round, which shows in the shading of single pixels only.
    assert (difference > 40).mean() < 0.002


def test_the_second_run_in_a_window_shows_nothing_of_the_first(window: Any) -> None:
    spec, labels = two_balls()
    show = show_of(window, spec, labels)
    full = show.draw(fit(WIDTH, HEIGHT), WIDTH, HEIGHT).astype(int)
    show.happen(Started(spec), 0.0)
    assert show.theatre is not None
    empty = show.theatre.draw(fit(WIDTH, HEIGHT), WIDTH, HEIGHT, BARE).astype(int)
    assert show.position == 0
    assert show.theatre.triangles == 0
    assert empty.max(axis=2).mean() < full.max(axis=2).mean()
    close(show)


@pytest.mark.parametrize("size", [(1280, 720), (400, 700), (97, 55)])
def test_a_picture_has_the_size_that_was_asked_for(window: Any, size: tuple[int, int]) -> None:
    spec, labels = two_balls()
    show = show_of(window, spec, labels)
    picture = show.draw(fit(*size), *size)
    assert picture.shape == (size[1], size[0], 3)
    close(show)


def test_the_coast_of_a_small_region_is_on_the_floor(window: Any) -> None:
    europe = Volume(
        "ivt",
        (
            axis("time", [float(i) for i in range(8)], "hours since 2021-07-15", "standard"),
            axis("latitude", np.arange(45, 55.1, 0.5).tolist(), "degrees_north"),
            axis("longitude", np.arange(0, 10.1, 0.5).tolist(), "degrees_east"),
        ),
    )
    show = show_of(window, spec_of(europe, (8, 21, 21)), np.zeros((8, 21, 21), np.uint32))
    above = fit(WIDTH, HEIGHT, (0.0, np.pi / 2))
    picture = show.draw(above, WIDTH, HEIGHT).astype(int)
    assert show.theatre is not None

    def ground(lat: float, lon: float) -> int:
        index = (-0.5, (lat - 45) / 0.5, lon / 0.5)
        row, column = pixel_of(show.theatre, above, index)  # type: ignore[arg-type]  # it is there
        return int(np.median(picture[row - 2 : row + 3, column - 2 : column + 3].sum(axis=2)))

    munich_side, north_sea = ground(48.2, 8.7), ground(54.2, 3.6)
    assert munich_side > north_sea + 20
    close(show)


def test_the_mean_of_shifted_pictures_has_smoother_edges(window: Any) -> None:
    spec, labels = two_balls()
    show = show_of(window, spec, labels)
    camera = fit(WIDTH, HEIGHT)
    plain_picture = show.draw(camera, WIDTH, HEIGHT).astype(int)
    blend = Blend()
    for shift in SHIFTS:
        blend.add(show.draw(camera, WIDTH, HEIGHT, shift))
    smooth = blend.mean().astype(int)

    def steps(picture: NDArray[np.int64]) -> int:
        return int((np.abs(np.diff(picture[120:], axis=1)).max(axis=2) > 90).sum())

    assert steps(smooth) < 0.7 * steps(plain_picture)
    close(show)


def test_a_png_and_a_jpeg_hold_the_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    raw = png(pixels)
    assert raw.startswith(b"\x89PNG\r\n\x1a\n")
    data, at = b"", 8
    while at < len(raw):
        length, kind = int.from_bytes(raw[at : at + 4], "big"), raw[at + 4 : at + 8]
        data += raw[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(37, 1 + 3 * 53)
    assert (np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).reshape(pixels.shape) == pixels).all()
    soft = np.repeat(np.repeat(pixels[:5, :7], 8, 0), 8, 1)
    assert np.abs(simplejpeg.decode_jpeg(jpeg(soft, 95)).astype(int) - soft).mean() < 4


def test_the_opengl_has_a_name(window: Any) -> None:
    assert describe(window)


BLUE = ObjectLook("one", "#56b4e9")


def test_viewers_with_different_marks_take_turns_and_each_sees_what_a_fresh_show_would(window: Any) -> None:
    labels = blobs((24, 24, 24), level=0.8)
    spec = spec_of(plain(labels.shape), (8, 8, 8))
    ids = [0, *(one for one, _ in largest(spec, labels))]
    looks = [
        View(), View(selected=(ids[1],)), View(selected=(ids[2],)), View(selected=(ids[1],), isolate=True),
        View(selected=(ids[2],), isolate=True), View(selected=(ids[1], ids[3])),
        View(objects=BLUE), View(selected=(ids[1],), objects=BLUE),
    ]  # fmt: skip
    show = show_of(window, spec, labels)
    rng = np.random.default_rng(5)
    seen: dict[int, set[int]] = {}
    for n in [*range(len(looks)), *rng.integers(0, len(looks), 30).tolist()]:
        show.look(looks[n])
        seen.setdefault(n, set()).add(zlib.crc32(show.draw(fit(WIDTH, HEIGHT), WIDTH, HEIGHT).tobytes()))
    close(show)
    for n, pictures in seen.items():
        fresh = show_of(window, spec, labels)
        fresh.look(looks[n])
        assert pictures == {zlib.crc32(fresh.draw(fit(WIDTH, HEIGHT), WIDTH, HEIGHT).tobytes())}, looks[n]
        close(fresh)
    assert len({min(pictures) for pictures in seen.values()}) == len(looks), "each look is another picture"


def largest(spec: RunSpec, labels: Labels) -> tuple[tuple[int, int], ...]:
    """The largest objects."""
    scene = Scene(spec.grid)
    for chunk in range(spec.grid.size):
        scene.arrive(piece_of(spec.grid, chunk, labels))
    return scene.largest(3)


def test_looks_that_are_kept_for_their_turn_are_few(window: Any) -> None:
    labels = blobs((24, 24, 24), level=0.8)
    spec = spec_of(plain(labels.shape), (8, 8, 8))
    show = show_of(window, spec, labels)
    ids = [one for one, _ in largest(spec, labels)]
    assert show.theatre is not None
    show.draw(fit(WIDTH, HEIGHT), WIDTH, HEIGHT)
    sizes = []
    for n in range(40):
        marks = tuple(ids[: 1 + n % 3]) if n % 2 else (1 + n,)
        show.look(View(selected=marks, isolate=n % 4 == 1, opacity=1.0))
        sizes.append(show.theatre.nbytes)
    assert max(sizes[20:]) <= max(sizes[:20])
    assert max(sizes) < 2.5 * sizes[0]
    close(show)
