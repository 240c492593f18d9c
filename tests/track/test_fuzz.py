"""Whatever comes, no decoder fails, takes much memory, or lets a pose through that cannot be."""

from __future__ import annotations

import math
import struct
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from renderers.wall.track.dtrack import DTrack
from renderers.wall.track.gamepad import Evdev, Joystick
from renderers.wall.track.osc import Osc
from renderers.wall.track.sensed import MOST_AXES, MOST_BODIES, MOST_BUTTONS, Axis, Button, Pose, Record
from renderers.wall.track.vrpn import Client, NotVrpn
from tests.track.server import COOKIE, named, packed, pose

UNTURNED = b"[1 0 0 0 1 0 0 0 1]"
DTRACK = b"fr 7\r\nts 1.5\r\n6dcal 2\r\n6d 1 [0 1.0][1 2 3]" + UNTURNED + b"\r\n6df2 1 1 [0 1.0 6 2][4 5 6]" + UNTURNED
DTRACK += b"[3 0.5 -0.5]\r\n"
OSC_MESSAGE = b"/cavecast/head\0\0,fffffff\0\0\0\0" + struct.pack(">7f", 1, 2, 3, 0, 0, 0, 1)
OSC_BUNDLE = b"#bundle\0" + bytes(8) + struct.pack(">i", len(OSC_MESSAGE)) + OSC_MESSAGE
VRPN = COOKIE + named(-1, 3, "DTrack") + named(-2, 1, "vrpn_Tracker Pos_Quat") + named(-2, 2, "vrpn_Button States")
VRPN += pose(1, 3, 0, (1, 2, 3), (0, 0, 0, 1)) + packed(2, 3, struct.pack(">iii", 2, 1, 0))

edits = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 3), st.binary(max_size=8)), max_size=6)


def edited(data: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    """A good packet with some bytes overwritten, put in, or taken away."""
    for share, how, piece in changes:
        at = int(share * len(data))
        if how == 0:
            data = data[:at] + piece + data[at + len(piece) :]
        elif how == 1:
            data = data[:at] + piece + data[at:]
        elif how == 2:
            data = data[:at] + data[at + len(piece) :]
        else:
            data = data[: at + 1] if piece else data + data
    return data[:60_000]


def sane(records: list[Record]) -> None:
    for record in records:
        match record:
            case Pose(_, body, position, turn):
                assert 0 <= body < MOST_BODIES
                assert all(map(math.isfinite, (*position, *turn)))
                assert abs(math.hypot(*turn) - 1) < 1e-9
            case Button(_, button):
                assert 0 <= button < MOST_BUTTONS
            case Axis(_, axis, value):
                assert 0 <= axis < MOST_AXES
                assert math.isfinite(value)


@given(data=st.binary(max_size=3000) | edits.map(lambda changes: edited(DTRACK, changes)))
def test_dtrack(data: bytes) -> None:
    decoder = DTrack()
    records = decoder.datagram(data)
    sane(records)
    assert (
        records or decoder.garbage or b"fr" in data or b"ts" in data or b"6d" in data or b"3d" in data or data.isascii()
    )


@given(
    data=st.binary(max_size=3000)
    | st.sampled_from([OSC_MESSAGE, OSC_BUNDLE]).flatmap(lambda good: edits.map(lambda changes: edited(good, changes)))
    | st.binary(max_size=200).map(lambda rest: b"/" + rest)
    | st.binary(max_size=200).map(lambda rest: b"#bundle\0" + rest)
    | st.binary(max_size=60).map(lambda rest: b"/cavecast/head\0\0,fffffff\0\0\0\0" + rest)
)
def test_osc(data: bytes) -> None:
    decoder = Osc()
    records = decoder.datagram(data)
    sane(records)
    assert records or decoder.garbage or data.startswith(b"#bundle\0")


@given(
    data=st.binary(max_size=3000)
    | edits.map(lambda changes: edited(VRPN, changes))
    | edits.map(lambda changes: COOKIE + edited(VRPN[24:], changes)),
    cuts=st.lists(st.integers(1, 400), max_size=8),
)
def test_vrpn_stream(data: bytes, cuts: list[int]) -> None:
    client = Client("DTrack")
    records: list[Record] = []
    try:
        for cut in cuts:
            records += client.feed(data[:cut], 0.0)
            data = data[cut:]
        records += client.feed(data, 0.0)
    except NotVrpn:
        assert client.garbage
    sane(records)


@given(data=st.binary(max_size=2000) | edits.map(lambda changes: edited(VRPN[24:], changes)))
def test_vrpn_datagrams(data: bytes) -> None:
    client = Client("DTrack")
    client.feed(VRPN, 0.0)
    sane(client.datagram(data, 0.0))


@given(pieces=st.lists(st.binary(max_size=100), max_size=10))
def test_gamepads(pieces: list[bytes]) -> None:
    for decoder in (Joystick(), Evdev()):
        records = [record for piece in pieces for record in decoder.feed(piece)]
        sane(records)
        assert len(records) + decoder.garbage.total() <= decoder.packets


def test_what_decoders_keep_is_bounded_whatever_comes() -> None:
    client = Client("DTrack")
    client.feed(COOKIE, 0.0)
    dtrack, osc = DTrack(), Osc()
    tracemalloc.start()
    try:
        for i in range(6000):
            client.feed(named(-1, i, f"sender number {i}") + named(-2, i, f"type number {i}"), 0.0)
            client.taken()
            dtrack.datagram(b"6d 1 [%d 1.0][1 2 3]%s" % (i, UNTURNED))
            body = b"/tracker/%d/pose" % i
            body += bytes(4 - len(body) % 4)
            osc.datagram(body + OSC_MESSAGE[16:])
        # A message that announces 64 KB and never comes, byte after byte.
        client.feed(struct.pack(">I", 65_536) + bytes(60_000), 0.0)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 4_000_000
    assert client.garbage["name"] == 8000
