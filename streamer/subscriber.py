"""One subscriber, as the feed keeps it: where it stands, what it wants, and what it asked for by number.

Nothing of this waits for anybody: it is a cursor and a few wishes, whose size is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from streamer.cursor import Cursor
from streamer.index import Index, Region
from streamer.status import Rate
from streamer.wire.batch import BATCH_BYTES
from streamer.wire.block import EXTRA, PARTS
from streamer.wire.header import MAX_NAME, Refused
from streamer.wire.messages import Hello


@dataclass(slots=True)
class Subscriber:
    """A peer that reads the log."""

    name: str
    role: str
    places: tuple[int, ...]
    """Which payloads of a chunk's entry it wants: places in it, the commit's header (0) among them."""
    coarse: tuple[int, ...]
    """The same at level 1."""
    region: Region | None
    batch: int
    heard: float
    rate: Rate
    cursor: Cursor = field(default_factory=lambda: Cursor(0))
    wanted: deque[int] = field(default_factory=deque)
    """Entries that it has asked for by number, at most MOST_FETCHED."""
    fetch_coarse: bool = False
    """Whether they are wanted at level 1."""
    before: tuple[Cursor, int] = (Cursor(0), -1)
    """Its cursor before the message that was sent last, and what that one fetched."""
    fetch_needs: int = 0
    """Bytes of the entry to be fetched next, if there was no room for it."""
    fetch_next: bool = True
    """Whether what was fetched or what is followed is served next, if there is both."""
    retry: float = 0.0
    """Its pipe was full: not to be tried before."""
    told: bool = False
    """It has been told that its window is too small."""

    @classmethod
    def of(cls, hello: Hello, index: Index, now: float) -> Subscriber:
        """Whoever says this.  Raises Refused if it asks for what there is not."""
        unknown = set(hello.parts) - {*PARTS, *EXTRA}
        if unknown:
            there = ", ".join(PARTS + EXTRA)
            raise Refused(f"a chunk has no part {sorted(unknown)[0][:MAX_NAME]!r}; there are {there}")
        return cls(
            name=hello.name[:MAX_NAME],
            role=hello.role[:MAX_NAME],
            places=(0, *(1 + place for place in _places(hello, index.parts, hello.level))),
            coarse=(0, *(1 + place for place in _places(hello, index.parts, 1))),
            region=Region(index.grid, hello.region) if hello.region else None,
            batch=max(0, min(hello.batch, BATCH_BYTES)),
            heard=now,
            rate=Rate(now),
        )


def _places(hello: Hello, parts: tuple[str, ...], level: int) -> Iterator[int]:
    """Where the parts that a subscriber wants are among those of a chunk, in the order of a chunk's parts."""
    for place, part in enumerate(parts):
        if part not in hello.parts:
            continue
        yield parts.index("labels1") if part == "labels" and level > 0 and "labels1" in parts else place
