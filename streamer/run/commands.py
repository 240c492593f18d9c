"""``cavecast demo`` and ``cavecast run``: a control plane of one's own, one run, and its progress.

Both ask over HTTP as any other client would.  stdout carries the one JSON object of ``--json`` and
nothing else; what is said to a person goes to stderr.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn

import msgspec
import typer

from streamer.control.script import command
from streamer.lifeline import Lifeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamer.control.runs import Run
    from streamer.run.server import Server

DEMO_PACE_S = 30.0
PLAIN_EVERY_S = 2.0
OPENGL_S = 60.0
"""How long the renderer may take to find out whether it can draw here."""
SAMPLES = ("rivers", "flood2021", "blocking1980")


class WrongUse(ValueError):
    """An option that cannot be understood."""

    exit_code = 2


class Wish(NamedTuple):
    """What to do around a run."""

    request: dict[str, object]
    view: bool
    browser: bool
    """Open the viewer's address, if there is a screen."""
    stay: bool
    """Keep the viewer open after the end, until Ctrl-C."""
    as_json: bool


Workers = Annotated[
    int | None, typer.Option("--workers", min=1, metavar="N", help="Worker processes.", show_default="2, or as set")
]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Start at once, and only print the viewer's address.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object about the finished run, alone on stdout.")]


def demo(
    sample: Annotated[str, typer.Option(metavar="|".join(SAMPLES), help="Which sample to segment.")] = "rivers",
    workers: Workers = None,
    no_browser: NoBrowser = False,
    exit_when_complete: Annotated[
        bool, typer.Option("--exit-when-complete", help="End after the last chunk instead of at Ctrl-C.")
    ] = False,
    as_json: Json = False,
    pace: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Spread the work over so long; 0: full speed.")
    ] = DEMO_PACE_S,
) -> None:
    """Watch a sample being segmented, in the browser: control plane, streamer, workers and renderer on this machine.

    The work begins when the first viewer connects, or at once with --no-browser, and is slowed down to about half a
    minute, so that there is something to see; --pace 0 switches that off.  Ctrl-C ends all of it.
    """
    if sample not in SAMPLES:
        raise WrongUse(f"there is no sample {sample!r}; there are {', '.join(SAMPLES)}")
    finite({"--pace": pace})
    _check_opengl()
    if pace:
        _say(f"The work is spread over about {pace:g} s, so there is something to watch; --pace 0 switches that off.")
    request: dict[str, object] = {
        "input": f"sample:{sample}",
        "workers": workers,
        "pace_s": pace,
        "start": "at_once" if no_browser else "first_viewer",
    }
    _carry_out(Wish(request, True, not no_browser, not exit_when_complete, as_json))


