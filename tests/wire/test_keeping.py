"""What relay and renderer say to each other of views that are kept."""

from __future__ import annotations

import struct

import pytest

from streamer.wire.camera import Camera
from streamer.wire.header import Refused
from streamer.wire.keeping import STORED_HEADER, Kept, Stored, decode_kept, encode_kept, encode_stored
from streamer.wire.looking import MAX_LOOK, plain
from streamer.wire.view import MAX_UP, VERSION, decode_up, of_relay
from streamer.wire.viewing import FieldLook, Plane, View

CAMERA = Camera(0.5, -0.25, 3.5, (0.0, 0.125, -1.0))
LONGEST = View(
    "globe", time=-1.1234567890123456e-11, window=(-1.1234567890123456e-11, 1.1234567890123456e11),
    selected=tuple((1 << 63) - 1 - n for n in range(64)),
    planes=6 * (Plane(3 * (1.1234567890123456e-11,), 3 * (-0.11234567890123456,)),),
    field=FieldLook("volume", 64 * "x", opacity_points=16 * ((0.12345678901234566, 0.12345678901234566),)),
)  # fmt: skip


@pytest.mark.parametrize("view", [View(), LONGEST])
def test_a_kept_view_is_heard_as_it_was_said_and_only_a_relay_says_it(view: View) -> None:
    stored = Stored(1 << 40, CAMERA, view, echo=True)
    raw = encode_stored(stored, VERSION)
    assert decode_up(raw) == stored
    assert of_relay(raw)
    assert len(raw) <= MAX_UP == MAX_LOOK + STORED_HEADER


def test_what_is_no_kept_view_is_refused() -> None:
    raw = encode_stored(Stored(1, CAMERA, View()), VERSION)
    for wrong, sentence in (
        (raw[:20], "its header alone has 40"),
        (raw + b" ", "is said to have"),
        (raw[:24] + struct.pack("<f", -1.0) + raw[28:], "whose camera is none"),
        (raw[:16] + struct.pack("<f", float("nan")) + raw[20:], "whose camera is none"),
        (raw[:-1] + b"x", "no JSON"),
    ):
        with pytest.raises(Refused, match=sentence):
            decode_up(wrong)


def test_what_is_to_be_kept_comes_back() -> None:
    kept = decode_kept(encode_kept(7, CAMERA, View("map")))
    assert kept == Kept(7, plain(View("map")), {**CAMERA._asdict(), "target": list(CAMERA.target)})
    for wrong in (b"", b"[]", b'{"revision": "x"}', b"\xff"):
        with pytest.raises(Refused, match="no view"):
            decode_kept(wrong)
