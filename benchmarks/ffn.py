"""What flood filling costs beside its network, and what the demo model does on one core and on two.

Each comparison is of two sides that take turns in one run, on the same volume and weights; the median of their
ratios counts.  Workers are processes of their own, each bound to a core.
``python -m benchmarks.ffn [--quick] [--json] [--only calls|deep|workers|training]``
"""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.report import Row, at_least, at_most, conclude, median, options
from inference_workers.ffn.canvas import Canvas
from inference_workers.ffn.chunks import Piece, canvases, labelling, prepare
from inference_workers.ffn.demo_model import located
from inference_workers.ffn.file import Model, read_model
from inference_workers.ffn.loading import engine, start
from inference_workers.ffn.model import ModelConfig
from inference_workers.ffn.segmenter import Ffn, Flooding
from inference_workers.ffn.settings import FloodFillSettings
from inference_workers.ffn.structure import shapes
from inference_workers.segmenter import Block
from inference_workers.source import InspectRequest, inspect, open_source
from streamer.wire.grid import Box, Grid, Triple, triple

CHUNK: Triple = (40, 64, 64)
DEMO_CHUNK: Triple = (20, 64, 43)
"""Those of ``cavecast demo``: 36 chunks, so that two workers are done at nearly the same time."""
BARE_CALLS = 100
"""About as many as a chunk takes."""
Array = np.ndarray[Any, Any]


class Took(NamedTuple):
    """What some work took: by the clock, and of the processor with all threads together."""

    wall_s: float
    cpu_s: float


def main() -> int:
    """Runs all rows, or the one asked for."""
    rows: dict[str, Callable[[bool], list[Row]]] = {
        "calls": lambda quick: [calls_row(3 if quick else 7)],
        "deep": lambda quick: [deep_row(1 if quick else 3)],
        "workers": lambda quick: worker_rows(3 if quick else 5),
        "training": lambda quick: [training_row(100 if quick else 600)],
    }
    given = options(__doc__ or "", rows)
    wanted = [given.only] if given.only else list(rows)
    return conclude("ffn", [row for name in wanted for row in rows[name](given.quick)], given)


def took(work: Callable[[], object]) -> Took:
    """Does some work."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def calls_row(rounds: int) -> Row:
    """The demo model's fill of a chunk, beside the same number of bare predictions of as many fields of view."""
    model = read_model(located("demo"))
    network = start(model, threads=1)
    asked: list[tuple[Array, Array]] = []

    def watched(image: Array, seed: Array) -> Array:
        asked.append((image.copy(), seed.copy()))
        return network.predict(image, seed)

    blocks, _ = rivers(read_halo(model.config))
    list(Ffn(Flooding(model="demo"), model.config, watched).segment_together(blocks[:8]))
    calls = list(asked)

    def bare() -> None:
        for image, seed in calls:
            network.predict(image, seed)

    plain = Ffn(Flooding(model="demo"), model.config, network.predict)
    pairs = [(took(bare), took(lambda: list(plain.segment_together(blocks[:8])))) for _ in range(rounds)]
    ratio = median(limit.cpu_s / ours.cpu_s for limit, ours in pairs)
    limit, ours = (median(len(calls) / pair[side].wall_s for pair in pairs) for side in (0, 1))
    cpu = median(ours.cpu_s for _, ours in pairs), median(limit.cpu_s for limit, _ in pairs)
    shares = ", ".join(
        f"{name} {100 * share / cpu[0]:.1f} %" for name, share in beside(blocks[:8], model.config).items()
    )
    rows = sum(len(image) for image, _ in calls) / len(calls)
    value = f"{ours:.0f}/s, bare {limit:.0f}/s; {cpu[0]:.2f} CPU-s, bare {cpu[1]:.2f}; {shares} of it"
    what = f"network calls in a flood fill, batch {len(calls[0][0])} ({rows:.1f} rows on average)"
    return at_least(what, value, ratio, 0.9)


