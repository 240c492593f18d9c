"""``cavecast inspect`` and ``cavecast samples``, as a shell sees them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from inference_workers import commands
from inference_workers.samples import SAMPLES
from inference_workers.source import Inspection
from tests.source.making import globe, write

app = typer.Typer()
app.command()(commands.inspect)
app.command()(commands.samples)
runner = CliRunner()


def test_json_stands_alone_on_stdout() -> None:
    done = runner.invoke(app, ["inspect", "sample:flood2021", "--json", "--chunk", "12,20,20"])
    assert done.exit_code == 0
    found = msgspec.json.decode(done.stdout, type=Inspection)
    assert found.grid.chunk == (12, 20, 20)
    assert found.suggested == {"threshold": 500.0}
    assert done.stderr == ""


def test_the_summary_says_what_a_person_wants_to_know(tmp_path: Path) -> None:
    write(globe(times=[0, 6, 12, 36, 42, 48]), tmp_path / "a.nc")
    done = runner.invoke(app, ["inspect", str(tmp_path / "a.nc"), "--periodic", "none"])
    assert done.exit_code == 0
    for word in ("6 × 7 × 8 = 336", "time: 6 from 2000-01-01 00:00 to 2000-01-03 00:00", "note", "gap"):
        assert word in done.stdout
    assert "periodic" not in done.stdout
    assert "simulation" in runner.invoke(app, ["inspect", "sample:rivers"]).stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.nc"], "There is no file"),
        (["sample:rivers", "--variable", "nix"], "no variable 'nix'; the three-dimensional ones are: ivt, iwv."),
        (["sample:rivers", "--chunk", "1,2"], "--chunk 1,2 is not three numbers"),
        (["sample:rivers", "--chunk", "1,2,0"], "not three whole numbers above 0"),
        (["sample:rivers", "--chunk", "1,2,2.5"], "not three whole numbers above 0"),
        (["sample:rivers", "--chunk", "300,64,128"], "is larger than the volume"),
        (["sample:rivers", "--spacing", "a,b,c"], "--spacing a,b,c is not three numbers"),
    ],
)
def test_a_wrong_input_is_one_sentence_on_stderr_and_status_2(arguments: list[str], sentence: str) -> None:
    done = runner.invoke(app, ["inspect", *arguments, "--json"])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_samples_are_listed_with_their_sources() -> None:
    listed = runner.invoke(app, ["samples"]).stdout
    assert len(listed.splitlines()) == len(SAMPLES)
    assert "(simulation)" in listed.splitlines()[0]
    assert runner.invoke(app, ["samples", "flood2021"]).stdout.count("\n") == 1


def test_the_simulation_is_called_so_in_a_copy_too(tmp_path: Path) -> None:
    title = runner.invoke(app, ["inspect", "sample:rivers"]).stdout.splitlines()[0]
    runner.invoke(app, ["samples", "rivers", "--copy", str(tmp_path)])
    assert runner.invoke(app, ["inspect", str(tmp_path / "rivers.nc")]).stdout.splitlines()[0] == title
    assert "(simulation)" in title


def test_a_sample_is_copied_once_and_never_overwrites(tmp_path: Path) -> None:
    done = runner.invoke(app, ["samples", "flood2021", "--copy", str(tmp_path / "here")])
    copy = tmp_path / "here" / "flood2021.nc"
    assert (done.exit_code, done.stdout.strip()) == (0, str(copy))
    assert copy.read_bytes() == SAMPLES[1].path.read_bytes()
    again = runner.invoke(app, ["samples", "flood2021", "--copy", str(tmp_path / "here")])
    assert again.exit_code == 2
    assert "exists already" in again.stderr


def test_what_cannot_be_copied_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments, sentence in (
        (["--copy", str(tmp_path)], "needs a sample's name"),
        (["lakes", "--copy", str(tmp_path)], "no sample 'lakes'"),
        (["rivers", "--copy", str(tmp_path / "file")], "is a file, not a folder"),
    ):
        done = runner.invoke(app, ["samples", *arguments])
        assert done.exit_code == 2
        assert sentence in done.stderr


def test_provenance_names_every_sample() -> None:
    told = (SAMPLES[0].path.parent / "PROVENANCE.md").read_text()
    assert all(f"`{s.path.name}`" in told for s in SAMPLES)
    assert "simulation" in told.lower()


def test_commands_and_records_load_no_data_library() -> None:
    code = (
        "import sys, inference_workers.commands, inference_workers.source, inference_workers.samples\n"
        "print([m for m in ('xarray', 'netCDF4', 'zarr', 'pandas', 'cftime', 'rich.table') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_only_engines_know_the_libraries_of_file_formats() -> None:
    folder = Path(commands.__file__).parent / "source"
    for path in folder.glob("*.py"):
        imports = [line.split()[1].partition(".")[0] for line in path.read_text().splitlines()
                   if line.strip().startswith(("import ", "from "))]  # fmt: skip
        allowed = {
            "engine_xarray.py": {"xarray", "netCDF4"},
            "engine_array.py": {"zarr"},
            "engine_netcdf.py": {"netCDF4"},
        }.get(path.name, set())
        assert {"xarray", "netCDF4", "zarr", "h5netcdf"} & set(imports) <= allowed, path.name


def test_a_long_look_at_many_files_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        write(globe(times=[36.0 * n + 6 * step for step in range(6)]), tmp_path / f"{n}.nc")
    monkeypatch.setattr(commands, "SAY_S", 0.0)
    done = runner.invoke(app, ["inspect", str(tmp_path / "*.nc"), "--json"])
    assert done.exit_code == 0, done.stderr
    said = [msgspec.json.decode(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in said] == [f"looked at {n} of 3 files" for n in (1, 2, 3)]
    assert msgspec.json.decode(done.stdout, type=Inspection).grid.shape == (18, 7, 8)
