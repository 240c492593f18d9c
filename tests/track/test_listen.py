"""The listener on real sockets and devices: datagrams, VRPN by both ways, a FIFO in place of a gamepad, a replay."""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from msgspec.structs import replace

from renderers.wall.records import TrackerSource
from renderers.wall.track.address import udp_address
from renderers.wall.track.listen import Listener
from renderers.wall.track.poses import Trackers
from renderers.wall.track.record import NotASession, Recorder
from renderers.wall.track.sensed import Axis, Button, Gone, Pose, Record
from streamer.wire.viewing import Head
from tests.track.server import Server, pose

PATIENCE_S = 60.0
UNTURNED = "[1 0 0 0 1 0 0 0 1]"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait(listener: Listener, enough: Callable[[list[Record]], bool]) -> list[Record]:
    """What the listener reads until it is enough.  Waits on its one descriptor, as the conductor does."""
    records: list[Record] = []
    give_up_at = time.monotonic() + PATIENCE_S
    while not enough(records):
        now = time.monotonic()
        assert now < give_up_at, (records, listener.states())
        select.select([listener], [], [], max(0.0, min(listener.deadline(), give_up_at) - now))
        records += listener.read(time.monotonic())
    return records


def has(kind: type) -> Callable[[list[Record]], bool]:
    return lambda records: any(isinstance(record, kind) for record in records)


@contextlib.contextmanager
def listening(*sources: TrackerSource) -> Iterator[Listener]:
    with Listener(sources, time.monotonic()) as listener:
        yield listener


def udp(kind: str = "dtrack", **more: object) -> TrackerSource:
    return TrackerSource(kind, f"udp://127.0.0.1:{free_port()}", **more)  # type: ignore[arg-type]


