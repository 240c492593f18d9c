"""Sessions of trackers on disk."""

from __future__ import annotations

import io
import math
import struct
import zlib
from math import inf, nan

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from renderers.wall.records import TrackerSource
from renderers.wall.track.body import Tuning
from renderers.wall.track.poses import Trackers
from renderers.wall.track.record import MAGIC, NotASession, Player, Recorder, Recording
from renderers.wall.track.sensed import Axis, Button, Gone, Key, Lost, Pointer, Pose, Record
from renderers.wall.track.smooth import Smoothing
from streamer.wire.viewing import Head

SOURCE = TrackerSource("vrpn", "DTrack@localhost", latency_ms=30, unit="m", axes="x right, y forward, z up")


def session(count: int = 200) -> list[tuple[float, Record]]:
    """A head that walks and is lost at times, and a wand that is pressed; at times that floats hold exactly."""
    entries: list[tuple[float, Record]] = [(0.0, Key(0, "r", True)), (0.0, Pointer(0, "s", 0.25, 0.5, 1))]
    for i in range(count):
        t = i / 64
        half = 0.5 * math.sin(t)
        entries.append((t, Pose(0, 0, (0.3 * math.sin(t), 0.1, 1.7), (0, 0, math.sin(half), math.cos(half)), t)))
        entries.append((t + 1 / 1024, Pose(0, 1, (0.1, 0.2 + 0.01 * i % 0.3, 1.0), (0, 0, 0, 1))))
        if i % 20 == 0:
            entries += [(t + 2 / 1024, Button(0, 0, i % 40 == 0)), (t + 3 / 1024, Axis(0, 1, i / count))]
        if i == 100:
            entries.append((t + 4 / 1024, Lost(0, 0)))
    entries.append((count / 64, Gone(0)))
    return entries


def written(entries: list[tuple[float, Record]], start: float = 1000.0) -> bytes:
    out = io.BytesIO()
    recorder = Recorder(out, [SOURCE], start)
    for at, record in entries:
        recorder.write(record, start + at)
    return out.getvalue()


def shown(trackers: Trackers, now: float) -> tuple[Head, object]:
    return trackers.head(now), trackers.wand(now)


def test_a_replay_shows_what_was_shown_live() -> None:
    tuning = Tuning(smoothing=Smoothing(), hold_s=0.05, ease_s=0.2)
    live = Trackers([SOURCE], tuning=tuning)
    out = io.BytesIO()
    recorder = Recorder(out, [SOURCE], 512.0)
    seen = []
    for at, record in session():
        recorder.write(record, 512.0 + at)
        live.feed(record, 512.0 + at)
        seen.append(shown(live, 512.0 + at))
    player = Player(Recording(io.BytesIO(out.getvalue())), 512.0)
    again = Trackers(player.sources, tuning=tuning)
    replayed = []
    while (due := player.deadline()) is not None:
        for at, record in player.due(due):
            again.feed(record, at)
            replayed.append(shown(again, at))
    assert replayed == seen
    assert again.counts == live.counts


def test_all_kinds_of_records_and_the_calibration_come_back() -> None:
    entries = session()
    recording = Recording(io.BytesIO(written(entries, start=0.0)))
    assert recording.sources == (SOURCE,)
    assert list(recording.entries()) == entries
    assert (recording.torn, recording.first_bad) == ("", "")


def test_records_come_due_at_their_times() -> None:
    player = Player(Recording(io.BytesIO(written([(0.0, Gone(0)), (0.5, Lost(0, 1)), (2.0, Gone(0))], 0.0))), 10.0)
    assert player.due(9.9) == []
    assert player.due(10.0) == [(10.0, Gone(0))]
    assert player.deadline() == 10.5
    assert player.due(11.0) == [(10.5, Lost(0, 1))]
    assert player.due(100.0) == [(12.0, Gone(0))]
    assert player.deadline() is None


def test_a_session_is_small() -> None:
    pose = Pose(0, 0, (0.1, 0.2, 1.7), (0.1, 0.2, 0.3, 0.9), 12.5)
    assert len(written([(0.1, pose)] * 100)) - len(written([])) <= 100 * 110


@given(cut=st.integers(0, 4000))
def test_a_session_that_was_cut_off_is_good_up_to_there(cut: int) -> None:
    entries = session(40)
    data = written(entries, 0.0)
    cut = min(cut, len(data) - 1)
    try:
        recording = Recording(io.BytesIO(data[:cut]))
    except NotASession:
        assert cut < len(written([]))
        return
    found = list(recording.entries())
    assert found == entries[: len(found)]
    assert bool(recording.torn) == (cut != len(written(entries[: len(found)], 0.0)))
    if recording.torn:
        assert recording.torn.startswith(f"the file is cut off in record {len(found) + 1} (at byte ")


@given(at=st.integers(200, 3000), bit=st.integers(0, 7))
def test_a_damaged_session_ends_where_it_is_damaged(at: int, bit: int) -> None:
    entries = session(40)
    data = bytearray(written(entries, 0.0))
    at = max(len(written([])), min(at, len(data) - 1))
    data[at] ^= 1 << bit
    recording = Recording(io.BytesIO(bytes(data)))
    found = list(recording.entries())
    assert found == entries[: len(found)]
    assert len(found) < len(entries)
    assert f" in record {len(found) + 1} (at byte " in recording.torn


def framed(payload: bytes) -> bytes:
    """A piece of a session, as its description has it."""
    return struct.pack("<IH", zlib.crc32(payload), len(payload)) + payload


