"""The renderer as a process: a streamer's feed on one side, browsers on the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import simplejpeg
import zmq

from renderers.camera import fit
from renderers.frames import RIDE_S
from streamer.wire.header import decode, encode
from streamer.wire.looking import Looking, Pointing, encode_looking, encode_pointing
from streamer.wire.messages import Credit, Entry, Hello, Known, Message, Pulse, Welcome
from streamer.wire.presence import At, Named, encode_at, encode_drawn, encode_named
from streamer.wire.view import (
    FRAME_HEADER,
    JPEG,
    LAST,
    LATER,
    NOTE,
    PNG,
    STILL,
    VERSION,
    Acknowledged,
    Camera,
    Frame,
    Input,
    Opened,
    decode_frame,
    encode_ack,
    encode_beat,
    encode_input,
    encode_opened,
)
from streamer.wire.viewing import View
from streamer.wire.volume import RunSpec, encode_spec
from tests.ending import end, ending, line_within
from tests.renderers.runs import blobs, earth, pairs, payloads_of, spec_of

Payloads = list[bytes]
PATIENCE_S = 20.0
ALONE = Opened()
CAVECAST = str(Path(sys.executable).parent / "cavecast")
T = TypeVar("T")


class Feed:
    """A streamer's feed door: a log in memory, sent as far as credit goes."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], spec: RunSpec, epoch: str = "first") -> None:
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.address = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"
        self.spec, self.epoch = spec, epoch
        self.log: list[tuple[str, Payloads]] = []
        self.hellos: list[Hello] = []
        self._peer, self._next, self._sent, self._bytes = b"", 0, 0, 0
        self._credit = Credit(0, 0)
        self.most_ahead = 0

    def serve(self, wait_ms: int = 0) -> None:
        """Answers what has come, and sends what credit allows."""
        while self.socket.poll(wait_ms):
            wait_ms = 0
            peer, *frames = self.socket.recv_multipart()
            message, _ = decode(frames)
            self._answer(peer, message)
        while self._peer and self._next < len(self.log):
            kind, payloads = self.log[self._next]
            size = sum(map(len, payloads))
            if self._sent + 1 > self._credit.messages or self._bytes + size > self._credit.bytes:
                break
            self._send(Entry(self._next, self._next - 1, kind), payloads)
            self._next, self._sent, self._bytes = self._next + 1, self._sent + 1, self._bytes + size
            self.most_ahead = max(self.most_ahead, self._next - self._credit.next)

    def _answer(self, peer: bytes, message: Known | None) -> None:
        match message:
            case Hello():
                self.hellos.append(message)
                self._peer, self._credit, self._sent, self._bytes = peer, Credit(0, 0), 0, 0
                self._next = message.next if message.epoch == self.epoch else 0
                self._send(Welcome(1, self.epoch, len(self.log), 1 << 16), [encode_spec(self.spec)])
            case Credit():
                self._credit = message
            case Pulse() if peer == self._peer:
                self._send(Pulse(len(self.log)))
            case _:
                pass

    def _send(self, message: Message, payloads: Payloads | None = None) -> None:
        self.socket.send_multipart([self._peer, encode(message), *(payloads or [])])


class Viewer:
    """A browser's line: one DEALER."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str, opened: Opened) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(address)
        self.socket.send(encode_opened(opened))
        self.notes: list[dict[str, object]] = []
        self.others: list[dict[str, object]] = []
        """Notes about who else is there."""
        self.sequence = 0
        self.last = False
        """Whether the last note was the renderer's last word."""

    def turn(
        self, camera: Camera, *, moving: bool = False, size: tuple[int, int] = (480, 270),
        shown: Acknowledged | None = None,
    ) -> int:  # fmt: skip
        """Sends a camera, and what has been shown meanwhile; returns the input's number."""
        self.sequence += 1
        self.socket.send(encode_input(Input(self.sequence, *size, moving, camera), shown))
        return self.sequence

    def pictures(self, *, acknowledge: bool = True) -> list[tuple[Frame, bytes]]:
        """The pictures that have come; notes are put aside."""
        found = []
        while self.socket.poll(0):
            raw = self.socket.recv()
            frame, body = decode_frame(raw), raw[FRAME_HEADER:]
            if frame.codec == NOTE:
                note = json.loads(body)
                (self.others if "people" in note or "pointers" in note else self.notes).append(note)
                self.last = bool(frame.flags & LAST)
                continue
            found.append((frame, body))
            if acknowledge:
                self.socket.send(encode_ack(Acknowledged(frame.frame, 1.0)))
        return found


