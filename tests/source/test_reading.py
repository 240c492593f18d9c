"""Voxels as xarray reads them, one box at a time."""

from __future__ import annotations

import tracemalloc
from itertools import permutations
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr

from inference_workers.samples import SAMPLES, Sample
from inference_workers.source import InputError, InspectRequest, cells, inspect, open_source, opened
from inference_workers.source.joined import Plan
from inference_workers.source.opened import OPEN_FILES, Files, float_type
from streamer.wire.grid import Box
from tests.source.making import everything, globe, hours, look, noise, write


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_voxels_of_a_sample_are_those_of_xarray(sample: Sample) -> None:
    found = look(f"sample:{sample.name}")
    box = Box((3, 5, 7), (9, 30, 41))
    with xr.open_dataset(sample.path, decode_times=False) as data:
        expected = data[sample.variable].values[box.slices]
    got = everything(found, box)
    assert got.dtype == (np.float64 if sample.name == "rivers" else np.float32)
    np.testing.assert_array_equal(got, expected)


def test_a_box_wraps_around_the_globe_and_is_empty_beyond_its_ends(tmp_path: Path) -> None:
    field = noise()
    found = look(write(globe(field), tmp_path / "a.nc"))
    got = everything(found, Box((-1, -2, -3), (7, 9, 13)))
    expected = np.pad(np.pad(field, ((0, 0), (0, 0), (3, 5)), "wrap"), ((1, 1), (2, 2), (0, 0)), constant_values=np.nan)
    np.testing.assert_array_equal(got, expected)


def test_a_halo_wider_than_the_volume_wraps_as_often_as_it_takes(tmp_path: Path) -> None:
    field = noise()
    np.save(tmp_path / "a.npy", field)
    found = look(tmp_path / "a.npy", periodic="x")
    got = everything(found, Box((0, 0, -20), (1, 1, 20)))
    np.testing.assert_array_equal(got[0, 0], np.tile(field[0, 0], 6)[4:44])


@pytest.mark.parametrize("order", list(permutations(("time", "lat", "lon"))))
def test_a_file_in_any_order_gives_the_same_volume(order: tuple[str, ...], tmp_path: Path) -> None:
    found = look(write(globe().transpose(*order), tmp_path / "a.nc"))
    got = everything(found, Box((1, 2, -1), (4, 5, 3)))
    np.testing.assert_array_equal(got, noise()[1:4, 2:5][:, :, [-1, 0, 1, 2]])
    assert got.flags.c_contiguous
    assert got.flags.writeable
    assert bool(found.notes) == (order != ("time", "lat", "lon"))


FormatName = Literal["NETCDF3_CLASSIC", "NETCDF3_64BIT", "NETCDF4", "NETCDF4_CLASSIC"]


@pytest.mark.parametrize("kind", ["NETCDF3_CLASSIC", "NETCDF3_64BIT", "NETCDF4", "NETCDF4_CLASSIC"])
def test_every_netcdf_is_read(kind: FormatName, tmp_path: Path) -> None:
    globe().to_netcdf(tmp_path / "a.nc", format=kind, engine="netcdf4")
    np.testing.assert_array_equal(everything(look(tmp_path / "a.nc")), noise())


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")
def test_both_zarrs_are_read(version: Literal[2, 3], tmp_path: Path) -> None:
    globe().to_zarr(tmp_path / "a.zarr", zarr_format=version, consolidated=version == 2)
    found = look(tmp_path / "a.zarr")
    assert found.grid.periodic == (False, False, True)
    np.testing.assert_array_equal(everything(found), noise())


def test_a_single_zarr_array_and_a_plain_hdf5_file_are_read(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=noise(), chunks=(2, 3, 4))
    np.testing.assert_array_equal(everything(look(tmp_path / "a.zarr", spacing=(1.0, 2.0, 2.0))), noise())
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["run/q"] = noise()
    found = look(tmp_path / "b.h5", variable="run/q")
    assert found.source.variable == "run/q"
    np.testing.assert_array_equal(everything(found), noise())


def test_packed_data_are_unpacked_and_filled_as_xarray_does(tmp_path: Path) -> None:
    field = np.round(noise().astype(np.float64), 2)
    field[0, 0, :3] = np.nan
    packing = {"v": {"dtype": "int16", "scale_factor": 0.01, "add_offset": 5.0, "_FillValue": -32768}}
    globe(field).to_netcdf(tmp_path / "a.nc", encoding=packing, engine="netcdf4")
    got = everything(look(tmp_path / "a.nc"))
    with xr.open_dataset(tmp_path / "a.nc", decode_times=False) as data:
        np.testing.assert_array_equal(got, data.v.values)
    assert np.isnan(got[0, 0, :3]).all()
    assert np.isnan(got).sum() == 3


