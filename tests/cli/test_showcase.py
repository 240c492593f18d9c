"""How the demo has each sample segmented: decided from what was asked and what is installed."""

from __future__ import annotations

import pytest

from inference_workers.ffn.demo_model import path
from inference_workers.ffn.file import read_config
from streamer.control.schema import RunRequest
from streamer.run.given import WrongUse
from streamer.run.showcase import BACKENDS, CHUNK, LAYERS, LIFE_H, SEGMENTERS, showing
from tests.e2e.whole import field

CONNECT = {"segmenter": "connect", "layers": ["labels1", "field"]}


def test_rivers_is_segmented_by_the_network_unless_connect_is_asked_for() -> None:
    shown = showing("rivers", None, backend=True)
    asked = RunRequest.model_validate({"input": "sample:rivers", **shown.request})
    assert (asked.segmenter, asked.parameters, asked.min_duration_h) == ("ffn", {"model": "demo"}, LIFE_H)
    assert asked.chunk is not None
    assert tuple(asked.chunk) == CHUNK
    assert asked.layers == set(LAYERS), "the pointer names values in the demo"
    assert showing("rivers", "ffn", backend=True) == shown
    assert showing("rivers", "connect", backend=True) == (CONNECT, None)


@pytest.mark.parametrize("backend", [False, True])
@pytest.mark.parametrize("sample", ["flood2021", "blocking1980"])
def test_other_samples_stay_with_connect(sample: str, backend: bool) -> None:
    assert showing(sample, None, backend=backend) == (CONNECT, None)


def test_without_a_backend_connect_takes_over_and_one_sentence_says_so() -> None:
    request, said = showing("rivers", None, backend=False)
    assert request == CONNECT
    assert said is not None
    assert said.startswith("Neither OpenVINO nor TensorFlow is installed, so CONNECT segments it")
    assert showing("rivers", "connect", backend=False) == (request, None), "who asked for it is told nothing"


@pytest.mark.parametrize(
    ("sample", "asked", "backend", "sentence"),
    [
        ("rivers", "magic", True, "the demo has no segmenter 'magic'; there are ffn and connect"),
        ("flood2021", "ffn", True, "was trained for rivers, not for flood2021"),
        ("rivers", "ffn", False, "needs OpenVINO or TensorFlow, and neither is installed: pip install"),
    ],
)
def test_what_cannot_be_shown_is_refused(sample: str, asked: str, backend: bool, sentence: str) -> None:
    with pytest.raises(WrongUse, match=sentence):
        showing(sample, asked, backend=backend)


def test_every_chunk_has_two_fields_of_view_along_each_axis() -> None:
    fov = read_config(path()).fov
    for length, chunk, view in zip(field("rivers", "ivt").shape, CHUNK, fov, strict=True):
        last = length % chunk or chunk
        assert min(chunk, last) >= 2 * view, "the last one too"


def test_backends_and_segmenters_are_those_of_the_worker() -> None:
    from inference_workers.ffn import choice
    from inference_workers.segmenter import segmenters

    assert set(BACKENDS) == set(choice.BACKENDS)
    assert set(SEGMENTERS) <= set(segmenters())
