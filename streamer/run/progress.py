"""How a run is shown in the terminal: one picture of it, made from its record.  Pure, but for rich.

On a terminal a live panel on stderr: title, a bar of chunks, speed, objects, and what each part has
done, how fast, and how long it still takes.  Elsewhere a plain line now and then.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streamer.control.onwall import OnWall
from streamer.control.runs import ENDED, Run, waits
from streamer.wire.status import Part


def picture(run: Run, address: str | None) -> RenderableType:
    """The run as the live panel."""
    status = run.status
    head = Text.assemble((run.title, "bold"), "  ", (run.state, _colour(run.state)))
    where = Text.assemble("  ", (address, "underline cyan")) if address else Text("")
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=max(1, status.chunks), completed=status.committed + status.failed, width=40),
        Text(waits(run) or facts(run)),
    )
    parts = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("part", "done", "rate", "left"):
        parts.add_column(heading, justify="left" if heading == "part" else "right")
    for part in status.parts:
        # Workers share what is left: each is done when the run is.
        left_s = status.eta_s if part.role == "worker" else part.eta_s
        parts.add_row(part.name, _done(part), _rate(part), "" if left_s is None else duration(left_s))
    rows: list[RenderableType] = [head, where, bar] if address else [head, bar]
    if status.parts and run.state not in ENDED:  # then they only tell what they were about
        rows.append(parts)
    rows += [Text(line, style="cyan" if wall.state == "showing" else "yellow") for wall, line in _walls(run)]
    rows += [Text(remark, style="yellow") for remark in (*run.remarks, *notes(run))]
    return Group(*rows)


def states(run: Run) -> tuple[str, ...]:
    """Sentences about the walls that it is shown on: such as each is worth saying once."""
    standing = (f"It is shown on wall {wall.name}." for wall in run.walls if wall.state == "showing")
    return (*standing, *(sentence for wall in run.walls for sentence in wall.sentences))


def _walls(run: Run) -> list[tuple[OnWall, str]]:
    found = []
    for wall in run.walls:
        shown = f", {wall.tiles - len(wall.dark)} of {wall.tiles} tiles" if wall.state == "partly" else ""
        skew = f", {1000 * wall.skew_s:.0f} ms apart" if wall.skew_s is not None else ""
        found.append((wall, f"wall {wall.name}: {wall.state}{shown}{skew}"))
        found += [(wall, sentence) for sentence in wall.sentences]
    return found


def facts(run: Run) -> str:
    """The numbers in one line."""
    status = run.status
    said = [f"{status.committed:,} of {status.chunks:,} chunks"]
    if status.failed:
        said.append(f"{status.failed:,} failed")
    if status.voxels_per_second:
        said.append(f"{short(status.voxels_per_second)} voxels/s")
    said.append(f"{status.objects:,} object{'s' if status.objects != 1 else ''}")
    if run.state == "running" and status.eta_s is not None:
        said.append(f"about {duration(status.eta_s)} left")
    return ", ".join(said)


def notes(run: Run) -> tuple[str, ...]:
    """What the run waits for, if it waits."""
    return (run.status.note,) if run.status.note and run.state not in ENDED else ()


def plain(run: Run) -> str:
    """The run as one line of text."""
    return f"{run.state}: {waits(run) or facts(run)}"


def duration(seconds: float) -> str:
    """A time span for people."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def short(number: float) -> str:
    """A large number with three digits and a prefix."""
    for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {prefix}"
    return f"{number:.3g}"


def _done(part: Part) -> str:
    if part.role == "worker":
        return f"{part.done:,} chunks, {part.total:,} in hand"
    return f"{part.done:,} of {part.total:,} entries"


def _rate(part: Part) -> str:
    what = "chunks" if part.role == "worker" else "entries"
    return f"{part.rate_per_s:.1f} {what}/s" if part.rate_per_s else ""


def _colour(state: str) -> str:
    return {"complete": "green", "failed": "red", "cancelled": "yellow"}.get(state, "cyan")
