"""CalVR's XML configurations as walls.

Source: the configurations of CalVR (github.com/IVCenter/calvr), its ScreenConfig, XMLReader and
TrackingManager.  Units mm and degrees; x right, y forward, z up; a screen's origin is its centre; heading,
pitch and roll as in ``renderers.wall.axes``.  Each host sees its own configuration; on each the lists of pipes,
windows, channels and screens run from 0 to the first gap.  What cannot be carried over is said.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from renderers.wall.axes import FROM_CALVR, corners, quaternion, turn_matrix, vec
from renderers.wall.calvr_lookup import Include, Lookup, hosts, read_document
from renderers.wall.calvr_tracking import trackers
from renderers.wall.complaint import WallError, meant
from renderers.wall.records import Fit, Node, Place, Screen, Stereo, Tile, Wall
from renderers.wall.tagsoup import TagSoupError
from streamer.wire.viewing import Head, Vec3

STEREO: dict[str, Stereo] = {
    "MONO": "mono", "LEFT": "left", "RIGHT": "right", "HORIZONTAL_SPLIT": "side-by-side",
    "VERTICAL_SPLIT": "top-bottom", "HORIZONTAL_INTERLACE": "interlaced", "VERTICAL_INTERLACE": "interlaced-columns",
    "INTERLACED_TOP_BOTTOM": "interlaced", "CHECKERBOARD": "checkerboard", "QUAD_BUFFER": "quad-buffer",
    "ANAGLYPHIC": "anaglyph",
}  # fmt: skip
"""OpenSceneGraph's words: a vertical split puts the eyes above one another, the left one on top."""
USED = {"ScreenConfig", "ChannelConfig", "WindowConfig", "PipeConfig", "NumScreens", "NumChannels", "NumWindows",
        "NumPipes", "Stereo", "EyeSeparation", "Near", "Far", "ViewerPosition", "SceneSize", "Input"}  # fmt: skip
SAME_MM = 0.5
MOST_PIXELS = 1 << 16


class Imported(NamedTuple):
    """A wall that came from another program's file."""

    wall: Wall
    remarks: tuple[str, ...]
    """What was mended, guessed or could not be carried over; a sentence each."""


class _Output(NamedTuple):
    """One screen as one host lists it."""

    screen: Screen
    tile: Tile


def import_calvr(name: str, text: str, include: Include, without: tuple[str, ...] = ()) -> Imported:
    """The wall of a CalVR configuration; hosts in ``without`` are left out.  Raises WallError if there are no screens.

    ``name`` is the file's; the wall is called as its stem.
    """
    try:
        document = read_document(name, text, include)
    except TagSoupError as why:
        raise WallError(f"{name} is no CalVR configuration: {why}") from None
    remarks = dict.fromkeys(document.remarks)
    named = [host for host in hosts(document) if host not in without]
    for host in named:
        if " " in host:
            remarks[f"LOCAL host “{host}” has blanks in it; CalVR separates hosts by commas, so this is one name."] = (
                None
            )
    if not named:
        remarks["No LOCAL block names a host, so the wall has one node, localhost."] = None
    lookups = [Lookup(document, host, remarks) for host in named or ["localhost"]]
    short = _short_names([lookup.host for lookup in lookups])
    listed: list[_Output] = []
    nodes = []
    for lookup in lookups:
        outputs = _outputs(lookup, short[lookup.host], remarks)
        if outputs:
            nodes.append(Node(short[lookup.host], lookup.host))
            listed += outputs
    lost = next((remark for remark in remarks if "left out" in remark), "")
    if not listed and lost:
        raise WallError(f"{name} places no screen that can be shown: {lost}")
    if not listed:
        raise WallError(
            f"{name} places no screens: it has no ScreenConfig with a Screen of name 0"
            + (", or it stands in a file that was not found" if any("not found" in r for r in remarks) else "")
        )
    screens, tiles = _distinct(listed, remarks)
    first = lookups[0]
    stem = re.sub(r"\.\w+$", "", re.split(r"[/\\]", name)[-1])
    wall = Wall(
        name=stem or "imported",
        title=f"{stem}, from CalVR",
        screens=screens,
        tiles=tiles,
        nodes=tuple(nodes),
        head=_head(first, screens, remarks),
        eye_separation_mm=_separation(first, remarks),
        near_mm=_positive(first, "Near", 100.0, remarks),
        far_mm=_positive(first, "Far", 100_000.0, remarks),
        fit=Fit(size_mm=_positive(first, "SceneSize", 2000.0, remarks)),
        trackers=trackers(first, remarks),
    )
    if wall.far_mm <= wall.near_mm:
        remarks[f"Far ({wall.far_mm:g}) is not beyond Near ({wall.near_mm:g}): CaveCast's own are used"] = None
        wall = _with_own_planes(wall)
    odd = dict.fromkeys(one for lookup in lookups for one in lookup.others("ScreenConfig", "Screen"))
    if odd:
        remarks[f"ScreenConfig has {', '.join(odd)}, which are no flat screens: left behind."] = None
    known = {one.lower() for one in USED}
    rest = [tag for tag in dict.fromkeys(n for lookup in lookups for n in lookup.names()) if tag.lower() not in known]
    if rest:
        remarks[f"Not carried over, since they are CalVR's own: {', '.join(rest)}."] = None
    return Imported(wall, tuple(remarks))


