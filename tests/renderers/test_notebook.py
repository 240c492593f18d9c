"""The notebook view: a finished store's objects as PyVista surfaces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from renderers.notebook import show, surfaces
from streamer.wire.colour import object_colour
from tests.e2e.whole import cavecast, report


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("notebook") / "rivers.zarr"
    report(cavecast("run", "sample:rivers", "--threshold", "700", "--out", str(out), "--no-view", "--json"))
    return out


def test_each_object_is_a_surface_where_its_voxels_are(store: Path) -> None:
    blocks = surfaces(store, largest=12)
    with xr.open_zarr(store, chunks=None) as found:
        labels, voxels = found.labels.values, found.voxels.values
        lat, lon = found.lat.values, found.lon.values
        largest = found.object_id.values[np.argsort(-voxels, kind="stable")[:12]]
    assert blocks.keys() == [str(one) for one in largest]
    for surface in blocks:
        one = int(surface.field_data["object_id"][0])
        _, y, x = np.nonzero(labels == one)
        low_x, high_x, low_y, high_y, _, _ = surface.bounds
        # Contours lie half-way to the next voxel centre.
        assert low_x == pytest.approx(lon[x.min()] - 1.40625, abs=1e-3)
        assert high_x == pytest.approx(lon[x.max()] + 1.40625, abs=1e-3)
        assert lat[y.min()] - 1.5 < low_y < lat[y.min()] < lat[y.max()] < high_y < lat[y.max()] + 1.5
        assert surface.field_data["voxels"][0] == np.count_nonzero(labels == one)


def test_the_picture_shows_objects_in_the_viewers_colours(store: Path) -> None:
    plotter = show(store, largest=1, off_screen=True, window_size=(300, 200))
    colours = {
        tuple(round(255 * c) for c in actor.prop.color.float_rgb)
        for actor in plotter.actors.values()
        if hasattr(actor, "prop")
    }
    (surface,) = surfaces(store, largest=1)
    assert object_colour(int(surface.field_data["object_id"][0])) in colours
    picture = plotter.screenshot(return_img=True)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
    plotter.close()


def test_what_is_no_store_is_refused_in_words(tmp_path: Path) -> None:
    xr.Dataset({"a": ("x", [1, 2])}).to_zarr(tmp_path / "other.zarr", zarr_format=2)
    with pytest.raises(ValueError, match="not a finished store of CaveCast"):
        surfaces(tmp_path / "other.zarr")
