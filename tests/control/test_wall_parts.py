"""What a wall adds to a run: its parts and their arguments, what their end means, and what is wanted.  Pure."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streamer.control import lives, runs
from streamer.control.lives import Life, Restart
from streamer.control.onwall import OnWall
from streamer.control.parts import Addresses, Plan, RelayPlan, WallParts, arguments
from streamer.control.runs import NotNow, Run
from tests.control.test_books import booked

WALL = WallParts("lab", Path("/w/lab.toml"), ("left", "--help"), offscreen=True, deadline_ms=400)
PLAN = Plan(Path("/r"), 1, True, None, False, 0.0, relays=(RelayPlan("copy"),), walls=(WALL,))
AT = Addresses(
    "ipc:///r/ingest", "ipc:///r/feed", "ipc:///r/views", {"relay-copy": "tcp://0.0.0.0:7705"},
    {"conductor:lab": "ipc:///r/conductor"},
)  # fmt: skip


def test_a_wall_is_a_conductor_and_a_process_for_each_of_its_nodes() -> None:
    assert list(PLAN.parts.items())[-3:] == [
        ("conductor:lab", "conductor"), ("tile:lab:left", "tile"), ("tile:lab:--help", "tile")
    ]  # fmt: skip
    assert PLAN.source("tile:lab:left") == "conductor:lab"
    assert PLAN.source("conductor:lab") == "streamer"
    behind = PLAN._replace(behind="copy")
    assert (behind.source("conductor:lab"), behind.source("renderer")) == ("relay-copy", "relay-copy")
    assert behind.behind_of("relay-copy") == {"renderer", "conductor:lab", "tile:lab:left", "tile:lab:--help"}
    assert "conductor:lab" not in PLAN.to_look_at().parts


def test_parts_of_a_wall_are_called_with_its_file_and_the_keys_of_renderers() -> None:
    plan = PLAN._replace(keys=Path("/k"), behind="copy")
    assert arguments("conductor:lab", "conductor", plan, AT) == [
        "conductor", "--wall", "/w/lab.toml", "--feed", "tcp://127.0.0.1:7705", "--listen", "ipc:///r/conductor",
        "--deadline-ms", "400", "--keys", "/k/renderer.toml",
    ]  # fmt: skip
    # A node may be called as an option is.
    assert arguments("tile:lab:--help", "tile", PLAN, AT) == [
        "tile", "--wall", "/w/lab.toml", "--node=--help", "--conductor", "ipc:///r/conductor", "--offscreen",
    ]  # fmt: skip
    assert "--offscreen" not in WALL._replace(offscreen=False).of_tile("left", "x")
    assert "--feed" not in WALL.of_conductor("", "x")


def test_where_a_conductor_is_becomes_known_when_it_says_so() -> None:
    at = AT._replace(walls={"conductor:lab": "tcp://127.0.0.1:0"})
    assert not at.known("conductor:lab")
    after = at.after("conductor:lab", {"address": "tcp://127.0.0.1:7"})
    assert after.known("conductor:lab")
    assert after.listens("conductor:lab") == {"wall": "tcp://127.0.0.1:7"}
    assert after.listens("tile:lab:left") == {}


@pytest.mark.parametrize("state", ["running", "complete"])
def test_a_part_of_a_wall_is_started_again_and_never_fails_its_run(state: runs.State) -> None:
    life = msgspec.structs.replace(lives.new({"streamer": "streamer"}, archive=False), state=state)
    life = lives.joined(life, "tile:lab:left", "tile")
    verdict: Restart | None = Restart(0)
    now = 0.0
    while verdict is not None:
        now += 1
        life, verdict = lives.exited(life, "tile:lab:left", -9, "", now)
        assert now < 10
    assert now == lives.RESTARTS + 1
    assert (life.state, life.parts["tile:lab:left"].alive) == (state, False)
    (remark,) = life.remarks
    assert remark.startswith("tile:lab:left was ended by SIGKILL again")
    assert remark.endswith("; the run goes on without it")
    again: Life = lives.joined(life, "tile:lab:left", "tile")
    again, _ = lives.exited(again, "tile:lab:left", 2, "cavecast: no such node", now)
    joined = lives.joined(again, "tile:lab:left", "tile")
    once, _ = lives.exited(joined, "tile:lab:left", 2, "cavecast: no such node", now)
    assert once.remarks == again.remarks, "what is said already is not said again"


def test_to_be_shown_is_a_wish_like_others_also_of_a_run_that_is_over() -> None:
    record = booked("r")[1]
    shown = runs.shown_on(record, ["a", "b", "a"])
    assert ([wall.name for wall in shown.walls], shown.generation) == (["a", "b"], record.generation + 1)
    assert runs.shown_on(shown, ["b"]) is shown
    assert runs.taken_off(shown, ["c"]) is shown
    assert runs.taken_off(shown, ["a"]).walls == (OnWall(name="b"),)
    over: Run = msgspec.structs.replace(record, state="complete")
    assert runs.shown_on(over, ["a"]).walls == (OnWall(name="a"),)
    with pytest.raises(NotNow, match="r is being cancelled"):
        runs.shown_on(msgspec.structs.replace(record, cancelling=True), ["a"])
