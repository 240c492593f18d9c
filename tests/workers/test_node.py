"""A real worker process behind a real socket, on small volumes on disk."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inference_workers.source import InspectRequest, inspect
from streamer.wire.block import PARTS, check, unpack_block, unpack_ids, unpack_stats
from streamer.wire.codec import crc32c
from streamer.wire.grid import Box, Grid, Triple
from streamer.wire.messages import Ack, Ask, Beat, Commit, Drain, Fail, Goodbye, Hello, Lease, Pulse, Refuse
from streamer.wire.volume import Parameter, RunSpec
from tests.workers.door import Door, process
from tests.workers.reference import cut_block, label_whole, object_statistics

FIELD = (np.random.default_rng(5).integers(0, 10, (6, 9, 10)) / 2).astype(np.float32)


def spec_of(
    folder: Path, chunk: Triple = (3, 5, 4), parameters: dict[str, Parameter] | None = None, segmenter: str = "connect"
) -> RunSpec:
    """A run over FIELD, written to the folder."""
    np.save(folder / "field.npy", FIELD)
    found = inspect(InspectRequest(str(folder / "field.npy"), spacing=(1.0, 1.0, 1.0), chunk=chunk, periodic="2"))
    assert found.grid == Grid((6, 9, 10), chunk, (False, False, True))
    return RunSpec("run-1", found.source, found.volume, found.grid, segmenter, parameters or {"threshold": 4.0})


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with Door(f"ipc://{tmp_path}/ingest") as opened:
        yield opened


def test_a_worker_process_commits_every_chunk_as_the_reference_has_it(door: Door, tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    grid = spec.grid
    with process(door.address) as worker:
        hello, _ = door.expect(Hello)
        assert (hello.role, hello.name, hello.epoch) == ("worker", "w", "")
        door.welcome(spec)
        asked, _ = door.expect(Ask)
        assert asked.leases == 2
        assert worker.ready() == {"ready": "worker", "name": "w"}
        for chunk in range(grid.size):
            door.say(Lease(chunk, 100 + chunk, 30))
        for chunk in range(grid.size):
            commit, payloads = door.expect(Commit)
            assert (commit.chunk, commit.lease) == (chunk, 100 + chunk)
            assert [info.crc for info in commit.parts] == [crc32c(raw) for raw in payloads]
            check(grid, commit, list(payloads))
            compare(spec, commit, dict(zip(PARTS, payloads, strict=True)))
            door.say(Ack(chunk, chunk))
        door.say(Drain("the run is complete"))
        door.expect(Goodbye)
        code, out, err = worker.wait()
    assert (code, out) == (0, "")
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert {line["run"] for line in lines if line["event"] != "ended"} == {"run-1"}
    assert not [line for line in lines if line["level"] in ("warning", "error")]


def compare(spec: RunSpec, commit: Commit, part: dict[str, bytes]) -> None:
    """A commit's labels, ids and statistics against the plain loops of the reference."""
    grid, core = spec.grid, spec.grid.core(commit.chunk)
    block = unpack_block(grid, commit, part["labels"], part["seam"])
    alone = label_whole(cut_block(FIELD, grid, commit.chunk), 4.0, 26, (False, False, False))
    pairs = set(zip(alone.ravel().tolist(), block.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == commit.components + 1
    within = np.zeros(grid.shape, np.uint64)
    within[core.slices] = block[Box((0, 0, 0), core.shape).slices]
    wanted = object_statistics(within, FIELD, spec.volume, grid.periodic)
    rows = unpack_stats(commit, part["stats"])
    expected = [row for life in wanted.values() for row in life.steps.values()]
    assert rows["voxels"].tolist() == [row.voxels for row in expected]
    assert rows["sum"].tolist() == [row.sum for row in expected]
    first = [1 + int(np.flatnonzero(within.ravel() == label)[0]) for label in wanted]
    assert unpack_ids(commit, part["ids"]).tolist() == first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_hands_the_leases_back_and_ends_the_worker_in_order(
    door: Door, tmp_path: Path, number: signal.Signals
) -> None:
    with process(door.address) as worker:
        door.expect(Hello)
        door.welcome(spec_of(tmp_path))
        worker.ready()
        worker.signal(number)
        door.expect(Goodbye)
        code, _, err = worker.wait()
    assert code == 0
    assert f"ended by {number.name}" in err


def test_a_streamer_that_vanishes_is_waited_for_and_then_named_in_a_sentence(door: Door, tmp_path: Path) -> None:
    with process(door.address, "--patience", "1") as worker:
        door.expect(Hello)
        door.welcome(spec_of(tmp_path))
        worker.ready()
        door.close()
        code, _, err = worker.wait()
    assert code == 75
    assert err.splitlines()[-1] == (
        f"cavecast: nothing was heard from the streamer at {door.address} for 1 s: see whether it runs, and whether"
        " this address is its --ingest"
    )


def test_a_streamer_that_comes_back_is_greeted_and_gets_what_it_has_not_acknowledged(tmp_path: Path) -> None:
    address, spec = f"ipc://{tmp_path}/ingest", spec_of(tmp_path)
    # So patient that it would not notice by the silence within this test: it is the new connection that tells.
    with process(address, "--patience", "900") as worker:
        with Door(address) as first:
            first.expect(Hello)
            first.welcome(spec)
            first.expect(Ask)
            first.say(Lease(1, 7, 30))
            before, payloads = first.expect(Commit)
        with Door(address) as second:
            hello, _ = second.expect(Hello)
            assert hello.epoch == "e"
            second.welcome(spec)
            asked, _ = second.expect(Ask)
            assert asked.leases == 2
            again, same = second.expect(Commit)
            assert again == before
            assert list(same) == list(payloads)
            second.say(Ack(1, 0))
            second.say(Lease(2, 8, 30))
            assert second.expect(Commit)[0].chunk == 2
        worker.signal(signal.SIGTERM)
        assert worker.wait()[0] == 0


def test_an_idle_worker_answers_and_one_that_holds_leases_beats(door: Door, tmp_path: Path) -> None:
    with process(door.address, "--patience", "6") as worker:
        door.expect(Hello)
        door.welcome(spec_of(tmp_path))
        worker.ready()
        door.expect(Pulse)
        door.say(Lease(3, 9, 0.4))
        door.expect(Commit)
        # It is not acknowledged, so it is still held.
        assert door.expect(Beat)[0].leases == (9,)
        assert door.expect(Beat)[0].leases == (9,)


STRANGER = '''
import msgspec, numpy as np, os, signal
from inference_workers.segmenter import Labelling

class Settings(msgspec.Struct, frozen=True):
    pass

class Odd:
    """Fails on chunk 0, returns rubbish for chunk 1, works for ever on chunk 2; does the others."""
    Parameters = Settings
    halo = (1, 2, 3)
    def __init__(self, parameters):
        pass
    def segment(self, block):
        if block.chunk == 0:
            raise RuntimeError("first line\\nsecond line")
        if block.chunk == 1:
            return Labelling(np.zeros((1, 1, 1), np.uint32))
        while block.chunk == 2:
            block.beat()
        assert block.field.shape == tuple(n + 2 * h for n, h in zip(block.inner_field.shape, self.halo))
        return Labelling((np.nan_to_num(block.inner_field) >= 4).astype(np.uint32))
'''


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's package with the segmenter ``odd``, where the worker process finds it."""
    (tmp_path / "odd.py").write_text(STRANGER)
    information = tmp_path / "odd-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[cavecast.segmenters]\nodd = odd:Odd\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


TOGETHER = '''
import msgspec, numpy as np
from inference_workers.segmenter import Labelling

class Settings(msgspec.Struct, frozen=True):
    pass

class Odd:
    """Labels several blocks at a time, the last of them first; gives up, with all that are left, at chunk 1."""
    Parameters = Settings
    halo = (0, 0, 0)
    together = 3
    def __init__(self, parameters):
        pass
    def segment(self, block):
        if block.chunk == 1:
            raise RuntimeError("not this one")
        return Labelling((block.inner_field >= 4).astype(np.uint32))
    def segment_together(self, blocks):
        for place in reversed(range(len(blocks))):
            yield place, self.segment(blocks[place])
'''


@pytest.mark.usefixtures("stranger")
def test_of_chunks_that_are_worked_on_together_one_that_fails_costs_itself_only(door: Door, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(TOGETHER)
    spec = spec_of(tmp_path, segmenter="odd", parameters={"none": None})
    with process(door.address) as worker:
        door.expect(Hello)
        door.welcome(spec)
        for chunk in (0, 1, 2, 3):
            door.say(Lease(chunk, 10 + chunk, 30))
        worker.ready()
        while {0, 2, 3} - {message.chunk for message in door.heard if isinstance(message, Commit)}:
            door.expect(Commit)
        if not any(isinstance(message, Fail) for message in door.heard):
            door.expect(Fail)
        leases = [(message.chunk, message.lease) for message in door.heard if isinstance(message, Commit)]
        assert sorted(leases) == [(0, 10), (2, 12), (3, 13)], "each once"
        failed = [message for message in door.heard if isinstance(message, Fail)]
        assert failed == [Fail(1, 11, "RuntimeError: not this one")]
        worker.signal(signal.SIGTERM)
        assert worker.wait()[0] == 0


@pytest.mark.usefixtures("stranger")
def test_a_segmenter_that_raises_costs_its_chunk_only(door: Door, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, segmenter="odd", parameters={"none": None})
    with process(door.address) as worker:
        door.expect(Hello)
        door.welcome(spec)
        worker.ready()
        for chunk in (0, 1, 3):
            door.say(Lease(chunk, chunk + 1, 30))
        assert door.expect(Fail)[0] == Fail(0, 1, "RuntimeError: first line second line")
        failed = door.expect(Fail)[0]
        assert (failed.chunk, failed.lease) == (1, 2)
        assert failed.reason.startswith("ValueError: chunk 1: labels of shape (1, 1, 1) for a block of")
        commit, payloads = door.expect(Commit)
        check(spec.grid, commit, list(payloads))
        assert commit.chunk == 3
        worker.signal(signal.SIGTERM)
        code, _, err = worker.wait()
    assert code == 0
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line.get("chunk") == 0]
    assert (line["run"], line["level"]) == ("run-1", "error")
    assert "Traceback" in line["exception"]


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize("how", ["signal", "drain"])
def test_work_in_progress_is_broken_off_where_it_beats(door: Door, tmp_path: Path, how: str) -> None:
    with process(door.address) as worker:
        door.expect(Hello)
        door.welcome(spec_of(tmp_path, segmenter="odd", parameters={"none": None}))
        worker.ready()
        door.say(Lease(2, 1, 0.2))
        # Only the thread that works beats, so the work has begun.
        door.expect(Beat)
        door.expect(Beat)
        if how == "signal":
            worker.signal(signal.SIGTERM)
        else:
            door.say(Drain("the run is cancelled"))
        door.expect(Goodbye)
        assert worker.wait()[0] == 0
    assert not [message for message in door.heard if isinstance(message, Fail | Commit)]


def test_an_unreadable_chunk_is_reported_and_the_next_one_done(door: Door, tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    with process(door.address) as worker:
        door.expect(Hello)
        door.welcome(spec)
        worker.ready()
        door.say(Lease(spec.grid.size, 1, 30))
        assert door.expect(Fail)[0].reason == "IndexError: chunk 12 is not one of the grid's 12"
        door.say(Lease(0, 2, 30))
        assert door.expect(Commit)[0].chunk == 0


@pytest.mark.parametrize(("segmenter", "parameters", "sentence"), [
    ("conect", {"threshold": 1}, "cavecast: there is no segmenter 'conect'; installed are: connect, ffn"),
    ("connect", {"connectivity": 6}, "cavecast: segmenter connect needs threshold: the least value of the field that"
     " belongs to an object; a number; give --threshold"),
])  # fmt: skip
def test_a_worker_that_lacks_what_the_run_needs_leaves_with_a_sentence(
    door: Door, tmp_path: Path, segmenter: str, parameters: dict[str, Parameter], sentence: str
) -> None:
    with process(door.address) as worker:
        door.expect(Hello)
        door.welcome(spec_of(tmp_path, segmenter=segmenter, parameters=parameters))
        door.expect(Goodbye)
        code, out, err = worker.wait()
    assert (code, out) == (2, "")  # it would be refused again
    assert err.splitlines()[-1] == sentence


def test_a_worker_that_cannot_open_the_volume_leaves_with_a_sentence(door: Door, tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    (tmp_path / "field.npy").unlink()
    with process(door.address) as worker:
        door.expect(Hello)
        door.welcome(spec)
        door.expect(Goodbye)
        code, _, err = worker.wait()
    assert code == 1
    assert err.splitlines()[-1].startswith("cavecast: ")
    assert str(tmp_path / "field.npy") in err


def test_a_worker_that_is_refused_ends_with_the_streamers_reason(door: Door) -> None:
    with process(door.address) as worker:
        door.expect(Hello)
        door.say(Refuse("this side speaks protocol 1, the worker 2"))
        code, out, err = worker.wait()
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == (
        f"cavecast: the streamer at {door.address} refuses: this side speaks protocol 1, the worker 2"
    )


def test_a_newer_streamer_is_named_in_a_sentence(door: Door) -> None:
    import msgspec

    with process(door.address) as worker:
        door.expect(Hello)
        door.say_raw(msgspec.msgpack.encode(["Welcome", 2, "e", 0, 0, "new"]))
        code, _, err = worker.wait()
    assert code == 1
    assert "the peer speaks protocol 2, this side 1: update CaveCast on this side" in err.splitlines()[-1]


def test_messages_that_are_not_known_are_passed_over(door: Door, tmp_path: Path) -> None:
    with process(door.address) as worker:
        door.expect(Hello)
        door.say_raw(b"\x91\xa6Future", b"payload")
        door.welcome(spec_of(tmp_path))
        worker.ready()
        door.say_raw(b"not MessagePack")
        door.say(Lease(0, 1, 30))
        door.expect(Commit)


@pytest.mark.parametrize("address", ["nowhere", "tcp://127.0.0.1:x"])
def test_an_address_that_is_none_is_said_at_once(address: str) -> None:
    with process(address) as worker:
        code, _, err = worker.wait()
    assert code == 1
    assert err.splitlines()[-1].startswith(f"cavecast: {address} is no address of a streamer")


def test_a_worker_loads_neither_vtk_nor_tensorflow(tmp_path: Path) -> None:
    np.save(tmp_path / "field.npy", FIELD)
    program = f"""
import sys, inference_workers.main, inference_workers.node
from inference_workers.segmenter import load_segmenter
from inference_workers.source import InspectRequest, inspect, open_source
from streamer.wire.grid import Box
load_segmenter("connect", {{"threshold": 1}})
found = inspect(InspectRequest({str(tmp_path / "field.npy")!r}, spacing=(1.0, 1.0, 1.0)))
open_source(found.source, found.volume).read(Box((0, 0, 0), (1, 1, 1)))
large = {{"vtk", "vtkmodules", "pyvista", "tensorflow", "fastapi", "zarr"}}
print(sorted({{name.partition(".")[0] for name in sys.modules}} & large))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_the_commands_options_are_these() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from streamer.cli import main; main()", "worker", "--help"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert all(option in done.stdout for option in ("--ingest", "--name", "--leases", "--patience"))