def _with_own_planes(wall: Wall) -> Wall:
    fields = {field: getattr(wall, field) for field in wall.__struct_fields__}
    return Wall(**fields | {"near_mm": 100.0, "far_mm": 100_000.0})


def _short_names(named: list[str]) -> dict[str, str]:
    """Hosts without their domain, where that leaves them different."""
    shorts = [host.partition(".")[0] if not re.fullmatch(r"[\d.]+", host) else host for host in named]
    unique = len(set(shorts)) == len(shorts)
    return dict(zip(named, shorts if unique else named, strict=True))


def _count(lookup: Lookup, kind: str, most: str) -> int:
    """How many entries a list has: from 0 to the first gap, and no more than NumScreens and its like say."""
    limit, count = lookup.whole(most, "value", 100), 0
    while count < min(limit, 1000) and lookup.text(f"{kind}Config.{kind}:{count}", "name") is not None:
        count += 1
    return count


def _outputs(lookup: Lookup, node: str, remarks: dict[str, None]) -> list[_Output]:
    found = []
    for index in range(_count(lookup, "Screen", "NumScreens")):
        path = f"ScreenConfig.Screen:{index}"
        x, y, z = (lookup.number(path, f"origin{axis}", 0.0) for axis in "XYZ")
        turn = (lookup.number(path, "h", 0.0), lookup.number(path, "p", 0.0), lookup.number(path, "r", 0.0))
        size = (lookup.number(path, "width", 600.0), lookup.number(path, "height", 400.0))
        name = f"{node}-{index}"
        if min(size) <= 0:
            remarks[f"Screen {index} of {lookup.host} is {size[0]:g} × {size[1]:g} mm: left out"] = None
            continue
        tile = _tile(lookup, name, node, lookup.whole(path, "channelIndex", index), remarks)
        if tile is not None:
            a, b, c = corners(vec(FROM_CALVR @ np.array([x, y, z])), size, turn)
            found.append(_Output(Screen(name, _tidy(a), _tidy(b), _tidy(c)), tile))
    return found


def _tidy(corner: Vec3) -> Vec3:
    """Without the dust of sines and cosines: to a millionth of a mm."""
    return vec(np.round(corner, 6))


