"""The HTTP side on a real server: no run is needed for what is refused."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from streamer.wire.view import FRAME_HEADER
from tests.control.parts import CAVECAST, control_plane, environment, volume


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with control_plane() as (client, _):
        yield client


def detail(answer: httpx.Response, status: int) -> str:
    """The sentence of a refusal, which is a whole problem document."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert set(body) == {"type", "title", "status", "detail"}
    return str(body["detail"])


def test_it_says_that_it_is_well(client: httpx.Client) -> None:
    assert client.get("/healthz").json()["status"] == "ok"


def test_without_runs_the_list_is_empty(client: httpx.Client) -> None:
    assert client.get("/api/v1/runs").json() == []


@pytest.mark.parametrize("path", ["", "/events", "/objects", "/objects/1", "/chunks"])
def test_a_run_that_is_not_there_is_404_in_a_sentence(client: httpx.Client, path: str) -> None:
    assert detail(client.get(f"/api/v1/runs/nobody{path}"), 404) == "there is no run nobody"
    assert "there is no run" in detail(client.post("/api/v1/runs/nobody/cancel"), 404)


def test_a_character_that_no_database_takes_is_refused_and_not_asked_for(client: httpx.Client) -> None:
    for name in ("q", "before"):
        for text in ("\0", "a\nb", "\x7f"):
            assert detail(client.get("/api/v1/runs", params={name: text}), 422).startswith(name)
    assert detail(client.get("/api/v1/runs/a%00b"), 404) == "there is no run of that name"
    assert client.get("/api/v1/runs", params={"q": "Überlauf 2021 – ½"}).json() == []


