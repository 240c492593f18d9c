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
from typing import Annotated, Any

import msgspec
import numpy as np
import simplejpeg
import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from inference_workers.segmenter import catalogue
from inference_workers.source import InputError, InspectRequest, SeveralVariables, inspect
from renderers.picture import png
from streamer.control.access.shown import ProjectShown
from streamer.control.answers import as_json, problem
from streamer.control.booking import Inspection, described
from streamer.control.catalog_routes import Look
from streamer.control.openapi import System, WallEntry
from streamer.control.said import Line
from streamer.control.schema import RunRequest
from streamer.control.security import HEADERS
from streamer.wire.looking import Looking, Pointing
from streamer.wire.presence import At, Drawn, Named, Said, Wish
from streamer.wire.status import LifeStep, ObjectRow
from streamer.wire.view import (
    JPEG,
    KEY,
    NOTE,
    PNG,
    STILL,
    Acknowledged,
    Beat,
    Frame,
    Handed,
    Input,
    Video,
    decode_up,
    encode_frame,
    encode_goodbye,
)

WEB = Path(__file__).parents[2] / "display_clients" / "web"
VIEWING = "cavecast.view"


class Row(ObjectRow, frozen=True, forbid_unknown_fields=True):
    """An object as the server tells it: what the page is shown here, it is shown there too."""


Message = Input | Acknowledged | Beat | Handed | Looking | Pointing | Said
MESSAGES = (Input, Acknowledged, Beat, Handed, Looking, Pointing, Named, At, Wish, Drawn)
BITS, BLOCK = 16, 8
"""The mark: so many blocks of so many pixels, the highest bit first, at the left of the lowest rows."""


def picture(state: Input) -> bytes:
    """A picture of the size asked for, whose blocks spell the input's number: a JPEG, or without loss if asked."""
    y, x = np.mgrid[0 : state.height, 0 : state.width]
    pixels = np.empty((state.height, state.width, 3), np.uint8)
    pixels[..., 0] = 40 + 30 * np.sin(x / 60 + 3 * state.camera.azimuth)
    pixels[..., 1] = 70 + 40 * np.sin(y / 50 + 3 * state.camera.elevation)
    pixels[..., 2] = 110
    for i in range(BITS):
        bit = state.sequence >> (BITS - 1 - i) & 1
        pixels[-BLOCK:, i * BLOCK : (i + 1) * BLOCK] = 255 * bit
    if state.exact:
        return png(pixels)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 90, "RGB", "444", True))


def object_row(i: int, *, final: bool = True) -> dict[str, object]:
    """The i-th object of the made-up table; no two columns have the same order."""
    row = {
        "id": 1 + (i * 791_909) % 2_000_003, "first_step": i % 50, "last_step": i % 50 + 3 + i % 7,
        "lifetime_h": 9.0 + 3 * (i % 7) + 6 * (i % 3), "voxels": 20_000 // (i + 1) + i % 5,
        "mean": 300.0 + (i * 37) % 90, "max": 420.0 + (i * 53) % 700,
        "footprint_km2": 9.1e6 / (1 + (i * 5) % 17), "area_time_km2_h": 1e8 / (i + 1),
        "y": -60 + (i * 13) % 120, "x": (i * 29) % 360, "y_range": [3, 20],
        "x_range": [120, 8] if i % 9 == 0 else [4, 30],
        "touches_edge": i % 6 == 0, "final": final, "first_time": f"1959-01-{2 + i % 20:02}T06:00:00",
        "last_time": f"1959-01-{3 + i % 20:02}T18:00:00",
    }  # fmt: skip
    return msgspec.structs.asdict(msgspec.convert(row, Row))


def life_step(i: int) -> dict[str, object]:
    """One step of a made-up life."""
    return msgspec.structs.asdict(
        LifeStep(i, 40 + i, 1e5 * i, 500.0 + i, 900.0, 10.0, 30.0, f"1959-01-{1 + i:02}T06:00:00")
    )


