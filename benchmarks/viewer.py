"""Our viewer beside today's reference (trame-rca) and a bare stream, in a real headless Chromium, in one run.

A drag of 30 input events a second in a picture of 1280 × 720; the marker in the pictures tells which event each
answers.
Sides are measured in turn, round by round; the medians of the rounds count.  The floor does what is needed and
nothing else: two JPEG frames in flight, the latest input wins, no words, no box, no level of detail.
``python -m benchmarks.viewer [--quick] [--json] [--only ROW]``
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
from playwright.sync_api import Request, sync_playwright

from benchmarks.report import Row, at_least, at_most, conclude, median, options
from benchmarks.viewer_sides import (
    SCENES,
    Measured,
    NotThere,
    Side,
    Tools,
    busy,
    measure,
    other,
    ours,
    reel,
    reference_triangles,
    slow_link,
    tools,
)

PICTURES = Path(__file__).with_name("pictures.html")
SLOW_RATE = 14
"""What a browser behind 4 Mbit/s shows, as tests/e2e/test_viewers.py counts it."""
FULL, DELIVERED, FLOOR, RCA, REMOTE = "full", "delivered", "floor", "rca", "remote"


class Bars(NamedTuple):
    """What is asked of our viewer as delivered beside the reference; None: nothing."""

    rate: float | None
    middle: float | None
    tail: float | None = None
    least: float | None = None
    """Frames per second, whatever the others do."""


class Case(NamedTuple):
    """A row of the comparison."""

    what: str
    scene: str
    bars: Bars
    busy: int = 0
    slow: bool = False


CASES = {
    "17k": Case("17 k triangles", "tiny", Bars(None, None)),
    "154k": Case("154 k triangles", "small", Bars(1.7, 0.6, 0.5)),
    "busy": Case("154 k beside two busy processes", "small", Bars(2.0, 0.6, 0.5), busy=2),
    "1.47M": Case("1.47 M triangles", "large", Bars(4.0, 0.25, 0.2, least=10.0)),
    "link": Case("154 k over 4 Mbit/s, 25 ms each way", "small", Bars(1.8, 0.6), slow=True),
}


class Pace(NamedTuple):
    """How long is measured."""

    rounds: int
    seconds: float


def main() -> int:
    """Runs all rows, or the one asked for."""
    rows: dict[str, Callable[[Tools, Path, Pace], list[Row]]] = {
        name: (lambda at, folder, pace, case=case: case_rows(at, folder, pace, case))  # type: ignore[misc]
        for name, case in CASES.items()
    }
    rows |= {"cpu": cpu_rows, "page": page_rows, "beside": beside_rows}
    given = options(__doc__ or "", rows)
    pace = Pace(1, 3.0) if given.quick else Pace(3, 4.0)
    wanted = [given.only] if given.only else ["154k", "page"] if given.quick else list(rows)
    try:
        at = tools()
        with tempfile.TemporaryDirectory(prefix="cavecast-viewer-") as folder:
            found = [row for name in wanted for row in rows[name](at, _made(Path(folder) / name), pace)]
    except NotThere as why:
        print(f"viewer: {why}", file=sys.stderr)
        return 1
    return conclude("viewer", found, given)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def case_rows(at: Tools, folder: Path, pace: Pace, case: Case) -> list[Row]:
    """One scene and one condition: ours without level of detail beside the floor, as delivered beside the reference."""
    compared = case.bars.rate is not None
    with ExitStack() as undo:
        full = undo.enter_context(ours(at, FULL, case.scene, folder, full_detail="1"))
        sides = [full.side]
        if compared:
            sides.append(undo.enter_context(ours(at, DELIVERED, case.scene, folder)).side)
            options_ = ("--mode", "rca", "--encoder", "turbo-jpeg", "--scene", case.scene)
            sides.append(undo.enter_context(other(at, RCA, "s_trame.py", *options_)))
        sides.append(undo.enter_context(other(at, FLOOR, "floor.py", "--scene", case.scene)))
        if case.slow:
            sides = [undo.enter_context(slow_link(at, side)) for side in sides]
        undo.enter_context(busy(case.busy))
        found = measure(at, sides, folder, pace.rounds, pace.seconds)
    rows = beside(f"{case.what}, all detail, beside the floor", found, FULL, FLOOR, Bars(0.95, 1.1))
    shown = f"{case.what}: triangles drawn, beside the floor's"
    theirs = reference_triangles(at, case.scene)
    off = abs(full.triangles / theirs - 1)
    rows.append(at_most(shown, f"{full.triangles:,}, {theirs:,} (about {SCENES[case.scene]})", off, 0.1))
    if compared:
        rows += beside(f"{case.what}, as delivered, beside rca", found, DELIVERED, RCA, case.bars)
    return rows


def beside(what: str, found: Measured, mine: str, theirs: str, bars: Bars) -> list[Row]:
    """Frames per second and latency of one side beside another's."""
    (rate, middle, tail), (rate_, middle_, tail_) = (
        [figure(found, side, name) for name in ("fps", "lat_med", "lat_p95")] for side in (mine, theirs)
    )
    rows = []
    if bars.rate is not None:
        rows.append(at_least(f"{what}: frames/s", f"{rate:.1f}, {rate_:.1f}", rate / rate_, bars.rate))
    if bars.least is not None:
        rows.append(at_least(f"{what}: frames/s by themselves", f"{rate:.1f}", rate, bars.least))
    if bars.middle is not None:
        value = f"{middle:.0f} ms, {middle_:.0f} ms (p95 {tail:.0f}, {tail_:.0f})"
        rows.append(at_most(f"{what}: input → picture, median", value, middle / middle_, bars.middle))
    if bars.tail is not None:
        rows.append(at_most(f"{what}: input → picture, p95", f"{tail:.0f} ms, {tail_:.0f} ms", tail / tail_, bars.tail))
    return rows


