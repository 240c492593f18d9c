"""Golden bytes of the browser's language: written by Python, checked by Python and by the page's own tests.

``python -m tests.web.golden`` writes ``golden.json`` anew; a test fails if that would change it.
"""

from __future__ import annotations

import json
from pathlib import Path

from renderers.camera import CLOSEST, FARTHEST, HOME, REACH, VIEW_ANGLE, eye_of, fit
from renderers.colours import OFFERED
from streamer.wire import view
from streamer.wire.colour import ONE, object_colour
from streamer.wire.looking import Looking, Pointing, encode_looking, encode_pointing, plain
from streamer.wire.presence import (
    WHAT,
    At,
    Named,
    Wish,
    cleaned,
    encode_at,
    encode_drawn,
    encode_named,
    encode_wish,
)
from streamer.wire.view import VERSION, Acknowledged, Camera, Frame, Handed, Input, Opened, Video
from streamer.wire.viewing import MOST_PLANES, MOST_POINTS, MOST_SELECTED, FieldLook, ObjectLook, Plane, View

FILE = Path(__file__).with_name("golden.json")

FRAMES = (
    Frame(view.JPEG, view.KEY, 1, 0, 0, 0, 16, 16, 0.0, 0.0),
    Frame(view.PNG, view.KEY | view.STILL, 4_294_967_295, 4_000_000_001, 239, 2**52 + 1, 1920, 1200, 12.5, 1.75),
    Frame(view.NOTE, view.DEGRADED, 7, 3, 2, 513, 1280, 720, 0.5, 0.25),
    Frame(view.H264, view.KEY, 8, 4, 2, 514, 1281, 721, 3.0, 2.5),
    Frame(view.H264, view.DEGRADED, 9, 5, 2, 514, 1281, 721, 1.0, 1.25),
)
INPUTS = (
    Input(1, 1280, 720, False, Camera(-0.55, 0.5, 3.94, (0.0, 0.0, 0.0))),
    Input(4_294_967_295, 16, 8192, True, Camera(3.1415, -1.5707963, 0.05, (-2.0, 1.5, 0.125)), 2.625),
    Input(9, 640, 360, True, Camera(0.0, 0.0, 4.0, (0.0, 0.0, 0.0)), 1.0, (0.0, 1.0)),
    Input(10, 640, 360, False, Camera(0.0, 0.0, 4.0, (0.0, 0.0, 0.0)), 1.0, (0.25, 0.5)),
    Input(11, 640, 360, False, Camera(0.0, 0.0, 4.0, (0.0, 0.0, 0.0)), exact=True),
)
ACKS = (
    Acknowledged(1, 0.0),
    Acknowledged(4_294_967_295, 7.25),
    Acknowledged(3, 1.5, 12.3),
    Acknowledged(4, 0.5, 6553.5),
)
VIDEOS = (Video(view.NEVER), Video(view.THIN), Video(view.ALWAYS))
HANDS = (Handed(0), Handed(4_294_967_295))
OPENED = (
    Opened(), Opened("wall", view.LOOK), Opened("Küste", view.FOLLOW, bytes(range(16))), Opened("", name="Łucja"),
)  # fmt: skip
NAMES = ("Ada", "", "Łucja \U0001f30a")
UNCLEAN = (
    "  Ada \t\n Lovelace ", "\x1b[31mred\x00", "ab\u202ecd\u200b\u2066", "x" * 100, "e\u0301", "\u2028 \u00a0",
    "a" * 31 + " b", "\U0001f30a" * 40, "\ue000\ufeff\u00ad",
)  # fmt: skip
POINTERS = (None, (0.0, 0.0), (-0.8875, 0.5), (4.0, -4.0))
LOOKS = (
    Looking(1, View()),
    Looking(4_294_967_295, View(
        "map", time=3.5, window=(0.0, 12.25), selected=(7, (1 << 53) - 1), isolate=True,
        planes=(Plane((0.5, 0.0, 0.0), (-1.0, 0.0, 0.0)),), labels=False, opacity=0.25,
        field=FieldLook("slice", "batlow", 100.0, 900.5, 0.75, ((0.0, 0.0), (0.4, 0.1), (1.0, 1.0))),
        objects=ObjectLook("one", "#56b4e9"),
    )),
)  # fmt: skip
QUESTIONS = (Pointing(1, 0.0, 1.0), Pointing(4_294_967_295, 0.25, 0.5))
IDS = (*range(1, 41), 97_531, 1_966_080, 25_784_641, 2**32 + 1, 2**53 - 1, 2**63, 2**64 - 1)
SIZES = ((1280, 720), (390, 844), (800, 800))
CAMERAS = (
    Camera(0.0, 0.0, 4.0, (0.0, 0.0, 0.0)),
    Camera(-0.55, 0.5, 3.9, (0.2, -0.1, 0.4)),
    Camera(2.0, 1.5707963, 3.0, (0.0, 0.0, 0.0)),
)


def golden() -> dict[str, object]:
    """Everything that the page and Python must agree on."""
    return {
        "frames": [{**frame._asdict(), "bytes": view.encode_frame(frame).hex()} for frame in FRAMES],
        "inputs": [
            {
                **{name: value for name, value in state._asdict().items() if name != "look"},
                "camera": state.camera._asdict(),
                "bytes": view.encode_input(state).hex(),
                "with_ack": view.encode_input(state, ACKS[i % len(ACKS)]).hex(),
            }
            for i, state in enumerate(INPUTS)
        ],
        "acks": [{**ack._asdict(), "bytes": view.encode_ack(ack).hex()} for ack in ACKS],
        "hands": [{**handed._asdict(), "bytes": view.encode_hand(handed).hex()} for handed in HANDS],
        "videos": [{**video._asdict(), "bytes": view.encode_video(video).hex()} for video in VIDEOS],
        "beat": view.encode_beat().hex(),
        "opened": [
            {**opened._asdict(), "key": opened.key.hex(), "bytes": view.encode_opened(opened).hex()}
            for opened in OPENED
        ],
        "looks": [
            {"sequence": one.sequence, "look": plain(one.view), "bytes": encode_looking(one, VERSION).hex()}
            for one in LOOKS
        ],
        "questions": [{**one._asdict(), "bytes": encode_pointing(one, VERSION).hex()} for one in QUESTIONS],
        "names": [{"name": name, "bytes": encode_named(Named(name), VERSION).hex()} for name in NAMES],
        "cleaned": [{"given": name, "shown": cleaned(name)} for name in UNCLEAN],
        "pointers": [{"place": place, "bytes": encode_at(At(place), VERSION).hex()} for place in POINTERS],
        "wishes": [{"what": what, "whom": 7, "bytes": encode_wish(Wish(what, 7), VERSION).hex()} for what in WHAT],
        "drawn": encode_drawn(VERSION).hex(),
        "looking": {
            "selected": MOST_SELECTED,
            "planes": MOST_PLANES,
            "points": MOST_POINTS,
            "colours": list(OFFERED),
            "one": ONE,
        },
        "colours": [{"id": str(object_id), "rgb": object_colour(object_id)} for object_id in IDS],
        "camera": {
            "bounds": {"angle": VIEW_ANGLE, "closest": CLOSEST, "farthest": FARTHEST, "reach": REACH, "home": HOME},
            "fits": [{"size": size, "distance": fit(*size).distance} for size in SIZES],
            "eyes": [
                {"camera": camera._asdict(), "forward": eye_of(camera).forward, "up": eye_of(camera).up}
                for camera in CAMERAS
            ],
        },
    }


def text() -> str:
    """The file's text."""
    return json.dumps(golden(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