class Fake:
    """The run that is served, and the journal of what its viewers said.  Set what is to be seen, then ``tell``."""

    def __init__(self, run_id: str = "rivers-01", window: int = 2) -> None:
        self.run_id, self.window = run_id, window
        self.draw: Callable[[Input], bytes] = picture
        self.inputs: list[Input] = []
        self.acks: list[int] = []
        self.looks: list[Looking] = []
        self.questions: list[Pointing] = []
        self.said: list[Said] = []
        """What viewers said of themselves, their pointers and wishes included."""
        self.handed: list[int] = []
        self.others: list[dict[str, object]] = []
        """Notes that are to be sent, each once and by itself."""
        self.there: dict[str, object] | None = None
        """What is wherever somebody points."""
        self.more: dict[str, object] = {}
        """What notes say besides their text."""
        self.most_in_flight = 0
        self.viewers = 0
        self.seats: list[str] = []
        """What each viewer came with; empty: no seat of before."""
        self.refused_seat = ""
        self.mute = False
        """It hears and says nothing, as on a dead line."""
        self.beats = 0
        self.asked: list[tuple[str, float]] = []
        self.courses: list[list[int]] = []
        """The objects whose courses were asked for, by question."""
        self.cancelled = False
        self.refusing = False
        self.note_text = ""
        self.version = 0
        self.changed = threading.Condition()
        self.states = [0] * 64
        self.objects: list[dict[str, object]] = []
        self.total = 0
        """Objects that there are; 0: those."""
        self.past: list[dict[str, Any]] = []
        """Runs of before, newest first; all older than the one that is served."""
        self.me: dict[str, Any] = {
            "account": "local", "name": "local", "email": "", "means": "local", "administrator": True,
            "projects": {"default": "admin"},
        }  # fmt: skip
        self.issuers: list[dict[str, str]] = []
        """At whom one could sign in: if there are any, nobody is known yet."""
        self.projects: list[ProjectShown] = []
        self.walls: list[WallEntry] = []
        self.lines: list[Line] = []
        self.wishes: list[tuple[str | None, dict[str, Any]]] = []
        """The runs that were asked for: the key and the request."""
        self.refusals: list[tuple[int, str]] = []
        """How the next requests for a run are refused."""
        self.slow_s = 0.0
        """So long a run takes to be started."""
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

    def other(self) -> dict[str, object] | None:
        """The next note that is to be sent by itself."""
        with self.changed:
            self.changed.notify_all()
            return self.others.pop(0) if self.others else None

    def came_with(self, seat: str) -> None:
        """A viewer has come."""
        with self.changed:
            self.seats.append(seat)
            self.changed.notify_all()

    def note(self, message: Message) -> None:
        """A viewer has said something."""
        with self.changed:
            match message:
                case Beat():
                    self.beats += 1
                case Input():
                    self.inputs.append(message)
                case Acknowledged():
                    self.acks.append(message.frame)
                case Looking():
                    self.looks.append(message)
                case Pointing():
                    self.questions.append(message)
                case Handed():
                    self.handed.append(message.to)
                case _:
                    self.said.append(message)
            self.changed.notify_all()


async def stream(fake: Fake, browser: WebSocket) -> None:
    """One viewer: a picture for the newest input whenever fewer than the window are unacknowledged."""
    newest: Input | None = None
    said: dict[str, object] = {"text": ""}
    await say(browser, 0, {"seat": f"token-{len(fake.seats)}"})
    shown = sent = acknowledged = 0
    while True:
        message = decode_up(await browser.receive_bytes())
        if isinstance(message, Video):
            continue  # all its pictures are JPEG, whatever the page decodes
        assert isinstance(message, MESSAGES)
        fake.note(message)
        if fake.mute:
            continue
        if isinstance(message, Beat):
            said = {}
        elif isinstance(message, Input):
            newest = message
        elif isinstance(message, Looking):
            newest = newest and newest._replace(sequence=message.sequence, look=message.view)
        elif isinstance(message, Pointing):
            await say(browser, sent, {"pointed": message.number, "found": fake.there})
        elif isinstance(message, Acknowledged):
            acknowledged = max(acknowledged, message.frame)
        if newest is not None and newest.sequence != shown and sent - acknowledged < fake.window:
            sent += 1
            shown = newest.sequence
            flags = KEY if newest.moving else KEY | STILL
            codec = PNG if newest.exact else JPEG
            head = Frame(codec, flags, sent, shown, 0, 2, newest.width, newest.height, 1.5, 0.5)
            await browser.send_bytes(encode_frame(head) + fake.draw(newest))
            fake.most_in_flight = max(fake.most_in_flight, sent - acknowledged)
        while (other := fake.other()) is not None:
            await say(browser, sent, other)
        if said != {"text": fake.note_text, **fake.more}:
            said = {"text": fake.note_text, **fake.more}
            await say(browser, sent, said)


async def say(browser: WebSocket, sent: int, note: dict[str, object]) -> None:
    """A note."""
    header = Frame(NOTE, 0, sent, 0, 0, 2, 0, 0, 0.0, 0.0)
    await browser.send_bytes(encode_frame(header) + json.dumps(note).encode())