def _tile(lookup: Lookup, name: str, node: str, channel: int, remarks: dict[str, None]) -> Tile | None:
    """The window behind a screen: its channel, that one's window, and that one's pipe."""
    path = f"ChannelConfig.Channel:{channel}"
    if not 0 <= channel < _count(lookup, "Channel", "NumChannels"):
        remarks[f"A screen of {lookup.host} uses channel {channel}, which is not listed: left out"] = None
        return None
    window = lookup.whole(path, "windowIndex", 0)
    frame = f"WindowConfig.Window:{window}"
    if not 0 <= window < _count(lookup, "Window", "NumWindows"):
        remarks[f"Channel {channel} of {lookup.host} uses window {window}, which is not listed: left out"] = None
        return None
    wide, high = lookup.whole(frame, "width", 600), lookup.whole(frame, "height", 400)
    if max(wide, high) > MOST_PIXELS:
        remarks[f"Window {window} of {lookup.host} is {wide} × {high} pixels: its screens are left out"] = None
        return None
    left, bottom = lookup.whole(path, "left", 0), lookup.whole(path, "bottom", 0)
    width = min(lookup.whole(path, "width", wide), wide - left)
    height = min(lookup.whole(path, "height", high), high - bottom)
    if width < 1 or height < 1:
        remarks[f"Channel {channel} of {lookup.host} lies outside its window: left out"] = None
        return None
    if lookup.flag(frame, "decoration"):
        text = f"{lookup.host} has a window with decoration, perhaps an operator's: leave the host out if it is."
        remarks[text] = None
    # A window's “bottom” is handed to X as it is, so it counts from the top; a channel's is counted in its window.
    place = Place(
        lookup.whole(frame, "left", 0) + left, lookup.whole(frame, "bottom", 0) + high - bottom - height, width, height
    )
    swapped = lookup.flag(path, "swapStereoEyes")
    stereo = _stereo(lookup.text(path, "stereoMode") or "MONO", remarks)
    return Tile(name, name, node, stereo, place, _display(lookup, frame, remarks), swap_eyes=swapped)


def _display(lookup: Lookup, frame: str, remarks: dict[str, None]) -> str:
    pipes = _count(lookup, "Pipe", "NumPipes")
    if (lookup.text(frame, "pipeIndex") or "0").lower() == "display":
        return ":0.0"
    pipe = lookup.whole(frame, "pipeIndex", 0)
    if pipes and not 0 <= pipe < pipes:
        # CalVR adds the pipe of its own DISPLAY to the list; which one that was the file does not say.
        remarks[f"A window of {lookup.host} uses pipe {pipe}, which is not listed: taken as :0.{max(pipe, 0)}"] = None
    path = f"PipeConfig.Pipe:{pipe}"
    return f":{lookup.whole(path, 'server', 0)}.{lookup.whole(path, 'screen', max(pipe, 0))}"


def _stereo(word: str, remarks: dict[str, None]) -> Stereo:
    plain = re.sub(r"[\s-]+", "_", word.strip().upper())
    if plain == "INTERLACED_TOP_BOTTOM":
        remarks["INTERLACED_TOP_BOTTOM draws each eye at half height; here it is interlaced at full height."] = None
    if plain in STEREO:
        return STEREO[plain]
    if plain.startswith("MULTI_VIEWER"):
        rest = re.sub(r"^MULTI_VIEWER(_AP|_2)?_?", "", plain)
        remarks[f"{plain} is for several tracked viewers; the picture is drawn for one."] = None
        return STEREO.get(rest, "mono")
    if plain == "FIXED_VIEWER":
        remarks["FIXED_VIEWER keeps its own viewer position; here the one head counts for all screens."] = None
        return "mono"
    remarks[f"Stereo mode {word} is not known here{meant(word, list(STEREO))}; drawn as mono."] = None
    return "mono"


