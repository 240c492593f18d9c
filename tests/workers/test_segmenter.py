"""How a segmenter is found, and what is said when it cannot be had."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from inference_workers.connect import Connect, components
from inference_workers.segmenter import (
    Block,
    SegmenterError,
    catalogue,
    choose_parameters,
    load_segmenter,
    schema,
    segmenters,
)
from streamer.wire.grid import Box, Grid
from streamer.wire.volume import Parameter
from tests.workers.reference import plain_volume

STRANGER = '''
from typing import Annotated
import msgspec, numpy as np
from inference_workers.segmenter import Labelling

class Settings(msgspec.Struct, frozen=True):
    above: Annotated[float, msgspec.Meta(ge=0, le=10, description="the least value")]
    name: str = "all"

class Whole:
    """Everything above a value is label 1, connected or not."""
    Parameters = Settings
    halo = (1, 0, 2)
    def __init__(self, parameters):
        if parameters.name == "none":
            raise ValueError("a name is needed")
        self.above = parameters.above
    def segment(self, block):
        block.beat()
        return Labelling((block.inner_field > self.above).astype(np.uint32))

class Half:
    pass
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of somebody else's, installed beside ours."""
    (tmp_path / "stranger.py").write_text(STRANGER)
    information = tmp_path / "stranger-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[cavecast.segmenters]\nwhole = stranger:Whole\nhalf = stranger:Half\ngone = stranger:Gone\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield
    sys.modules.pop("stranger", None)


def block_of(field: np.ndarray) -> Block:
    shape = field.shape
    grid = Grid((shape[0], shape[1], shape[2]), (shape[0], shape[1], shape[2]))
    return Block(grid, 0, plain_volume(grid.shape), field, Box((0, 0, 0), grid.shape), None, lambda: None)


@pytest.mark.usefixtures("package")
def test_a_package_of_the_users_adds_a_segmenter_by_its_entry_point() -> None:
    assert list(segmenters()) == ["connect", "ffn", "gone", "half", "whole"]
    whole = load_segmenter("whole", {"above": 1, "name": None})
    assert whole.halo == (1, 0, 2)
    assert whole.segment(block_of(np.array([[[0.5, 1.5]]]))).labels.tolist() == [[[0, 1]]]
    described = schema("whole")["properties"]
    assert described["above"] == {"type": "number", "minimum": 0, "maximum": 10, "description": "the least value"}
    assert described["name"]["default"] == "all"


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(("name", "parameters", "sentence"), [
    ("conect", {}, "there is no segmenter 'conect'; installed are: connect, ffn, gone, half, whole"),
    ("whole", {}, "segmenter whole needs above: the least value; a number ≥ 0 and ≤ 10; give --set above=VALUE"),
    ("whole", {"above": 11.0}, "segmenter whole cannot take above=11.0: the least value; a number ≥ 0 and ≤ 10"),
    ("whole", {"above": 1, "name": 3}, "segmenter whole cannot take name=3: a string"),
    ("whole", {"above": 1, "below": 3}, "segmenter whole has no parameter 'below'; it takes: above, name"),
    ("whole", {"above": 1, "name": "none"}, "segmenter whole: a name is needed"),
    ("half", {}, "segmenter half (stranger:Half) is none: it needs a msgspec.Struct called Parameters and a method"
                 " segment(block)"),
    ("gone", {}, "segmenter gone (stranger:Gone) cannot be loaded: AttributeError: module 'stranger' has no attribute"
                 " 'Gone'"),
    ("connect", {}, "segmenter connect needs threshold: the least value of the field that belongs to an object;"
                    " a number; give --threshold"),
    ("connect", {"threshold": 1, "connectivity": 8}, "segmenter connect cannot take connectivity=8: how many neighbours"
     " a voxel has: by faces, also edges, also corners; one of 6, 18, 26"),
    ("connect", {"threshold": float("nan")}, "segmenter connect: threshold is a finite number, not nan"),
])  # fmt: skip
def test_what_cannot_be_had_is_said_in_one_sentence(name: str, parameters: dict[str, float], sentence: str) -> None:
    with pytest.raises(SegmenterError) as said:
        load_segmenter(name, parameters)
    assert str(said.value) == sentence


def test_connect_is_installed_with_the_project() -> None:
    assert isinstance(load_segmenter("connect", {"threshold": 250}), Connect)
    assert schema("connect")["properties"]["connectivity"]["enum"] == [6, 18, 26]


def test_a_voxel_on_the_threshold_belongs_and_nan_does_not() -> None:
    # 0.7 as float32 is less than 0.7 as float64; who asks for 0.7 means the value in the file.
    field = np.array([[[0.7, np.nan, 0.69, np.inf, -np.inf]]], np.float32)
    assert load_segmenter("connect", {"threshold": 0.7}).segment(block_of(field)).labels.tolist() == [[[1, 0, 0, 2, 0]]]


def test_a_threshold_beyond_the_fields_precision_finds_nothing() -> None:
    field = np.full((1, 1, 2), 3e38, np.float32)
    assert not load_segmenter("connect", {"threshold": 1e300}).segment(block_of(field)).labels.any()


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_voxels_that_all_stand_alone_are_labelled_each(connectivity: int, capfd: pytest.CaptureFixture[str]) -> None:
    for shape in [*product(range(1, 8), repeat=3), (1, 33, 33), (32, 1, 33)]:
        belongs = np.zeros(shape, bool)
        belongs[::2, ::2, ::2] = True
        labels = components(belongs, connectivity)
        assert sorted(labels[belongs].tolist()) == list(range(1, np.count_nonzero(belongs) + 1))
        assert not labels[~belongs].any()
    assert capfd.readouterr().out == ""


def test_what_the_data_suggest_is_taken_where_the_segmenter_has_it_and_nothing_else_was_said() -> None:
    suggested: dict[str, Parameter] = {"threshold": 500.0, "sieve": 3}
    assert choose_parameters("connect", {}, suggested) == {"threshold": 500.0, "connectivity": 26}
    given: dict[str, Parameter] = {"threshold": 250, "connectivity": 6}
    assert choose_parameters("connect", given, suggested) == given
    with pytest.raises(SegmenterError, match=r"needs threshold: .*; give --threshold"):
        choose_parameters("connect", {"threshold": None}, {})
    with pytest.raises(SegmenterError, match="no parameter 'treshold'"):
        choose_parameters("connect", {"treshold": 1}, suggested)


def test_the_catalogue_has_all_that_are_installed_and_says_why_one_cannot_be_had(package: None) -> None:
    del package
    found = {entry.name: entry for entry in catalogue()}
    assert {"connect", "ffn", "whole", "half"} <= set(found)
    assert found["whole"].description == "Everything above a value is label 1, connected or not."
    assert found["whole"].package == "stranger 1.0"
    assert found["whole"].parameters["properties"]["above"]["maximum"] == 10
    assert not found["whole"].error
    assert "half" in found["half"].error
