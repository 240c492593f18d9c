"""An evaluation as a page: figures, curves, bars and pictures in one file that needs no network.  Pure.

Everything that a reader could mistake is said beside it; nothing is told by colour alone.  The page
follows the system's theme and prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from inference_workers.ffn.pictures import BOTH, ELSEWHERE, FALSE, MISSED, OTHERS, Picture
from inference_workers.ffn.report_style import STYLE
from inference_workers.ffn.scores import BlockScores, Evaluation, ObjectScores, RegionScores, Scores, StepScores


class View(NamedTuple):
    """One step in pictures: truth, prediction, errors."""

    title: str
    panels: tuple[Picture, Picture, Picture]
    aspect: float
    """Width by height as it lies on the ground."""


class Card(NamedTuple):
    """One object in a picture, with what is said of it."""

    picture: Picture
    object: ObjectScores
    step: str


EXPLAINED: tuple[tuple[str, str, str], ...] = (
    ("voxel_f1", "Voxel F1", "harmonic mean of the next two: how well object and background are told apart"),
    ("voxel_precision", "Voxel precision", "of the predicted voxels, the share that is true"),
    ("voxel_recall", "Voxel recall", "of the true voxels, the share that is predicted"),
    ("voxel_iou", "Voxel IoU", "voxels in both, by voxels in either"),
    ("object_f1", "Object F1", "harmonic mean of the next two; objects are matched one to one at IoU ≥ 0.5"),
    ("object_precision", "Object precision", "of the predicted objects, the share that is matched"),
    ("object_recall", "Object recall", "of the true objects, the share that is matched"),
    ("mean_object_iou", "Mean object IoU", "of each true object with its best predicted one, 0 where there is none"),
    ("vi_split_bits", "Variation of information, split", "bits; how much true objects are cut up, 0 is best"),
    ("vi_merge_bits", "Variation of information, merge", "bits; how much true objects run into one, 0 is best"),
    ("adapted_rand_error", "Adapted Rand error", "of pairs of voxels that are together, 0 is best"),
)


def page(evaluation: Evaluation, views: Sequence[View], worst: Sequence[Card], best: Sequence[Card],
         false: Sequence[Card]) -> str:  # fmt: skip
    """The report as HTML."""
    e, t = evaluation, evaluation.total
    notes = [*e.notes, *([f"Left out: {e.left_out}."] if e.left_out else [])]
    keys = _keys((("in both", BOTH), ("predicted as another object", ELSEWHERE), ("missed", MISSED), ("false", FALSE),
                  ("other objects", OTHERS)))  # fmt: skip
    cards = "".join(
        _section(title, said, f'<div class="cards">{"".join(_card(card, e.axes) for card in some)}</div>{keys}')
        for title, said, some in (
            ("Where most is lost", "True objects with the most voxels that their best predicted object lacks.", worst),
            ("What went best", "Of the larger half of the true objects, those with the highest IoU.", best),
            ("Predicted, but matched with nothing", "The largest predicted objects without a partner.", false),
        )
        if some
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Segmentation against truth</title>
<style>{STYLE}</style>
<main>
<header><h1>Segmentation against truth</h1>
<dl class="sides"><dt>prediction</dt><dd>{escape(e.pred)}</dd><dt>truth</dt><dd>{escape(e.truth)}</dd>
<dt>compared</dt><dd>{t.voxels:,} of {_product(e.shape):,} voxels, {len(e.steps):,} of {e.shape[0]:,} steps,
{t.objects_truth:,} true and {t.objects_pred:,} predicted objects</dd></dl>
{"".join(f'<p class="note">{escape(note)}</p>' for note in notes)}</header>
<div class="figures">{_figure("Voxel F1", t.voxel_f1)}{_figure("Voxel IoU", t.voxel_iou)}
{_figure("Object F1", t.object_f1, "at IoU ≥ 0.5")}{_figure("Mean object IoU", t.mean_object_iou)}
{_figure("Split", t.vi_split_bits, "bits, 0 is best", bar=False)}
{_figure("Merge", t.vi_merge_bits, "bits, 0 is best", bar=False)}</div>
{_section("Voxels", "", _balance(t))}
{_section("Through time", "Objects are cut at the ends of a block, on both sides alike.", _curve(e.steps, e.time))}
{_section("By region", "Objects are cut at the borders of a region.", _bars(e.regions))}
{_views(views)}{cards}
{_section("All measures", "", _table(t))}
{_details("Blocks of time", _rows([(b.name, b.scores) for b in e.time]))}
{_details("Regions", _rows([(r.name, r.scores) for r in e.regions]))}
{_details(f"True objects ({len(e.objects):,})", _objects(e.objects))}
<footer>Voxel and object measures count everything that was compared. Variation of information (Meilă 2007) and adapted
Rand error (Arganda-Carreras et al. 2015) look at the voxels of true objects only.</footer>
</main></html>
"""


