"""ParaView's .pvx files as walls.

Source: ParaView's guide, “CAVE displays”.  A Machine of a server Process is one display process: corners in
metres, x right, y up, z back; its X display in Environment, its window in Geometry.  Older files give
UpperLeft, newer ones UpperRight; both are read.
"""

from __future__ import annotations

import re

import numpy as np

from renderers.wall.axes import vec
from renderers.wall.calvr import Imported, place_head
from renderers.wall.calvr_lookup import number
from renderers.wall.complaint import WallError
from renderers.wall.records import Node, Place, Screen, Stereo, Tile, Wall
from renderers.wall.tagsoup import Element, TagSoupError, parse
from streamer.wire.viewing import Head, Vec3

STEREO: dict[str, Stereo] = {
    "crystaleyes": "quad-buffer", "redblue": "anaglyph", "anaglyph": "anaglyph", "interlaced": "interlaced",
    "left": "left", "right": "right", "dresden": "interlaced-columns", "checkerboard": "checkerboard",
    "splitviewporthorizontal": "side-by-side",
}  # fmt: skip
"""StereoType without blanks, in lower case."""
SERVERS = ("server", "renderserver", "pvserver", "pvrenderserver")
"""Types of a process that draws, in lower case and without hyphens."""
WINDOW = Place(0, 0, 1920, 1080)
MM = 1000.0


def import_pvx(name: str, text: str) -> Imported:
    """The wall of a .pvx file.  Raises WallError if no machine has corners."""
    try:
        soup = parse(text, frozenset({"machine", "process"}))
    except TagSoupError as why:
        raise WallError(f"{name} is no ParaView configuration: {why}") from None
    remarks: dict[str, None] = dict.fromkeys(f"{name} was mended: {what}" for what in soup.mended[:3])
    elements = [element for top in soup.children for element in top.walk()]
    machines = _machines(elements, remarks)
    screens: list[Screen] = []
    tiles: list[Tile] = []
    hosts: list[str] = []
    for index, machine in enumerate(machines):
        host = machine.attributes.get("name", "").strip() or f"machine-{index}"
        corners = _corners(machine, f"Machine {index} ({host})", remarks)
        if corners is None:
            continue
        hosts.append(host)
        count = hosts.count(host) - 1
        screen = Screen(f"{host.partition('.')[0]}-{count}", *corners)
        same = next((one for one in screens if _same(one, screen)), None)
        if same is None:
            screens.append(screen)
        stereo = _stereo(machine, remarks)
        place = _place(machine, f"Machine {index} ({host})", remarks)
        if machine.attributes.get("showborders", "0").strip().lower() in ("1", "true", "on"):
            remarks["ShowBorders is on for some machines; CaveCast's windows have no borders."] = None
        tiles.append(Tile(screen.name, (same or screen).name, host, stereo, place, _display(machine)))
    if not screens:
        raise WallError(f"{name} has no Machine with LowerLeft, LowerRight and UpperRight: it describes no wall")
    stem = re.sub(r"\.\w+$", "", re.split(r"[/\\]", name)[-1])
    here = place_head(tuple(screens))
    if here is not None:
        remarks["At the origin nobody sees all screens: the default head is put in front of them."] = None
    wall = Wall(
        name=stem or "imported",
        title=f"{stem}, from ParaView",
        screens=tuple(screens),
        tiles=tuple(tiles),
        nodes=tuple(Node(host, host) for host in dict.fromkeys(hosts)),
        head=Head(here) if here is not None else Head(),
        eye_separation_mm=_separation(elements, remarks),
    )
    remarks["A .pvx file has no trackers, near and far planes or bezels: add them to the wall file."] = None
    return Imported(wall, tuple(remarks))


def _machines(elements: list[Element], remarks: dict[str, None]) -> list[Element]:
    """The machines that draw: those of a server process, or all of them where there is none."""
    processes = [element for element in elements if element.is_("Process")]
    drawing = [p for p in processes if re.sub("[^a-z]", "", p.attributes.get("type", "server").lower()) in SERVERS]
    if len(drawing) > 1:
        remarks["There are several server processes; the machines of all are taken."] = None
    return [m for one in drawing or elements[:0] for m in one.walk() if m.is_("Machine")] or [
        element for element in elements if not processes and element.is_("Machine")
    ]


def _corners(machine: Element, where: str, remarks: dict[str, None]) -> tuple[Vec3, Vec3, Vec3] | None:
    """Lower left, lower right, upper left in mm."""
    found = {key: _point(machine, key) for key in ("lowerleft", "lowerright", "upperleft", "upperright")}
    a, b, left, right = found.values()
    if a is None or b is None or (left is None and right is None):
        remarks[f"{where} lacks corners (LowerLeft, LowerRight, UpperRight): left out"] = None
        return None
    upper = np.array(left) if left is not None else np.array(right) - np.array(b) + np.array(a)
    return a, b, vec(np.round(upper, 6))


def _point(machine: Element, key: str) -> Vec3 | None:
    numbers = [number(part)[0] for part in re.split(r"[\s,;]+", machine.attributes.get(key, "").strip())]
    if len(numbers) != 3 or None in numbers:
        return None
    return vec(np.round(np.array([n for n in numbers if n is not None]) * MM, 6))


def _same(a: Screen, b: Screen) -> bool:
    return np.allclose([a.lower_left, a.lower_right, a.upper_left], [b.lower_left, b.lower_right, b.upper_left])


def _stereo(machine: Element, remarks: dict[str, None]) -> Stereo:
    word = machine.attributes.get("stereotype", "")
    plain = re.sub(r"[^a-z]", "", word.lower())
    if not plain or plain in ("none", "mono"):
        return "mono"
    if plain not in STEREO:
        remarks[f"StereoType {word} is not known here; drawn as mono."] = None
    return STEREO.get(plain, "mono")


def _place(machine: Element, where: str, remarks: dict[str, None]) -> Place:
    geometry = machine.attributes.get("geometry", "")
    found = re.fullmatch(r"\s*(\d+)x(\d+)(?:([+-]\d+)([+-]\d+))?\s*", geometry)
    if found is None or not int(found[1]) or not int(found[2]):
        said = f"Geometry “{geometry}” is not understood" if geometry else "no Geometry"
        text = f"{where}: {said}; taken as {WINDOW.width}x{WINDOW.height}+0+0: correct pixels and at in the wall file."
        remarks[text] = None
        return WINDOW
    if "-" in (found[3] or "") + (found[4] or ""):
        remarks[f"{where}: Geometry “{geometry}” counts from the right or lower edge: correct at in the wall file."] = (
            None
        )
        return Place(0, 0, int(found[1]), int(found[2]))
    return Place(int(found[3] or 0), int(found[4] or 0), int(found[1]), int(found[2]))


def _display(machine: Element) -> str:
    """The display of Environment, without the host, which the node already says."""
    found = re.search(r"\bDISPLAY\s*=\s*[\w.\-]*(:\d+(?:\.\d+)?)", machine.attributes.get("environment", ""))
    if found is None:
        return ":0.0"
    return found[1] if "." in found[1] else f"{found[1]}.0"


def _separation(elements: list[Element], remarks: dict[str, None]) -> float:
    for element in elements:
        text = element.attributes.get("value" if element.is_("EyeSeparation") else "eyeseparation")
        if text is not None and (value := number(text)[0]) is not None:
            return round(value * MM, 6)
    remarks["There is no EyeSeparation: 64 mm."] = None
    return 64.0
