"""The messages between the parts: one record for each thing that can be said.

How a record becomes ZeroMQ frames is said in ``streamer.wire.header``; the payloads that follow it are named here.
Every hop is pulled: a worker asks for leases (``Ask``), a subscriber for entries (``Credit``).
"""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True, kw_only=False):
    """What all messages share; the subclass's name is the first element on the wire."""


# ---------------------------------------------------------------- both doors


class Hello(Message, frozen=True):
    """The first word of every peer: who is it, and where did it stop?"""

    version: int
    role: str
    """``worker``, ``renderer``, ``archive``, ``relay`` or ``control``."""
    name: str
    epoch: str = ""
    """The epoch of the log that ``next`` belongs to; empty for a newcomer."""
    next: int = 0
    """Subscribers: the number of the next entry wanted."""
    parts: tuple[str, ...] = ()
    """Subscribers: the parts of a chunk wanted, of ``labels seam ids stats footprint``."""
    region: tuple[int, ...] = ()
    """Subscribers: only chunks with a voxel in this box: its start and its stop, (z, y, x) each.  Empty: all.
    On a periodic axis a start that is not below its stop is a box through the seam."""
    level: int = 0
    """Subscribers: from 1 on, ``labels1`` in place of ``labels`` where a chunk has it."""
    batch: int = 0
    """Subscribers: small entries may come together as ``Entries`` of so many bytes; 0: each by itself."""


class Welcome(Message, frozen=True):
    """The answer to Hello; its payload is the run's specification (``encode_spec``)."""

    version: int
    epoch: str
    head: int
    """The number that the next entry of the log will get."""
    largest: int
    """Bytes of the largest message that may come; a subscriber's window must hold it."""


class Refuse(Message, frozen=True):
    """No, and why.  ``chunk`` names the commit that it answers, or is −1."""

    reason: str
    chunk: int = -1


class Pulse(Message, frozen=True):
    """Are you there?  Sent on silence; the other side answers with its own."""

    head: int = 0
    prev: int = -2
    """To a subscriber: the entry that was sent to it last, in the order of the log; −2 if that is not said."""


class Goodbye(Message, frozen=True):
    """The peer leaves by its own will; its leases are free at once."""


# ---------------------------------------------------------------- ingest: worker ↔ streamer


class Ask(Message, frozen=True):
    """The worker is ready to hold ``leases`` leases altogether (a level, not an increment)."""

    leases: int


class Lease(Message, frozen=True):
    """Permission to work on a chunk and to send it."""

    chunk: int
    lease: int
    expires_s: float
    """Seconds from now until it lapses unless the worker beats."""


class Beat(Message, frozen=True):
    """From the thread that works: these leases are still being worked on."""

    leases: tuple[int, ...]


class PartInfo(Message, frozen=True):
    """One payload of a commit: its name, its size and its CRC-32C."""

    name: str
    size: int
    crc: int


class Commit(Message, frozen=True):
    """A finished chunk; one payload for each of ``parts``, in order (see ``streamer.wire.block``)."""

    chunk: int
    lease: int
    parts: tuple[PartInfo, ...]
    own: int
    """Components that have a voxel in the core: labels 1…own."""
    components: int
    """All components of the block: labels own+1…components live in the pad only."""
    stat_rows: int
    footprint_cells: int
    labelled: int
    """Voxels of the core that carry a label."""
    constant: int = -1
    """The one label that fills the core, or −1.  A constant chunk's ``labels`` part is empty."""
    read_s: float = 0.0
    segment_s: float = 0.0


class Ack(Message, frozen=True):
    """The chunk is in the log as entry ``number``; the worker may forget it."""

    chunk: int
    number: int


class Again(Message, frozen=True):
    """The chunk could not be taken when it came, through no fault of its own (a full disk): send it again."""

    chunk: int


class Fail(Message, frozen=True):
    """The segmenter could not do this chunk."""

    chunk: int
    lease: int
    reason: str


class Drain(Message, frozen=True):
    """There is nothing left to do: the run is complete, cancelled or has failed.  The worker ends."""

    reason: str


# ---------------------------------------------------------------- feed: streamer ↔ subscriber


class Credit(Message, frozen=True):
    """Up to these totals, counted from Hello, may be sent.  ``next`` says how far the peer has read."""

    bytes: int
    messages: int
    next: int = 0


