"""``cavecast demo`` and ``cavecast run``: their options, and what they ask of the API."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import typer

from streamer.durable import Policy
from streamer.run.course import Wish, carry_out, check_opengl, say
from streamer.run.given import WrongUse, absolute, finite, is_wall_file, parameter, relay_of, three, two, wall_text
from streamer.run.showcase import BACKENDS, showing

DEMO_PACE_S = 30.0
SAMPLES = ("rivers", "flood2021", "blocking1980")

Workers = Annotated[
    int | None, typer.Option("--workers", min=1, metavar="N", help="Worker processes.", show_default="2, or as set")
]
Durability = Annotated[
    Policy | None,
    typer.Option(
        help="When a chunk is acknowledged: written to the log, or flushed in a group or by itself (each).",
        show_default="written, or as set",
    ),
]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Start at once, and only print the viewer's address.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object about the finished run, alone on stdout.")]


def demo(
    sample: Annotated[str, typer.Option(metavar="|".join(SAMPLES), help="Which sample to segment.")] = "rivers",
    segmenter: Annotated[
        str | None,
        typer.Option(
            metavar="ffn|connect",
            help="How to segment: with the network that ships, or by threshold and neighbours.",
            show_default="ffn for rivers where a network can run, else connect",
        ),
    ] = None,
    workers: Workers = None,
    no_browser: NoBrowser = False,
    exit_when_complete: Annotated[
        bool, typer.Option("--exit-when-complete", help="End after the last chunk instead of at Ctrl-C.")
    ] = False,
    as_json: Json = False,
    pace: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Spread the work over so long; 0: full speed.")
    ] = DEMO_PACE_S,
    durability: Durability = None,
) -> None:
    """Watch a sample being segmented, in the browser: control plane, streamer, workers and renderer on this machine.

    The work begins when the first viewer connects, or at once with --no-browser, and is slowed down to about half a
    minute, so that there is something to see; --pace 0 switches that off.  Ctrl-C ends all of it.
    """
    if sample not in SAMPLES:
        raise WrongUse(f"there is no sample {sample!r}; there are {', '.join(SAMPLES)}")
    finite({"--pace": pace})
    shown = showing(sample, segmenter, backend=any(map(importlib.util.find_spec, BACKENDS)))
    check_opengl()
    if pace:
        say(f"The work is spread over about {pace:g} s, so there is something to watch; --pace 0 switches that off.")
    if shown.said:
        say(shown.said)
    request: dict[str, object] = {
        **shown.request,
        "input": f"sample:{sample}",
        "workers": workers,
        "pace_s": pace,
        "durability": durability,
        "start": "at_once" if no_browser else "first_viewer",
    }
    carry_out(Wish(request, True, not no_browser, not exit_when_complete, as_json))


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
        str | None,
        typer.Option(
            metavar="STORE.zarr",
            help="Write the result, to a folder that must not exist yet or to s3://BUCKET/NAME.zarr.",
            show_default="nowhere",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="T,Y,X",
            help="Chunks of a shard of the store, which is one file.",
            show_default="1,1,1 up to 512 chunks, else chosen",
        ),
    ] = None,
    relay: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=ADDRESS]",
            help="Start a relay too, that listens there; NAME@OF: one of the relay OF. Repeatable.",
            show_default="none",
        ),
    ] = None,
    behind: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The relay that the renderer follows.", show_default="the streamer"),
    ] = None,
    durability: Durability = None,
    retain_gb: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="GB",
            help="When the log is larger, labels that are in the store leave it.",
            show_default="it keeps all",
        ),
    ] = None,
    wall: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WALL",
            help="Show it on this wall: a wall file, or the name of a wall that the control plane keeps. Repeatable.",
            show_default="none",
        ),
    ] = None,
    take: Annotated[
        bool, typer.Option("--take", help="Take the walls from the runs that they show; else that is refused.")
    ] = False,
    no_view: Annotated[bool, typer.Option("--no-view", help="No renderer and no viewer: just compute.")] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open the viewer's address, only print it.")
    ] = False,
    as_json: Json = False,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="A control plane that runs already; paths are its own.", show_default="one's own"
        ),
    ] = None,
    gpus: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="GPUs of each worker, in a cluster.", show_default="the site's"),
    ] = None,
    gpu_product: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which GPUs, as the nodes' label says it.", show_default="any"),
    ] = None,
    pace: Annotated[
        float, typer.Option(min=0, metavar="S", help="Spread the work over so many seconds; 0: full speed.")
    ] = 0.0,
) -> None:
    """Segment your own data, and watch it in the browser, or keep the result, or both.

    For example:  cavecast run ivt.nc --threshold 500 --out rivers.zarr

    On a terminal the viewer stays open after the end until Ctrl-C; with --no-view, with --json, or in a script the
    command ends with the run.  Exit status 0 only if every chunk was committed.  With --server the run is the other
    control plane's, and goes on there if this command is ended.
    """
    parameters = dict(map(parameter, set_ or []))
    for name, value in (("threshold", threshold), ("connectivity", connectivity)):
        if value is not None and name in parameters:
            raise WrongUse(f"--{name} and --set {name}=… say the same twice: give one of them")
    request: dict[str, object] = {
        "input": absolute(input) if server is None else input,
        "variable": variable,
        "segmenter": segmenter,
        "threshold": threshold,
        "connectivity": connectivity,
        "parameters": parameters,
        "min_duration_h": min_duration,
        "core_threshold": core_threshold,
        "chunk": None if chunk is None else [int(n) for n in three("--chunk", chunk, whole=True)],
        "workers": workers,
        "gpus": gpus,
        "gpu_product": gpu_product,
        "periodic": periodic,
        "spacing": None if spacing is None else three("--spacing", spacing),
        "layers": [] if layers == "none" else [name.strip() for name in layers.split(",")],
        "field_range": None if field_range is None else two("--field-range", field_range),
        "out": None if out is None else absolute(out) if server is None else out,
        "shard": None if shard is None else [int(n) for n in three("--shard", shard, whole=True)],
        "durability": durability,
        "retain_gb": retain_gb,
        "relays": list(map(relay_of, relay or [])),
        "behind": behind,
        "walls": [one for one in wall or [] if not is_wall_file(one)],
        "take": take,
        "view": not no_view,
        "pace_s": pace,
    }
    files = tuple(wall_text(Path(one).expanduser()) for one in wall or [] if is_wall_file(one))
    finite({
        "--threshold": threshold, "--core-threshold": core_threshold, "--min-duration": min_duration, "--pace": pace,
        "--retain-gb": retain_gb,
    })  # fmt: skip
    for option, given in (("--shard", shard), ("--retain-gb", retain_gb)):
        if given is not None and out is None:
            raise WrongUse(f"{option} is of no use without a store: give --out as well")
    if not no_view and server is None:
        check_opengl()
    seen = not no_view or bool(wall)
    stay = server is None and seen and not as_json and sys.stdout.isatty() and sys.stderr.isatty()
    carry_out(Wish(request, not no_view, not no_browser and not as_json, stay, as_json, server, files))
