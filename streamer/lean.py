"""Making a finished segment lean: the same records under the same numbers, without what draws the chunks.

Its chunks have become ``evicted``: labels and layers are empty, what counts is all there.
"""

from __future__ import annotations

import os
from pathlib import Path

from streamer.layout import FILE_SIZE, Found, LogDamaged, pread, read_header, records, sync_folder
from streamer.segment import LEAN, Segment
from streamer.wire.codec import Buffer
from streamer.wire.header import Refused, decode
from streamer.wire.messages import Commit

LASTING = ("seam", "ids", "stats", "footprint")
"""The parts of a chunk that a lean segment keeps: whatever seams, merges and objects follow from."""


def strip(full: Path) -> Segment:
    """Writes the lean segment beside a full one, synced, and returns it.  Raises OSError or LogDamaged.

    May be called from another thread: it shares nothing with who appends, since the segment is finished.
    """
    beside, lean = full.with_suffix(".new"), full.with_suffix(LEAN)
    file = os.open(full, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(file).st_size
        epoch, first = read_header(full, file, size)
        made = Segment.create(beside, epoch, first)
        try:
            for found in records(file, FILE_SIZE, size, first):
                if isinstance(found, str):
                    raise LogDamaged(f"{full}: {found}; it is kept as it is")
                made.append(*_stripped(file, found))
            os.fsync(made.file)
        finally:
            made.close()
        beside.replace(lean)
        sync_folder(full.parent)
        made.path = lean
        return made
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)


def _stripped(file: int, found: Found) -> tuple[str, list[Buffer], list[int]]:
    """A record as a lean segment has it: kind, payloads and their CRCs.  Raises LogDamaged."""
    kept = [True] * len(found.sizes)
    if found.kind == "chunk":
        try:
            commit, _ = decode([pread(file, found.sizes[0], found.payloads_at)])
        except Refused as why:
            raise LogDamaged(f"a chunk's entry without a commit: {why}") from None
        assert isinstance(commit, Commit), "what the streamer has logged as a chunk begins with a commit"
        kept[1:] = [part.name in LASTING for part in commit.parts]
    at, payloads = found.payloads_at, list[Buffer]()
    for size, keep in zip(found.sizes, kept, strict=True):
        payloads.append(pread(file, size, at) if keep else b"")
        at += size
    crcs = [crc if keep else 0 for crc, keep in zip(found.crcs, kept, strict=True)]  # 0 is the CRC-32C of nothing
    return ("evicted" if found.kind == "chunk" else found.kind), payloads, crcs
