"""What is known of a cluster's objects, from what its API server has said so far.  Pure.

A collection (the pods of a run, say) is heard by listing it and then watching it.  ``Hearing`` says what to do next,
takes in what came of it, and answers for every object with one of three things: it was seen; it is gone for certain,
because the server said so or because a complete list did not have it; or nothing is known of it since some moment,
because the server cannot be heard.  An API server that does not answer never means that an object has gone.

A watch is bounded: the server ends it after ``watch_s``, so more than ``silence_s`` without a word means that the
connection is dead, however open it looks.  Whatever goes wrong, the collection is listed again; a version of an object
is compared for equality only, since its meaning is the server's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import msgspec

Object = dict[str, Any]
"""An object of the cluster as JSON."""


class Rules(NamedTuple):
    """How patiently a collection is heard; all in seconds."""

    watch_s: int = 50
    silence_s: float = 65.0
    resync_s: float = 600.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    kept_gone: int = 1000
    """How many objects that have gone are remembered."""


# Steps and states are no tuples: what was seen at 3 must not equal what is unknown since 3.
class ListAll(msgspec.Struct, frozen=True):
    """Do: list the collection, with a consistent read (no resource version)."""


class WatchFrom(msgspec.Struct, frozen=True):
    """Do: watch from a version; the server is to end it after ``timeout_s``."""

    version: str
    timeout_s: int


class WaitUntil(msgspec.Struct, frozen=True):
    """Do: nothing before this time."""

    time: float


Step = ListAll | WatchFrom | WaitUntil


class Seen(msgspec.Struct, frozen=True):
    """It was there when the server was last heard."""

    object: Object
    at: float


class Gone(msgspec.Struct, frozen=True):
    """It is not there, for certain.  ``object``: its last state, if it was ever seen."""

    object: Object | None
    at: float


class Unknown(msgspec.Struct, frozen=True):
    """Nothing is known of it ``since`` then (None: never was).  ``object``: its last state, if it was ever seen."""

    object: Object | None
    since: float | None


State = Seen | Gone | Unknown


class Change(NamedTuple):
    """Something new about an object."""

    what: Literal["appeared", "changed", "gone"]
    object: Object


class Event(NamedTuple):
    """One line of a watch."""

    type: str
    object: Object


Key = tuple[str, str]
"""Namespace and name."""


def key_of(found: Object) -> Key:
    return found["metadata"].get("namespace", ""), found["metadata"]["name"]


def _uid(found: Object) -> str:
    uid: str = found["metadata"]["uid"]
    return uid


class Hearing:
    """One collection.  Times are seconds from any fixed point and never go back."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.trouble = ""
        """Why the server cannot be heard, in a sentence; empty while it can."""
        self._seen: dict[Key, Object] = {}
        self._gone: dict[Key, Gone] = {}
        self._version = ""
        self._listed_at: float | None = None
        self._heard_at: float | None = None
        self._failures = 0
        self._not_before: float | None = None
        self._began_at, self._brought = 0.0, False

    # ------------------------------------------------------------ what to do

    def next(self, now: float) -> Step:
        """The next thing to do, which is then begun."""
        if self._not_before is not None and now < self._not_before:
            return WaitUntil(self._not_before)
        if not self._version or self._listed_at is None or now - self._listed_at >= self.rules.resync_s:
            return ListAll()
        self._began_at, self._brought = now, False
        return WatchFrom(self._version, self.rules.watch_s)

    # ------------------------------------------------------------ what came of it

    def listed(self, items: Iterable[Object], version: str, now: float) -> list[Change]:
        """A complete list came: what is not in it has gone."""
        new = {key_of(found): found for found in items}
        changes = [self._has_gone(key, self._seen[key], now) for key in self._seen.keys() - new.keys()]
        for found in new.values():
            changes += self._is_there(found)
        self._version, self._listed_at = version, now
        self._hear(now)
        return changes

    def heard(self, event: Event, now: float) -> list[Change]:
        """A line of a watch came; an ERROR of it is told to ``failed``, not here."""
        changes: list[Change] = []
        if event.type == "DELETED":
            was = self._seen.get(key_of(event.object))
            # The end of an earlier object of that name says nothing about the one that is there now.
            if was is not None and _uid(was) == _uid(event.object):
                changes.append(self._has_gone(key_of(event.object), event.object, now))
        elif event.type in ("ADDED", "MODIFIED"):
            changes += self._is_there(event.object)
        self._version = event.object["metadata"]["resourceVersion"]
        self._failures, self._brought = 0, True
        self._hear(now)
        return changes

    def ended(self, now: float) -> None:
        """The server has ended the watch in order; the next one goes on from there.

        One that ends long before its time without a word is not in order: so some servers say that a version is too
        old (kubernetes#104171, of Events), and watching from it again would go on for ever.
        """
        if not self._brought and now - self._began_at < self.rules.watch_s / 2:
            self.failed("the API server ends watches at once, without a word; everything is listed again", now)
            return
        self._failures = 0
        self._hear(now)

    def failed(self, why: str, now: float, *, expired: bool = False, retry_after_s: float = 0.0) -> None:
        """A list or a watch came to nothing, in a sentence; the collection is listed anew.

        ``expired``: the version was too old (410), which is no fault: it is listed at once, unless that repeats.
        """
        self._version = ""
        self._failures += 1
        if expired and self._failures == 1:
            self._not_before = None
            return
        self.trouble = why
        # A list alone does not make good for a watch that fails each time, so it does not begin the count anew.
        wait_s = min(self.rules.first_wait_s * 2 ** min(self._failures - 1, 30), self.rules.longest_wait_s)
        self._not_before = now + max(wait_s, min(retry_after_s, self.rules.longest_wait_s))

    # ------------------------------------------------------------ what is known

    def in_touch(self, now: float) -> bool:
        """Whether what was heard last can be relied on."""
        return not self.trouble and self._heard_at is not None and now - self._heard_at <= self.rules.silence_s

    def state(self, namespace: str, name: str, now: float) -> State:
        """What is known of an object that, if it is there, is in this collection."""
        found = self._seen.get((namespace, name))
        gone = self._gone.get((namespace, name))
        if not self.in_touch(now):
            return Unknown(found or (gone.object if gone else None), self._heard_at)
        assert self._heard_at is not None
        if found is not None:
            return Seen(found, self._heard_at)
        return gone or Gone(None, self._heard_at)

    def objects(self) -> list[Object]:
        """The objects as they were last seen, whether the server is heard or not; ``in_touch`` says which."""
        return list(self._seen.values())

    def words(self, now: float) -> str:
        """What stands in the way of knowing, in a sentence; empty where nothing does."""
        if self.in_touch(now):
            return ""
        why = self.trouble or "the API server has not been heard yet"
        if self._heard_at is None:
            return f"{why}; nothing is known of the cluster so far"
        return f"{why}; the cluster is shown as it was {now - self._heard_at:.0f} s ago"

    def _hear(self, now: float) -> None:
        self.trouble, self._heard_at, self._not_before = "", now, None

    def _is_there(self, found: Object) -> list[Change]:
        key = key_of(found)
        was = self._seen.get(key)
        self._seen[key] = found
        self._gone.pop(key, None)
        if was is None:
            return [Change("appeared", found)]
        if _uid(was) != _uid(found):
            return [Change("gone", was), Change("appeared", found)]
        if was["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]:
            return []
        return [Change("changed", found)]

    def _has_gone(self, key: Key, last: Object, now: float) -> Change:
        self._seen.pop(key, None)
        self._gone.pop(key, None)
        self._gone[key] = Gone(last, now)
        while len(self._gone) > self.rules.kept_gone:
            self._gone.pop(next(iter(self._gone)))
        return Change("gone", last)