def application(fake: Fake) -> FastAPI:
    """The pages, the files and the API."""
    app = FastAPI()

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Any:
        if fake.issuers and request.url.path.startswith("/api/v1/"):
            return problem(401, "Sign in first.")
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

    @app.get("/api/v1/me")
    async def me() -> dict[str, Any]:
        return fake.me

    @app.get("/auth/issuers")
    async def issuers() -> list[dict[str, str]]:
        return fake.issuers

    @app.get("/api/v1/runs")
    async def runs(
        state: Annotated[list[str] | None, Query()] = None, q: str = "", before: str = "", limit: int = 100
    ) -> list[dict[str, Any]]:
        found = [fake.run, *fake.past]
        if before:
            found = found[[run["run_id"] for run in found].index(before) + 1 :]
        fit = [run for run in found if (not state or run["state"] in state) and q.lower() in run["title"].lower()]
        return fit[:limit]

    add_starting(app, fake)

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
        return {"total": fake.total or len(fake.objects), "objects": fake.objects[:limit]}

    @app.get("/api/v1/runs/{run_id}/objects/{object_id}")
    async def one_object(run_id: str, object_id: int) -> dict[str, object]:
        found = next((row for row in fake.objects if row["id"] == object_id), None)
        if found is None:
            raise HTTPException(404, f"run {run_id} has no object {object_id}; it may have merged into another")
        return {"total": len(fake.objects), "objects": [found], "life": [life_step(i) for i in range(5, 25)]}

    @app.get("/api/v1/runs/{run_id}/courses")
    async def courses(run_id: str, id: Annotated[list[int], Query(max_length=64)]) -> list[dict[str, object]]:
        fake.courses.append(id)
        return [
            {"id": one, "first_step": 5, "last_step": 24, "size": [1e5 * i for i in range(5, 25)], "mean": [500.0] * 20}
            for one in id
        ]

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
        offered = browser.scope["subprotocols"]
        await browser.accept(VIEWING if VIEWING in offered else None)
        seats = [text for text in offered if text != VIEWING]
        fake.came_with(seats[0] if seats else "")
        if seats and fake.refused_seat:
            # As through a proxy that does not pass on what a line is closed with.
            await browser.send_bytes(encode_goodbye(4403, fake.refused_seat))
            await browser.close()
            return
        if run_id != fake.run_id:
            await browser.close(4404, f"there is no run {run_id}")
            return
        fake.viewers += 1
        with suppress(WebSocketDisconnect):
            await stream(fake, browser)

    app.mount("/static", StaticFiles(directory=WEB))
    return app


def add_starting(app: FastAPI, fake: Fake) -> None:
    """What the form that starts a run asks for: inputs and segmenters are looked at in earnest, nothing is started."""

    @app.get("/api/v1/segmenters")
    def segmenters() -> Response:
        return as_json(catalogue())

    @app.post("/api/v1/datasets/inspect")
    def inspect_dataset(look: Look) -> Response:
        try:
            found = inspect(InspectRequest(look.input, look.variable))
        except SeveralVariables as why:
            return problem(422, str(why), why.variables)
        except InputError as why:
            return problem(422, str(why))
        return as_json(described(msgspec.convert(msgspec.to_builtins(found), Inspection)))

    @app.get("/api/v1/walls")
    async def walls() -> Response:
        return as_json(fake.walls)

    @app.get("/api/v1/projects")
    async def projects() -> Response:
        return as_json(fake.projects)

    @app.get("/api/v1/system")
    async def system() -> Response:
        return as_json(
            System(
                version="1.0.0", launcher="local", runs=1, max_runs=8, queued=0, max_queued=1000, workers=2,
                max_workers=16, cores=8, keys=False, packages={},
            )
        )  # fmt: skip

    @app.post("/api/v1/runs")
    async def start_run(request: Request) -> Response:
        asked = await request.json()
        RunRequest.model_validate(asked)
        fake.wishes.append((request.headers.get("idempotency-key"), asked))
        if fake.refusals:
            return problem(*fake.refusals.pop(0))
        await asyncio.sleep(fake.slow_s)
        return as_json(fake.run, 201)

    @app.get("/api/v1/runs/{run_id}/logs")
    async def logs(run_id: str, lines: int, part: str = "") -> Response:
        return as_json([line for line in fake.lines if part in ("", line.part)][-lines:])


@contextmanager
def serving(fake: Fake, port: int = 0, prefix: str = "", tls: tuple[Path, Path] | None = None) -> Iterator[str]:
    """Serves on a loopback port until left; then all connections are cut.  Gives the address, prefix included.

    ``tls``: a certificate and its key; then whoever looks hangs up first.
    """
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
        # Under TLS a connection that is cut is still there when the loop ends: those who came are to have left.
        timeout_graceful_shutdown=0 if tls is None else 10,
        ssl_certfile=None if tls is None else str(tls[0]),
        ssl_keyfile=None if tls is None else str(tls[1]),
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, name="page-server")
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{door.getsockname()[1]}{prefix}"
    finally:
        server.should_exit = True
        thread.join(20)
        door.close()
        assert not thread.is_alive(), "the page's test server did not stop"
