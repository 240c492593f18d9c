"""What people point at: the ray is that of the picture, and everybody is answered in turn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderers.camera import VIEW_ANGLE, eye_of
from renderers.glance import BINS, Histogram
from renderers.pointing import Questions, answer, ray
from renderers.reading import Found, Place, Value
from streamer.wire.looking import Pointing
from streamer.wire.view import Camera, Input

SHARE = st.floats(0, 1)


@given(st.floats(-3, 3), st.floats(-1.5, 1.5), st.floats(0.5, 10), SHARE, SHARE)
def test_a_ray_is_where_the_camera_puts_it_in_the_picture(a: float, e: float, d: float, x: float, y: float) -> None:
    state = Input(1, 640, 360, False, Camera(a, e, d, (0.2, -0.1, 0.3)))
    origin, direction = ray(state, x, y)
    eye = eye_of(state.camera)
    assert origin == eye.position
    assert np.linalg.norm(direction) == pytest.approx(1)
    right = np.cross(eye.forward, eye.up)
    ahead = np.dot(direction, eye.forward)
    half = np.tan(VIEW_ANGLE / 2)
    assert np.dot(direction, eye.up) / ahead / half == pytest.approx(1 - 2 * y, abs=1e-9)
    assert np.dot(direction, right) / ahead / half * 360 / 640 == pytest.approx(2 * x - 1, abs=1e-9)


def test_the_newest_question_of_each_is_answered_in_turn() -> None:
    questions = Questions()
    questions.ask(b"a", Pointing(1, 0.1, 0.1))
    questions.ask(b"b", Pointing(1, 0.2, 0.2))
    questions.ask(b"a", Pointing(2, 0.3, 0.3))
    assert len(questions) == 2
    assert questions.take() == (b"a", Pointing(2, 0.3, 0.3))
    assert questions.take() == (b"b", Pointing(1, 0.2, 0.2))
    assert questions.take() is None


def test_an_answer_has_the_object_the_place_and_the_value_in_words() -> None:
    place = Place((3, 2, 1), (6.0, -30.0, 120.0), ("1959-01-02 06:00", "30°S", "120°E"), Value(312.25, 1.25))
    told = answer(9, Found(41, 900, 3, 8, "1959-01-02 to 1959-01-04, 36 h", "ivt", "kg m-1 s-1", place))
    assert told["pointed"] == 9
    found = told["found"]
    assert isinstance(found, dict)
    assert (found["id"], found["life"]) == (41, "1959-01-02 to 1959-01-04, 36 h")
    assert found["value_words"] == "312.2 ± 1.2 kg m-1 s-1"
    assert found["place"] == ["1959-01-02 06:00", "30°S", "120°E"]
    assert answer(3, None) == {"pointed": 3, "found": None}


def test_a_chunk_that_comes_again_counts_once_and_nothing_is_no_value() -> None:
    histogram = Histogram()
    assert histogram.bars() == []
    histogram.put(0, np.full((2, 2, 2), 255, np.uint8))
    histogram.put(1, np.array([[[0, 0, 1, 1, 1, 1]]], np.uint8))
    assert histogram.bars() == [50, *[0] * (BINS - 2), 100]
    histogram.put(0, np.zeros((2, 2, 2), np.uint8))
    assert histogram.bars() == [100, *[0] * (BINS - 1)]
