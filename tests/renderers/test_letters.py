"""Words as one shape: the same pixels as one text actor each, whatever comes and goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkTextActor

from renderers.vtk_letters import Letters, Text
from renderers.vtk_window import Reader, open_window

SIZE = (420, 260)
INK, PALE = (0.80, 0.84, 0.90), (0.96, 0.97, 1.0)
Placed = list[tuple[Text, float, float]]


@pytest.fixture(scope="module")
def window() -> Iterator[Any]:
    opened = open_window(*SIZE)
    yield opened
    opened.Finalize()


def picture(window: Any, renderer: Any) -> NDArray[np.uint8]:
    renderer.SetBackground(0.1, 0.2, 0.3)
    window.AddRenderer(renderer)
    try:
        window.Render()
        return Reader().read(window).copy()
    finally:
        window.RemoveRenderer(renderer)


def by_actors(window: Any, words: Placed) -> NDArray[np.uint8]:
    """The same by VTK's own means."""
    renderer = vtkRenderer()
    for text, x, y in words:
        actor = vtkTextActor()
        actor.SetTextScaleModeToNone()
        actor.SetInput(text.text)
        look = actor.GetTextProperty()
        look.SetFontFamilyToArial()
        look.SetFontSize(text.size)
        look.SetColor(*text.colour)
        look.SetBold(text.bold)
        look.SetVerticalJustificationToCentered()
        if text.centred:
            look.SetJustificationToCentered()
        actor.SetDisplayPosition(round(x), round(y))
        renderer.AddViewProp(actor)
    return picture(window, renderer)


def words(shift: float = 0.0, more: str = "") -> Placed:
    return [
        (Text(f"Simulated transport{more}", 17, PALE, bold=True), 12.0 + shift, 240.0),
        (Text("kg m-1 s-1", 13, INK), 12.4, 215.0),
        (Text("120°W", 13, INK, centred=True), 77.6, 30.0 + shift),
        (Text("120°W", 13, INK, centred=True), 300.0, 31.0),  # twice on the longitudes' axis
        (Text("date", 11, INK, centred=True), 2.0, 100.0),  # half of it beyond the edge
        (Text("pqgj", 26, INK, centred=True), 210.0, 130.0 - shift),
    ]


def test_all_words_are_where_text_actors_have_them_pixel_for_pixel(window: Any) -> None:
    renderer = vtkRenderer()
    letters = Letters(renderer)
    for shown in (words(), words(7.3), words(more=" of vapour"), words()[2:], [], words(3.0)):
        letters.show(shown)
        made, wanted = picture(window, renderer), by_actors(window, shown)
        assert not shown or np.ptp(wanted) > 100
        assert np.array_equal(made, wanted)


def test_words_that_are_not_seen_any_more_are_given_up(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("renderers.vtk_letters.MOST_ROWS", 80)
    renderer = vtkRenderer()
    letters = Letters(renderer)
    highest = 0
    for day in range(300):
        shown = words(more=f" on day {day}")
        letters.show(shown)
        highest = max(highest, len(letters._ink))
    assert highest <= 4 * 80
    assert np.array_equal(picture(window, renderer), by_actors(window, shown))


def test_what_has_no_letters_and_what_is_longer_than_a_row_is_shown_all_the_same(window: Any) -> None:
    renderer = vtkRenderer()
    letters = Letters(renderer)
    shown = [
        (Text("", 13, INK), 5.0, 200.0), (Text(" ", 13, INK), 5.0, 180.0), *words(),
        (Text("wide " * 60, 20, INK, centred=True), 210.0, 60.0),
    ]  # fmt: skip
    letters.show(shown)
    assert letters._ink.shape[1] > 1024
    assert np.array_equal(picture(window, renderer), by_actors(window, shown))
