"""Pictures and films are taken away from a real run: what is in the files, and what happens beside them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from typing import Any

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, expect

from streamer.wire.view import (
    NOTE,
    Acknowledged,
    Camera,
    Input,
    decode_frame,
    encode_ack,
    encode_input,
)
from tests.e2e.test_viewers import PATIENCE_S, Plane, dial, looks

pytestmark = pytest.mark.browser
HERE: dict[str, Any] = {"azimuth": -0.5, "elevation": 0.5, "distance": 3.9}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    made = Plane(tmp_path_factory.mktemp("plane"))
    yield made
    made.kill()


def post(plane: Plane, what: str, **wish: Any) -> httpx.Response:
    return httpx.post(f"{plane.url}/api/v1/runs/{plane.run}/{what}", json={"camera": HERE, **wish}, timeout=180)


def pixels(answer: httpx.Response) -> NDArray[np.int16]:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(BytesIO(answer.content)).convert("RGB")).astype(np.int16)


def frames(raw: bytes) -> list[NDArray[np.int16]]:
    with av.open(BytesIO(raw), "r") as film:
        return [frame.to_ndarray(format="rgb24").astype(np.int16) for frame in film.decode(video=0)]


def apart(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    return float(np.abs(one - other).mean())


def test_a_picture_has_its_size_and_at_four_times_its_size_it_is_the_same_picture(plane: Plane) -> None:
    answer = post(plane, "picture", width=640, height=360)
    small = pixels(answer)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == f'attachment; filename="{plane.run}-picture.png"'
    assert small.shape == (360, 640, 3)
    large = pixels(post(plane, "picture", width=640, height=360, scale=4))
    assert large.shape == (1440, 2560, 3)
    # Four tiles, whose seams nobody sees: rows and columns there differ from their neighbours as others do.
    again = Image.fromarray(large.astype(np.uint8)).resize((640, 360), Image.Resampling.BOX)
    assert apart(small, np.asarray(again).astype(np.int16)) < 6
    across = np.abs(np.diff(large, axis=1)).mean(axis=(0, 2))
    down = np.abs(np.diff(large, axis=0)).mean(axis=(1, 2))
    assert across[1279] < 2 * np.median(across[1200:1360]) + 1
    assert down[719] < 2 * np.median(down[660:780]) + 1


def test_what_it_shows_stands_at_its_foot_in_bright_letters_on_dark_ground(plane: Plane) -> None:
    picture = pixels(post(plane, "picture", width=960, height=540, look={"mode": "map", "time": 40}))
    other = pixels(post(plane, "picture", width=960, height=540, look={"mode": "map", "time": 41}))
    foot = slice(-70, None)
    letters = (picture[foot] > 150).all(axis=2)
    assert letters.sum() > 1500
    assert apart(picture[foot], other[foot]) > 0.05, "the time stands there"


def test_a_film_of_a_turn_comes_round_and_one_of_the_time_does_not_stand_still(plane: Plane) -> None:
    answer = post(plane, "film", of="turn", width=321, height=241, seconds=2)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["film-frames"] == "50"
    turn = frames(answer.content)
    assert len(turn) == 50
    assert {frame.shape for frame in turn} == {(240, 320, 3)}
    steps = [apart(one, other) for one, other in pairwise(turn)]
    assert min(steps) > 0.3
    assert apart(turn[49], turn[0]) < 1.5 * max(steps), "the next one would be the first"
    assert apart(turn[0], turn[25]) > 2
    time = frames(post(plane, "film", of="time", width=320, height=240, seconds=2, look={"mode": "globe"}).content)
    assert len(time) == 50
    assert apart(time[0], time[30]) > 1
    assert apart(time[30], time[49]) > 1


def test_somebody_who_drags_goes_on_seeing_pictures_while_a_film_is_made(plane: Plane) -> None:
    here, answers = Camera(0.0, 0.5, 4.0, (0.0, 0.0, 0.0)), []
    film = threading.Thread(
        target=lambda: answers.append(post(plane, "film", of="turn", width=1280, height=720, seconds=4))
    )
    with dial(plane) as line:
        film.start()
        sequence = shown = 0
        while film.is_alive():
            sequence += 1
            line.send(encode_input(Input(sequence, 640, 360, True, here._replace(azimuth=0.01 * sequence))))
            while film.is_alive():  # each input is answered, whatever else is drawn
                raw = line.recv(timeout=PATIENCE_S)
                assert isinstance(raw, bytes)
                frame = decode_frame(raw)
                if frame.codec != NOTE:
                    line.send(encode_ack(Acknowledged(frame.frame, 1.0)))
                    shown += 1
                    if frame.input == sequence:
                        break
    film.join()
    assert answers[0].status_code == 200
    assert len(frames(answers[0].content)) == 100
    assert shown > 20


def test_of_many_that_ask_at_once_some_are_told_to_come_again(plane: Plane) -> None:
    answers: list[httpx.Response] = []
    askers = [
        threading.Thread(
            target=lambda: answers.append(post(plane, "film", of="turn", width=640, height=360, seconds=2))
        )
        for _ in range(8)
    ]
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    found = sorted(answer.status_code for answer in answers)
    assert set(found) == {200, 429}
    assert found.count(200) >= 4
    refused = next(answer for answer in answers if answer.status_code == 429).json()["detail"]
    assert "wait to be made by this renderer already" in refused


def test_whoever_does_not_wait_for_his_film_leaves_the_room_to_the_next(plane: Plane) -> None:
    address = f"{plane.url}/api/v1/runs/{plane.run}/film"
    wish = {"camera": HERE, "of": "turn", "width": 1280, "height": 720, "seconds": 30}
    with httpx.stream("POST", address, json=wish, timeout=180) as answer:
        assert answer.status_code == 200
        next(answer.iter_raw())
    assert pixels(post(plane, "picture", width=320, height=240)).shape == (240, 320, 3)


@pytest.mark.parametrize(("what", "wish", "words"), [
    ("picture", {"width": 4000, "height": 4000, "scale": 4}, "16000x16000"),
    ("picture", {"width": 640, "height": 360, "look": {"mode": "torus"}}, "mode"),
    ("picture", {"width": 640, "height": 360, "look": {"pattern": True}}, "wall"),
    ("picture", {"width": 10, "height": 10}, "width"),
    ("film", {"of": "turn", "width": 640, "height": 360, "seconds": 500}, "seconds"),
    ("film", {"of": "life", "width": 640, "height": 360}, "of"),
])  # fmt: skip
def test_what_cannot_be_made_is_refused_with_a_sentence(
    plane: Plane, what: str, wish: dict[str, Any], words: str
) -> None:
    answer = post(plane, what, **wish)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_the_page_saves_a_large_picture_and_a_film_and_says_how_far_it_is(chromium: Browser, plane: Plane) -> None:
    context = chromium.new_context(viewport={"width": 700, "height": 500})
    context.set_default_timeout(1000 * PATIENCE_S)
    page = looks(context, plane.page)
    box = page.locator("#picture").bounding_box()
    assert box is not None
    page.get_by_role("button", name="More to save").click()
    with page.expect_download(timeout=1000 * 3 * PATIENCE_S) as waiting:
        page.get_by_role("button", name="The same, 4 times as large").click()
        expect(page.locator("#take-said")).to_contain_text("The picture is being made")
        expect(page.get_by_role("button", name="Film once around")).to_be_disabled()
    assert waiting.value.suggested_filename.endswith(".png")
    with Image.open(waiting.value.path()) as saved:
        assert saved.size == (4 * round(box["width"]), 4 * round(box["height"]))
    expect(page.locator("#take-said")).to_have_text("The picture is saved.")
    page.evaluate(
        """() => { const said = document.getElementById("take-said"); window.heard = new Set();
        new MutationObserver(() => window.heard.add(said.textContent)).observe(said, {childList: true}); }"""
    )
    with page.expect_download(timeout=1000 * 3 * PATIENCE_S) as waiting:
        page.get_by_role("button", name="Film through time").click()
    assert waiting.value.suggested_filename.endswith(".mp4")
    assert len(frames(waiting.value.path().read_bytes())) == 250
    heard = page.evaluate("() => [...window.heard].filter((text) => / [1-9][0-9]? %$/.test(text)).length")
    assert heard >= 3, "its share was told as it grew"
    page.get_by_role("button", name="Film once around").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#take-said")).to_have_text("")
    expect(page.get_by_role("button", name="Film once around")).to_be_enabled()
    expect(page.locator("#trouble")).to_be_hidden()
    page.get_by_role("button", name="Film once around").press("Escape")
    expect(page.locator("#take")).to_be_hidden()
    context.close()


def test_what_the_server_refuses_is_said_on_the_page(chromium: Browser, plane: Plane) -> None:
    context = chromium.new_context(viewport={"width": 700, "height": 500})
    page = looks(context, plane.page)
    body = '{"status": 429, "detail": "4 pictures wait: try again in a minute"}'
    page.route("**/film", lambda route: route.fulfill(status=429, content_type="application/problem+json", body=body))
    page.get_by_role("button", name="More to save").click()
    page.get_by_role("button", name="Film once around").click()
    expect(page.locator("#complaints")).to_contain_text("could not be saved: 4 pictures wait: try again in a minute.")
    expect(page.get_by_role("button", name="Film once around")).to_be_enabled()
    context.close()