def _section(title: str, said: str, body: str) -> str:
    about = f'<p class="said">{escape(said)}</p>' if said else ""
    return f"<section><h2>{escape(title)}</h2>{about}{body}</section>"


def _details(title: str, body: str) -> str:
    return f'<details><summary>{escape(title)}</summary><div class="wide">{body}</div></details>'


def _product(shape: tuple[int, int, int]) -> int:
    return shape[0] * shape[1] * shape[2]


def number(value: float | None) -> str:
    """Three decimals; a dash where nothing can be said."""
    return "–" if value is None else f"{value:.3f}"


def _figure(name: str, value: float | None, said: str = "", *, bar: bool = True) -> str:
    drawn = f'<i class="bar"><b style="width:{100 * value:.1f}%"></b></i>' if bar and value is not None else ""
    return f"<div><span>{name}</span><strong>{number(value)}</strong>{drawn}<small>{said}</small></div>"


def _balance(t: Scores) -> str:
    both = round((t.voxel_recall or 0) * t.voxels_truth)
    parts = [
        ("in both", both, BOTH),
        ("missed: only in the truth", t.voxels_truth - both, MISSED),
        ("false: only in the prediction", t.voxels_pred - both, FALSE),
    ]
    whole = sum(n for _, n, _ in parts) or 1
    bars = "".join(f'<b style="width:{100 * n / whole:.3f}%;background:{c}"></b>' for _, n, c in parts)
    keys = "".join(
        f'<li><i style="background:{c}"></i>{name} <b>{n:,}</b> ({100 * n / whole:.1f} %)</li>' for name, n, c in parts
    )
    return f'<div class="balance">{bars}</div><ul class="keys">{keys}</ul>'


_WIDE, _HIGH, _LEFT, _LOW = 920, 250, 40, 30


