"""Two thousand chunks: each has an actor of its own that nothing else touches, and a bounded share of memory."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderers.camera import fit
from renderers.entries import Arrived, Started
from renderers.scene import Piece
from renderers.show import Show
from renderers.vtk_window import open_window
from streamer.wire.volume import RunSpec
from tests.renderers.runs import blobs, pairs, piece_of, plain, spec_of

SIZE = (320, 240)
SHAPE, CHUNK = (80, 100, 128), (8, 8, 8)
CHUNK_BYTES = 240_000
"""What a chunk with a small surface may take in memory, its whole and its coarse actor and what OpenGL keeps included
(here Mesa's buffers, in the same memory).  Nearly all of it is VTK's: see docs/performance.md."""


@pytest.fixture(scope="module")
def window() -> Iterator[Any]:
    opened = open_window(*SIZE)
    yield opened
    opened.Finalize()


def resident() -> int:
    """Bytes of this process in memory, once what is free was given back."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def piece(spec: RunSpec, chunk: int, side: int = 4) -> Piece:
    """A chunk with a cube in its middle, which touches no face."""
    block = np.zeros(spec.grid.block_shape(chunk), np.uint32)
    block[2 : 2 + side, 2:6, 2:6] = 1
    z, y, x = (start + 2 for start in spec.grid.core(chunk).start)
    ids = np.array([1 + np.ravel_multi_index((z, y, x), spec.grid.shape)], np.uint64)
    return Piece(chunk, block, 1, 1, ids, b"", np.array([448, 64]))


@pytest.fixture
def show(window: Any) -> Iterator[Show]:
    show = Show(window)
    show.happen(Started(spec_of(plain(SHAPE), CHUNK)), 0.0)
    show.draw(fit(*SIZE), *SIZE)
    yield show
    assert show.theatre is not None
    show.theatre.close()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc, which Linux has")
@pytest.mark.parametrize("count", [300, pytest.param(2080, marks=pytest.mark.long)])
def test_many_chunks_take_their_share_of_memory_and_no_more(show: Show, count: int) -> None:
    spec = spec_of(plain(SHAPE), CHUNK)
    before = resident()
    for chunk in range(count):
        show.happen(Arrived(chunk, "chunk", 0, piece=piece(spec, chunk)), 0.0)
    while show.tidy(9.0):
        pass
    for level in (0, 1):
        show.draw(fit(*SIZE), *SIZE, level=level)
    assert show.triangles > 100 * count
    assert (resident() - before) / count < CHUNK_BYTES


def test_a_chunk_that_comes_again_touches_its_own_actor_alone(show: Show) -> None:
    spec = spec_of(plain(SHAPE), CHUNK)
    chunks = [0, 5, 700, 701, 1203]
    for number, chunk in enumerate(chunks):
        show.happen(Arrived(number, "chunk", 0, piece=piece(spec, chunk)), 0.0)
    while show.tidy(9.0):
        pass
    show.draw(fit(*SIZE), *SIZE)
    theatre = show.theatre
    assert theatre is not None

    def stamps() -> dict[int, tuple[int, ...]]:
        """When what is drawn of each chunk was modified last."""
        props = theatre._stage._props
        return {
            chunk: tuple(n for prop in props[chunk] for n in (prop.actor.GetMTime(), prop.surface.GetMTime()))
            for chunk in props
        }

    before, made = stamps(), theatre.extractions
    show.happen(Arrived(9, "chunk", 0, piece=piece(spec, 1203, side=3)), 0.0)
    while show.tidy(99.0):
        pass
    show.draw(fit(*SIZE), *SIZE)
    after = stamps()
    assert theatre.extractions == made + 1
    assert [chunk for chunk in chunks if before[chunk] != after[chunk]] == [1203]

    ids = [int(piece(spec, chunk).ids[0]) for chunk in chunks]
    show.happen(Arrived(10, "merges", 0, pairs=pairs((ids[1], ids[2]))), 0.0)
    assert [chunk for chunk in chunks if stamps()[chunk] != after[chunk]] == [700], "a merge recolours what it renames"
    assert theatre.extractions == made + 1


@pytest.mark.parametrize("steady", [False, True])
def test_a_chunk_among_others_that_comes_again_redraws_itself_and_at_most_softens_its_neighbours(
    window: Any, *, steady: bool
) -> None:
    shape, side = (40, 40, 40), (8, 8, 8)
    spec, labels = spec_of(plain(shape), side), blobs(shape, level=0.8)
    show = Show(window, steady=steady)
    show.happen(Started(spec), 0.0)
    for chunk in range(spec.grid.size):
        show.happen(Arrived(chunk, "chunk", 0, piece=piece_of(spec.grid, chunk, labels)), 0.0)

    def drawn() -> dict[int, tuple[int, ...]]:
        """When VTK was last given something to draw of each chunk: its actor, mapper, points, triangles, colours."""
        while show.tidy(99.0):
            pass
        show.ripen()
        show.draw(fit(*SIZE), *SIZE)
        assert show.theatre is not None
        return {
            chunk: tuple(
                n
                for prop in props
                if prop.level == 0
                for data in (prop.surface.GetPointData(), prop.surface)
                for n in (prop.actor.GetMTime(), prop.actor.GetMapper().GetMTime(), data.GetMTime())
            )
            for chunk, props in show.theatre._stage._props.items()
        }

    before = drawn()
    middle = spec.grid.number((2, 2, 2))
    z, y, x = spec.grid.core(middle).start
    fewer = labels.copy()
    fewer[z + 2 : z + 6, y + 2 : y + 6, x + 2 : x + 6] = 0
    assert show.theatre is not None
    made = show.theatre.extractions
    show.happen(Arrived(999, "chunk", 0, piece=piece_of(spec.grid, middle, fewer)), 1.0)
    after = drawn()
    changed = {chunk for chunk in before if before[chunk] != after[chunk]}
    assert show.theatre.extractions == made + 1
    assert middle in changed
    assert changed <= {middle, *spec.grid.around(middle)}
    assert len(before) > 3 * len(changed), "most of the others are beyond"
    show.theatre.close()
