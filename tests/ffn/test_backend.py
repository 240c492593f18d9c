"""Which backend is taken, what is loaded for it, and what happens when memory is short."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.ffn import choice, load_network
from inference_workers.ffn.choice import BACKENDS, Choice, Kind, among, faster, remember, remembered
from inference_workers.ffn.file import write_model
from inference_workers.ffn.loading import FloatArray, Network, cache_file, start, trial
from inference_workers.ffn.model import ModelError
from tests.ffn.forward import config, some_input, some_weights

BOTH = frozenset(BACKENDS)
KIND = Kind(4, 8, (5, 33, 33), "float32", 1, "EPYC", "tensorflow 2.21")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model file."""
    path = tmp_path_factory.mktemp("model") / "small.keras"
    write_model(path, config(2, 3), some_weights(2, 3))
    return path


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_what_is_asked_for_is_taken_or_refused_with_the_package_to_install() -> None:
    for name in BACKENDS:
        assert among(BOTH, name, gpu=True) == Choice(name, "asked for")
    with pytest.raises(ModelError, match=r"openvino is not installed: pip install 'cavecast\[openvino\]'"):
        among(frozenset({"tensorflow"}), "openvino", gpu=False)
    with pytest.raises(ModelError, match=r"tensorflow is not installed: pip install 'cavecast\[worker\]'"):
        among(frozenset({"openvino"}), "tensorflow", gpu=False)
    with pytest.raises(ModelError, match="there is no backend 'onnx'; there are auto, tensorflow and openvino"):
        among(BOTH, "onnx", gpu=False)


def test_where_only_one_could_be_taken_nothing_is_measured() -> None:
    for name in BACKENDS:
        assert among(frozenset({name}), "auto", gpu=False) == Choice(name, "the only one installed")
    assert among(BOTH, "auto", gpu=True) == Choice("tensorflow", "there is a GPU")
    assert among(BOTH, "auto", gpu=False) is None
    with pytest.raises(ModelError, match=r"neither TensorFlow nor OpenVINO is installed.*cavecast\[worker\]"):
        among(frozenset(), "auto", gpu=True)


def test_openvino_has_to_be_clearly_faster() -> None:
    assert faster({"tensorflow": 0.2, "openvino": 0.1}).backend == "openvino"
    assert faster({"tensorflow": 0.2, "openvino": 0.198}).backend == "tensorflow"
    assert faster({"tensorflow": 0.1, "openvino": 0.2}).why == (
        "measured for one field of view: tensorflow 100 ms, openvino 200 ms"
    )


def test_a_measurement_is_remembered_for_its_kind_only() -> None:
    raw = remember(b"", KIND, {"tensorflow": 2.0, "openvino": 1.0})
    assert remembered(raw, KIND) == {"tensorflow": 2.0, "openvino": 1.0}
    assert remembered(raw, KIND._replace(threads=2)) is None
    assert remembered(raw, KIND._replace(precision="bf16")) is None
    more = remember(raw, KIND._replace(threads=2), {"tensorflow": 3.0, "openvino": 4.0})
    assert remembered(more, KIND) == {"tensorflow": 2.0, "openvino": 1.0}
    for threads in range(choice.MOST_KEPT + 5):
        more = remember(more, KIND._replace(threads=threads), {"tensorflow": 3.0, "openvino": 4.0})
    assert len(json.loads(more)) == choice.MOST_KEPT


@given(st.one_of(st.binary(max_size=50), st.sampled_from([b'{"a": 1}', b'{"a": {"tensorflow": 0}}', b"[]"])))
def test_a_record_that_cannot_be_read_counts_as_none(raw: bytes) -> None:
    assert remembered(raw, KIND) is None
    assert remembered(remember(raw, KIND, {"tensorflow": 2.0, "openvino": 1.0}), KIND) is not None