def figure(found: Measured, side: str, name: str) -> float:
    """The median of a figure over the rounds.  Raises NotThere if it was never seen."""
    values = [one[name] for one in found[side] if one.get(name) is not None]
    if not values:
        raise NotThere(f"no picture of {side} carried the marker: {found[side][-1]}")
    return median(values)


def cpu_rows(at: Tools, folder: Path, pace: Pace) -> list[Row]:
    """What a delivered frame costs the server when nothing is drawn: the same 24 pictures on both sides."""
    frames = reel(at)
    with ExitStack() as undo:
        sides = [
            undo.enter_context(ours(at, FULL, "tiny", folder, pictures=str(frames))).side,
            undo.enter_context(other(at, FLOOR, "floor.py", "--scene", "fake")),
        ]
        found = measure(at, sides, folder, pace.rounds, pace.seconds)
    mine, floor = (figure(found, side, "server_cpu_ms_per_frame") for side in (FULL, FLOOR))
    rate, limit = (figure(found, side, "fps") for side in (FULL, FLOOR))
    value = f"{mine:.1f} ms, {floor:.1f} ms (at {rate:.1f} and {limit:.1f} frames/s)"
    return [at_most("server CPU per delivered frame without drawing", value, mine / floor, 1.2)]


def beside_rows(at: Tools, folder: Path, pace: Pace) -> list[Row]:
    """What a browser behind a slow link costs another one that looks at the same shared view.

    Any second browser that shows pictures takes its share of the processor, so the other one shows pictures of its own.
    """
    with ExitStack() as undo:
        side = undo.enter_context(ours(at, DELIVERED, "small", folder)).side
        slow = undo.enter_context(slow_link(at, side))
        others = {"together": _of_all(slow.url), "beside": f"{PICTURES.as_uri()}?rate={SLOW_RATE}"}
        sides = [Side(name, _of_all(side.url), side.pid) for name in ("alone", *others)]
        found = measure(at, sides, folder, pace.rounds, pace.seconds, others)
    rate, limit, alone = (figure(found, name, "fps") for name in ("together", "beside", "alone"))
    middle, quick = (figure(found, name, "lat_med") for name in ("together", "beside"))
    value = f"{rate:.1f} frames/s, {limit:.1f}; alone {alone:.1f} ({middle:.0f} ms, {quick:.0f} ms)"
    what = f"a browser behind 4 Mbit/s in the same view, beside one with {SLOW_RATE} pictures/s of its own"
    return [at_least(what, value, rate / limit, 0.9)]


def page_rows(at: Tools, folder: Path, pace: Pace) -> list[Row]:
    """From opening the page to the first picture, and what the page weighs."""
    took: list[float] = []
    weight, foreign = 0, 0
    with ExitStack() as undo:
        side = undo.enter_context(ours(at, DELIVERED, "small", folder)).side
        browser = undo.enter_context(sync_playwright()).chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for _ in range(2 * pace.rounds + 1):
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            asked: list[str] = []
            page.on("request", partial(_noted, asked))
            begun = time.monotonic()
            page.goto(side.url.partition("#")[0])  # with its panel, as people open it
            page.locator("#picture[data-frame]").wait_for(timeout=20_000)
            took.append(time.monotonic() - begun)
            sizes = page.evaluate(
                "() => [...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]"
                ".filter(e => !e.name.includes('/api/')).map(e => e.decodedBodySize)"
            )
            weight = sum(sizes)
            origin = side.url.partition("://")[2].partition("/")[0]
            foreign = sum(not url.partition("://")[2].startswith(origin) and "://" in url for url in asked)
            page.close()
        browser.close()
    first = median(took)
    weighed = at_most("page weight", f"{weight / 1000:.0f} kB, {foreign} requests to elsewhere", weight / 1000, 400)
    return [
        at_most("first picture after opening the page, run going", f"{1000 * first:.0f} ms", first, 1.5),
        weighed._replace(holds=weighed.holds and not foreign),
    ]


def _of_all(url: str) -> str:
    """The page of the view that all share."""
    return str(httpx.URL(url).copy_set_param("view", "all"))


def _noted(asked: list[str], request: Request) -> None:
    asked.append(request.url)


if __name__ == "__main__":
    sys.exit(main())