def run(
    input: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="What xarray opens (NetCDF, HDF5, Zarr, OPeNDAP), a .npy file, or a quoted glob of files.",
            show_default=False,
        ),
    ],
    variable: Annotated[
        str | None, typer.Option(metavar="V", help="The variable, if there are several.", show_default=False)
    ] = None,
    segmenter: Annotated[str, typer.Option(metavar="NAME", help="How to segment.")] = "connect",
    threshold: Annotated[
        float | None,
        typer.Option(metavar="X", help="Voxels at or above it are labelled.", show_default="suggested by the data"),
    ] = None,
    connectivity: Annotated[
        int | None,
        typer.Option(metavar="6|18|26", help="Neighbours that connect two voxels.", show_default="26"),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Another parameter of the segmenter; repeatable.", show_default="none"
        ),
    ] = None,
    min_duration: Annotated[
        float, typer.Option(min=0, metavar="HOURS", help="Drop objects that live shorter; 0 keeps all.")
    ] = 0.0,
    core_threshold: Annotated[
        float | None,
        typer.Option(metavar="Y", help="Drop objects whose maximum does not reach it.", show_default="off"),
    ] = None,
    chunk: Annotated[
        str | None, typer.Option(metavar="T,Y,X", help="Voxels of a chunk.", show_default="chosen")
    ] = None,
    workers: Workers = None,
    periodic: Annotated[
        str,
        typer.Option(
            metavar="auto|none|AXIS", help="The axis that closes on itself; auto: longitude around the globe."
        ),
    ] = "auto",
    spacing: Annotated[
        str | None, typer.Option(metavar="T,Y,X", help="Voxel size, for .npy files.", show_default="1,1,1")
    ] = None,
    layers: Annotated[
        str,
        typer.Option(
            metavar="NAME,…",
            help="What chunks carry besides labels: labels1 (half the resolution), field, probability; or none.",
        ),
    ] = "labels1",
    field_range: Annotated[
        str | None,
        typer.Option(
            "--field-range", metavar="LOW,HIGH", help="Values between which field is kept.", show_default="found"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="STORE.zarr", help="Write the result; must not exist yet.", show_default="nowhere"),
    ] = None,
    no_view: Annotated[bool, typer.Option("--no-view", help="No renderer and no viewer: just compute.")] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open the viewer's address, only print it.")
    ] = False,
    as_json: Json = False,
    pace: Annotated[
        float, typer.Option(min=0, metavar="S", help="Spread the work over so many seconds; 0: full speed.")
    ] = 0.0,
) -> None:
    """Segment your own data, and watch it in the browser, or keep the result, or both.

    For example:  cavecast run ivt.nc --threshold 500 --out rivers.zarr

    On a terminal the viewer stays open after the end until Ctrl-C; with --no-view, with --json, or in a script the
    command ends with the run.  Exit status 0 only if every chunk was committed.
    """
    parameters = dict(map(parameter, set_ or []))
    for name, value in (("threshold", threshold), ("connectivity", connectivity)):
        if value is not None and name in parameters:
            raise WrongUse(f"--{name} and --set {name}=… say the same twice: give one of them")
    request: dict[str, object] = {
        "input": absolute(input),
        "variable": variable,
        "segmenter": segmenter,
        "threshold": threshold,
        "connectivity": connectivity,
        "parameters": parameters,
        "min_duration_h": min_duration,
        "core_threshold": core_threshold,
        "chunk": None if chunk is None else [int(n) for n in three("--chunk", chunk, whole=True)],
        "workers": workers,
        "periodic": periodic,
        "spacing": None if spacing is None else three("--spacing", spacing),
        "layers": [] if layers == "none" else [name.strip() for name in layers.split(",")],
        "field_range": None if field_range is None else two("--field-range", field_range),
        "out": None if out is None else str(out.absolute()),
        "view": not no_view,
        "pace_s": pace,
    }
    finite({
        "--threshold": threshold, "--core-threshold": core_threshold, "--min-duration": min_duration, "--pace": pace,
    })  # fmt: skip
    if not no_view:
        _check_opengl()
    stay = not no_view and not as_json and sys.stdout.isatty() and sys.stderr.isatty()
    _carry_out(Wish(request, not no_view, not no_browser and not as_json, stay, as_json))


