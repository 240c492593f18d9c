"""The messages between the parts, and how they become ZeroMQ frames.

A message is ``[header][payload …]``.  The header is one record as MessagePack: an array that starts
with the record's name and the protocol's version, at most 512 bytes.  Payloads are untouched bytes.
A reader skips fields and names that it does not know, and refuses a newer major version in words.

Every hop is pulled: a worker asks for leases (``Ask``), a subscriber for entries (``Credit``).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

VERSION = 1
"""The major version of the protocol.  A peer that speaks a newer one is refused."""
MAX_HEADER = 512
MAX_PAYLOADS = 9
"""A chunk's entry: the commit's header, five parts, three layers."""
MAX_PAYLOAD_BYTES = 1 << 30
MAX_NAME = 64
MAX_REASON = 400
"""Bytes of a reason: what is left of a header when the record's other fields have had theirs."""


class Refused(ValueError):
    """Bytes that are not a message: what is wrong with them, in a sentence."""


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


class Table(Message, frozen=True):
    """Payload: an ``ObjectPage`` as MessagePack."""

    request: int


class AskFigures(Message, frozen=True):
    """The run in figures, for whoever watches over it.  Answered by Figures."""

    request: int


class Figures(Message, frozen=True):
    """Payload: a ``RunFigures`` (``streamer.figures``) as MessagePack."""

    request: int


class Command(Message, frozen=True):
    """``start`` a run that waits, or ``cancel`` one."""

    what: str


# ---------------------------------------------------------------- feed: archive ↔ streamer ↔ those left behind


class Archived(Message, frozen=True):
    """From the archive, when that has changed: how far the log is safe in its store."""

    number: int
    """All entries before it are in the store, durable, and can be read there."""
    store: str
    """Where the store lies: a path or a URL, at most 400 bytes of UTF-8."""


class Snapshot(Message, frozen=True):
    """After Welcome, if the log no longer holds all that was asked for: what is missing, and where it lies."""

    number: int
    """Chunks before this entry come as ``evicted``: without labels and layers."""
    store: str
    """The archive's store, which has them."""


PENDING, LEASED, COMMITTED, FAILED = range(4)
"""The states of a chunk, as the bytes of Status and the values of the store's ``chunk_state``."""


class Part(msgspec.Struct, frozen=True):
    """A process that takes part in the run, as the streamer sees it."""

    name: str
    role: str
    done: int
    """Workers: chunks committed.  Subscribers: the number of the next entry it has not read."""
    total: int
    """Workers: leases held.  Subscribers: the head of the log."""
    rate_per_s: float = 0.0
    eta_s: float | None = None


class RunStatus(msgspec.Struct, frozen=True):
    """How a run stands."""

    run_id: str
    state: str
    """``waiting`` for its start, ``running``, ``complete`` or ``cancelled``."""
    chunks: int
    committed: int
    leased: int
    failed: int
    voxels: int
    voxels_done: int
    labelled_voxels: int
    objects: int
    """Objects that are kept or not yet judged."""
    seconds: float
    """Since the start; stands still once the run has ended."""
    voxels_per_second: float
    eta_s: float | None
    log_position: int
    log_bytes: int
    parts: tuple[Part, ...] = ()
    failures: dict[int, str] = {}
    """The first hundred failed chunks, and why."""
    note: str = ""
    """What the run waits for, in a sentence (a full disk); empty if all is well."""


class LifeStep(msgspec.Struct, frozen=True):
    """One step along axis 0 in the life of an object."""

    step: int
    voxels: int
    area_km2: float | None
    mean: float
    max: float
    y: float
    """Centroid, in axis 1's units (degrees north on the sphere)."""
    x: float


class ObjectRow(msgspec.Struct, frozen=True):
    """An object and its totals.  Units: the volume's, km², hours."""

    id: int
    first_step: int
    last_step: int
    lifetime_h: float | None
    voxels: int
    mean: float
    max: float
    footprint_km2: float | None
    area_time_km2_h: float | None
    y: float
    x: float
    y_range: tuple[int, int]
    """First and last voxel along axis 1."""
    x_range: tuple[int, int]
    """First and last voxel along axis 2; first > last where the object crosses a periodic seam."""
    touches_edge: bool
    """Whether it reaches an end where the volume was cut off, so that it may go on beyond."""
    final: bool
    """Whether no pending chunk can touch it any more."""


class ObjectPage(msgspec.Struct, frozen=True):
    """Some of the objects, and how many there are."""

    total: int
    objects: tuple[ObjectRow, ...]
    life: tuple[LifeStep, ...] = ()


Known = (
    Hello | Welcome | Refuse | Pulse | Goodbye
    | Ask | Lease | Beat | Commit | Ack | Again | Fail | Drain
    | Credit | Entry | AskStatus | Status | AskTable | Table | Command | AskFigures | Figures
    | Archived | Snapshot
    | Entries | AskIndex | Index | Fetch | Focus
)  # fmt: skip

_NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError)
"""What msgspec raises; the second where a text is not UTF-8."""
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Known] = msgspec.msgpack.Decoder(Known)
_start: msgspec.msgpack.Decoder[list[object]] = msgspec.msgpack.Decoder(list[object])


def encode(message: Message) -> bytes:
    """The header of a message.  Raises ValueError if it would be longer than a header may be."""
    raw = _encoder.encode(message)
    if len(raw) > MAX_HEADER:
        raise ValueError(f"{type(message).__name__} takes {len(raw)} bytes; a header has {MAX_HEADER} at most")
    return raw


def brief(text: str, size: int = MAX_REASON) -> str:
    """As much of a text as takes ``size`` bytes of UTF-8 at most, so that it fits into a header."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


def decode(frames: Sequence[bytes | memoryview]) -> tuple[Known | None, Sequence[bytes | memoryview]]:
    """A message from its frames: the record and its payloads; the record is None if its name is unknown.

    Raises Refused with a sentence if the frames are no message.  Looks at sizes before contents.
    """
    if not frames:
        raise Refused("a message without a header")
    if len(frames) > 1 + MAX_PAYLOADS:
        raise Refused(f"a message of {len(frames)} frames; {1 + MAX_PAYLOADS} are allowed")
    header = frames[0]
    if len(header) > MAX_HEADER:
        raise Refused(f"a header of {len(header)} bytes; {MAX_HEADER} are allowed")
    try:
        message = _decoder.decode(header)
    except _NOT_DECODED as why:
        _refuse_unless_unknown(header, why)
        return None, frames[1:]
    if isinstance(message, Hello | Welcome) and message.version > VERSION:
        raise Refused(_newer(message.version))
    return message, frames[1:]


def _refuse_unless_unknown(header: bytes | memoryview, why: Exception) -> None:
    """Returns for a well-formed message of a name not known here; raises Refused for all else."""
    try:
        first = _start.decode(header)
    except _NOT_DECODED:
        raise Refused(f"a header that is not MessagePack: {why}") from None
    if first and isinstance(first[0], str) and first[0] not in _NAMES:
        return
    if len(first) > 1 and first[0] in ("Hello", "Welcome") and isinstance(first[1], int) and first[1] > VERSION:
        raise Refused(_newer(first[1]))
    raise Refused(f"a header that is no message: {why}")


def _newer(version: int) -> str:
    return f"the peer speaks protocol {version}, this side {VERSION}: update CaveCast on this side"


_NAMES = frozenset(kind.__name__ for kind in Known.__args__)
