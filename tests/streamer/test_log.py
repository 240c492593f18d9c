"""The log keeps whole entries, whatever happens to the process, to the disk or to the file."""

from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.layout import FILE_SIZE, HEAD
from streamer.log import OPEN_FILES, Log, LogDamaged, LogInUse
from streamer.recent import RECENT_BYTES, Recent
from streamer.record import LogFull
from tests.ending import ending, lines_within

NO_ROOM = OSError(errno.ENOSPC, "No space left on device")
ENTRIES = [("chunk", [b"head", b"", b"labels" * 50]), ("merges", [bytes(32)]), ("end", [b"complete"])]


def fill(folder: Path, entries: list[tuple[str, list[bytes]]]) -> str:
    log = Log.open(folder)
    for kind, payloads in entries:
        log.append(kind, payloads)
    log.close()
    return log.epoch


def contents(log: Log) -> list[tuple[str, list[bytes]]]:
    found = []
    for number in range(log.head):
        kind, payloads = log.read(number)
        found.append((kind, [bytes(raw) for raw in payloads]))
    return found


def segment(folder: Path) -> Path:
    (path,) = folder.glob("*.log")
    return path


def test_entries_come_back_after_the_log_is_opened_again(tmp_path: Path) -> None:
    epoch = fill(tmp_path / "log", ENTRIES)
    log = Log.open(tmp_path / "log")
    assert contents(log) == ENTRIES
    assert (log.epoch, log.head, log.largest(), log.cut) == (epoch, 3, 304, "")
    assert log.append("end", [b"again"]) == 3
    assert contents(log)[3] == ("end", [b"again"])
    assert log.nbytes == segment(tmp_path / "log").stat().st_size
    log.close()


def test_an_entry_that_is_not_there_is_an_index_error(tmp_path: Path) -> None:
    log = Log.open(tmp_path)
    for number in (-1, 0):
        with pytest.raises(IndexError, match="has entries"):
            log.read(number)
    log.close()


def test_a_second_writer_is_told_in_one_sentence(tmp_path: Path) -> None:
    log = Log.open(tmp_path)
    with pytest.raises(LogInUse, match="another streamer"):
        Log.open(tmp_path)
    log.close()
    Log.open(tmp_path).close()


