"""Two walls, 4 ms apart each way: the tracker at the first one drives both, each with a frame lock of its own."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from benchmarks.barrier import plain_wall, seat
from renderers.wall.records import TrackerSource, Wall
from renderers.wall.seating import digest
from renderers.wall.shelf import load_wall
from renderers.wall.track.record import Recorder, Recording
from renderers.wall.track.sensed import Pose
from renderers.wall.write import to_toml
from streamer.keys import make
from streamer.wire.keys import read as read_keys
from streamer.wire.viewing import Head
from tests.barrier.house import Desk, House, same_screen, until
from tests.ending import PATIENCE_S, ending, line_within

ONE_WAY_S = 0.004
SLOWLINK = Path(__file__).parents[2].parent / "shared" / "bench" / "browser" / "slowlink.py"
SPAWN = multiprocessing.get_context("spawn")


@contextmanager
def own_link(target: str) -> Iterator[str]:
    """Our own slow link to an address, a process of its own; gives its address."""
    with slow_process(target) as address:
        yield address


@contextmanager
def slow_process(target: str, wrap: tuple[str, ...] = ()) -> Iterator[str]:
    """Starts our slow link, perhaps within something else."""
    command = [*wrap, sys.executable, "-m", "tests.barrier.slow_link", target, str(ONE_WAY_S)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    with ending(process, signal.SIGKILL):
        yield line_within(process.stdout).strip()


@contextmanager
def shared_link(target: str) -> Iterator[str]:
    """The reference's slow link, where it is at hand, a process of its own."""
    if not SLOWLINK.is_file():
        pytest.skip(f"{SLOWLINK} is not there; the same is tested over a slow link of our own")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    there, delay = target.rpartition(":")[2], str(1000 * ONE_WAY_S)
    options = ("--listen", str(port), "--to", there, "--delay-ms", delay, "--mbit", "1000")
    process = subprocess.Popen([sys.executable, str(SLOWLINK), *options])

    def listens() -> bool | None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return None

    with ending(process, signal.SIGKILL):
        until(listens, "the slow link listens")
        yield f"tcp://127.0.0.1:{port}"


LINKS = pytest.mark.parametrize("link", [own_link, shared_link])
Link = Callable[[str], AbstractContextManager[str]]


