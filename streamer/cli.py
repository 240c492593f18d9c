"""``cavecast``, the one command.

Its commands are a table of names; the module behind a name is imported when that command is called,
so that ``cavecast --help`` stays quick and a worker never loads what only a renderer needs.  Every
part is started through here: this is where a process is tied to its parent, where an error becomes
one sentence on stderr (``cavecast: …``) and where exit codes are made: 0 done, 1 failed, 2 wrong
use, 130 interrupted.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from streamer import lifeline


class Lazy(NamedTuple):
    """Where a command is, and what the overview says about it."""

    target: str
    help: str
    panel: str


SHOW, DATA, PARTS = "Show a segmentation", "Data", "The parts, each alone, as a cluster starts them"
COMMANDS = {
    "demo": Lazy("streamer.run.commands:demo", "Watch a sample being segmented, in the browser.", SHOW),
    "run": Lazy("streamer.run.commands:run", "Segment your own data; watch it, or keep the result, or both.", SHOW),
    "runs": Lazy("streamer.run.manage:runs", "The runs of a control plane: list, show, pause, scale, end.", SHOW),
    "login": Lazy("streamer.run.login:login", "Sign in at a control plane elsewhere.", SHOW),
    "logout": Lazy("streamer.run.login:logout", "Forget that sign-in.", SHOW),
    "whoami": Lazy("streamer.run.login:whoami", "Who you are to a control plane, and what you may there.", SHOW),
    "walls": Lazy("streamer.run.manage_walls:walls", "The walls of a control plane: keep, look at, try.", SHOW),
    "views": Lazy("streamer.run.manage_views:views", "What those see who look at a run together.", SHOW),
    "audit": Lazy("streamer.run.audit:audit", "What was changed in your projects at a control plane, by whom.", SHOW),
    "samples": Lazy("inference_workers.commands:samples", "List the samples, or copy one.", DATA),
    "inspect": Lazy("inference_workers.commands:inspect", "Say what a file holds and how it would be cut.", DATA),
    "segmenters": Lazy("inference_workers.commands:segmenters", "List the segmenters and what they take.", DATA),
    "wall": Lazy("renderers.wall.commands:wall", "Walls: which there are, and whether yours is right.", DATA),
    "ffn": Lazy("inference_workers.ffn.commands:ffn", "Flood-filling networks: bring, train and judge them.", DATA),
    "serve": Lazy("streamer.control.main:serve", "The control plane: HTTP API, viewer, and the runs' parts.", PARTS),
    "streamer": Lazy("streamer.main:streamer", "The log of one run: leases out, commits in, entries on.", PARTS),
    "worker": Lazy("inference_workers.main:worker", "Segments chunks that it leases from a streamer.", PARTS),
    "renderer": Lazy("renderers.main:renderer", "Draws one run for browsers, without a screen.", PARTS),
    "conductor": Lazy("renderers.wall.main:conductor", "Says what a wall's tiles draw and when they show it.", PARTS),
    "tile": Lazy("renderers.wall.main:tile", "Shows one tile of a wall, or all tiles of a node.", PARTS),
    "archive": Lazy("streamer.archive.main:archive", "Writes one run to a Zarr store and CSV tables.", PARTS),
    "keys": Lazy("streamer.keys:keys", "Makes the keys with which a run's parts meet beyond this machine.", PARTS),
}


class Commands(TyperGroup):
    """The group whose commands are imported when they are wanted; until then a name and a sentence stand for each."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.help = unwrapped(self.help)
        for name, lazy in COMMANDS.items():
            self.add_command(TyperCommand(name, help=lazy.help, rich_help_panel=lazy.panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Imports the command that is called (or completed) in place of what stood for it."""
        if args and args[0] in COMMANDS:
            self.add_command(load(args[0]), args[0])
        return super().resolve_command(ctx, args)


def load(name: str) -> Any:
    """The command behind a name, imported."""
    module, _, function = COMMANDS[name].target.partition(":")
    command: Callable[..., object] | typer.Typer = getattr(importlib.import_module(module), function)
    if isinstance(command, typer.Typer):  # a command with commands of its own
        group = typer.main.get_group(command)
        group.name = name
        for one in (group, *group.commands.values()):
            one.help = unwrapped(one.help)
            one.context_settings["help_option_names"] = ["-h", "--help"]
        return group
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    alone.command(name, context_settings={"help_option_names": ["-h", "--help"]})(command)
    made = typer.main.get_command(alone)
    made.help = unwrapped(made.help)
    return made


def unwrapped(text: str | None) -> str:
    """Paragraphs in one line each: the terminal breaks them where it ends, not where the source does."""
    return "\n\n".join(" ".join(paragraph.split("\n")) for paragraph in (text or "").split("\n\n"))


app = typer.Typer(
    name="cavecast",
    cls=Commands,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with [bold]cavecast demo[/].  Your own data: [bold]cavecast run FILE.nc --threshold 500[/].  "
    "Each command explains itself: [bold]cavecast run --help[/].",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cavecast {importlib.metadata.version('cavecast')}")
        raise typer.Exit()


@app.callback()
def cavecast(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Shows a 3-D segmentation [bold]while it is being computed[/].

    Workers segment a volume chunk by chunk; every finished chunk streams to a renderer, which draws it in your browser
    within a fraction of a second, and, if you like, into a Zarr store that xarray opens.
    """
    del version
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
    elif COMMANDS[ctx.invoked_subcommand].panel == PARTS and ctx.invoked_subcommand != "serve":  # it has flags for them
        from streamer import logs, settings

        chosen = settings.read({})
        logs.configure(chosen.log_level, chosen.log_format)
    elif ctx.invoked_subcommand == "wall":  # it draws, and what the drawing would say is not what was asked for
        from streamer import logs

        logs.configure("warning")


def main() -> NoReturn:
    """The console script.  Ends the process with the exit code that fits."""
    try:
        lifeline.hold()
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except typer.Abort:
        code = 130
    except BrokenPipeError:
        # The reader of our output has gone (`cavecast samples | head -1`): that is its right.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as why:
        code = explain(why)
    if code == 130:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C shall not interrupt the interpreter's end
    sys.exit(code if isinstance(code, int) else 0)


def explain(why: Exception) -> int:
    """Says what went wrong in one sentence on stderr; returns the exit code.

    An exception that is meant for people carries ``exit_code`` or is a ValueError of ours; any other is
    logged with its traceback first, since it is ours to mend.
    """
    if isinstance(why, typer.TyperException):
        said, code = why.format_message(), why.exit_code
        usage = getattr(why, "ctx", None)
        hint = f" (see {usage.command_path} --help)" if usage is not None else ""
        complain(said.rstrip(".") + hint)
        return code
    if hasattr(why, "exit_code"):
        complain(str(why))
        return int(why.exit_code)
    if isinstance(why, OSError) and why.strerror:
        complain(f"{why.strerror}: {why.filename}" if why.filename else why.strerror)
        return 1
    import structlog

    from streamer import logs

    if not structlog.is_configured():
        logs.configure()
    structlog.get_logger().error("unexpected", exc_info=why)
    complain(f"an error that should not have happened: {type(why).__name__}: {why}")
    return 1


def complain(sentence: str) -> None:
    """One sentence on stderr, as all commands say it."""
    print(f"cavecast: {sentence}", file=sys.stderr, flush=True)
