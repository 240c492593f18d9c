"""Reading examples straight from the store, in threads, in an order that does not depend on them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference_workers.ffn.pipeline import AHEAD, Blocks, Pipeline
from inference_workers.ffn.training import Example
from inference_workers.source import InputError, InspectRequest, inspect
from streamer.wire.grid import Box

SHAPE = (10, 13, 17)
FIELD = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("volume") / "field.npy"
    np.save(file, FIELD)
    return file


def blocks_of(path: Path, memory: int = 1 << 20) -> Blocks:
    found = inspect(InspectRequest(str(path)))
    return Blocks(found.source, found.volume, memory, block=(4, 5, 6))


@given(st.tuples(*(st.integers(0, n - 1) for n in SHAPE)), st.tuples(*(st.integers(1, 9) for _ in SHAPE)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_box_is_what_the_volume_has_there(path: Path, start: tuple[int, ...], shape: tuple[int, ...]) -> None:
    z, y, x = (slice(a, min(a + n, whole)) for a, n, whole in zip(start, shape, SHAPE, strict=True))
    blocks = blocks_of(path)
    read = blocks.read(Box((z.start, y.start, x.start), (z.stop, y.stop, x.stop)))
    blocks.close()
    np.testing.assert_array_equal(read, FIELD[z, y, x])


def test_a_box_across_the_seam_wraps(path: Path) -> None:
    blocks = blocks_of(path)
    for low, high in ((-5, 3), (14, 22), (-3, 20)):
        read = blocks.read(Box((1, 2, low), (4, 9, high)), wraps_x=True)
        np.testing.assert_array_equal(read, FIELD[1:4, 2:9].take(range(low, high), axis=2, mode="wrap"))
    blocks.close()


def test_a_block_is_read_once_however_many_threads_want_it(path: Path) -> None:
    blocks = blocks_of(path)
    together = threading.Barrier(8, timeout=60)

    def read(_: int) -> np.ndarray:
        together.wait()
        return blocks.read(Box((0, 0, 0), SHAPE))

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(read, range(8)):
            np.testing.assert_array_equal(found, FIELD)
    assert blocks.reads == 3 * 3 * 3
    blocks.close()


def test_memory_is_bounded_and_blocks_that_went_are_read_again(path: Path) -> None:
    blocks = blocks_of(path, memory=1)
    for _ in range(2):
        np.testing.assert_array_equal(blocks.read(Box((0, 0, 0), SHAPE)), FIELD)
    assert blocks.reads == 2 * 27
    blocks.close()


def test_a_store_that_does_not_answer_any_more_says_so_each_time(tmp_path: Path) -> None:
    file = tmp_path / "field.npy"
    np.save(file, FIELD)
    blocks = blocks_of(file)
    file.unlink()
    for _ in range(2):
        with pytest.raises(InputError, match=r"field\.npy"):
            blocks.read(Box((0, 0, 0), (1, 1, 1)))
    blocks.close()


def plain(number: int) -> Example:
    one = np.full((1, 1, 1), number, np.float32)
    return Example(number, one, one, one)


def test_each_row_has_its_own_examples_in_order_whichever_thread_is_quicker() -> None:
    gates = [threading.Event() for _ in range(64)]

    def make(number: int) -> Example:
        if number % 2 == 0:
            assert gates[number].wait(60)
        return plain(number)

    with Pipeline(make, rows=2, first=2, of=4, threads=3, begun=[0, 0]) as pipeline:
        assert [pipeline.take(1).number for _ in range(3)] == [3, 7, 11]
        for gate in gates:
            gate.set()
        assert [pipeline.take(0).number for _ in range(3)] == [2, 6, 10]
        assert pipeline.begun == [3, 3]


def test_a_pipeline_that_is_resumed_goes_on_where_each_row_was() -> None:
    with Pipeline(plain, rows=2, first=0, of=2, threads=1, begun=[5, 1]) as pipeline:
        assert [pipeline.take(0).number, pipeline.take(1).number, pipeline.take(1).number] == [10, 3, 5]


def test_no_more_examples_are_made_than_rows_will_take_soon() -> None:
    made: list[int] = []

    def make(number: int) -> Example:
        made.append(number)
        return plain(number)

    with Pipeline(make, rows=3, first=0, of=3, threads=1, begun=[0, 0, 0]) as pipeline:
        taken = [pipeline.take(0).number for _ in range(4)]
    assert taken == [0, 3, 6, 9]
    assert len(made) <= 4 + 3 * AHEAD


def test_what_goes_wrong_in_a_thread_is_raised_where_the_example_is_taken() -> None:
    def make(number: int) -> Example:
        raise InputError(f"no block for {number}")

    with (
        Pipeline(make, rows=1, first=0, of=1, threads=1, begun=[0]) as pipeline,
        pytest.raises(InputError, match="no block for 0"),
    ):
        pipeline.take(0)


def test_waiting_is_counted_but_for_the_first_of_each_row() -> None:
    gate = threading.Event()

    def make(number: int) -> Example:
        if number >= AHEAD:
            assert gate.wait(60)
        return plain(number)

    with Pipeline(make, rows=1, first=0, of=1, threads=1, begun=[0]) as pipeline:
        pipeline.take(0)
        assert pipeline.waited_s == 0
        pipeline.take(0)
        opener = threading.Timer(0.05, gate.set)
        opener.start()
        pipeline.take(0)
        opener.join()
        assert pipeline.waited_s > 0.02
