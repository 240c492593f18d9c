"""Some of a wall's view is changed by somebody who knows the revision that he has seen: a real conductor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from renderers.wall.scenery import Scenery
from renderers.wall.write import to_toml
from streamer.wire.conducting import Answer, Ask, Change, Message, Refuse, Viewed, WallNews, encode, heard
from streamer.wire.viewing import Head, View
from tests.barrier.house import PATIENCE_S, House, same_screen


def test_a_change_is_made_of_what_is_there_and_refused_if_that_is_another(tmp_path: Path) -> None:
    (tmp_path / "wall.toml").write_text(to_toml(same_screen(["t"])))
    with House(tmp_path) as house:
        said = house.ready(house.start("conductor", "--wall", str(tmp_path / "wall.toml")))
        socket = house.dealer(said["address"])

        def ask(message: Message, payload: bytes = b"") -> tuple[Any, bytes]:
            socket.send_multipart([encode(message), payload] if payload else [encode(message)])
            assert socket.poll(int(1000 * PATIENCE_S)), "the conductor does not answer"
            return heard(socket.recv_multipart())

        def viewed(message: Message, changes: object = None) -> Viewed:
            answer, raw = ask(message, msgspec.msgpack.encode(changes) if changes is not None else b"")
            assert answer == Answer(1)
            return msgspec.msgpack.decode(raw, type=Viewed)

        first = viewed(Ask(1, "view"))
        assert not first.view.pattern
        second = viewed(Change(1), {"mode": "globe", "placement": {"size": 700.0}})
        assert (second.view.mode, second.view.placement.size) == ("globe", 700.0)
        assert second.view.placement.centre == first.view.placement.centre
        assert second.revision != first.revision
        third = viewed(Change(1, second.revision), {"mode": "globe"})
        assert third.revision == second.revision, "nothing was changed"
        clash = viewed(Change(1, first.revision), {"mode": "map"})
        assert (clash.clash, clash.view) == (True, second.view)
        flaw = viewed(Change(1), {"opacity": 7})
        assert "an opacity that is not from 0 to 1" in flaw.flaw
        assert flaw.view == viewed(Ask(1, "view")).view == second.view
        assert viewed(Change(1), [1]).flaw.startswith("state is [1]: give an object")
        refused, _ = ask(Change(1), b"\xc1")
        assert isinstance(refused, Refuse)
        assert "a payload that holds no changes" in refused.reason
        _, raw = ask(Ask(1, "figures"))
        assert msgspec.msgpack.decode(raw, type=WallNews).stale == ("t",)
        # After the conductor was started anew nothing is taken for what was seen before.
        again = house.ready(house.start("conductor", "--wall", str(tmp_path / "wall.toml")))
        socket = house.dealer(again["address"])
        assert viewed(Change(1, first.revision), {"mode": "map"}).clash


def test_a_head_that_moves_is_no_change_of_the_view() -> None:
    scenery = Scenery(same_screen(["t"]), None)
    scene = scenery.scene
    assert scenery.follow(msgspec.structs.replace(scene, head=Head((1.0, 2.0, 3.0))), False, 0.0)
    assert scenery.views == 1
    assert scenery.set_view(View(mode="map"), 0.0)
    assert not scenery.set_view(View(mode="map"), 0.0)
    assert scenery.views == 2
