"""Lists in pages, each from one moment, and the events of a watch."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.k8s.server.kinds import Kind, Obj
from tests.k8s.server.refusals import Cause, Refused, bad_request, expired, invalid
from tests.k8s.server.selectors import Match, fields, labels
from tests.k8s.server.store import Change, Compacted, Key, Store


class Wanted(NamedTuple):
    """Which objects, and in which form, a request asks for."""

    kind: Kind
    namespace: str
    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continued: str = ""
    version: str = ""
    version_match: str = ""

    @property
    def match(self) -> Match:
        by_label, by_field = labels(self.label_selector), fields(self.field_selector, self.kind, self.label_selector)
        return lambda found: by_label(found) and by_field(found)

    def concerns(self, key: Key) -> bool:
        return key.resource == self.kind.resource and self.namespace in ("", key.namespace)


TOO_OLD_TO_CONTINUE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


def number(kind: Kind, version: str) -> int:
    """A resource version as the number that only the server knows it is."""
    if version and not version.isdecimal():
        why = f'Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
        raise invalid(kind, "", [Cause("FieldValueInvalid", "resourceVersion", why)])
    return int(version or 0)


def listed(store: Store, wanted: Wanted) -> Obj:
    """A List object.  Raises Refused 400, 410, 422, 504."""
    kind, start, match = wanted.kind, ("", ""), wanted.match
    version = number(kind, wanted.version)
    if wanted.version_match and not wanted.version and not wanted.continued:
        raise _bad_options(
            "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    if wanted.version_match not in ("", "Exact", "NotOlderThan"):
        raise _bad_options(
            "resourceVersionMatch", f'supported values: "Exact", "NotOlderThan", not "{wanted.version_match}"'
        )
    revision = store.revision
    if wanted.continued:
        if version:
            raise bad_request("specifying resource version is not allowed when using continue")
        revision, start = _token(wanted.continued)
        if revision < 0:  # the token of an inconsistent list
            revision = store.revision
    elif version > store.revision:
        message = f"Timeout: Too large resource version: {version}, current: {store.revision}"
        details = {
            "retryAfterSeconds": 1,
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        }
        raise Refused(504, "Timeout", message, details)
    elif wanted.version_match == "Exact":
        revision = version
    try:
        objects = store.objects if revision == store.revision else store.at(revision)
    except Compacted:
        if wanted.continued:
            raise expired(TOO_OLD_TO_CONTINUE, {"continue": _written(-1, start)}) from None
        raise expired("The resourceVersion for the provided list is too old.") from None
    keys = sorted(key for key in objects if wanted.concerns(key) and (key.namespace, key.name) > start)
    found = [key for key in keys if match(objects[key])]
    metadata: Obj = {"resourceVersion": str(revision)}
    page = found
    if wanted.limit and len(found) > wanted.limit:
        page = found[: wanted.limit]
        metadata["continue"] = _written(revision, (page[-1].namespace, page[-1].name))
        if not wanted.label_selector and not wanted.field_selector:
            metadata["remainingItemCount"] = len(found) - len(page)
    bare = [{k: v for k, v in objects[key].items() if k not in ("kind", "apiVersion")} for key in page]
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": bare}


def _bad_options(field: str, why: str) -> Refused:
    message = f'ListOptions.meta.k8s.io "" is invalid: {field}: Forbidden: {why}'
    return Refused(422, "Invalid", message, {"group": "meta.k8s.io", "kind": "ListOptions"})


def _written(revision: int, last: tuple[str, str]) -> str:
    token = {"v": "meta.k8s.io/v1", "rv": revision, "start": "/".join(last)}
    return base64.urlsafe_b64encode(json.dumps(token).encode()).decode()


def _token(text: str) -> tuple[int, tuple[str, str]]:
    try:
        found = json.loads(base64.urlsafe_b64decode(text))
        namespace, _, name = found["start"].partition("/")
        return int(found["rv"]), (namespace, name)
    except (ValueError, KeyError, TypeError):
        raise bad_request("continue key is not valid: the token is not one of this server's") from None


def events(changes: Iterable[Change], wanted: Wanted, match: Match) -> Iterator[Obj]:
    """What a watcher hears of changes; an object that no longer matches is deleted to it, one that begins to is new."""
    for change in changes:
        if not wanted.concerns(change.key):
            continue
        now = change.type != "DELETED" and match(change.obj)
        was = change.before is not None and match(change.before)
        if now:
            yield {"type": "MODIFIED" if was else "ADDED", "object": change.obj}
        elif was:
            gone = change.obj
            if change.type != "DELETED":  # as it was when it still matched, at the revision of now
                assert change.before is not None
                metadata = {**change.before["metadata"], "resourceVersion": str(change.revision)}
                gone = {**change.before, "metadata": metadata}
            yield {"type": "DELETED", "object": gone}


def bookmark(kind: Kind, revision: int, initial: bool = False) -> Obj:
    metadata: Obj = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {"type": "BOOKMARK", "object": {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}}


def too_old(version: int, floor: int) -> Obj:
    """The event that ends a watch whose revision is no longer known."""
    return {"type": "ERROR", "object": expired(f"too old resource version: {version} ({floor})").status}
