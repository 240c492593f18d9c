"""A small server that speaks the control plane's contract with made-up pictures: for the tests of the page alone.

Each picture carries, as a row of black and white blocks, the number of the input that it answers, so that a
test can read from the canvas what is really shown.  What viewers send is kept in a journal that tests wait on.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from streamer.control.security import HEADERS
from streamer.wire.view import JPEG, KEY, NOTE, STILL, Acknowledged, Frame, Input, decode_up, encode_frame

WEB = Path(__file__).parents[2] / "display_clients" / "web"
BITS, BLOCK = 16, 8
"""The mark: so many blocks of so many pixels, the highest bit first, at the left of the lowest rows."""


def picture(state: Input) -> bytes:
    """A JPEG of the size asked for, whose blocks spell the input's number."""
    y, x = np.mgrid[0 : state.height, 0 : state.width]
    pixels = np.empty((state.height, state.width, 3), np.uint8)
    pixels[..., 0] = 40 + 30 * np.sin(x / 60 + 3 * state.camera.azimuth)
    pixels[..., 1] = 70 + 40 * np.sin(y / 50 + 3 * state.camera.elevation)
    pixels[..., 2] = 110
    for i in range(BITS):
        bit = state.sequence >> (BITS - 1 - i) & 1
        pixels[-BLOCK:, i * BLOCK : (i + 1) * BLOCK] = 255 * bit
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 90, "RGB", "444", True))


def object_row(i: int, *, final: bool = True) -> dict[str, object]:
    """The i-th object of the made-up table; no two columns have the same order."""
    return {
        "id": 1 + (i * 791_909) % 2_000_003, "first_step": i % 50, "last_step": i % 50 + 3 + i % 7,
        "lifetime_h": 9.0 + 3 * (i % 7) + 6 * (i % 3), "voxels": 20_000 // (i + 1) + i % 5,
        "mean": 300.0 + (i * 37) % 90, "max": 420.0 + (i * 53) % 700,
        "footprint_km2": 9.1e6 / (1 + (i * 5) % 17), "area_time_km2_h": 1e8 / (i + 1),
        "y": -60 + (i * 13) % 120, "x": (i * 29) % 360, "y_range": [3, 20],
        "x_range": [120, 8] if i % 9 == 0 else [4, 30],
        "touches_edge": i % 6 == 0, "final": final, "first_time": f"1959-01-{2 + i % 20:02}T06:00:00",
        "last_time": f"1959-01-{3 + i % 20:02}T18:00:00",
    }  # fmt: skip


class Fake:
    """The run that is served, and the journal of what its viewers said.  Set what is to be seen, then ``tell``."""

    def __init__(self, run_id: str = "rivers-01", window: int = 2) -> None:
        self.run_id, self.window = run_id, window
        self.draw: Callable[[Input], bytes] = picture
        self.inputs: list[Input] = []
        self.acks: list[int] = []
        self.most_in_flight = 0
        self.viewers = 0
        self.asked: list[tuple[str, float]] = []
        self.cancelled = False
        self.refusing = False
        self.note_text = ""
        self.version = 0
        self.changed = threading.Condition()
        self.states = [0] * 64
        self.objects: list[dict[str, object]] = []
        self.run: dict[str, Any] = {
            "run_id": run_id, "state": "running", "error": None, "remarks": [], "created": "2026-01-05T10:00:00Z",
            "title": "Atmospheric water vapour, a month (simulation)", "variable": "ivt", "units": "kg m-1 s-1",
            "segmenter": "connect", "parameters": {"threshold": 500.0},
            "shape": [240, 64, 128], "chunk": [60, 16, 32], "dims": ["time", "latitude", "longitude"],
            "on_sphere": True, "has_time": True, "view_url": f"/view/{run_id}", "out": None,
        }  # fmt: skip
        self.progress(0, 0)

    def progress(self, committed: int, leased: int, failed: int = 0, *, state: str = "running") -> None:
        """The run goes on: so many chunks in each state."""
        self.states = [2] * committed + [3] * failed + [1] * leased + [0] * (64 - committed - failed - leased)
        done = committed * 30720
        self.run["state"] = state
        self.run["status"] = {
            "run_id": self.run_id, "state": state, "chunks": 64,
            "committed": committed, "leased": leased, "failed": failed,
            "voxels": 1_966_080, "voxels_done": done, "labelled_voxels": done // 20, "objects": len(self.objects),
            "seconds": 0.47 * committed, "voxels_per_second": 65_300.0 if committed else 0.0,
            "eta_s": 0.47 * (64 - committed) if committed else None, "log_position": 2 * committed,
            "log_bytes": 1000 * committed, "parts": [], "failures": {str(committed): "out of memory"} if failed else {},
        }  # fmt: skip
        self.tell()

    def tell(self) -> None:
        """What followers see is other than before."""
        with self.changed:
            self.version += 1
            self.changed.notify_all()

    def wait(self, until: Callable[[], bool], what: str, deadline_s: float = 10.0) -> None:
        """Waits until something holds that viewers bring about; fails after the deadline."""
        with self.changed:
            assert self.changed.wait_for(until, deadline_s), f"{what} did not happen in {deadline_s:g} s"

    def note(self, message: Input | Acknowledged) -> None:
        """A viewer has said something."""
        with self.changed:
            if isinstance(message, Input):
                self.inputs.append(message)
            else:
                self.acks.append(message.frame)
            self.changed.notify_all()


