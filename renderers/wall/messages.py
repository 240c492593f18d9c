"""What a conductor, its tiles, and the conductor of another site say to each other.

Records alone; ``renderers.wall.framing`` makes bytes of them.  Times are seconds of the conductor's clock unless
something else is said.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from streamer.wire.conducting import Answer as Answer
from streamer.wire.conducting import Ask as Ask
from streamer.wire.conducting import Change as Change
from streamer.wire.conducting import Message as Message
from streamer.wire.conducting import Play as Play
from streamer.wire.conducting import Refuse as Refuse
from streamer.wire.conducting import SetView as SetView
from streamer.wire.viewing import Head, Vec3, View

VERSION = 1
MAX_NAME = 64
Number = Annotated[int, Meta(ge=0, le=2**53)]
"""A frame, a position of a log, a count."""
Epoch = Annotated[str, Meta(max_length=MAX_NAME)]
Words = Annotated[str, Meta(max_length=MAX_NAME)]


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


class Pick(Message, frozen=True):
    """Which object does this ray meet first?  In the scene's units; ``direction`` has length 1."""

    request: int
    origin: Vec3
    direction: Vec3


# ---------------------------------------------------------------- others → conductor (and streamer.wire.conducting)


class Follow(Message, frozen=True):
    """Another site shows what this wall shows: ``credit`` scenes may be sent altogether, the newest each time."""

    version: int
    site: str
    credit: int
    at: float = 0.0
    """By the follower's clock; comes back in ``Seen``."""


# ---------------------------------------------------------------- conductor → others


class Seen(Message, frozen=True):
    """What the wall began to show at ``at``.  Payload: the ``Scene``; none if this only answers ``Follow``."""

    number: int
    at: float
    sent_at: float
    """``Follow.at`` of the newest Follow that this answers; 0: none."""
    came_at: float
    left_at: float


Known = (
    Join | Beat | Ready | Shown | Missed | Run | Picked | Input | Redraw | Leave | Welcome | Draw | Show | Evict
    | Beaten | Refuse | Pick | SetView | Change | Play | Follow | Ask | Seen | Answer
)  # fmt: skip
