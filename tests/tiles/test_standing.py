"""Which tiles the test pattern is shown on, and the pictures that it saves."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from PIL import Image
from typer.testing import CliRunner

from renderers.wall.commands import wall as commands
from renderers.wall.records import Node, Wall
from renderers.wall.standing import chosen_tiles
from renderers.wall.write import to_toml
from tests.tiles.scenes import flat


def two_nodes() -> Wall:
    wall = flat(2, 2)
    tiles = tuple(replace(tile, node="west" if tile.name[0] == "0" else "east") for tile in wall.tiles)
    return replace(wall, tiles=tiles, nodes=(Node("west", "west.lab.example"), Node("east", "east")))


def names(*given: object) -> list[str]:
    return [tile.name for tile in chosen_tiles(two_nodes(), *given)]  # type: ignore[arg-type]


def test_the_tiles_are_those_of_this_hosts_node_unless_others_are_named() -> None:
    assert (
        names((), "", "west.lab.example") == names((), "", "west") == names((), "west", "elsewhere") == ["0-0", "0-1"]
    )
    assert names((), "", "east.lab.example") == ["1-0", "1-1"]
    assert names(("1-1", "0-0"), "", "west") == ["1-1", "0-0"]
    assert len(names((), "", "")) == 4
    lone = flat(2, 1)
    assert chosen_tiles(lone, (), "", "anything") == lone.tiles


def test_what_is_not_part_of_the_wall_is_said_with_what_is() -> None:
    with pytest.raises(LookupError, match=r"this host, elsewhere, is no node of wall flat.*west, east"):
        names((), "", "elsewhere")
    with pytest.raises(LookupError, match="no node 'north'; it has west, east"):
        names((), "north", "west")
    with pytest.raises(LookupError, match="no tile '7-7'; it has 0-0"):
        names(("7-7",), "", "west")


def test_the_pictures_of_a_wall_are_saved_without_its_screens(tmp_path: Path) -> None:
    file = tmp_path / "wall.toml"
    file.write_text(to_toml(two_nodes()))
    done = CliRunner().invoke(
        commands, ["test-pattern", str(file), "--offscreen", "--node", "east", "--pictures", str(tmp_path / "new")]
    )
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["1-0.png", "1-1.png"]
    with Image.open(tmp_path / "new" / "1-0.png") as picture:
        assert picture.size == (160, 90)
    nobody = CliRunner().invoke(commands, ["test-pattern", str(file), "--offscreen"])
    assert nobody.exit_code == 2
    assert "--pictures" in nobody.stderr
