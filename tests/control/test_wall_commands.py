"""Walls and views from programs and from the command line, against a real control plane."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.client import Client, Refused
from streamer.wire.spelling import merged
from streamer.wire.viewing import View
from tests.control.parts import CAVECAST, DEADLINE_S, environment, volume
from tests.control.wall_files import SLOW, slow_walls, wall
from tests.ending import ending, lines_within


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with slow_walls() as (http, _), Client(str(http.base_url)) as client:
        yield client


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return volume(tmp_path_factory.mktemp("input") / "blobs.npy")


def cavecast(*words: str, code: int = 0, **more: str) -> tuple[str, str]:
    done = subprocess.run(
        [CAVECAST, *words],
        env=environment(**SLOW, **more),
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
        check=False,
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout, done.stderr


def start(client: Client, path: Path, **more: object) -> str:
    wish = {"input": str(path), "threshold": 0.55, "chunk": [4, 8, 8], "view": False, "workers": 1, "pace_s": 60}
    return client.start({**wish, **more}).run_id


def test_a_program_keeps_a_wall_and_drives_it(client: Client, path: Path) -> None:
    kept = client.put_wall(wall("mine", nodes="one"))
    assert client.put_wall(wall("mine", 3, nodes="one"), kept.generation).generation == 2
    with pytest.raises(Refused, match="is of generation 2, not 1"):
        client.put_wall(wall("mine"), 1)
    with pytest.raises(Refused, match="lacks the key") as refused:
        client.put_wall('title = "x"')
    assert refused.value.exit_code == 2
    assert client.wall_file("mine") == wall("mine", 3, nodes="one")
    assert client.wall_picture("mine").startswith(b"<svg")
    assert [one.name for one in client.walls()] == ["mine"]
    run_id = start(client, path, walls=["mine"])
    assert client.wall("mine").run_id == run_id
    for run in client.follow(run_id):
        if run.walls[0].state == "showing":
            break
    assert client.change_view(run_id, "wall.mine", {"mode": "map"}).kind == "wall"
    assert client.identify_wall("mine", 1).run_id == run_id
    other = start(client, path)
    with pytest.raises(Refused, match=f"wall mine shows run {run_id}"):
        client.show_on(other, ["mine"])
    assert [one.name for one in client.show_on(other, ["mine"], take=True).walls] == ["mine"]
    with pytest.raises(Refused, match="take that off first"):
        client.remove_wall("mine")
    assert client.take_off(other, "mine").walls == ()
    client.remove_wall("mine")
    assert client.walls() == []


def test_a_program_makes_views_and_lets_others_in(client: Client, path: Path) -> None:
    run_id = start(client, path)
    view = client.add_view(run_id, "talk", {"mode": "globe"}, {"distance": 2.0}, shared=False)
    assert merged(View(), view.state) == View(mode="globe")
    token = client.add_view_token(run_id, "talk", "look", token=view.token)
    assert client.view(run_id, "talk", token.token).role == "look"
    with pytest.raises(Refused, match="your token lets you look") as refused:
        client.change_view(run_id, "talk", {"mode": "map"}, token=token.token)
    assert refused.value.status == 403
    changed = client.change_view(run_id, "talk", {"mode": "map"}, revision=view.revision, token=view.token)
    assert changed.revision == "2"
    with pytest.raises(Refused, match="is of revision 2, not 1"):
        client.change_view(run_id, "talk", {"mode": "cube"}, revision=view.revision, token=view.token)
    client.revoke_view_token(run_id, "talk", token.token_id, token=view.token)
    assert [one.role for one in client.view_tokens(run_id, "talk", token=view.token)] == ["lead"]
    assert client.views(run_id) == []
    client.remove_view(run_id, "talk", token=view.token)
    client.cancel(run_id)


def test_walls_are_kept_and_tried_from_the_command_line(client: Client, path: Path, tmp_path: Path) -> None:
    at = ("--server", client.url)
    file = tmp_path / "lab.toml"
    file.write_text(wall("lab", nodes="one"))
    assert "There is no wall yet" in cavecast("walls", "list", *at)[0]
    assert cavecast("walls", "put", str(file), *at)[0].startswith("lab is kept: 2 outputs on 1 nodes.")
    assert "A row of 2" in cavecast("walls", "list", *at)[0]
    assert json.loads(cavecast("walls", "list", "--json", *at)[0])[0]["name"] == "lab"
    picture = tmp_path / "lab.svg"
    shown = cavecast("walls", "show", "lab", "--picture", str(picture), *at)[0]
    assert "2 outputs on 1 nodes" in shown
    assert "It shows no run." in shown
    assert picture.read_bytes().startswith(b"<svg")
    assert cavecast("walls", "show", "lab", "--file", *at)[0] == file.read_text()
    assert json.loads(cavecast("walls", "show", "lab", "--json", *at)[0])["name"] == "lab"
    assert "\tready\tp-0-0, p-0-1" in cavecast("walls", "nodes", "lab", *at)[0]
    assert json.loads(cavecast("walls", "nodes", "lab", "--json", *at)[0])[0]["state"] == "ready"
    assert "lab shows the test pattern for 1 s." in cavecast("walls", "identify", "lab", "--seconds", "1", *at)[0]
    run_id = start(client, path)
    assert f"{run_id} is shown on lab" in cavecast("walls", "hang", "lab", run_id, *at)[0]
    for run in client.follow(run_id):
        if run.walls[0].state == "showing":
            break
    assert "wall lab: showing" in cavecast("runs", "show", run_id, *at)[0]
    assert f"It shows {run_id}." in cavecast("walls", "show", "lab", *at)[0]
    assert f"wall lab shows run {run_id}: take that off first" in cavecast("walls", "remove", "lab", *at, code=1)[1]
    assert f"{run_id} is off lab." in cavecast("walls", "clear", "lab", *at)[0]
    assert "lab shows nothing." in cavecast("walls", "clear", "lab", *at)[0]
    assert "lab is forgotten." in cavecast("walls", "remove", "lab", *at)[0]
    client.cancel(run_id)


def test_views_are_made_changed_and_shared_from_the_command_line(client: Client, path: Path) -> None:
    at = ("--server", client.url)
    run_id = start(client, path)
    assert f"Run {run_id} has no views yet" in cavecast("views", "list", run_id, *at)[0]
    made = cavecast("views", "add", run_id, "mine", "--private", "--state", '{"mode": "globe"}', *at)[0]
    token = made.split("CAVECAST_VIEW_TOKEN=")[1].strip()
    assert "has no view mine" in cavecast("views", "show", run_id, "mine", *at, code=1)[1]
    shown = json.loads(cavecast("views", "show", run_id, "mine", "--json", *at, CAVECAST_VIEW_TOKEN=token)[0])
    assert (shown["role"], shown["state"]["mode"]) == ("lead", "globe")
    guest = cavecast("views", "invite", run_id, "mine", "--role", "look", *at, CAVECAST_VIEW_TOKEN=token)[0]
    looks = guest.split("=", 1)[1].strip()
    change = ("views", "change", run_id, "mine", "--state")
    refused = cavecast(*change, '{"mode": "map"}', *at, code=1, CAVECAST_VIEW_TOKEN=looks)[1]
    assert "your token lets you look view mine" in refused
    assert "which you may look." in cavecast("views", "show", run_id, "mine", *at, CAVECAST_VIEW_TOKEN=looks)[0]
    assert "there are lead, follow, look" in cavecast("views", "invite", run_id, "mine", "--role", "x", *at, code=2)[1]
    assert "--state is no JSON" in cavecast(*change, "{", *at, code=2)[1]
    assert "View mine is gone" in cavecast("views", "remove", run_id, "mine", *at, CAVECAST_VIEW_TOKEN=token)[0]
    client.cancel(run_id)


def test_what_is_wrong_on_the_command_line_is_one_sentence(client: Client, path: Path, tmp_path: Path) -> None:
    at = ("--server", client.url)
    assert "there is no wall nobody" in cavecast("walls", "show", "nobody", *at, code=1)[1]
    assert "is neither .svg nor .png" in cavecast("walls", "show", "x", "--picture", "x.gif", *at, code=2)[1]
    assert "cannot be read: No such file" in cavecast("walls", "put", str(tmp_path / "none.toml"), *at, code=2)[1]
    (tmp_path / "raw.toml").write_bytes(b"\xff")
    assert "is no text in UTF-8" in cavecast("walls", "put", str(tmp_path / "raw.toml"), *at, code=2)[1]
    (tmp_path / "long.toml").write_bytes(b"#" * (1 << 17))
    assert "has more than 65,536 bytes" in cavecast("walls", "put", str(tmp_path / "long.toml"), *at, code=2)[1]
    said = cavecast("run", str(path), "--threshold", "0.55", "--no-view", "--wall", "nobody", *at, code=1)[1]
    assert "cavecast: there is no wall nobody" in said


def test_a_run_from_the_command_line_is_shown_on_the_wall_of_a_file(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(wall("lab", nodes="one"))
    words = ("--threshold", "0.55", "--chunk", "4,8,8", "--no-view", "--pace", "600", "--wall", str(file))
    said: list[str] = []
    process = subprocess.Popen(
        [CAVECAST, "run", str(path), *words], env=environment(**SLOW), stderr=subprocess.PIPE, text=True
    )
    with ending(process, signal.SIGINT):
        for line in lines_within(process.stderr):
            said.append(line)
            if line == "It is shown on wall lab.\n":
                break
    assert said[-1] == "It is shown on wall lab.\n", said
    assert process.returncode == 130