def beside(blocks: list[Block], config: ModelConfig) -> dict[str, float]:
    """Seconds of the processor for what comes before and after the canvases, over all of some blocks."""
    pieces: list[Piece | None] = []
    before = took(lambda: pieces.extend(prepare(block, config) for block in blocks)).cpu_s
    network = start(read_model(located("demo")), threads=1)
    made = [
        (
            block,
            piece,
            [canvas.segment(seeds) for canvas, seeds in canvases(piece, network.predict, config.flood, both=False)],
        )
        for block, piece in zip(blocks, pieces, strict=True)
        if piece is not None
    ]
    after = took(lambda: [labelling(block, piece, filled, config.flood) for block, piece, filled in made]).cpu_s
    return {"making ready": before, "joining": after}


def scale(name: str, shape: tuple[int, ...]) -> float:
    """How large random weights are so that updates are of about one logit, as those of trained networks."""
    size = float(np.sqrt(2 / np.prod(shape[:-1])))
    return 0.0 if len(shape) == 1 else 0.3 * size if "_b/" in name else size


def deep_row(rounds: int) -> Row:
    """A 12×32 net of random weights: our canvas in bfloat16, beside TensorFlow in float32 at the same places."""
    random = np.random.default_rng(1)
    weights = {
        name: (random.standard_normal(shape) * scale(name, shape)).astype(np.float32)
        for name, shape in shapes(12, 32).items()
    }
    flood = FloodFillSettings(fov=(33, 33, 33), deltas=(8, 8, 8), disconnection_bias=False)
    config = ModelConfig(depth=12, features=32, mean=0, std=1, flood=flood)
    fast = start(Model(config, weights), "bf16", threads=1)
    slow = engine(Model(config, weights), "tensorflow", "float32", 1)
    image = random.standard_normal((49, 49, 49)).astype(np.float32)

    def grown(predict: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
        """The network's whole work, but a body's logits, so that both sides move alike."""

        def answer(image: Array, seed: Array) -> Array:
            predict(image, seed)
            return np.full_like(seed, 3.0)

        return answer

    seeds = np.array([[24, 24, 24]])
    # What it answers here decides where the canvas goes, and the plain loop goes to the same places.
    trace = Canvas(image, lambda _, seed: np.full_like(seed, 3.0), flood).segment(seeds).trace
    steps = len(trace)

    def loop() -> None:
        canvas = np.full(image.shape, -2.94, np.float32)
        for _, *at in trace.tolist():
            here = tuple(slice(c - 16, c + 17) for c in at)
            slow(image[here][None], canvas[here][None])
            canvas[here] = 3.0

    begun = np.full((1, 33, 33, 33), -2.94, np.float32)
    begun[:, 8:25, 8:25, 8:25] = np.where(image[None, 8:25, 8:25, 8:25] > 0, 4.0, -2.94)
    patch = np.ascontiguousarray(image[None, :33, :33, :33])
    exact = engine(Model(config, weights), fast.backend, "float32", 1)
    off = np.abs(fast.predict(patch, begun) - exact(patch, begun))
    answer = grown(fast.predict)
    answer(image[None, :33, :33, :33], image[None, :33, :33, :33])
    slow(image[None, :33, :33, :33], image[None, :33, :33, :33])
    pairs = [(took(loop), took(lambda: Canvas(image, answer, flood).segment(seeds))) for _ in range(rounds)]
    ratio = median(limit.cpu_s / ours.cpu_s for limit, ours in pairs)
    speed = [steps * 33**3 / median(pair[side].wall_s for pair in pairs) for side in (0, 1)]
    cpu = [median(pair[side].cpu_s for pair in pairs) for side in (0, 1)]
    value = f"{speed[1]:,.0f} voxels/s seen, plain {speed[0]:,.0f}; {cpu[1]:.1f} CPU-s, plain {cpu[0]:.1f};"
    value += f" logits differ by {off.max():.3f} at most, {off.mean():.4f} on average"
    what = f"12×32 net, {steps} fields of view, {fast.backend} {fast.precision} beside TensorFlow float32"
    return at_least(what, value, ratio, 1.6)


def read_halo(config: ModelConfig) -> Triple:
    """How far blocks reach beyond their chunk."""
    return Ffn(Flooding(model="demo"), config).halo


def rivers(halo: Triple, chunk: Triple = CHUNK) -> tuple[list[Block], Grid]:
    """All chunks of the sample."""
    found = inspect(InspectRequest("sample:rivers"))
    grid = Grid(found.volume.shape, chunk, found.grid.periodic)
    blocks = []
    with open_source(found.source, found.volume) as source:
        for chunk in range(grid.size):
            core, shape = grid.core(chunk), grid.block_shape(chunk)
            start = triple(a - h for a, h in zip(core.start, halo, strict=True))
            stop = triple(a + n + h for a, n, h in zip(core.start, shape, halo, strict=True))
            inner = Box(halo, triple(h + n for h, n in zip(halo, shape, strict=True)))
            blocks.append(Block(grid, chunk, found.volume, source.read(Box(start, stop)), inner, None, lambda: None))
    return blocks, grid


def work(core: int, precision: str, orders: Any, answers: Any) -> None:
    """A worker on one core: takes from a queue, one order after the other, a chunk to be segmented, or a number below
    zero: so many bare predictions.  Answers with the processor's seconds."""
    os.sched_setaffinity(0, {core})
    model = read_model(located("demo"))
    network = start(model, precision, threads=1)
    segmenter = Ffn(Flooding(model="demo"), model.config, network.predict)
    blocks, _ = rivers(segmenter.halo, DEMO_CHUNK)
    image = np.random.default_rng(0).standard_normal((1, *model.config.fov), np.float32)
    network.predict(image, image)
    answers.put(0.0)
    while (order := orders.get()) is not None:
        before = time.process_time()
        if order >= 0:
            segmenter.segment(blocks[order])
        for _ in range(-order):
            network.predict(image, image)
        answers.put(time.process_time() - before)


def worker_rows(rounds: int) -> list[Row]:
    """The demo model on rivers: chunks shared out among two workers with a core each, beside one; and bare predictions
    shared out alike, which is what the machine's second core brings."""
    _, grid = rivers((0, 0, 0), DEMO_CHUNK)
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    cores = sorted(os.sched_getaffinity(0))[:2]
    orders = [context.Queue(), context.Queue()]  # of the one worker, of two
    hands = [context.Process(target=work, args=(core, "float32", orders[0], answers)) for core in cores[:1]]
    hands += [context.Process(target=work, args=(core, "float32", orders[1], answers)) for core in cores]
    for hand in hands:
        hand.start()
    for _ in hands:
        answers.get(timeout=120)

    def done(side: int, todo: list[int]) -> Took:
        before = time.perf_counter()
        for order in todo:
            orders[side].put(order)
        cpu = sum(answers.get(timeout=120) for _ in todo)
        return Took(time.perf_counter() - before, cpu)

    chunks, calls = list(range(grid.size)), [-BARE_CALLS] * grid.size
    found: list[list[Took]] = [[], []]
    bare: list[list[Took]] = [[], []]
    for _ in range(rounds):
        for side in (0, 1):
            found[side].append(done(side, chunks))
        for side in (0, 1):
            bare[side].append(done(side, calls))
    for queue, count in zip(orders, (1, 2), strict=True):
        for _ in range(count):
            queue.put(None)
    for hand in hands:
        hand.join(60)
    voxels = int(np.prod(grid.shape))
    one, two = (voxels / median(took.wall_s for took in side) for side in found)
    cpus = [median(took.cpu_s for took in side) for side in found]
    ratio, limit = (median(a.wall_s / b.wall_s for a, b in zip(*sides, strict=True)) for sides in (found, bare))
    value = f"{two:,.0f} voxels/s, one {one:,.0f}; {cpus[1]:.2f} CPU-s, one {cpus[0]:.2f}; {grid.size} chunks;"
    value += f" bare predictions {limit:.2f}"
    return [
        at_least("demo model on rivers, two cores, float32", f"{two:,.0f} voxels/s", two, 400_000),
        at_least("two workers beside one, a core each", value, ratio, 1.8),
    ]


def training_row(steps: int) -> Row:
    """How much of a training's time the network waits for examples."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [str(Path(sys.executable).parent / "cavecast"), "ffn", "train", "sample:rivers", "--connect", "500",
             "--steps", str(steps), "-o", str(Path(folder) / "m.keras")],
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
    said = re.search(r"([\d.]+)% of learning spent waiting", done.stdout + done.stderr)
    if done.returncode or said is None:
        raise RuntimeError(f"training failed: {done.stderr[-500:]}")
    share = float(said[1])
    return at_most("training: share of time waiting for input", f"{share:.1f} %, {steps} steps", share / 100, 0.05)


if __name__ == "__main__":
    sys.exit(main())
