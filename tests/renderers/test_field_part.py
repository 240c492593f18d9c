"""The layer field on its way to the stage: from the log, from the store, damaged, and not there."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from renderers.entries import Emptied, unpack
from renderers.follow import PARTS as WANTED
from renderers.follow import Take
from renderers.shelf import _again
from renderers.stored import Store
from streamer.wire.block import PARTS
from streamer.wire.codec import crc32c
from streamer.wire.header import Refused, encode
from streamer.wire.layers import pack_layer
from streamer.wire.messages import Commit, Entry, PartInfo
from tests.renderers.runs import blobs, earth, packed, spec_of, unpacked

SPEC = spec_of(earth((6, 8, 10)), (4, 4, 4))
FIELD = np.random.default_rng(4).integers(0, 256, SPEC.grid.core(7).shape).astype(np.uint8)


def chunk() -> tuple[Commit, list[bytes]]:
    """A chunk with a field, and the payloads that a renderer wants of it."""
    commit, payloads = packed(SPEC.grid, 7, blobs(SPEC.grid.shape, level=0.4))
    raw = pack_layer(FIELD, SPEC.grid.chunk)
    info = PartInfo("field", len(raw), crc32c(raw))
    commit = msgspec.structs.replace(commit, parts=(*commit.parts, info))
    return commit, [*(payloads[PARTS.index(name)] for name in WANTED), raw]


@pytest.mark.parametrize("level", [0, 1])
def test_the_field_comes_with_its_chunk(level: int) -> None:
    commit, payloads = chunk()
    found = unpacked(SPEC.grid, Take(Entry(3, 2, "chunk"), [encode(commit), *payloads], 9, level)).piece
    assert found is not None
    assert found.field is not None
    assert np.array_equal(found.field, FIELD)


def test_a_damaged_field_and_a_missing_one_are_refused() -> None:
    commit, payloads = chunk()
    header, field = encode(commit), payloads[-1]
    with pytest.raises(Refused, match="part field differs"):
        unpack(SPEC.grid, Take(Entry(3, 2, "chunk"), [header, *payloads[:-1], field[:-1] + b"?"], 9))
    with pytest.raises(Refused, match="4 payloads; 5 were asked for"):
        unpack(SPEC.grid, Take(Entry(3, 2, "chunk"), [header, *payloads[:-1]], 9))


def test_a_chunk_whose_labels_have_left_the_log_gets_its_field_from_the_store(tmp_path: Path) -> None:
    commit, (labels, seam, ids, field) = chunk()
    header = encode(commit)
    emptied = unpack(SPEC.grid, Take(Entry(3, 2, "evicted"), [header, b"", seam, ids, b""], 9))
    assert isinstance(emptied, Emptied)
    about = {"shape": SPEC.grid.shape, "chunk_grid": {"configuration": {"chunk_shape": SPEC.grid.chunk}}}
    z, y, x = SPEC.grid.index(7)
    for array, raw in (("local", labels), ("field", field)):
        place = tmp_path / array / "c" / str(z) / str(y)
        place.mkdir(parents=True)
        (place / str(x)).write_bytes(raw)
        (tmp_path / array / "zarr.json").write_text(json.dumps({**about, "codecs": [{"name": "zstd"}]}))
    found = _again(SPEC.grid, emptied, Store(str(tmp_path), SPEC.grid)).piece
    assert found is not None
    assert found.field is not None
    assert np.array_equal(found.field, FIELD)
