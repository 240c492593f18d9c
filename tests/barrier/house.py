"""A run and a wall in real processes: a streamer whose chunks the test commits, a conductor, tiles."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray
from PIL import Image

from inference_workers.connect import components
from inference_workers.segmenter import Block, Labelling
from inference_workers.statistics import measure
from renderers.wall import framing, messages
from renderers.wall.figures import WallFigures
from renderers.wall.records import Fit, Node, Place, Screen, Tile, Wall
from streamer.wire.block import Segmented, pack
from streamer.wire.grid import Box
from streamer.wire.header import decode, encode
from streamer.wire.keys import Keys
from streamer.wire.messages import Ack, Ask, Hello, Lease
from streamer.wire.viewing import Head, View
from streamer.wire.volume import RunSpec
from tests.ending import end, line_within
from tests.renderers.runs import blobs, block_of, plain, spec_of

CAVECAST = str(Path(sys.executable).parent / "cavecast")
PATIENCE_S = 60.0
SIZE = (64, 36)
T = TypeVar("T")


def until(what: Callable[[], T | None], words: str, patience_s: float = PATIENCE_S) -> T:
    """Waits until ``what`` gives something."""
    deadline = time.monotonic() + patience_s
    while (found := what()) is None:
        assert time.monotonic() < deadline, f"in vain: {words}"
        time.sleep(0.005)
    return found


def same_screen(names: list[str], node: str = "here", size: tuple[int, int] = SIZE) -> Wall:
    """A wall all of whose tiles show the same screen: their pictures must be equal, byte by byte."""
    screen = Screen("middle", (-640.0, -360.0, 0.0), (640.0, -360.0, 0.0), (-640.0, 360.0, 0.0))
    tiles = tuple(Tile(name, "middle", node, "mono", Place(0, 0, *size), "") for name in names)
    return Wall(
        "same", (screen,), tiles, (Node(node),), head=Head((0.0, 0.0, 1500.0)), fit=Fit(1200.0, (0.0, 0.0, -400.0))
    )


class House:
    """Processes that end with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.processes: list[subprocess.Popen[str]] = []
        self.sockets: list[zmq.Socket[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for socket in self.sockets:
            socket.close(0)
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
        for process in self.processes:
            end(process, None)
        self.context.term()

    def start(self, *arguments: str, wrap: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """A part; what it logs goes to a file of its own."""
        log = (self.folder / f"log-{len(self.processes)}.txt").open("w")
        with log:
            process = subprocess.Popen(
                [*wrap, CAVECAST, *arguments], stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "LP_NUM_THREADS": "1"},
            )  # fmt: skip
        self.processes.append(process)
        return process

    def ready(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        """What a part says when it is ready."""
        line = line_within(process.stdout)
        log = (self.folder / f"log-{self.processes.index(process)}.txt").read_text()
        assert line, log
        found: dict[str, Any] = json.loads(line)
        return found

    def log(self, process: subprocess.Popen[str]) -> str:
        """What a part has logged so far."""
        return (self.folder / f"log-{self.processes.index(process)}.txt").read_text()

    def dealer(self, address: str, keys: Keys | None = None) -> zmq.Socket[bytes]:
        """A socket that is connected there."""
        socket = self.context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        if keys is not None:
            socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
            socket.setsockopt(zmq.CURVE_SERVERKEY, keys.public)
        socket.connect(address)
        self.sockets.append(socket)
        return socket


class Run:
    """A streamer, and the worker that the test is."""

    def __init__(self, house: House) -> None:
        volume = plain((16, 16, 24))
        self.spec: RunSpec = spec_of(volume, (6, 6, 6))
        self.labels = blobs(self.spec.grid.shape, level=0.7)
        file = house.folder / "run.json"
        file.write_bytes(msgspec.json.encode(self.spec))
        log = str(house.folder / "log")
        self.process = house.start("streamer", "--log", log, "--run", str(file), "--lease-s", "600")
        said = house.ready(self.process)
        self.feed = said["feed"]
        self._socket = house.dealer(said["ingest"])
        self._say(Hello(1, "worker", "test"))
        self._say(Ask(1))
        self.committed = 0

    @property
    def chunks(self) -> int:
        """How many there are."""
        return self.spec.grid.size

    def commit(self) -> None:
        """One more chunk."""
        lease = self._heard(Lease)
        done = segmented(self.spec, lease.chunk, self.labels)
        commit, payloads = pack(self.spec.grid, lease.chunk, lease.lease, done)
        self._socket.send_multipart([encode(commit), *payloads])
        self._heard(Ack)
        self.committed += 1

    def _say(self, message: Hello | Ask) -> None:
        self._socket.send(encode(message))

    def _heard(self, kind: type[T]) -> T:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self._socket.poll(1000):
                message, _ = decode(self._socket.recv_multipart())
                if isinstance(message, kind):
                    return message
                assert type(message).__name__ not in ("Refuse", "Drain"), message
        raise AssertionError(f"no {kind.__name__} came")


def segmented(spec: RunSpec, chunk: int, labels: NDArray[np.uint32]) -> Segmented:
    """What a worker makes of a chunk."""
    grid = spec.grid
    field = (block_of(grid, chunk, labels) > 0).astype(np.float32)
    inner = Box((0, 0, 0), grid.block_shape(chunk))
    block = Block(grid, chunk, spec.volume, field, inner, None, lambda: None)
    return measure(block, Labelling(components(field > 0, 26)))


class Desk:
    """Somebody at the conductor's door who sets the view and asks."""

    def __init__(self, house: House, address: str, keys: Keys | None = None) -> None:
        self._socket = house.dealer(address, keys)
        self._requests = 0

    def view(self, view: View) -> None:
        """Shows this from now on."""
        self._requests += 1
        self._socket.send_multipart([framing.encode(messages.SetView(self._requests)), framing.encode_view(view)])
        self._answer()

    def figures(self) -> WallFigures:
        """The wall in figures."""
        return msgspec.msgpack.decode(self._ask("figures"), type=WallFigures)

    def scene(self) -> messages.Scene:
        """What is shown."""
        return framing.decode_scene(self._ask("scene"))

    def play(self, playing: bool, steps_per_s: float = 4.0) -> None:
        """Time runs, or stops."""
        self._requests += 1
        self._socket.send(framing.encode(messages.Play(self._requests, playing, steps_per_s)))
        self._answer()

    def _ask(self, what: str) -> bytes:
        self._requests += 1
        self._socket.send(framing.encode(messages.Ask(self._requests, what)))
        return self._answer()

    def _answer(self) -> bytes:
        while self._socket.poll(int(1000 * PATIENCE_S)):
            message, payload = framing.decode(self._socket.recv_multipart())
            assert isinstance(message, messages.Answer), message
            if message.request == self._requests:
                return payload
        raise AssertionError("the conductor does not answer")


def read_png(path: Path) -> NDArray[np.uint8]:
    """A saved picture, (height, width, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
