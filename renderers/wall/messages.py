"""What a conductor, its tiles, and the conductor of another site say to each other.

Framed as everywhere else (``streamer.wire.header``): a header of at most 512 bytes, MessagePack, an array that begins
with the record's name; names and fields that are not known are passed over.  What is larger, a ``Scene``, is the one
payload.  Times are seconds of the conductor's clock unless something else is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from streamer.wire.header import MAX_HEADER, Refused, brief
from streamer.wire.viewing import Head, Vec3, View, head_flaw, near, view_flaw

VERSION = 1
MAX_SCENE = 1 << 16
"""Bytes of a payload."""
MAX_NAME, MAX_NOTE = 64, 500
MAX_TILES = 350
"""Bytes of a header that tiles may take."""
Number = Annotated[int, Meta(ge=0, le=2**53)]
"""A frame, a position of a log, a count."""
Epoch = Annotated[str, Meta(max_length=MAX_NAME)]
Words = Annotated[str, Meta(max_length=MAX_NAME)]


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What all messages share."""


class Reach(msgspec.Struct, frozen=True, array_like=True):
    """Positions in a log that can be drawn: from ``floor`` (there is no way back) to ``reached``."""

    epoch: Epoch
    floor: Number
    reached: Number


class Scene(msgspec.Struct, frozen=True, array_like=True):
    """All that a frame shows apart from the data: travels whole with every frame, as a payload."""

    view: View = View()
    head: Head = Head()
    separation_mm: float = 64.0
    sensed_at: float = 0.0
    """When the newest measurement in it was made; 0: none was."""
    level: int = 0
    """How much of the surfaces is drawn, by all tiles: 0 all of it, 1 the coarse ones."""
    note: str = ""
    """What is said of a picked object, in words; empty: nothing."""
    noted: str = ""
    """The screen in whose corner that stands."""


# ---------------------------------------------------------------- tile → conductor


class Join(Message, frozen=True):
    """The first word of a process: which tiles it has, and what it can draw."""

    version: int
    seat: str
    """The name of its one tile, or of its node."""
    tiles: tuple[str, ...]
    """Empty where they are too many for a header: the digest of the wall tells them."""
    wall: str
    """A digest of the wall: all of them must have the same one."""
    reach: tuple[Reach, ...] = ()
    shown: Number = 0
    """The last frame that it has shown."""
    host: str = ""
    """Which start of which machine: on the same one, clocks are the same."""


class Beat(Message, frozen=True):
    """The seat lives; ``turn`` counts the evictions that it knows of."""

    turn: int
    reach: tuple[Reach, ...]
    at: float = 0.0
    """By the sender's clock; comes back in ``Beaten``."""


class Ready(Message, frozen=True):
    """The frame is in the back buffers of all tiles of the seat, finished."""

    frame: int
    reach: tuple[Reach, ...] = ()


class Tile(msgspec.Struct, frozen=True, array_like=True):
    """How one tile showed a frame."""

    name: str
    at: float
    """When the swap was done."""
    burned: tuple[int, ...] = ()
    """Frame, view and position as read back from the picture; empty if they were not burned in."""


class Shown(Message, frozen=True):
    """The seat has shown a frame."""

    frame: int
    view: int
    epoch: str
    position: int
    tiles: tuple[Tile, ...]
    arrived_s: float = -1.0
    """How long ago the oldest entry had come that this frame is the first to show; −1: it shows no new one."""
    draw_s: float = 0.0
    """Time for the drawing alone, without what was made of new entries."""


class Missed(Message, frozen=True):
    """The seat was ready, but Show came too late to be carried out: it shows what it showed before."""

    frame: int


class Run(Message, frozen=True):
    """What a seat knows of the run that it follows."""

    epoch: Epoch
    steps: Number
    """Of axis 0."""
    half: Vec3
    """Half the sides of the volume's box in the scene (x, y, z)."""


