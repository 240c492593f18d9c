"""A wall file as it is written: its tables and keys, their types and what they mean.

``renderers.wall.file`` turns these tables into a ``Wall``; the JSON Schema for editors is made from them.
Lengths are in the file's ``units`` and along its ``axes``; keys that end in ``_mm`` are mm whatever the units.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from renderers.wall.axes import WALL_AXES
from renderers.wall.records import Stereo

Point = tuple[float, float, float]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1, le=1000)]
Pixels = Annotated[int, Meta(ge=1, le=65536)]
Name = Annotated[str, Meta(min_length=1, max_length=120)]
Sharing = Literal["one", "row", "column", "panel"]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all tables share: a key that is not known is refused."""


class BezelTable(Table, frozen=True):
    left: Annotated[float, Meta(ge=0)] = 0.0
    right: Annotated[float, Meta(ge=0)] = 0.0
    bottom: Annotated[float, Meta(ge=0)] = 0.0
    top: Annotated[float, Meta(ge=0)] = 0.0


Frame = Annotated[
    Annotated[float, Meta(ge=0)] | BezelTable,
    Meta(description="How far the frame reaches beyond the picture: one number, or left, right, bottom and top."),
]


class HeadTable(Table, frozen=True):
    position: Annotated[Point, Meta(description="The middle between the eyes.")] = (0.0, 0.0, 0.0)
    turn: Annotated[Point, Meta(description="Heading, pitch and roll in degrees; 0, 0, 0 looks forward.")] = (
        0.0,
        0.0,
        0.0,
    )


class NodeTable(Table, frozen=True):
    name: Annotated[Name, Meta(description="What tiles call the node.")]
    host: Annotated[str, Meta(description="Its host name; without one, a node that the selector finds.")] = ""


class SelectorTable(Table, frozen=True):
    labels: Annotated[dict[str, str], Meta(description="Kubernetes labels that all nodes of the wall carry.")] = {}
    tolerations: Annotated[tuple[str, ...], Meta(description="key=value of taints that the wall's pods tolerate.")] = ()
    expected_nodes: Annotated[int, Meta(ge=0, description="0: as many as the file has nodes.")] = 0


class TileTable(Table, frozen=True):
    name: Name
    screen: Annotated[Name, Meta(description="The screen that it fills; two tiles share one if each eye has its own.")]
    node: Annotated[Name, Meta(description="The node that drives it.")]
    pixels: Annotated[tuple[Pixels, Pixels], Meta(description="Width and height.")]
    at: Annotated[
        tuple[int, int], Meta(description="Place of its upper left corner on the X screen, from the upper left.")
    ] = (0, 0)
    stereo: Annotated[Stereo, Meta(description="What the output carries.")] = "mono"
    display: Annotated[str, Meta(description="The X display and screen; empty: no window.")] = ":0.0"
    swap_eyes: bool = False
    upside_down: Annotated[bool, Meta(description="Turn the picture by 180° before it is shown.")] = False


class ScreenTable(Table, frozen=True):
    name: Name
    lower_left: Point | None = None
    lower_right: Point | None = None
    upper_left: Point | None = None
    upper_right: Annotated[Point | None, Meta(description="May be given to have the rectangle checked.")] = None
    centre: Annotated[Point | None, Meta(description="With size and turn: instead of corners.")] = None
    size: Annotated[tuple[Positive, Positive] | None, Meta(description="Width and height of the picture.")] = None
    turn: Annotated[Point | None, Meta(description="Heading, pitch and roll in degrees.")] = None
    bezel: Frame | None = None
    node: Annotated[Name | None, Meta(description="With pixels: one tile of the screen's name, in short.")] = None
    pixels: tuple[Pixels, Pixels] | None = None
    at: tuple[int, int] | None = None
    stereo: Stereo | None = None
    display: str | None = None
    swap_eyes: bool | None = None
    upside_down: bool | None = None