class Rig:
    """A renderer in a process, with its streamer."""

    def __init__(self, spec: RunSpec, entries: list[tuple[str, Payloads]]) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.feed = Feed(self.context, spec)
        self.feed.log.extend(entries)
        self.sockets = [self.feed.socket]
        self.process = subprocess.Popen(
            [CAVECAST, "renderer", "--feed", self.feed.address, "--views", "tcp://127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            ready = json.loads(line_within(self.process.stdout))
        except BaseException:
            end(self.process, signal.SIGKILL)
            raise
        assert ready["ready"] == "renderer"
        self.views = str(ready["views"])

    def viewer(self, opened: Opened = ALONE) -> Viewer:
        viewer = Viewer(self.context, self.views, opened)
        self.sockets.append(viewer.socket)
        return viewer

    def until(self, look: Callable[[], T | None], *viewers: Viewer, within_s: float = PATIENCE_S) -> T:
        """Serves the feed until there is something to see; the viewers' sockets wake it."""
        deadline = time.monotonic() + within_s
        poller = zmq.Poller()
        for socket in (self.feed.socket, *(viewer.socket for viewer in viewers)):
            poller.register(socket, zmq.POLLIN)
        while time.monotonic() < deadline:
            self.feed.serve()
            found = look()
            if found is not None:
                return found
            poller.poll(50)
        raise AssertionError(f"nothing came within {within_s} s; the renderer is {self.process.poll()}")

    def close(self) -> None:
        try:
            end(self.process, within_s=10)
        finally:
            for socket in self.sockets:
                socket.close(0)
            self.context.term()


SHAPE = (12, 16, 24)


def entries_of(spec: RunSpec) -> list[tuple[str, Payloads]]:
    """A whole run as a log: all chunks, and the end."""
    labels = blobs(SHAPE, seed=5)
    chunks = [("chunk", payloads_of(spec.grid, chunk, labels)) for chunk in range(spec.grid.size)]
    return [*chunks, ("end", [b"complete"])]


@pytest.fixture
def rig() -> Iterator[Rig]:
    spec = spec_of(earth(SHAPE), (4, 8, 8), (False, False, True))
    made = Rig(spec, entries_of(spec))
    try:
        yield made
    finally:
        made.close()


def wait_for(rig: Rig, viewer: Viewer, wanted: Callable[[Frame], bool]) -> tuple[Frame, bytes]:
    """The first picture that is wanted."""
    return rig.until(lambda: next((p for p in viewer.pictures() if wanted(p[0])), None), viewer)


def seen(picture: tuple[Frame, bytes]) -> np.ndarray:
    """A JPEG's pixels."""
    assert picture[0].codec == JPEG
    return np.asarray(simplejpeg.decode_jpeg(picture[1]), np.int16)


def test_a_viewer_gets_the_scene_turns_it_and_gets_a_still_when_it_rests(rig: Rig) -> None:
    viewer = rig.viewer()
    here = fit(480, 270)
    viewer.turn(here, moving=True)
    end = len(rig.feed.log)
    before = wait_for(rig, viewer, lambda frame: frame.position == end)
    assert (before[0].width, before[0].height) == (480, 270)
    assert seen(before).max() > 150

    asked = time.monotonic()
    number = viewer.turn(here._replace(azimuth=here.azimuth + 0.8), moving=True)
    after = wait_for(rig, viewer, lambda frame: frame.input == number)
    assert time.monotonic() - asked < 0.5
    assert np.abs(seen(after) - seen(before)).max() > 100

    number = viewer.turn(here._replace(azimuth=here.azimuth + 0.8))
    still = wait_for(rig, viewer, lambda frame: frame.input == number and bool(frame.flags & STILL))
    assert still[0].codec in (PNG, JPEG)
    rig.until(lambda: next((n for n in viewer.notes if n["state"] == "complete"), None), viewer)
    assert viewer.notes[-1]["chunks"] == {"drawn": rig.feed.spec.grid.size, "total": rig.feed.spec.grid.size}
    assert viewer.notes[-1]["title"] == "Simulated transport"
    # At rest nothing more is sent.
    rig.until(lambda: True if not viewer.pictures() else None, viewer)
    assert not viewer.socket.poll(400)


def test_no_more_than_two_pictures_are_on_their_way_to_a_viewer_that_does_not_answer(rig: Rig) -> None:
    slow, quick = rig.viewer(), rig.viewer()
    here = fit(320, 180)
    slow.turn(here, moving=True, size=(320, 180))
    quick.turn(here, moving=True, size=(320, 180))
    got: list[int] = []
    for i in range(12):
        slow.turn(here._replace(azimuth=0.1 * i), moving=True, size=(320, 180))
        number = quick.turn(here._replace(azimuth=0.1 * i), moving=True, size=(320, 180))
        wait_for(rig, quick, lambda frame, number=number: frame.input == number)  # type: ignore[misc]  # bound now
        got += [frame.frame for frame, _ in slow.pictures(acknowledge=False)]
    assert got == [1, 2]
    slow.socket.send(encode_ack(Acknowledged(2, 1.0)))
    newest = wait_for(rig, slow, lambda frame: frame.frame == 3)
    assert newest[0].input == slow.sequence


def test_a_picture_says_whether_the_next_one_waits_for_what_is_said_of_it(rig: Rig) -> None:
    viewer = rig.viewer()
    here = fit(320, 180)
    viewer.turn(here, moving=True, size=(320, 180))
    wait_for(rig, viewer, lambda frame: frame.position == len(rig.feed.log))

    def picture(azimuth: float, shown: Acknowledged | None = None) -> Frame:
        camera = here._replace(azimuth=azimuth)
        number = viewer.turn(camera, moving=True, size=(320, 180), shown=shown)
        found = rig.until(
            lambda: next((p for p, _ in viewer.pictures(acknowledge=False) if p.input == number), None), viewer
        )
        return found

    first = picture(0.1)
    assert first.flags & LATER
    # What it has shown comes with the next state, so that there is room for a second one all the time.
    for i in range(4):
        first = picture(0.2 + 0.1 * i, Acknowledged(first.frame, 1.0, 5.0))
        assert first.flags & LATER
    assert not picture(1.0).flags & LATER, "nothing was said of the last one, so this one is waited for"


def test_while_the_leader_moves_nothing_is_drawn_for_a_follower_alone(rig: Rig) -> None:
    leader = rig.viewer(Opened("talk"))
    here = fit(320, 180)
    leader.turn(here, moving=True, size=(320, 180))
    wait_for(rig, leader, lambda frame: frame.position == len(rig.feed.log))
    follower = rig.viewer(Opened("talk"))
    follower.turn(here, size=(320, 180))
    wait_for(rig, follower, lambda frame: frame.position == len(rig.feed.log))

    def moved(azimuth: float) -> tuple[float, Frame]:
        """When the leader has moved, and his own picture of it, of which he says nothing; the follower has it too."""
        at, number = time.monotonic(), leader.turn(here._replace(azimuth=azimuth), moving=True, size=(320, 180))
        got = rig.until(
            lambda: next((p for p, _ in leader.pictures(acknowledge=False) if p.input == number), None), leader
        )
        rig.until(lambda: follower.pictures() or None, follower)
        return at, got

    azimuth = 0.1
    at, picture = moved(azimuth)
    while picture.flags & LATER:
        azimuth += 0.1
        at, picture = moved(azimuth)
    # He moves on, but gets no picture before he has said something of the last ones.
    leader.turn(here._replace(azimuth=azimuth + 0.1), moving=True, size=(320, 180))
    rig.until(lambda: follower.pictures() or None, follower)
    assert time.monotonic() - at >= RIDE_S, "the follower has waited for a picture that the leader gets too"


def test_each_viewer_has_a_look_of_his_own_and_what_he_points_at_is_named(rig: Rig) -> None:
    one, other = rig.viewer(), rig.viewer()
    above = fit(480, 270, (0.0, np.pi / 2))
    for viewer in (one, other):
        viewer.turn(above)
    end = len(rig.feed.log)
    plainly = wait_for(rig, other, lambda frame: frame.position == end and bool(frame.flags & STILL))

    # A look takes its number from the same row as inputs, and a picture says that it shows it.
    one.sequence += 1
    one.socket.send(encode_looking(Looking(one.sequence, View("map", time=2.0)), VERSION))
    mapped = wait_for(rig, one, lambda frame: frame.input == one.sequence)
    assert mapped[0].step == 2

    def at_step_2() -> dict[str, object] | None:
        one.pictures()
        return next((note for note in one.notes if when(note) == 2), None)

    told = rig.until(at_step_2, one)
    assert told["text"] == ""
    number = other.turn(above._replace(distance=above.distance * 1.001))
    again = wait_for(rig, other, lambda frame: frame.input == number and bool(frame.flags & STILL))
    assert abs(len(again[1]) - len(plainly[1])) < 0.2 * len(plainly[1]), "the other's picture is the other's"

    # Every object that is drawn can be pointed at: some place of the picture shows one.
    found = {}
    for n, (x, y) in enumerate((x, y) for x in np.linspace(0.3, 0.7, 7) for y in np.linspace(0.3, 0.7, 7)):
        other.socket.send(encode_pointing(Pointing(n, x, y), VERSION))

        def answered(n: int = n) -> dict[str, object] | None:
            other.pictures()
            return next((note for note in other.notes if note.get("pointed") == n), None)

        found[n] = rig.until(answered, other)["found"]
    seen = [one for one in found.values() if isinstance(one, dict)]
    assert seen
    assert all(one["id"] > 0 and 0 <= one["first"] <= one["voxel"][0] <= one["last"] < SHAPE[0] for one in seen)


def when(note: dict[str, object]) -> object:
    told = note.get("when")
    return told["step"] if isinstance(told, dict) else None


def test_garbage_drops_its_sender_with_a_note_and_nobody_else(rig: Rig) -> None:
    rude, polite = rig.viewer(), rig.viewer()
    rude.turn(fit(480, 270), moving=True)
    polite.turn(fit(480, 270), moving=True)
    wait_for(rig, polite, lambda frame: frame.position > 0)
    rude.socket.send(b"\x01\x01nonsense")

    def told() -> bool | None:
        rude.pictures()
        polite.pictures()
        return True if any("closed this view" in str(note.get("text")) for note in rude.notes) else None

    rig.until(told, rude, polite)
    assert rude.last
    assert not polite.last
    rude.turn(fit(480, 270, (1.0, 0.2)), moving=True)
    number = polite.turn(fit(480, 270, (1.0, 0.2)), moving=True)
    wait_for(rig, polite, lambda frame: frame.input == number)
    assert not rude.pictures()
    assert rig.process.poll() is None


def test_a_viewer_that_asks_whether_anybody_is_there_is_answered(rig: Rig) -> None:
    viewer = rig.viewer()
    rig.until(
        lambda: (
            viewer.pictures() or any(note["settled"] and note["state"] == "complete" for note in viewer.notes) or None
        ),
        viewer,
    )
    rig.until(lambda: True if not viewer.socket.poll(400) else viewer.pictures() and None, viewer)
    heard = len(viewer.notes)
    viewer.socket.send(encode_beat())
    rig.until(lambda: viewer.pictures() or (True if len(viewer.notes) > heard else None), viewer)
    assert viewer.notes[-1] == viewer.notes[-2]


def test_the_feed_is_never_ahead_of_the_credit_and_is_taken_up_where_it_stopped(rig: Rig) -> None:
    viewer = rig.viewer()
    viewer.turn(fit(480, 270), moving=True)
    end = len(rig.feed.log)
    wait_for(rig, viewer, lambda frame: frame.position == end)
    assert rig.feed.hellos[0].parts == ("labels", "seam", "ids", "field")
    assert rig.feed.most_ahead <= 24

    # The streamer forgets its peer, as after a restart: silence makes the renderer say Hello again, with its number.
    rig.feed._peer = b""
    rig.feed.log.append(("merges", [pairs((1, 2)).tobytes()]))
    rig.until(lambda: True if len(rig.feed.hellos) > 1 else None, viewer)
    assert (rig.feed.hellos[1].epoch, rig.feed.hellos[1].next) == ("first", end)
    wait_for(rig, viewer, lambda frame: frame.position == end + 1)


def test_a_log_of_another_epoch_starts_the_scene_anew(rig: Rig) -> None:
    viewer = rig.viewer()
    viewer.turn(fit(480, 270), moving=True)
    end = len(rig.feed.log)
    wait_for(rig, viewer, lambda frame: frame.position == end)
    rig.feed.epoch = "second"
    del rig.feed.log[2:]
    rig.feed._send(Entry(end + 5, end + 4, "merges"), [b""])  # a gap, so that it asks again
    wait_for(rig, viewer, lambda frame: frame.position == 2)
    rig.until(lambda: (viewer.pictures(), viewer.notes[-1]["chunks"] == {"drawn": 2, "total": 18})[1] or None, viewer)


def test_it_ends_by_itself_on_sigterm_with_status_0(rig: Rig) -> None:
    viewer = rig.viewer()
    viewer.turn(fit(480, 270), moving=True)
    wait_for(rig, viewer, lambda frame: frame.position > 0)
    rig.process.send_signal(signal.SIGTERM)
    assert rig.process.wait(5) == 0


def test_check_names_the_opengl_that_draws() -> None:
    done = subprocess.run([CAVECAST, "renderer", "--check"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["opengl"]


def test_without_opengl_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    # Libraries of these names that are none: what a machine without Mesa looks like to the loader.
    for library in ("libEGL.so.1", "libOSMesa.so.8"):
        (tmp_path / library).write_bytes(b"no library")
    done = subprocess.run(
        [CAVECAST, "renderer", "--check"],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "libegl1 libegl-mesa0" in done.stderr
    assert "mesa-libEGL" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--feed", "tcp://127.0.0.1:1", "--views", "tcp://0.0.0.0:0"], "make keys with cavecast keys"),
        ([], "--feed is missing"),
        (["--feed", "tcp://127.0.0.1:1", "--picture", "x.png", "--size", "9x9"], "--size 9x9"),
    ],
)
def test_wrong_use_is_one_sentence_and_status_2(arguments: list[str], words: str) -> None:
    done = subprocess.run([CAVECAST, "renderer", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_picture_of_a_finished_run_is_saved(rig: Rig, tmp_path: Path) -> None:
    feed = Feed(rig.context, rig.feed.spec)
    feed.log.extend(rig.feed.log)
    rig.sockets.append(feed.socket)
    out = tmp_path / "run.png"
    child = subprocess.Popen(
        [CAVECAST, "renderer", "--feed", feed.address, "--picture", str(out), "--size", "320x180"],
        stderr=subprocess.PIPE,
    )
    with ending(child, signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE_S
        while child.poll() is None and time.monotonic() < deadline:
            feed.serve(wait_ms=50)
        _, said = child.communicate(timeout=10)
        assert child.returncode == 0, said
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_renderer_whose_streamer_stays_away_ends_with_a_sentence_if_it_is_told_to(tmp_path: Path) -> None:
    nobody = f"ipc://{tmp_path}/nobody"
    command = [CAVECAST, "renderer", "--feed", nobody, "--views", f"ipc://{tmp_path}/views", "--patience", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 75
    assert '"ready": "renderer"' in ended.stdout
    assert ended.stderr.splitlines()[-1] == (
        f"cavecast: nothing was heard from the streamer at {nobody} for 1 s (--patience)"
    )


def test_a_viewer_that_draws_no_pointers_gets_no_more_and_holds_nobody_back(rig: Rig) -> None:
    def told(viewer: Viewer, what: str) -> list[Any]:
        viewer.pictures()
        return [note[what] for note in viewer.others if what in note]

    # Who is heard of first is number 1, and lines that are made one after the other need not come in that order.
    ada = rig.viewer(Opened("talk"))
    rig.until(lambda: told(ada, "people") or None, ada)
    quick, slow = (rig.viewer(Opened("talk")) for _ in range(2))
    everybody = (ada, quick, slow)
    for viewer in everybody:
        viewer.turn(fit(480, 270))
    ada.socket.send(encode_named(Named("Ada"), VERSION))

    def known() -> bool | None:
        lists = [told(viewer, "people") for viewer in everybody]
        return (
            all(found and found[-1]["all"][0]["name"] == "Ada" and len(found[-1]["all"]) == 3 for found in lists)
            or None
        )

    rig.until(known, *everybody)
    drawn = 0
    for n in range(1, 401):
        ada.socket.send(encode_at(At((n / 400, -0.25)), VERSION))
        if n % 100:
            continue
        at = [1, n / 400, -0.25]

        def newest(at: list[float] = at) -> bool | None:
            nonlocal drawn
            found = told(quick, "pointers")
            for _ in range(len(found) - drawn):
                quick.socket.send(encode_drawn(VERSION))
            drawn = len(found)
            return (bool(found) and found[-1] == [at]) or None

        rig.until(newest, *everybody)
    assert len(told(slow, "pointers")) == 1, "it has not drawn them"
    assert len(told(quick, "pointers")) < 100, "the newest, not all"
    assert told(ada, "pointers") == []
    number = ada.turn(fit(480, 270, (1.0, 0.2)), moving=True)
    wait_for(rig, ada, lambda frame: frame.input == number)
    slow.socket.send(encode_drawn(VERSION))
    rig.until(lambda: told(slow, "pointers")[-1] == [[1, 1.0, -0.25]] or None, slow)
