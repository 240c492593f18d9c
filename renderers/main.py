"""``cavecast renderer``: reads its options once, opens a window that nobody sees, and draws one run for browsers."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import structlog
import typer
import zmq

from streamer.wire.keys import Keys
from streamer.wire.keys import read as read_keys

if TYPE_CHECKING:
    from renderers.trial import Trial

_DEBUGGING = "For measuring"


class CannotDraw(RuntimeError):
    """Why there will be no picture, in a sentence."""

    exit_code = 1


class WrongUse(CannotDraw):
    """The options do not fit."""

    exit_code = 2


def renderer(
    feed: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The streamer's feed: ipc://PATH or tcp://HOST:PORT.")
    ] = "",
    views: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Where viewers connect: ipc://PATH, or tcp://127.0.0.1:PORT (0: a free one)."
        ),
    ] = "tcp://127.0.0.1:0",
    name: Annotated[str, typer.Option(help="What the streamer calls it in its status.")] = "renderer",
    check: Annotated[
        bool, typer.Option("--check", help="Draw one small picture, say which OpenGL drew it, and stop.")
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="OUT.png", help="Follow the feed to the run's end, save one picture, and stop."),
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="WIDTHxHEIGHT", help="The size of that picture, in pixels.")
    ] = "1280x720",
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="CAVECAST_KEYS",
            help="renderer.toml, as cavecast keys made it, if the streamer asks for keys; needed beyond loopback.",
            show_envvar=False,
        ),
    ] = None,
    patience: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=1,
            help="Give up when the streamer has been silent for so long.",
            show_default="it waits for ever",
        ),
    ] = None,
    latency_marker: Annotated[
        bool,
        typer.Option(
            "--latency-marker",
            envvar="CAVECAST_LATENCY_MARKER",
            help="Mark in each picture which pointer position it answers.",
            rich_help_panel=_DEBUGGING,
            show_envvar=False,
        ),
    ] = False,
    full_detail: Annotated[
        bool,
        typer.Option(
            "--full-detail",
            envvar="CAVECAST_FULL_DETAIL",
            help="Draw all detail also while the camera moves.",
            rich_help_panel=_DEBUGGING,
            show_envvar=False,
        ),
    ] = False,
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npy",
            envvar="CAVECAST_PICTURES",
            help="Show these pictures instead of drawing any: (n, height, width, 3), uint8.",
            rich_help_panel=_DEBUGGING,
            show_default="it draws",
            show_envvar=False,
        ),
    ] = None,
) -> int:
    """Draws one run for browsers, without a screen.

    Prints one line of JSON with the address of the viewers' door when it is ready.  Needs OpenGL, from a GPU or
    from Mesa; without it, one sentence says which package to install.
    """
    # VTK takes half a second to load, and --help shall not wait for it.
    from renderers.vtk_window import NoOpenGL, describe, open_window

    if not structlog.is_configured():
        _log_to_stderr()
    structlog.contextvars.bind_contextvars(part="renderer")
    try:
        window = open_window(320, 180)
    except NoOpenGL as why:
        raise CannotDraw(str(why)) from None
    if check:
        _try_out(window)
        print(json.dumps({"opengl": describe(window)}), flush=True)
        return 0
    if not feed:
        raise WrongUse("--feed is missing: the address of the streamer's feed, as its ready line names it")
    mine = read_keys(keys, "renderer") if keys is not None else None
    if picture is not None:
        return _take_picture(window, feed, name, picture, _pixels(size), mine)
    from renderers.trial import Trial, reel

    trial = Trial(latency_marker, full_detail, None if pictures is None else reel(pictures))
    return _serve(window, feed, views, name, mine, inf if patience is None else patience, trial)


def _serve(window: Any, feed: str, views: str, name: str, keys: Keys | None, patience_s: float, trial: Trial) -> int:
    from renderers.node import Node

    node = Node(window, feed, views, name, keys, patience_s, trial)
    with closing(node):
        structlog.get_logger("renderer").info("ready", feed=feed, views=node.address)
        print(json.dumps({"ready": "renderer", "views": node.address}), flush=True)
        return node.run()


def _try_out(window: Any) -> None:
    """Draws something; raises CannotDraw if nothing is seen."""
    from renderers.vtk_window import Reader, trial

    trial(window)
    window.Render()
    pixels = Reader().read(window)
    if int(np.ptp(pixels)) < 50:
        raise CannotDraw("OpenGL is there but draws nothing: update the graphics driver, or Mesa")


def _take_picture(window: Any, feed: str, name: str, out: Path, size: tuple[int, int], keys: Keys | None = None) -> int:
    """Follows the feed until the run has ended; saves one picture.  Raises CannotDraw if the file cannot be written."""
    from renderers.camera import fit
    from renderers.entries import Arrived
    from renderers.feed import FeedLine
    from renderers.picture import smooth_png
    from renderers.show import Show

    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    line, show = FeedLine(context, feed, name, keys), Show(window)
    line.start()
    try:
        while not show.over:
            line.wake.wait(1.0)
            line.wake.hush()
            while (event := line.take()) is not None:
                show.happen(event, time.monotonic())
                if isinstance(event, Arrived):
                    line.used(event)
    finally:
        line.stop()
        context.term()
    while show.tidy(float("inf")):
        pass
    camera = fit(*size)
    camera = camera._replace(distance=0.82 * camera.distance)
    try:
        out.write_bytes(smooth_png(lambda shift: show.draw(camera, *size, shift)))
    except OSError as why:
        raise CannotDraw(f"{out} cannot be written: {why.strerror}") from None
    return 0


def _pixels(size: str) -> tuple[int, int]:
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal() and 16 <= int(width) <= 8192 and 16 <= int(height) <= 8192):
        raise WrongUse(f"--size {size} is no picture's size: WIDTHxHEIGHT, each 16 to 8192, such as 1280x720")
    return int(width), int(height)


def _log_to_stderr() -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer(default=str),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