class GridTable(Table, frozen=True):
    name: Annotated[Name, Meta(description="Tiles are called NAME-ROW-COLUMN, counted from 0, top left first.")]
    rows: Count
    columns: Count
    size: Annotated[tuple[Positive, Positive], Meta(description="Width and height of one panel's picture.")]
    pixels: Annotated[tuple[Pixels, Pixels], Meta(description="Width and height of one output.")]
    bezel: Frame = 0.0
    gap: Annotated[tuple[float, float], Meta(description="Between frames, across and up.")] = (0.0, 0.0)
    centre: Annotated[
        Point | None, Meta(description="Middle of the grid, on its surface; without it 2 m in front of the origin.")
    ] = None
    turn: Annotated[Point, Meta(description="Heading, pitch and roll of the grid in degrees.")] = (0.0, 0.0, 0.0)
    radius: Annotated[
        Positive | None, Meta(description="On an upright cylinder with its axis so far in front of the middle.")
    ] = None
    angle: Annotated[Positive | None, Meta(description="Degrees from column to column; without it frames touch.")] = (
        None
    )
    stereo: Annotated[
        Stereo | Literal["left-right"], Meta(description="left-right: two outputs for each panel, one for each eye.")
    ] = "mono"
    nodes: Annotated[Sharing, Meta(description="One node for all, or one for each row, column or panel.")] = "panel"
    hosts: Annotated[tuple[Name, ...], Meta(description="Their host names, in order.")] = ()
    display: Annotated[
        str, Meta(description="{n} counts a node's outputs from 0; without it they share one X screen, side by side.")
    ] = ":0.{n}"
    swap_eyes: bool = False
    upside_down: bool = False


class FitTable(Table, frozen=True):
    size_mm: Annotated[Positive, Meta(description="The longest side of the volume's box.")] = 2000.0
    centre: Annotated[Point, Meta(description="Where its middle lies.")] = (0.0, 0.0, 0.0)
    up: Annotated[Literal["x", "y", "z"], Meta(description="The scene's axis that points up; z is axis 0.")] = "z"
    mm_per_step: Annotated[Positive | None, Meta(description="Of time; without it as high as latitude is wide.")] = None


class TrackerTable(Table, frozen=True):
    kind: Literal["vrpn", "dtrack", "osc", "gamepad", "mouse", "replay"]
    address: Annotated[str, Meta(description="DTrack@localhost, udp://0.0.0.0:5000, /dev/input/js0, a file.")]
    head: Annotated[int, Meta(ge=-1, description="Number of the body on the head; -1: none.")] = 0
    wand: Annotated[int, Meta(ge=-1, description="Number of the body in the hand; -1: none.")] = 1
    axes: Annotated[str, Meta(description="The device's axes.")] = WALL_AXES
    unit: Annotated[Literal["mm", "m"], Meta(description="The device's unit.")] = "mm"
    offset: Annotated[Point, Meta(description="Of the device's origin in the room.")] = (0.0, 0.0, 0.0)
    turn: Annotated[Point, Meta(description="Heading, pitch and roll of the device in the room, degrees.")] = (
        0.0,
        0.0,
        0.0,
    )
    scale: Positive = 1.0
    latency_ms: Annotated[float, Meta(ge=0)] = 0.0
    head_offset: Annotated[
        Point, Meta(description="From the body to the eyes' middle, along the head's right, up and back.")
    ] = (0.0, 0.0, 0.0)
    head_turn: Point = (0.0, 0.0, 0.0)
    wand_offset: Annotated[
        Point, Meta(description="From the body to the wand's tip, along the wand's right, up and back.")
    ] = (0.0, 0.0, 0.0)
    wand_turn: Point = (0.0, 0.0, 0.0)
    head_shift: Annotated[Point, Meta(description="Added to the head's position in the room.")] = (0.0, 0.0, 0.0)
    wand_shift: Annotated[Point, Meta(description="Added to the wand's position in the room.")] = (0.0, 0.0, 0.0)


class WallFile(Table, frozen=True):
    """A wall of CaveCast: screens in a room, the outputs that fill them, and the nodes that drive those."""

    name: Name
    title: str = ""
    units: Annotated[Literal["mm", "m"], Meta(description="Of all lengths but those whose key ends in _mm.")] = "mm"
    axes: Annotated[str, Meta(description="Where x, y and z point; right-handed.")] = WALL_AXES
    eye_separation_mm: Annotated[float, Meta(description="Between the eyes; negative: swapped.")] = 64.0
    near_mm: Positive = 100.0
    far_mm: Positive = 100_000.0
    head: HeadTable = HeadTable()
    fit: FitTable = FitTable()
    selector: SelectorTable = SelectorTable()
    nodes: tuple[NodeTable, ...] = ()
    grids: tuple[GridTable, ...] = ()
    screens: tuple[ScreenTable, ...] = ()
    tiles: tuple[TileTable, ...] = ()
    trackers: tuple[TrackerTable, ...] = ()


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of wall files, for editors."""
    schema = msgspec.json.schema(WallFile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "CaveCast wall file", **schema}