class Picked(Message, frozen=True):
    """The answer to Pick."""

    request: int
    object_id: int = 0
    """Of the object that the ray meets first; 0: it meets none."""
    voxels: int = 0
    """Of the object, so far."""
    first: int = 0
    """The first step of axis 0 in which the object is, so far; and the last."""
    last: int = 0
    lifetime: Words = ""
    """From when to when it lives so far, in words."""
    voxel: tuple[Number, ...] = ()
    """Where the ray meets it, (z, y, x); empty if it meets none."""
    place: tuple[Words, ...] = ()
    """The same in words: a date, degrees."""
    value: float | None = None
    """Of the field there, in ``units``; None if it is not known."""
    within: float = 0.0
    """The true value is no further off."""
    beyond: int = 0
    """1: it may be more, −1: less, because the run's range ends here."""
    variable: Words = ""
    units: Words = ""


class Input(Message, frozen=True):
    """Somebody uses keyboard or mouse at a tile's window."""

    tile: str
    kind: str
    """``key``, ``button``, ``wheel`` or ``motion``."""
    code: str = ""
    """The key's or button's name."""
    pressed: bool = False
    x: float = 0.0
    """Pixels from the left of the tile."""
    y: float = 0.0
    """Pixels from its top."""


class Redraw(Message, frozen=True):
    """A window was uncovered: what it shows is to be drawn again."""


class Leave(Message, frozen=True):
    """The process ends by its own will."""


# ---------------------------------------------------------------- conductor → tile


class Welcome(Message, frozen=True):
    """The answer to Join."""

    version: int
    deadline_s: float
    """A Show that is older is not carried out."""
    feed: str
    """Where the run's log is followed; empty: nowhere."""
    host: str = ""


class Draw(Message, frozen=True):
    """Draw this into the back buffer, and say Ready.  Payload: the ``Scene``."""

    frame: int
    view: int
    epoch: str
    position: int


class Show(Message, frozen=True):
    """Show the frame."""

    frame: int
    at: float


class Evict(Message, frozen=True):
    """Forget what was drawn, show that it is old, and beat with this ``turn`` when you know."""

    turn: int
    stale: bool
    why: str


class Beaten(Message, frozen=True):
    """The answer to Beat, and where the wall stands: a seat that is out may draw nothing beyond that."""

    sent_at: float
    """``Beat.at``."""
    came_at: float
    left_at: float
    epoch: str
    position: int


class Refuse(Message, frozen=True):
    """No, and why; ``again``: say Join (once more)."""

    reason: str
    again: bool = False


class Pick(Message, frozen=True):
    """Which object does this ray meet first?  In the scene's units; ``direction`` has length 1."""

    request: int
    origin: Vec3
    direction: Vec3


# ---------------------------------------------------------------- others → conductor


class SetView(Message, frozen=True):
    """Show this from now on.  Payload: a ``View``; the head stays the wall's."""

    request: int = 0


class Play(Message, frozen=True):
    """Time shall run, or stop."""

    request: int
    playing: bool
    steps_per_s: float = 4.0
    loop: bool = True


class Follow(Message, frozen=True):
    """Another site shows what this wall shows: ``credit`` scenes may be sent altogether, the newest each time."""

    version: int
    site: str
    credit: int
    at: float = 0.0
    """By the follower's clock; comes back in ``Seen``."""


class Ask(Message, frozen=True):
    """``What`` is asked of the conductor: ``figures`` or ``scene``."""

    request: int
    what: str


# ---------------------------------------------------------------- conductor → others


class Seen(Message, frozen=True):
    """What the wall began to show at ``at``.  Payload: the ``Scene``; none if this only answers ``Follow``."""

    number: int
    at: float
    sent_at: float
    """``Follow.at`` of the newest Follow that this answers; 0: none."""
    came_at: float
    left_at: float


class Answer(Message, frozen=True):
    """To Ask.  Payload: MessagePack."""

    request: int


Known = (
    Join | Beat | Ready | Shown | Missed | Run | Picked | Input | Redraw | Leave | Welcome | Draw | Show | Evict
    | Beaten | Refuse | Pick | SetView | Play | Follow | Ask | Seen | Answer
)  # fmt: skip
_NAMES = frozenset(kind.__name__ for kind in Known.__args__)
_NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError)
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Known] = msgspec.msgpack.Decoder(Known)
_scenes: msgspec.msgpack.Decoder[Scene] = msgspec.msgpack.Decoder(Scene)
_views: msgspec.msgpack.Decoder[View] = msgspec.msgpack.Decoder(View)
_start: msgspec.msgpack.Decoder[list[object]] = msgspec.msgpack.Decoder(list[object])