def _curve(steps: Sequence[StepScores], blocks: Sequence[BlockScores]) -> str:
    """F1 of voxels at each step, of objects in each block, and below how many voxels there are."""
    if not steps:
        return "<p>No step was compared.</p>"
    first, stop = min(steps[0].step, blocks[0].first), max(steps[-1].step + 1, blocks[-1].stop)

    def x(step: float) -> float:
        return _LEFT + (_WIDE - _LEFT - 8) * (step - first) / (stop - first)

    def y(value: float) -> float:
        return 10 + (_HIGH - 20 - _LOW) * (1 - value)

    parts = [
        f'<line x1="{_LEFT}" x2="{_WIDE - 8}" y1="{y(v):.1f}" y2="{y(v):.1f}" class="grid"/>'
        f'<text x="{_LEFT - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v:g}</text>'
        for v in (0, 0.25, 0.5, 0.75, 1)
    ]
    every = -(-len(blocks) // 6)
    for block in blocks[::every]:
        parts.append(f'<text x="{x(block.first):.1f}" y="{_HIGH - 6}">{escape(block.name[:10])}</text>')
        parts.append(
            f'<line x1="{x(block.first):.1f}" x2="{x(block.first):.1f}" y1="10" y2="{y(0):.1f}" class="grid"/>'
        )
    shown = {s.step for s in steps}
    parts += [
        f'<rect x="{x(a):.1f}" y="10" width="{x(b) - x(a):.1f}" height="{y(0) - 10:.1f}" class="aside">'
        f"<title>not compared: steps {a} to {b - 1}</title></rect>"
        for a, b in _gaps(shown, first, stop)
    ]
    for block in blocks:
        value = block.scores.object_f1
        if value is not None:
            parts.append(
                f'<rect x="{x(block.first):.1f}" width="{max(x(block.stop) - x(block.first) - 1, 1):.1f}"'
                f' y="{y(value):.1f}" height="{y(0) - y(value):.1f}" class="objects">'
                f"<title>{escape(block.name)}: object F1 {value:.3f}, voxel F1 {number(block.scores.voxel_f1)}"
                "</title></rect>"
            )
    for run in _runs(steps):
        points = " ".join(f"{x(s.step + 0.5):.1f},{y(f1):.1f}" for s in run if (f1 := s.f1) is not None)
        parts.append(f'<polyline points="{points}" class="voxels"/>')
    keys = '<ul class="keys"><li><i class="line"></i>voxel F1 at each step</li><li><i class="box"></i>object F1 in each'
    keys += ' block of time</li><li><i class="blank"></i>not compared</li></ul>'
    drawn = f'<svg viewBox="0 0 {_WIDE} {_HIGH}" role="img" aria-label="F1 through time">{"".join(parts)}</svg>'
    return drawn + keys


def _gaps(shown: set[int], first: int, stop: int) -> list[tuple[int, int]]:
    """Ranges of steps that are not shown."""
    found: list[tuple[int, int]] = []
    for step in range(first, stop):
        if step in shown:
            continue
        if found and found[-1][1] == step:
            found[-1] = (found[-1][0], step + 1)
        else:
            found.append((step, step + 1))
    return found


def _runs(steps: Sequence[StepScores]) -> list[list[StepScores]]:
    """Steps that follow each other and have an F1."""
    runs: list[list[StepScores]] = []
    for s in steps:
        if s.f1 is None:
            continue
        if runs and runs[-1][-1].step + 1 == s.step:
            runs[-1].append(s)
        else:
            runs.append([s])
    return runs


def _bars(regions: Sequence[RegionScores]) -> str:
    def bar(value: float | None, kind: str, name: str) -> str:
        width = 0.0 if value is None else 100 * value
        return (
            f'<div class="track"><b class="{kind}" style="width:{width:.1f}%"></b>'
            f"<span>{name} {number(value)}</span></div>"
        )

    rows = "".join(
        f"<dt>{escape(r.name)}<small>{r.scores.objects_truth:,} true objects</small></dt>"
        f"<dd>{bar(r.scores.voxel_f1, 'voxels', 'voxel F1')}{bar(r.scores.object_f1, 'objects', 'object F1')}</dd>"
        for r in regions
    )
    return f'<dl class="regions">{rows}</dl>'


def _views(views: Sequence[View]) -> str:
    if not views:
        return ""
    rows = "".join(
        f"<h3>{escape(view.title)}</h3><div class='panels'>"
        + "".join(
            f'<figure><img src="{p.address}" alt="{escape(p.alt)}" style="aspect-ratio:{view.aspect:.3f}">'
            f"<figcaption>{name}</figcaption></figure>"
            for name, p in zip(("truth", "prediction", "errors"), view.panels, strict=True)
        )
        + "</div>"
        for view in views
    )
    said = "A predicted object has the colour of the true one that it is matched with; grey: matched with none."
    return _section("Steps in pictures", said, rows + _keys((("in both", BOTH), ("missed", MISSED), ("false", FALSE))))


def _keys(colours: Sequence[tuple[str, str]]) -> str:
    items = "".join(f'<li><i style="background:{c}"></i>{name}</li>' for name, c in colours)
    return f'<ul class="keys">{items}</ul>'


def _card(card: Card, axes: tuple[str, str]) -> str:
    o, p = card.object, card.picture
    name = f"Object {o.id}" if o.id else f"Predicted {o.best}"
    said = [f"{o.voxels:,} voxels", f"{o.first} – {o.last}", f"around {axes[0]} {o.y:.1f}, {axes[1]} {o.x:.1f}"]
    if o.id:
        pieces = "1 piece" if o.pieces == 1 else f"{o.pieces} pieces"
        said += [f"{100 * o.covered:.0f} % covered, in {pieces}"]
    badge = f"IoU {o.iou:.2f}" if o.id else "no partner"
    lines = "".join(f"<li>{escape(line)}</li>" for line in said)
    return (
        f'<article><div class="frame"><img src="{p.address}" alt="{escape(p.alt)}"'
        f' style="aspect-ratio:{p.width / p.height:.3f}"></div><h3>{name}<span>{badge}</span></h3><ul>{lines}</ul>'
        f"<small>picture: {escape(card.step)}</small></article>"
    )


def _table(t: Scores) -> str:
    rows = "".join(
        f"<tr><th>{name}</th><td>{number(getattr(t, key))}</td><td class='said'>{said}</td></tr>"
        for key, name, said in EXPLAINED
    )
    return f'<div class="wide"><table>{rows}</table></div>'


def _rows(parts: Sequence[tuple[str, Scores]]) -> str:
    head = "".join(f"<th>{name}</th>" for _, name, _ in EXPLAINED)
    body = "".join(
        f"<tr><th>{escape(name)}</th>" + "".join(f"<td>{number(getattr(s, key))}</td>" for key, _, _ in EXPLAINED)
        + f"<td>{s.objects_truth:,}</td><td>{s.objects_pred:,}</td></tr>"
        for name, s in parts
    )  # fmt: skip
    return f"<table class='dense'><tr><th></th>{head}<th>True objects</th><th>Predicted</th></tr>{body}</table>"


MOST_ROWS = 500


def _objects(objects: Sequence[ObjectScores]) -> str:
    some = sorted(objects, key=lambda o: -o.voxels)[:MOST_ROWS]
    body = "".join(
        f"<tr><th>{o.id}</th><td>{o.voxels:,}</td><td>{o.iou:.3f}</td><td>{'yes' if o.matched else 'no'}</td>"
        f"<td>{o.pieces}</td><td>{100 * o.covered:.0f} %</td><td>{escape(o.first)}</td><td>{escape(o.last)}</td>"
        f"<td>{o.y:.1f}, {o.x:.1f}</td></tr>"
        for o in some
    )
    head = "<tr><th>Object</th><th>Voxels</th><th>IoU</th><th>Matched</th><th>Pieces</th><th>Covered</th><th>First</th>"
    more = f"<p>The {MOST_ROWS} largest are shown.</p>" if len(objects) > MOST_ROWS else ""
    return f"<table class='dense'>{head}<th>Last</th><th>Around y, x</th></tr>{body}</table>{more}"
