"""How close the drawing of a growing scene comes to bare VTK, and what a wall's frame lock costs.

A tile of 1280 × 720 pixels with a made-up run in hundreds of chunks, through the code that a tile process uses, beside
one bare actor with the same triangles in the same run.  ``python -m benchmarks.render [--quick] [--json]``
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import VTK_UNSIGNED_INT
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkFiltersCore import vtkAppendPolyData
from vtkmodules.vtkFiltersGeneral import vtkDiscreteFlyingEdges3D
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

from benchmarks.barrier import rows as barrier_rows
from benchmarks.report import Row, at_most, conclude, interleaved, median, options
from renderers.entries import Arrived, Started, unpack
from renderers.follow import PARTS as WANTED
from renderers.follow import Take
from renderers.scene import Piece
from renderers.vtk_tile import TileWindow, bare_renderer
from renderers.vtk_window import open_window
from renderers.wall.fitting import placed
from renderers.wall.glass import Glass
from renderers.wall.records import Fit, Node, Place, Screen, Tile, Wall
from renderers.wall.sample import events
from renderers.wall.sight import sights
from streamer.wire.block import PARTS, STAT, Segmented, pack
from streamer.wire.grid import Grid, Triple
from streamer.wire.header import encode
from streamer.wire.messages import Entry
from streamer.wire.viewing import Head, View

SIZE = (1280, 720)
SHAPE: Triple = (64, 160, 320)
CHUNK: Triple = (16, 20, 32)
SCREEN = Screen("front", (-640.0, -360.0, -1000.0), (640.0, -360.0, -1000.0), (-640.0, 360.0, -1000.0))
TILE = Tile("front", "front", "here", "mono", Place(0, 0, *SIZE), "")
WALL = Wall("one", (SCREEN,), (TILE,), (Node("here"),), head=Head((60.0, 40.0, 200.0)))
VIEW = View(placement=placed(Fit(1500.0, (0.0, 0.0, -1300.0))))


class Bench(NamedTuple):
    """A window with the run."""

    glass: Glass
    grid: Grid
    later: list[Arrived]
    """What has not come yet."""

    def frame(self) -> None:
        """A frame as a tile process draws it."""
        self.glass.draw(WALL, TILE, VIEW, WALL.head, 0.0).show()


def main() -> int:
    """Runs all rows."""
    given = options(__doc__ or "")
    rows = [*scene_rows(20 if given.quick else 60), arrival_row(30 if given.quick else 90)]
    return conclude("render", [*rows, *barrier_rows(quick=given.quick)], given)


def opened(share: float) -> Bench:
    """A window in which so much of the run has come."""
    glass = Glass(open_window(*SIZE))
    all_ = list(events(SHAPE, CHUNK))
    started = all_[0]
    assert isinstance(started, Started)
    grid = started.spec.grid
    now = round(share * grid.size)
    for event in all_[: 1 + now]:
        glass.scene.happen(event, 0.0)
    bench = Bench(glass, grid, [e for e in all_[1 + now :] if isinstance(e, Arrived) and e.piece is not None])
    bench.frame()
    return bench


def scene_rows(rounds: int) -> list[Row]:
    """The whole scene, with box, lines and floor, beside one actor."""
    bench = opened(1.0)
    bare, triangles, _ = merged(bench)
    found = interleaved(rounds, {"scene": lambda: took(bench.frame).cpu_s, "bare": lambda: took(bare).cpu_s})
    ours, limit = median(found["scene"]), median(found["bare"])
    chunks = bench.grid.size
    bench.glass.window.Finalize()
    what = f"frame of {chunks} chunks, {triangles:,} triangles, beside one actor"
    return [at_most(what, f"{1000 * ours:.1f} ms, bare {1000 * limit:.1f} ms", ours / limit, 1.3)]


def arrival_row(rounds: int) -> Row:
    """From a chunk's bytes to its picture, less a bare extraction and a bare frame, while the scene grows."""
    bench = opened(0.55)
    theatre = bench.glass.scene.theatre
    assert theatre is not None
    while theatre.spare():
        pass
    over: list[float] = []
    waited: list[float] = []
    for event in bench.later[:rounds]:
        assert event.piece is not None
        take, block = raw(bench.grid, event.piece, event.number), event.piece.block
        extraction = took(lambda block=block: extracted(block))  # type: ignore[misc]

        def arrive(take: Take = take) -> None:
            arrived = unpack(bench.grid, take)
            assert isinstance(arrived, Arrived)
            bench.glass.scene.happen(arrived, 0.0)
            bench.frame()

        ours = took(arrive)
        # What a tile does between two frames, when nobody waits.
        while theatre.spare():
            pass
        # The scene grows by half while this runs: a frame of all of it is one with what has just come.
        bare, _, gone = merged(bench)
        bare()
        frame = took(bare)
        gone()
        over.append(1000 * (ours.cpu_s - extraction.cpu_s - frame.cpu_s))
        waited.append(1000 * (ours.wall_s - extraction.wall_s - frame.wall_s))
    bench.glass.window.Finalize()
    half, most = median(waited), float(np.percentile(waited, 95))
    what = f"chunk of {'×'.join(map(str, CHUNK))} received → on screen, less a bare extraction and frame"
    value = f"{half:.1f} ms by the clock, p95 {most:.1f} ms; {median(over):.1f} ms of processor time"
    return at_most(what, value, half / 30, 1)


