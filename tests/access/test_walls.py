"""Walls and views between projects: who learns what, who may take what, and whose a view is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from streamer.control import booking, wall_books
from streamer.control.access.people import LOCAL, Person, Role
from streamer.control.booking import Inspection
from streamer.control.books import Books
from streamer.control.runs import Run
from streamer.control.schema import Problem, RunRequest
from streamer.control.shared_views import Asker, SharedViews
from streamer.control.view_roles import owner_of, role
from streamer.control.waiting import WaitingRun
from streamer.wire.volume import Source
from streamer.wire.walls import SeatFacts, WallFacts
from tests.access.parts import DEADLINE_S, Plane, access_of, serving
from tests.streamer.runs import spec_of

WALLS, RUNS = "/api/v1/walls", "/api/v1/runs"
NOW = "2026-01-01T00:00:00+00:00"
FACTS = WallFacts(
    name="lab", title="A panel", size_mm=(1.0, 1.0, 0.0), screens=1, megapixels=2.1, fov_deg=(50.0, 30.0),
    seats=(SeatFacts("left", "elsewhere.example", ("p",)),), tiles=(), expected_nodes=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("walls")
    with serving(access_of(folder), folder / "runs") as plane:
        asyncio.run_coroutine_threadsafe(prepared(plane), plane.loop).result(DEADLINE_S)
        yield plane


async def prepared(plane: Plane) -> None:
    """A wall, two runs of the project rivers that wait, the first of which has it, and one of each that is over."""
    registry = plane.registry

    def write(books: Books) -> None:
        wall_books.put(books, "name = 'lab'", FACTS, NOW)
        for project in ("rivers", "clouds"):
            books.add(*run_of(f"old-{project}", project, "complete"))

    await registry.ask(write)
    for run_id, walls in (("new-rivers", ("lab",)), ("next-rivers", ())):
        booked, record = run_of(run_id, "rivers", "queued", *walls)
        await registry.ask(lambda books, booked=booked, record=record: books.add(booked, record))  # type: ignore[misc]
        registry.roster._runs[run_id] = WaitingRun(booked, record)


def run_of(run_id: str, project: str, state: str, *walls: str) -> tuple[booking.Booking, Run]:
    spec = spec_of()
    found = Inspection(Source("npy", "/data/x.npy"), spec.volume, spec.grid)
    request = RunRequest(input="/data/x.npy", view=False, walls=walls)
    booked = booking.book(request, found, 2, run_id, NOW, project)
    return booked, msgspec.structs.replace(booking.record(booked), state=state)


def test_a_wall_that_shows_anothers_run_is_busy_and_no_more(plane: Plane) -> None:
    for name, shown in (("rivers-viewer", "new-rivers"), ("clouds-admin", None)):
        with plane.of(name) as client:
            (entry,) = client.get(WALLS).json()
            wall = client.get(f"{WALLS}/lab").json()
            for one in (entry, wall):
                assert (one["busy"], one["run_id"]) == (True, shown)
    with plane.of("clouds-admin") as client:
        for refused in (
            client.post(RUNS, json={"input": "/data/x.npy", "walls": ["lab"]}),
            client.post(RUNS, json={"input": "/data/x.npy", "walls": ["lab"], "take": True}),
            client.post(f"{WALLS}/lab/identify", json={"seconds": 1}),
        ):
            assert refused.status_code == 409, refused.text
            assert "wall lab shows a run of another project" in refused.json()["detail"]
            assert "new-rivers" not in refused.text
    with plane.of("rivers-operator") as client:
        refused = client.post(RUNS, json={"input": "/data/x.npy", "walls": ["lab"]})
        assert "wall lab shows run new-rivers" in refused.json()["detail"]
        assert client.get(f"{WALLS}/lab/file").status_code == 403
        assert client.put(f"{WALLS}/lab", content=b"name = 'lab'").status_code == 403


def test_a_private_view_is_there_for_its_owner_and_the_projects_admins(plane: Plane) -> None:
    here = f"{RUNS}/old-rivers/views"
    with plane.of("rivers-operator") as owner, plane.of("rivers-admin") as admin, plane.of("rivers-viewer") as viewer:
        made = owner.post(here, json={"name": "mine", "shared": False})
        assert made.status_code == 201, made.text
        secret = {"View-Token": made.json()["token"]}
        owner.post(here, json={"name": "ours"})
        assert [one["name"] for one in owner.get(here).json()] == ["mine", "ours"]
        assert [one["name"] for one in admin.get(here).json()] == ["mine", "ours"]
        assert [one["name"] for one in viewer.get(here).json()] == ["ours"]
        assert viewer.get(f"{here}/mine").status_code == 404
        assert [one.get(f"{here}/ours").json()["role"] for one in (viewer, owner)] == ["follow", "lead"]
        refused = viewer.patch(f"{here}/ours", json={"state": {"mode": "map"}})
        assert (refused.status_code, "takes a token to lead it" in refused.json()["detail"]) == (403, True)
        assert viewer.patch(f"{here}/mine", json={"state": {"mode": "map"}}, headers=secret).status_code == 200
        assert owner.get(f"{here}/mine").json()["state"]["mode"] == "map"
        with plane.of("clouds-admin") as other:
            for answer in (other.get(here), other.get(f"{here}/mine", headers=secret), other.get(f"{here}/ours")):
                assert (answer.status_code, answer.json()["detail"]) == (404, "there is no run old-rivers")
            theirs = f"{RUNS}/old-clouds/views/mine"
            assert other.get(theirs, headers=secret).status_code == 404, "a token is of one view"
        assert admin.delete(f"{here}/mine").status_code == 204


def test_who_comes_for_the_pictures_of_a_view_may_there_what_the_view_says(plane: Plane) -> None:
    with plane.of("rivers-operator") as client:
        made = client.post(f"{RUNS}/old-rivers/views", json={"name": "stage", "shared": False}).json()
    views = SharedViews(plane.registry)

    def may(name: str, held: Role, token: str | None = None) -> str:
        asker = Asker(Person("lab/ada", "Ada", "session", {"rivers": held}), token)
        asked = views.may("old-rivers", name, asker)
        return asyncio.run_coroutine_threadsafe(asked, plane.loop).result(DEADLINE_S)

    assert [may("anything", held) for held in ("viewer", "operator")] == ["follow", "lead"]
    assert may("stage", "viewer", made["token"]) == "lead"
    with pytest.raises(Problem, match="has no view stage"):
        may("stage", "operator")


def test_a_run_that_waits_has_its_walls_and_takes_none(plane: Plane) -> None:
    with plane.of("rivers-operator") as client:
        wish = {"walls": ["lab"]}
        refused = client.post(f"{RUNS}/next-rivers/walls", json=wish)
        assert (refused.status_code, refused.json()["detail"][:30]) == (409, "wall lab shows run new-rivers:"[:30])
        refused = client.post(f"{RUNS}/next-rivers/walls", json={**wish, "take": True})
        assert (refused.status_code, "would wait for room" in refused.json()["detail"]) == (409, True)
        assert client.get(f"{WALLS}/lab").json()["run_id"] == "new-rivers"
        freed = client.delete(f"{RUNS}/new-rivers/walls/lab")
        assert (freed.status_code, freed.json()["walls"]) == (200, [])
        hung = client.post(f"{RUNS}/next-rivers/walls", json=wish)
        assert (hung.status_code, [one["name"] for one in hung.json()["walls"]]) == (200, ["lab"])
        assert client.post(f"{RUNS}/next-rivers/cancel").json()["walls"] == []
        assert client.get(f"{WALLS}/lab").json()["busy"] is False


@pytest.mark.parametrize(
    ("held", "shared", "owns", "expected"),
    [
        ("viewer", True, False, "follow"), ("viewer", False, False, None), ("viewer", False, True, "lead"),
        ("operator", True, False, "lead"), ("operator", False, False, None), ("admin", False, False, "lead"),
    ],
)  # fmt: skip
def test_what_somebody_may_with_a_view(held: Role, shared: bool, owns: bool, expected: str | None) -> None:
    ada = Person("lab/ada", "Ada", "session", {"rivers": held})
    owner = owner_of(ada) if owns else "lab/bob"
    assert role(ada, "rivers", owner, shared=shared) == expected


def test_without_accounts_nobody_owns_a_view() -> None:
    assert owner_of(LOCAL) == ""
    assert role(LOCAL, "default", "", shared=True) == "lead"
    assert role(LOCAL, "default", "", shared=False) is None
