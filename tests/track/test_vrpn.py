"""The VRPN client against conversations written byte for byte."""

from __future__ import annotations

import math
import struct

import pytest

from renderers.wall.track.sensed import Axis, Button, Pose, Record
from renderers.wall.track.vrpn import Client, NotVrpn, description, message, parse_address
from tests.track.server import COOKIE, named, packed, pose

CONVERSATION = bytes.fromhex(
    # the cookie: vrpn: ver. 07.33  0
    "7672706e3a207665722e2030372e3333" "2020300000000000"
    # sender 0 is called VRPN Control, sender 1 DTrack
    "00000029" "00000000" "00000000" "00000000" "ffffffff" "00000000"
    "0000000d" "5652504e20436f6e74726f6c00" "00000000000000"
    "00000023" "00000000" "00000000" "00000001" "ffffffff" "00000000"
    "00000007" "44547261636b00" "0000000000"
    # type 5 is called vrpn_Tracker Pos_Quat
    "00000032" "00000000" "00000000" "00000005" "fffffffe" "00000000"
    "00000016" "7672706e5f547261636b657220506f735f5175617400" "000000000000"
    # at 1700000000.5 s, of sender 1: sensor 0 is at 0.25 1.75 -0.5, turned by 90 degrees about y
    "00000058" "6553f100" "0007a120" "00000001" "00000005" "00000000"
    "00000000" "00000000"
    "3fd0000000000000" "3ffc000000000000" "bfe0000000000000"
    "0000000000000000" "3fe6a09e667f3bcd" "0000000000000000" "3fe6a09e667f3bcd"
)  # fmt: skip


def test_a_conversation_written_by_hand_is_understood() -> None:
    client = Client("DTrack", source=2)
    (said,) = client.feed(CONVERSATION, now=10.0)
    assert client.version == "07.33"
    assert isinstance(said, Pose)
    assert (said.source, said.body, said.position, said.stamp) == (2, 0, (0.25, 1.75, -0.5), 1700000000.5)
    half = math.sqrt(0.5)
    assert said.turn == pytest.approx((0, half, 0, half))
    assert client.first == {"VRPN Control", "DTrack"}
    assert not client.garbage


def test_it_does_not_matter_in_which_pieces_the_bytes_come() -> None:
    at_once = Client("DTrack")
    expected = at_once.feed(CONVERSATION, 0.0)
    client = Client("DTrack")
    records: list[Record] = []
    for i in range(len(CONVERSATION)):
        records += client.feed(CONVERSATION[i : i + 1], 0.0)
    assert records == expected
    assert client.taken() == at_once.taken()


def test_the_client_greets_and_names_itself_as_the_protocol_says() -> None:
    client = Client("DTrack")
    assert client.taken() == b"vrpn: ver. 07.35  0\0\0\0\0\0"
    client.feed(COOKIE, 0.0)
    client.listen_at("127.0.0.1", 4711, 0.0)
    said = client.taken()
    assert said.startswith(named(-1, 0, "DTrack") + named(-2, 0, "vrpn_Base ping_message"))
    assert named(-2, 2, "vrpn_Tracker Pos_Quat") in said
    assert said.endswith(packed(0, 0, b"") + packed(-3, 4711, b"127.0.0.1\0"))


def test_messages_have_lengths_without_padding_and_are_padded_to_eight() -> None:
    said = message(7, 3, b"abc", now=2.25)
    assert said == packed(7, 3, b"abc", 2, 250000)
    assert len(said) == 32
    assert description(-2, 4, "x") == named(-2, 4, "x")


def introduced(device: str = "DTrack") -> Client:
    client = Client(device)
    client.feed(COOKIE + named(-1, 3, "DTrack") + named(-1, 4, "Other"), 0.0)
    for number, name in ((11, "vrpn_Tracker Pos_Quat"), (12, "vrpn_Button Change"), (13, "vrpn_Button States")):
        client.feed(named(-2, number, name), 0.0)
    client.feed(named(-2, 14, "vrpn_Analog Channel") + named(-2, 15, "vrpn_Base ping_message"), 0.0)
    client.taken()
    return client


def test_buttons_come_one_by_one_as_pairs_or_all_together() -> None:
    client = introduced()
    assert client.feed(packed(12, 3, struct.pack(">ii", 4, 1)), 0.0) == [Button(0, 4, True)]
    assert client.feed(packed(12, 3, struct.pack(">iiiii", 2, 0, 1, 4, 0)), 0.0) == [
        Button(0, 0, True), Button(0, 4, False),
    ]  # fmt: skip
    assert client.feed(packed(13, 3, struct.pack(">iiii", 3, 0, 1, 0)), 0.0) == [
        Button(0, 0, False), Button(0, 1, True), Button(0, 2, False),
    ]  # fmt: skip


