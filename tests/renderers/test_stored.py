"""Late renderers before a real streamer: coarse first, and from the archive's store what has left the log."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import pytest
import zmq

from inference_workers.connect import Connect, Connectivity
from inference_workers.segmenter import Block
from inference_workers.statistics import measure
from renderers.entries import Arrived, Emptied, Event, Told, restored
from renderers.feed import FeedLine
from renderers.shelf import LONGEST_S, patience_s
from renderers.stored import Layout, Store, Unreadable, layout_of
from streamer.wire.block import PARTS, pack
from streamer.wire.grid import Box, Grid
from streamer.wire.header import Refused
from streamer.wire.messages import Commit
from streamer.wire.volume import Keep, RunSpec, Source
from tests.archive.parts import archive, line_of, part, work
from tests.renderers.runs import earth
from tests.workers.reference import cut_block

DEADLINE_S = 60
SHAPE, CHUNK = (16, 16, 32), (8, 8, 8)
CAVECAST = str(Path(sys.executable).parent / "cavecast")
T = TypeVar("T")


def until(look: Callable[[], T | None], what: str) -> T:
    """What a look finds, once it finds anything; there is no event for it."""
    limit = time.monotonic() + DEADLINE_S
    while (found := look()) is None:
        assert time.monotonic() < limit, f"it did not come to pass that {what}"
    return found


def chunks_of(spec: RunSpec) -> list[tuple[Commit, list[bytes]]]:
    """All chunks of a run over a field of blobs, as a worker sends them, with their coarse labels."""
    rng = np.random.default_rng(4)
    field = rng.random(SHAPE)
    for axis in range(3):
        field = (field + np.roll(field, 1, axis) + np.roll(field, -1, axis)) / 3
    field = field / np.quantile(field, 0.7)
    field[:8, :8, :8] = 0  # a chunk that needs no store: it is constant
    segmenter, made = Connect(Connectivity(1.0, 26)), []
    for chunk in range(spec.grid.size):
        shape = spec.grid.block_shape(chunk)
        block = Block(
            spec.grid, chunk, spec.volume, cut_block(field, spec.grid, chunk), Box((0, 0, 0), shape), None, lambda: None
        )
        made.append(pack(spec.grid, chunk, 1, measure(block, segmenter.segment(block)), layers=spec.layers))
    return made


def run_spec() -> RunSpec:
    return RunSpec(
        "run-1", Source("/data/ivt.nc", "ivt"), earth(SHAPE), Grid(SHAPE, CHUNK, (False, False, True)), "connect",
        {"threshold": 1.0, "connectivity": 26}, Keep(), "2026-01-01T00:00:00Z", ("labels1",),
    )  # fmt: skip


@contextmanager
def streamer(folder: Path, spec: RunSpec, *options: str) -> Iterator[dict[str, Any]]:
    """A streamer of a run; its addresses."""
    (folder / "run.json").write_bytes(msgspec.json.encode(spec))
    where = ("--run", str(folder / "run.json"), "--log", str(folder / "log"))
    with part("streamer", *where, *options) as process:
        yield line_of(process)
        process.terminate()
        process.wait(DEADLINE_S)


@contextmanager
def line(feed: str) -> Iterator[FeedLine]:
    """A renderer's line to a feed."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    found = FeedLine(context, feed, "late")
    found.start()
    try:
        yield found
    finally:
        found.stop()
        context.term()


def events(of: FeedLine, over: Callable[[list[Event]], bool]) -> list[Event]:
    """What comes until it is enough."""
    found: list[Event] = []
    limit = time.monotonic() + DEADLINE_S
    while not over(found):
        assert time.monotonic() < limit, found
        of.wake.wait(0.1)
        of.wake.hush()
        while (event := of.take()) is not None:
            found.append(event)
            if isinstance(event, Arrived):
                of.used(event)
    return found


def pieces(found: list[Event]) -> list[Arrived]:
    return [event for event in found if isinstance(event, Arrived) and event.piece is not None]


def whole(found: list[Event]) -> set[int]:
    return {event.piece.chunk for event in pieces(found) if event.piece is not None and not event.piece.level}


