"""``cavecast conductor`` and ``cavecast tile``: read their options once, open what they need, and run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from math import inf
from pathlib import Path
from typing import Annotated

import structlog
import typer

from renderers.wall.barrier import Rules
from renderers.wall.exposition import Endpoint
from renderers.wall.records import TrackerSource, Wall
from renderers.wall.track.listen import Listener
from renderers.wall.track.tape import Tape
from streamer.wire.keys import read as read_keys


class CannotShow(RuntimeError):
    """Why there will be no wall, in a sentence."""

    exit_code = 1


class WrongUse(CannotShow):
    """The options do not fit."""

    exit_code = 2


_LONGEST_NAME = 253
_WALL = typer.Option("--wall", metavar="WALL", help="A wall file (TOML), or a preset: see cavecast wall presets.")
_KEYS = typer.Option(
    metavar="FILE",
    envvar="CAVECAST_KEYS",
    help="renderer.toml, as cavecast keys made it; needed beyond loopback.",
    show_envvar=False,
)


def conductor(
    wall: Annotated[str, _WALL],
    feed: Annotated[str, typer.Option(metavar="ADDRESS", help="The run's feed, which all tiles follow.")] = "",
    listen: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Where tiles connect: ipc://PATH, or tcp://HOST:PORT (0: a free one)."),
    ] = "tcp://127.0.0.1:0",
    deadline_ms: Annotated[
        float, typer.Option(min=1, metavar="MS", help="A tile that is not ready after so long is left out of a frame.")
    ] = 250.0,
    rate: Annotated[float, typer.Option(min=0.1, metavar="HZ", help="Draw no more frames in a second.")] = 60.0,
    stale_s: Annotated[
        float, typer.Option(min=0.05, metavar="SECONDS", help="So long a tile may hold the others back in the log.")
    ] = 2.0,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Serve metrics for Prometheus on this port of 127.0.0.1 (0: a free one).",
        ),
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Record what the trackers say; the file must not exist.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Play a recorded session in place of the wall's trackers.")
    ] = None,
    leader: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Show what the wall of this conductor, at another site, shows.")
    ] = "",
    delay_ms: Annotated[
        float, typer.Option(min=0, metavar="MS", help="So long after it; longer than the link takes.")
    ] = 100.0,
    own_head: Annotated[
        bool, typer.Option("--own-head", help="Follow the other site's view, but with the head of this wall.")
    ] = False,
    keys: Annotated[Path | None, _KEYS] = None,
) -> int:
    """Says to all tiles of a wall what to draw next, and when to show it.

    Prints one line of JSON with its address when it is ready.  Runs until it is told to stop (SIGTERM).
    """
    from renderers.wall.conductor import Conductor, Plan

    structlog.contextvars.bind_contextvars(part="conductor")
    here = _wall(wall)
    mine = read_keys(keys, "renderer") if keys is not None else None
    sources = (TrackerSource("replay", str(replay)),) if replay is not None else here.trackers
    if not any(source.kind == "mouse" for source in sources):
        # Keys at the windows of tiles are for every wall.
        sources = (*sources, TrackerSource("mouse", ""))
    rules = Rules(deadline_s=deadline_ms / 1000, rate_hz=rate, stale_s=stale_s)
    plan = Plan(here, listen, feed, rules, leader, delay_ms / 1000, own_head)
    with ExitStack() as stack:
        listener = stack.enter_context(_listener(sources))
        tape = stack.enter_context(_tape(record, listener.sources)) if record is not None else None
        endpoint = stack.enter_context(_endpoint(metrics_port))
        node = stack.enter_context(closing(Conductor(plan, mine, listener, tape, endpoint)))
        ready = {"ready": "conductor", "address": node.address, "wall": here.name, "tiles": len(here.tiles)}
        if endpoint is not None:
            ready["metrics"] = f"http://127.0.0.1:{endpoint.port}/metrics"
        structlog.get_logger("conductor").info("ready", **ready)
        print(json.dumps(ready), flush=True)
        return node.run()


def tile(
    wall: Annotated[str, _WALL],
    conductor: Annotated[str, typer.Option(metavar="ADDRESS", help="The conductor's, as its ready line names it.")],
    tile: Annotated[str, typer.Option(metavar="TILE", help="The tile that this process shows.")] = "",
    node: Annotated[
        str, typer.Option(metavar="NODE", help="Show all tiles of this node, with one feed, instead of one tile.")
    ] = "",
    node_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file that says which node this is: one line, as a cluster provides it."),
    ] = None,
    feed: Annotated[
        str, typer.Option(metavar="ADDRESS", help="A feed nearer than the one that the conductor names: a relay's.")
    ] = "",
    offscreen: Annotated[
        bool, typer.Option("--offscreen", help="No windows: pictures are kept in memory (EGL or OSMesa).")
    ] = False,
    burn: Annotated[
        bool, typer.Option("--burn", help="Numbers of frame, view and position in a corner, for machines to read.")
    ] = False,
    swap_group: Annotated[
        bool,
        typer.Option("--swap-group", help="Swap in one retrace by the driver's GLX_NV_swap_group, where it has one."),
    ] = False,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Save every shown picture there as TILE-FRAME.png.")
    ] = None,
    patience: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=1,
            help="Give up when the conductor has been silent for so long.",
            show_default="it waits for ever",
        ),
    ] = None,
    keys: Annotated[Path | None, _KEYS] = None,
) -> int:
    """Shows one tile of a wall, or all tiles of one of its nodes.

    Prints one line of JSON when it is ready.  Runs until it is told to stop (SIGTERM).
    """
    # VTK takes half a second to load, and --help shall not wait for it.
    from renderers.vtk_window import NoOpenGL
    from renderers.wall.seating import digest, seats_of
    from renderers.wall.studio import Studio
    from renderers.wall.tile import Place, TileNode

    structlog.contextvars.bind_contextvars(part="tile")
    if [bool(tile), bool(node), node_from is not None].count(True) != 1:
        raise WrongUse(
            "give --tile TILE, --node NODE or --node-from FILE, one of them: which part of the wall this process shows"
        )
    if node_from is not None:
        node = _node_in(node_from)
    here = _wall(wall)
    seats, name = seats_of(here), tile or node
    if name not in seats:
        some = ", ".join(one.name for one in (here.tiles if tile else here.nodes)[:12])
        raise WrongUse(f"wall {here.name} has no {'tile' if tile else 'node'} {name!r}; it has {some}")
    if save is not None and not save.is_dir():
        raise WrongUse(f"--save {save}: there is no such folder")
    mine = read_keys(keys, "renderer") if keys is not None else None
    place = Place(name, seats[name], digest(here), conductor, feed, burn, save, inf if patience is None else patience)
    try:
        studio = Studio(here, place.tiles, offscreen=offscreen, burn=burn, swap_group=swap_group)
    except NoOpenGL as why:
        raise CannotShow(str(why)) from None
    with closing(TileNode(place, studio, mine)) as process:
        return process.run(lambda: print(json.dumps({"ready": "tile", "tiles": place.tiles}), flush=True))


def _node_in(file: Path) -> str:
    """The name of a node in a file of one line.  Raises WrongUse."""
    try:
        with file.open(encoding="utf-8") as lines:
            found = lines.read(_LONGEST_NAME + 2).strip()
    except FileNotFoundError:
        raise WrongUse(f"there is no file {file}: this node is not known to drive tiles of the wall") from None
    except (OSError, UnicodeDecodeError) as why:
        raise WrongUse(f"{file} cannot be read: {getattr(why, 'strerror', None) or 'it is no text'}") from None
    if not found or len(found) > _LONGEST_NAME or "\n" in found:
        raise WrongUse(f"{file} does not hold the name of one node")
    return found


def _wall(name: str) -> Wall:
    from renderers.wall.shelf import load_wall

    return load_wall(name)


@contextmanager
def _listener(sources: tuple[TrackerSource, ...]) -> Iterator[Listener]:
    try:
        listener = Listener(sources, time.monotonic())
    except (OSError, ValueError) as why:
        if isinstance(why, OSError) and why.strerror:
            raise CannotShow(f"{why.filename}: {why.strerror}" if why.filename else why.strerror) from None
        raise CannotShow(str(why)) from None
    with listener:
        yield listener


@contextmanager
def _tape(file: Path, sources: tuple[TrackerSource, ...]) -> Iterator[Tape]:
    with ExitStack() as undo:
        try:
            out = undo.enter_context(file.open("xb", buffering=0))
            tape = Tape(out, sources, time.monotonic())
        except FileExistsError:
            raise WrongUse(f"--record {file}: there is such a file already, and no session is overwritten") from None
        except (OSError, ValueError) as why:
            raise CannotShow(f"{file} cannot be written: {getattr(why, 'strerror', None) or why}") from None
        undo.pop_all()
    try:
        yield tape
    except Exception:
        tape.close()
        if not tape.written:
            file.unlink(missing_ok=True)  # so that the same command works when it has been put right
        raise
    finally:
        tape.close()
        if tape.lost:
            structlog.get_logger("conductor").warning("not all was recorded", file=str(file), lost=tape.lost)


@contextmanager
def _endpoint(port: int | None) -> Iterator[Endpoint | None]:
    if port is None:
        yield None
        return
    try:
        endpoint = Endpoint(port)
    except OSError as why:
        raise CannotShow(f"metrics cannot be served on port {port} of 127.0.0.1: {why.strerror}") from None
    with closing(endpoint):
        yield endpoint
