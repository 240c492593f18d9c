"""Creating, changing and deleting objects: what happens between the request and the store.

A new object is decoded, filled in with defaults, admitted, validated, weighed against quotas and kept, in that order;
a change keeps what a client may not change, counts the generation, and ends an object that is being deleted once its
last finalizer has gone.
"""

from __future__ import annotations

import copy
import json
import random
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tests.k8s.server import access, admission, defaults, given, patches, quota, validation, validation_job
from tests.k8s.server.kinds import BY_RESOURCE, Kind, Obj, meta
from tests.k8s.server.refusals import (
    MODIFIED,
    Cause,
    Refused,
    already_exists,
    bad_request,
    conflict,
    invalid,
    not_found,
)
from tests.k8s.server.schema import decode
from tests.k8s.server.store import Key, Store

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_REFUSED_POD = re.compile(r'pods "[^"]*"')
_POLICIES = ("Foreground", "Background", "Orphan")


def stamp(now: float, micro: bool = False) -> str:
    """A time as the API writes it."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S" + (".%fZ" if micro else "Z"))


def seconds(text: str) -> float:
    """The seconds since 1970 of such a time."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def suffix() -> str:
    return "".join(random.choices(_LETTERS, k=5))


class Kept(NamedTuple):
    """What came of a request: the object, whether it is there as yet, and warnings for the client."""

    obj: Obj
    there: bool = True
    warnings: tuple[str, ...] = ()


