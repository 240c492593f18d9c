"""Walls for tests: a sound one of four panels, and what Hypothesis makes of angles and places."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from renderers.wall.file import read_wall
from renderers.wall.records import Screen, Wall

FOUR = """
name = "four"
[[grids]]
name = "panel"
rows = 2
columns = 2
size = [1018, 573]
bezel = 3
pixels = [1920, 1080]
nodes = "row"
display = ":0.{n}"
"""

angles = st.floats(-180, 180).map(lambda a: round(a, 3))
turns = st.tuples(angles, st.floats(-89, 89).map(lambda a: round(a, 3)), angles)
places = st.tuples(*[st.floats(-5000, 5000).map(lambda x: round(x, 2))] * 3)
sizes = st.tuples(*[st.floats(50, 4000).map(lambda x: round(x, 2))] * 2)


def four() -> Wall:
    """Two by two panels, without a finding."""
    return read_wall(FOUR, "four.toml")


def changed(wall: Wall, **fields: Any) -> Wall:
    """The wall with other fields."""
    return Wall(**{name: getattr(wall, name) for name in wall.__struct_fields__} | fields)


def with_screen(wall: Wall, index: int, screen: Screen) -> Wall:
    """The wall with another screen in one's place."""
    return changed(wall, screens=(*wall.screens[:index], screen, *wall.screens[index + 1 :]))


def with_tile(wall: Wall, index: int, **fields: Any) -> Wall:
    """The wall with one tile changed."""
    tile = wall.tiles[index]
    other = type(tile)(**{name: getattr(tile, name) for name in tile.__struct_fields__} | fields)
    return changed(wall, tiles=(*wall.tiles[:index], other, *wall.tiles[index + 1 :]))


def moved(screen: Screen, x: float = 0.0, y: float = 0.0, z: float = 0.0, name: str = "") -> Screen:
    """A screen elsewhere."""
    places = [(a + x, b + y, c + z) for a, b, c in (screen.lower_left, screen.lower_right, screen.upper_left)]
    return Screen(name or screen.name, *places)
