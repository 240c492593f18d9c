"""What is carried from one decision about a run in a cluster to the next.  Pure.

Nothing is remembered that the cluster does not say, but for bounds: what was asked for and need not be heard of yet,
how often an object was made again, since when something lasts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from streamer.control import lives
from streamer.control.cluster.facts import Facts, Key, going
from streamer.control.cluster.walls import of_wall
from streamer.control.lives import Life

SETTLE_S = 5.0
"""So long after it was asked for, an object need not be heard of yet."""
WINDOW_S, MOST_AGAIN = 600.0, 5
"""So many times within so long an object is made again that somebody else has deleted."""


class Memory(msgspec.Struct, frozen=True):
    """What is carried from one decision to the next."""

    life: Life
    began: float
    """When this control plane took the run up."""
    idle_since: float | None
    """When the last viewer went; None while there is one."""
    seen: frozenset[Key] = frozenset()
    asked: Mapping[str, float] = {}
    """When each change was asked for last."""
    again: Mapping[Key, tuple[float, ...]] = {}
    """When an object was made again that had been there."""
    silent_since: float | None = None
    cancelling_since: float | None = None
    idle_jobs_since: float | None = None
    """Since when the workers have ended though the run goes on."""
    seats: Mapping[int, Mapping[str, str]] = {}
    """For each wall, by its number, who sits where; not there as long as that cannot be known."""
    refused: Mapping[str, str] = {}
    """Of changes that were refused, and may not be the next time, why; by the kind and name of what they change."""


def begun(life: Life, now: float) -> Memory:
    """The memory of a run that is taken up.  Renderers are left for a while: browsers are about to come (again)."""
    return Memory(life, began=now, idle_since=now)


def looked(memory: Memory, viewers: int, now: float) -> Memory:
    """So many look now."""
    if viewers:
        return msgspec.structs.replace(memory, idle_since=None)
    return memory if memory.idle_since is not None else msgspec.structs.replace(memory, idle_since=now)


def refused(memory: Memory, what: str, why: str) -> Memory:
    """A change was not taken, or (``why`` is empty) was."""
    if not why and what not in memory.refused:
        return memory
    found = {one: said for one, said in memory.refused.items() if one != what}
    return msgspec.structs.replace(memory, refused={**found, what: why} if why else found)


def due(memory: Memory, changes: Collection[str], facts: Facts) -> Memory:
    """With what was refused of changes that are due still, or may be since nothing is heard of such objects."""
    found = {
        what: why for what, why in memory.refused.items()
        if what in changes or what.partition(" ")[0] not in facts.heard
    }  # fmt: skip
    return memory if len(found) == len(memory.refused) else msgspec.structs.replace(memory, refused=found)


def renderers(memory: Memory, idle_s: float, now: float) -> int:
    """How many renderers a run with a view is to have."""
    return int(memory.idle_since is None or now - memory.idle_since < idle_s)


def forgotten(memory: Memory, keys: Iterable[Key]) -> Memory:
    """Without what was asked for about some objects, and refused: when they are wanted again, they are made at once."""
    gone = {f"{what} {key}" for key in keys for what in ("make", "drop")}
    them = {" ".join(key) for key in keys}
    return msgspec.structs.replace(
        memory, asked={one: at for one, at in memory.asked.items() if one not in gone},
        refused={one: why for one, why in memory.refused.items() if one not in them},
    )  # fmt: skip


def heard(memory: Memory, facts: Facts, now: float) -> Memory:
    """With what the followers know now."""
    # Pods come and go without end, and what a run has for walls as often as somebody wishes.  What is on its way out
    # was seen before, or it is we who delete it.
    seen = {key for key, one in facts.objects.items() if not (key[0] == "Pod" or of_wall(one) or going(one))}
    since = None if not facts.words else (memory.silent_since if memory.silent_since is not None else now)
    return msgspec.structs.replace(memory, silent_since=since, seen=memory.seen | seen)


def dropping(memory: Memory, key: Key) -> Memory:
    """An object is to be deleted by us: nobody else does when it is not there any more."""
    return msgspec.structs.replace(memory, seen=memory.seen - {key})


def making(memory: Memory, key: Key, now: float) -> Memory:
    """An object is to be made; one that was there before only so many times."""
    memory = noted(memory, f"make {key}", now)
    if key not in memory.seen:
        return memory
    times = (*(at for at in memory.again.get(key, ()) if now - at < WINDOW_S), now)
    memory = msgspec.structs.replace(memory, again={**memory.again, key: times})
    if len(times) <= MOST_AGAIN:
        return memory
    why = f"{key[0]} {key[1]} was deleted by somebody else {len(times)} times within {WINDOW_S / 60:.0f} minutes"
    return msgspec.structs.replace(memory, life=lives.failed(memory.life, f"{why}: see who does so, and start again"))


def asked(memory: Memory, what: str, now: float) -> bool:
    """Whether a change was asked for a moment ago, so that it need not be heard of yet."""
    at = memory.asked.get(what)
    return at is not None and now - at < SETTLE_S


def noted(memory: Memory, what: str, now: float) -> Memory:
    """A change is asked for."""
    recent = {one: at for one, at in memory.asked.items() if now - at < SETTLE_S}
    return msgspec.structs.replace(memory, asked={**recent, what: now})