def test_a_path_that_is_not_there_is_a_problem_too(client: httpx.Client) -> None:
    assert "/api/v1/nothing" in detail(client.get("/api/v1/nothing"), 404)
    refused = client.delete("/api/v1/runs")
    assert "DELETE" in detail(refused, 405)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({}, "input is missing"),
        ({"input": ""}, "input is ''"),
        ({"input": "x.nc", "thershold": 3}, "thershold is no field"),
        ({"input": "x.nc", "segmenter": "magic"}, "there is no segmenter 'magic'; installed are connect"),
        ({"input": "sample:flood2021", "connectivity": 7}, "one of 6, 18, 26"),
        ({"input": "x.nc", "chunk": [1, 2]}, "chunk"),
        ({"input": "x.nc", "chunk": [0, 2, 2]}, "is empty"),
        ({"input": "x.nc", "spacing": [1, -1, 1]}, "must be above 0"),
        ({"input": "x.nc", "workers": 0}, "workers is 0"),
        ({"input": "x.nc", "workers": 1000}, "this server allows 32"),
        ({"input": "x.nc", "min_duration_h": -1}, "min_duration_h is -1"),
        ({"input": "x.nc", "start": "never"}, "start is 'never'"),
        ({"input": "x.nc", "start": "first_viewer", "view": False}, "nobody could ever start it"),
        ({"input": "x.nc", "out": "x.zarr"}, "give an absolute path"),
        ({"input": "x.nc", "out": "/nowhere/at/all/x.zarr"}, "there is no folder /nowhere/at/all"),
        ({"input": "x.nc", "out": "/proc/x.zarr"}, "x.zarr cannot be written into /proc"),
        ({"input": "x.nc", "out": "/dev"}, "/dev is there already"),
        ({"input": "/nowhere/x.nc"}, "/nowhere/x.nc"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_request_is_refused_in_a_sentence(
    client: httpx.Client, request_: dict[str, object], sentence: str
) -> None:
    assert sentence in detail(client.post("/api/v1/runs", json=request_), 422)
    assert client.get("/api/v1/runs").json() == [], "nothing was started"


def test_a_missing_threshold_is_asked_for(client: httpx.Client, tmp_path: Path) -> None:
    said = detail(client.post("/api/v1/runs", json={"input": str(volume(tmp_path / "v.npy"))}), 422)
    assert said.endswith("give --threshold")


def test_a_body_that_is_no_json_or_too_large_is_refused(client: httpx.Client) -> None:
    json = {"content-type": "application/json"}
    assert detail(client.post("/api/v1/runs", content=b"{", headers=json), 422)
    assert detail(client.post("/api/v1/runs", content=b" " * (1 << 20), headers=json), 413)
    assert "Content-Length" in detail(client.post("/api/v1/runs", content=iter([b"{}"]), headers=json), 411)


def test_foreign_hosts_and_origins_are_refused(client: httpx.Client) -> None:
    assert "is not this machine" in detail(client.get("/healthz", headers={"host": "evil.example"}), 403)
    assert "may not use" in detail(client.post("/api/v1/runs", json={}, headers={"origin": "http://evil.example"}), 403)


def test_a_foreign_page_cannot_open_a_view(client: httpx.Client) -> None:
    address = f"ws://{client.base_url.netloc.decode()}/api/v1/runs/nobody/view"
    with pytest.raises(InvalidStatus) as refused, connect(address, origin=Origin("http://evil.example"), proxy=None):
        pass
    assert refused.value.response.status_code == 403


def test_a_view_of_no_run_is_closed_with_a_reason(client: httpx.Client) -> None:
    with connect(f"ws://{client.base_url.netloc.decode()}/api/v1/runs/nobody/view", proxy=None) as browser:
        # As a message first: what a line is closed with does not get through every proxy.
        last = browser.recv(timeout=10)
        assert isinstance(last, bytes)
        assert json.loads(last[FRAME_HEADER:]) == {"goodbye": {"code": 4404, "why": "there is no run nobody"}}
        with pytest.raises(ConnectionClosed, match="there is no run nobody"):
            browser.recv(timeout=10)
        assert browser.protocol.close_code == 4404


@pytest.mark.parametrize("path", ["/", "/view/any", "/docs", "/api/v1/runs", "/static/app.js", "/nothing"])
def test_every_answer_carries_the_security_headers_and_is_asked_for_again(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self'; img-src 'self' blob: data:")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"


def test_the_viewer_is_served_and_known_again_by_its_etag(client: httpx.Client) -> None:
    for path in ("/view/some-run", "/static/app.js"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert client.get(path, headers={"if-none-match": answer.headers["etag"]}).status_code in (200, 304)
    page = client.get("/static/app.js")
    assert page.headers["content-type"].startswith("text/javascript")
    assert client.get("/static/app.js", headers={"if-none-match": page.headers["etag"]}).status_code == 304


def test_the_pages_find_their_files_behind_a_prefix_too(client: httpx.Client) -> None:
    told = {"x-forwarded-context": "/user/x%40y/proxy/8750"}
    for path, said, base in (
        ("/", {}, "./"),
        ("/", told, "/user/x%40y/proxy/8750/"),
        *(("/", {"x-forwarded-context": text}, "./") for text in ("/", "//evil.example", '/a"><script>', "x", "/a/")),
        ("/view/some-run", told, "../"),
    ):
        answer = client.get(path, headers=said)
        assert answer.status_code == 200
        assert answer.text.count("<base ") == answer.text.count(f'<base href="{base}">') == 1


@pytest.mark.parametrize("path", ["/static/../__init__.py", "/static/%2e%2e/__init__.py", "/static//etc/passwd"])
def test_nothing_but_the_viewer_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_description_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs").text
    assert 'href="docs.css"' in page
    assert 'href="/' not in page, "a proxy may have put it below a prefix"
    assert "<summary>Example</summary>" in page
    assert "flood2021-3f9a02c1" in page, "examples are shown"
    assert "<script" not in page
    assert not re.search(r"(?:src|href|url|action|import)\s*[=( ]\s*[\"']?(?:https?:)?//", page), (
        "examples alone name others"
    )
    for path in client.get("/openapi.json").json()["paths"]:
        assert f"<code>{path}</code>" in page


def test_every_reference_in_the_openapi_document_leads_somewhere(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]

    def references(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(document))
    assert "#/components/schemas/Run" in found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in schemas, reference


def test_metrics_have_units_and_zeros_before_anything_happens(client: httpx.Client) -> None:
    text = client.get("/metrics").text
    for line in ('cavecast_runs{state="running"} 0.0', "cavecast_chunks_committed_total 0.0", "cavecast_viewers 0.0"):
        assert line in text
    assert 'cavecast_part_restarts_total{role="worker"} 0.0' in text


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        (["--host", "0.0.0.0"], 2, "cavecast: --host is 0.0.0.0, which other machines can reach"),
        (["--port", "77777"], 2, "cavecast: --port is 77777"),
        (["--config", "/nowhere.toml"], 2, "cavecast: there is no settings file /nowhere.toml"),
    ],
)
def test_a_server_that_cannot_be_says_why_in_a_sentence(flags: list[str], code: int, sentence: str) -> None:
    done = subprocess.run(
        [CAVECAST, "serve", *flags], capture_output=True, text=True, env=environment(), check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [CAVECAST, "serve", "--port", port],
            capture_output=True,
            text=True,
            env=environment(),
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