def send(source: TrackerSource, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for data in datagrams:
            out.sendto(data, udp_address(source.address)[:2])


def test_dtrack_and_osc_datagrams_come_through_one_descriptor_and_garbage_is_counted() -> None:
    dtrack, osc = udp(), udp("osc")
    head = b"/cavecast/head\0\0,fffffff\0\0\0\0" + struct.pack(">7f", 1, 2, 3, 0, 0, 0, 1)
    with listening(dtrack, osc) as listener:
        send(dtrack, b"\xff\xfe garbage", f"6d 1 [0 1.0][1 2 3]{UNTURNED}".encode())
        send(osc, b"garbage", head)
        records = wait(listener, lambda records: len(records) == 2)
        assert {record.source for record in records} == {0, 1}
        first, second = listener.states()
        assert (first.packets, first.garbage) == (2, {"line": 1})
        assert (second.packets, second.garbage) == (2, {"not OSC": 1})
        assert first.heard_at is not None
        assert first.trouble == second.trouble == ""
        assert listener.deadline() == math.inf


def test_real_datagrams_move_the_head() -> None:
    source = udp(axes="x right, y forward, z up", head_offset=(0, -80, 0))
    with listening(source) as listener:
        trackers = Trackers(listener.sources)
        send(source, f"fr 1\r\nts 5.5\r\n6d 1 [0 1.0][100 -500 1780]{UNTURNED}\r\n".encode())
        for record in wait(listener, has(Pose)):
            trackers.feed(record, 0.0)
        assert trackers.head(0.0) == Head((100, 1700, 500))


def test_datagrams_of_others_are_refused_where_a_sender_is_named() -> None:
    port = free_port()
    source = TrackerSource("dtrack", f"udp://127.0.0.1:{port}?from=127.0.0.9")
    with listening(source) as listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as right:
        send(source, f"6d 1 [0 1.0][6 6 6]{UNTURNED}".encode())
        right.bind(("127.0.0.9", 0))
        right.sendto(f"6d 1 [0 1.0][1 2 3]{UNTURNED}".encode(), ("127.0.0.1", port))
        (record,) = wait(listener, has(Pose))
        assert isinstance(record, Pose)
        assert record.position == (1.0, 2.0, 3.0)
        assert listener.states()[0].garbage == {"foreign sender": 1}


def test_a_flood_is_read_a_piece_at_a_time_and_the_descriptor_stays_readable() -> None:
    source = udp("osc")
    with listening(source) as listener:
        send(source, *[b"/cavecast/axis/0\0\0\0\0,f\0\0\0\0\0\0"] * 100)
        assert len(listener.read(0.0)) == 64
        assert select.select([listener], [], [], PATIENCE_S)[0]
        assert len(listener.read(0.0)) == 36


def test_a_zeromq_poller_wakes_for_the_listener() -> None:
    source = udp("osc")
    context = zmq.Context()
    other = context.socket(zmq.DEALER)
    try:
        with listening(source) as listener:
            poller = zmq.Poller()
            poller.register(listener, zmq.POLLIN)
            poller.register(other, zmq.POLLIN)
            send(source, b"/cavecast/axis/0\0\0\0\0,f\0\0\0\0\0\0")
            assert dict(poller.poll(int(PATIENCE_S * 1000))) == {listener.fileno(): zmq.POLLIN}
            assert listener.read(0.0) == [Axis(0, 0, 0.0)]
    finally:
        other.close(0)
        context.term()


def test_a_port_in_use_is_told_with_the_address() -> None:
    source = udp()
    with listening(source), pytest.raises(OSError, match=r"udp://127.0.0.1:\d+ cannot be listened to"):
        Listener([source], 0.0)


@pytest.mark.parametrize("address", ["5000", "udp://", "udp://host", "tcp://host:1", "udp://host:99999", "udp://[::1"])
def test_an_address_that_makes_no_sense_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(ValueError, match=r"udp://0.0.0.0:5000"):
        udp_address(address)


def test_vrpn_by_plain_tcp_gives_poses_and_buttons() -> None:
    with Server() as server, listening(TrackerSource("vrpn", f"DTrack@tcp://127.0.0.1:{server.port}")) as listener:
        wait(listener, lambda _: server.greeted.is_set())
        server.describe("VRPN Control", "DTrack")
        server.say(pose(11, 4, 0, (0.5, 1.7, 0.25), (0, 0, 0, 1)))
        (record,) = wait(listener, has(Pose))
        assert isinstance(record, Pose)
        assert (record.position, record.stamp) == ((0.5, 1.7, 0.25), 1700000000.25)
        assert listener.states()[0].trouble == ""
        assert server.calls == []


def test_vrpn_the_old_way_gives_poses_by_udp_and_buttons_by_tcp() -> None:
    with Server(takes_tcp=False) as server, listening(TrackerSource("vrpn", f"DTrack@127.0.0.1:{server.port}")) as here:
        wait(here, lambda _: server.asked_for_udp.is_set())
        server.describe("DTrack")
        server.say(struct.pack(">IIIiiIii", 32, 0, 0, 3, 12, 0, 2, 1))
        assert wait(here, has(Button)) == [Button(0, 2, True)]
        server.say(pose(11, 3, 0, (1, 2, 3), (0, 0, 0, 1)) + pose(11, 3, 1, (4, 5, 6), (0, 0, 0, 1)), by_udp=True)
        assert [record.body for record in wait(here, has(Pose)) if isinstance(record, Pose)] == [0, 1]


def test_vrpn_falls_back_to_tcp_where_no_call_is_answered() -> None:
    with Server(answers_calls=False) as server:
        source = TrackerSource("vrpn", f"DTrack@127.0.0.1:{server.port}")
        # The listener's clock is ours: three seconds of patience and one of rest pass at once.
        with Listener([source], 0.0) as listener:
            assert listener.read(3.0) == []
            assert "did not connect to us" in listener.states()[0].trouble
            listener.read(4.0)
            deadline = time.monotonic() + PATIENCE_S
            while not server.greeted.is_set():
                assert time.monotonic() < deadline
                select.select([listener], [], [], 1.0)
                listener.read(4.1)
        assert server.calls


def test_only_the_server_that_was_called_is_let_in() -> None:
    with (
        Server(answers_calls=False) as server,
        listening(TrackerSource("vrpn", f"DTrack@127.0.0.1:{server.port}")) as listener,
        socket.socket() as stranger,
    ):
        wait(listener, lambda _: bool(server.calls))
        host, port = server.calls[0].rstrip(b"\0").split()
        stranger.bind(("127.0.0.9", 0))
        stranger.connect((host.decode(), int(port)))
        wait(listener, lambda _: listener.states()[0].garbage == {"foreign sender": 1})
        stranger.settimeout(PATIENCE_S)
        assert stranger.recv(100) == b""


def test_a_vrpn_server_that_starts_again_is_found_again() -> None:
    with Server() as server:
        port = server.port
        source = TrackerSource("vrpn", f"DTrack@tcp://127.0.0.1:{port}")
        listener = Listener([source], time.monotonic())
        wait(listener, lambda _: server.greeted.is_set())
        server.describe("DTrack")
        server.say(pose(11, 3, 0, (1, 0, 0), (0, 0, 0, 1)))
        wait(listener, has(Pose))
    with listener:
        assert wait(listener, has(Gone)) == [Gone(0)]
        assert "closed" in listener.states()[0].trouble or "broke off" in listener.states()[0].trouble
        with Server(port) as again:
            wait(listener, lambda _: again.greeted.is_set())
            again.describe("Other", "DTrack")  # DTrack has another number now
            again.say(pose(11, 4, 0, (2, 0, 0), (0, 0, 0, 1)))
            (record,) = wait(listener, has(Pose))
            assert isinstance(record, Pose)
            assert record.position == (2.0, 0.0, 0.0)


def test_a_vrpn_server_without_the_device_is_told_with_what_it_has() -> None:
    with Server() as server, listening(TrackerSource("vrpn", f"Dtrak@tcp://127.0.0.1:{server.port}")) as listener:
        wait(listener, lambda _: server.greeted.is_set())
        server.describe("VRPN Control", "DTrack")
        wait(listener, lambda _: bool("no device" in listener.states()[0].trouble))
        assert listener.states()[0].trouble.endswith("has no device 'Dtrak'; it names DTrack")


def test_a_silent_vrpn_server_is_pinged_then_left() -> None:
    with Server() as server, listening(TrackerSource("vrpn", f"DTrack@tcp://127.0.0.1:{server.port}")) as listener:
        wait(listener, lambda _: server.greeted.is_set() and not listener.states()[0].trouble)
        assert listener.deadline() - time.monotonic() <= 1.0
        assert listener.read(time.monotonic() + 6) == [Gone(0)]
        assert "said nothing" in listener.states()[0].trouble


def test_what_is_no_vrpn_server_is_told_and_tried_again() -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        with listening(TrackerSource("vrpn", f"DTrack@tcp://127.0.0.1:{door.getsockname()[1]}")) as listener:
            stream, _ = door.accept()
            with stream:
                stream.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
                wait(listener, has(Gone))
            assert "not VRPN's" in listener.states()[0].trouble
            wait(listener, lambda _: bool(select.select([door], [], [], 0)[0]))


def test_a_gamepad_that_is_unplugged_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "js0"
    source = TrackerSource("gamepad", str(path))
    event = struct.pack("=IhBB", 0, 1, 1, 3)
    with listening(source) as listener:
        assert "cannot be opened" in listener.states()[0].trouble
        os.mkfifo(path)
        wait(listener, lambda _: not listener.states()[0].trouble)
        with path.open("wb", buffering=0) as device:
            device.write(event)
            assert wait(listener, has(Button)) == [Button(0, 3, True)]
        assert Gone(0) in wait(listener, has(Gone))
        wait(listener, lambda _: not listener.states()[0].trouble)
        with path.open("wb", buffering=0) as device:
            device.write(event)
            assert Button(0, 3, True) in wait(listener, has(Button))


def test_a_plain_file_is_no_gamepad(tmp_path: Path) -> None:
    (tmp_path / "js0").write_bytes(b"12345678")
    with listening(TrackerSource("gamepad", str(tmp_path / "js0"))) as listener:
        assert listener.states()[0].trouble.endswith("is no device")


def test_a_session_is_recorded_from_sockets_and_replayed_as_its_own_sources(tmp_path: Path) -> None:
    source = udp(head_offset=(0, -80, 0))
    with listening(source) as listener, (tmp_path / "walk").open("wb", buffering=0) as out:
        recorder = Recorder(out, listener.sources, 100.0)
        live = Trackers(listener.sources)
        heads = []
        for i in range(5):
            send(source, f"6d 1 [0 1.0][{10 * i} 1780 0]{UNTURNED}".encode())
            for record in wait(listener, has(Pose)):
                recorder.write(record, 100.0 + i)
                live.feed(record, 100.0 + i)
            heads.append(live.head(100.0 + i))
    other = TrackerSource("mouse", "")
    with Listener([other, TrackerSource("replay", str(tmp_path / "walk"))], 7.0) as listener:
        assert listener.sources == (other, source)
        again = Trackers(listener.sources)
        replayed = []
        for i in range(5):
            assert listener.deadline() == 7.0 + i
            for record in listener.read(7.0 + i):
                again.feed(record, 7.0 + i)
            replayed.append(again.head(7.0 + i))
        assert replayed == heads
        assert listener.deadline() == math.inf
        assert listener.states()[1].trouble == "the recorded session is over"


def test_a_file_that_is_no_session_is_refused_and_nothing_stays_open(tmp_path: Path) -> None:
    (tmp_path / "walk").write_text("hello")
    source = udp()
    with pytest.raises(NotASession, match="walk"):
        Listener([source, TrackerSource("replay", str(tmp_path / "walk"))], 0.0)
    with listening(replace(source)):  # its port is free again
        pass