class Entry(Message, frozen=True):
    """An entry of the log is on its way; ``prev`` is the number of the entry sent before it, or ``FETCHED``."""

    number: int
    prev: int
    kind: str
    """``chunk``: a Commit header follows as first payload, then the parts asked for.
    ``evicted``: the same of a chunk whose labels and layers have left the log: these payloads are empty.
    ``merges``: one payload, (n, 2) uint64 of (id that speaks, id that is gone).
    ``verdicts``: one payload, (n, 2) uint64 of (id, 1 if kept else 0) of objects that are final.
    ``failed``: the chunk numbers as uint32; why they were given up, as UTF-8.
    ``end``: one payload, the state as UTF-8 (``complete``, ``cancelled``).
    ``gone``: no payload; the log does not hold the entry any more.  Only in answer to Fetch."""


FETCHED = -2
"""``prev`` of an entry that was asked for by its number and stands outside the order."""
MOST_FETCHED = 256
"""Entries that a subscriber may have asked for by number and not been sent yet."""


class Entries(Message, frozen=True):
    """Several small entries in one message (``streamer.wire.batch``): a table and all their payloads in a row."""

    count: int


class AskIndex(Message, frozen=True):
    """What is there now?  Answered by Index.  ``region`` as in Hello."""

    request: int
    region: tuple[int, ...] = ()


class Index(Message, frozen=True):
    """The present state as of ``head`` (``streamer.wire.batch.Present``): all entries before it are in it.

    Payloads: a row for the newest commit of each chunk in the region (chunk u4, number u8, and for each of
    ``parts`` its bytes u4); all merges and all verdicts so far; failed chunks; the run's end, or nothing.
    """

    request: int
    epoch: str
    head: int
    parts: tuple[str, ...]


class Fetch(Message, frozen=True):
    """These entries, in this order, as far as credit goes; payload: their numbers u8, replacing what was asked before.

    They come as entries with ``prev`` = ``FETCHED``, between those that follow.
    """

    count: int
    level: int = 0
    """From 1 on, ``labels1`` in place of ``labels`` where a chunk has it; 0: as Hello says."""


class Focus(Message, frozen=True):
    """Where a view looks, in voxels; chunks near it are worked on first.  A weight of 0: it looks no more."""

    z: float
    y: float
    x: float
    weight: float = 1.0
    view: int = 0
    """Tells the sender's views apart, 0…63."""


# ---------------------------------------------------------------- feed: control plane ↔ streamer


class AskStatus(Message, frozen=True):
    """How does the run stand?  Answered by Status."""

    request: int
    with_chunks: bool = False


class Status(Message, frozen=True):
    """Payloads: a ``RunStatus`` as MessagePack and, if asked for, one byte of state per chunk."""

    request: int


class AskTable(Message, frozen=True):
    """The objects as they are now, the largest first.  Answered by Table."""

    request: int
    limit: int = 1000
    object_id: int = 0
    """If not 0: this object alone, with its life."""
    courses_of: tuple[int, ...] = ()
    """If not empty: the courses of these objects instead, of the first 64 of them."""


class Table(Message, frozen=True):
    """Payload: an ``ObjectPage`` as MessagePack; where courses were asked for, a list of ``Course``."""

    request: int


class AskFigures(Message, frozen=True):
    """The run in figures, for whoever watches over it.  Answered by Figures."""

    request: int


class Figures(Message, frozen=True):
    """Payload: a ``RunFigures`` (``streamer.figures``) as MessagePack."""

    request: int


class Command(Message, frozen=True):
    """``start`` a run that waits, ``pause`` one (no more leases) and let it ``resume``, or ``cancel`` it."""

    what: str


# ---------------------------------------------------------------- feed: archive ↔ streamer ↔ those left behind


class Archived(Message, frozen=True):
    """From the archive, when that has changed: how far the log is safe in its store."""

    number: int
    """All entries before it are in the store, durable, and can be read there."""
    store: str
    """Where the store lies: a path or a URL, at most 400 bytes of UTF-8."""


class Trouble(Message, frozen=True):
    """From the archive: why it stands still, in a sentence; empty when it goes on.  Said again every second."""

    why: str


class Snapshot(Message, frozen=True):
    """After Welcome or Fetch, if the log no longer holds all that was asked for: what is missing, and where it lies."""

    number: int
    """Chunks before this entry come as ``evicted``: without labels and layers."""
    store: str
    """The archive's store, which has them."""


Known = (
    Hello | Welcome | Refuse | Pulse | Goodbye
    | Ask | Lease | Beat | Commit | Ack | Again | Fail | Drain
    | Credit | Entry | AskStatus | Status | AskTable | Table | Command | AskFigures | Figures
    | Archived | Trouble | Snapshot
    | Entries | AskIndex | Index | Fetch | Focus
)  # fmt: skip