def entry(at: object, *record: object) -> bytes:
    """A piece with a record of anything."""
    return framed(msgspec.msgpack.encode([at, list(record)]))


PLACE, TURN = [1.0, 2.0, 3.0], [0.0, 0.0, 0.0, 1.0]
BAD: list[tuple[str, str, bytes]] = [
    ("not finite", "not finite", entry(1.0, "p", 0, 0, [nan, 2.0, 3.0], TURN)),
    ("infinite", "not finite", entry(1.0, "p", 0, 0, [1.0, inf, 3.0], TURN)),
    ("stamp", "not finite", entry(1.0, "p", 0, 0, PLACE, TURN, nan)),
    ("far", "far", entry(1.0, "p", 0, 0, [1e30, 2.0, 3.0], TURN)),
    ("no turn", "turn", entry(1.0, "p", 0, 0, PLACE, [0.0, 0.0, 0.0, 0.0])),
    ("body", "body", entry(1.0, "p", 0, 1 << 40, PLACE, TURN)),
    ("lost body", "body", entry(1.0, "l", 0, -1)),
    ("two numbers", "record", entry(1.0, "p", 0, 0, [1.0, 2.0], TURN)),
    ("four numbers", "record", entry(1.0, "p", 0, 0, [*PLACE, 4.0], TURN)),
    ("words", "record", entry(1.0, "p", 0, 0, "here", TURN)),
    ("kind", "record", entry(1.0, "zz", 0, 0)),
    ("not msgpack", "record", framed(b"\xc1\xc1")),
    ("nothing", "record", framed(b"")),
    ("invalid text", "record", framed(b"\x92\xcb?\xf0\0\0\0\0\0\0\x94\xa1k\0\xa2\xff\xfe\xc3")),
    ("button", "button", entry(1.0, "b", 0, 100_000, True)),
    ("axis", "axis", entry(1.0, "a", 0, 64, 0.5)),
    ("axis value", "not finite", entry(1.0, "a", 0, 0, nan)),
    ("key", "key", entry(1.0, "k", 0, "x" * 5000, True)),
    ("pointer", "pointer", entry(1.0, "m", 0, "s", nan, 0.5, 0)),
    ("pointer far", "pointer", entry(1.0, "m", 0, "s", 1e9, 0.5, 0)),
    ("screen", "pointer", entry(1.0, "m", 0, "s" * 5000, 0.5, 0.5, 0)),
    ("source", "source", entry(1.0, "g", 7)),
    ("no time", "time", entry(nan, "g", 0)),
    ("never", "time", entry(inf, "g", 0)),
    ("next year", "time", entry(3e7, "g", 0)),
    ("before the start", "time", entry(-1.0, "g", 0)),
    ("back", "time", entry(0.25, "g", 0)),
]


@pytest.mark.parametrize(
    ("reason", "data"), [(reason, data) for _, reason, data in BAD], ids=[name for name, _, _ in BAD]
)
def test_what_no_device_could_say_is_passed_over_and_the_first_is_named(reason: str, data: bytes) -> None:
    good: list[tuple[float, Record]] = [(0.5, Lost(0, 1)), (1.5, Gone(0))]
    head = written(good[:1], 0.0)
    recording = Recording(io.BytesIO(head + data + data + written(good[1:], 0.0)[len(written([])) :]), "walk")
    assert list(recording.entries()) == good
    assert recording.bad == {reason: 2}
    assert recording.first_bad.startswith(f"record 2 of walk (at byte {len(head)}) is passed over: it")
    assert recording.torn == ""


def test_a_file_of_nothing_but_bad_records_is_given_up() -> None:
    recording = Recording(io.BytesIO(written([]) + 5000 * entry(nan, "g", 0)), "walk")
    assert list(recording.entries()) == []
    assert recording.torn == "walk is given up at record 1000: 1000 of them cannot be used"


@pytest.mark.parametrize(("source", "words"), [
    (replace(SOURCE, head_offset=(nan, 0.0, 0.0)), "not finite"),
    (replace(SOURCE, turn=(0.0, inf, 0.0)), "not finite"),
    (replace(SOURCE, scale=nan), "scale"),
    (replace(SOURCE, axes="x right"), "axes"),
    (replace(SOURCE, latency_ms=inf), "latency"),
])  # fmt: skip
def test_a_session_whose_calibration_makes_no_sense_is_refused(source: TrackerSource, words: str) -> None:
    out = io.BytesIO()
    Recorder(out, [source], 0.0)
    with pytest.raises(NotASession, match=f"walk: source 0 cannot be calibrated: .*{words}"):
        Recording(io.BytesIO(out.getvalue()), "walk")


def test_what_a_session_cannot_hold_is_refused_before_it_is_written() -> None:
    out = io.BytesIO()
    with pytest.raises(ValueError, match="65535 is the most"):
        Recorder(out, [replace(SOURCE, address="x" * 70_000)], 0.0)
    assert out.getvalue() == b""


@pytest.mark.parametrize(("data", "words"), [
    (b"", "no recorded tracker session"),
    (b"something else entirely", "no recorded tracker session"),
    (MAGIC[:-1] + b"\x02", "version 2"),
    (MAGIC, "nothing of its sources"),
    (MAGIC + b"\0\0\0\0\0\0", "nothing of its sources"),
])  # fmt: skip
def test_a_file_that_is_no_session_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(NotASession, match=words):
        Recording(io.BytesIO(data))
