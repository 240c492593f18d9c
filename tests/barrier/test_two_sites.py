"""Two walls, 4 ms apart each way: the tracker at the first one drives both, each with a frame lock of its own."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from benchmarks.barrier import plain_wall, seat
from renderers.wall.records import TrackerSource, Wall
from renderers.wall.seating import digest
from renderers.wall.shelf import load_wall
from renderers.wall.track.record import Recorder
from renderers.wall.track.sensed import Pose
from renderers.wall.write import to_toml
from streamer.keys import make
from streamer.wire.keys import read as read_keys
from streamer.wire.viewing import Head, Placement, View
from tests.barrier.house import Desk, House, same_screen, until

ONE_WAY_S = 0.004
SPAWN = multiprocessing.get_context("spawn")


class SlowLink:
    """A TCP address whose bytes arrive at another one 4 ms later, and the answers too."""

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("tcp://").rpartition(":")
        self._target = host, int(port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._door.getsockname()[1]}"
        self._ends: list[socket.socket] = []
        self._start(self._accept)

    def _start(self, what: object, *arguments: object) -> None:
        threading.Thread(target=what, args=arguments, daemon=True).start()  # type: ignore[arg-type]  # callable

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._door.accept()
                there = socket.create_connection(self._target)
                self._ends += [here, there]
                for a, b in ((here, there), (there, here)):
                    waiting: queue.Queue[tuple[float, bytes]] = queue.Queue()
                    self._start(self._take, a, waiting)
                    self._start(self._give, b, waiting)

    @staticmethod
    def _take(end: socket.socket, waiting: queue.Queue[tuple[float, bytes]]) -> None:
        raw = b"."
        while raw:
            try:
                raw = end.recv(1 << 16)
            except OSError:
                raw = b""
            waiting.put((time.monotonic() + ONE_WAY_S, raw))

    @staticmethod
    def _give(end: socket.socket, waiting: queue.Queue[tuple[float, bytes]]) -> None:
        with suppress(OSError):
            while True:
                due, raw = waiting.get()
                time.sleep(max(0.0, due - time.monotonic()))  # the link's length is what is tested
                if not raw:
                    end.close()
                    return
                end.sendall(raw)

    def close(self) -> None:
        for end in (self._door, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def seats(address: str, wall: Wall) -> Iterator[None]:
    """Processes for all tiles of a wall that are ready at once."""
    names = [tile.name for tile in wall.tiles]
    processes = [SPAWN.Process(target=seat, args=(address, name, digest(wall)), daemon=True) for name in names]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_the_tracker_of_one_site_drives_the_wall_of_the_other(tmp_path: Path) -> None:
    port = free_udp_port()
    first = msgspec.structs.replace(
        plain_wall(2), trackers=(TrackerSource("dtrack", f"udp://127.0.0.1:{port}", head=0),)
    )
    second = msgspec.structs.replace(plain_wall(2), name="far")
    (tmp_path / "first.toml").write_text(to_toml(first))
    (tmp_path / "second.toml").write_text(to_toml(second))
    first, second = load_wall(tmp_path / "first.toml"), load_wall(tmp_path / "second.toml")
    session = tmp_path / "session"
    with House(tmp_path) as house:
        a = house.ready(house.start("conductor", "--wall", str(tmp_path / "first.toml"), "--record", str(session)))
        link = SlowLink(a["address"])
        b = house.ready(
            house.start(
                "conductor", "--wall", str(tmp_path / "second.toml"), "--leader", link.address, "--delay-ms", "60"
            )
        )
        own = house.start("conductor", "--wall", str(tmp_path / "second.toml"), "--leader", link.address, "--own-head")
        apart = Desk(house, house.ready(own)["address"])
        here, there = Desk(house, a["address"]), Desk(house, b["address"])
        tracker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with tracker, seats(a["address"], first), seats(b["address"], second):
            until(lambda: (here.figures().live == there.figures().live == 2) or None, "both walls are live")

            def moved(x: float) -> None:
                body = f"6d 1 [0 1.000][{x:.3f} 100.000 500.000 0 0 0][1 0 0 0 1 0 0 0 1] \r\n"
                tracker.sendto(f"fr 1\r\n6dcal 1\r\n{body}".encode(), ("127.0.0.1", port))

            for n in range(200):
                moved(n / 2)
                time.sleep(1 / 60)  # as fast as a tracker sends
            until(lambda: there.scene().head.position[0] == pytest.approx(99.5) or None, "it follows")
            far, near = there.scene(), here.scene()
            assert (far.view, far.head) == (near.view, near.head)
            # One that follows the view alone has a head of its own.
            here.view(View(placement=Placement((7.0, 8.0, 9.0))))
            until(lambda: apart.scene().view.placement.centre == (7.0, 8.0, 9.0) or None, "the view follows")
            assert apart.scene().head == second.head
            figures = here.figures()
            assert figures.sensor_to_draw.count > 50
            assert there.figures().frames > 50
            assert figures.evictions_stale == 0
        link.close()
    assert session.stat().st_size > 1000


@contextmanager
def far_apart() -> Iterator[tuple[str, str, str]]:
    """Two network namespaces, 4 ms apart each way where the kernel can do that.

    Gives their names and the first one's address.  Raises CannotPart.
    """
    here, there = f"cava{os.getpid()}", f"cavb{os.getpid()}"

    def ip(*arguments: str) -> None:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
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
            with suppress(CannotPart):  # a kernel without netem; then the proxy above is what is slow
                within(name, "tc", "qdisc", "add", "dev", f"{name}0"[:15], "root", "netem", "delay", "4ms")
        yield here, there, "10.231.7.1"
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
        for n in range(1200):
            recorder.write(Pose(0, 0, (n / 10, 100.0, 500.0), (0.0, 0.0, 0.0, 1.0)), n / 60)
    parts = ("--wall", str(tmp_path / "wall.toml"), "--keys", file)
    try:
        with far_apart() as (here, there, address), House(tmp_path) as house:
            at_a, at_b = ("ip", "netns", "exec", here), ("ip", "netns", "exec", there)
            listen = f"ipc://{tmp_path}/b"
            a = house.ready(
                house.start("conductor", *parts, "--listen", f"tcp://{address}:0", "--replay", str(session), wrap=at_a)
            )
            b = house.ready(
                house.start(
                    "conductor", *parts, "--listen", listen, "--leader", a["address"], "--delay-ms", "30", wrap=at_b
                )
            )
            for conductor, wrap in ((a, at_a), (b, at_b)):
                tile = ("--tile", "a", "--conductor", conductor["address"], "--offscreen")
                house.ready(house.start("tile", *parts, *tile, wrap=wrap))
            desk = Desk(house, listen, mine)
            heads: list[Head] = []

            def followed() -> bool | None:
                heads.append(desk.scene().head)
                return heads[-1].position[0] > 100 or None

            until(followed, "the head of the first site is at the second")
            assert len({head.position for head in heads}) > 3
            until(lambda: desk.figures().frames > 30 or None, "the second wall draws what the first one's tracker says")
    except CannotPart as why:
        pytest.skip(f"no network namespaces here ({why}); the same is tested over a slow TCP link above")
