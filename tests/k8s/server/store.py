"""The objects and their history: one rising revision for all, as etcd has it.

What is put is never changed again: each version is an object of its own.  ``at`` gives the objects as they were at a
revision, ``since`` what has happened after it; both raise ``Compacted`` for what is no longer known.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.k8s.server.kinds import Obj


def copied(found: Any) -> Any:
    """A copy of what JSON can be, faster than any general one."""
    if isinstance(found, dict):
        return {key: copied(value) for key, value in found.items()}
    return [copied(value) for value in found] if isinstance(found, list) else found


def _own(found: Obj) -> Obj:
    result: Obj = copied(found)
    return result


class Key(NamedTuple):
    """Where an object is kept."""

    resource: str
    namespace: str
    name: str


class Change(NamedTuple):
    """One step of the history."""

    revision: int
    type: str
    key: Key
    obj: Obj
    before: Obj | None


class Compacted(Exception):
    """That revision is no longer known; the oldest that is."""


LONGEST_HISTORY = 20_000


class Store:
    def __init__(self, revision: int = 1000) -> None:
        self.revision = self.floor = revision
        self.objects: dict[Key, Obj] = {}
        self.history: list[Change] = []
        self.listeners: set[Callable[[], None]] = set()

    def get(self, key: Key) -> Obj | None:
        """A copy of an object."""
        found: Obj | None = copied(self.objects.get(key))
        return found

    def every(self, resource: str, namespace: str = "") -> list[Obj]:
        """Copies of the objects of a resource, in the order of their keys."""
        keys = sorted(k for k in self.objects if k.resource == resource and namespace in ("", k.namespace))
        return [copied(self.objects[key]) for key in keys]

    def put(self, key: Key, obj: Obj) -> Obj:
        """Keeps a new version and returns it; the same once more is no new version."""
        before = self.objects.get(key)
        obj = _own(obj)
        if before is not None:
            obj["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
            if obj == before:
                return _own(before)
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self.objects[key] = obj
        self._happened(Change(self.revision, "MODIFIED" if before else "ADDED", key, obj, before))
        return _own(obj)

    def remove(self, key: Key) -> Obj:
        """Removes an object; its last state bears the revision of its end."""
        before = self.objects.pop(key)
        self.revision += 1
        last = _own(before)
        last["metadata"]["resourceVersion"] = str(self.revision)
        self._happened(Change(self.revision, "DELETED", key, last, before))
        return _own(last)

    def _happened(self, change: Change) -> None:
        self.history.append(change)
        if len(self.history) > LONGEST_HISTORY:
            self.floor = self.history[LONGEST_HISTORY // 2 - 1].revision
            del self.history[: LONGEST_HISTORY // 2]
        for listener in tuple(self.listeners):
            listener()

    def compact(self) -> None:
        """Forgets the history."""
        self.floor = self.revision
        self.history.clear()

    def since(self, revision: int) -> list[Change]:
        if revision < self.floor:
            raise Compacted(self.floor)
        return self.history[bisect_right(self.history, revision, key=lambda change: change.revision) :]

    def at(self, revision: int) -> dict[Key, Obj]:
        found = dict(self.objects)
        for change in reversed(self.since(revision)):
            if change.before is None:
                found.pop(change.key, None)
            else:
                found[change.key] = change.before
        return found
