"""Camera and geometry: where things are in the room."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderers.camera import FARTHEST, bounded, eye_of, fit
from renderers.geometry import room_of
from streamer.wire.view import Camera
from streamer.wire.volume import Volume
from tests.renderers.runs import axis, earth, plain


def test_azimuth_0_looks_north_and_grows_towards_east() -> None:
    south = eye_of(Camera(0.0, 0.0, 4.0, (0.0, 0.0, 0.0)))
    assert south.position == pytest.approx((0, -4, 0))
    assert south.forward == pytest.approx((0, 1, 0))
    assert eye_of(Camera(pi / 2, 0.0, 4.0, (0.0, 0.0, 0.0))).position == pytest.approx((4, 0, 0))


def test_right_above_the_pole_north_is_up() -> None:
    above = eye_of(Camera(0.0, pi / 2, 4.0, (0.0, 0.0, 0.0)))
    assert above.position == pytest.approx((0, 0, 4))
    assert above.up == pytest.approx((0, 1, 0))


@given(numbers=st.lists(st.floats(-1e5, 1e5), min_size=5, max_size=5), distance=st.floats(1e-6, 1e5))
def test_any_camera_comes_within_bounds_and_stays_there(numbers: list[float], distance: float) -> None:
    azimuth, elevation, x, y, z = numbers
    camera = bounded(Camera(azimuth, elevation, distance, (x, y, z)))
    assert abs(camera.azimuth) <= pi + 1e-6
    assert abs(camera.elevation) <= pi / 2
    assert camera.distance <= FARTHEST
    assert bounded(camera) == camera
    eye = eye_of(camera)
    assert 0 < eye.near < eye.far
    assert np.dot(eye.up, eye.forward) == pytest.approx(0, abs=1e-6)


def test_a_narrow_picture_is_seen_from_further_away() -> None:
    assert fit(400, 700).distance > 1.5 * fit(1280, 720).distance
    assert fit(1920, 1080).distance == pytest.approx(fit(1280, 720).distance)


def test_degrees_keep_their_proportion_and_time_is_as_high_as_latitude_is_wide() -> None:
    room = room_of(earth((24, 16, 32)))
    hx, hy, hz = room.half
    assert hx / hy == pytest.approx(2)
    assert hz == pytest.approx(hy)
    assert np.linalg.norm(room.half) == pytest.approx(1)


def test_a_volume_without_time_is_true_to_its_spacing() -> None:
    hx, hy, hz = room_of(plain((10, 20, 40))).half
    assert (hx / hz, hy / hz) == pytest.approx((4, 2))


def test_north_is_up_whichever_way_the_latitudes_run() -> None:
    rising = earth((4, 6, 8))
    falling = Volume("v", (rising.axes[0], axis("latitude", rising.axes[1].points[::-1].tolist()), rising.axes[2]))
    up, down = room_of(rising), room_of(falling)
    assert (up.mirrored, down.mirrored) == (False, True)
    first = np.array([[1.0, 0.0, 3.0]])
    last = np.array([[1.0, 5.0, 3.0]])
    np.testing.assert_allclose(up.points(first), down.points(last), atol=1e-6)
    assert down.points(first)[0, 1] > 0
    # A surface that faces higher indices faces south there.
    assert down.normals(np.array([[0.0, 1.0, 0.0]]), first)[0].tolist() == [0, -1, 0]


def test_uneven_coordinates_are_used_as_they_are() -> None:
    uneven = [0.0, 1.0, 2.0, 10.0]
    volume = Volume("v", (axis("other", uneven), axis("other", uneven), axis("other", uneven)))
    x = room_of(volume).points(np.array([[0.0, 0.0, i] for i in range(4)]))[:, 0]
    steps = np.diff(x)
    assert steps[2] / steps[0] == pytest.approx(8, rel=1e-4)
    assert steps[1] == pytest.approx(steps[0], rel=1e-4)


def test_the_boxs_ends_are_the_outer_voxels_outer_faces() -> None:
    room = room_of(earth((4, 6, 8)))
    ends = room.points(np.array([[-0.5, -0.5, -0.5], [3.5, 5.5, 7.5]]))
    np.testing.assert_allclose(ends, [[-h for h in room.half], room.half], atol=1e-6)


def test_a_single_voxel_along_an_axis_makes_a_box_all_the_same() -> None:
    room = room_of(plain((1, 20, 40)))
    assert min(room.half) > 0.05
    assert np.isfinite(room.points(np.array([[0.0, 0.0, 0.0]]))).all()
