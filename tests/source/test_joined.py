"""Files in the order of time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.source.joined import (
    Part,
    join,
    natural,
    read_counts,
    read_order,
    recall,
    write_counts,
    write_order,
)
from inference_workers.source.records import InputError

UNITS = "hours since 2000-01-01"


def part(name: str, *points: float) -> Part:
    return Part(f"/archive/{name}", np.array(points), None)


def test_files_follow_their_times_and_a_note_says_so_if_names_do_not() -> None:
    found = join([part("a", 12, 18), part("b", 0, 6), part("c", 24)], UNITS, "")
    assert found.points.tolist() == [0, 6, 12, 18, 24]
    assert found.plan.paths == ("/archive/b", "/archive/a", "/archive/c")
    assert found.plan.counts == (2, 2, 1)
    assert "b" in found.notes[0]
    assert not join([part("a", 0), part("b", 6)], UNITS, "").notes


def test_one_time_in_two_files_is_refused_naming_both_and_the_time() -> None:
    with pytest.raises(InputError, match="a and b both hold 2000-01-01 06:00"):
        join([part("a", 0, 6), part("b", 6, 12)], UNITS, "")


def test_files_that_interleave_are_refused() -> None:
    with pytest.raises(InputError, match="a and b overlap"):
        join([part("a", 0, 6), part("b", 3, 9)], UNITS, "")


def test_a_worker_recalls_the_plan_without_looking_into_the_files() -> None:
    parts = [part("a", 12, 18), part("b", 0, 6), part("c", 24)]
    found = join(parts, UNITS, "")
    assert recall([p.path for p in parts], found.hints, "*") == found.plan


def test_an_archive_may_grow_at_its_end_but_not_change() -> None:
    parts = [part("a", 0), part("b", 6)]
    found = join(parts, UNITS, "")
    assert recall(["/archive/a", "/archive/b", "/archive/c"], found.hints, "*") == found.plan
    assert recall(["/mounted/elsewhere/a", "/mounted/elsewhere/b"], found.hints, "*").counts == (1, 1)
    for listed in (["/archive/a"], ["/archive/a", "/archive/aa", "/archive/b"]):
        with pytest.raises(InputError, match="start the run again"):
            recall(listed, found.hints, "*")


def test_the_plan_of_a_large_archive_is_short() -> None:
    parts = [part(f"{n}", float(3 * n)) for n in range(112_249)]
    assert sum(len(text) for text in join(parts, UNITS, "").hints.values()) < 100


@given(st.permutations(range(12)))
def test_an_order_is_read_as_it_was_written(order: list[int]) -> None:
    assert read_order(write_order(order)) == list(order)


@given(st.lists(st.integers(1, 9), min_size=1))
def test_counts_are_read_as_they_were_written(counts: list[int]) -> None:
    assert read_counts(write_counts(counts)) == counts


def test_day_ten_comes_behind_day_nine() -> None:
    assert sorted(["d10", "d9", "d1"], key=natural) == ["d1", "d9", "d10"]
