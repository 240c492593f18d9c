"""``docs/protocol.md`` names every message with its fields, every kind of entry and the log's real sizes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streamer import layout
from streamer.wire.block import EXTRA, PARTS
from streamer.wire.messages import Known, PartInfo

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


@pytest.mark.parametrize("message", [*Known.__args__, PartInfo], ids=lambda kind: kind.__name__)
def test_a_message_is_described_with_all_its_fields_in_order(message: type[msgspec.Struct]) -> None:
    rows = [line for line in PAGE.splitlines() if message.__name__ in line and "|" in line]
    assert rows, message.__name__
    names = message.__struct_fields__
    found = [[row.find(name) for name in names] for row in rows]
    assert any(-1 not in places and places == sorted(places) for places in found), names


def test_the_kinds_of_entries_and_the_parts_are_described() -> None:
    for name in (*layout.KINDS[1:], *PARTS, *EXTRA):
        assert f"| `{name}` |" in PAGE, name


def test_the_sizes_of_the_log_are_those_of_the_page() -> None:
    assert (layout.FILE_SIZE, layout.HEAD.size, layout.PART.size) == (64, 4 + 4 + 8 + 4 + 1 + 1 + 2, 8)
    assert "size of this header (64)" in PAGE
    assert all(f"{number} {kind}" in PAGE for number, kind in enumerate(layout.KINDS) if kind)
