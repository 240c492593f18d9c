"""Tiles of a wall that came to a position in different ways draw the same pixels, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from renderers.camera import fit
from renderers.entries import Arrived, Started, There
from renderers.legend import Facts
from renderers.picture import Pixels
from renderers.scene import Piece
from renderers.show import Show
from renderers.vtk_window import open_window
from streamer.wire.batch import Present
from streamer.wire.codec import Labels
from streamer.wire.layers import quantise
from streamer.wire.view import Camera
from streamer.wire.viewing import FieldLook, Plane, View
from streamer.wire.volume import RunSpec
from tests.renderers.runs import blobs, coarse_of, earth, piece_of, spec_of

SIZE = (400, 300)
BARE = Facts("", 1, 1, 0, "running", ())
CUBE, ABOVE = fit(*SIZE), Camera(0.4, 0.6, 3.6, (0.0, 0.0, 0.0))
VIEWS = {
    "cube": View(),
    "cube, cut, with a slice": View(
        planes=(Plane((0.1, 0.0, 0.0), (0.6, 0.8, 0.0)),), window=(2, 12), time=7, field=FieldLook("slice", opacity=0.7)
    ),
    "glass": View(opacity=0.4),
    "volume": View(labels=False, field=FieldLook("volume")),
    "globe": View("globe", field=FieldLook("slice")),
    "map": View("map", time=5),
}
Rows = list[tuple[int, int]]


class Run(NamedTuple):
    """A run, and its log: chunks in some order, each followed by the merges that it brings."""

    spec: RunSpec
    labels: Labels
    pieces: dict[int, Piece]
    order: Sequence[int]
    merges: dict[int, Rows]
    """By place in the order."""


@pytest.fixture(scope="module")
def run() -> Run:
    shape = (16, 24, 48)
    labels = blobs(shape, seed=9, level=0.75)
    spec = spec_of(earth(shape), (8, 12, 16), (False, False, True))
    spec = RunSpec(
        spec.run_id, spec.source, spec.volume, spec.grid, spec.segmenter, layers=("field",), field_range=(0, 1)
    )
    field = quantise(np.random.default_rng(1).random(shape), (0.0, 1.0))
    order = np.random.default_rng(2).permutation(spec.grid.size).tolist()
    pieces = {
        chunk: piece_of(spec.grid, chunk, labels)._replace(field=field[spec.grid.core(chunk).slices])
        for chunk in range(spec.grid.size)
    }
    speaks: dict[int, int] = {}
    """Of each true object, the smallest id that has come so far."""
    merges: dict[int, Rows] = {}
    for place, chunk in enumerate(order):
        core = spec.grid.core(chunk)
        local = pieces[chunk].block[tuple(slice(0, n) for n in core.shape)]
        rows: Rows = []
        for label, found in enumerate(pieces[chunk].ids.tolist(), start=1):
            truth = int(labels[core.slices][local == label][0])
            if truth in speaks:
                rows.append((min(speaks[truth], found), max(speaks[truth], found)))
            speaks[truth] = min(speaks.get(truth, found), found)
        merges[place] = rows
    return Run(spec, labels, pieces, order, merges)


@pytest.fixture(scope="module")
def window() -> Iterator[Any]:
    opened = open_window(*SIZE)
    yield opened
    opened.Finalize()


def rows_of(rows: Rows) -> NDArray[np.uint64]:
    return np.array(rows, np.uint64).reshape(-1, 2)


def opened(window: Any, run: Run, view: View = VIEWS["cube"]) -> Show:
    show = Show(window, steady=True)
    show.look(view)
    show.happen(Started(run.spec), 0.0)
    return show


def picture(show: Show, view: View, level: int = 0) -> Pixels:
    assert show.theatre is not None
    show.look(view)
    show.theatre.detail(level)
    show.ripen()
    camera = CUBE if view.mode == "cube" else ABOVE
    return show.theatre.draw(camera, *SIZE, BARE).copy()


def followed(window: Any, run: Run, upto: int, view: View, level: int = 0) -> Pixels:
    """By one that was there from the start and has drawn every few entries, from other views too."""
    show = opened(window, run)
    for place in range(upto):
        chunk = run.order[place]
        show.happen(Arrived(2 * place, "chunk", 0, piece=run.pieces[chunk]), 0.0)
        if place % 8 == 0:
            picture(show, list(VIEWS.values())[place // 8 % len(VIEWS)])
        show.happen(Arrived(2 * place + 1, "merges", 0, pairs=rows_of(run.merges[place])), 0.0)
    return closed(show, view, level)


def joined_late(window: Any, run: Run, upto: int, view: View, level: int = 0) -> Pixels:
    """By one that came when all was there: the merges first, some chunks coarse first, all in an order of its own."""
    show = opened(window, run, view)
    chunks = np.array(sorted(run.order[:upto]), np.uint32)
    numbers = np.array([2 * list(run.order).index(chunk) for chunk in chunks.tolist()], np.uint64)
    merges = rows_of([row for place in range(upto) for row in run.merges[place]])
    nothing = rows_of([])
    sizes = np.ones((len(chunks), 3), np.uint32)
    parts = ("labels", "seam", "ids")
    failed = np.zeros(0, np.uint32)
    show.happen(There(Present("e", 2 * upto, chunks, numbers, sizes, parts, merges, nothing, failed, "")), 0.0)
    shuffled = np.random.default_rng(7).permutation(len(chunks)).tolist()
    for at in shuffled[::2]:
        piece = coarse_of(run.spec.grid, int(chunks[at]), run.labels)
        show.happen(Arrived(int(numbers[at]), "chunk", 0, piece=piece, fetched=True), 0.0)
    for at in reversed(shuffled):
        piece = run.pieces[int(chunks[at])]
        show.happen(Arrived(int(numbers[at]), "chunk", 0, piece=piece, fetched=True), 0.0)
    return closed(show, view, level)


def closed(show: Show, view: View, level: int) -> Pixels:
    try:
        return picture(show, view, level)
    finally:
        assert show.theatre is not None
        show.theatre.close()


@pytest.mark.parametrize(("name", "missing"), [*((name, 6) for name in VIEWS), ("cube", 0), ("globe", 0)])
def test_a_late_tile_draws_what_one_that_was_there_from_the_start_draws(
    window: Any, run: Run, name: str, missing: int
) -> None:
    view, upto = VIEWS[name], len(run.order) - missing
    one, other = followed(window, run, upto, view), joined_late(window, run, upto, view)
    assert np.ptp(one) > 60, "there is something to see"
    assert np.array_equal(one, other), f"{(one != other).any(axis=2).sum()} pixels differ"


def test_a_level_of_detail_that_was_told_is_the_same_too(window: Any, run: Run) -> None:
    upto = len(run.order) - 3
    one, other = (way(window, run, upto, VIEWS["cube"], 1) for way in (followed, joined_late))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, followed(window, run, upto, VIEWS["cube"])), "it is coarser"


@pytest.mark.parametrize("level", [0, 1])
def test_what_was_made_ready_in_spare_time_changes_no_picture(window: Any, run: Run, level: int) -> None:
    upto = len(run.order) - 3
    show = opened(window, run)
    for place in range(upto):
        show.happen(Arrived(2 * place, "chunk", 0, piece=run.pieces[run.order[place]]), 0.0)
        show.happen(Arrived(2 * place + 1, "merges", 0, pairs=rows_of(run.merges[place])), 0.0)
        assert show.theatre is not None
        while place % 3 == 0 and show.theatre.spare():
            pass
        assert not (place % 3 == 0 and show.theatre.spares)
    assert show.theatre is not None
    assert show.theatre.spares, "coarse surfaces of the last chunks wait"
    assert np.array_equal(closed(show, VIEWS["cube"], level), followed(window, run, upto, VIEWS["cube"], level))


def test_a_position_further_on_makes_another_picture(window: Any, run: Run) -> None:
    """So that equal pictures mean something."""
    early, late = (followed(window, run, upto, VIEWS["globe"]) for upto in (6, len(run.order)))
    assert not np.array_equal(early, late)
