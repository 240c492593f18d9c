"""DTrack's datagrams, as its manual writes them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from renderers.wall.track import turns
from renderers.wall.track.dtrack import FLYSTICK, DTrack
from renderers.wall.track.sensed import Axis, Button, Lost, Pose, Record

# Turned by 30 degrees about z, column by column: (c, s, 0), (-s, c, 0), (0, 0, 1).
ABOUT_Z = "[0.866025 0.500000 0.000000 -0.500000 0.866025 0.000000 0.000000 0.000000 1.000000]"
UNTURNED = "[1.000000 0.000000 0.000000 0.000000 1.000000 0.000000 0.000000 0.000000 1.000000]"
FRAME = (
    "fr 21753\r\nts 39596.024831\r\n6dcal 2\r\n"
    f"6d 1 [0 1.000][326.848 -187.216 109.503 -160.4704 -3.6963 -7.0913]{ABOUT_Z}\r\n"
    f"6df2 1 1 [0 1.000 6 2][261.103 116.520 41.085]{UNTURNED}[ 5 0.50 -1.00 ]\r\n"
    "3d 1 [1 1.000][210.730 -90.669 -108.554]\r\n"
).encode()


def test_a_frame_gives_bodies_flysticks_buttons_and_what_is_lost() -> None:
    decoder = DTrack(source=1)
    records = decoder.datagram(FRAME)
    head = records[0]
    assert isinstance(head, Pose)
    assert (head.source, head.body, head.position) == (1, 0, (326.848, -187.216, 109.503))
    assert head.stamp == 39596.024831
    assert head.turn == pytest.approx((0, 0, math.sin(math.radians(15)), math.cos(math.radians(15))), abs=1e-6)
    assert Lost(1, 1) in records  # 6dcal says two bodies, 6d lists one
    wand = next(record for record in records if isinstance(record, Pose) and record.body == FLYSTICK)
    assert wand.position == (261.103, 116.52, 41.085)
    buttons = [record for record in records if isinstance(record, Button)]
    assert [button.pressed for button in buttons] == [True, False, True, False, False, False]
    assert [record for record in records if isinstance(record, Axis)] == [Axis(1, 0, 0.5), Axis(1, 1, -1.0)]
    assert decoder.frame == 21753
    assert not decoder.garbage


def test_rotation_matrices_come_column_by_column() -> None:
    (record,) = DTrack().datagram(f"6d 1 [0 1.0][0 0 0]{ABOUT_Z}\n".encode())
    assert isinstance(record, Pose)
    assert turns.apply(record.turn, (1, 0, 0)) == pytest.approx((0.866025, 0.5, 0), abs=1e-6)


def test_a_flystick_of_the_old_format_has_eight_buttons_and_a_hat() -> None:
    records = DTrack().datagram(f"6df 1 [0 1.000 34][1 2 3 0 0 0]{UNTURNED}\n".encode())
    assert [r.button for r in records if isinstance(r, Button) and r.pressed] == [1, 5]
    assert [r for r in records if isinstance(r, Axis)] == [Axis(0, 0, -1.0), Axis(0, 1, 0.0)]


def test_a_body_with_inertial_sensors_takes_the_place_of_the_plain_one() -> None:
    text = f"6d 1 [0 1.0][1 1 1]{UNTURNED}\n6di 2 [0 1 0.5][2 2 2]{UNTURNED} [1 0 0.0][0 0 0]{UNTURNED}\n"
    records = DTrack().datagram(text.encode())
    assert [(type(r), r.body) for r in records if isinstance(r, (Pose, Lost))] == [(Pose, 0), (Lost, 1)]
    assert isinstance(records[0], Pose)
    assert records[0].position == (2, 2, 2)


def test_a_quality_below_zero_means_that_the_body_is_not_seen() -> None:
    records = DTrack().datagram(f"6df2 1 1 [0 -1.000 2 2][0 0 0]{UNTURNED}[0 0.00 0.00]".encode())
    assert records[0] == Lost(0, FLYSTICK)
    assert Button(0, 0, False) in records  # its radio works, although the cameras do not see it


def test_more_than_thirty_two_buttons_and_several_flysticks_keep_apart() -> None:
    body = f"[0 0 0]{UNTURNED}"
    records = DTrack().datagram(f"6df2 2 2 [0 1.0 0 0]{body}[] [1 1.0 2 1]{body}[3 0.25]\n".encode())
    assert [r.button for r in records if isinstance(r, Button)] == [16, 17]
    assert Axis(0, 4, 0.25) in records


@pytest.mark.parametrize(("text", "reason"), [
    ("6d 1 [0 1.0][1 2 3]", "number of bodies"),
    ("6d 3000 [0 1.0][1 2 3][1]", "count"),
    ("6d x", "number"),
    (f"6d 1 [0 1.0][1 2]{UNTURNED}", "number of values"),
    (f"6d 1 [0 1.0][1 2 zwei]{UNTURNED}", "value"),
    (f"6d 1 [0_0 1.0][1 2 3]{UNTURNED}", "value"),
    ("ts 1_0", "value"),
    (f"6d 1 [0 1.0][1 2 nan]{UNTURNED}", "not finite"),
    (f"6d 1 [0 1.0][1 2 1e9]{UNTURNED}", "far"),
    (f"6d 1 [-3 1.0][1 2 3]{UNTURNED}", "body"),
    (f"6d 1 [nan 1.0][1 2 3]{UNTURNED}", "body"),
    ("6d 1 [0 1.0][1 2 3][1 0 0 0 1 0 0 0 -1]", "rotation"),
    ("6d 1 [0 1.0][1 2 3][2 0 0 0 2 0 0 0 2]", "rotation"),
    ("6d 1 [0 1.0][1 2 3][nan 0 0 0 1 0 0 0 1]", "rotation"),
    (f"6df2 1 1 [0 1.0 99 2][1 2 3]{UNTURNED}[0 0 0]", "buttons"),
    (f"6df2 1 1 [0 1.0 2 1][1 2 3]{UNTURNED}[0 7.5]", "joystick"),
    ("\x00\x01\x02 hello", "line"),
    ("hello there", "nothing known"),
    ("", "nothing known"),
])  # fmt: skip
def test_garbage_is_counted_by_its_reason_and_gives_nothing(text: str, reason: str) -> None:
    decoder = DTrack()
    assert decoder.datagram(text.encode()) == []
    assert dict(decoder.garbage) == {reason: 1}


def test_a_broken_line_does_not_spoil_the_others() -> None:
    decoder = DTrack()
    records = decoder.datagram(f"fr 1\n6df2 1 1 [broken\n6d 1 [0 1.0][1 2 3]{UNTURNED}\n".encode())
    assert [type(record) for record in records] == [Pose]
    assert decoder.garbage.total() == 1


def test_a_datagram_that_no_controller_sends_is_not_even_looked_at() -> None:
    decoder = DTrack()
    assert decoder.datagram(b"6d 0\n" * 100_000) == []
    assert dict(decoder.garbage) == {"too long": 1}


def test_any_rotation_survives_the_way_through_a_datagram() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        x, y, z, w = (float(value) for value in rng.normal(size=4))
        turn = turns.unit((x, y, z, w))
        columns = [value for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1)) for value in turns.apply(turn, axis)]
        text = f"6d 1 [7 1.0][1 2 3][{' '.join(f'{value:.6f}' for value in columns)}]"
        found: list[Record] = DTrack().datagram(text.encode())
        assert isinstance(found[0], Pose)
        assert turns.angle(found[0].turn, turn) < 1e-5
