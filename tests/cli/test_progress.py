"""What the terminal shows of a run, from its record alone."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace
from rich.console import Console

from streamer.control.runs import Run, not_begun
from streamer.run.outcome import verdict
from streamer.run.progress import picture
from streamer.wire.grid import Grid
from streamer.wire.status import Part
from streamer.wire.volume import Keep

GRID = Grid((4, 4, 8), (4, 4, 4))


def run(state: Literal["running", "complete"]) -> Run:
    status = replace(not_begun("r", GRID), state="running", committed=1, eta_s=75.0, voxels_per_second=2e6)
    parts = (Part("worker-1", "worker", 1, 2, 0.5), Part("renderer", "renderer", 3, 9, 2.0, 4.0))
    return Run(
        run_id="r", title="A month", created="", input="x.nc", variable="ivt", units="kg m-1 s-1", segmenter="connect",
        parameters={"threshold": 500.0}, keep=Keep(), workers=2, pace_s=0.0, shape=GRID.shape, chunk=GRID.chunk,
        counts=GRID.counts, periodic=GRID.periodic, dims=("time", "lat", "lon"), on_sphere=True, has_time=True,
        state=state, status=replace(status, parts=parts),
    )  # fmt: skip


def shown(one: Run) -> str:
    console = Console(width=100, record=True, file=None, force_terminal=False)
    with console.capture() as said:
        console.print(picture(one, None))
    return said.get()


def test_every_part_says_how_long_it_still_takes() -> None:
    lines = shown(run("running")).splitlines()
    assert any("worker-1" in line and line.rstrip().endswith("1 min 15 s") for line in lines)
    assert any("renderer" in line and line.rstrip().endswith("4 s") for line in lines)


def test_nothing_found_is_explained_by_the_threshold() -> None:
    done = run("complete")
    code, sentence = verdict(replace(done, status=replace(done.status, committed=2, labelled_voxels=0)))
    assert code == 0
    assert "No voxel of ivt reached 500 kg m-1 s-1: try a lower --threshold." in sentence
    _, sentence = verdict(replace(done, status=replace(done.status, committed=2, labelled_voxels=5)))
    assert "threshold" not in sentence
