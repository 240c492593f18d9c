"""The frame lock of a wall, without drawing: what it costs, how far tiles are apart, and how soon a sensor counts.

A real conductor process and eleven real seats in processes of their own that are ready at once.  Call ``rows`` from
another benchmark, or run ``python -m benchmarks.barrier``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import zmq

from benchmarks.report import Row, at_most, conclude, options
from renderers.wall import framing, messages
from renderers.wall.call import Call, host
from renderers.wall.figures import WallFigures
from renderers.wall.messages import Beat, Join, Reach, Ready, Shown, Tile
from renderers.wall.records import Node, Place, Screen, TrackerSource, Wall
from renderers.wall.records import Tile as Output
from renderers.wall.seat import Greet, Mark, Paint, Pulse, Quit, Seat, Swap
from renderers.wall.seating import digest
from renderers.wall.shelf import load_wall
from renderers.wall.write import to_toml
from streamer.wire.viewing import Placement, View

TILES, PATIENCE_S = 11, 60.0
CAVECAST = str(Path(sys.executable).parent / "cavecast")
EMPTY = (Reach("", 0, 0),)


def seat(address: str, name: str, wall: str) -> None:
    """A tile process that draws nothing; ends at SIGTERM."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    call, side = Call(context, address, None), Seat(time.monotonic())
    while True:
        call.socket.poll(max(0, round(1000 * (side.deadline() - time.monotonic()))))
        now = time.monotonic()
        for step in side.receive(call.said(), now, now):
            match step:
                case Paint(draw):
                    side.painted(draw)
                    call.say(Ready(draw.frame, EMPTY))
                case Swap(draw):
                    shown = (Tile(name, time.monotonic()),)
                    call.say(Shown(draw.frame, draw.view, draw.epoch, draw.position, shown))
                case Greet():
                    call.say(Join(messages.VERSION, name, (name,), wall, EMPTY, side.shown, host()))
                case Pulse():
                    call.say(Beat(side.turn, EMPTY, now))
                case Mark() | Quit():
                    pass


def plain_wall(tiles: int) -> Wall:
    """So many tiles in a row."""
    names = [f"t{i}" for i in range(tiles)]
    screens = tuple(
        Screen(name, (500.0 * i, 0.0, -1000.0), (500.0 * i + 500, 0.0, -1000.0), (500.0 * i, 300.0, -1000.0))
        for i, name in enumerate(names)
    )
    outputs = tuple(Output(name, name, name, "mono", Place(0, 0, 64, 36), "") for name in names)
    return Wall("bench", screens, outputs, tuple(Node(name) for name in names))


def measure(frames: int, tiles: int = TILES, rate_hz: float = 60.0, *, tracked: bool = False) -> WallFigures:
    """The figures of a wall after so many frames of an empty scene, moved by its view or (``tracked``) by a head."""
    sensor = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sensor.bind(("127.0.0.1", 0))
    at = sensor.getsockname()
    sensor.close()
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wall.toml"
        wall = plain_wall(tiles)
        if tracked:
            source = TrackerSource("dtrack", f"udp://{at[0]}:{at[1]}", head=0)
            wall = msgspec.structs.replace(wall, trackers=(source,))
        path.write_text(to_toml(wall))
        wall = load_wall(path)
        listen = f"ipc://{folder}/conductor"
        conductor = subprocess.Popen(
            [CAVECAST, "conductor", "--wall", str(path), "--listen", listen, "--rate", str(2 * rate_hz)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert conductor.stdout is not None
        address = json.loads(conductor.stdout.readline())["address"]
        names = [tile.name for tile in wall.tiles]
        seats = [spawn.Process(target=seat, args=(address, name, digest(wall)), daemon=True) for name in names]
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        desk = context.socket(zmq.DEALER)
        desk.connect(address)
        hand = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            for one in seats:
                one.start()
            begun = time.monotonic()
            while _figures(desk).live < tiles:
                if time.monotonic() > begun + PATIENCE_S:
                    raise TimeoutError(f"after {PATIENCE_S:g} s not all of {tiles} seats are live")
                time.sleep(0.05)
            turn, first = 0, _figures(desk).frames
            while turn < frames or _figures(desk).frames < first + frames // 2:
                turn += 1
                if tracked:
                    body = f"6d 1 [0 1.000][{turn % 400}.0 100.0 500.0 0 0 0][1 0 0 0 1 0 0 0 1] "
                    hand.sendto(f"fr {turn}\r\n6dcal 1\r\n{body}\r\n".encode(), at)
                else:
                    view = View(placement=Placement((float(turn), 0.0, 0.0)))
                    desk.send_multipart([framing.encode(messages.SetView(turn)), framing.encode_view(view)])
                    desk.recv_multipart()
                time.sleep(1 / rate_hz)
            return _figures(desk)
        finally:
            for one in seats:
                if one.pid is not None:
                    os.kill(one.pid, signal.SIGTERM)
                    one.join()
            conductor.send_signal(signal.SIGTERM)
            conductor.wait()
            conductor.stdout.close()
            hand.close()
            desk.close(0)
            context.term()


def _figures(desk: zmq.Socket[bytes]) -> WallFigures:
    desk.send(framing.encode(messages.Ask(0, "figures")))
    _, payload = desk.recv_multipart()
    return msgspec.msgpack.decode(payload, type=WallFigures)


def rows(*, quick: bool) -> list[Row]:
    """A row for each bar."""
    found = measure(300 if quick else 1000)
    lock, skew = found.draw_to_show, found.skew
    sensed = measure(300 if quick else 1000, tracked=True).sensor_to_draw
    return [
        at_most("Draw to Show, eleven tiles, p50", f"{1000 * lock.p50_s:.2f} ms", 1000 * lock.p50_s / 3, 1),
        at_most("Draw to Show, eleven tiles, p99", f"{1000 * lock.p99_s:.2f} ms", 1000 * lock.p99_s / 10, 1),
        at_most("Show skew, eleven tiles, p99", f"{1000 * skew.p99_s:.2f} ms", 1000 * skew.p99_s / 4, 1),
        at_most("sensor packet to Draw, p99", f"{1000 * sensed.p99_s:.2f} ms", 1000 * sensed.p99_s / 3, 1),
    ]


if __name__ == "__main__":
    given = options(__doc__ or "")
    sys.exit(conclude("barrier", rows(quick=given.quick), given))
