"""The README's segmenter: what is printed there is the example's file, and a run with it equals the whole volume."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

from tests.e2e.whole import SAMPLES, cavecast, field, report

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "smooth_segmenter"


def test_the_readme_shows_the_example_as_it_is() -> None:
    code = (EXAMPLE / "smooth_segmenter.py").read_text().split('"""\n\n', 1)[1].strip()
    assert f"```python\n{code}\n```" in (ROOT / "README.md").read_text()


def test_a_package_of_ones_own_adds_a_segmenter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What an installer would leave behind: the module, and the entry point in the package's metadata.
    shutil.copy(EXAMPLE / "smooth_segmenter.py", tmp_path)
    metadata = tmp_path / "smooth_segmenter-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: smooth-segmenter\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text("[cavecast.segmenters]\nsmooth = smooth_segmenter:Smooth\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))

    out = tmp_path / "smooth.zarr"
    arguments = ("--variable", "ivt", "--segmenter", "smooth", "--chunk", "7,16,20", "--out", str(out))
    done = report(
        cavecast("run", str(SAMPLES / "flood2021.nc"), *arguments, "--set", "threshold=310", "--no-view", "--json")
    )

    volume = field("flood2021", "ivt")
    above = ndimage.uniform_filter(np.pad(volume, 1), 3)[1:-1, 1:-1, 1:-1] >= 310
    whole, objects = ndimage.label(above, structure=np.ones((3, 3, 3)))
    assert done["objects"] == objects > 1
    with xr.open_zarr(out) as store:
        labels = store.labels.values
    assert np.array_equal(labels > 0, above)
    pairs = np.unique(np.stack([labels[above], whole[above]]), axis=1)
    assert pairs.shape[1] == objects


def test_a_segmenters_parameters_are_its_own(tmp_path: Path) -> None:
    done = cavecast("run", str(SAMPLES / "flood2021.nc"), "--variable", "ivt", "--set", "wisdom=7", "--no-view")
    assert done.returncode == 2
    assert "segmenter connect has no parameter 'wisdom'; it takes: threshold, connectivity" in done.stderr
