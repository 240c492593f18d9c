"""Requests that nobody sane would send: each is refused in a sentence, and none is an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.control.parts import control_plane

LONG = "a" * 300


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with control_plane() as (client, _):
        yield client


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"input": "/data/a\0b"}, "holds a NUL character"),
        ({"input": "x.nc", "variable": "a\0b"}, "holds a NUL character"),
        ({"input": "x.nc", "out": "/data/a\0b.zarr"}, "holds a NUL character"),
        ({"input": "x.nc", "periodic": "\0"}, "holds a NUL character"),
        ({"input": "x.nc", "parameters": {"a\0": 1}}, "holds a NUL character"),
        ({"input": "x.nc", "parameters": {"a": "\0"}}, "holds a NUL character"),
        ({"input": f"/{LONG}.nc"}, "File name too long"),
        ({"input": "x.nc", "out": f"/{LONG}.zarr"}, "File name too long"),
        ({"input": "x.nc", "out": f"/{LONG}/x.zarr"}, "File name too long"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_name_that_no_file_can_have_is_refused(
    client: httpx.Client, request_: dict[str, object], sentence: str
) -> None:
    answer = client.post("/api/v1/runs", json=request_)
    assert answer.status_code == 422, answer.text
    assert sentence in answer.json()["detail"]


def test_a_link_that_leads_nowhere_is_no_place_for_a_store(client: httpx.Client, tmp_path: Path) -> None:
    out = tmp_path / "x.zarr"
    out.symlink_to(tmp_path / "gone")
    answer = client.post("/api/v1/runs", json={"input": "x.nc", "out": str(out)})
    assert answer.status_code == 422, answer.text
    assert "is there already" in answer.json()["detail"]


def test_what_is_wrong_with_a_body_is_said_where(client: httpx.Client) -> None:
    answer = client.post("/api/v1/runs", content=b'{"input": ,}', headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "the body is no JSON: Expecting value (at character 10)"


def test_an_origin_that_is_no_address_is_refused(client: httpx.Client) -> None:
    answer = client.get("/healthz", headers={"origin": "http://["})
    assert (answer.status_code, answer.json()["detail"]) == (403, "a page of http://[ may not use this server")
