"""docs/wall.md says what the code does: every key, every finding, every preset."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from renderers.wall import check_outputs, check_room, schema
from renderers.wall.check import check
from renderers.wall.file import read_wall
from renderers.wall.shelf import PRESETS, load_wall
from tests.wall.test_check import WRONG

PAGE = (Path(__file__).parents[2] / "docs" / "wall.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The table under a heading, cells without their ticks."""
    text = re.split(r"^#+ ", PAGE.split(f"{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in lines[2:]]


@pytest.mark.parametrize(("heading", "table"), [
    ("## The file", schema.WallFile), ("### head", schema.HeadTable), ("### grids", schema.GridTable),
    ("### screens", schema.ScreenTable), ("### tiles", schema.TileTable), ("### nodes", schema.NodeTable),
    ("### selector", schema.SelectorTable), ("### fit", schema.FitTable), ("### trackers", schema.TrackerTable),
])  # fmt: skip
def test_every_key_is_documented_and_no_other(heading: str, table: type[schema.Table]) -> None:
    assert [row[0] for row in rows(heading)] == list(table.__struct_encode_fields__)


def test_every_finding_is_documented_has_a_test_and_no_other() -> None:
    source = "".join(Path(str(module.__file__)).read_text() for module in (check_room, check_outputs))
    real = set(re.findall(r'Finding\(\s*(?:"\w+"|[^,()]+), "([a-z-]+)"', source))
    assert {row[0] for row in rows("## What check says")} == real == {code for code, _, _ in WRONG}


def test_the_levels_are_the_documented_ones() -> None:
    documented = {row[0]: row[1] for row in rows("## What check says")}
    for code, level, _ in WRONG:
        if (code, level) not in {("units", "warning"), ("overlap", "error")}:
            assert documented[code] == level


def test_presets_have_the_documented_figures() -> None:
    found = []
    for name in PRESETS:
        r = check(load_wall(name))
        seen = f"{r.fov_deg[0]:.0f}° × {r.fov_deg[1]:.0f}°"
        title = load_wall(name).title
        found.append([name, str(r.screens), str(r.tiles), str(r.nodes), f"{r.megapixels:.1f}", seen, title])
    assert rows("# Walls") == found


def test_the_wall_in_ten_lines_is_one() -> None:
    example = PAGE.split("```toml\n", 1)[1].split("```", 1)[0]
    assert len(example.splitlines()) == 10
    assert check(read_wall(example, "docs/wall.md")).findings == ()