@pytest.mark.parametrize(
    ("stored", "handed_out"),
    [("?", "f4"), ("i1", "f4"), ("u1", "f4"), ("i2", "f4"), ("u2", "f4"), ("f2", "f4"), ("f4", "f4"), (">f4", "f4"),
     ("i4", "f8"), ("u4", "f8"), ("i8", "f8"), ("f8", "f8")],
)  # fmt: skip
def test_float32_where_it_holds_every_value_else_float64(stored: str, handed_out: str, tmp_path: Path) -> None:
    assert float_type(np.dtype(stored)) == np.dtype(handed_out)
    values = np.arange(8).reshape(2, 2, 2).astype(stored)
    np.save(tmp_path / "a.npy", values)
    got = everything(look(tmp_path / "a.npy"))
    assert got.dtype == np.dtype(handed_out)
    np.testing.assert_array_equal(got, values.astype(float))


@pytest.mark.parametrize("name", ["x", "y", "z", "frame"])
def test_a_file_called_like_a_dimension_is_no_coordinate(tmp_path: Path, name: str) -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    np.save(tmp_path / f"{name}.npy", values)
    found = look(tmp_path / f"{name}.npy")
    assert found.volume.variable == (f"{name}_values" if name != "frame" else "frame")
    np.testing.assert_array_equal(everything(found), values)


def sparse_npy(path: Path, shape: tuple[int, int, int]) -> None:
    """A file of zeros that takes no room on the disk."""
    np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)


