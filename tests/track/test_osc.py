"""OSC datagrams, written by hand and by python-osc's own builder."""

from __future__ import annotations

import math
import struct

import pytest
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from renderers.wall.track.osc import Osc
from renderers.wall.track.sensed import Axis, Button, Key, Lost, Pose


def built(address: str, *values: object) -> bytes:
    builder = OscMessageBuilder(address=address)
    for value in values:
        builder.add_arg(value)  # type: ignore[arg-type]
    return builder.build().dgram


def test_a_head_written_byte_for_byte() -> None:
    data = b"/cavecast/head\0\0,fffffff\0\0\0\0" + struct.pack(">7f", 1, 2, 3, 0, 0, 0, 1)
    assert Osc(3, head=5).datagram(data) == [Pose(3, 5, (1, 2, 3), (0, 0, 0, 1), None)]


def test_every_documented_address_is_understood() -> None:
    osc = Osc(0, head=0, wand=1)
    assert osc.datagram(built("/cavecast/wand", 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0, 12.5)) == [
        Pose(0, 1, (1, 2, 3), (0, 0, 0, 1), 12.5)
    ]
    assert osc.datagram(built("/tracker/9/pose", 1, 2, 3, 0, 0, 0, 1)) == [Pose(0, 9, (1, 2, 3), (0, 0, 0, 1))]
    assert osc.datagram(built("/tracker/9/lost", 1)) == [Lost(0, 9)]
    assert osc.datagram(built("/cavecast/button/2", True)) == [Button(0, 2, True)]
    assert osc.datagram(built("/cavecast/button/2", 0)) == [Button(0, 2, False)]
    assert osc.datagram(built("/cavecast/axis/1", -0.5)) == [Axis(0, 1, -0.5)]
    assert osc.datagram(built("/cavecast/key/Left", 1)) == [Key(0, "Left", True)]
    assert not osc.garbage


def test_position_and_rotation_that_come_apart_are_put_together() -> None:
    osc = Osc()
    osc.datagram(built("/tracker/0/position", 1.0, 2.0, 3.0))
    half = math.sqrt(0.5)
    (record,) = osc.datagram(built("/tracker/0/rotation", 0.0, half, 0.0, half))
    assert isinstance(record, Pose)
    assert record.position == (1.0, 2.0, 3.0)
    assert record.turn == pytest.approx((0, half, 0, half))


def test_bundles_within_bundles_are_read_in_order() -> None:
    inner, outer = OscBundleBuilder(IMMEDIATELY), OscBundleBuilder(IMMEDIATELY)
    for number in (1, 2):
        message = OscMessageBuilder(f"/cavecast/button/{number}")
        message.add_arg(1)
        inner.add_content(message.build())
    outer.add_content(inner.build())
    message = OscMessageBuilder("/cavecast/axis/0")
    message.add_arg(0.5)
    outer.add_content(message.build())
    assert Osc().datagram(outer.build().dgram) == [Button(0, 1, True), Button(0, 2, True), Axis(0, 0, 0.5)]


BUNDLE = b"#bundle\0" + bytes(7) + b"\x01"


@pytest.mark.parametrize(("data", "reason"), [
    (b"", "not OSC"),
    (b"hello", "not OSC"),
    (b"/cavecast/head\0\0", "arguments"),
    (b"/cavecast/head\0\0,fffffff\0\0\0\0" + bytes(8), "not OSC"),
    (b"/cavecast/head\0\0,fffffff\0\0\0\0" + bytes(28), "turn"),
    (b"/cavecast/head\0\0,fffffff\0\0\0\0" + struct.pack(">7f", math.nan, 0, 0, 0, 0, 0, 1), "not finite"),
    (b"/cavecast/head\0\0,f\0\0\0\0\0\0", "arguments"),
    (b"/cavecast/head\0\0,m\0\0\0\0\0\0", "arguments"),
    (b"/cavecast/what\0\0,i\0\0\0\0\0\1", "address"),
    (b"/cavecast/axis/0\0\0\0\0,f\0\0" + struct.pack(">f", 7), "axis"),
    (b"/cavecast/axis/0\0\0\0\0,s\0\0abc\0", "arguments"),
    (b"/cavecast/axis/x\0\0\0\0,f\0\0\0\0\0\0", "number in the address"),
    (b"/cavecast/button/9999\0\0\0,i\0\0\0\0\0\1", "number in the address"),
    (BUNDLE[:10], "bundle"),
    (BUNDLE + b"\0\0", "bundle"),
    (BUNDLE + struct.pack(">i", 4000) + bytes(8), "bundle"),
    (BUNDLE + struct.pack(">i", -4) + bytes(8), "bundle"),
    (BUNDLE + struct.pack(">i", 0) + bytes(8), "bundle"),
    (bytes(40_000), "too long"),
])  # fmt: skip
def test_garbage_is_counted_by_its_reason_and_gives_nothing(data: bytes, reason: str) -> None:
    osc = Osc()
    assert osc.datagram(data) == []
    assert dict(osc.garbage) == {reason: 1}


def test_a_matryoshka_of_bundles_is_refused() -> None:
    data = b"/cavecast/axis/0\0\0\0\0,f\0\0\0\0\0\0"
    for _ in range(900):
        data = BUNDLE + struct.pack(">i", len(data)) + data
    osc = Osc()
    assert osc.datagram(data) == []
    assert dict(osc.garbage) == {"nested too deeply": 1}


def test_a_bad_message_of_a_bundle_does_not_spoil_the_others() -> None:
    bad, good = built("/cavecast/what", 1), built("/cavecast/axis/0", 1.0)
    data = BUNDLE + b"".join(struct.pack(">i", len(each)) + each for each in (bad, good))
    osc = Osc()
    assert osc.datagram(data) == [Axis(0, 0, 1.0)]
    assert dict(osc.garbage) == {"address": 1}
