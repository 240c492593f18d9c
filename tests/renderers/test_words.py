"""Words in the picture: axes in the data's own units, coastlines, labels that do not meet, the legend."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderers.axes import multiples, nice_step, number, scale_of
from renderers.coast import clip_lines, fill, unroll
from renderers.dates import dates
from renderers.layout import Edge, box_of, font_size, place
from renderers.legend import NARROW, Bar, Facts, Legend, arrange, row, said, wrap
from tests.renderers.runs import axis

# ---------------------------------------------------------------- axes


@pytest.mark.parametrize(
    ("kind", "low", "high", "words"),
    [
        ("longitude", 0, 360, ["0°", "60°E", "120°E", "180°", "120°W", "60°W", "0°"]),
        ("longitude", -180, 180, ["180°", "120°W", "60°W", "0°", "60°E", "120°E", "180°"]),
        ("latitude", -90, 90, ["90°S", "60°S", "30°S", "0°", "30°N", "60°N", "90°N"]),
        ("latitude", 45, 55, ["46°N", "48°N", "50°N", "52°N", "54°N"]),
    ],
)
def test_degrees_name_their_hemisphere(kind: str, low: float, high: float, words: list[str]) -> None:
    found = [tick.text for tick in scale_of(axis(kind, [low, high]), low, high, dates).ticks]
    assert found == words


def test_other_axes_carry_their_unit() -> None:
    scale = scale_of(axis("other", [0.0, 50.0], "um", name="depth"), 0, 50, dates)
    assert scale.title == "depth (um)"
    assert [tick.text for tick in scale.ticks] == ["0", "10", "20", "30", "40", "50"]


@pytest.mark.parametrize(
    ("calendar", "units", "high", "first", "title"),
    [
        ("standard", "hours since 1959-01-02 03:00:00", 717.0, "1959-01-06", "date"),
        ("noleap", "days since 2001-02-20", 60.0, "2001-02-21", "date"),
        ("360_day", "days since 2001-01-01", 720.0, "2001-01", "date"),
        ("standard", "hours since 2021-07-15", 23.0, "00:00", "time on 2021-07-15"),
        ("proleptic_gregorian", "days since 0850-01-01", 365.25 * 1000, "1000", "year"),
    ],
)
def test_time_is_written_as_dates_of_its_own_calendar(
    calendar: str, units: str, high: float, first: str, title: str
) -> None:
    scale = scale_of(axis("time", [0.0, high], units, calendar), 0.0, high, dates)
    assert scale.title == title
    assert scale.ticks[0].text == first
    assert 2 <= len(scale.ticks) <= 8
    assert all(0 <= tick.value <= high for tick in scale.ticks)


def test_a_time_axis_that_cannot_be_read_as_dates_is_numbers() -> None:
    scale = scale_of(axis("time", [0.0, 10.0], "fortnights since Easter"), 0, 10, dates)
    assert scale.ticks[0].text == "0"


@given(span=st.floats(1e-6, 1e9), about=st.integers(2, 12))
def test_round_steps_leave_a_handful_of_marks(span: float, about: int) -> None:
    assert 1 <= len(multiples(0, span, nice_step(span, about))) <= about + 2


def test_numbers_have_the_decimals_that_their_neighbours_need() -> None:
    assert [number(v, 0.05) for v in (0.0, 0.25, -0.5)] == ["0.00", "0.25", "−0.50"]
    assert number(20.0, 5.0) == "20"


# ---------------------------------------------------------------- coast


def test_a_coast_across_the_date_line_is_cut_where_the_data_are() -> None:
    line = np.array([[170.0, 0.0], [-170.0, 10.0]])
    np.testing.assert_allclose(unroll(line)[:, 0], [170, 190])
    (piece,) = clip_lines([line], 0, 360, -90, 90)
    np.testing.assert_allclose(piece[:, 0], [170, 190])
    west, east = sorted(clip_lines([line], -180, 180, -90, 90), key=lambda piece: piece[0, 0])
    np.testing.assert_allclose(west, [[-180, 5], [-170, 10]])
    np.testing.assert_allclose(east, [[170, 0], [180, 5]])


def test_a_coast_is_clipped_exactly_at_the_regions_borders() -> None:
    line = np.array([[-5.0, 50.0], [5.0, 50.0], [15.0, 52.0], [3.0, 40.0]])
    pieces = clip_lines([line], 0, 10, 45, 55)
    assert len(pieces) == 2
    np.testing.assert_allclose(pieces[0], [[0, 50], [5, 50], [10, 51]])
    np.testing.assert_allclose(pieces[1], [[10, 47], [8, 45]])
    assert all((p[:, 0] >= 0).all() and (p[:, 0] <= 10).all() and (p[:, 1] >= 45).all() for p in pieces)


def test_a_closed_coast_is_filled_on_both_sides_of_the_seam() -> None:
    square = np.array([[350.0, -10.0], [10.0, -10.0], [10.0, 10.0], [350.0, 10.0], [350.0, -10.0]])
    land = fill([square], 0, -30, 1.0, (60, 360))
    rows, columns = np.nonzero(land)
    assert set(columns) == {*range(10), *range(350, 360)}
    assert (rows.min(), rows.max()) == (20, 39)


def test_a_coast_round_the_pole_is_filled_to_the_pole() -> None:
    ring = np.array([[lon, -70.0] for lon in range(-180, 181, 10)])
    land = fill([ring], -180, -90, 1.0, (180, 360))
    assert land[:20].all()
    assert not land[20:].any()


# ---------------------------------------------------------------- layout and legend

SIZES = [(1280, 720), (1920, 1080), (400, 700), (320, 240), (3840, 2160)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_words_never_meet_and_never_leave_the_picture(width: int, height: int) -> None:
    size = font_size(width, height)
    assert size >= 12
    left, right, low = 0.1 * width, 0.9 * width, 0.3 * height
    marks = [(left + (right - left) * i / 40, low, f"{i}°E") for i in range(41)]
    tall = [(left, low + 0.5 * height * i / 30, f"1959-01-{i:02}") for i in range(31)]
    words = place(
        [
            Edge("longitude", marks, ((left, low), (right, low))),
            Edge("date", tall, ((left, low), (left, 0.8 * height))),
        ],
        (width / 2, height / 2),
        size,
        (width, height),
    )
    assert len(words) > 5
    assert "longitude" in [word.text for word in words]
    for one, other in combinations(words, 2):
        assert not one.box.meets(other.box), (one, other)
    assert all(word.box.inside(width, height) for word in words)


def test_marks_are_dropped_evenly_also_where_an_edge_runs_into_the_distance() -> None:
    along = [(40.0 + 8.0 * i, 400.0 - 300.0 * (1 - 0.55**i)) for i in range(9)]
    marks = [(x, y, f"{10 * i}°") for i, (x, y) in enumerate(along)]
    words = place([Edge("latitude", marks, (along[0], along[-1]))], (300, 200), 12, (600, 500))
    shown = [int(word.text.rstrip("°")) // 10 for word in words if word.text != "latitude"]
    assert len(shown) > 1
    assert len({b - a for a, b in pairwise(sorted(shown))}) == 1, shown


def test_an_edge_seen_end_on_has_no_words() -> None:
    assert place([Edge("time", [(50, 50, "a")], ((50, 50), (52, 51)))], (10, 10), 14, (100, 100)) == []


def legend(width: int, height: int, title: str = "A month of global water-vapour transport (simulation)") -> Legend:
    facts = Facts(title, 37, 64, 355, "running", tuple((478272 * (i + 1), 8153 // (i + 1)) for i in range(8)))
    return arrange(facts, width, height)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_legend_fits_into_a_corner_of_any_picture(width: int, height: int) -> None:
    made = legend(width, height)
    assert made.panel.inside(width, height)
    assert made.panel.height < 0.62 * height
    assert len(made.swatches) >= (2 if width >= NARROW else 0)
    for line in made.lines:
        right = line.left + box_of(line.text, made.size)[0]
        assert right <= made.panel.left + made.panel.width + 1, line.text
    middles = [line.middle for line in made.lines]
    assert all(a - b >= made.size for a, b in pairwise(middles))


def test_the_legend_says_that_it_is_a_simulation_on_a_telephone_too() -> None:
    assert "(simulation)" in " ".join(line.text for line in legend(400, 700).lines)


@pytest.mark.parametrize("width", [320, 400, 780, NARROW - 1])
def test_on_a_narrow_picture_the_legend_is_the_title_alone(width: int) -> None:
    made = legend(width, 700)
    assert made.swatches == ()
    assert all(line.bold for line in made.lines)
    assert made.panel.height < 0.1 * 700
    assert len(legend(NARROW, 700).swatches) > 2


@pytest.mark.parametrize("ratio", [1.0, 2.0, 3.0])
def test_on_a_telephone_the_title_leaves_the_pages_buttons_their_room(ratio: float) -> None:
    facts = Facts("A month of global water-vapour transport (simulation)", 1, 1, 1, "complete", ())
    made = arrange(facts, round(390 * ratio), round(300 * ratio), ratio)
    assert made.panel.left + made.panel.width < (390 - 130) * ratio
    assert "(simulation)" in " ".join(line.text for line in made.lines)


def test_what_the_colours_mean_is_said_in_full() -> None:
    bar = Bar("integrated water vapour transport (kg m-1 s-1)", "0", "1672", ((0, 0, 0), (255, 255, 255)))
    facts = Facts("Transport", 1, 1, 9, "complete", tuple((i, i) for i in range(9)), bar=bar)
    made = arrange(facts, 990, 860)
    assert "(kg m-1 s-1)" in " ".join(line.text for line in made.lines)
    assert made.panel.inside(990, 860)


def test_a_title_without_end_is_cut() -> None:
    made = legend(400, 700, "An " + "extraordinarily " * 20 + "long title")
    assert made.panel.inside(400, 700)
    assert "…" in " ".join(line.text for line in made.lines)
    assert wrap("one two three", 7, 2) == ["one two", "three"]


def test_progress_is_said_in_words() -> None:
    facts = Facts("", 37, 64, 1, "running", ())
    assert said(facts) == "37 of 64 chunks, 1 object"
    assert said(facts._replace(arrived=64, objects=1355)) == "64 chunks, 1355 objects"
    assert row(478272, 91380) == "478 272:  91 380 voxels", "as the page's table writes them"
    assert said(facts._replace(state="cancelled")).endswith("cancelled")
