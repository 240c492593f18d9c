"""Several small entries in one message, and the present state in one answer: tables of fixed little-endian rows.

An entry of a kilobyte costs a wake-up and a system call at each hop if it travels alone; together they cost
one.  What a table says is compared with the bytes that came before anything is cut out of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.wire.codec import Buffer
from streamer.wire.header import MAX_PAYLOADS, Refused
from streamer.wire.messages import Entries, Entry, Index, Message

BATCH_BYTES = 256 << 10
"""The most bytes of payloads in a batch."""
BATCH_ENTRIES = 256
KINDS = ("", "chunk", "merges", "verdicts", "failed", "end", "gone", "evicted")
"""A kind's number in a table is its place here."""

_ROW = struct.Struct("<QqBBHI")
_SIZES = [struct.Struct(f"<{parts}I") for parts in range(MAX_PAYLOADS + 1)]


class Sent(NamedTuple):
    """An entry with its payloads."""

    entry: Entry
    payloads: Sequence[Buffer]
    nbytes: int
    """Of all payloads."""


def pack_entries(batch: Sequence[Sent]) -> tuple[Entries, list[bytes]]:
    """One message for some entries, which must be within the bounds of a batch."""
    table = []
    for entry, payloads, _ in batch:
        table.append(_ROW.pack(entry.number, entry.prev, KINDS.index(entry.kind), len(payloads), 0, 0))
        table.append(_SIZES[len(payloads)].pack(*map(len, payloads)))
    return Entries(len(batch)), [b"".join(table), b"".join(raw for sent in batch for raw in sent.payloads)]


def entries_of(message: Message | None, payloads: Sequence[Buffer]) -> list[Sent]:
    """The entries that a message carries: one, several, or none.  Raises Refused if a batch contradicts itself."""
    if isinstance(message, Entry):
        return [Sent(message, payloads, sum(len(raw) for raw in payloads))]
    if isinstance(message, Entries):
        return list(_unpacked(message, payloads))
    return []


def _unpacked(message: Entries, payloads: Sequence[Buffer]) -> Iterator[Sent]:
    if len(payloads) != 2 or not 0 <= message.count <= BATCH_ENTRIES or len(payloads[1]) > BATCH_BYTES:
        raise Refused(f"a batch of {message.count} entries in {len(payloads)} payloads")
    table, bodies = memoryview(payloads[0]), memoryview(payloads[1])
    at = start = 0
    for _ in range(message.count):
        if len(table) < at + _ROW.size:
            raise Refused(f"a batch whose table of {len(table)} bytes ends early")
        number, prev, kind, parts, _, _ = _ROW.unpack_from(table, at)
        at += _ROW.size
        if not 0 < kind < len(KINDS) or parts > MAX_PAYLOADS or len(table) < at + 4 * parts:
            raise Refused(f"a batch with an entry of kind {kind} in {parts} payloads")
        sizes = _SIZES[parts].unpack_from(table, at)
        at += 4 * parts
        if start + sum(sizes) > len(bodies):
            raise Refused(f"a batch of {len(bodies)} bytes whose entries take more")
        found = []
        begin = start
        for size in sizes:
            found.append(bodies[start : start + size])
            start += size
        yield Sent(Entry(number, prev, KINDS[kind]), found, start - begin)
    if at != len(table) or start != len(bodies):
        raise Refused("a batch with bytes that belong to no entry")


class Present(NamedTuple):
    """The present state of a run, as of a position in its log."""

    epoch: str
    head: int
    chunks: NDArray[np.uint32]
    numbers: NDArray[np.uint64]
    """The newest commit of each chunk."""
    sizes: NDArray[np.uint32]
    """(n, parts)"""
    parts: tuple[str, ...]
    merges: NDArray[np.uint64]
    """(n, 2): id that speaks, id that is gone"""
    verdicts: NDArray[np.uint64]
    """(n, 2): id, 1 if it is kept else 0"""
    failed: NDArray[np.uint32]
    end: str


def _row_of(parts: int) -> np.dtype[np.void]:
    return np.dtype([("chunk", "<u4"), ("number", "<u8"), ("sizes", "<u4", (parts,))])


def pack_present(request: int, present: Present) -> tuple[Index, list[bytes]]:
    """The answer to AskIndex."""
    rows = np.empty(len(present.chunks), _row_of(len(present.parts)))
    rows["chunk"], rows["number"], rows["sizes"] = present.chunks, present.numbers, present.sizes
    return Index(request, present.epoch, present.head, present.parts), [
        rows.tobytes(),
        present.merges.astype("<u8", copy=False).tobytes(),
        present.verdicts.astype("<u8", copy=False).tobytes(),
        present.failed.astype("<u4", copy=False).tobytes(),
        present.end.encode(),
    ]


def unpack_present(message: Index, payloads: Sequence[Buffer]) -> Present:
    """The present state from the answer.  Raises Refused if the payloads are not whole."""
    if len(payloads) != 5 or len(message.parts) > MAX_PAYLOADS:
        raise Refused(f"an index of {len(payloads)} payloads; it has 5")
    row = _row_of(len(message.parts))
    for raw, size in zip(payloads, (row.itemsize, 16, 16, 4, 1), strict=True):
        if len(raw) % size:
            raise Refused(f"an index with {len(raw)} bytes where rows have {size}")
    rows = np.frombuffer(payloads[0], row)
    return Present(
        message.epoch,
        message.head,
        rows["chunk"],
        rows["number"],
        rows["sizes"],
        message.parts,
        np.frombuffer(payloads[1], "<u8").reshape(-1, 2),
        np.frombuffer(payloads[2], "<u8").reshape(-1, 2),
        np.frombuffer(payloads[3], "<u4"),
        bytes(payloads[4]).decode("utf-8", "replace"),
    )
