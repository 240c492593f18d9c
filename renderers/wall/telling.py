"""What ``cavecast wall`` says on a terminal, or to the next program: tables, sentences, and how far it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import typer

from renderers.wall.check import Report
from renderers.wall.findings import count
from renderers.wall.proof import Verdict
from renderers.wall.records import Wall
from streamer.wire.walls import WallFacts


def listed(walls: Sequence[Wall], reports: Sequence[Report]) -> None:
    """Walls, one a line: a table for people, tabs for programs."""
    rows, plain = [], []
    for w, r in zip(walls, reports, strict=True):
        figures = str(r.screens), str(r.tiles), str(r.nodes), f"{r.megapixels:.1f}"
        rows.append((w.name, *figures, f"{r.fov_deg[0]:.0f}° × {r.fov_deg[1]:.0f}°", w.title))
        plain.append((w.name, *figures, w.title))
    heads = ("preset", "screens", "outputs", "nodes", "megapixels", "field of view", "what")
    _table(heads, rows if sys.stdout.isatty() else plain)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], first: Sequence[str] = ()) -> None:
    """``first``: a line ahead of the others where nobody looks at it."""
    if not sys.stdout.isatty():
        for row in (*([first] if first else []), *rows):
            typer.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*heads)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def show(report: Report) -> None:
    """What check has found."""
    across, up = report.fov_deg
    typer.echo(
        f"{report.name}: {count(report.screens, 'screen')}, {count(report.tiles, 'output')} on "
        f"{count(report.nodes, 'node')}, "
        f"{report.megapixels:,.1f} megapixels, {across:.0f}° × {up:.0f}° from the head"
    )
    for finding in report.findings:
        typer.echo(f"{finding.level:8} {finding.sentence}")
    if not report.findings:
        typer.echo("nothing to complain about")


def told(wall: WallFacts) -> None:
    """A wall in facts: what it is, and a line for each of its nodes."""
    across, up, back = (length / 1000 for length in wall.size_mm)
    typer.echo(
        f"{wall.name}: {wall.title or 'a wall'}, {across:.2f} × {up:.2f} × {back:.2f} m, "
        f"{count(len(wall.tiles), 'output')} on {count(len(wall.seats), 'node')}"
    )
    for seat in wall.seats:
        typer.echo(f"{seat.name}\t{seat.host or 'any host'}\t{', '.join(seat.tiles)}")
    labels = ", ".join(f"{key}={value}" for key, value in sorted(wall.labels.items()))
    if labels:
        typer.echo(f"on nodes with {labels}; {wall.expected_nodes} are expected")


def aside(line: str) -> None:
    """A line beside the result."""
    typer.echo(line, err=True)


def progress() -> Callable[[int, int], None]:
    """Says on a terminal how far it is; elsewhere, at each quarter."""
    quarters = iter((0.25, 0.5, 0.75, 1.0, 2.0))
    due = [next(quarters)]

    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r{done} of {total} pictures compared", err=True, nl=done == total)
        elif done >= due[0] * total:
            due[0] = next(quarters)
            typer.echo(f"{done} of {total} pictures compared", err=True)

    return tell


def tell(verdict: Verdict) -> None:
    """How a trial went."""
    rows = [
        (
            row.group, str(row.tiles), f"{row.against[0]} × {row.against[1]}", f"{100 * row.share:.4f} %",
            f"{row.worst_tile} {100 * row.worst_share:.4f} %", f"{row.error_px:.2f} px", f"{100 * row.seen:.0f} %",
        )
        for row in verdict.groups
    ]  # fmt: skip
    heads = ("tiles", "how many", "beside", "differ", "worst tile", "points off by", "seen")
    _table(heads, rows, heads)
    how = "within" if verdict.within else "ABOVE"
    typer.echo(
        f"{verdict.wall}, {count(verdict.tiles, 'tile')} at {verdict.scale:g}: {100 * verdict.share:.4f} % of the "
        f"pixels differ (worst tile {verdict.worst_tile}, {100 * verdict.worst_share:.4f} %), points are off by at "
        f"most {verdict.error_px:.2f} px, in {verdict.seconds:.0f} s: {how} the budget of {100 * verdict.budget:g} % "
        "in each view and 0.5 px"
    )
    for one in verdict.trials:
        if one.differing > verdict.budget * one.pixels:
            typer.echo(f"above: {one.trial}, {one.eye} eye, {100 * one.differing / one.pixels:.4f} %")
