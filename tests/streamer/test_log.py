"""The log keeps whole entries, whatever happens to the process, to the disk or to the file."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.log import Log, LogDamaged, LogInUse
from streamer.record import LogFull

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
    with subprocess.Popen([sys.executable, "-c", writer, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        last = -1
        while last < 200:
            last = int(process.stdout.readline())
        process.kill()
        for line in process.stdout:
            last = int(line) if line.endswith(b"\n") else last
    log = Log.open(tmp_path)
    assert log.head > last
    assert all(entry == ("chunk", [bytes(5000)]) for entry in contents(log))
    log.close()
