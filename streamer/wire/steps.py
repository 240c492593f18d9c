"""What a subscriber asks for, and what whoever follows the log for it (``streamer.wire.follow``) tells it to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streamer.wire.batch import Present
from streamer.wire.codec import Buffer
from streamer.wire.messages import Entry, Message


class Wants(NamedTuple):
    """What a subscriber asks for."""

    role: str
    name: str
    parts: tuple[str, ...]
    window_bytes: int
    window_messages: int
    batch: int = 0
    region: tuple[int, ...] = ()
    level: int = 0
    late: bool = False
    """The present state first, if there is one; not all that led to it."""
    coarse_first: bool = False
    """Of that, all chunks at level 1 before they come as ``level`` says."""


class Begin(NamedTuple):
    """A log has been opened; ``spec`` as MessagePack.  All that was known before belongs to another log."""

    spec: Buffer


class Stand(NamedTuple):
    """What is there, as of its head.  Its chunks come as they are fetched: see ``Follower.missing``."""

    present: Present


class Take(NamedTuple):
    """The next entry, or one that was fetched (``entry.prev`` is FETCHED)."""

    entry: Entry
    payloads: Sequence[Buffer]
    nbytes: int
    """What it costs; to be given back with ``used`` when it is used up."""
    level: int = 0
    """At which level it was fetched, beyond what Hello says."""


class Elsewhere(NamedTuple):
    """Labels of entries before ``number`` have left the log: they are in ``store``."""

    number: int
    store: str


class Ask(NamedTuple):
    """A message with payloads for the streamer."""

    message: Message
    payloads: Sequence[Buffer]


class Anew(NamedTuple):
    """Hang up, call again and say the Hello that ``Follower.hello`` gives."""


class Tell(NamedTuple):
    """Something that a person should know; empty when all is well again."""

    sentence: str


Step = Message | Ask | Begin | Stand | Take | Elsewhere | Anew | Tell
