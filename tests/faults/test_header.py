"""Each bit of a commit's header, turned on its way: no CRC covers it, and what would count is refused for sense."""

from __future__ import annotations

import pytest

from streamer.wire.header import Refused, decode, encode
from streamer.wire.messages import Commit, Refuse
from tests.streamer.runs import MemoryLog, hub_of, made, of, spec_of, under, worker_hello

SPEC = spec_of((12, 9, 9), (4, 3, 3))
HARMLESS = {"lease", "read_s", "segment_s", "components"}
"""Who held the chunk is known anyhow; times are shown only; of labels in the pad there may be fewer than announced."""


@pytest.mark.parametrize("chunk", [3, 20])
def test_a_bit_that_turns_in_a_commits_header_is_refused_or_changes_nothing_that_counts(chunk: int) -> None:
    commit, payloads = under(made(SPEC)[chunk], 1)
    raw, taken = encode(commit), 0
    for bit in range(8 * len(raw)):
        spoiled = bytearray(raw)
        spoiled[bit // 8] ^= 1 << bit % 8
        try:
            message, _ = decode([bytes(spoiled)])
        except Refused:
            continue
        if not isinstance(message, Commit):
            continue
        log = MemoryLog()
        hub = hub_of(SPEC, log)
        hub.ingest(b"w", worker_hello(), [], 0.0)
        sends = hub.ingest(b"w", message, payloads, 0.0)
        assert bool(of(Refuse, sends)) != bool(log.head)
        if log.head:
            taken += 1
            changed = {name for name in commit.__struct_fields__ if getattr(message, name) != getattr(commit, name)}
            assert changed <= HARMLESS, f"bit {bit} of byte {bit // 8}: {message}"
    assert taken > 100
