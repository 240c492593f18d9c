"""The segmenter ``ffn``: its parameters, what it refuses, and that nobody loads TensorFlow unawares."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inference_workers.ffn.file import write_model
from inference_workers.ffn.model import ModelConfig
from inference_workers.ffn.segmenter import Ffn, Flooding, as_asked
from inference_workers.ffn.settings import FloodFillSettings, SeedSettings
from inference_workers.segmenter import SegmenterError, choose_parameters, load_segmenter, wishes_of
from tests.ffn.forward import some_weights

FLOOD = FloodFillSettings(fov=(5, 17, 17), deltas=(1, 4, 4), min_segment_size=70)
CONFIG = ModelConfig(depth=2, features=3, mean=400, std=200, flood=FLOOD, seeds=SeedSettings(threshold=500))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.keras"
    write_model(path, CONFIG, some_weights(2, 3))
    return path


def test_what_is_not_asked_is_as_the_model_says(model: Path) -> None:
    ffn = load_segmenter("ffn", {"model": str(model)})
    assert isinstance(ffn, Ffn)
    assert ffn.config == CONFIG
    assert ffn.halo == (3, 12, 12)


def test_what_is_asked_takes_the_place_of_what_the_model_says(model: Path) -> None:
    asked = Flooding(
        model=str(model), seeds="grid", move=0.8, min_segment_size=7, disconnection_bias=False, inverted=True, reach=0
    )
    ffn = Ffn(asked)
    assert (ffn.config.flood.move, ffn.config.flood.min_segment_size) == (0.8, 7)
    assert ffn.config.flood.disconnection_bias is False
    assert (ffn.config.seeds.policy, ffn.config.seeds.inverted) == ("grid", True)
    assert ffn.config.seeds.threshold == 500
    assert ffn.halo == (2, 8, 8)


def test_a_run_is_told_the_whole_path_and_how_chunks_are_joined(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model.parent)
    chosen = choose_parameters("ffn", {"model": model.name}, {"threshold": 250.0})
    assert chosen["model"] == str(model)
    assert "threshold" not in chosen, "what data suggest to connect is nothing to a network"
    assert wishes_of("ffn", chosen) == ("overlap", 70, (1, 4, 4))
    assert wishes_of("ffn", {**chosen, "reach": 0}) == ("overlap", 70, (1, 1, 1))
    assert wishes_of("ffn", {**chosen, "connected": True}) == ("voxel", 70, (1, 1, 1))
    with pytest.raises(SegmenterError, match="say --set connected=false too"):
        choose_parameters("ffn", {**chosen, "connected": True, "consensus": True}, {})
    assert wishes_of("connect", {"threshold": 1}) == ("voxel", 0, (1, 1, 1))


@pytest.mark.parametrize(("given", "said"), [
    ({}, "needs model"),
    ({"model": "gone.keras"}, "gone.keras"),
    ({"batch": 0}, "batch=0: chunks of one worker"),
    ({"reach": -1}, "reach=-1"),
    ({"move": 1.0}, "between 0 and 1"),
    ({"move": 0.99}, "nothing would ever move"),
    ({"seeds": "list"}, "maxima of the field"),
    ({"precision": "double"}, "one of"),
    ({"backend": "torch"}, "one of"),
    ({"speed": 1}, "no parameter 'speed'"),
])  # fmt: skip
def test_what_it_cannot_take_is_named_in_one_sentence(given: dict[str, Any], said: str, model: Path) -> None:
    parameters = given if not given else {"model": str(model)} | given
    with pytest.raises(SegmenterError) as refused:
        load_segmenter("ffn", parameters)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("segmenter ffn")


def test_a_model_whose_seeds_are_a_list_needs_a_policy() -> None:
    listed = ModelConfig(depth=1, features=1, mean=0, std=1, flood=FLOOD, seeds=SeedSettings(policy="list"))
    with pytest.raises(ValueError, match="--set seeds"):
        as_asked(listed, Flooding(model="m"))
    assert as_asked(listed, Flooding(model="m", seeds="peaks")).seeds.policy == "peaks"


def loaded_after(code: str) -> set[str]:
    """Which of the large libraries a fresh process has loaded after running some code."""
    report = "import sys\nprint(*(n for n in ('tensorflow', 'keras', 'openvino') if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_a_worker_for_connect_never_loads_tensorflow() -> None:
    code = (
        "import inference_workers.node, inference_workers.main\n"
        "from inference_workers.segmenter import load_segmenter, choose_parameters\n"
        "load_segmenter('connect', choose_parameters('connect', {'threshold': 1}, {}))"
    )
    assert loaded_after(code) == set()


def test_nobody_loads_tensorflow_who_only_asks_which_parameters_there_are(model: Path) -> None:
    code = (
        "from inference_workers.ffn import Canvas, FloodFillSettings\n"
        "from inference_workers.segmenter import load_segmenter, schema\n"
        f"schema('ffn'), load_segmenter('ffn', {{'model': {str(model)!r}}}).halo"
    )
    assert loaded_after(code) == set()


def test_the_network_is_loaded_when_it_is_needed(model: Path) -> None:
    code = (
        "import numpy as np\n"
        "from inference_workers.ffn import load_network\n"
        f"network = load_network({str(model)!r}, backend='tensorflow')\n"
        "network.predict(np.zeros((1, 5, 17, 17)), np.zeros((1, 5, 17, 17)))"
    )
    assert "tensorflow" in loaded_after(code)