@given(st.data())
@settings(max_examples=60)
def test_a_log_that_ends_anywhere_keeps_its_whole_entries_and_its_epoch(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    epoch = fill(folder, ENTRIES)
    raw = segment(folder).read_bytes()
    ends = [64]
    for _, payloads in ENTRIES:
        ends.append(ends[-1] + 24 + 8 * len(payloads) + sum(map(len, payloads)))
    assert ends[-1] == len(raw), "the format in docs/protocol.md"
    at = data.draw(st.integers(64, len(raw)))
    segment(folder).write_bytes(raw[:at])
    log = Log.open(folder)
    whole = sum(end <= at for end in ends[1:])
    assert contents(log) == ENTRIES[:whole]
    assert log.epoch == epoch, "readers may have seen nothing of a record that was never finished"
    assert bool(log.cut) == (at not in ends)
    log.append("end", [b"x"])
    log.close()
    log = Log.open(folder)
    assert contents(log) == [*ENTRIES[:whole], ("end", [b"x"])]
    log.close()


@given(st.data())
@settings(max_examples=60)
def test_a_flipped_bit_cuts_the_log_there_and_begins_a_new_epoch(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    epoch = fill(folder, ENTRIES)
    raw = bytearray(segment(folder).read_bytes())
    at = data.draw(st.integers(64, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    segment(folder).write_bytes(raw)
    log = Log.open(folder)
    assert contents(log) == ENTRIES[: log.head]
    assert log.head < len(ENTRIES)
    assert log.epoch != epoch, "readers may have seen what is gone"
    assert "computed again" in log.cut
    again = log.epoch
    log.close()
    log = Log.open(folder)
    assert (log.epoch, log.cut) == (again, "")
    log.close()


@pytest.mark.parametrize(
    ("number", "said"), [(0, ""), (1, r"entry 1 \(merges\) has been damaged"), (2, r"entry 2 \(end\)")]
)
def test_a_byte_that_is_damaged_under_an_open_log_is_not_believed(tmp_path: Path, number: int, said: str) -> None:
    fill(tmp_path, ENTRIES)
    log = Log.open(tmp_path)
    start, stop = log._segments[0].place(number)
    raw = bytearray(segment(tmp_path).read_bytes())
    raw[stop - 1] ^= 1
    with segment(tmp_path).open("r+b") as file:
        file.write(raw)
    assert stop > start
    if said:
        with pytest.raises(LogDamaged, match=said):
            log.read(number)
    else:
        log.read(number)  # a chunk's header says what its parts must be, and who reads it looks
    log.close()
    log = Log.open(tmp_path)
    assert contents(log) == ENTRIES[:number]
    assert log.cut
    log.close()


@pytest.mark.parametrize("at", [0, 8, 20, 21, HEAD.size, HEAD.size + 4, HEAD.size + 3 * 8])
def test_a_head_that_is_damaged_under_an_open_log_is_not_believed(tmp_path: Path, at: int) -> None:
    fill(tmp_path, ENTRIES)
    log = Log.open(tmp_path)
    raw = bytearray(segment(tmp_path).read_bytes())
    raw[FILE_SIZE + at] ^= 3  # of the kind, for one: a chunk would become a verdict
    with segment(tmp_path).open("r+b") as file:
        file.write(raw)
    with pytest.raises(LogDamaged, match="start again, which cuts the log there"):
        log.read(0)
    log.close()


def test_a_copy_that_is_left_while_it_is_emptied_can_be_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = in_segments(tmp_path)
    log.close()
    log = Log.open(tmp_path, SMALL, copy=True)
    unlink, left = Path.unlink, [2]

    def dying(path: Path, missing_ok: bool = False) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as here:
        here.setattr(Path, "unlink", dying)
        with pytest.raises(KeyboardInterrupt):
            log.copy_of("ab" * 16)
    log.close()
    again = Log.open(tmp_path, SMALL, copy=True)
    assert contents(again) == MANY[: again.head]
    assert 0 < again.head < len(MANY)
    again.copy_of("ab" * 16)
    assert (again.head, again.epoch) == (0, "ab" * 16)
    again.close()


def test_a_million_small_entries_do_not_stay_in_memory() -> None:
    recent = Recent()
    for number in range(RECENT_BYTES >> 9):
        recent.keep(number, ("merges", [memoryview(bytes(16))]))
    found = [number for number in range(RECENT_BYTES >> 9) if recent.get(number)]
    assert found[-1] == (RECENT_BYTES >> 9) - 1
    assert 1000 < len(found) < RECENT_BYTES >> 10


def test_a_file_that_is_no_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / f"{0:020}.log"
    for raw, why in ((b"x" * 100, "not a log"), (b"CaveLog\n\x02\x00" + bytes(90), "header")):
        path.write_bytes(raw)
        with pytest.raises(LogDamaged, match=why):
            Log.open(tmp_path)
        assert path.read_bytes() == raw
    path.write_bytes(b"CaveLog\n\x09\x00" + bytes(90))
    with pytest.raises(LogDamaged, match="update CaveCast"):
        Log.open(tmp_path)


def test_an_entry_for_which_there_is_no_room_leaves_no_trace(tmp_path: Path) -> None:
    log = Log.open(tmp_path)
    log.append("chunk", [b"a" * 1000])
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = log.nbytes
    try:
        # The kernel writes what fits and refuses the rest, as a full disk does.
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 500, before[1]))
        with pytest.raises(LogFull, match="goes on when there is room"):
            log.append("chunk", [b"b" * 300, b"c" * 700])
        assert (log.head, log.nbytes, segment(tmp_path).stat().st_size) == (1, size, size)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert log.append("chunk", [b"b" * 300, b"c" * 700]) == 1
    assert contents(log)[1] == ("chunk", [b"b" * 300, b"c" * 700])
    log.close()


def test_what_append_returned_for_survives_the_kill_of_its_process(tmp_path: Path) -> None:
    writer = (
        "import sys\nfrom pathlib import Path\nfrom streamer.log import Log\n"
        "log = Log.open(Path(sys.argv[1]))\n"
        "while True:\n    print(log.append('chunk', [bytes(5000)]), flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", writer, str(tmp_path)], stdout=subprocess.PIPE)
    with ending(process, signal.SIGKILL):
        said = lines_within(process.stdout)
        last = next(number for line in said if (number := int(line)) >= 200)
        process.kill()
        for line in said:
            last = int(line) if line.endswith(b"\n") else last
    log = Log.open(tmp_path)
    assert log.head > last
    assert all(entry == ("chunk", [bytes(5000)]) for entry in contents(log))
    log.close()


MANY = [("chunk", [b"head %d" % n, bytes([n]) * 300]) for n in range(12)]
SMALL = 700
"""Bytes of a segment: two entries go into it, and a third begins the next."""


def in_segments(folder: Path) -> Log:
    log = Log.open(folder, SMALL)
    for kind, payloads in MANY:
        log.append(kind, payloads)
    assert len(log.pieces) > 3
    return log


def test_the_log_goes_on_in_a_new_segment_and_comes_back_whole(tmp_path: Path) -> None:
    log = in_segments(tmp_path)
    firsts = [piece.first for piece in log.pieces]
    assert sorted(int(path.stem) for path in tmp_path.glob("*.log")) == firsts
    assert contents(log) == MANY
    assert log.nbytes == sum(path.stat().st_size for path in tmp_path.glob("*.log"))
    epoch = log.epoch
    log.close()
    log = Log.open(tmp_path, SMALL)
    assert (contents(log), log.epoch, log.cut, [piece.first for piece in log.pieces]) == (MANY, epoch, "", firsts)
    log.append("end", [b"complete"])
    assert contents(log) == [*MANY, ("end", [b"complete"])]
    log.close()


@given(st.data())
@settings(max_examples=60)
def test_a_flipped_bit_in_any_segment_cuts_the_log_there(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    log = in_segments(folder)
    epoch = log.epoch
    log.close()
    path = data.draw(st.sampled_from(sorted(folder.glob("*.log"))))
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0 if int(path.stem) else 64, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    log = Log.open(folder, SMALL)
    assert contents(log) == MANY[: log.head]
    assert int(path.stem) <= log.head < len(MANY) or at < 64
    assert log.epoch != epoch
    assert "computed again" in log.cut
    for kind, payloads in MANY[log.head :]:
        log.append(kind, payloads)
    again = log.epoch
    log.close()
    log = Log.open(folder, SMALL)
    assert (contents(log), log.epoch, log.cut) == (MANY, again, "")
    log.close()


def test_a_segment_that_is_missing_cuts_the_log_there(tmp_path: Path) -> None:
    log = in_segments(tmp_path)
    epoch, piece = log.epoch, log.pieces[2]
    log.close()
    (tmp_path / f"{piece.first:020}.log").unlink()
    log = Log.open(tmp_path, SMALL)
    assert (log.head, log.epoch != epoch) == (piece.first, True)
    assert f"entries {piece.first} to {piece.stop - 1} are missing" in log.cut
    log.close()


@pytest.mark.parametrize("size", [0, 17])
def test_a_segment_that_was_only_just_begun_is_an_empty_one(tmp_path: Path, size: int) -> None:
    log = in_segments(tmp_path)
    epoch = log.epoch
    log.close()
    (tmp_path / f"{len(MANY):020}.log").write_bytes(b"CaveLog\n\x02\x00" + bytes(7) if size else b"")
    log = Log.open(tmp_path, SMALL)
    assert (contents(log), log.epoch, log.cut) == (MANY, epoch, "")
    log.append("end", [b"x"])
    log.close()
    log = Log.open(tmp_path, SMALL)
    assert (contents(log)[-1], log.epoch, log.cut) == (("end", [b"x"]), epoch, "")
    log.close()


@pytest.mark.parametrize(("left", "same"), [(b"another start of the machine", False), (b"closed", True)])
def test_a_log_that_was_open_when_the_machine_was_started_again_begins_a_new_epoch(
    tmp_path: Path, left: bytes, same: bool
) -> None:
    epoch = fill(tmp_path, ENTRIES)
    (tmp_path / "lock").write_bytes(left)
    log = Log.open(tmp_path)
    assert contents(log) == ENTRIES
    assert (log.epoch == epoch) is same
    log.close()


def test_a_log_whose_process_was_killed_keeps_its_epoch(tmp_path: Path) -> None:
    log = Log.open(tmp_path)
    log.append("end", [b"x"])
    mark = (tmp_path / "lock").read_bytes()
    log.close()
    (tmp_path / "lock").write_bytes(mark)
    again = Log.open(tmp_path)
    assert again.epoch == log.epoch
    again.close()


def test_no_room_for_a_new_segment_is_no_room_for_the_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = in_segments(tmp_path)
    while log.pieces[-1].nbytes < SMALL:
        log.append("end", [b"x" * 100])
    head, files = log.head, sorted(tmp_path.iterdir())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("streamer.segment.pwrite", full)
        with pytest.raises(LogFull, match="goes on when there is room"):
            log.append("end", [b"y"])
    assert (log.head, sorted(tmp_path.iterdir())) == (head, files)
    assert log.append("end", [b"y"]) == head
    assert contents(log)[head] == ("end", [b"y"])
    log.close()


def test_a_new_segments_name_is_flushed_with_its_first_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = in_segments(tmp_path)
    flushed(log)
    synced: list[Path] = []
    monkeypatch.setattr("streamer.flush.sync_folder", synced.append)
    segments = len(log.pieces)
    while len(log.pieces) == segments:
        log.append("end", [b"x" * 100])
    assert synced == [], "whoever appends does not wait for the disk"
    log.flush()()
    assert synced == [tmp_path]
    log.flush()()
    assert synced == [tmp_path] * 2, "the first one may have failed"
    flushed(log)
    synced.pop()
    log.append("end", [b"y"])
    log.flush()()
    assert synced == [tmp_path] * 2
    log.close()


def test_room_is_taken_ahead_and_given_back(tmp_path: Path) -> None:
    log = Log.open(tmp_path, 1 << 22)
    for _ in range(3):
        log.append("end", [bytes(1 << 20)])
    path = segment(tmp_path)
    assert path.stat().st_size == log.nbytes, "the file's size is that of its entries"
    log.close()
    assert path.stat().st_blocks * 512 < log.nbytes + (1 << 16)


def test_after_a_flush_that_failed_all_is_copied_into_new_files(tmp_path: Path) -> None:
    log = in_segments(tmp_path)
    flushed(log, 3)
    before = {path: path.stat().st_ino for path in sorted(tmp_path.glob("*.log"))}
    assert log.flushed(log.flush(), NO_ROOM) == "No space left on device"
    flush = log.flush()
    flush()
    log.append("end", [b"came meanwhile"])
    assert log.flushed(flush, None) == ""
    assert contents(log) == [*MANY, ("end", [b"came meanwhile"])]
    after = {path: path.stat().st_ino for path in before}
    safe = sum(piece.stop <= 3 for piece in log.pieces)
    assert [before[path] == after[path] for path in before] == [n < safe for n in range(len(before))]
    assert not list(tmp_path.glob("*.new"))
    log.append("end", [b"x" * 50])
    path = tmp_path / f"{log.pieces[-1].first:020}.log"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    log.flushed(log.flush(), NO_ROOM)
    with pytest.raises(OSError, match="lost what was written"):
        log.flush()()
    assert not list(tmp_path.glob("*.new"))
    log.close()


def flushed(log: Log, upto: int | None = None) -> None:
    """Makes the log durable."""
    flush = log.flush(upto)
    flush()
    assert log.flushed(flush, None) == ""


def test_a_log_of_more_segments_than_files_may_be_open_is_read_throughout(tmp_path: Path) -> None:
    log = Log.open(tmp_path, 200)
    entries = [("chunk", [bytes([n]) * 200]) for n in range(2 * OPEN_FILES)]
    for kind, payloads in entries:
        log.append(kind, payloads)
    assert len(log.pieces) == len(entries)
    for _ in range(2):
        assert contents(log) == entries
        # Files of the log, and nothing else of this process, lie in its folder.
        opened = [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
        assert sum(path.parent == tmp_path for path in opened) <= OPEN_FILES + 2
        log.close()
        log = Log.open(tmp_path, 200)
    log.close()


def test_a_log_of_more_segments_than_files_may_be_open_is_closed_in_order(tmp_path: Path) -> None:
    log = Log.open(tmp_path, 100)
    for _ in range(3 * OPEN_FILES):
        log.append("merges", [bytes(128)])
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(int(file.name) for file in Path("/proc/self/fd").iterdir()) + OPEN_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        log.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert (tmp_path / "lock").read_bytes() == b"closed"
