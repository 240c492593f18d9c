"""All three samples run end to end through `demo`: by CONNECT, whose result is that of the whole volume at once, and
`rivers` by the network that ships, which finds what CONNECT finds."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.whole import COMMAND, LIMIT_S, cavecast, field, ids_of_whole, report

KEYS = {
    "run_id", "shape", "chunks", "objects", "voxels", "labelled_voxels", "seconds", "voxels_per_second", "out",
}  # fmt: skip
DEMO = ("demo", "--no-browser", "--exit-when-complete", "--json", "--pace", "0")


def hiding(folder: Path, *modules: str) -> subprocess.CompletedProcess[str]:
    """The demo where these modules are not installed, in none of its processes."""
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({modules!r}))\n")
    return subprocess.run(
        [COMMAND, *DEMO], capture_output=True, text=True, timeout=LIMIT_S,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sample", "variable", "threshold", "periodic"),
    [("rivers", "ivt", 500, True), ("flood2021", "ivt", 500, False), ("blocking1980", "block_tag", 1, True)],
)
def test_a_sample_runs_through_demo_to_the_result_of_the_whole_volume(
    sample: str, variable: str, threshold: float, periodic: bool
) -> None:
    done = report(cavecast(*DEMO, "--sample", sample, "--segmenter", "connect"))
    volume = field(sample, variable)
    ids = ids_of_whole(volume, threshold, periodic=periodic)
    assert set(done) == KEYS
    assert done["shape"] == list(volume.shape)
    assert done["voxels"] == volume.size
    assert done["labelled_voxels"] == np.count_nonzero(ids)
    assert done["objects"] == len(np.unique(ids[ids > 0]))
    assert done["chunks"] > 1
    assert done["voxels_per_second"] == pytest.approx(done["voxels"] / done["seconds"], rel=0.01)


def test_the_network_of_the_demo_finds_on_openvino_alone_what_connect_finds(tmp_path: Path) -> None:
    # It sees a field's edges a little differently, so numbers are near CONNECT's; test_demo_model has the voxels.
    ran = hiding(tmp_path, "tensorflow", "keras")
    done = report(ran)
    lives = report(
        cavecast("run", "sample:rivers", "--threshold", "500", "--min-duration", "24", "--no-view", "--json")
    )
    assert set(done) == KEYS
    assert done["chunks"] == 36
    assert done["labelled_voxels"] == pytest.approx(lives["labelled_voxels"], rel=0.05)
    assert done["objects"] == pytest.approx(lives["objects"], rel=0.15)
    ready = [json.loads(line) for line in ran.stderr.splitlines() if '"network ready"' in line]
    assert ready
    assert {(line["backend"], line["why"]) for line in ready} == {("openvino", "the only one installed")}


def test_without_a_backend_the_demo_is_segmented_by_connect_and_says_so(tmp_path: Path) -> None:
    ran = hiding(tmp_path, "tensorflow", "keras", "openvino")
    done = report(ran)
    volume = field("rivers", "ivt")
    assert done["labelled_voxels"] == np.count_nonzero(volume >= 500)
    (said,) = [line for line in ran.stderr.splitlines() if line.startswith("Neither OpenVINO nor TensorFlow")]
    assert said.endswith("pip install 'cavecast[openvino]'")
