"""What must not end a conductor: a disk that is full, a name server that is silent, a seat that speaks nonsense."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import closing
from math import inf, nan
from pathlib import Path

import pytest

from renderers.wall.conductor import Conductor, Plan
from renderers.wall.fitting import placed
from renderers.wall.messages import Input, Join, Shown, Tile
from renderers.wall.records import Fit, TrackerSource
from renderers.wall.seating import digest
from renderers.wall.track.drag import Drag
from renderers.wall.track.listen import Listener
from renderers.wall.track.mouse import screen_point
from renderers.wall.track.record import Recording
from renderers.wall.track.sensed import Key, Pointer
from renderers.wall.track.tape import Tape
from streamer.wire.viewing import LARGEST, Head, View
from tests.barrier.house import same_screen

WALL = same_screen(["a", "b"], size=(96, 54))


def test_a_session_that_cannot_be_recorded_any_further_does_not_end_the_wall(tmp_path: Path) -> None:
    source = TrackerSource("mouse", "")
    read, write = os.pipe()
    with Listener((source,), 0.0) as listener:
        tape = Tape(os.fdopen(write, "wb", buffering=0), (source,), 0.0)
        plan = Plan(WALL, f"ipc://{tmp_path}/wall")
        with closing(tape), closing(Conductor(plan, listener=listener, tape=tape)) as conductor:
            conductor._sensed([Key(0, "2", True)], 1.0)
            with os.fdopen(read, "rb") as file:
                recording = Recording(file)
                assert next(recording.entries()) == (1.0, Key(0, "2", True))
            for key in "321":  # nobody takes it any more
                conductor._sensed([Key(0, key, True)], 2.0)
            assert conductor._scenery.scene.view.mode == "cube"
            tape.close()
            assert conductor.figures(3.0).heard.unrecorded == tape.lost == 3


def test_a_seat_speaks_for_its_own_tiles_alone(tmp_path: Path) -> None:
    with closing(Conductor(Plan(WALL, f"ipc://{tmp_path}/wall"))) as conductor:
        conductor._answer(b"p", Join(1, "a", ("a",), digest(WALL)), b"", 1.0)
        conductor.tally.show(7, 2, 0.0, 1.0)
        for i in range(20):
            conductor._answer(b"p", Shown(7, 1, "e", 0, (Tile(f"x{i}", 1.0), Tile("b", 1.0))), b"", 1.0)
        conductor._answer(b"p", Shown(7, 1, "e", 0, (Tile("a", nan),)), b"", 1.0)
        conductor._answer(b"p", Shown(7, 1, "e", 0, (Tile("a", 1.5),), inf), b"", 1.0)
        conductor._answer(b"p", Shown(7, 1, "e", 0, (Tile("a", 1.5),)), b"", 1.0)
        figures = conductor.figures(2.0)
        assert set(figures.show_skew) == {"a"}
        assert figures.chunk_to_show.count == 0


def test_what_is_done_at_windows_is_counted_and_what_makes_no_sense_is_garbage(tmp_path: Path) -> None:
    source = TrackerSource("mouse", "")
    plan = Plan(WALL, f"ipc://{tmp_path}/wall")
    with Listener((source,), 0.0) as listener, closing(Conductor(plan, listener=listener)) as conductor:
        conductor._answer(b"p", Join(1, "a", ("a",), digest(WALL)), b"", 1.0)
        far, button = Input("a", "motion", "", False, nan, 1.0), Input("a", "button", "9", True, 5.0, 5.0)
        near, key = Input("a", "motion", "", False, 5.0, 5.0), Input("a", "key", "2", True)
        for said in (key, near, far, button, Input("elsewhere", "key", "3", True)):
            conductor._answer(b"p", said, b"", 1.0)
        (state,) = conductor.figures(2.0).heard.sources
        assert (state.packets, state.garbage) == (4, {"outside": 1, "button": 1})
        assert conductor._scenery.scene.view.mode == "globe"


def test_a_silent_name_server_holds_no_frame_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer, here = threading.Event(), threading.Event(), threading.get_ident()

    def slow(host: str, *_: object) -> list[object]:
        assert threading.get_ident() != here
        asked.set()
        answer.wait(60)
        raise socket.gaierror(socket.EAI_NONAME, f"{host}: no such name")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with Listener((TrackerSource("vrpn", "DTrack@tracker.example"),), 0.0) as listener:
        assert asked.wait(60)
        for turn in range(1, 50):
            assert listener.read(turn / 10) == []
        assert listener.deadline() < 6.0
        answer.set()
        now = 5.0
        while "cannot be found" not in listener.states()[0].trouble:
            now += 0.1
            assert listener.read(now) == []
            threading.Event().wait(0.001)
            assert now < 1000


def test_a_box_without_sides_is_laid_into_the_room_as_if_nothing_were_known_of_it() -> None:
    fit = Fit(1200.0, mm_per_step=25.0)
    for half in ((0.0, 0.0, 0.0), (nan, 0.5, 0.5), (0.5, 0.5, -inf)):
        assert placed(fit, half, 40) == placed(fit)
    assert placed(fit, (0.9, 0.3, 1e-9), 1 << 53).size == LARGEST


def test_a_click_with_an_eye_on_the_very_glass_picks_nothing() -> None:
    screen = WALL.screens[0]
    eye, drag = Head(screen_point(screen, 0.5, 0.5)), Drag()
    drag.step(View(), Pointer(0, screen.name, 0.5, 0.5, 1), eye, {screen.name: screen})
    assert drag.step(View(), Pointer(0, screen.name, 0.5, 0.5, 0), eye, {screen.name: screen}).pick is None
