"""All three samples run end to end through `demo`, and their result is that of the whole volume at once."""

from __future__ import annotations

import numpy as np
import pytest

from tests.e2e.whole import cavecast, field, ids_of_whole, report

KEYS = {
    "run_id", "shape", "chunks", "objects", "voxels", "labelled_voxels", "seconds", "voxels_per_second", "out",
}  # fmt: skip


@pytest.mark.parametrize(
    ("sample", "variable", "threshold", "periodic"),
    [("rivers", "ivt", 500, True), ("flood2021", "ivt", 500, False), ("blocking1980", "block_tag", 1, True)],
)
def test_a_sample_runs_through_demo_to_the_result_of_the_whole_volume(
    sample: str, variable: str, threshold: float, periodic: bool
) -> None:
    done = report(cavecast("demo", "--sample", sample, "--no-browser", "--exit-when-complete", "--json", "--pace", "0"))
    volume = field(sample, variable)
    ids = ids_of_whole(volume, threshold, periodic=periodic)
    assert set(done) == KEYS
    assert done["shape"] == list(volume.shape)
    assert done["voxels"] == volume.size
    assert done["labelled_voxels"] == np.count_nonzero(ids)
    assert done["objects"] == len(np.unique(ids[ids > 0]))
    assert done["chunks"] > 1
    assert done["voxels_per_second"] == pytest.approx(done["voxels"] / done["seconds"], rel=0.01)
