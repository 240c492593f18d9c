"""The tracking of a CalVR configuration as tracker sources of a wall.

CalVR takes VRPN's positions as metres in its own axes, turns and shifts them by the system's Orientation and
Offset, turns each body in itself, and last adds the body's Offset in the room.  Each of these has its place
in ``TrackerSource``.  Older files write TrackingSystem without a number, and HeadDevice for the body.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from renderers.wall.axes import CALVR_AXES, FROM_CALVR, vec
from renderers.wall.calvr_lookup import Lookup
from renderers.wall.records import TrackerSource
from streamer.wire.viewing import Vec3

KINDS: dict[str, Literal["vrpn", "dtrack", "mouse"]] = {
    "VRPN": "vrpn", "DTRACK": "dtrack", "ART": "dtrack", "ARTDTRACK": "dtrack", "MOUSE": "mouse",
}  # fmt: skip


def trackers(lookup: Lookup, remarks: dict[str, None]) -> tuple[TrackerSource, ...]:
    """The sources that a head node reads, in order; systems that CaveCast cannot read are said."""
    systems = []
    if lookup.text("Input.TrackingSystem") is not None:
        systems.append("Input.TrackingSystem")
    while lookup.text(f"Input.TrackingSystem{len(systems)}") is not None and len(systems) < 16:
        systems.append(f"Input.TrackingSystem{len(systems)}")
    found = []
    for number, path in enumerate(systems):
        word = (lookup.text(path) or "").strip()
        kind = KINDS.get(word.upper())
        if kind is None:
            if word.upper() not in ("", "NONE", "OFF"):
                text = (
                    f"Tracking system {word} is not carried over: CaveCast reads VRPN, DTrack, OSC, gamepad and mouse."
                )
                remarks[text] = None
            continue
        address = _address(lookup, path, kind)
        if address is None:
            remarks[f"{path} is {word}, but names no server: not carried over."] = None
            continue
        found.append(_source(lookup, path, number, kind, address))
    return tuple(found)


def _address(lookup: Lookup, path: str, kind: str) -> str | None:
    if kind == "mouse":
        return ""
    if kind == "dtrack":
        port = lookup.whole(f"{path}.DTrack.Port", "value", lookup.whole(f"{path}.Port", "value", 5000))
        return f"udp://0.0.0.0:{port}"
    for place in (f"{path}.VRPN.Server", f"{path}.VRPN", f"{path}.Server", "Input.VRPN.Server", "Input.VRPN"):
        for attribute in ("value", "server"):
            if server := lookup.text(place, attribute):
                return server
    return None


def _source(
    lookup: Lookup, path: str, number: int, kind: Literal["vrpn", "dtrack", "mouse"], address: str
) -> TrackerSource:
    head = _body(lookup, number, "Head", "NumHeads", 0)
    wand = _body(lookup, number, "Hand", "NumHands", 0 if number else 1)
    if kind == "mouse":
        return TrackerSource(kind, address)
    return TrackerSource(
        kind,
        address,
        head=head,
        wand=wand,
        axes=CALVR_AXES,
        unit="m" if kind == "vrpn" else "mm",
        offset=_offset(lookup, path),
        turn=_turn(lookup, path),
        head_turn=_device(lookup, path, head, "HeadDevice", _turn),
        wand_turn=_device(lookup, path, wand, "HandDevice", _turn),
        head_shift=_device(lookup, path, head, "HeadDevice", _offset),
        wand_shift=_device(lookup, path, wand, "HandDevice", _offset),
    )


def _body(lookup: Lookup, system: int, what: str, count: str, default: int) -> int:
    """Number of the body that is the first head or hand, if it belongs to this system; −1 if it does not."""
    if lookup.whole(f"Input.{count}", "value", 1) < 1:
        return -1
    for path in (f"Input.{what}0.Address", f"Input.{what}0Address"):
        if lookup.text(path, "body") is not None or lookup.text(path, "system") is not None:
            return lookup.whole(path, "body", 0) if lookup.whole(path, "system", 0) == system else -1
    if lookup.text(f"Input.{what}Address") is not None:
        return lookup.whole(f"Input.{what}Address", "value", default) if system == 0 else -1
    return default if system == 0 else -1


def _device(lookup: Lookup, path: str, body: int, old: str, read: object) -> Vec3:
    assert callable(read)
    place = f"{path}.Body{body}"
    if any(True for _ in lookup.elements(place)):
        found: Vec3 = read(lookup, place)
        return found
    found = read(lookup, f"Input.{old}")
    return found


def _offset(lookup: Lookup, path: str) -> Vec3:
    """In the wall's axes, mm."""
    return vec(FROM_CALVR @ np.array([lookup.number(f"{path}.Offset", axis, 0.0) for axis in "xyz"]))


def _turn(lookup: Lookup, path: str) -> Vec3:
    h, p, r = (lookup.number(f"{path}.Orientation", axis, 0.0) for axis in "hpr")
    return h, p, r
