"""A sweep as a page: what was best, all trials as lines through their parameters, and a table.  Pure.

Parallel coordinates (Inselberg 1985): an axis for each parameter and one for the goal; a trial is a line.  The
better a trial the darker and the more in front is its line; the best is drawn in another colour, and thicker.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

from inference_workers.ffn.report_style import STYLE
from inference_workers.ffn.sweep import Span, Sweep, Trial, Value, ranked, settings_of

_HIGH, _TOP, _LOW, _SIDE, _STEP = 380, 44, 34, 60, 150
BEST = "#d55e00"
_MORE = """
.lines path{fill:none;stroke:#0072b2;stroke-width:1.4}.lines path:hover{stroke:#d55e00;stroke-width:4;opacity:1}
.lines path.best{stroke:#d55e00;stroke-width:3.2;opacity:1}.lines line{stroke:var(--quiet);stroke-width:1.2}
.lines text{paint-order:stroke;stroke:var(--panel);stroke-width:4px}
.lines text.name{font-weight:600;fill:var(--text)}
code{background:var(--track);border-radius:6px;padding:8px 12px;
display:block;overflow-x:auto;font-size:13px}
@media (prefers-color-scheme:dark){.lines path{stroke:#56b4e9}}
"""


def page(sweep: Sweep, trials: Sequence[Trial], importances: Mapping[str, float], notes: Sequence[str]) -> str:
    """The report as HTML, in one file that needs no network."""
    best = ranked(trials, sweep.direction)
    states = {state: sum(t.state == state for t in trials) for state in ("complete", "refused", "failed", "running")}
    said = ", ".join(f"{n} {state}" for state, n in states.items() if n)
    top = (
        f"<section><h2>Best: trial {best[0].number}, {escape(sweep.goal)} {best[0].value:.4f}</h2>"
        f"<code>{escape(settings_of(sweep, best[0].parameters)) or 'nothing but what the model says'}</code></section>"
        if best
        else "<section><p>No trial is complete.</p></section>"
    )
    said_lines = "<h2>All trials</h2><p class='said'>Each line is a trial, the best one thick.</p>"
    lines = f"<section>{said_lines}{svg(sweep, trials)}</section>"
    weights = "".join(
        f'<dt>{escape(name)}</dt><dd><div class="track"><b class="voxels" style="width:{100 * share:.1f}%"></b>'
        f"<span>{share:.2f}</span></div></dd>"
        for name, share in sorted(importances.items(), key=lambda item: -item[1])
    )
    matter = (
        "<section><h2>What mattered</h2><p class='said'>Shares of the difference between good and bad trials"
        f" (PED-ANOVA, Watanabe et al. 2023).</p><dl class='regions'>{weights}</dl></section>"
        if weights
        else ""
    )
    warned = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sweep {escape(sweep.name)}</title><style>{STYLE}{_MORE}</style>
<main><header><h1>Sweep {escape(sweep.name)}</h1><p class="said">{len(trials)} trials: {said or "none"}; judged by
{escape(sweep.goal)} on {escape(", ".join(sweep.validation))}.</p>{warned}</header>
{top}{lines}{matter}<section><h2>Trials</h2><div class="wide">{_table(sweep, trials)}</div></section></main></html>
"""


def svg(sweep: Sweep, trials: Sequence[Trial]) -> str:
    """Parallel coordinates of the complete trials."""
    done = ranked(trials, sweep.direction)[::-1]
    if not done:
        return "<p>No trial is complete.</p>"
    varied = sweep.varied()
    names = [*varied, sweep.goal]
    step = max(_STEP, 9 * max(map(len, names)))  # of names beside each other, none is over another
    wide = 2 * _SIDE + step * (len(names) - 1)
    bottom = _HIGH - _LOW
    values = [t.value or 0.0 for t in done]
    low, high = min(values), max(values)
    parts = []
    for i, name in enumerate(names):
        x = _SIDE + step * i
        parts.append(f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(f'<text x="{x}" y="20" text-anchor="middle" class="name">{escape(name)}</text>')
        ticks = [(f"{low:.3f}", 0.0), (f"{high:.3f}", 1.0)] if name == sweep.goal else _ticks(varied[name])
        for said, at in ticks:
            y = bottom - (bottom - _TOP) * at
            parts.append(f'<text x="{x + 6}" y="{y + 4:.1f}">{escape(said)}</text>')
    lines = []
    for rank, trial in enumerate(done):
        heights = [_height(varied[name], trial.parameters[name]) for name in varied]
        heights.append(((trial.value or 0.0) - low) / (high - low) if high > low else 0.5)
        points = [(_SIDE + step * i, bottom - (bottom - _TOP) * h) for i, h in enumerate(heights)]
        path = f"M{points[0][0]},{points[0][1]:.1f}" + "".join(
            f"C{a[0] + step / 2},{a[1]:.1f} {b[0] - step / 2},{b[1]:.1f} {b[0]},{b[1]:.1f}" for a, b in pairwise(points)
        )
        opacity = 0.12 + 0.7 * (rank + 1) / len(done)
        kind = ' class="best"' if rank == len(done) - 1 else f' opacity="{opacity:.2f}"'
        lines.append(f'<path d="{path}"{kind}><title>trial {trial.number}: {trial.value:.4f}</title></path>')
    drawn = "".join(lines + parts)
    return f'<svg class="lines" viewBox="0 0 {wide} {_HIGH}" role="img" aria-label="parallel coordinates">{drawn}</svg>'


def _height(choice: Span | list[Value], value: Value) -> float:
    """Where a value is on its axis, 0…1 from the bottom."""
    if isinstance(choice, list):
        return choice.index(value) / (len(choice) - 1)
    low, high, at = float(choice.low), float(choice.high), float(value)
    if choice.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low)


def _ticks(choice: Span | list[Value]) -> list[tuple[str, float]]:
    if isinstance(choice, list):
        return [(word(value), i / (len(choice) - 1)) for i, value in enumerate(choice)]
    low, high = float(choice.low), float(choice.high)
    middle = math.sqrt(low * high) if choice.log else (low + high) / 2
    return [(f"{low:g}", 0.0), (f"{middle:.3g}", 0.5), (f"{high:g}", 1.0)]


def word(value: Value) -> str:
    """A value as a table shows it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def _table(sweep: Sweep, trials: Sequence[Trial]) -> str:
    names = list(sweep.varied())
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    order = ranked(trials, sweep.direction)
    rest = [t for t in trials if t not in order]
    rows = []
    for trial in [*order, *rest]:
        cells = "".join(f"<td>{escape(word(trial.parameters.get(name, '')))}</td>" for name in names)
        value = f"{trial.value:.4f}" if trial.value is not None else trial.state
        seconds = trial.attributes.get("seconds")
        why = escape(str(trial.attributes.get("why", "")))
        took = f"{seconds:.1f}" if seconds is not None else ""
        rows.append(f"<tr><th>{trial.number}</th><td>{value}</td>{cells}<td>{took}</td><td>{why}</td></tr>")
    return (
        f"<table class='dense'><tr><th>Trial</th><th>{escape(sweep.goal)}</th>{head}<th>Seconds</th><th></th></tr>"
        + "".join(rows)
        + "</table>"
    )