async def stream(fake: Fake, browser: WebSocket) -> None:
    """One viewer: a picture for the newest input whenever fewer than the window are unacknowledged."""
    newest: Input | None = None
    said = ""
    shown = sent = acknowledged = 0
    while True:
        message = decode_up(await browser.receive_bytes())
        assert isinstance(message, Input | Acknowledged)
        fake.note(message)
        if isinstance(message, Input):
            newest = message
        else:
            acknowledged = max(acknowledged, message.frame)
        if newest is not None and newest.sequence != shown and sent - acknowledged < fake.window:
            sent += 1
            shown = newest.sequence
            flags = KEY if newest.moving else KEY | STILL
            head = Frame(JPEG, flags, sent, shown, 0, 2, newest.width, newest.height, 1.5, 0.5)
            await browser.send_bytes(encode_frame(head) + fake.draw(newest))
            fake.most_in_flight = max(fake.most_in_flight, sent - acknowledged)
        if said != fake.note_text:
            said = fake.note_text
            note = Frame(NOTE, 0, sent, 0, 0, 2, 0, 0, 0.0, 0.0)
            await browser.send_bytes(encode_frame(note) + json.dumps({"text": said}).encode())


def application(fake: Fake) -> FastAPI:
    """The pages, the files and the API."""
    app = FastAPI()

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    def page(base: str) -> HTMLResponse:
        return HTMLResponse((WEB / "index.html").read_text().replace('<base href="../">', f'<base href="{base}">'))

    @app.get("/")
    async def runs_page() -> HTMLResponse:
        return page("./")

    @app.get("/view/{run_id}")
    async def run_page(run_id: str) -> HTMLResponse:
        return page("../")

    @app.get("/api/v1/runs")
    async def runs() -> list[dict[str, Any]]:
        return [fake.run]

    def known(run_id: str) -> None:
        if run_id != fake.run_id:
            raise HTTPException(404, f"there is no run {run_id}")

    @app.get("/api/v1/runs/{run_id}")
    async def run(run_id: str) -> Response:
        known(run_id)
        return JSONResponse(fake.run)

    @app.get("/api/v1/runs/{run_id}/events")
    async def events(run_id: str) -> StreamingResponse:
        known(run_id)

        async def course() -> AsyncIterator[str]:
            version = -1
            while True:
                if version != fake.version:
                    version = fake.version
                    yield f"event: run\ndata: {json.dumps(fake.run)}\n\n"
                    if fake.run["state"] in ("complete", "cancelled", "failed"):
                        yield "event: end\ndata: {}\n\n"
                        return
                await asyncio.sleep(0.05)

        return StreamingResponse(course(), media_type="text/event-stream")

    @app.get("/api/v1/runs/{run_id}/objects")
    async def objects(run_id: str, limit: int) -> dict[str, object]:
        fake.asked.append(("objects", time.monotonic()))
        if fake.refusing:
            raise HTTPException(503, "the streamer does not answer")
        return {"total": len(fake.objects), "objects": fake.objects[:limit]}

    @app.get("/api/v1/runs/{run_id}/chunks")
    async def chunks(run_id: str) -> dict[str, object]:
        fake.asked.append(("chunks", time.monotonic()))
        return {"counts": [4, 4, 4], "states": fake.states}

    @app.post("/api/v1/runs/{run_id}/cancel")
    async def cancel(run_id: str) -> dict[str, object]:
        fake.cancelled = True
        fake.progress(20, 0, state="cancelled")
        return fake.run

    @app.websocket("/api/v1/runs/{run_id}/view")
    async def view(browser: WebSocket, run_id: str) -> None:
        await browser.accept()
        if run_id != fake.run_id:
            await browser.close(4404, f"there is no run {run_id}")
            return
        fake.viewers += 1
        with suppress(WebSocketDisconnect):
            await stream(fake, browser)

    app.mount("/static", StaticFiles(directory=WEB))
    return app


@contextmanager
def serving(fake: Fake, port: int = 0, prefix: str = "") -> Iterator[str]:
    """Serves on a loopback port until left; then all connections are cut.  Gives the address, prefix included."""
    app = application(fake)
    if prefix:
        outer = FastAPI()
        outer.mount(prefix, app)
        app = outer
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind(("127.0.0.1", port))
    door.listen()
    settings = uvicorn.Config(
        app,
        log_level="critical",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        timeout_graceful_shutdown=0,
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, name="page-server")
    thread.start()
    try:
        yield f"http://127.0.0.1:{door.getsockname()[1]}{prefix}"
    finally:
        server.should_exit = True
        thread.join(20)
        door.close()
        assert not thread.is_alive(), "the page's test server did not stop"
