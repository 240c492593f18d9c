"""A run from the command line, from its start to its end: a control plane, one's own as a rule, and progress shown.

It asks over HTTP as any other client would.  stdout carries the one JSON object of ``--json`` and
nothing else; what is said to a person goes to stderr.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple, NoReturn, cast

import typer

from streamer.control.script import command
from streamer.lifeline import Lifeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamer.control.runs import Run
    from streamer.run.elsewhere import Elsewhere
    from streamer.run.server import Server

PLAIN_EVERY_S = 2.0
OPENGL_S = 60.0
"""How long the renderer may take to find out whether it can draw here."""


class Wish(NamedTuple):
    """What to do around a run."""

    request: dict[str, object]
    view: bool
    browser: bool
    """Open the viewer's address, if there is a screen."""
    stay: bool
    """Keep the viewer open after the end, until Ctrl-C."""
    as_json: bool
    server: str | None = None
    """The address of a control plane that runs already; one's own is started if there is none."""
    wall_files: tuple[str, ...] = ()
    """The texts of wall files, which are kept there before the run is started on them."""


def carry_out(wish: Wish) -> NoReturn:
    """Starts the run, shows its progress until it has ended, and ends the command with its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    raise typer.Exit(_on_terminal(wish) if sys.stderr.isatty() else _plainly(wish))


def _server(wish: Wish, show: Callable[[str], None] | None = None) -> Server | Elsewhere:
    if wish.server is not None:
        from streamer.run.elsewhere import Elsewhere

        return Elsewhere(wish.server)
    from streamer.run.server import Server

    return Server(show)


def _on_terminal(wish: Wish) -> int:
    # Libraries are loaded while the control plane starts, not before.
    shown: list[str] = []
    with _server(wish, lambda line: shown.append(line)) as server:
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
    with _server(wish) as server:
        from streamer.run.progress import notes, plain, states

        said, due = "", 0.0
        remarked: set[str] = set()
        for run, address in _course(wish, server):
            line, now = plain(run), time.monotonic()
            if not said and address:
                say(f"The viewer is at {address}")
            for remark in (*run.remarks, *notes(run), *states(run)):
                if remark not in remarked:
                    say(remark)
                    remarked.add(remark)
            if line != said and now >= due:
                say(line)
                said, due = line, now + PLAIN_EVERY_S
        return _finish(wish, run, server)


def _course(wish: Wish, server: Server | Elsewhere) -> Iterator[tuple[Run, str | None]]:
    """The run from its start to its end, whenever it has changed, and the address of its viewer."""
    from streamer import settings
    from streamer.client import Client, Lost
    from streamer.control.runs import ENDED

    client = Client(server.url, plain_http=settings.read({}).plain_http)
    try:
        request = dict(wish.request)
        brought = [client.put_wall(text).name for text in wish.wall_files]
        if brought:
            request["walls"] = [*cast("list[str]", request.get("walls") or []), *brought]
        run = client.start(request)
        server.at_work = run.run_id
        address = f"{server.url}{run.view_url}" if run.view_url else None
        yield run, address
        _open(wish, address)
        for latest in client.follow(run.run_id):
            server.at_work = "" if latest.state in ENDED else latest.run_id
            yield latest, address
    except Lost as why:
        raise server.gone(str(why)) from None
    finally:
        client.close()


def _finish(wish: Wish, run: Run, server: Server | Elsewhere) -> int:
    from streamer.run.outcome import summary, verdict

    code, sentence = verdict(run)
    say(sentence if code == 0 else f"cavecast: {sentence}")
    if wish.as_json and run.state == "complete":
        print(json.dumps(summary(run)), flush=True)
    if wish.stay and run.state == "complete":
        say(f"The {'viewer stays open' if wish.view else 'wall goes on showing it'}; Ctrl-C ends it.")
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
        say(f"There is no screen here: open {address} in a browser, and the work begins.")


def check_opengl() -> None:
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
        say(f"cavecast: the renderer did not find out within {OPENGL_S:g} s whether it can draw here: try --no-view")
        raise typer.Exit(1) from None
    finally:
        lifeline.close()
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["the renderer cannot draw here, and does not say why"]
        say(f"cavecast: {said[0].removeprefix('cavecast: ')}")
        raise typer.Exit(1)


def _terminated(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)


def say(sentence: str) -> None:
    """A sentence for a person."""
    sys.stderr.write(f"{sentence}\n")  # at one go: the control plane's log goes there as well
    sys.stderr.flush()
