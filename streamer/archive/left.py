"""What an archive of another log of the same run has left in a store, and what of it must stay.

A log gets a new epoch when its tail was lost, and its store is then written anew from the first entry.  But
labels that had left the log are in that store alone: these chunks stay, and their checksums say that they are
the ones.  They are the oldest of the log, so it is decided with the first chunk that still has its labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from streamer.archive.place import ArchiveError
from streamer.archive.shards import Shards
from streamer.wire.codec import crc32c

Told = Mapping[int, Mapping[str, int]]
"""By chunk: the CRC-32C of its bytes in some of the arrays."""


class Files(Protocol):
    """The shards of a store."""

    shards: Shards

    @property
    def label(self) -> str: ...
    def shard(self, array: str, shard: int) -> list[bytes | None]: ...


def check_cut(label: str, left: tuple[int, ...], shards: Shards) -> None:
    """Raises ArchiveError if chunks cannot stay where they are, because the shards are to be others."""
    if left != shards.shape:
        raise ArchiveError(
            f"{label} alone has labels that have left the log, and its shards are others than these: start the "
            f"archive with --shard {','.join(map(str, left))}",
            2,
        )


def remains(store: Files, arrays: tuple[str, ...], told: Told) -> Iterator[tuple[str, int, list[bytes | None]]]:
    """The shards that hold more than the chunks that were told of: array, number, and what they shall hold.

    Raises ArchiveError if one of these chunks is not what was told.
    """
    for shard in range(store.shards.size):
        members = [member for member in store.shards.members(shard) if member.chunk in told]
        for array in arrays:
            parts = store.shard(array, shard)
            kept: list[bytes | None] = [None] * len(parts)
            for chunk, place in members:
                kept[place] = raw = parts[place]
                if array in told[chunk] and crc32c(raw or b"") != told[chunk][array]:
                    raise ArchiveError(
                        f"chunk {chunk} of {store.label}/{array} is not the one that has left the log: archive into "
                        "the store that was archived before"
                    )
            if kept != parts:
                yield array, shard, kept
