"""Golden bytes of the browser's language: written by Python, checked by Python and by the page's own tests.

``python -m tests.web.golden`` writes ``golden.json`` anew; a test fails if that would change it.
"""

from __future__ import annotations

import json
from pathlib import Path

from renderers.camera import CLOSEST, FARTHEST, HOME, REACH, VIEW_ANGLE, eye_of, fit
from streamer.wire import view
from streamer.wire.colour import object_colour
from streamer.wire.view import Acknowledged, Camera, Frame, Input

FILE = Path(__file__).with_name("golden.json")

FRAMES = (
    Frame(view.JPEG, view.KEY, 1, 0, 0, 0, 16, 16, 0.0, 0.0),
    Frame(view.PNG, view.KEY | view.STILL, 4_294_967_295, 4_000_000_001, 239, 2**52 + 1, 1920, 1200, 12.5, 1.75),
    Frame(view.NOTE, view.DEGRADED, 7, 3, 2, 513, 1280, 720, 0.5, 0.25),
)
INPUTS = (
    Input(1, 1280, 720, False, Camera(-0.55, 0.5, 3.94, (0.0, 0.0, 0.0))),
    Input(4_294_967_295, 16, 8192, True, Camera(3.1415, -1.5707963, 0.05, (-2.0, 1.5, 0.125)), 2.625),
)
ACKS = (Acknowledged(1, 0.0), Acknowledged(4_294_967_295, 7.25))
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
            {**state._asdict(), "camera": state.camera._asdict(), "bytes": view.encode_input(state).hex()}
            for state in INPUTS
        ],
        "acks": [{**ack._asdict(), "bytes": view.encode_ack(ack).hex()} for ack in ACKS],
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