@LINKS
def test_what_is_said_over_the_slow_link_is_late_in_both_directions(link: Link) -> None:
    arrived: queue.Queue[float] = queue.Queue()
    with socket.create_server(("127.0.0.1", 0)) as door:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    stream, _ = door.accept()
                    with stream:
                        while stream.recv(100):
                            arrived.put(time.monotonic())
                            stream.sendall(b"and back")

        threading.Thread(target=answer, daemon=True).start()
        with link(f"tcp://127.0.0.1:{door.getsockname()[1]}") as address:
            port = int(address.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as stream:
                for _ in range(5):
                    sent = time.monotonic()
                    stream.sendall(b"there")
                    assert stream.recv(100) == b"and back"
                    back = time.monotonic()
                    came = arrived.get(timeout=60)
                    assert came - sent >= ONE_WAY_S
                    assert back - came >= ONE_WAY_S
        door.shutdown(socket.SHUT_RDWR)


@contextmanager
def seats(address: str, wall: Wall) -> Iterator[list[int]]:
    """Processes for all tiles of a wall that are ready at once; gives their numbers."""
    names = [tile.name for tile in wall.tiles]
    processes = [SPAWN.Process(target=seat, args=(address, name, digest(wall)), daemon=True) for name in names]
    for process in processes:
        process.start()
    try:
        yield [process.pid or 0 for process in processes]
    finally:
        for process in processes:
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Tracked:
    """Somebody at site A: DTrack sees the head, OSC the wand and its buttons."""

    def __init__(self) -> None:
        self.ports = free_udp_port(), free_udp_port()
        self.sources = (
            TrackerSource("dtrack", f"udp://127.0.0.1:{self.ports[0]}", head=0, wand=-1),
            TrackerSource("osc", f"udp://127.0.0.1:{self.ports[1]}", head=-1, wand=1),
        )
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def head(self, x: float) -> None:
        """The head is there."""
        body = f"6d 1 [0 1.000][{x:.3f} 100.000 500.000 0 0 0][1 0 0 0 1 0 0 0 1] \r\n"
        self._socket.sendto(f"fr 1\r\n6dcal 1\r\n{body}".encode(), ("127.0.0.1", self.ports[0]))

    def wand(self, x: float, *, held: bool) -> None:
        """The wand is there, and its first button is held or not."""
        button = b"/cavecast/button/0\0\0,i\0\0" + struct.pack(">i", held)
        pose = b"/cavecast/wand\0\0,fffffff\0\0\0\0" + struct.pack(">7f", x, 0, 300, 0, 0, 0, 1)
        for data in (pose, button):
            self._socket.sendto(data, ("127.0.0.1", self.ports[1]))

    def close(self) -> None:
        self._socket.close()


@LINKS
def test_tracker_and_wand_of_one_site_drive_the_wall_of_the_other(link: Link, tmp_path: Path) -> None:
    tracked = Tracked()
    first = msgspec.structs.replace(plain_wall(2), trackers=tracked.sources)
    second = msgspec.structs.replace(plain_wall(2), name="far")
    (tmp_path / "first.toml").write_text(to_toml(first))
    (tmp_path / "second.toml").write_text(to_toml(second))
    first, second = load_wall(tmp_path / "first.toml"), load_wall(tmp_path / "second.toml")
    session = tmp_path / "session"
    with House(tmp_path) as house, closing(tracked):
        a = house.ready(house.start("conductor", "--wall", str(tmp_path / "first.toml"), "--record", str(session)))
        with link(a["address"]) as far_address:
            part = ("conductor", "--wall", str(tmp_path / "second.toml"), "--leader", far_address)
            b = house.ready(house.start(*part, "--delay-ms", "60"))
            apart = Desk(house, house.ready(house.start(*part, "--own-head"))["address"])
            here, there = Desk(house, a["address"]), Desk(house, b["address"])
            with seats(a["address"], first), seats(b["address"], second) as (stopped, _):
                until(lambda: (here.figures().live == there.figures().live == 2) or None, "both walls are live")
                for n in range(200):
                    tracked.head(n / 2)
                    time.sleep(1 / 60)  # as fast as a tracker sends
                until(lambda: there.scene().head.position[0] == pytest.approx(99.5) or None, "the head follows")
                far, near = there.scene(), here.scene()
                assert (far.view, far.head) == (near.view, near.head)

                # The wand takes the scene and carries it half a metre to the right, at both sites.
                before = near.view.placement.centre[0]
                tracked.wand(0, held=False)
                until(lambda: here.figures().heard.sources[1].packets >= 2 or None, "the wand is heard")
                for n in range(51):
                    tracked.wand(10.0 * n, held=True)
                    time.sleep(1 / 60)
                tracked.wand(500.0, held=False)
                until(lambda: there.scene().view.placement.centre[0] > before + 450 or None, "what is carried follows")
                until(lambda: there.scene().view == here.scene().view or None, "both show the same")

                # One that follows the view alone has a head of its own.
                until(lambda: apart.scene().view == here.scene().view or None, "the view follows")
                assert apart.scene().head == second.head

                # Each wall is locked in itself: its tiles report each frame together, and one that stands still at B
                # costs B a deadline and A nothing.
                for figures in (here.figures(), there.figures()):
                    assert figures.skew.count > 50
                    assert (figures.live, figures.stale, figures.evictions_stale) == (2, (), 0)
                assert here.figures().sensor_to_draw.count > 50
                late = here.figures().evictions_late
                os.kill(stopped, signal.SIGSTOP)

                def missed() -> bool | None:
                    tracked.head(time.monotonic() % 1)
                    return there.figures().stale == ("t0",) or None

                until(missed, "B goes on without a tile")
                assert here.figures().live == 2
                assert here.figures().evictions_late == late
                os.kill(stopped, signal.SIGCONT)
                until(lambda: (missed(), there.figures().live == 2 or None)[1], "it is back")
    with session.open("rb") as file:
        recording = Recording(file)
        assert sum(1 for _ in recording.entries()) > 250
        assert (recording.torn, recording.first_bad) == ("", "")


@contextmanager
def far_apart() -> Iterator[tuple[str, str, str, bool]]:
    """Two network namespaces, 4 ms apart each way where the kernel can do that.

    Gives their names, the first one's address, and whether they are that far apart.  Raises CannotPart.
    """
    here, there, slow = f"cava{os.getpid()}", f"cavb{os.getpid()}", True

    def ip(*arguments: str) -> None:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        if done.returncode:
            raise CannotPart(f"ip {' '.join(arguments)}: {done.stderr.strip()}")

    def within(name: str, *command: str) -> None:
        ip("netns", "exec", name, *command)

    try:
        for name in (here, there):
            ip("netns", "add", name)
            within(name, "ip", "link", "set", "lo", "up")
        ip(
            "link",
            "add",
            f"{here}0"[:15],
            "netns",
            here,
            "type",
            "veth",
            "peer",
            "name",
            f"{there}0"[:15],
            "netns",
            there,
        )
        for name, address in ((here, "10.231.7.1/24"), (there, "10.231.7.2/24")):
            within(name, "ip", "address", "add", address, "dev", f"{name}0"[:15])
            within(name, "ip", "link", "set", f"{name}0"[:15], "up")
            try:
                within(name, "tc", "qdisc", "add", "dev", f"{name}0"[:15], "root", "netem", "delay", "4ms")
            except CannotPart:  # a kernel without netem
                slow = False
        yield here, there, "10.231.7.1", slow
    finally:
        for name in (here, there):
            with suppress(CannotPart):
                ip("netns", "del", name)


class CannotPart(RuntimeError):
    """This machine does not let us make network namespaces."""


def test_a_session_at_one_site_is_seen_at_the_other_over_a_real_link_with_keys(tmp_path: Path) -> None:
    make(tmp_path / "keys")
    file = str(tmp_path / "keys" / "renderer.toml")
    mine = read_keys(Path(file), "renderer")
    wall = same_screen(["a"])
    (tmp_path / "wall.toml").write_text(to_toml(wall))
    session = tmp_path / "session"
    sources = (TrackerSource("dtrack", "udp://127.0.0.1:0", head=0),)
    with session.open("xb", buffering=0) as out:
        recorder = Recorder(out, sources, 0.0)
        for n in range(12_000):
            recorder.write(Pose(0, 0, (n / 10, 100.0, 500.0), (0.0, 0.0, 0.0, 1.0)), n / 60)
    parts = ("--wall", str(tmp_path / "wall.toml"), "--keys", file)
    try:
        with far_apart() as (here, there, address, slow), House(tmp_path) as house, ExitStack() as more:
            at_a, at_b = ("ip", "netns", "exec", here), ("ip", "netns", "exec", there)
            listen = f"ipc://{tmp_path}/b"
            a = house.ready(
                house.start("conductor", *parts, "--listen", f"tcp://{address}:0", "--replay", str(session), wrap=at_a)
            )
            # Where the kernel cannot delay what goes through the link, a proxy at its far end does.
            leader = a["address"] if slow else more.enter_context(slow_process(a["address"], at_b))
            follow = ("--leader", leader, "--delay-ms", "30")
            b = house.ready(house.start("conductor", *parts, "--listen", listen, *follow, wrap=at_b))
            for conductor, wrap in ((a, at_a), (b, at_b)):
                tile = ("--tile", "a", "--conductor", conductor["address"], "--offscreen")
                house.ready(house.start("tile", *parts, *tile, wrap=wrap))
            desk = Desk(house, listen, mine)
            heads: list[Head] = []

            def followed() -> bool | None:
                heads.append(desk.scene().head)
                return (heads[-1].position[0] > 100 and len({head.position for head in heads}) > 3) or None

            until(followed, "the head of the first site is at the second")
            until(lambda: desk.figures().frames > 30 or None, "the second wall draws what the first one's tracker says")
    except CannotPart as why:
        pytest.skip(f"no network namespaces here ({why}); the same is tested over a slow TCP link above")