def _distinct(listed: list[_Output], remarks: dict[str, None]) -> tuple[tuple[Screen, ...], tuple[Tile, ...]]:
    """A screen that is listed for each eye, or on two hosts, becomes one screen with two tiles."""
    screens: list[Screen] = []
    tiles: list[Tile] = []
    eyes: dict[str, set[Stereo]] = {}
    for screen, tile in listed:
        same = None
        for other in screens:
            away = _apart_mm(screen, other)
            paired = {tile.stereo} | eyes[other.name] == {"left", "right"} and tile.stereo not in eyes[other.name]
            if away <= SAME_MM or (paired and away < 0.05 * min(screen.size)):
                same = other
                if away > SAME_MM:
                    text = f"{screen.name} and {other.name} differ by {away:.1f} mm between the eyes; the first counts."
                    remarks[text] = None
                elif not paired:
                    remarks[f"{screen.name} stands where {other.name} does: one screen with two outputs."] = None
                break
        if same is None:
            screens.append(screen)
            eyes[screen.name] = set()
        shown = screen.name if same is None else same.name
        eyes[shown].add(tile.stereo)
        fields = {field: getattr(tile, field) for field in tile.__struct_fields__}
        tiles.append(Tile(**fields | {"screen": shown}))
    return tuple(screens), tuple(tiles)


def _apart_mm(a: Screen, b: Screen) -> float:
    pairs = ((a.lower_left, b.lower_left), (a.lower_right, b.lower_right), (a.upper_left, b.upper_left))
    return max(float(np.linalg.norm(np.array(p) - np.array(q))) for p, q in pairs)


def _head(lookup: Lookup, screens: tuple[Screen, ...], remarks: dict[str, None]) -> Head:
    if lookup.text("ViewerPosition", "x") is None and lookup.text("ViewerPosition", "y") is None:
        here = place_head(screens)
        if here is not None:
            at = ", ".join(f"{n:.0f}" for n in here)
            text = (
                "There is no ViewerPosition (it may stand in a file that includes this one), and at the origin nobody "
                f"sees all screens: the default head is put at {at} mm (x right, y up, z back)."
            )
            remarks[text] = None
            return Head(here)
    x, y, z = (lookup.number("ViewerPosition", axis, 0.0) for axis in "xyz")
    h, p, r = (lookup.number("ViewerPosition", axis, 0.0) for axis in "hpr")
    for name in ("Viewer2Position", "Viewer3Position"):
        if lookup.text(name, "x") is not None:
            remarks[f"{name} is a second tracked viewer; the picture is drawn for the first."] = None
    return Head(vec(FROM_CALVR @ np.array([x, y, z])), quaternion(turn_matrix((h, p, r))))


def place_head(screens: tuple[Screen, ...]) -> Vec3 | None:
    """A place in front of the middle of all screens; None if the origin will do, or no such place sees them all."""
    corner, out = np.array([s.lower_left for s in screens]), np.array([s.axes[2] for s in screens])
    if ((-corner * out).sum(axis=1) > 1.0).all():
        return None
    points = np.array([p for s in screens for p in (s.lower_left, s.lower_right, s.upper_left, s.upper_right)])
    forward = out.mean(axis=0)
    away = max(1500.0, 0.6 * float(np.ptp(points, axis=0).max()))
    here = points.mean(axis=0) + forward / max(float(np.linalg.norm(forward)), 1e-9) * away
    return vec(np.round(here)) if (((here - corner) * out).sum(axis=1) > 1.0).all() else None


def _separation(lookup: Lookup, remarks: dict[str, None]) -> float:
    if lookup.text("EyeSeparation") is not None and not lookup.flag("EyeSeparation"):
        remarks["EyeSeparation is off: both eyes see the same; set eye_separation_mm for depth."] = None
        return 0.0
    if lookup.text("Stereo", "separation") is None:
        for element in lookup.elements("Stereo"):
            for name in element.attributes:
                if meant(name, ["separation"]):
                    remarks[f"Stereo has “{name}”, which CalVR does not know, so 64 mm applied there and do here."] = (
                        None
                    )
    return lookup.number("Stereo", "separation", 64.0)


def _positive(lookup: Lookup, path: str, default: float, remarks: dict[str, None]) -> float:
    value = lookup.number(path, "value", default)
    if value > 0:
        return value
    remarks[f"{path} is {value:g}, which no picture can be drawn with: {default:g} is used."] = None
    return default
