"""Views of runs over HTTP: who sees them, who changes them, and the tokens that let others in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from streamer.control import view_books, wall_books
from streamer.control.books import Books
from streamer.control.view_books import Camera, KeptView, TokenFacts
from streamer.control.wall_books import NotSo
from streamer.wire.spelling import merged, spelled
from streamer.wire.viewing import View
from streamer.wire.walls import WallFacts
from tests.control.parts import DEADLINE_S, control_plane, start, volume
from tests.control.two_databases import books_in
from tests.control.wall_files import detail

NOW, LATER, SOON = "2026-01-01T00:00:00.000+00:00", "2026-01-02T00:00:00.000+00:00", "2026-01-01T00:00:01.000+00:00"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[httpx.Client]:
    with control_plane("--dir", str(home)) as (client, _):
        yield client


@pytest.fixture(scope="module")
def wish(home: Path) -> dict[str, Any]:
    path = volume(home / "blobs.npy")
    return {"input": str(path), "threshold": 0.55, "chunk": [4, 8, 8], "view": False, "workers": 1}


@pytest.fixture(scope="module")
def here(client: httpx.Client, wish: dict[str, Any]) -> str:
    """The views of a run."""
    return f"/api/v1/runs/{start(client, **wish)['run_id']}/views"


def test_a_shared_view_is_made_changed_in_part_set_as_a_whole_and_removed(client: httpx.Client, here: str) -> None:
    made = client.post(here, json={"name": "talk", "state": {"mode": "globe"}, "camera": {"distance": 2.5}})
    assert (made.status_code, made.headers["location"], made.headers["etag"]) == (201, f"{here}/talk", '"1"')
    view = made.json()
    assert (view["role"], view["token"], view["kind"], view["head"]) == ("lead", None, "browser", None)
    assert merged(View(), view["state"]) == View(mode="globe")
    assert msgspec.convert(view["camera"], Camera) == Camera(distance=2.5)
    assert client.get(f"{here}/talk").json() == view
    assert [one["name"] for one in client.get(here).json()] == ["talk"]
    assert "has a view talk already" in detail(client.post(here, json={"name": "talk"}), 409)
    etag = {"If-Match": made.headers["etag"]}
    changed = client.patch(f"{here}/talk", json={"state": {"placement": {"size": 7.0}}}, headers=etag)
    assert (changed.headers["etag"], changed.json()["state"]["mode"]) == ('"2"', "globe")
    assert changed.json()["state"]["placement"]["size"] == 7.0
    assert changed.json()["camera"]["distance"] == 2.5
    assert "is of revision 2, not 1" in detail(client.patch(f"{here}/talk", json={}, headers=etag), 412)
    assert client.patch(f"{here}/talk", json={"state": {"mode": "globe"}}).headers["etag"] == '"2"', "nothing changed"
    whole = client.put(f"{here}/talk", json={"state": {"time": 3}}, headers={"If-Match": "*"}).json()
    assert whole["state"] == spelled(View(time=3.0))
    assert msgspec.convert(whole["camera"], Camera) == Camera()
    assert client.delete(f"{here}/talk").status_code == 204
    assert "has no view talk" in detail(client.get(f"{here}/talk"), 404)


def test_a_private_view_is_there_for_who_has_a_token_of_it_alone(client: httpx.Client, here: str, home: Path) -> None:
    made = client.post(here, json={"name": "mine", "shared": False}).json()
    secret = made["token"]
    lead = {"View-Token": secret}
    assert client.get(here).json() == []
    for answer in (client.get(f"{here}/mine"), client.patch(f"{here}/mine", json={}), client.delete(f"{here}/mine")):
        assert "has no view mine" in detail(answer, 404)
    assert client.get(f"{here}/mine", headers=lead).json()["token"] is None, "it is shown once"
    assert client.patch(f"{here}/mine", json={"state": {"mode": "map"}}, headers=lead).status_code == 200
    roles = {}
    for role in ("follow", "look"):
        token = client.post(f"{here}/mine/tokens", json={"role": role, "expires_in_s": 600}, headers=lead)
        assert token.status_code == 201
        roles[role] = token.json()
    for role, token in roles.items():
        guest = {"View-Token": token["token"]}
        seen = client.get(f"{here}/mine", headers=guest).json()
        assert (seen["role"], seen["state"]["mode"]) == (role, "map")
        for answer in (
            client.patch(f"{here}/mine", json={"state": {"mode": "cube"}}, headers=guest),
            client.delete(f"{here}/mine", headers=guest),
            client.post(f"{here}/mine/tokens", json={"role": "lead"}, headers=guest),
            client.get(f"{here}/mine/tokens", headers=guest),
        ):
            assert f"your token lets you {role} view mine" in detail(answer, 403)
    listed = client.get(f"{here}/mine/tokens", headers=lead).json()
    assert {(one["role"], one["token"]) for one in listed} == {("lead", None), ("follow", None), ("look", None)}
    follow = roles["follow"]
    revoke = f"{here}/mine/tokens/{follow['token_id']}"
    assert client.delete(revoke, headers=lead).status_code == 204
    assert "has no token" in detail(client.delete(revoke, headers=lead), 404)
    gone = client.get(f"{here}/mine", headers={"View-Token": follow["token"]})
    assert "not good any more" in detail(gone, 403)
    client.post(here, json={"name": "other"})
    assert "is none of view other" in detail(client.get(f"{here}/other", headers=lead), 403), "a token is of one view"
    with sqlite3.connect(home / "cavecast.db") as raw:
        text = "\n".join(raw.iterdump())
    raw.close()
    assert "view_tokens" in text
    for token in (secret, *(one["token"] for one in roles.values())):
        assert token not in text, "the books know digests alone"
    assert client.delete(f"{here}/other").status_code == 204
    assert client.delete(f"{here}/mine", headers=lead).status_code == 204


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"name": "a.b"}, "name is 'a.b'"),
        ({"name": "wall.a"}, "name is 'wall.a'"),
        ({"name": "x", "state": {"mode": "ball"}}, "mode: invalid enum value 'ball'"),
        ({"name": "x", "state": {"colour": 1}}, "state has no 'colour'"),
        ({"name": "x", "state": {"objects": {"colour": "#12"}}}, "the objects' colour is '#12', and is written"),
        ({"name": "x", "camera": {"distance": 0}}, "camera.distance is 0"),
        ({"name": "x", "camera": {"roll": 0}}, "camera.roll is no field"),
        ({"name": "x", "role": "lead"}, "role is no field"),
    ],
)
def test_what_is_no_view_is_refused_in_a_sentence(
    client: httpx.Client, here: str, body: dict[str, Any], sentence: str
) -> None:
    assert sentence in detail(client.post(here, json=body), 422)
    assert client.get(here).json() == []


def test_tokens_and_views_are_asked_for_within_bounds(client: httpx.Client, here: str) -> None:
    client.post(here, json={"name": "x"})
    assert "role is 'own'" in detail(client.post(f"{here}/x/tokens", json={"role": "own"}), 422)
    assert "expires_in_s is 1" in detail(client.post(f"{here}/x/tokens", json={"expires_in_s": 1}), 422)
    assert "token_id is 'zz'" in detail(client.delete(f"{here}/x/tokens/zz"), 422)
    assert "there is no run nobody" in detail(client.get("/api/v1/runs/nobody/views"), 404)
    assert "there is no run nobody" in detail(client.post("/api/v1/runs/nobody/views", json={"name": "x"}), 404)
    assert "is not shown on a wall a" in detail(client.get(f"{here}/wall.a"), 404)
    assert client.delete(f"{here}/x").status_code == 204


def test_changes_that_come_at_once_are_all_made(client: httpx.Client, here: str) -> None:
    client.post(here, json={"name": "busy"})
    fields = ("opacity", "time", "isolate", "labels")
    values: tuple[Any, ...] = (0.25, 8.0, True, False)

    def change(one: int) -> int:
        with httpx.Client(base_url=client.base_url, trust_env=False, timeout=DEADLINE_S) as mine:
            return mine.patch(f"{here}/busy", json={"state": {fields[one]: values[one]}}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(change, range(4))) == [200] * 4
    state = client.get(f"{here}/busy").json()
    assert [state["state"][field] for field in fields] == list(values)
    assert state["revision"] == "5"
    client.delete(f"{here}/busy")


def test_views_go_with_their_run_and_outlive_the_control_plane(tmp_path: Path, wish: dict[str, Any]) -> None:
    home = ("--dir", str(tmp_path))
    with control_plane(*home) as (client, _):
        run_id = start(client, **wish)["run_id"]
        here = f"/api/v1/runs/{run_id}/views"
        token = client.post(here, json={"name": "mine", "shared": False, "state": {"mode": "map"}}).json()["token"]
        client.post(f"/api/v1/runs/{run_id}/cancel")
    with control_plane(*home) as (client, _):
        seen = client.get(f"{here}/mine", headers={"View-Token": token})
        assert (seen.json()["role"], seen.json()["state"]["mode"]) == ("lead", "map")
        assert client.delete(f"/api/v1/runs/{run_id}").status_code == 204
    with sqlite3.connect(tmp_path / "cavecast.db") as raw:
        left = [raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("views", "view_tokens")]  # noqa: S608
    raw.close()
    assert left == [0, 0]


# ---------------------------------------------------------------- the books, with time as an argument


@pytest.fixture(params=["sqlite", "postgresql"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Books]:
    with books_in(request.param, tmp_path) as found:
        yield found


def kept(name: str = "v") -> KeptView:
    return KeptView(run_id="r", name=name, created=NOW, changed=NOW)


def test_a_token_is_good_until_it_expires_and_makes_room_then(books: Books) -> None:
    view_books.add(books, kept())
    for number in range(view_books.MOST_TOKENS):
        facts = TokenFacts(f"{number:08x}", "look", NOW, SOON)
        view_books.add_token(books, "r", "v", facts, f"secret {number}", NOW)
    late = TokenFacts("ffffffff", "follow", NOW, LATER)
    with pytest.raises(NotSo, match="has 64 tokens, and room for 64"):
        view_books.add_token(books, "r", "v", late, "late", NOW)
    assert view_books.role_of(books, "r", "v", "secret 1", NOW) == "look"
    assert view_books.role_of(books, "r", "v", "secret 1", SOON) is None
    assert view_books.role_of(books, "r", "w", "secret 1", NOW) is None
    view_books.add_token(books, "r", "v", late, "late", SOON)
    assert [one.token_id for one in view_books.tokens(books, "r", "v", SOON)] == ["ffffffff"]
    assert view_books.role_of(books, "r", "v", "late", SOON) == "follow"


def test_a_change_made_of_an_old_view_is_not_written(books: Books) -> None:
    first = view_books.add(books, kept())
    second = view_books.change(books, first, msgspec.structs.replace(first, view=View(mode="map")))
    assert second is not None
    assert second.revision == 2
    assert view_books.change(books, first, msgspec.structs.replace(first, view=View(mode="globe"))) is None
    assert view_books.find(books, "r", "v") == second
    view_books.note(books, msgspec.structs.replace(second, view=View(time=1.0)))
    noted = view_books.find(books, "r", "v")
    assert noted is not None
    assert (noted.revision, noted.view) == (3, View(time=1.0))
    for number in range(view_books.MOST_VIEWS - 1):
        view_books.add(books, kept(f"v{number}"))
    with pytest.raises(NotSo, match="has 64 views, and room for 64"):
        view_books.add(books, kept("more"))
    view_books.remove_all(books, "r")
    assert view_books.every(books, "r") == []


def test_walls_are_written_once_counted_and_of_one_place(books: Books) -> None:
    facts = WallFacts(
        name="a", title="", size_mm=(1, 1, 1), screens=1, megapixels=1, fov_deg=(1, 1), seats=(), tiles=(),
        expected_nodes=0,
    )  # fmt: skip
    first = wall_books.put(books, "one", facts, NOW)
    assert wall_books.find(books, "a") == first
    with pytest.raises(NotSo, match="there is a wall a already"):
        wall_books.put(books, "two", facts, LATER, fresh=True)
    second = wall_books.put(books, "two", facts, LATER, 1)
    assert (second.generation, second.created, second.changed, second.text) == (2, NOW, LATER, "two")
    for change in (lambda: wall_books.put(books, "x", facts, LATER, 1), lambda: wall_books.remove(books, "a", 1)):
        with pytest.raises(NotSo, match="is of generation 2, not 1"):
            change()
    for number in range(wall_books.MOST_WALLS - 1):
        wall_books.put(books, "", msgspec.structs.replace(facts, name=f"w{number}"), NOW)
    with pytest.raises(NotSo, match="200 walls are kept, and there is room for 200"):
        wall_books.put(books, "", msgspec.structs.replace(facts, name="more"), NOW)
    assert len(wall_books.every(books)) == len(wall_books.names(books)) == 200
    assert wall_books.remove(books, "a", 2)
    assert not wall_books.remove(books, "a")
