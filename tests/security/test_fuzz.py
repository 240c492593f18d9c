"""Bytes of any kind: refused with a reason, without a crash, and without memory beyond the bound."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.wire.block import PARTS, check
from streamer.wire.header import MAX_HEADER, Refused, decode, encode
from streamer.wire.messages import Commit, PartInfo
from tests.security.targets import BOUND_BYTES, GRID, TARGETS, pieces_of

NUMBERS = st.one_of(st.integers(-2, 70), st.integers(-(1 << 63), (1 << 64) - 1))


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.__name__)
@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=2000))
def test_any_bytes_are_taken_or_refused_with_a_reason(target: Callable[[bytes], str], raw: bytes) -> None:
    """A target returns the reason, or nothing if it took the bytes; whatever else it raises is a fault."""
    target(raw)


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.__name__)
def test_a_true_message_is_taken_and_each_bit_of_it_may_turn(target: Callable[[bytes], str]) -> None:
    for raw in pieces_of(target):
        for at in range(min(len(raw), 300)):
            for bit in range(8):
                target(raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :])


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.__name__)
def test_what_is_refused_has_a_reason(target: Callable[[bytes], str]) -> None:
    assert len(target(b"\xc1\xff\x00garbage" * 40)) > 10


@settings(max_examples=300, deadline=None)
@given(
    chunk=NUMBERS, own=NUMBERS, components=NUMBERS, rows=NUMBERS, cells=NUMBERS, labelled=NUMBERS, constant=NUMBERS,
    sizes=st.lists(NUMBERS, min_size=5, max_size=5), raws=st.lists(st.binary(max_size=60), min_size=5, max_size=5),
)  # fmt: skip
def test_a_commit_of_any_numbers_costs_no_memory_beyond_the_bound(
    chunk: int, own: int, components: int, rows: int, cells: int, labelled: int, constant: int,
    sizes: list[int], raws: list[bytes],
) -> None:  # fmt: skip
    parts = tuple(PartInfo(name, size, 1) for name, size in zip(PARTS, sizes, strict=True))
    commit = Commit(chunk, 1, parts, own, components, rows, cells, labelled, constant)
    reason = "none"
    tracemalloc.start()
    try:
        decode([encode(commit)])
        check(GRID, commit, raws)
    except Refused as why:
        reason = str(why)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert reason
    assert peak < BOUND_BYTES


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.__name__)
def test_a_bomb_is_refused_before_memory_is_taken(target: Callable[[bytes], str]) -> None:
    import zstandard

    bomb = zstandard.ZstdCompressor().compress(bytes(256 << 20))
    array = b"\xdd\xff\xff\xff\xff" * 40  # MessagePack: arrays of 2³²−1 elements, one in another
    text = b"\x92\xdb\xff\xff\xff\xff"
    for raw in (bomb, array, text, bytes(MAX_HEADER + 1)):
        tracemalloc.start()
        try:
            target(raw)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < BOUND_BYTES, len(raw)


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.__name__)
def test_a_fuzzer_that_follows_the_branches_finds_nothing(target: Callable[[bytes], str], tmp_path: Path) -> None:
    assert importlib.util.find_spec("atheris"), "atheris is not installed: make long-test installs it"
    for number, raw in enumerate(pieces_of(target)):
        (tmp_path / str(number)).write_bytes(raw)
    limits = ["-max_total_time=60", "-rss_limit_mb=1024", "-malloc_limit_mb=256", "-timeout=5", "-max_len=4096"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.fuzz", target.__name__, *limits, str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=180, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
