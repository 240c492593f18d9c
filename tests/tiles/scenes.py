"""A small scene and small walls to look at it with."""

from __future__ import annotations

from math import cos, radians, sin
from typing import Any

import numpy as np
from vtkmodules.vtkFiltersSources import vtkCubeSource, vtkSphereSource
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer

from renderers.wall.records import Node, Place, Screen, Stereo, Tile, Wall
from streamer.wire.viewing import Head, Placement, Vec3

HEAD = Head((120.0, -80.0, 1900.0))
"""Not in the middle, so that every frustum is skewed."""
PLACEMENT = Placement((0.0, 0.0, -300.0), (0.1, 0.2, 0.05, 0.97), 900.0)


def add(renderer: vtkRenderer, source: Any, at: Vec3, colour: Vec3, *, lit: bool = True) -> None:
    """Puts something on the stage."""
    source.SetCenter(*at)
    mapper, actor = vtkPolyDataMapper(), vtkActor()
    mapper.SetInputConnection(source.GetOutputPort())
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*colour)
    actor.GetProperty().SetLighting(lit)
    renderer.AddActor(actor)


def stage() -> vtkRenderer:
    """Balls and blocks all around the origin, near and far."""
    renderer = vtkRenderer()
    renderer.GetCullers().RemoveAllItems()
    rng = np.random.default_rng(4)
    for number in range(40):
        x, y, z = (float(n) for n in rng.uniform(-1, 1, 3))
        red, green, blue = (float(n) for n in rng.uniform(0.3, 1, 3))
        if number % 2:
            ball = vtkSphereSource()
            ball.SetRadius(0.12)
            ball.SetThetaResolution(24)
            ball.SetPhiResolution(16)
            add(renderer, ball, (x, y, z), (red, green, blue))
        else:
            block = vtkCubeSource()
            block.SetXLength(0.2)
            block.SetYLength(0.15)
            add(renderer, block, (x, y, z), (red, green, blue))
    return renderer


def flat(
    columns: int, rows: int, stereo: Stereo = "mono", gap: float = 0.0, pixels: tuple[int, int] = (160, 90)
) -> Wall:
    """Panels of 640 × 360 mm in the plane z = 0 around the origin, ``gap`` mm apart."""
    screens, tiles = [], []
    wide, high = 640.0, 360.0
    for row in range(rows):
        for column in range(columns):
            x = (column - columns / 2) * (wide + gap)
            y = (row - rows / 2) * (high + gap)
            name = f"{column}-{row}"
            screens.append(Screen(name, (x, y, 0.0), (x + wide, y, 0.0), (x, y + high, 0.0)))
            tiles.append(Tile(name, name, "here", stereo, Place(0, 0, *pixels), ""))
    return Wall("flat", tuple(screens), tuple(tiles), (Node("here"),), head=HEAD)


def ring(count: int, radius: float = 1500.0) -> Wall:
    """A closed ring of panels around the origin, each looking inwards."""
    screens, tiles = [], []
    half = radius * np.tan(np.pi / count)
    for number in range(count):
        a = radians(360 * number / count)
        middle = np.array([radius * sin(a), 0.0, -radius * cos(a)])
        right = np.array([cos(a), 0.0, sin(a)]) * half
        up = np.array([0.0, half * 0.6, 0.0])
        corners = [tuple((middle + s * right + t * up).tolist()) for s, t in ((-1, -1), (1, -1), (-1, 1))]
        name = f"p{number}"
        screens.append(Screen(name, *corners))
        tiles.append(Tile(name, name, "here", "mono", Place(0, 0, 400, 240), ""))
    return Wall("ring", tuple(screens), tuple(tiles), (Node("here"),), head=Head((100.0, 50.0, 200.0)))
