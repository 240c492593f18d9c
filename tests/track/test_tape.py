"""A session is written beside the wall's loop: whatever the disk does, nobody waits for it and no loss is silent."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pytest

from renderers.wall.records import TrackerSource
from renderers.wall.track.record import Recorder, Recording
from renderers.wall.track.sensed import Axis, Record
from renderers.wall.track.tape import Tape

SOURCE = TrackerSource("gamepad", "/dev/input/js0")
PATIENCE_S = 60.0


def stick(count: int) -> list[Record]:
    return [Axis(0, 1, i / (count + 1)) for i in range(count)]


def until(what: object, words: str) -> None:
    assert callable(what)
    for _ in range(int(PATIENCE_S * 1000)):
        if what():
            return
        threading.Event().wait(0.001)
    raise AssertionError(f"in vain: {words}")


def test_what_was_put_is_in_the_file_when_the_tape_is_closed(tmp_path: Path) -> None:
    tape = Tape((tmp_path / "walk").open("xb", buffering=0), [SOURCE], 10.0)
    records = stick(500)
    for number, record in enumerate(records):
        tape.put([record], 10.0 + number)
    tape.close()
    assert (tape.lost, tape.trouble) == (0, "")
    with (tmp_path / "walk").open("rb") as file:
        recording = Recording(file)
        assert list(recording.entries()) == [(float(i), record) for i, record in enumerate(records)]
        assert recording.torn == ""
    tape.put(records, 1000.0)
    assert tape.lost == 500


def test_a_disk_that_stands_still_holds_nobody_up_and_what_is_lost_is_counted() -> None:
    read, write = os.pipe()  # nobody reads: the writer stands still when the pipe is full
    with os.fdopen(read, "rb") as end:
        tape = Tape(os.fdopen(write, "wb", buffering=0), [SOURCE], 0.0, room=1000)
        put = 0
        while not tape.lost:
            tape.put(stick(100), float(put))
            put += 100
            assert put < 100_000
        assert len(tape._waiting) <= 1000
        before = tape.lost
        tape.put(stick(50), float(put))
        assert tape.lost >= before
        tape.close(0.0)  # it does not come back: so long is waited and no longer
        lost = tape.lost
        found = Recording(end)
        kept = list(found.entries())
    assert [at for at, _ in kept] == sorted(at for at, _ in kept)
    # What is in the file and what is counted as lost is all there was; one record was on its way.
    assert put + 50 - 1 <= len(kept) + lost <= put + 50
    until(lambda: not tape._thread.is_alive(), "the thread ends with the pipe")


def test_a_disk_that_refuses_ends_the_recording_and_says_why() -> None:
    read, write = os.pipe()
    tape = Tape(os.fdopen(write, "wb", buffering=0), [SOURCE], 0.0)
    os.close(read)
    tape.put(stick(10), 1.0)
    until(lambda: tape.trouble, "the disk's word")
    assert tape.trouble == "Broken pipe"
    tape.put(stick(5), 2.0)
    assert tape.lost == 15
    tape.close()
    assert tape.lost == 15


def test_a_file_that_takes_a_part_at_a_time_gets_all_of_it_in_the_end() -> None:
    class Slow:
        """Takes seven bytes at once, as a disk may that is nearly full."""

        def __init__(self) -> None:
            self.raw = b""

        def write(self, raw: memoryview) -> int:
            self.raw += bytes(raw[:7])
            return min(7, len(raw))

    slow = Slow()
    recorder = Recorder(slow, [SOURCE], 0.0)  # type: ignore[arg-type]  # it has all that is used
    for number, record in enumerate(stick(3)):
        recorder.write(record, float(number))
    assert [record for _, record in Recording(io.BytesIO(slow.raw)).entries()] == stick(3)


def test_a_tape_that_cannot_begin_leaves_the_file_to_who_opened_it() -> None:
    read, write = os.pipe()
    os.close(read)
    out = os.fdopen(write, "wb", buffering=0)
    with pytest.raises(BrokenPipeError):
        Tape(out, [SOURCE], 0.0)
    assert not out.closed
    out.close()
