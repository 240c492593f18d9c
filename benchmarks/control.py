"""How much the control plane costs beside a bare uvicorn, and how long it lets people wait.

The relay's rows run the real application (routes, registry, books, event streams, relay) in a process of its own over
runs that are made up, beside a bare ASGI application on the same uvicorn that pushes the same events and passes on the
same frames; both in turn.  ``python -m benchmarks.control [--quick] [--json] [--only ROW]``
"""

from __future__ import annotations

import functools
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import numpy as np

from benchmarks.control_sides import CPU_SIDES, crowd, spec
from benchmarks.report import Row, at_most, conclude, interleaved, median, options
from streamer.control import booking
from streamer.control.booking import Inspection
from streamer.control.books import Books
from streamer.control.folder import Folder
from streamer.control.runs import State
from streamer.control.schema import RunRequest
from streamer.wire.volume import Source
from tests.control.parts import control_plane, events

LISTED = 1000


def main() -> int:
    """Runs all rows."""
    rows: dict[str, Callable[[bool], list[Row]]] = {"first": first_lease, "many": many, "relay": relay}
    given = options(__doc__ or "", rows)
    found = [row for name, measure in rows.items() if given.only in ("", name) for row in measure(given.quick)]
    return conclude("control", found, given)


def first_lease(quick: bool) -> list[Row]:
    """From the request to the first chunk that is leased, as an event tells it; the view is started as well."""
    took = []
    with tempfile.TemporaryDirectory() as folder, control_plane("--dir", folder) as (client, _):
        path = Path(folder) / "blobs.npy"
        np.save(path, np.random.default_rng(1).random((32, 32, 32), dtype="f4"))
        request = {"input": str(path), "threshold": 0.5, "chunk": [8, 16, 16], "pace_s": 60}
        for _ in range(3 if quick else 7):
            began = time.perf_counter()
            run_id = client.post("/api/v1/runs", json=request).json()["run_id"]
            for name, run in events(client, run_id):
                if name == "run" and (run["status"]["leased"] or run["status"]["committed"]):
                    break
            took.append(time.perf_counter() - began)
            client.post(f"/api/v1/runs/{run_id}/cancel")
    shown = f"{median(took):.2f} s, longest {max(took):.2f} s"
    return [at_most("create → first lease, local launcher", shown, median(took) / 3.0, 1.0)]


def many(quick: bool) -> list[Row]:
    """A thousand runs listed, those that are over and those that wait; and the metrics beside them."""
    rows: list[Row] = []
    states: tuple[State, ...] = ("complete", "queued")
    for state in states:
        with tempfile.TemporaryDirectory() as home:
            _write_down(Path(home), state)
            with control_plane("--dir", home) as (client, _):
                _at_work(client, Path(home))
                took = _asked(client, f"/api/v1/runs?limit={LISTED}", 10 if quick else 40)
                what = "over" if state == "complete" else "waiting"
                shown = f"{1e3 * median(took):.1f} ms, p95 {1e3 * float(np.quantile(took, 0.95)):.1f} ms"
                rows.append(at_most(f"{LISTED:,} runs listed, {what}", shown, median(took) / 0.1, 1.0))
                took = _asked(client, "/metrics", 10 if quick else 40)
                shown = f"{1e3 * median(took):.1f} ms, p95 {1e3 * float(np.quantile(took, 0.95)):.1f} ms"
                rows.append(at_most(f"/metrics, {LISTED:,} runs {what}", shown, median(took) / 0.02, 1.0))
    return rows


def _write_down(home: Path, state: State) -> None:
    """So many runs in the books of a folder.  Those that wait are paused, so that they do."""
    folder = Folder(home)
    books = Books(f"sqlite:///{home / 'cavecast.db'}", folder.place())
    run = spec()
    found = Inspection(Source("npy", "/data/blobs.npy"), run.volume, run.grid)
    for number in range(LISTED):
        created = f"2026-01-01T00:{number // 60:02}:{number % 60:02}.000+00:00"
        booked = booking.book(RunRequest(input="/data/blobs.npy"), found, 2, f"blobs-{number:08x}", created)
        record = msgspec.structs.replace(booking.record(booked), state=state, paused=state == "queued")
        books.add(booked, record)
    books.close()
    folder.close()


def _at_work(client: httpx.Client, home: Path) -> None:
    """Three runs whose streamers answer."""
    path = home / "blobs.npy"
    np.save(path, np.random.default_rng(1).random((32, 32, 32), dtype="f4"))
    request = {"input": str(path), "threshold": 0.5, "chunk": [8, 16, 16], "pace_s": 600, "view": False, "workers": 1}
    for _ in range(3):
        run_id = client.post("/api/v1/runs", json=request).json()["run_id"]
        for _, run in events(client, run_id):
            if run["status"]["committed"]:
                break


def _asked(client: httpx.Client, path: str, times: int) -> list[float]:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        answer = client.get(path)
        took.append(time.perf_counter() - began)
        assert answer.status_code == 200, answer.text
    return took


def relay(quick: bool) -> list[Row]:
    """CPU of the control plane and of a bare relay, with the same browsers."""
    seconds, rounds = (4.0, 3) if quick else (10.0, 5)
    sides: dict[str, Callable[[], float]] = {
        name: functools.partial(crowd, start, seconds) for name, start in CPU_SIDES.items()
    }
    found = interleaved(rounds, sides)
    ours, bare = median(found["ours"]), median(found["bare"])
    shown = f"{100 * ours:.0f} % of a core, bare {100 * bare:.0f} %"
    return [at_most("200 event streams and 20 viewers at 30 frames/s of 100 KB, CPU", shown, ours / bare, 1.3)]


if __name__ == "__main__":
    sys.exit(main())