class Said(NamedTuple):
    """A message that came, and its payload."""

    message: Known | None
    """None: a name that a later version knows."""
    payload: bytes


def encode(message: Message) -> bytes:
    """The header of a message.  Raises ValueError if it would be longer than a header may be."""
    raw = _encoder.encode(message)
    if len(raw) > MAX_HEADER:
        raise ValueError(f"{type(message).__name__} takes {len(raw)} bytes; a header has {MAX_HEADER} at most")
    return raw


def decode(frames: Sequence[bytes]) -> Said:
    """A message from its frames.  Raises Refused with a sentence if they are none; looks at sizes first."""
    if not 1 <= len(frames) <= 2:
        raise Refused(f"a message of {len(frames)} frames; it has one or two")
    if len(frames[0]) > MAX_HEADER:
        raise Refused(f"a header of {len(frames[0])} bytes; {MAX_HEADER} are allowed")
    if len(frames) == 2 and len(frames[1]) > MAX_SCENE:
        raise Refused(f"a payload of {len(frames[1])} bytes; {MAX_SCENE} are allowed")
    try:
        message = _decoder.decode(frames[0])
    except _NOT_DECODED as why:
        try:
            first = _start.decode(frames[0])
        except _NOT_DECODED:
            raise Refused(f"a header that is not MessagePack: {why}") from None
        if first and isinstance(first[0], str) and first[0] not in _NAMES:
            return Said(None, b"")
        raise Refused(f"a header that is no message: {why}") from None
    if isinstance(message, Join | Welcome | Follow) and message.version > VERSION:
        raise Refused(f"the peer speaks version {message.version}, this side {VERSION}: update CaveCast on this side")
    return Said(message, frames[1] if len(frames) == 2 else b"")


def encode_scene(scene: Scene) -> bytes:
    """A scene as a payload."""
    return _encoder.encode(scene)


def decode_scene(raw: bytes) -> Scene:
    """The scene in a payload, one that can be drawn.  Raises Refused."""
    try:
        scene = _scenes.decode(raw)
    except _NOT_DECODED as why:
        raise Refused(f"a payload that is no scene: {why}") from None
    if flaw := view_flaw(scene.view) or head_flaw(scene.head):
        raise Refused(f"a scene with {flaw}")
    if not near((scene.separation_mm, scene.sensed_at)) or not 0 <= scene.level <= 1:
        raise Refused("a scene with a number that is none")
    if len(scene.note) > MAX_NOTE:
        raise Refused(f"a scene with a note of {len(scene.note)} letters; {MAX_NOTE} are allowed")
    return scene


def encode_view(view: View) -> bytes:
    """A view as a payload."""
    return _encoder.encode(view)


def decode_view(raw: bytes) -> View:
    """The view in a payload, one that can be drawn.  Raises Refused."""
    try:
        view = _views.decode(raw)
    except _NOT_DECODED as why:
        raise Refused(f"a payload that is no view: {why}") from None
    if flaw := view_flaw(view):
        raise Refused(f"a view with {flaw}")
    return view


def fitting(tiles: tuple[str, ...]) -> tuple[str, ...]:
    """Names of tiles as Join says them: all, or none where they are too many for a header."""
    return tiles if len(_encoder.encode(tiles)) <= MAX_TILES // 2 else ()


def few(tiles: Sequence[Tile]) -> list[tuple[Tile, ...]]:
    """Tiles in portions that fit into a header each."""
    portions: list[tuple[Tile, ...]] = []
    room = 0
    for tile in tiles:
        size = len(_encoder.encode(tile))
        if size > room or not portions:
            portions, room = [*portions, ()], MAX_TILES
        portions[-1] += (tile,)
        room -= size
    return portions


def short(reason: str) -> str:
    """A reason that fits into a header."""
    return brief(reason, 300)