def test_channels_are_axes() -> None:
    said = introduced().feed(packed(14, 3, struct.pack(">ddd", 2, -0.5, 0.25)), 0.0)
    assert said == [Axis(0, 0, -0.5), Axis(0, 1, 0.25)]


def test_another_device_of_the_same_server_is_not_listened_to() -> None:
    client = introduced()
    assert client.feed(pose(11, 4, 0, (1, 2, 3), (0, 0, 0, 1)), 0.0) == []
    assert not client.garbage


def test_a_ping_is_answered() -> None:
    client = introduced()
    client.feed(packed(15, 3, b""), 0.0)
    assert client.taken() == packed(1, 0, b"")


def test_a_silent_server_is_asked_and_then_given_up() -> None:
    client = introduced()
    client.tick(0.5)
    assert client.taken() == b""
    client.tick(client.deadline())
    assert client.taken() == packed(0, 0, b"", 1)
    assert not client.silent(4.9)
    assert client.silent(5.0)


@pytest.mark.parametrize(("body", "kind", "reason"), [
    (struct.pack(">ii7d", 0, 0, math.nan, 0, 0, 0, 0, 0, 1), 11, "not finite"),
    (struct.pack(">ii7d", 0, 0, 1, 0, 0, 0, 0, 0, 0), 11, "turn"),
    (struct.pack(">ii7d", -1, 0, 1, 0, 0, 0, 0, 0, 1), 11, "body"),
    (struct.pack(">ii7d", 0, 0, 1e300, 0, 0, 0, 0, 0, 1), 11, "far"),
    (bytes(60), 11, "length of a pose"),
    (struct.pack(">ii", 5000, 1), 12, "buttons"),
    (struct.pack(">iii", 7, 1, 1), 12, "buttons"),
    (struct.pack(">ii", 900, 1), 13, "buttons"),
    (struct.pack(">dd", 9, 1), 14, "channels"),
    (struct.pack(">dd", 1, math.inf), 14, "channels"),
    (b"", 99, "not described"),
    (b"\xff\xff\xff\xffname", -1, "name"),
    (b"", -9, "system message"),
])  # fmt: skip
def test_a_message_that_cannot_be_is_counted_and_the_next_one_is_understood(
    body: bytes, kind: int, reason: str
) -> None:
    client = introduced()
    assert client.feed(packed(kind, 3, body), 0.0) == []
    assert dict(client.garbage) == {reason: 1}
    assert len(client.feed(pose(11, 3, 0, (1, 2, 3), (0, 0, 0, 1)), 0.0)) == 1


@pytest.mark.parametrize("length", [0, 23, 65537, 0xFFFFFFFF])
def test_an_impossible_length_ends_the_connection(length: int) -> None:
    client = introduced()
    with pytest.raises(NotVrpn, match="announces"):
        client.feed(length.to_bytes(4, "big") + bytes(20), 0.0)
    assert client.garbage["length"] == 1


@pytest.mark.parametrize(
    "greeting", [b"SSH-2.0-OpenSSH_9.2p1 De\r\n", b"HTTP/1.1 400 Bad Request", b"vrpn: ver. 08.00  0".ljust(24, b"\0")]
)
def test_whoever_does_not_greet_as_vrpn_07_is_refused_in_words(greeting: bytes) -> None:
    with pytest.raises(NotVrpn, match=r"greets|speaks"):
        Client("DTrack").feed(greeting, 0.0)


def test_a_server_that_starts_again_may_number_its_names_anew() -> None:
    client = introduced()
    client.feed(named(-2, 11, "vrpn_Button Change") + named(-2, 2, "vrpn_Tracker Pos_Quat"), 0.0)
    assert client.feed(packed(11, 3, struct.pack(">ii", 0, 1)), 0.0) == [Button(0, 0, True)]
    assert len(client.feed(pose(2, 3, 0, (0, 0, 0), (0, 0, 0, 1)), 0.0)) == 1


@pytest.mark.parametrize(("address", "expected"), [
    ("DTrack@localhost", ("DTrack", "localhost", 3883, False)),
    ("Tracker0@10.0.0.7:3884", ("Tracker0", "10.0.0.7", 3884, False)),
    ("DTrack@tcp://wall:3883/", ("DTrack", "wall", 3883, True)),
    ("My Tracker@x-vrpn://host", ("My Tracker", "host", 3883, False)),
])  # fmt: skip
def test_addresses_are_read_as_vrpn_writes_them(address: str, expected: tuple[str, str, int, bool]) -> None:
    assert parse_address(address) == expected


@pytest.mark.parametrize("address", ["localhost", "@localhost", "DTrack@", "DTrack@host:0", "DTrack@host:http"])
def test_an_address_that_makes_no_sense_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(ValueError, match="DTrack@localhost:3883"):
        parse_address(address)
