"""Boxes that reach beyond the volume."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.source.pieces import pieces
from streamer.wire.grid import Box, Flags, Triple

sides = st.tuples(*[st.integers(1, 5)] * 3)
flags = st.tuples(*[st.booleans()] * 3)


@given(
    shape=sides, periodic=flags, start=st.tuples(*[st.integers(-12, 8)] * 3), size=st.tuples(*[st.integers(1, 14)] * 3)
)
def test_pieces_make_up_the_box_wrapped_or_empty(shape: Triple, periodic: Flags, start: Triple, size: Triple) -> None:
    whole = np.arange(np.prod(shape)).reshape(shape)
    z, y, x = (a + n for a, n in zip(start, size, strict=True))
    got = np.full(size, -1)
    for piece in pieces(Box(start, (z, y, x)), shape, periodic):
        assert (got[piece.target] == -1).all(), "no voxel is read twice"
        got[piece.target] = whole[piece.box.slices]
    for at in np.ndindex(*size):
        here = [a + i for a, i in zip(start, at, strict=True)]
        inside = all(p or 0 <= i < n for i, n, p in zip(here, shape, periodic, strict=True))
        expected = whole[tuple(i % n for i, n in zip(here, shape, strict=True))] if inside else -1
        assert got[at] == expected
