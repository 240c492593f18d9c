"""Trackers drive a running wall: DTrack, OSC and VRPN, byte for byte, through a real conductor to real tiles.

What the tiles show is compared with the pictures of a wall without trackers whose default head is where the tracked
one must be; that those are right is shown in tests/tiles.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import count
from math import cos, nan, radians, sin
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from renderers.wall.burn import HEIGHT, WIDTH, Burned, read_blocks
from renderers.wall.figures import Heard
from renderers.wall.records import Fit, Node, Place, Screen, Tile, TrackerSource, Wall
from renderers.wall.stitch import BUDGET, differing
from renderers.wall.write import to_toml
from streamer.wire.viewing import Head, Vec3
from tests.barrier.house import Desk, House, Run, read_png, until
from tests.track.server import Server, pose

Pictures = dict[str, NDArray[np.uint8]]
Say = Callable[[Vec3], None]
Source = tuple[TrackerSource, Say, Callable[[], None], dict[str, int]]
"""As a wall file has it; how to say where the head is; how to send rubbish, and how often that is counted as what."""
TURN = 30.0
"""Degrees to the left."""
C, S = cos(radians(TURN)), sin(radians(TURN))
LEFT = (0.0, sin(radians(TURN / 2)), 0.0, cos(radians(TURN / 2)))
PLACES = ((100.0, 150.0, 1400.0), (250.0, 90.0, 1200.0))
"""Of the head, one after the other: x right, y up, z back, mm."""
REST_S = 0.7
"""A wall that has shown nothing new for so long rests."""
DEVICE = "x right, y forward, z up"


def corner(head: Head, *trackers: TrackerSource) -> Wall:
    """Two panels that meet at an angle, one for each way to show two eyes."""
    screens = (
        Screen("flat", (-640.0, -360.0, 0.0), (640.0, -360.0, 0.0), (-640.0, 360.0, 0.0)),
        Screen("side", (640.0, -360.0, 0.0), (640.0, -360.0, 1280.0), (640.0, 360.0, 0.0)),
    )
    tiles = (
        Tile("flat", "flat", "here", "side-by-side", Place(0, 0, 160, 90), ""),
        Tile("side", "side", "here", "top-bottom", Place(0, 0, 120, 120), ""),
    )
    fit = Fit(1200.0, (0.0, 0.0, -400.0))
    return Wall("corner", screens, tiles, (Node("here"),), head=head, fit=fit, trackers=trackers)


class Showing:
    """A conductor of one wall, its tiles, and the pictures that they save."""

    def __init__(self, house: House, folder: Path, wall: Wall, feed: str, parts: tuple[tuple[str, str], ...]) -> None:
        self.folder = folder / "pictures"
        self.folder.mkdir(parents=True)
        file = folder / "wall.toml"
        file.write_text(to_toml(wall))
        self.burned: Burned | None = None
        self.conductor = house.start("conductor", "--wall", str(file), "--feed", feed, "--metrics-port", "0")
        ready = house.ready(self.conductor)
        address, self.metrics = ready["address"], str(ready["metrics"])
        self.desk = Desk(house, address)
        options = ("--conductor", address, "--offscreen", "--burn", "--save", str(self.folder))
        self.tiles = [house.start("tile", "--wall", str(file), *part, *options) for part in parts]
        for tile in self.tiles:
            house.ready(tile)

    def newest(self) -> Pictures | None:
        """The picture that each tile has shown last; None while one is missing, half written, or of another frame."""
        try:
            files = [max(self.folder.glob(f"{name}-*.png")) for name in ("flat", "side")]
            found = [read_png(file) for file in files]
        except (ValueError, OSError, SyntaxError):
            return None
        burned = {read_blocks(picture) for picture in found}
        self.burned = burned.pop()
        return None if burned else dict(zip(("flat", "side"), found, strict=True))

    def followed(self, say: Say, place: Vec3) -> bool | None:
        """Says where the head is, and whether the wall has heard it."""
        say(place)
        return near(self.desk.scene().head, place) or None

    def shows(self, expected: Pictures, say: Say, place: Vec3) -> bool | None:
        """Whether each tile has shown this last; the tracker goes on meanwhile, for a silent one is lost."""
        say(place)
        newest = self.newest()
        return (newest is not None and alike(newest, expected)) or None

    def all_shown(self, chunks: int) -> Pictures:
        """The pictures with all chunks, when the wall has come to rest."""
        rest: tuple[int, float] = (-1, 0.0)

        def resting() -> Pictures | None:
            nonlocal rest
            figures, now = self.desk.figures(), time.monotonic()
            if figures.frames != rest[0] or figures.stale or figures.position < chunks or self.desk.scene().level:
                rest = figures.frames, now
            found = self.newest()
            there = self.burned is not None and self.burned.position >= chunks
            return found if there and now > rest[1] + REST_S else None

        return until(resting, "all chunks are shown, and the wall rests")


def near(head: Head, place: Vec3) -> bool:
    return np.allclose(head.position, place, atol=0.01) and np.allclose(head.turn, LEFT, atol=1e-5)


def alike(one: Pictures, other: Pictures) -> bool:
    """Apart from the numbers in the corner, which count frames."""
    return all(
        differing(one[name][HEIGHT:], other[name][HEIGHT:]) <= BUDGET * one[name][HEIGHT:, :, 0].size
        and differing(one[name][:, WIDTH:], other[name][:, WIDTH:]) <= BUDGET * one[name][:, WIDTH:, 0].size
        for name in one
    )


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Run, list[Pictures]]]:
    """A run, and what a wall shows of it to heads at the default and at PLACES."""
    folder = tmp_path_factory.mktemp("heads")
    with House(folder) as house:
        run = Run(house)
        for _ in range(12):
            run.commit()
        heads = [Head((0.0, 0.0, 1500.0)), *(Head(place, LEFT) for place in PLACES)]
        found = []
        for number, head in enumerate(heads):
            wall = Showing(house, folder / str(number), corner(head), run.feed, (("--node", "here"),))
            found.append(wall.all_shown(run.committed))
            for process in (*wall.tiles, wall.conductor):
                process.terminate()
                assert process.wait(60) == 0
        yield house, run, found


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def dtrack() -> Iterator[Source]:
    """ART DTrack: lines of text in a datagram; the rotation is given column by column."""
    source = TrackerSource("dtrack", f"udp://127.0.0.1:{free_udp_port()}", axes=DEVICE)
    port = int(source.address.rpartition(":")[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", port))

        def say(place: Vec3) -> None:
            x, y, z = place
            turn = f"{C:.6f} {S:.6f} 0.000000 {-S:.6f} {C:.6f} 0.000000 0.000000 0.000000 1.000000"
            body = f"[0 1.000][{x:.3f} {-z:.3f} {y:.3f} 0.0000 0.0000 {TURN:.4f}][{turn}] "
            out.send(f"fr 1234\r\nts 41234.567800\r\n6dcal 1\r\n6d 1 {body}\r\n".encode())

        def rubbish() -> None:
            out.send(b"\xff\xfe\x00 nothing that anybody says")
            out.send(b"fr 1\r\n6d 1 [0 1.000][nan 2 3 0 0 0][1 0 0 0 1 0 0 0 1]\r\n")
            out.send(b"fr 1\r\n6d 1 [0 1.000][9 9 9 0 0 0][0 0 0 0 0 0 0 0 0]\r\n")
            out.send(b"6d 1 [0 1.000][9 9 9" + 30_000 * b" 9" + b"]\r\n")

        yield source, say, rubbish, {"line": 1, "not finite": 1, "rotation": 1, "too long": 1}


@contextmanager
def osc() -> Iterator[Source]:
    """Open Sound Control 1.0: address, type tags and big-endian numbers, each padded to four bytes."""
    source = TrackerSource("osc", f"udp://127.0.0.1:{free_udp_port()}")
    port = int(source.address.rpartition(":")[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", port))

        def say(place: Vec3) -> None:
            out.send(b"/cavecast/head\0\0,fffffff\0\0\0\0" + struct.pack(">7f", *place, *LEFT))

        def rubbish() -> None:
            out.send(b"nothing that anybody says")
            out.send(b"/cavecast/head\0\0,fffffff\0\0\0\0" + struct.pack(">7f", nan, 2, 3, 0, 0, 0, 1))
            out.send(b"/cavecast/head\0\0,fffffff\0\0\0\0" + struct.pack(">7f", 9, 9, 9, 0, 0, 0, 0))
            out.send(b"/somebody/elses/address\0,f\0\0" + struct.pack(">f", 1))
            out.send(os.urandom(40_000))

        yield source, say, rubbish, {"not OSC": 1, "not finite": 1, "turn": 1, "address": 1, "too long": 1}


@contextmanager
def vrpn() -> Iterator[Source]:
    """VRPN the old way: called by a datagram, it connects to us; poses, in metres, come by UDP."""
    with Server(takes_tcp=False) as server:
        source = TrackerSource("vrpn", f"DTrack@127.0.0.1:{server.port}", axes=DEVICE, unit="m")

        said = count(1)

        def say(place: Vec3) -> None:
            if not server.asked_for_udp.is_set():
                return
            if not server.described:
                server.describe("VRPN Control", "DTrack")
            x, y, z = place
            about_up = (0.0, 0.0, LEFT[1], LEFT[3])
            server.say(pose(11, 4, 0, (x / 1000, -z / 1000, y / 1000), about_up, next(said)), by_udp=True)

        def rubbish() -> None:
            server.say(b"nothing that anybody says", by_udp=True)
            server.say(pose(11, 4, 0, (nan, 2, 3), (0, 0, 0, 1)), by_udp=True)
            server.say(pose(11, 4, 0, (9, 9, 9), (0, 0, 0, 0)), by_udp=True)

        yield source, say, rubbish, {"length": 1, "not finite": 1, "turn": 1}


TIMES = (
    "draw_to_show_seconds",
    "ready_spread_seconds",
    "skew_seconds",
    "sensor_to_draw_seconds",
    "sensor_to_show_seconds",
    "chunk_to_show_seconds",
)


def exported(address: str, packets: int) -> dict[tuple[str, ...], float] | None:
    """What the conductor serves, by name and labels in order; None while it is older than so many packets."""
    with urlopen(address, timeout=30) as answer:  # noqa: S310  # its own, on loopback
        families = list(text_string_to_metric_families(answer.read().decode()))
    found = {
        (
            sample.name.removeprefix("cavecast_wall_"),
            *(value for name, value in sorted(sample.labels.items()) if name != "wall"),
        ): float(sample.value)
        for family in families
        for sample in family.samples
    }
    heard = [value for (name, *labels), value in found.items() if name == "tracker_packets_total" and labels[-1] == "0"]
    return found if heard and heard[0] >= packets else None


@pytest.mark.parametrize("tracker", [dtrack, osc, vrpn])
def test_a_tracker_moves_the_head_of_a_running_wall_and_rubbish_does_not(
    tracker: Callable[[], AbstractContextManager[Source]], stage: tuple[House, Run, list[Pictures]], tmp_path: Path
) -> None:
    house, run, (still, *followed) = stage
    with tracker() as (source, say, rubbish, reasons):
        wall = corner(Head((0.0, 0.0, 1500.0)), source)
        parts = (("--tile", "flat"), ("--tile", "side"))
        showing = Showing(house, tmp_path / "wall", wall, run.feed, parts)
        assert alike(showing.all_shown(run.committed), still)

        def heard() -> Heard:
            return showing.desk.figures().heard

        for place, expected in zip(PLACES, followed, strict=True):
            until(partial(showing.followed, say, place), "the head is there")
            until(partial(showing.shows, expected, say, place), "so are the pictures")
            assert not alike(still, expected)
        before = heard().sources[0]
        rubbish()
        wanted = {reason: before.garbage.get(reason, 0) + count for reason, count in reasons.items()}

        def counted() -> bool | None:
            say(PLACES[-1])
            return wanted.items() <= heard().sources[0].garbage.items() or None

        until(counted, f"{wanted}", 20)
        assert showing.followed(say, PLACES[-1])
        after = heard()
        assert after.sources[0].packets > before.packets
        assert after.head is not None
        assert after.head.rejected == {}
        until(partial(showing.shows, followed[-1], say, PLACES[-1]), "the pictures are as they were")
        figures = showing.desk.figures()
        assert figures.sensor_to_draw.count >= 2
        assert figures.sensor_to_show.count >= 2
        # All of it is served, for whoever watches the wall.
        served = until(partial(exported, showing.metrics, after.sources[0].packets), "the metrics are as new as that")
        for name in TIMES:
            assert 0 <= served[name, "0.5"] <= served[name, "0.99"] < 60
            assert served[name, "0.99"] > 0
        assert 0 < max(served["show_skew_seconds", "0.99", name] for name in ("flat", "side")) < 60
        assert served["evictions_total", "late"] >= figures.evictions_late
        assert served["evictions_total", "stale"] >= figures.evictions_stale
        assert served["frame_rate_hertz",] >= 0
        for reason, number in wanted.items():
            assert served["tracker_garbage_total", source.kind, reason, "0"] == number
        for process in (*showing.tiles, showing.conductor):
            process.terminate()
            assert process.wait(60) == 0
