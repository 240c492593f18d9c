"""A wall in facts, as the control plane reads it, without a screen and without VTK."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from renderers.wall.describe import describe
from renderers.wall.records import Wall
from renderers.wall.shelf import PRESETS, load_wall
from streamer.wire.walls import WallFacts

CAVECAST = Path(sys.executable).parent / "cavecast"


def asked(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CAVECAST, "wall", "describe", *words], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_described_as_it_is(name: str) -> None:
    wall = load_wall(name)
    facts = describe(wall)
    assert [tile.name for tile in facts.tiles] == [tile.name for tile in wall.tiles]
    assert sorted(tile for seat in facts.seats for tile in seat.tiles) == sorted(tile.name for tile in wall.tiles)
    assert {seat.name for seat in facts.seats} == {tile.node for tile in wall.tiles}
    assert (facts.labels, facts.tolerations) == (wall.selector.labels, wall.selector.tolerations)
    assert facts.expected_nodes == (wall.selector.expected_nodes or len(facts.seats))
    assert msgspec.json.decode(msgspec.json.encode(facts), type=WallFacts) == facts


def test_the_command_prints_the_facts_alone() -> None:
    done = asked("suncave", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    facts = msgspec.json.decode(done.stdout, type=WallFacts)
    assert facts == describe(load_wall("suncave"))
    assert (len(facts.seats), len(facts.tiles), facts.expected_nodes) == (35, 70, 35)
    assert facts.size_mm == pytest.approx((5690.1, 3426.9, 5421.3))
    told = asked("2x2").stdout.splitlines()
    assert told[0].startswith("2x2: Two by two panels, flat, 2.04 × 1.15 × 0.00 m, 4 outputs on 2 nodes")
    assert told[1:] == [
        "panel-row-0\tany host\tpanel-0-0, panel-0-1",
        "panel-row-1\tany host\tpanel-1-0, panel-1-1",
        "on nodes with cavecast.io/wall=2x2; 2 are expected",
    ]


def test_errors_are_findings_and_what_is_no_wall_is_refused(tmp_path: Path) -> None:
    empty = describe(Wall("empty", (), (), ()))
    assert [finding.level for finding in empty.findings] == ["error"]
    assert (empty.size_mm, empty.seats, empty.expected_nodes) == ((0.0, 0.0, 0.0), (), 0)
    (tmp_path / "no.toml").write_text("no")
    done = asked(str(tmp_path / "no.toml"), "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not TOML" in done.stderr


def test_nothing_that_draws_is_loaded_for_it() -> None:
    code = (
        "import sys; sys.argv = ['cavecast', 'wall', 'describe', 'suncave', '--json']\n"
        "from streamer.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not [name for name in sys.modules if name.startswith('vtk')]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
