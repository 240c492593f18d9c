"""One range for the whole run: from the file if it can be believed, else from a bounded look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.source import InspectRequest, inspect
from inference_workers.source.extent import READS, SIDE, sample, seen, settle, stated
from streamer.wire.grid import Triple


@given(st.tuples(*[st.integers(1, 5000)] * 3))
def test_a_look_is_bounded_and_spread_over_the_volume(shape: Triple) -> None:
    boxes = list(sample(shape))
    assert boxes == list(sample(shape))
    assert 1 <= len(boxes) == len(set(boxes)) <= READS
    for box in boxes:
        assert all(0 <= a < b <= n for a, b, n in zip(box.start, box.stop, shape, strict=True))
        assert box.shape[0] == 1
        assert box.shape[1] * box.shape[2] <= SIDE * SIDE
    assert boxes[0].start[0] == 0
    if len(boxes) > 1:
        assert boxes[-1].stop[0] == shape[0]
    if shape[0] >= READS:
        for axis in (1, 2):
            starts = sorted(box.start[axis] for box in boxes)
            free = shape[axis] - boxes[0].shape[axis]
            assert max(np.diff([0, *starts, free]), default=0) <= free // 10 + 1


@pytest.mark.parametrize(
    ("attributes", "packed", "expected"),
    [
        ({"actual_range": [0.0, 9.0]}, True, (0.0, 9.0)),
        ({"valid_range": np.array([0, 200], np.int16)}, False, (0.0, 200.0)),
        ({"valid_range": [0, 200]}, True, None),
        ({"actual_range": [np.nan, 9.0]}, False, None),
        ({"actual_range": [9.0, 0.0]}, False, None),
        ({"actual_range": "0 to 9"}, False, None),
        ({}, False, None),
    ],
)
def test_a_file_may_state_its_range(
    attributes: dict[str, object], packed: bool, expected: tuple[float, float] | None
) -> None:
    assert stated(attributes, packed) == expected


@pytest.mark.parametrize(
    ("said", "found", "expected"),
    [
        ((0.0, 1500.0), (3.0, 900.0), (0.0, 1500.0)),
        ((-1e15, 1e15), (3.0, 903.0), (3.0, 993.0)),  # MERRA-2
        ((0.0, 100.0), (3.0, 900.0), (3.0, 989.7)),  # not so
        (None, (-100.0, 100.0), (-120.0, 120.0)),
        (None, (5.0, 5.0), (5.0, 10.0)),
        (None, None, (0.0, 1.0)),
        ((2.0, 3.0), None, (2.0, 3.0)),
    ],
)
def test_a_stated_range_is_taken_if_the_values_bear_it_out(
    said: tuple[float, float] | None, found: tuple[float, float] | None, expected: tuple[float, float]
) -> None:
    assert settle(said, found)[0] == pytest.approx(expected)


def test_what_is_missing_or_infinite_is_not_seen() -> None:
    assert seen([np.array([[[np.nan, -np.inf, 2.0, np.inf, 7.0]]]), np.full((1, 1, 1), np.nan)]) == (2.0, 7.0)
    assert seen([np.full((1, 2, 3), np.nan)]) is None


def test_an_input_is_looked_at_only_if_a_range_is_wanted(tmp_path: Path) -> None:
    values = np.linspace(10, 110, 5 * 6 * 7, dtype=np.float32).reshape(5, 6, 7)
    values[2, 3, 4] = np.nan
    for name, attributes, expected in (
        ("plain", {}, (0.0, 120.0)),
        ("told", {"actual_range": np.array([0.0, 200.0])}, (0.0, 200.0)),
        ("absurd", {"valid_range": np.array([-1e15, 1e15])}, (0.0, 120.0)),
    ):
        path = tmp_path / f"{name}.nc"
        xarray.Dataset({"v": (("z", "y", "x"), values, attributes)}).to_netcdf(path)
        assert inspect(InspectRequest(str(path))).field_range is None
        found = inspect(InspectRequest(str(path), with_range=True))
        assert found.field_range is not None
        assert found.field_range == pytest.approx(expected, abs=1e-3)
        assert any("drawn between" in note for note in found.notes)
