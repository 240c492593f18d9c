"""What parts say: bounded in memory and on the disk, and read from both."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streamer.control import said
from streamer.control.said import FILE, MOST, Line, Said, read

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def lines(folder: Path | None) -> Said:
    return Said(folder, lambda: AT)


def test_the_newest_lines_of_a_part_are_told() -> None:
    one = lines(None)
    for number in range(MOST + 5):
        one.add("worker-1" if number % 2 else "streamer", "info", str(number))
    assert len(one.tail(10 * MOST)) == MOST
    assert one.tail(1) == [Line("2026-01-02T03:04:05.000+00:00", "streamer", "info", str(MOST + 4))]
    assert [line.text for line in one.tail(2, "worker-1")] == [str(MOST + 1), str(MOST + 3)]
    assert one.tail(5, "nobody") == []
    one.close()


def test_what_is_written_is_read_again_across_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(said, "LARGEST", 1000)
    one = lines(tmp_path)
    for number in range(40):
        one.add("p", "info", str(number))
        one.close()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [FILE, f"{FILE}.1"]
    assert all(path.stat().st_size < 1200 for path in tmp_path.iterdir())
    found = [int(line.text) for line in read(tmp_path, 1000)]
    assert found == list(range(found[0], 40))
    assert len(found) > 10
    assert [line.text for line in read(tmp_path, 2)] == ["38", "39"]
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"time": "half a li')
    assert [line.text for line in read(tmp_path, 1)] == ["39"]


def test_lines_that_come_faster_than_they_are_written_are_counted(tmp_path: Path) -> None:
    one = lines(tmp_path)
    for number in range(MOST + 7):
        one.add("p", "info", str(number))
    one.close()
    assert read(tmp_path, 1)[0].text == "7 lines came faster than they could be written"


def test_a_folder_that_is_gone_is_said_and_stops_nobody(tmp_path: Path) -> None:
    one = lines(tmp_path / "gone")
    one.add("p", "info", "x")
    one._write(one._taken())
    assert "cannot be written" in one.trouble
    assert [line.text for line in one.tail(9)] == ["x"]
    one.close()
    assert one.tail(9) == [], "of a run that is over nothing is kept in memory"


def test_lines_are_written_while_others_come(tmp_path: Path) -> None:
    async def some() -> None:
        one = lines(tmp_path)
        keeping = asyncio.create_task(one.keep())
        one.add("p", "info", "x")
        async with asyncio.timeout(20):
            while not read(tmp_path, 1):  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0)
        keeping.cancel()

    asyncio.run(some())
