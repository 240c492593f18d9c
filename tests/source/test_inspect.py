"""What is said about an input: axes, notes, suggestions, and a sentence for each thing that cannot be one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import msgspec
import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr

from inference_workers.samples import SAMPLES, Sample
from inference_workers.source import InputError, Inspection, SeveralVariables
from inference_workers.source.inspection import is_transport
from tests.source.making import EAST, NORTH, globe, hours, look, noise, write


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_a_sample_is_known_by_its_name(sample: Sample) -> None:
    found = look(f"sample:{sample.name}")
    assert found.source.address == f"sample:{sample.name}"
    assert found.volume.variable == sample.variable
    assert found.suggested == {"threshold": sample.threshold}
    assert found.title == found.volume.title == sample.title
    assert found.volume.provenance == sample.provenance
    assert found.volume.on_sphere
    assert found.volume.has_time
    assert found.notes == ()


def test_the_samples_are_what_they_are() -> None:
    rivers, flood, blocking = (look(f"sample:{s.name}") for s in SAMPLES)
    assert "simulation" in rivers.title
    assert rivers.volume.shape == (240, 64, 128)
    assert rivers.grid.periodic == (False, False, True)
    assert set(rivers.volume.axes[0].widths) == {3.0}
    assert flood.volume.shape == (24, 41, 41)
    assert flood.grid.periodic == (False, False, False)
    assert flood.volume.axes[1].open_ends == (True, True)
    assert blocking.volume.shape == (124, 361, 576)
    assert blocking.grid.periodic == (False, False, True)
    assert blocking.volume.axes[1].open_ends == (False, False)
    assert (blocking.volume.axes[0].units, set(blocking.volume.axes[0].widths)) == ("minutes since 1980-01-01", {6.0})


def test_a_copy_of_a_sample_is_read_like_any_file(tmp_path: Path) -> None:
    copy = tmp_path / "mine.nc"
    copy.write_bytes(SAMPLES[1].path.read_bytes())
    found = look(copy)
    assert found.volume.variable == "ivt"
    assert found.suggested == {"threshold": 500.0}
    assert "Of several variables 'ivt' was taken" in found.notes[0]


def test_an_inspection_survives_json(tmp_path: Path) -> None:
    found = look(write(globe(), tmp_path / "a.nc"), chunk=(3, 7, 4))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Inspection) == found
    assert found.grid.chunk == (3, 7, 4)


def test_a_climate_calendar_stays_as_it_is(tmp_path: Path) -> None:
    data = globe(time=("time", np.arange(6.0), {"units": "days since 1850-02-27", "calendar": "360_day"}))
    time = look(write(data, tmp_path / "a.nc")).volume.axes[0]
    assert (time.units, time.calendar) == ("days since 1850-02-27", "360_day")
    assert time.points.tolist() == [0, 1, 2, 3, 4, 5]
    assert set(time.widths) == {24.0}


def test_falling_latitudes_and_longitudes_from_minus_180_stay_as_they_are(tmp_path: Path) -> None:
    data = globe(lat=("lat", np.linspace(90, -90, 7), NORTH), lon=("lon", np.arange(8) * 45.0 - 180, EAST))
    found = look(write(data, tmp_path / "a.nc"))
    assert found.volume.axes[1].points[0] == 90
    assert found.volume.axes[1].open_ends == (False, False)
    assert found.volume.axes[2].points[0] == -180
    assert found.grid.periodic == (False, False, True)


def test_only_the_end_of_a_latitude_axis_that_is_cut_off_is_open(tmp_path: Path) -> None:
    data = globe(lat=("lat", np.linspace(30, 90, 7), NORTH))
    assert look(write(data, tmp_path / "a.nc")).volume.axes[1].open_ends == (True, False)


def test_periodic_is_as_the_user_says(tmp_path: Path) -> None:
    path = write(globe(), tmp_path / "a.nc")
    none = look(path, periodic="none")
    assert none.grid.periodic == (False, False, False)
    assert none.volume.axes[2].open_ends == (True, True)
    for word in ("lon", "2", "longitude"):
        assert look(path, periodic=word).grid.periodic == (False, False, True)
    region = write(globe(lon=("lon", np.arange(8) * 1.0, EAST)), tmp_path / "b.nc")
    assert look(region).grid.periodic == (False, False, False)
    forced = look(region, periodic="lon")
    assert forced.grid.periodic == (False, False, True)
    assert "cover 8° of 360°" in forced.notes[0]


def test_a_box_of_a_simulation_may_be_periodic_along_any_axis(tmp_path: Path) -> None:
    np.save(tmp_path / "box.npy", noise())
    found = look(tmp_path / "box.npy", periodic="0", spacing=(2.0, 1.0, 0.5))
    assert found.grid.periodic == (True, False, False)
    assert [axis.widths[0] for axis in found.volume.axes] == [2.0, 1.0, 0.5]
    assert found.volume.axes[2].points.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    assert found.notes == ()


def test_arrays_without_coordinates_are_counted_and_a_note_says_so(tmp_path: Path) -> None:
    np.save(tmp_path / "box.npy", noise())
    assert "--spacing" in look(tmp_path / "box.npy").notes[0]


def test_a_cyclic_point_is_left_out(tmp_path: Path) -> None:
    found = look(write(globe(lon=("lon", np.linspace(0, 360, 8), EAST)), tmp_path / "a.nc"))
    assert found.volume.shape == (6, 7, 7)
    assert found.grid.periodic == (False, False, True)
    assert "left out" in found.notes[0]


def test_uneven_coordinates_are_taken_as_they_are_and_bounds_come_first(tmp_path: Path) -> None:
    depth = ("lat", np.array([0.0, 5, 15, 40, 100, 250, 600]), {"units": "m", "axis": "Y"})
    axis = look(write(globe(lat=depth), tmp_path / "a.nc")).volume.axes[1]
    assert axis.points.tolist() == [0, 5, 15, 40, 100, 250, 600]
    assert axis.widths.tolist() == [5, 7.5, 17.5, 42.5, 105, 250, 350]
    bounded = globe(time=("time", np.arange(6) * 6.0, hours(bounds="time_bnds")))
    bounded["time_bnds"] = (("time", "nv"), np.stack([np.arange(6) * 6.0 - 3, np.arange(6) * 6.0 + 1], axis=1))
    found = look(write(bounded, tmp_path / "b.nc"))
    assert found.volume.variable == "v"
    assert set(found.volume.axes[0].widths) == {4.0}


def test_a_gap_in_time_is_a_note_and_steps_beside_it_stay_usual(tmp_path: Path) -> None:
    found = look(write(globe(times=[0, 6, 12, 36, 42, 48]), tmp_path / "a.nc"))
    assert "a gap between 2000-01-01 12:00 and 2000-01-02 12:00 (3 steps missing in all)" in found.notes[0]
    assert set(found.volume.axes[0].widths) == {6.0}


def test_one_step_without_bounds_counts_as_an_hour(tmp_path: Path) -> None:
    axis = look(write(globe(noise((1, 7, 8))), tmp_path / "a.nc")).volume.axes[0]
    assert axis.widths.tolist() == [1.0]


def test_dates_written_as_numbers_are_counted_in_hours(tmp_path: Path) -> None:
    dates = 19800131.0 + np.array([0, 0.25, 0.5, 0.75, 70, 70.25])
    found = look(write(globe(time=("time", dates, {"units": "day as %Y%m%d.%f"})), tmp_path / "a.nc"))
    assert found.volume.axes[0].points.tolist() == [0, 6, 12, 18, 24, 30]
    assert found.volume.axes[0].units == "hours since 1980-01-31 00:00:00"


def test_masks_suggest_one_and_other_bytes_nothing(tmp_path: Path) -> None:
    mask = (noise() > 0.5).astype(np.int8)
    assert look(write(globe(mask), tmp_path / "a.nc")).suggested == {"threshold": 1.0}
    assert look(write(globe(mask + 1), tmp_path / "b.nc")).suggested == {}
    np.save(tmp_path / "c.npy", mask.astype(bool))
    assert look(tmp_path / "c.npy").suggested == {"threshold": 1.0}
    assert look(write(globe(), tmp_path / "d.nc")).suggested == {}


@pytest.mark.parametrize("units", ["kg m-1 s-1", "kg m**-1 s**-1", "kg/m/s", "kg m^-1 s^-1", "kg m⁻¹ s⁻¹", "kg/(m s)"])
def test_transport_suggests_500(units: str) -> None:
    assert is_transport(units)
    assert not is_transport("kg m-2")


def test_the_file_says_what_it_is_called_and_where_it_is_from(tmp_path: Path) -> None:
    data = globe()
    data["v"].attrs = {"long_name": "wetness", "units": "kg m-1 s-1"}
    plain = look(write(data, tmp_path / "plain.nc"))
    assert plain.title == "wetness, plain.nc"
    assert plain.suggested == {"threshold": 500.0}
    data.attrs = {"title": "A wet month", "source": "a model", "license": "CC BY 4.0"}
    told = look(write(data, tmp_path / "told.nc"))
    assert (told.title, told.volume.provenance) == ("A wet month", "a model; CC BY 4.0")


def several() -> xr.Dataset:
    return globe().assign(w=lambda d: d.v * 2)


def test_what_a_file_says_of_itself_is_shown_as_one_harmless_line_of_bounded_length(tmp_path: Path) -> None:
    data = globe(lat=("lat", np.linspace(-90.0, 90.0, 7), {**NORTH, "history": "y" * 5000, "note": "kept"}))
    data.attrs["title"] = "\x1b]0;owned\x07Rivers\n of\tthe sky"
    data["v"].attrs = {"long_name": "x" * 5000, "units": "\x1b[31mkg"}
    volume = look(write(data, tmp_path / "a.nc")).volume
    assert volume.title == "]0;owned Rivers of the sky"
    assert volume.units == "[31mkg"
    assert volume.long_name == "x" * 199 + "…"
    assert volume.axes[1].attributes == {"note": "kept"}


def test_several_variables_need_a_name(tmp_path: Path) -> None:
    path = write(several(), tmp_path / "a.nc")
    with pytest.raises(SeveralVariables, match=r"several three-dimensional variables \(v, w\)") as refused:
        look(path)
    assert refused.value.variables == ("v", "w")
    found = look(path, variable="w")
    assert (found.volume.variable, found.variables) == ("w", ("v", "w"))


def four(sizes: int) -> xr.Dataset:
    return globe().expand_dims(level=np.arange(sizes) * 1.0, axis=1)


def test_a_dimension_of_size_one_is_dropped_with_a_note(tmp_path: Path) -> None:
    found = look(write(four(1), tmp_path / "a.nc"))
    assert found.volume.shape == (6, 7, 8)
    assert "level" in found.notes[0]


def curvilinear() -> xr.Dataset:
    grid = {"lat": (("y", "x"), noise((7, 8)), NORTH), "lon": (("y", "x"), noise((7, 8)), EAST)}
    return xr.Dataset({"v": (("time", "y", "x"), noise())}, grid)


def text() -> xr.Dataset:
    return xr.Dataset({"name": (("a", "b", "c"), np.full((2, 2, 2), "word", object))})


def flat() -> xr.Dataset:
    return xr.Dataset({name: (("lat", "lon"), noise((7, 8))) for name in "vw"})


FILES: dict[str, tuple[Callable[[], xr.Dataset], dict[str, Any], str]] = {
    "an unknown variable": (several, {"variable": "nix"}, r"no variable 'nix'; the three-dimensional ones are: v, w"),
    "two dimensions": (flat, {"variable": "v"}, r"has two dimensions; CaveCast needs three"),
    "no volume at all": (flat, {}, r"no numeric variable with three dimensions; .* are: 'v' \(lat, lon\), 'w'"),
    "four dimensions": (lambda: four(3), {}, r"has four dimensions; .* `ncks -d level,0"),
    "an empty axis": (lambda: globe(noise((0, 7, 8))), {}, r"'v' .* is empty: its axis 'time'"),
    "text": (text, {}, r"'name' .* holds text, not numbers"),
    "two-dimensional coordinates": (curvilinear, {}, r"curvilinear grid"),
    "a chunk too large": (globe, {"chunk": (6, 7, 9)}, r"6 × 7 × 9 is larger than the volume 6 × 7 × 8: .*6,7,8"),
    "a chunk of nothing": (globe, {"chunk": (0, 7, 8)}, r"a side below 1"),
    "times that jump back": (lambda: globe(times=[0, 6, 3, 9, 12, 15]), {}, r"2000-01-01 03:00 comes after"),
    "a time that comes twice": (lambda: globe(times=[0, 6, 6, 9, 12, 15]), {}, r"06:00 comes twice \(step 2\)"),
    "periodic time": (globe, {"periodic": "time"}, r"Time cannot be periodic"),
    "periodic latitude": (globe, {"periodic": "1"}, r"Latitude cannot be periodic"),
    "an unknown axis": (globe, {"periodic": "z"}, r"no axis 'z' to be periodic: its axes are time, lat, lon"),
    "latitudes beyond the pole": (lambda: globe(lat=("lat", np.arange(7) * 20.0, NORTH)), {}, r"go from 0 to 120"),
    "muddled latitudes": (lambda: globe(lat=("lat", [0.0, 2, 1, 3, 4, 5, 6], NORTH)), {}, r"neither rise nor fall"),
    "a coordinate with holes": (lambda: globe(lon=("lon", [np.nan] * 8, EAST)), {}, r"'lon' .* missing values"),
    "a strange calendar": (lambda: globe(time=("time", np.arange(6.0), hours(calendar="mayan"))), {}, r"mayan"),
    "a spacing of nothing": (globe, {"spacing": (0.0, 1.0, 1.0)}, r"three positive numbers"),
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
def test_what_cannot_be_segmented_gets_one_sentence(what: str, tmp_path: Path) -> None:
    make, wishes, sentence = FILES[what]
    with pytest.raises(InputError, match=sentence) as refused:
        look(write(make(), tmp_path / "it.nc"), **wishes)
    one_sentence(refused.value)


def one_sentence(why: InputError) -> None:
    said = str(why)
    assert said.endswith(".")
    assert "\n" not in said
    assert len(said) < 400


def nothing(folder: Path) -> str:
    return str(folder / "none.nc")


def prose(folder: Path) -> str:
    (folder / "it.nc").write_text("Dear reader, this is no data.")
    return str(folder / "it.nc")


def hollow(folder: Path) -> str:
    (folder / "it.nc").touch()
    return str(folder / "it.nc")


def torn(folder: Path) -> str:
    whole = write(globe(), folder / "whole.nc")
    (folder / "it.nc").write_bytes(Path(whole).read_bytes()[:3000])
    return str(folder / "it.nc")


def torn_npy(folder: Path) -> str:
    np.save(folder / "whole.npy", noise())
    (folder / "it.npy").write_bytes((folder / "whole.npy").read_bytes()[:300])
    return str(folder / "it.npy")


def torn_classic(folder: Path) -> str:
    data = globe()
    data = data[["time", "lat", "lon"]].assign(v=data["v"])  # coordinates first, as most files have them
    data.to_netcdf(folder / "whole.nc", format="NETCDF3_CLASSIC", engine="netcdf4")
    (folder / "it.nc").write_bytes((folder / "whole.nc").read_bytes()[:-500])
    return str(folder / "it.nc")


def twice(folder: Path) -> str:
    with netCDF4.Dataset(folder / "it.nc", "w") as file:
        file.createDimension("time", 3)
        file.createDimension("n", 4)
        file.createVariable("covariance", "f4", ("time", "n", "n"))[:] = noise((3, 4, 4))
    return str(folder / "it.nc")


def complex_numbers(folder: Path) -> str:
    np.save(folder / "it.npy", noise().astype(complex))
    return str(folder / "it.npy")


def pickled(folder: Path) -> str:
    np.save(folder / "it.npy", np.full((2, 2, 2), None), allow_pickle=True)
    return str(folder / "it.npy")


def plane(folder: Path) -> str:
    np.save(folder / "it.npy", noise((7, 8)))
    return str(folder / "it.npy")


def folder_of_files(folder: Path) -> str:
    write(globe(), folder / "a.nc")
    return str(folder)


def no_names(folder: Path) -> str:
    zarr.open_group(folder / "it.zarr", mode="w").create_array("q", data=noise())
    return str(folder / "it.zarr")


def grouped(folder: Path) -> str:
    with h5py.File(folder / "it.h5", "w") as file:
        file["run/q"] = noise()
    return str(folder / "it.h5")


THINGS: list[tuple[Callable[[Path], str] | str, str]] = [
    (nothing, r"There is no file .*none\.nc"),
    (prose, r"is no file that CaveCast can read: it takes NetCDF"),
    (hollow, r"is an empty file"),
    (torn, r"damaged or incomplete"),
    (torn_classic, r"shorter than its header says"),
    (twice, r"'covariance' \(time, n, n\) in it.nc runs along one dimension twice"),
    (torn_npy, r"no \.npy file that can be mapped"),
    (complex_numbers, r"complex numbers"),
    (pickled, r"save a plain array of numbers"),
    (plane, r"two dimensions"),
    (folder_of_files, r"is a directory but no Zarr store .* glob such as '.*\*\.nc'"),
    (no_names, r"no names of dimensions.*NAME"),
    (grouped, r"keeps its arrays in groups: .*--variable \(run/q\)"),
    ("*.none", r"No file matches"),
    ("sample:lakes", r"the samples are rivers, flood2021, blocking1980"),
    ("", r"No input was named"),
    ("s3://nowhere/it.zarr", r"needs a package that is not installed"),
]


@pytest.mark.parametrize(("make", "sentence"), THINGS)
def test_what_is_no_volume_gets_one_sentence(make: Callable[[Path], str] | str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence) as refused:
        look(make if isinstance(make, str) else make(tmp_path))
    one_sentence(refused.value)


@pytest.mark.parametrize(
    ("units", "calendar", "hours_each"),
    [("weeks since 2000-01-01", "standard", 168.0), ("months since 2000-01-01", "360_day", 720.0),
     ("h since 2000-01-01", "standard", 1.0)],
)  # fmt: skip
def test_times_in_units_that_others_do_not_read_are_counted_in_hours(
    units: str, calendar: str, hours_each: float, tmp_path: Path
) -> None:
    steps = ("time", np.arange(6.0), {"units": units, "calendar": calendar})
    found = look(write(globe(time=steps), tmp_path / "a.nc"))
    axis = found.volume.axes[0]
    assert axis.units == "hours since 2000-01-01"
    assert axis.points.tolist() == [hours_each * i for i in range(6)]
    assert set(axis.widths) == {hours_each}
    assert f"Times in {units!r} were counted in hours." in found.notes
    told = xr.Dataset(coords={"time": ("time", axis.points, {"units": axis.units, "calendar": axis.calendar})})
    day = xr.decode_cf(told)["time"].values[1]
    assert day - xr.decode_cf(told)["time"].values[0] == np.timedelta64(int(hours_each * 3600), "s")
