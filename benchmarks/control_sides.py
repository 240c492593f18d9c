"""Both sides of the relay's comparison, and the crowd that looks at them.

A source of frames stands where a renderer would (a ROUTER; one DEALER per browser comes to it), browsers are bare
sockets in a process of their own: 20 WebSockets that acknowledge each frame, and 200 event streams that only read.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import uvicorn
import zmq
import zmq.asyncio

from benchmarks.wires import FORK, Child, cpu_s
from streamer.control import booking, runs
from streamer.control.app import make_app
from streamer.control.booking import Booking, Inspection
from streamer.control.folder import Folder
from streamer.control.launching import Views
from streamer.control.registry import open_registry
from streamer.control.runs import Run
from streamer.control.schema import RunRequest
from streamer.settings import Settings
from streamer.wire.grid import Grid
from streamer.wire.status import Part
from streamer.wire.volume import Axis, RunSpec, Source, Volume, floats

STREAMS, VIEWERS, FRAMES_PER_S, FRAME = 200, 20, 30, 100_000
NEWS_PER_S = 5
IN_FLIGHT = 4
RUN_ID = "blobs-00000000"
ACK = b"\x02" + bytes(12)


def spec() -> RunSpec:
    """A run of a thousand chunks."""
    grid = Grid((640, 640, 640), (64, 64, 64))
    axes = [
        Axis(name, "other", floats(np.arange(n, dtype=float)), floats(np.ones(n)))
        for name, n in zip("zyx", grid.shape, strict=True)
    ]
    volume = Volume("blobs", (axes[0], axes[1], axes[2]), title="blobs")
    return RunSpec("bench", Source("npy", "/data/blobs.npy"), volume, grid, "connect", {"threshold": 1})


def booked() -> Booking:
    """The run that both sides tell of."""
    run = spec()
    found = Inspection(Source("npy", "/data/blobs.npy"), run.volume, run.grid)
    return booking.book(RunRequest(input="/data/blobs.npy"), found, 8, RUN_ID, "2026-01-01T00:00:00+00:00")


def at(record: Run, number: int) -> Run:
    """The run after so many news: chunks are committed, and eight workers have something to say."""
    parts = tuple(Part(f"worker-{n}", "worker", number, 4, 1.5, None) for n in range(8))
    done = number % 1000
    status = msgspec.structs.replace(record.status, state="running", committed=done, objects=done, parts=parts)
    standing = tuple(runs.Standing(part.name, "worker", "running") for part in parts)
    return msgspec.structs.replace(record, state="running", status=status, parts=standing)


class MadeUp:
    """A run that lives without parts: it has news five times a second, and its frames come from elsewhere."""

    def __init__(self, record: Run, views: str) -> None:
        self.version, self.keys, self.link, self.relays = 0, None, None, {}  # type: ignore[var-annotated]
        self.closed, self.closing = asyncio.Event(), asyncio.Event()
        self.record = self._first = record
        self._views, self._news = views, asyncio.Event()

    async def newer(self, version: int) -> int:
        """Waits for news."""
        while self.version <= version:
            await self._news.wait()
        return self.version

    async def views(self) -> Views:
        """Where frames come from."""
        return Views(self._views, asyncio.Event())

    def viewer_came(self) -> None:
        """Nobody counts."""

    def viewer_went(self) -> None:
        """Nobody counts."""

    def close(self, *, for_good: bool = True) -> None:
        """Ends it."""
        del for_good
        self.closing.set()

    async def live(self) -> None:
        """Has news."""
        while not self.closing.is_set():
            await asyncio.sleep(1 / NEWS_PER_S)
            self.version += 1
            self.record = at(self._first, self.version)
            news, self._news = self._news, asyncio.Event()
            news.set()
        self.closed.set()


class Launching:
    """A launcher of such runs."""

    name, temporary = "made up", False

    def __init__(self, views: str) -> None:
        self._views = views

    def launch(self, booked: Booking, record: Run, *, over: bool = False) -> Any:
        """One run."""
        del booked, over
        return MadeUp(record, self._views)

    async def left(self, run_id: str) -> None:
        """Nothing is."""

    async def close(self) -> None:
        """Nothing to let go of."""


def _server(app: Any) -> uvicorn.Server:
    return uvicorn.Server(uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, proxy_headers=False, ws_max_size=64 << 10,
        ws_per_message_deflate=False, lifespan="off", timeout_graceful_shutdown=1,
    ))  # fmt: skip


def _listening() -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.bind(("127.0.0.1", 0))
    return found


def _ours(say: Connection, views: str) -> None:
    async def serve() -> None:
        with tempfile.TemporaryDirectory() as home:
            folder = Folder(Path(home))
            async with open_registry(Settings(dir=Path(home)), folder) as registry:
                registry.launcher = registry.roster.launcher = Launching(views)  # type: ignore[assignment]
                one = booked()
                registry.roster.live(one, booking.record(one))  # as it is done once a request has been looked at
                await _stay(say, make_app(registry))

    asyncio.run(serve())


def _bare(say: Connection, views: str) -> None:
    record = booking.record(booked())
    context = zmq.asyncio.Context()
    event, news = b"", asyncio.Event()

    async def tell() -> None:
        nonlocal event, news
        number = 0
        while True:
            await asyncio.sleep(1 / NEWS_PER_S)
            number += 1
            event = b"event: run\ndata: " + msgspec.json.encode(at(record, number)) + b"\n\n"
            before, news = news, asyncio.Event()
            before.set()

    async def stream(receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})

        async def push() -> None:
            while True:
                await news.wait()
                await send({"type": "http.response.body", "body": event, "more_body": True})

        pushing = asyncio.create_task(push())
        while (await receive())["type"] != "http.disconnect":
            pass
        pushing.cancel()

    async def view(receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        dealer = context.socket(zmq.DEALER)
        dealer.setsockopt(zmq.RCVHWM, IN_FLIGHT)
        dealer.connect(views)
        await dealer.send(b"opened")

        async def down() -> None:
            while True:
                await send({"type": "websocket.send", "bytes": await dealer.recv()})

        passing = asyncio.create_task(down())
        while (message := await receive())["type"] != "websocket.disconnect":
            await dealer.send(message["bytes"])
        passing.cancel()
        dealer.close(linger=0)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (view if scope["type"] == "websocket" else stream)(receive, send)

    async def serve() -> None:
        telling = asyncio.create_task(tell())
        await _stay(say, app)
        telling.cancel()

    asyncio.run(serve())


async def _stay(say: Connection, app: Any) -> None:
    """Serves until told to end; on each word says its CPU seconds."""
    server, listening = _server(app), _listening()
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    say.send(listening.getsockname()[1])
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    loop.add_reader(say.fileno(), asked.set)
    while True:
        await asked.wait()
        asked.clear()
        if not say.poll(0):
            continue
        word = say.recv()
        say.send(cpu_s())
        if word == "end":
            break
    loop.remove_reader(say.fileno())
    server.should_exit = True
    with contextlib.suppress(asyncio.CancelledError):
        await serving


CPU_SIDES: dict[str, Callable[..., None]] = {"ours": _ours, "bare": _bare}


def _frames(say: Connection, address: str) -> None:
    """The source: to each that has come a frame when it is due, if no more than a few are on their way to it."""
    context = zmq.Context()
    door = context.socket(zmq.ROUTER)
    door.setsockopt(zmq.LINGER, 0)
    door.bind(address)
    frame = os.urandom(FRAME)
    due: dict[bytes, float] = {}
    flying: dict[bytes, int] = {}
    say.send("ready")
    while not say.poll(0):
        now = time.monotonic()
        for peer, when in due.items():
            if when <= now and flying[peer] < IN_FLIGHT:
                door.send_multipart([peer, frame], copy=False)
                flying[peer] += 1
                due[peer] = max(when + 1 / FRAMES_PER_S, now - 0.1)
        next_ = min([when for peer, when in due.items() if flying[peer] < IN_FLIGHT], default=now + 0.05)
        wait_s = max(0.0, next_ - now)
        if not door.poll(1 + int(1000 * min(wait_s, 0.05))):
            continue
        with contextlib.suppress(zmq.Again):
            while True:
                peer, word = door.recv_multipart(zmq.NOBLOCK)
                if peer not in due:
                    due[peer], flying[peer] = time.monotonic() + len(due) / VIEWERS / FRAMES_PER_S, 0
                elif word == ACK:
                    flying[peer] -= 1
    context.destroy(linger=0)


def _browsers(say: Connection, port: int) -> None:
    """The crowd: says when all have got something, then counts until asked."""
    counts = {"frames": 0, "events": 0}
    origin = f"127.0.0.1:{port}"
    masked = bytes((0x82, 0x80 | len(ACK))) + bytes(4) + ACK  # a mask of zeroes changes nothing

    async def stream(came: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /api/v1/runs/{RUN_ID}/events HTTP/1.1\r\nHost: {origin}\r\n\r\n".encode())
        while raw := await reader.read(65536):
            counts["events"] += raw.count(b"event: run")
            came.set()

    async def view(came: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /api/v1/runs/{RUN_ID}/view HTTP/1.1\r\nHost: {origin}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        while True:
            head = await reader.readexactly(2)
            size = head[1]
            if size == 126:
                size = struct.unpack(">H", await reader.readexactly(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", await reader.readexactly(8))[0]
            await reader.readexactly(size)
            if size == FRAME:
                counts["frames"] += 1
                writer.write(masked)
                came.set()

    async def all_() -> None:
        came = [asyncio.Event() for _ in range(STREAMS + VIEWERS)]
        tasks = [asyncio.create_task((view if n < VIEWERS else stream)(one)) for n, one in enumerate(came)]
        await asyncio.gather(*(one.wait() for one in came))
        say.send("all")
        loop, asked = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(say.fileno(), asked.set)
        while True:
            await asked.wait()
            asked.clear()
            if not say.poll(0):
                continue
            if say.recv() == "end":
                break
            say.send(dict(counts))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(all_())


def child(work: Callable[..., None], *arguments: Any) -> Child:
    """Starts a process that can be spoken to."""
    here, there = FORK.Pipe()
    process = FORK.Process(target=work, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    return Child(process, here)


def crowd(side: Callable[..., None], seconds: float) -> float:
    """CPU seconds of a side per second, with the whole crowd served as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"ipc://{folder}/views"
        source = child(_frames, address)
        source.hear()
        server = child(side, address)
        browsers = child(_browsers, server.hear())
        browsers.hear()
        before, had, began = _said(server, "cpu"), _said(browsers, "counts"), time.perf_counter()
        time.sleep(seconds)
        after, has, took = _said(server, "cpu"), _said(browsers, "counts"), time.perf_counter() - began
        for one in (browsers, server, source):
            one.said.send("end")
        for one in (browsers, server, source):
            one.end()
    for what, wanted in (("frames", VIEWERS * FRAMES_PER_S), ("events", STREAMS * NEWS_PER_S)):
        rate = (has[what] - had[what]) / took
        assert rate > 0.85 * wanted, f"{rate:.0f} {what}/s came, {wanted} should have: the machine is too busy for this"
    return float(after - before) / took


def _said(one: Any, word: str) -> Any:
    one.said.send(word)
    return one.hear()