class Registry:
    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.store, self.clock = store, clock

    def now(self) -> str:
        return stamp(self.clock())

    def get(self, kind: Kind, namespace: str, name: str) -> Obj:
        """Raises Refused 404."""
        found = self.store.get(Key(kind.resource, namespace, name))
        if found is None:
            raise not_found(kind, name)
        return found

    # ------------------------------------------------------------ create

    def create(
        self, kind: Kind, namespace: str, body: Obj, user: access.User = access.SYSTEM, strictness: str = "Warn",
        dry: bool = False,
    ) -> Kept:  # fmt: skip
        self._check_kind(kind, body)
        found, unknown = decode(kind, body)
        warnings = self._unknown(kind, unknown, strictness)
        found["apiVersion"], found["kind"] = kind.api_version, kind.kind
        data = meta(found)
        if data.get("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if kind.namespaced:
            data["namespace"] = namespace
            admission.namespace(self.store, kind, found)
        if data.get("resourceVersion"):
            raise Refused(500, None, "resourceVersion should not be set on objects to be created")
        if not data.get("name") and data.get("generateName"):
            data["name"] = data["generateName"][:58] + suffix()
        for key in (*_KEPT, "resourceVersion", "selfLink"):
            data.pop(key, None)
        data["uid"], data["creationTimestamp"] = str(uuid.uuid4()), self.now()
        if "status" in kind.subresources:
            found.pop("status", None)
        if kind.generation:
            data["generation"] = 1
        defaults.fill(kind, found)
        early = admission.admit(self.store, kind, found)
        if kind.kind == "Job":
            early += validation_job.selector(found)
            given.generate_selector(found)
        causes = early + validation.created(kind, found)
        if causes:
            raise invalid(kind, data.get("name", ""), causes)
        over = access.escalation(self.store, user, kind, found) or quota.refusal(self.store, kind, namespace, found)
        if over:
            raise over
        place = Key(kind.resource, namespace, data["name"])
        if self.store.get(place) is not None:
            raise already_exists(kind, data["name"])
        given.initial_status(kind, found)
        return Kept(found if dry else self.store.put(place, found), True, warnings)

    def _check_kind(self, kind: Kind, body: Any) -> None:
        if not isinstance(body, dict):
            raise bad_request("the object provided is unrecognized (must be of type " + kind.kind + ")")
        said, of = body.get("kind") or kind.kind, body.get("apiVersion") or kind.api_version
        if of != kind.api_version:
            raise bad_request(
                f"the API version in the data ({of}) does not match the expected API version ({kind.api_version})"
            )
        if said != kind.kind:
            raise bad_request(f'{said} in version "{kind.version}" cannot be handled as a {kind.kind}')

    def _unknown(self, kind: Kind, unknown: list[str], strictness: str) -> tuple[str, ...]:
        words = tuple(f'unknown field "{path}"' for path in unknown)
        if words and strictness == "Strict":
            raise bad_request(
                f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: strict decoding error: '
                + ", ".join(words)
            )
        return words if strictness == "Warn" else ()

    # ------------------------------------------------------------ change

    def update(
        self, kind: Kind, namespace: str, name: str, body: Obj, sub: str = "", user: access.User = access.SYSTEM,
        strictness: str = "Warn", dry: bool = False,
    ) -> Kept:  # fmt: skip
        self._check_kind(kind, body)
        found, unknown = decode(kind, body)
        warnings = self._unknown(kind, unknown, strictness)
        if meta(found).get("name", "") != name:
            said = meta(found).get("name", "")
            raise bad_request(f"the name of the object ({said}) does not match the name on the URL ({name})")
        if meta(found).get("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        old = self.get(kind, namespace, name)
        version = meta(found).get("resourceVersion")
        if not version and not kind.unconditional:
            cause = Cause(
                "FieldValueInvalid", "metadata.resourceVersion", "Invalid value: 0x0: must be specified for an update"
            )
            raise invalid(kind, name, [cause])
        return self._change(kind, old, found, sub, user, warnings, dry)

    def patch(
        self, kind: Kind, namespace: str, name: str, patch: Any, content_type: str, sub: str = "",
        user: access.User = access.SYSTEM, strictness: str = "Warn", dry: bool = False,
    ) -> Kept:  # fmt: skip
        old = self.get(kind, namespace, name)
        if content_type == "application/json-patch+json":
            new = patches.json_patch(old, patch)
        elif not isinstance(patch, dict):
            raise bad_request(
                "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
            )
        elif content_type == "application/merge-patch+json":
            new = patches.merge_patch(old, patch)
        else:
            new = patches.strategic_patch(old, patch, kind)
        if new.get("kind") != old["kind"] or new.get("apiVersion") != old["apiVersion"]:
            raise bad_request(
                f"the API version in the data ({new.get('apiVersion')}) does not match the expected API version "
                f"({kind.api_version})"
            )
        try:
            found, unknown = decode(kind, new)
            warnings = self._unknown(kind, unknown, strictness)
        except Refused as refused:
            shown = json.dumps(json.dumps(patch, separators=(",", ":")))
            reason = refused.message.partition("cannot be handled as a ")[2].partition(": ")[2]
            why = f"Invalid value: {shown}: {reason}"
            raise Refused(
                422, "Invalid", f' "" is invalid: patch: {why}',
                {"causes": [Cause("FieldValueInvalid", "patch", why)._asdict()]},
            ) from None  # fmt: skip
        return self._change(kind, old, found, sub, user, warnings, dry)

    def _change(
        self, kind: Kind, old: Obj, found: Obj, sub: str, user: access.User, warnings: tuple[str, ...], dry: bool
    ) -> Kept:
        name = old["metadata"]["name"]
        version, uid = meta(found).get("resourceVersion"), meta(found).get("uid")
        if uid and uid != old["metadata"]["uid"]:
            was = old["metadata"]["uid"]
            raise conflict(kind, name, f"Precondition failed: UID in precondition: {uid}, UID in object meta: {was}")
        if version and version != old["metadata"]["resourceVersion"]:
            raise conflict(kind, name, MODIFIED)
        if sub == "status":
            new = copy.deepcopy(old)
            new["status"] = found.get("status", {})
        else:
            new = found
            new["apiVersion"], new["kind"] = kind.api_version, kind.kind
            for key in _KEPT:
                meta(new).pop(key, None)
                if key in old["metadata"]:
                    meta(new)[key] = old["metadata"][key]
            if kind.namespaced:
                meta(new)["namespace"] = old["metadata"]["namespace"]
            if "status" in kind.subresources:
                new.pop("status", None)
                if "status" in old:
                    new["status"] = old["status"]
            defaults.fill(kind, new)
            given.keep_given(kind, new, old)
            causes = validation.changed(kind, new, old)
            if causes:
                raise invalid(kind, name, causes)
            if kind.generation and new.get("spec") != old.get("spec"):
                meta(new)["generation"] = old["metadata"]["generation"] + 1
            if refused := access.escalation(self.store, user, kind, new):
                raise refused
        return Kept(new, True, warnings) if dry else self.keep(kind, new, warnings)

    def keep(self, kind: Kind, new: Obj, warnings: tuple[str, ...] = ()) -> Kept:
        """Keeps a new version, or ends the object if it is being deleted and nothing holds it any more."""
        data = new["metadata"]
        key = Key(kind.resource, data.get("namespace", ""), data["name"])
        held = data.get("finalizers") or new.get("spec", {}).get("finalizers", []) * (kind.kind == "Namespace")
        if "deletionTimestamp" in data and not held and data.get("deletionGracePeriodSeconds", 0) == 0:
            self.store.remove(key)  # in the state in which it was kept; what was about to be is told to who asked
            return Kept(new, False, warnings)
        return Kept(self.store.put(key, new), True, warnings)

    # ------------------------------------------------------------ delete

    def delete(self, kind: Kind, namespace: str, name: str, options: Obj | None = None, dry: bool = False) -> Kept:
        options = options or {}
        policy = options.get("propagationPolicy")
        if policy is not None and policy not in _POLICIES:
            listed = ", ".join(f'"{one}"' for one in (*_POLICIES, "nil"))
            raise Refused(
                422, "Invalid",
                f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "{policy}": '
                f"supported values: {listed}", {"kind": "DeleteOptions", "group": "meta.k8s.io"},
            )  # fmt: skip
        found = self.get(kind, namespace, name)
        data = found["metadata"]
        wanted = options.get("preconditions") or {}
        for key, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if key in wanted and wanted[key] != data[key]:
                why = f"Precondition failed: {word} in precondition: {wanted[key]}, {word} in object meta: {data[key]}"
                raise conflict(kind, name, why)
        warnings: tuple[str, ...] = ()
        if kind.kind == "Job" and policy is None:
            warnings = (
                "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove "
                "them or set propagationPolicy=Orphan to suppress this warning",
            )
        if dry:
            return Kept(found, False, warnings)
        given.set_finalizers(kind, data, policy)
        grace = given.grace(kind, found, options.get("gracePeriodSeconds"))
        if "deletionTimestamp" not in data:
            data["deletionTimestamp"] = stamp(self.clock() + grace)
            data["deletionGracePeriodSeconds"] = grace
            if "generation" in data:
                data["generation"] += 1
        elif grace < data.get("deletionGracePeriodSeconds", 0):
            data["deletionTimestamp"], data["deletionGracePeriodSeconds"] = stamp(self.clock() + grace), grace
        if kind.kind == "Namespace":
            found.setdefault("status", {})["phase"] = "Terminating"
        return self.keep(kind, found, warnings)

    # ------------------------------------------------------------ for the controllers

    def event(self, about: Obj, kind: str, reason: str, message: str, component: str) -> None:
        """Records an Event; the same once more is counted."""
        namespace = about["metadata"].get("namespace", "default")
        involved = {
            "kind": about["kind"], "namespace": namespace, "name": about["metadata"]["name"],
            "uid": about["metadata"]["uid"], "apiVersion": about["apiVersion"],
            "resourceVersion": about["metadata"]["resourceVersion"],
        }  # fmt: skip
        for old in self.store.every("events", namespace):
            # A pod that is refused has another name with each attempt.
            same = _REFUSED_POD.sub("", old["message"]) == _REFUSED_POD.sub("", message)
            if same and (old["involvedObject"]["uid"], old["reason"]) == (involved["uid"], reason):
                if old["lastTimestamp"] != self.now():
                    old["count"] += 1
                    old["lastTimestamp"] = self.now()
                    self.store.put(Key("events", namespace, old["metadata"]["name"]), old)
                return
        name = f"{about['metadata']['name']}.{uuid.uuid4().hex[:16]}"
        body = {
            "metadata": {"name": name}, "involvedObject": involved, "reason": reason, "message": message, "type": kind,
            "count": 1, "firstTimestamp": self.now(), "lastTimestamp": self.now(), "source": {"component": component},
            "reportingComponent": component,
        }  # fmt: skip
        try:
            self.create(BY_RESOURCE["events"], namespace, body)
        except Refused:  # the namespace is going away
            return