@pytest.fixture
def logging_as_it_comes() -> Iterator[None]:
    """What a test configures of the log is forgotten after it: commands look whether it is configured."""
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("logging_as_it_comes")
def test_both_are_tried_once_and_the_log_says_what_was_found(model: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        network = load_network(model)
        kept = cache_file().read_bytes()
        again = load_network(model)
    assert (again.backend, again.why) == (network.backend, network.why)
    assert "measured for one field of view: tensorflow" in network.why
    assert cache_file().read_bytes() == kept
    ready = [entry for entry in logs if entry["event"] == "network ready"]
    assert [entry["backend"] for entry in ready] == [network.backend] * 2
    assert {"model", "why", "device", "precision", "threads"} <= set(ready[0])


def test_a_cache_that_cannot_be_written_is_no_hindrance(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load_network(model).backend in BACKENDS


def test_an_unknown_precision_is_refused(model: Path) -> None:
    with pytest.raises(ModelError, match="no precision 'fp8'; there are float32, bf16, mixed"):
        load_network(model, precision="fp8")


class Narrow:
    """An engine that adds image and seed, and has memory for a few rows only."""

    name, precision, device = "narrow", "float32", "CPU"
    asked: ClassVar[list[int]] = []

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.asked.clear()

    def __call__(self, image: FloatArray, seed: FloatArray) -> FloatArray:
        self.asked.append(len(image))
        if len(image) > self.rows:
            raise MemoryError("no more")
        return image + seed


def test_a_batch_that_does_not_fit_is_halved_until_it_does_and_the_size_is_kept() -> None:
    engine = Narrow(3)
    network = Network(config(1, 1), engine, 1, "")
    image, seed = some_input(11, 2, 3, 4)
    np.testing.assert_array_equal(network.predict(image, seed), image + seed)
    assert engine.asked == [11, 5, 2, 2, 2, 2, 2, 1]  # whole, half, quarter, and on from there
    engine.asked.clear()
    np.testing.assert_array_equal(network.predict(image[:4], seed[:4]), image[:4] + seed[:4])
    assert engine.asked == [2, 2]


def test_one_field_of_view_that_does_not_fit_ends_in_a_sentence() -> None:
    image, seed = some_input(2, 2, 3, 4)
    with pytest.raises(MemoryError, match=r"one field of view of \(2, 3, 4\) voxels is too large .*no more"):
        Network(config(1, 1), Narrow(0), 1, "").predict(image, seed)


def test_a_process_that_may_have_no_more_memory_computes_its_batch_in_parts() -> None:
    """Real memory, by the system's own limit for a process."""
    program = """
import resource, numpy, psutil
from inference_workers.ffn.file import Model
from inference_workers.ffn.loading import start
from tests.ffn.forward import config, some_input, some_weights
network = start(Model(config(2, 8), some_weights(2, 8)), backend="openvino", threads=1)
image, seed = some_input(64, 17, 33, 33)
expected = numpy.concatenate([network.predict(image[row : row + 4], seed[row : row + 4]) for row in range(0, 64, 4)])
most = psutil.Process().memory_info().vms + (50 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
print("off by", numpy.abs(network.predict(image, seed) - expected).max())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert "batch halved: out of memory" in done.stdout
    assert float(done.stdout.rpartition("off by ")[2]) < 1e-5


def test_of_two_runs_the_quicker_is_measured_as_such(model: Path) -> None:
    image, _ = some_input(1, 9, 33, 33)
    found = trial(
        {"quick": lambda image, seed: image + seed, "slow": lambda image, seed: np.sort(image + seed, axis=None)},
        image.shape[1:], threads=1, least_s=0.05,
    )  # fmt: skip
    assert 0 < found["quick"] < found["slow"]


def test_what_tensorflow_says_of_itself_does_not_come_to_stderr_but_other_lines_do() -> None:
    program = """
import os
from inference_workers.ffn.remarks import held_back
with held_back():
    os.write(2, b"I0000 00:00:1795463046.138494   20861 port.cc:153] oneDNN custom operations are on.\\n")
    os.write(2, b"something else\\n")
os.write(2, b"afterwards\\n")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == "something else\nafterwards\n"


def loaded_by(program: str, *arguments: str) -> set[str]:
    """Which of the large libraries a fresh process has loaded after a program."""
    listed = f"{program}\nimport sys; print(*(n for n in ('tensorflow', 'keras', 'openvino') if n in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", listed, *arguments], capture_output=True, text=True, timeout=120, check=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


def test_nobody_loads_tensorflow_before_it_is_needed() -> None:
    assert not loaded_by("import inference_workers.ffn, inference_workers.ffn.loading, inference_workers.ffn.commands")
    connect = "from inference_workers.segmenter import load_segmenter; load_segmenter('connect', {'threshold': 500.0})"
    assert not loaded_by(f"import inference_workers.main, inference_workers.node; {connect}")


def test_a_worker_on_openvino_never_loads_tensorflow(model: Path) -> None:
    load = "import sys; from inference_workers.ffn import load_network; network = load_network(sys.argv[1], backend={})"
    predict = "\nimport numpy; network.predict(*numpy.zeros((2, 1, 3, 4, 5)))"
    assert loaded_by(load.format("'openvino'") + predict, str(model)) == {"openvino"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_computes_with_no_more_threads_than_it_was_given(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "wide.keras"
    write_model(path, config(3, 8), some_weights(3, 8))
    program = """
import sys, time, numpy, psutil
from inference_workers.ffn import load_network
def seconds():
    return {thread.id: thread.user_time + thread.system_time for thread in psutil.Process().threads()}
network = load_network(sys.argv[1], backend=sys.argv[2])
arrays = numpy.zeros((2, 4, 9, 33, 33), numpy.float32)
network.predict(*arrays)
before, begun = seconds(), time.process_time()
while time.process_time() - begun < 0.6:
    network.predict(*arrays)
spent = [now - before.get(thread, 0) for thread, now in seconds().items()]
print(network.threads, sum(one > 0.15 * sum(spent) for one in spent))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), backend], capture_output=True, text=True, timeout=120, check=True,
        env={**os.environ, "CAVECAST_THREADS": "1"},
    )  # fmt: skip
    assert done.stdout.split()[-2:] == ["1", "1"]
    assert "oneDNN custom operations" not in done.stderr


def test_a_model_in_memory_needs_no_file() -> None:
    from inference_workers.ffn.file import Model

    network = start(Model(config(1, 2), some_weights(1, 2)), backend="openvino", threads=1)
    assert (network.threads, network.device, network.config.depth) == (1, "CPU", 1)