def merged(bench: Bench) -> tuple[Callable[[], None], int, Callable[[], None]]:
    """All surfaces on the stage as one actor in the same window, with the same light.

    What draws it, how many triangles there are, and what takes it away again.
    """
    theatre = bench.glass.scene.theatre
    assert theatre is not None
    append, shine = vtkAppendPolyData(), None
    for actor in theatre.renderer.GetActors():
        surface = actor.GetMapper().GetInput()
        if surface.GetPointData().GetNormals() is not None and actor.GetVisibility():
            append.AddInputData(surface)
            shine = actor.GetProperty()
    append.Update()
    mapper, one = vtkPolyDataMapper(), vtkActor()
    mapper.SetInputData(append.GetOutput())
    mapper.SetColorModeToDirectScalars()
    mapper.SetStatic(True)
    one.SetMapper(mapper)
    if shine is not None:
        one.SetProperty(shine)
    renderer = bare_renderer()
    renderer.AddActor(one)
    window = bench.glass.window
    through = TileWindow(window, renderer, "mono")
    looks = sights(WALL, TILE, VIEW.placement, WALL.head, 0.0)
    through.draw(looks)

    def draw() -> None:
        for other in window.GetRenderers():
            other.SetDraw(other is renderer)
        window.SwapBuffersOff()
        window.Render()
        window.WaitForCompletion()
        window.SwapBuffersOn()
        window.Frame()

    def gone() -> None:
        one.ReleaseGraphicsResources(window)
        window.RemoveRenderer(renderer)

    return draw, int(append.GetOutput().GetNumberOfPolys()), gone


def extracted(block: np.ndarray[Any, Any]) -> None:
    """The surfaces of a block of labels, by VTK alone."""
    image, filter_ = vtkImageData(), vtkDiscreteFlyingEdges3D()
    padded = np.pad(block, 1)
    image.SetDimensions(*padded.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(padded.ravel(), array_type=VTK_UNSIGNED_INT))
    filter_.SetInputData(image)
    for i, label in enumerate(np.unique(block[block > 0]).tolist()):
        filter_.SetValue(i, label)
    filter_.Update()


def raw(grid: Grid, piece: Piece, number: int) -> Take:
    """A chunk as it comes from the feed."""
    stats = np.zeros(piece.own, STAT)
    stats["label"] = np.arange(1, piece.own + 1)
    done = Segmented(piece.block, piece.own, piece.components, piece.ids, stats, None, piece.field)
    commit, payloads = pack(grid, piece.chunk, 1, done, layers=("field",))
    wanted = [encode(commit), *(payloads[PARTS.index(name)] for name in WANTED), payloads[len(PARTS)]]
    return Take(Entry(number, number - 1, "chunk"), wanted, sum(map(len, wanted)))


class Took(NamedTuple):
    """What some work took: of the processor, all threads together, which others on the machine do not lengthen."""

    cpu_s: float
    wall_s: float


def took(work: Callable[[], None]) -> Took:
    """Does some work."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.process_time() - cpu, time.perf_counter() - wall)


if __name__ == "__main__":
    sys.exit(main())
