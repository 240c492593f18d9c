"""Role × project × operation: every cell, asked of a real server, against a table that is written down here by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from streamer.control import booking
from streamer.control.access.operations import NEEDS
from streamer.control.booking import Inspection
from streamer.control.books import Books
from streamer.control.schema import RunRequest
from streamer.wire.volume import Source
from tests.access.issuer import Issuer, issuing
from tests.access.parts import DEADLINE_S, Plane, access_of, serving, token_of
from tests.control.parts import consume
from tests.streamer.runs import spec_of

API, RUN, PROJECT = "/api/v1", "/api/v1/runs/{run_id}", "/api/v1/projects/{project}"
VIEW, WALL = "/api/v1/runs/{run_id}/views/{name}", "/api/v1/walls/{name}"
Cell = Literal["may", 401, 403, 404]
WHO = ("stranger", "nobody", "outsider", "viewer", "operator", "admin", "metrics", "root")
"""``nobody`` has signed in and has no role, ``outsider`` is admin of another project, ``root`` of the server."""


def row(*cells: Cell) -> dict[str, Cell]:
    return dict(zip(WHO, cells, strict=True))


#                 stranger nobody outsider viewer operator admin metrics root
EVERYBODY = row("may", "may", "may", "may", "may", "may", "may", "may")
KNOWN = row(401, "may", "may", "may", "may", "may", "may", "may")
MEMBER = row(401, 403, "may", "may", "may", "may", 403, "may")
LOOK = row(401, 404, 404, "may", "may", "may", 404, "may")
CHANGE = row(401, 404, 404, 403, "may", "may", 404, "may")
ADMIN = row(401, 404, 404, 403, 403, "may", 404, "may")
START = row(401, 403, "may", 403, "may", "may", 403, "may")  # in a project of one's own, which outsiders have
AUDIT = row(401, 403, "may", 403, 403, "may", 403, "may")
SERVER = row(401, 403, 403, 403, 403, 403, 403, "may")
METRICS = row(401, 403, 403, 403, 403, 403, "may", "may")

TABLE: dict[tuple[str, str], dict[str, Cell]] = {
    ("GET", "/"): EVERYBODY,
    ("GET", "/view/{run_id}"): EVERYBODY,
    ("GET", "/static"): EVERYBODY,
    ("GET", "/docs"): EVERYBODY,
    ("GET", "/docs.css"): EVERYBODY,
    ("GET", "/openapi.json"): EVERYBODY,
    ("GET", "/healthz"): EVERYBODY,
    ("GET", "/auth/issuers"): EVERYBODY,
    ("GET", "/auth/login"): EVERYBODY,
    ("GET", "/auth/callback"): EVERYBODY,
    ("POST", "/auth/logout"): EVERYBODY,
    ("GET", "/metrics"): METRICS,
    ("GET", f"{API}/me"): KNOWN,
    ("GET", f"{API}/projects"): KNOWN,
    ("GET", f"{API}/system"): KNOWN,
    ("GET", f"{API}/runs"): KNOWN,
    ("GET", f"{API}/segmenters"): MEMBER,
    ("POST", f"{API}/datasets/inspect"): START,
    ("POST", f"{API}/runs"): START,
    ("POST", f"{API}/runs/manifests"): START,
    ("GET", f"{API}/audit"): AUDIT,
    ("DELETE", f"{API}/sessions"): SERVER,
    ("GET", RUN): LOOK,
    ("GET", f"{RUN}/events"): LOOK,
    ("GET", f"{RUN}/logs"): LOOK,
    ("GET", f"{RUN}/report"): LOOK,
    ("GET", f"{RUN}/manifests"): LOOK,
    ("GET", f"{RUN}/objects"): LOOK,
    ("GET", f"{RUN}/objects/{{object_id}}"): LOOK,
    ("GET", f"{RUN}/courses"): LOOK,
    ("GET", f"{RUN}/chunks"): LOOK,
    ("WS", f"{RUN}/view"): LOOK,
    ("POST", f"{RUN}/picture"): LOOK,
    ("POST", f"{RUN}/film"): LOOK,
    ("POST", f"{RUN}/cancel"): CHANGE,
    ("POST", f"{RUN}/pause"): CHANGE,
    ("POST", f"{RUN}/resume"): CHANGE,
    ("POST", f"{RUN}/scale"): CHANGE,
    ("POST", f"{RUN}/clone"): CHANGE,
    ("DELETE", RUN): ADMIN,
    ("POST", f"{RUN}/walls"): CHANGE,
    ("DELETE", f"{RUN}/walls/{{name}}"): CHANGE,
    ("GET", f"{RUN}/views"): LOOK,
    ("POST", f"{RUN}/views"): CHANGE,
    ("GET", VIEW): LOOK,
    ("PATCH", VIEW): LOOK,  # who leads a view is up to the view
    ("PUT", VIEW): LOOK,
    ("DELETE", VIEW): LOOK,
    ("GET", f"{VIEW}/tokens"): LOOK,
    ("POST", f"{VIEW}/tokens"): LOOK,
    ("DELETE", f"{VIEW}/tokens/{{token_id}}"): LOOK,
    ("GET", f"{API}/walls"): MEMBER,
    ("GET", WALL): MEMBER,
    ("GET", f"{WALL}/picture"): MEMBER,
    ("POST", f"{WALL}/identify"): START,
    ("GET", f"{WALL}/file"): SERVER,
    ("POST", f"{API}/walls"): SERVER,
    ("PUT", WALL): SERVER,
    ("DELETE", WALL): SERVER,
    ("GET", f"{PROJECT}/tokens"): ADMIN,
    ("POST", f"{PROJECT}/tokens"): ADMIN,
    ("DELETE", f"{PROJECT}/tokens/{{token_id}}"): ADMIN,
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def plane(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("matrix")
    with serving(access_of(folder, issuer.url), folder / "runs") as plane:
        yield plane


@pytest.fixture(scope="module")
def tokens(issuer: Issuer) -> dict[str, str]:
    names = {"outsider": "clouds-admin", "metrics": "prometheus"}
    found = {who: token_of(names.get(who, f"rivers-{who}")) for who in WHO}
    found["nobody"] = issuer.token(sub="eve", email="eve@example.org", groups=[])
    found["root"] = issuer.token(sub="root", email="root@example.org", groups=[])
    return found | {"stranger": ""}


def book(plane: Plane, run_id: str, project: str) -> str:
    """A run of a project that is over, in the books."""
    spec = spec_of()
    found = Inspection(Source("npy", "/data/x.npy"), spec.volume, spec.grid)
    request = RunRequest(input="/data/x.npy", view=False)
    booked = booking.book(request, found, 2, run_id, "2026-01-01T00:00:00+00:00", project)
    record = msgspec.structs.replace(booking.record(booked), state="complete")

    def write(books: Books) -> None:
        books.add(booked, record)

    asyncio.run_coroutine_threadsafe(plane.registry.desk.ask(write), plane.loop).result(DEADLINE_S)
    return run_id


def routes(plane: Plane) -> set[tuple[str, str]]:
    from streamer.control.app import make_app

    found = set()
    for route in make_app(plane.registry, plane.door).routes:
        if isinstance(route, Mount):
            found.add(("GET", route.path))
        elif isinstance(route, WebSocketRoute):
            found.add(("WS", route.path))
        elif isinstance(route, Route):
            found |= {(method, route.path) for method in route.methods or () if method != "HEAD"}
        else:
            raise AssertionError(f"{route} is a route of a kind that nobody guards")
    return found


def test_every_route_is_in_both_tables_and_no_other(plane: Plane) -> None:
    assert routes(plane) == set(TABLE) == set(NEEDS)


def seen(plane: Plane, method: str, path: str, token: str, run_id: str, project: str) -> tuple[int | str, str]:
    """What somebody gets: a status, or ``may`` where the route itself has answered; and the words."""
    address = path.format(run_id=run_id, project=project, object_id=1, token_id="x", name="talk")
    if path == "/static":
        address += "/app.js"
    headers = {"authorization": f"Bearer {token}"} if token else {}
    if method == "WS":
        with connect(plane.url.replace("http", "ws") + address, additional_headers=headers, proxy=None) as line:
            with pytest.raises(ConnectionClosed):
                consume(line)
            said, code = line.protocol.close_reason or "", line.protocol.close_code or 0
        if code in (4401, 4403):
            return code - 4000, said
        return (404 if said == f"there is no run {run_id}" else "may"), said
    query = "?account=somebody" if path.endswith("/sessions") else ""
    with plane.client(token) as client:
        answer = client.request(method, address + query, json=None if method in ("GET", "DELETE") else {})
    detail = answer.json().get("detail", "") if "problem" in answer.headers.get("content-type", "") else ""
    hidden = detail in (f"there is no run {run_id}", f"there is no project {project}")
    if answer.status_code in (401, 403) and path != "/auth/callback":
        return answer.status_code, detail
    return (404 if answer.status_code == 404 and hidden else "may"), detail


@pytest.mark.parametrize("operation", TABLE, ids=lambda operation: " ".join(operation))
def test_everybody_may_what_they_may_and_nothing_else(
    plane: Plane, tokens: dict[str, str], operation: tuple[str, str]
) -> None:
    method, path = operation
    for who, expected in TABLE[operation].items():
        run_id = book(plane, f"run-{abs(hash((method, path, who))):x}"[:60], "rivers")
        got, words = seen(plane, method, path, tokens[who], run_id, "rivers")
        assert got == expected, f"{who} asks {method} {path}: {got} ({words}), not {expected}"


def test_what_one_may_not_see_looks_like_what_is_not_there(plane: Plane, tokens: dict[str, str]) -> None:
    run_id = book(plane, "run-hidden", "rivers")
    for (method, path), cells in TABLE.items():
        if "{run_id}" in path and cells is not EVERYBODY:
            theirs = seen(plane, method, path, tokens["outsider"], run_id, "rivers")
            nothing = seen(plane, method, path, tokens["outsider"], "run-nothing", "rivers")
            assert theirs[0] == nothing[0] == 404, (method, path)
            assert theirs[1].replace(run_id, "X") == nothing[1].replace("run-nothing", "X"), (method, path)


def test_an_operation_that_nobody_has_thought_of_is_for_administrators_of_the_server(
    tmp_path: Path, tokens: dict[str, str]
) -> None:
    from streamer.control.access.operations import need, verdict
    from streamer.control.access.people import Person

    unknown = need("POST", "/api/v1/new")
    admin = Person("a", "a", "token", {"rivers": "admin"})
    refused = verdict(unknown, admin, None, "")
    assert refused is not None
    assert refused.status == 403
    assert verdict(unknown, admin._replace(administrator=True), None, "") is None
