"""Findings about a wall as a thing in a room: its screens, its neighbours, and the head in front of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from renderers.wall.coverage import nearest_mm
from renderers.wall.facing import seen
from renderers.wall.findings import Finding
from renderers.wall.neighbours import TOUCH_MM, meetings, same_place
from renderers.wall.records import Screen, Wall

EYES_MM = 80.0
UNFRAMED_MM = 40.0
"""Where a file has no bezels, gaps up to this are taken for frames."""


def degenerate(screen: Screen) -> bool:
    numbers = (*screen.lower_left, *screen.lower_right, *screen.upper_left)
    if not np.isfinite(numbers).all() or min(screen.size) < 1e-9:
        return True
    right, up, _ = screen.axes
    return abs(float(right @ up)) > 0.999


def flat(wall: Wall) -> Iterator[Finding]:
    if not wall.screens:
        yield Finding("error", "no-screens", "The wall has no screens.", wall.name)
    for screen in wall.screens:
        if degenerate(screen):
            text = f"Screen {screen.name} has no area: two of its corners are the same, or all three lie on a line."
            yield Finding("error", "no-area", text, screen.name)


def eyes(wall: Wall) -> Iterator[Finding]:
    apart = wall.eye_separation_mm
    stereo = any(tile.stereo != "mono" for tile in wall.tiles)
    if abs(apart) > EYES_MM:
        text = f"The eyes are {apart:g} mm apart; people's are 50 to 75: is it written in mm?"
        yield Finding("warning", "eye-separation", text, "eye_separation_mm")
    elif apart < 0:
        text = f"The eye separation is negative ({apart:g} mm): left and right are swapped on all screens."
        yield Finding("note", "eyes-swapped", text, "eye_separation_mm")
    elif 0 <= apart < 1 and stereo:
        text = f"The eyes are {apart:g} mm apart, so stereo pictures have no depth."
        yield Finding("warning", "eye-separation", text, "eye_separation_mm")


def near(wall: Wall) -> Iterator[Finding]:
    if not 0 < wall.near_mm < wall.far_mm:
        text = f"The near plane ({wall.near_mm:g} mm) must be above 0 and nearer than the far plane ({wall.far_mm:g})."
        yield Finding("error", "near-far", text, "near_mm")
        return
    distances = {screen.name: nearest_mm(screen, wall.head.position) for screen in wall.screens}
    if not distances:
        return
    name = min(distances, key=lambda one: distances[one])
    if wall.near_mm >= distances[name] > 1e-6:
        text = (
            f"The near plane ({wall.near_mm:g} mm) lies beyond screen {name}, which is {distances[name]:.0f} mm "
            "from the head: what stands on the screen would be cut away."
        )
        yield Finding("warning", "near-plane", text, name)
    farthest = max(float(np.linalg.norm(np.array(s.upper_right) - wall.head.position)) for s in wall.screens)
    if wall.far_mm <= farthest:
        text = f"The far plane ({wall.far_mm:g} mm) cuts through the wall, which reaches {farthest:.0f} mm away."
        yield Finding("warning", "far-plane", text, "far_mm")


def facing(wall: Wall) -> Iterator[Finding]:
    at = tuple(round(n) for n in wall.head.position)
    for name, how in seen(wall).items():
        if how == "mirrored":
            text = (
                f"Screen {name} turns its back to the eye, so its picture would be mirrored: its corners run the "
                "wrong way round; exchange left and right (or turn its heading by 180°)."
            )
            yield Finding("error", "mirrored", text, name)
        elif how == "behind":
            text = (
                f"The eye at {at} mm is behind screen {name} or in its plane: move the default head to where people "
                "stand, or exchange the screen's left and right corners if its picture would be mirrored."
            )
            yield Finding("error", "eye-behind", text, name)


def units(wall: Wall) -> Iterator[Finding]:
    if not wall.screens:
        return
    points = np.array([p for s in wall.screens for p in (s.lower_left, s.lower_right, s.upper_left, s.upper_right)])
    extent = float(np.linalg.norm(np.ptp(points, axis=0)))
    largest = max(max(screen.size) for screen in wall.screens)
    if largest < 30.0:
        text = (
            f"The largest screen is {largest:.3g} mm wide or high, and the whole wall {extent:.3g} mm: the numbers "
            'look like metres; write units = "m".'
        )
        yield Finding("error", "units", text, "units")
    elif largest > 100_000.0:
        text = (
            f"The largest screen is {largest / 1000:,.0f} m wide or high: the numbers look like millimetres; "
            'write units = "mm".'
        )
        yield Finding("error", "units", text, "units")
    else:
        away = min(nearest_mm(screen, wall.head.position) for screen in wall.screens)
        if away > 50_000.0 and away > 10 * extent:
            text = f"The default head is {away / 1000:,.0f} m from the nearest screen: are its numbers in other units?"
            yield Finding("warning", "units", text, "head")


def rectangles(wall: Wall) -> Iterator[Finding]:
    for screen in wall.screens:
        right, up, _ = screen.axes
        angle = float(np.degrees(np.arccos(np.clip(right @ up, -1, 1))))
        if abs(angle - 90) * min(screen.size) > np.degrees(max(1.0, 0.002 * min(screen.size))):
            text = f"Screen {screen.name} is no rectangle: at its lower left corner the edges meet at {angle:.1f}°."
            yield Finding("error", "not-rectangular", text, screen.name)


def neighbours(wall: Wall) -> Iterator[Finding]:
    doubled = same_place(wall)
    for a, b in doubled:
        text = (
            f"Screens {a} and {b} stand in the same place: if it is one panel with an output for each eye, "
            "write one screen with two tiles."
        )
        yield Finding("error", "same-place", text, f"{a}, {b}")
    out = {screen.name: screen.axes[2] for screen in wall.screens}
    pairs = {frozenset(pair) for pair in doubled}
    for meeting in sorted(meetings(wall), key=lambda m: -abs(m.apart_mm)):
        if frozenset((meeting.first, meeting.second)) in pairs:
            continue
        a, b, apart = meeting.first, meeting.second, meeting.apart_mm
        coplanar = abs(float(out[a] @ out[b])) > 0.999
        if apart < -TOUCH_MM:
            much = coplanar and -apart > 0.25 * meeting.depth_mm
            what = "overlap" if coplanar else "stand in front of each other"
            text = f"Screens {a} and {b} {what} by {-apart:.0f} mm, frames included: both would show that part."
            yield Finding("error" if much else "warning", "overlap", text, f"{a}, {b}")
        elif apart > TOUCH_MM and meeting.framed:
            text = f"Between the frames of screens {a} and {b} is a gap of {apart:.0f} mm."
            yield Finding("warning", "gap", text, f"{a}, {b}")
        elif apart > UNFRAMED_MM:
            text = f"Between screens {a} and {b} is a gap of {apart:.0f} mm, and the file gives them no bezel."
            yield Finding("warning", "gap", text, f"{a}, {b}")
        elif apart > TOUCH_MM:
            text = f"Between screens {a} and {b} are {apart:.0f} mm, probably their frames: give them as bezel."
            yield Finding("note", "no-bezel", text, f"{a}, {b}")


def upside_down(wall: Wall) -> Iterator[Finding]:
    flipped = [screen.name for screen in wall.screens if screen.axes[1][1] < -0.5]
    if flipped:
        some = "screen hangs" if len(flipped) == 1 else "screens hang"
        text = (
            f"{len(flipped)} {some} upside down (roll 180°); pictures are turned with them, "
            "so that they are the right way up in the room."
        )
        yield Finding("note", "upside-down", text, ", ".join(flipped))