def picture(feed: str, out: Path) -> bytes:
    """The picture that a renderer makes of a run."""
    done = subprocess.run(
        [CAVECAST, "renderer", "--feed", feed, "--picture", str(out), "--size", "320x240"],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out.read_bytes()


def test_a_late_renderer_gets_all_chunks_coarse_before_it_gets_any_of_them_whole(tmp_path: Path) -> None:
    spec = run_spec()
    with streamer(tmp_path, spec) as at:
        work(at["ingest"], chunks_of(spec))
        with line(at["feed"]) as late:
            got = pieces(events(late, lambda found: len(whole(found)) == spec.grid.size))
    levels = [event.piece.level for event in got if event.piece is not None]
    assert len(got) == 2 * spec.grid.size
    # A chunk of one label is the same at both levels, and whole from the beginning.
    assert sum(levels) >= spec.grid.size - 2
    assert all(level == 0 for level in levels[spec.grid.size :])
    assert {event.piece.chunk for event in got[: spec.grid.size] if event.piece} == set(range(spec.grid.size))


@pytest.mark.parametrize("shard", [(), ("--shard", "1,2,2")])
def test_chunks_that_have_left_the_log_come_from_the_store_and_make_the_same_picture(
    tmp_path: Path, shard: tuple[str, ...]
) -> None:
    spec, store, options = run_spec(), tmp_path / "store.zarr", ("--segment-mb", "0.002", "--retain-gb", "0")
    (tmp_path / "plain").mkdir()
    with streamer(tmp_path / "plain", spec) as at:
        work(at["ingest"], chunks_of(spec))
        before = picture(at["feed"], tmp_path / "before.png")
    with streamer(tmp_path, spec, *options) as at, part(*archive(at["feed"], store), *shard) as archiving:
        work(at["ingest"], chunks_of(spec), count=spec.grid.size - 1)
        until(lambda: len(list((tmp_path / "log").glob("*.lean"))) > 2 or None, "segments became lean")
        work(at["ingest"], chunks_of(spec))
        assert archiving.wait(DEADLINE_S) == 0
    # Started again, the streamer has nothing in memory of what has left its log.
    with streamer(tmp_path, spec, *options) as at:
        with line(at["feed"]) as late:
            found = events(late, lambda found: len(whole(found)) == spec.grid.size)
        assert sum(event.stored for event in pieces(found)) > spec.grid.size // 4
        assert picture(at["feed"], tmp_path / "after.png") == before

        # Without the store the rest is drawn, viewers are told why, and when it is back all is well.
        away = store.rename(tmp_path / "away.zarr")
        with line(at["feed"]) as late:
            found = events(late, lambda found: any(isinstance(e, Told) and e.about == "store" for e in found))
            told = next(event for event in found if isinstance(event, Told) and event.about == "store")
            assert f"the store {store} cannot be read" in told.sentence
            assert "tried again" in told.sentence
            shutil.move(away, store)
            found += events(late, lambda more: len(whole(found + more)) == spec.grid.size)
            assert Told("", "store") in found


def test_a_damaged_chunk_of_a_store_is_refused_by_the_checksum_of_its_commit() -> None:
    spec = run_spec()
    commit, payloads = next(made for made in chunks_of(spec) if made[0].constant < 0)
    labels, seam, ids = (payloads[PARTS.index(name)] for name in ("labels", "seam", "ids"))
    emptied = Emptied(7, commit, seam, ids)
    piece = restored(spec.grid, emptied, labels).piece
    assert piece is not None
    assert piece.chunk == commit.chunk
    with pytest.raises(Refused, match="part labels differs"):
        restored(spec.grid, emptied, labels[:-1] + bytes([labels[-1] ^ 1]))


def test_a_place_that_is_no_store_of_this_run_is_unreadable_in_words(tmp_path: Path) -> None:
    grid = Grid((4, 4, 4), (2, 2, 2))
    with pytest.raises(Unreadable, match="no such folder"):
        Store(str(tmp_path / "nowhere"), grid).payload(0)
    with pytest.raises(Unreadable, match="no array local"):
        Store(str(tmp_path), grid).payload(0)
    (tmp_path / "local").mkdir()
    for told in (b"nonsense", b"{}", b"[1]", json.dumps({"shape": [4, 4, 4]}).encode()):
        (tmp_path / "local" / "zarr.json").write_bytes(told)
        with pytest.raises(Unreadable, match="not that of this run"):
            Store(str(tmp_path), grid).payload(0)
    good = {"shape": [4, 4, 4], "chunk_grid": {"configuration": {"chunk_shape": [2, 2, 2]}}, "codecs": [{"name": "b"}]}
    (tmp_path / "local" / "zarr.json").write_text(json.dumps(good))
    assert layout_of(grid, json.dumps(good).encode()) == Layout((1, 1, 1), True)
    with pytest.raises(Unreadable, match="chunk 3 is not in it"):
        Store(str(tmp_path), grid).payload(3)
    (tmp_path / ".staging" / "local").mkdir(parents=True)
    (tmp_path / ".staging" / "local" / "3").write_bytes(b"payload")
    assert Store(str(tmp_path), grid).payload(3) == b"payload"


def test_an_unreadable_store_is_tried_ever_more_slowly() -> None:
    waits = [patience_s(failures) for failures in range(20)]
    assert waits == sorted(waits)
    assert waits[0] == 1.0
    assert waits[-1] == LONGEST_S