def parameter(text: str) -> tuple[str, bool | int | float | str]:
    """``NAME=VALUE``: a number, true or false where it reads as one, else text.  Raises WrongUse."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise WrongUse(f"--set {text} is no parameter: give NAME=VALUE, such as --set threshold=500")
    try:
        return name, msgspec.json.decode(value, type=bool | int | float)
    except msgspec.MsgspecError:
        return name, value


def finite(options: dict[str, float | None]) -> None:
    """Raises WrongUse unless each option that was given is a finite number."""
    for option, value in options.items():
        if value is not None and not math.isfinite(value):
            raise WrongUse(f"{option} {value:g} is no number to go by: give a finite one")


def three(option: str, text: str, *, whole: bool = False) -> list[float]:
    """Three numbers with commas.  Raises WrongUse."""
    kind = "three whole numbers above 0" if whole else "three numbers above 0"
    try:
        numbers = [int(part) if whole else float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or not all(0 < n < float("inf") for n in numbers):
        raise WrongUse(f"{option} {text} is not {kind}: give them along (time, y, x) with commas, such as 24,32,32")
    return [float(n) for n in numbers]


def two(option: str, text: str) -> list[float]:
    """Two numbers with a comma.  Raises WrongUse."""
    try:
        low, high = (float(part) for part in text.split(","))
        if not low < high or high - low == float("inf"):
            raise ValueError
    except ValueError:
        raise WrongUse(
            f"{option} {text} is not a lower and a higher number: give them as LOW,HIGH, such as 0,1500"
        ) from None
    return [low, high]


def absolute(source: str) -> str:
    """A path made absolute, since the server may stand elsewhere; URLs and ``sample:NAME`` stay.  Raises WrongUse."""
    if not source.strip():
        raise WrongUse("INPUT is empty: give a file, a glob in quotes, a URL, or sample:NAME")
    if "://" in source or source.startswith("sample:"):
        return source
    return str(Path(source).expanduser().absolute())


def summary(run: Run) -> dict[str, object]:
    """What ``--json`` prints of a finished run.  ``seconds`` since its work began; ``voxels`` of the whole volume."""
    status = run.status
    return {
        "run_id": run.run_id,
        "shape": list(run.shape),
        "chunks": status.chunks,
        "objects": status.objects,
        "voxels": status.voxels,
        "labelled_voxels": status.labelled_voxels,
        "seconds": round(status.seconds, 3),
        "voxels_per_second": round(status.voxels_per_second, 1),
        "out": run.out,
    }


def verdict(run: Run) -> tuple[int, str]:
    """The exit code for a run that has ended, and a sentence about it."""
    status = run.status
    if run.state != "complete":
        return 1, run.error or f"run {run.run_id} was {run.state}"
    if status.committed < status.chunks:
        first = next(iter(status.failures.items()), None)
        why = f"; chunk {first[0]}: {first[1]}" if first else ""
        return 1, f"{status.chunks - status.committed} of {status.chunks} chunks could not be segmented{why}"
    kept = f", written to {run.out}" if run.out else ""
    done = f"Complete: {plural(status.objects, 'object')} in {status.voxels:,} voxels, {status.seconds:.1f} s{kept}."
    if not status.labelled_voxels and "threshold" in run.parameters:
        units = f" {run.units}" if run.units else ""
        done += f"  No voxel of {run.variable} reached {run.parameters['threshold']:g}{units}: try a lower --threshold."
    return 0, done


def plural(number: int, thing: str) -> str:
    """A number of things."""
    return f"{number:,} {thing}{'s' if number != 1 else ''}"


def _carry_out(wish: Wish) -> NoReturn:
    signal.signal(signal.SIGTERM, _terminated)
    raise typer.Exit(_on_terminal(wish) if sys.stderr.isatty() else _plainly(wish))


def _on_terminal(wish: Wish) -> int:
    # Libraries are loaded while the control plane starts, not before.
    from streamer.run.server import Server

    shown: list[str] = []
    with Server(lambda line: shown.append(line)) as server:
        from rich.console import Console
        from rich.live import Live

        from streamer.run.progress import picture

        console = Console(stderr=True)
        with Live("looking at the input …", console=console, refresh_per_second=8) as live:
            for run, address in _course(wish, server):
                while shown:
                    console.print(shown.pop(0), style="yellow", markup=False, highlight=False)
                live.update(picture(run, address))
        return _finish(wish, run, server)


def _plainly(wish: Wish) -> int:
    from streamer.run.server import Server

    with Server() as server:
        from streamer.run.progress import plain

        said, due = "", 0.0
        remarked: set[str] = set()
        for run, address in _course(wish, server):
            line, now = plain(run), time.monotonic()
            if not said and address:
                _say(f"The viewer is at {address}")
            for remark in run.remarks:
                if remark not in remarked:
                    _say(remark)
                    remarked.add(remark)
            if line != said and now >= due:
                _say(line)
                said, due = line, now + PLAIN_EVERY_S
        return _finish(wish, run, server)


def _course(wish: Wish, server: Server) -> Iterator[tuple[Run, str | None]]:
    """The run from its start to its end, whenever it has changed, and the address of its viewer."""
    from streamer.run.client import Client, Lost

    client = Client(server.url)
    try:
        run = client.start(wish.request)
        address = f"{server.url}{run.view_url}" if run.view_url else None
        yield run, address
        _open(wish, address)
        for latest in client.follow(run.run_id):
            yield latest, address
    except Lost as why:
        raise server.gone(str(why)) from None
    finally:
        client.close()


def _finish(wish: Wish, run: Run, server: Server) -> int:
    code, sentence = verdict(run)
    _say(sentence if code == 0 else f"cavecast: {sentence}")
    if wish.as_json and run.state == "complete":
        print(json.dumps(summary(run)), flush=True)
    if wish.stay and run.state == "complete":
        _say("The viewer stays open; Ctrl-C ends it.")
        server.wait()
    return code


def _open(wish: Wish, address: str | None) -> None:
    if address is None or not wish.browser:
        return
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        # A process of its own: a browser may keep its caller waiting, and talk on stdout.
        subprocess.Popen(
            [sys.executable, "-m", "webbrowser", address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    elif wish.request.get("start") == "first_viewer":
        _say(f"There is no screen here: open {address} in a browser, and the work begins.")


def _check_opengl() -> None:
    """Ends the command, with the renderer's own sentence, if pictures cannot be made here."""
    lifeline = Lifeline()  # closed with this process, however that ends
    try:
        done = subprocess.run(
            command("renderer", "--check"),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=lifeline.environment(dict(os.environ)),
            pass_fds=(lifeline.fd,),
            timeout=OPENGL_S,
        )
    except subprocess.TimeoutExpired:
        _say(f"cavecast: the renderer did not find out within {OPENGL_S:g} s whether it can draw here: try --no-view")
        raise typer.Exit(1) from None
    finally:
        lifeline.close()
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["the renderer cannot draw here, and does not say why"]
        _say(f"cavecast: {said[0].removeprefix('cavecast: ')}")
        raise typer.Exit(1)


def _terminated(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
