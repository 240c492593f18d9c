"""``cavecast wall`` as people call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from renderers.wall.shelf import PRESETS, load_wall, preset_text
from tests.wall.test_calvr import SCREENS, SPLIT_SITE
from tests.wall.test_paraview import CAVE
from tests.wall.walls import FOUR


def cavecast(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from streamer.cli import main; main()", "wall", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environment,
        check=False,
    )


def test_presets_are_listed_for_people_and_programs() -> None:
    listed = cavecast("presets").stdout.splitlines()
    assert [line.split("\t")[0] for line in listed] == list(PRESETS)
    found = json.loads(cavecast("presets", "--json").stdout)
    assert [(one["name"], one["tiles"]) for one in found][-1] == ("suncave", 70)


def test_check_of_a_sound_wall_is_0_and_gives_its_figures(tmp_path: Path) -> None:
    path = tmp_path / "four.toml"
    path.write_text(FOUR)
    done = cavecast("check", path, "--json")
    assert done.returncode == 0
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert {"nodes", "tiles", "screens", "megapixels", "fov_deg", "findings"} <= set(report)
    assert (report["nodes"], report["tiles"], report["screens"], report["findings"]) == (2, 4, 4, [])
    assert "nothing to complain about" in cavecast("check", path).stdout


def test_check_of_a_wall_with_errors_is_1_and_says_them(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(FOUR.replace("1018, 573", "1.018, 0.573").replace("bezel = 3\n", ""))
    done = cavecast("check", path, "--json")
    assert done.returncode == 1
    found = {finding["code"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert found["units"]["level"] == "error"
    assert "look like metres" in found["units"]["sentence"]
    assert "error " in cavecast("check", path).stdout


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("name = 'x'\nrows = 2")
    done = cavecast("check", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "the file has no key “rows”" in done.stderr
    missing = cavecast("check", "suncav")
    assert missing.returncode == 2
    assert "did you mean “suncave”" in missing.stderr


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_draw_writes_a_picture(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"wall.{ending}"
    assert cavecast("draw", "cave4", "-o", out).returncode == 0
    assert out.read_bytes()[:4] == {"svg": b"<svg", "png": b"\x89PNG"}[ending]


def test_draw_to_another_kind_of_file_is_wrong_use(tmp_path: Path) -> None:
    done = cavecast("draw", "cave4", "-o", tmp_path / "wall.pdf")
    assert done.returncode == 2
    assert "neither .svg nor .png" in done.stderr


def test_import_writes_a_wall_file_and_says_what_was_left_behind(tmp_path: Path) -> None:
    (tmp_path / "site.xml").write_text(SPLIT_SITE)
    (tmp_path / "screens.xml").write_text(SCREENS)
    out = tmp_path / "site.toml"
    done = cavecast("import", tmp_path / "site.xml", "-o", out)
    assert done.returncode == 0
    assert "Plugin" in done.stderr
    assert "2 screens, 4 outputs on 2 nodes" in done.stderr
    wall = load_wall(out)
    assert (len(wall.screens), len(wall.tiles)) == (2, 4)
    assert cavecast("check", out).returncode == 0


def test_included_files_are_looked_for_where_calvr_has_them(tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    (tmp_path / "main" / "site.xml").write_text(SPLIT_SITE)
    missing = cavecast("import", tmp_path / "main" / "site.xml")
    assert missing.returncode == 1
    assert "not found" in missing.stderr
    (tmp_path / "home" / "config").mkdir(parents=True)
    (tmp_path / "home" / "config" / "screens.xml").write_text(SCREENS)
    done = cavecast("import", tmp_path / "main" / "site.xml", CALVR_HOME=str(tmp_path / "home"))
    assert done.returncode == 0
    assert 'name = "site"' in done.stdout


def test_files_of_a_sites_own_machines_are_found_beside_the_one_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "site.xml").write_text(SPLIT_SITE.replace("screens.xml", r"D:\\calvr\\config\\screens.xml"))
    (tmp_path / "screens.xml").write_bytes(SCREENS.encode("utf-16"))
    done = cavecast("import", tmp_path / "site.xml", "-o", tmp_path / "site.toml")
    assert (done.returncode, len(load_wall(tmp_path / "site.toml").screens)) == (0, 2)
    (tmp_path / "site.xml").write_text(SPLIT_SITE.replace("screens.xml", "/home/calvr/config/screens.xml"))
    assert cavecast("import", tmp_path / "site.xml").returncode == 0


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (("check", "nowhere.toml"), 2, "nowhere.toml: no such file; presets are desk"),
    (("check", "FOLDER"), 2, "is a folder; name the wall file in it"),
    (("check", "FOLDER/broken.toml"), 1, "broken.toml is not TOML: "),
    (("check", "FOLDER/inch.toml"), 1, "“units” is “inch”, but it is one of m, mm"),
    (("chek", "desk"), 2, "No such command 'chek'. Did you mean 'check'"),
    (("check", "desk", "--jason"), 2, "No such option: --jason (Possible options: --json)"),
    (("draw", "desk", "-o", "FOLDER/no/x.svg"), 1, "cannot be written: No such file or directory (there is no folder"),
    (("import", "FOLDER"), 2, "is a folder; name the file in it"),
    (("import", "FOLDER/site.xml", "-o", "FOLDER/no/x.toml"), 1,
     "cannot be written: No such file or directory (there is no folder"),
    (("verify", "desk", "--scale", "2"), 2, "Invalid value for '--scale'"),
    (("test-pattern", "desk", "--tile", "nope"), 2, "wall desk has no tile 'nope'; it has monitor-0-0, monitor-0-1"),
    (("test-pattern", "desk", "--node", "nope"), 2, "wall desk has no node 'nope'; it has localhost"),
    (("test-pattern", "desk", "--offscreen"), 2, "--offscreen shows nothing to anybody: add --pictures FOLDER"),
])  # fmt: skip
def test_what_goes_wrong_is_one_sentence(arguments: tuple[str, ...], code: int, words: str, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text('name = "x')
    (tmp_path / "inch.toml").write_text('name = "x"\nunits = "inch"\n')
    (tmp_path / "site.xml").write_text(SPLIT_SITE)
    (tmp_path / "screens.xml").write_text(SCREENS)
    done = cavecast(*(one.replace("FOLDER", str(tmp_path)) for one in arguments))
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("cavecast: ")
    assert words in line


def test_a_trial_says_that_the_wall_has_errors_and_prints_nothing_but_its_document(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(FOUR.replace("1018, 573", "1.018, 0.573").replace("bezel = 3\n", ""))
    done = cavecast("verify", tmp_path / "small.toml", "--scale", "0.02", "--json")
    assert json.loads(done.stdout)["tiles"] == 4
    assert "four has 1 error, see cavecast wall check" in done.stderr


def test_import_reads_paraview(tmp_path: Path) -> None:
    (tmp_path / "cave.pvx").write_text(CAVE)
    out = tmp_path / "cave.toml"
    assert cavecast("import", tmp_path / "cave.pvx", "-o", out).returncode == 0
    assert len(load_wall(out).screens) == 3


def test_what_is_no_configuration_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "notes.xml").write_text("nothing here")
    done = cavecast("import", tmp_path / "notes.xml", "-o", tmp_path / "out.toml")
    assert done.returncode == 1
    assert "no CalVR configuration" in done.stderr
    assert not (tmp_path / "out.toml").exists()
    assert cavecast("import", tmp_path / "gone.xml").returncode == 2


def test_schema_prints_the_schema() -> None:
    assert json.loads(cavecast("schema").stdout)["title"] == "CaveCast wall file"


def test_a_preset_copied_to_a_file_is_the_same_wall(tmp_path: Path) -> None:
    path = tmp_path / "curved5.toml"
    path.write_text(preset_text("curved5"))
    assert json.loads(cavecast("check", path, "--json").stdout) == json.loads(
        cavecast("check", "curved5", "--json").stdout
    )