def test_a_volume_larger_than_memory_is_read_box_by_box(tmp_path: Path) -> None:
    shape = (4000, 2000, 2000)  # 64 GB
    sparse_npy(tmp_path / "a.npy", shape)
    array = zarr.create_array(tmp_path / "b.zarr", shape=shape, chunks=(50, 50, 50), dtype="f4", fill_value=0)
    array[3000:3050, 1000:1050, 1000:1050] = 2.0
    for path, inside in ((tmp_path / "a.npy", 0.0), (tmp_path / "b.zarr", 2.0)):
        tracemalloc.start()
        found = look(path)
        got = everything(found, Box((2990, 990, 990), (3060, 1060, 1060)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert got[10, 10, 10] == inside
        assert got[9, 9, 9] == 0
        assert peak < 64 << 20


def archive(folder: Path, starts: list[int], names: list[str] | None = None, **changes: Any) -> str:
    """Files of two steps each, every one counting from its own day."""
    for i, start in enumerate(starts):
        name = names[i] if names else f"f{i}"
        day, hour = start // 24, start % 24
        time = ("time", np.array([0.0, 6.0]) * 60, {"units": f"minutes since 2000-01-{day + 1:02d} {hour:02d}:00:00"})
        write(
            globe(np.full((2, 7, 8), start, np.float32) + noise((2, 7, 8)), time=time, **changes), folder / f"{name}.nc"
        )
    return str(folder / "*.nc")


def test_many_files_are_one_volume_along_time(tmp_path: Path) -> None:
    glob = archive(tmp_path, list(range(0, 12 * 24, 12)))
    seen: list[tuple[int, int]] = []
    found = inspect(InspectRequest(glob), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (24, 24)
    assert found.volume.shape == (48, 7, 8)
    assert found.volume.axes[0].points.tolist() == [360.0 * n for n in range(48)]
    assert found.volume.axes[0].units == "minutes since 2000-01-01 00:00:00"
    assert set(found.volume.axes[0].widths) == {6.0}
    assert found.notes == ()
    got = everything(found, Box((-1, 0, 0), (49, 7, 8)))
    expected = np.concatenate([np.float32(12 * n) + noise((2, 7, 8)) for n in range(24)])
    np.testing.assert_array_equal(got[1:-1], expected)
    assert np.isnan(got[[0, -1]]).all()


def test_few_of_many_files_are_open_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = look(archive(tmp_path, list(range(0, 20 * 24, 12))))
    open_now: set[int] = set()
    most = 0
    really = opened.open_path

    def counting(path: str, variable: str | None) -> Any:
        nonlocal most
        file = really(path, variable)
        close = file.close
        open_now.add(id(file))
        most = max(most, len(open_now))

        def closing() -> None:
            open_now.discard(id(file))
            close()

        monkeypatch.setattr(file, "close", closing, raising=False)
        return file

    monkeypatch.setattr(opened, "open_path", counting)
    with open_source(found.source, found.volume) as volume:
        volume.read(Box((0, 0, 0), (80, 7, 8)))
        assert len(open_now) == OPEN_FILES
    assert most == OPEN_FILES
    assert not open_now


def test_steps_are_found_in_their_files() -> None:
    files = Files(Plan(("a", "b", "c"), (2, 1, 3)), "v")
    assert list(files.along_time(0, 6)) == [(0, 0, 2), (1, 0, 1), (2, 0, 3)]
    assert list(files.along_time(1, 2)) == [(0, 1, 2)]
    assert list(files.along_time(2, 4)) == [(1, 0, 1), (2, 0, 1)]


def test_files_whose_names_are_out_of_order_are_read_by_their_times(tmp_path: Path) -> None:
    found = look(archive(tmp_path, [0, 12, 24], ["c", "a", "b"]))
    assert "c.nc" in found.notes[0] or "a.nc" in found.notes[0]
    assert everything(found)[::2, 0, 0].round(-1).tolist() == [0, 10, 20]


def test_a_gap_between_files_is_a_note(tmp_path: Path) -> None:
    found = look(archive(tmp_path, [0, 12, 48]))
    assert found.volume.shape[0] == 6
    assert "a gap between 2000-01-01 18:00 and 2000-01-03 00:00 (4 steps missing in all)" in found.notes[0]


def test_one_time_in_two_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"f0\.nc and f1\.nc both hold 2000-01-01 06:00"):
        look(archive(tmp_path, [0, 6]))


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        (globe(noise((2, 7, 9)), times=[48, 54]), r"odd\.nc has another grid along 'lon'"),
        (globe(noise((2, 7, 8)), times=[48, 54], lat=("lat", np.linspace(-60, 60, 7))), r"another grid along 'lat'"),
        (globe(noise((2, 7, 8)), times=[48, 54]).rename(v="w"), r"odd\.nc has no variable 'v'"),
        (globe(noise((2, 7, 8)), time=("time", [48.0, 54], hours(calendar="noleap"))), r"uses the calendar 'noleap'"),
        (globe(noise((2, 7, 8)), time=("time", [48.0, 54], {"units": "hours"})), r"odd\.nc counts time in 'hours'"),
        (globe(noise((2, 7, 8)), times=[54, 48]), r"odd\.nc do not ascend"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_named(odd: xr.Dataset, sentence: str, tmp_path: Path) -> None:
    glob = archive(tmp_path, [0, 12])
    write(odd, tmp_path / "odd.nc")
    with pytest.raises(InputError, match=sentence):
        look(glob)


def test_a_damaged_file_among_many_is_named(tmp_path: Path) -> None:
    glob = archive(tmp_path, [0, 12, 24])
    (tmp_path / "f1.nc").write_bytes((tmp_path / "f1.nc").read_bytes()[:2000])
    with pytest.raises(InputError, match=r"f1\.nc cannot be opened; it may be damaged"):
        look(glob)


def test_bounds_of_time_are_joined_too(tmp_path: Path) -> None:
    for day in range(3):
        data = globe(noise((2, 7, 8)), time=("time", [0.0, 12.0], hours(f"2000-01-0{day + 1}", bounds="tb")))
        data["tb"] = (("time", "nv"), np.array([[0.0, 12], [12, 24]]))
        write(data, tmp_path / f"d{day}.nc")
    time = look(tmp_path / "*.nc").volume.axes[0]
    assert time.points.tolist() == [0, 12, 24, 36, 48, 60]
    assert set(time.widths) == {12.0}


@pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")
def test_zarr_stores_are_joined_like_files(tmp_path: Path) -> None:
    for n in range(2):
        globe(times=[36.0 * n + 6 * i for i in range(6)]).to_zarr(
            tmp_path / f"s{n}.zarr", zarr_format=2, consolidated=False
        )
    found = look(tmp_path / "*.zarr")
    np.testing.assert_array_equal(everything(found), np.concatenate([noise(), noise()]))


def test_files_without_time_are_not_joined(tmp_path: Path) -> None:
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", noise())
    with pytest.raises(InputError, match="would be joined along time"):
        look(tmp_path / "*.npy")


def test_an_archive_that_changed_since_the_run_began_is_refused(tmp_path: Path) -> None:
    found = look(archive(tmp_path, [0, 12, 24]))
    (tmp_path / "f1.nc").unlink()
    with pytest.raises(InputError, match="3 then, 2 now"):
        open_source(found.source, found.volume)


def test_a_file_that_shrank_or_went_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, noise())
    found = look(path)
    np.save(path, noise((5, 7, 8)))
    with pytest.raises(InputError, match=r"holds \(5, 7, 8\) voxels now and \(6, 7, 8\)"):
        open_source(found.source, found.volume)
    path.unlink()
    with pytest.raises(InputError, match="There is no file"):
        open_source(found.source, found.volume)


def test_cells_of_the_globe_have_its_area_and_wrap_like_voxels(tmp_path: Path) -> None:
    found = look(write(globe(), tmp_path / "a.nc"))
    with open_source(found.source, found.volume) as volume:
        area = volume.cell_area_km2(slice(0, 7), slice(0, 8))
        wide = volume.cell_area_km2(slice(-1, 8), slice(-2, 9))
    assert area is not None
    assert wide is not None
    assert area.sum() == pytest.approx(4 * np.pi * cells.EARTH_RADIUS_KM**2, rel=1e-9)
    assert np.isnan(wide[[0, -1]]).all()
    np.testing.assert_array_equal(wide[1:-1], area[:, [6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0]])


def test_bounds_of_latitude_make_the_area(tmp_path: Path) -> None:
    data = globe(lat=("lat", np.linspace(-60, 60, 7), {"units": "degrees_north", "bounds": "lat_bnds"}))
    edges = np.array([-90, -55, -35, -15, 15, 35, 55, 90.0])
    data["lat_bnds"] = (("lat", "nv"), np.stack([edges[:-1], edges[1:]], axis=1))
    found = look(write(data, tmp_path / "a.nc"))
    assert found.volume.axes[1].widths.tolist() == [35, 20, 20, 30, 20, 20, 35]
    assert found.volume.axes[1].open_ends == (False, False)
    with open_source(found.source, found.volume) as volume:
        area = volume.cell_area_km2(slice(0, 1), slice(0, 8))
    assert area is not None
    cap = 2 * np.pi * cells.EARTH_RADIUS_KM**2 * (1 - np.sin(np.deg2rad(55)))
    assert area.sum() == pytest.approx(cap, rel=1e-12)


@pytest.mark.parametrize(("units", "factor"), [("m2", 1e-6), ("km2", 1.0), ("m^2", 1e-6)])
@pytest.mark.parametrize("dims", [("lat", "lon"), ("lon", "lat")])
def test_the_files_own_cell_area_is_used(units: str, factor: float, dims: tuple[str, str], tmp_path: Path) -> None:
    data = globe()
    data["v"].attrs["cell_measures"] = "area: areacella"
    own = noise((7, 8))
    data["areacella"] = (dims, own if dims[0] == "lat" else own.T, {"units": units})
    found = look(write(data, tmp_path / "a.nc"))
    with open_source(found.source, found.volume) as volume:
        area = volume.cell_area_km2(slice(1, 3), slice(-1, 2))
    assert area is not None
    np.testing.assert_allclose(area, own[1:3, [-1, 0, 1]].astype(float) * factor, rtol=1e-15)


def test_a_cell_whose_area_the_file_leaves_out_has_that_of_its_edges(tmp_path: Path) -> None:
    data = globe()
    plain = look(write(data, tmp_path / "plain.nc"))
    data["v"].attrs["cell_measures"] = "area: areacello"
    own = np.full((7, 8), 2.0)
    own[2, 3] = np.nan  # land
    data["areacello"] = (("lat", "lon"), own, {"units": "km2"})
    found = look(write(data, tmp_path / "a.nc"))
    with open_source(found.source, found.volume) as volume, open_source(plain.source, plain.volume) as bare:
        area, counted = (one.cell_area_km2(slice(0, 7), slice(0, 8)) for one in (volume, bare))
    assert area is not None
    assert counted is not None
    assert area[2, 3] == counted[2, 3] > 100
    assert (np.delete(area.ravel(), 2 * 8 + 3) == 2.0).all()


def test_a_volume_off_the_sphere_has_no_cell_area(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise())
    found = look(tmp_path / "a.npy")
    with open_source(found.source, found.volume) as volume:
        assert volume.cell_area_km2(slice(0, 7), slice(0, 8)) is None
