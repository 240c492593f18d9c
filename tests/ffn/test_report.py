"""The page of an evaluation, as a browser shows it, and its pictures."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from inference_workers.ffn.evaluation import Request, evaluate, opened
from inference_workers.ffn.pictures import BOTH, ELSEWHERE, FALSE, MISSED, Picture, errors, objects, portrait
from inference_workers.ffn.report_pictures import chosen_steps, report, worst_and_best
from tests.ffn.labelled_volumes import truth, write


def pixels(picture: Picture) -> list[list[str]]:
    """The colours of a picture, as Pillow reads them; empty where it is transparent."""
    raw = base64.b64decode(picture.address.removeprefix("data:image/png;base64,"))
    image = np.asarray(Image.open(io.BytesIO(raw)).convert("RGBA"))
    return [["#" + bytes(p[:3]).hex() if p[3] else "" for p in row.tolist()] for row in image]


def test_errors_are_grey_orange_and_blue_and_nothing_is_drawn_where_nothing_is() -> None:
    picture = errors(np.array([[0, 1, 0, 2]]), np.array([[0, 5, 5, 0]]), "")
    assert pixels(picture) == [["", BOTH, MISSED, FALSE]]


def test_a_predicted_object_has_the_colour_of_its_partner() -> None:
    true, pred = np.array([[3, 4, 0, 0]]), np.array([[30, 40, 0, 50]])
    ((a, b, *_),) = pixels(objects(true, None, ""))
    ((c, d, _, lone),) = pixels(objects(pred, {30: 3, 40: 4}, ""))
    assert (a, b) == (c, d)
    assert a != b
    assert lone not in (a, b, "")


def test_an_object_across_the_seam_is_drawn_in_one_piece() -> None:
    true = np.zeros((5, 20), np.int64)
    true[2, 18:], true[2, :3] = 7, 7
    pred = np.where(true > 0, 1, 0)
    pred[2, 0], pred[2, 2], pred[2, 3] = 2, 0, 1
    picture = portrait(pred, true, 7, 1, "", margin=1)
    assert pixels(picture)[1] == ["", BOTH, BOTH, ELSEWHERE, BOTH, MISSED, FALSE, ""]


@pytest.mark.browser
def test_the_page_needs_nothing_but_itself_and_shows_all_its_pictures(tmp_path: Path, chromium: Browser) -> None:
    labels = truth() * 10
    labels[0:4, 1:3, 4:6], labels[7, 3, 5] = 77, 99
    request = Request(pred=write(tmp_path / "<pred>.npy", labels), truth=write(tmp_path / "truth.nc", truth()))
    with opened(request) as (a, b):
        compared = evaluate(a, b, request)
        (tmp_path / "report.html").write_text(report(compared), encoding="utf-8")
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url[:5]))
    page.goto((tmp_path / "report.html").as_uri())
    assert set(asked) <= {"file:", "data:"}
    assert page.locator("h1").inner_text() == "Segmentation against truth"
    assert "<pred>" in page.locator(".sides").inner_text()
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert page.locator("figure").count() == 3 * len(chosen_steps(compared.evaluation.steps))
    worst, best = worst_and_best(compared.evaluation.objects)
    assert [o.id for o in worst] == [1]
    assert page.locator("article").count() == len(worst) + len(best) + len(compared.evaluation.unmatched)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it is wider than a telephone"
    page.close()
