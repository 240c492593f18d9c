"""What must hold for the metadata of every object."""

from __future__ import annotations

import re
from typing import Any

from tests.k8s.server.kinds import Kind, Obj
from tests.k8s.server.refusals import Cause, immutable, prohibited, required, too_long, wrong

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NAME_PART = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'({_NAME_PART})?')"
)
KEY_WORDS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME_PART}')"
)
_MOST_ANNOTATION_BYTES = 256 * 1024
_LABEL_KINDS = ("Namespace", "Service", "StatefulSet")


def name_complaint(name: str, label: bool) -> str:
    """What is wrong with a name, or nothing."""
    if len(name) > (63 if label else 253):
        return f"must be no more than {63 if label else 253} bytes"
    if not re.fullmatch(_LABEL if label else _SUBDOMAIN, name):
        return LABEL_WORDS if label else SUBDOMAIN_WORDS
    return ""


def key_complaint(key: str) -> str:
    """What is wrong with the key of a label, an annotation or a taint, or nothing."""
    prefix, slash, name = key.rpartition("/")
    if slash and (why := name_complaint(prefix, label=False)):
        return f"prefix part {why}"
    if not name:
        return "name part must be non-empty"
    if len(name) > 63:
        return "name part must be no more than 63 bytes"
    return "" if re.fullmatch(_NAME_PART, name) else KEY_WORDS


def value_complaint(value: str) -> str:
    """What is wrong with the value of a label, or nothing."""
    if len(value) > 63:
        return "must be no more than 63 bytes"
    return "" if re.fullmatch(f"({_NAME_PART})?", value) else VALUE_WORDS


def labels(found: Obj | None, path: str) -> list[Cause]:
    causes = []
    for key, value in (found or {}).items():
        if why := key_complaint(key):
            causes.append(wrong(path, key, why))
        if why := value_complaint(value):
            causes.append(wrong(path, value, why))
    return causes


def notes(found: Obj | None, path: str) -> list[Cause]:
    causes = [wrong(path, key, why) for key in found or {} if (why := key_complaint(key.lower()))]
    if sum(len(k.encode()) + len(v.encode()) for k, v in (found or {}).items()) > _MOST_ANNOTATION_BYTES:
        causes.append(too_long(path, _MOST_ANNOTATION_BYTES))
    return causes


def metadata(kind: Kind, found: Obj) -> list[Cause]:
    """Of an object that is about to be kept."""
    meta = found["metadata"]
    name = meta.get("name", "")
    if not name:
        return [required("metadata.name", "name or generateName is required")]
    causes = []
    if kind.group != "rbac.authorization.k8s.io" and (why := name_complaint(name, kind.kind in _LABEL_KINDS)):
        causes.append(wrong("metadata.name", name, why))
    elif "/" in name or "%" in name or name in (".", ".."):
        causes.append(wrong("metadata.name", name, "may not contain '/' or '%'"))
    causes += labels(meta.get("labels"), "metadata.labels")
    causes += notes(meta.get("annotations"), "metadata.annotations")
    for number, owner in enumerate(meta.get("ownerReferences") or []):
        path = f"metadata.ownerReferences[{number}]"
        causes += [
            Cause("FieldValueInvalid", f"{path}.{key}", f'Invalid value: "": {key} must not be empty')
            for key in ("apiVersion", "kind", "name", "uid")
            if not owner.get(key)
        ]
    owners = [owner for owner in meta.get("ownerReferences") or [] if owner.get("controller")]
    if len(owners) > 1:
        causes.append(
            wrong(
                "metadata.ownerReferences",
                owners,
                'Only one reference can have Controller set to true. Found "true" in references for '
                f"{owners[0].get('kind')}/{owners[0].get('name')} and {owners[1].get('kind')}/{owners[1].get('name')}",
            )
        )
    for finalizer in meta.get("finalizers") or []:
        if why := key_complaint(finalizer):
            causes.append(wrong("metadata.finalizers", finalizer, why))
        elif "/" not in finalizer and finalizer not in ("orphan", "foregroundDeletion", "kubernetes"):
            causes.append(
                wrong(
                    "metadata.finalizers",
                    finalizer,
                    "name is neither a standard finalizer name nor is it fully qualified",
                )
            )
    return causes


def metadata_update(new: Obj, old: Obj) -> list[Cause]:
    """What may not change."""
    was, now = old["metadata"], new["metadata"]
    other = [key for key in ("name", "namespace", "uid") if key in was and now.get(key) != was.get(key)]
    causes = [immutable(f"metadata.{key}", now.get(key)) for key in other]
    if "deletionTimestamp" in was:
        fresh = [one for one in now.get("finalizers") or [] if one not in (was.get("finalizers") or [])]
        if fresh:
            shown = ", ".join(f'"{one}"' for one in fresh)
            causes.append(
                prohibited(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being deleted, found new finalizers "
                    f"[]string{{{shown}}}",
                )
            )
    return causes


def immutable_fields(new: Any, old: Any, path: str, names: tuple[str, ...]) -> list[Cause]:
    return [immutable(f"{path}.{name}", new.get(name)) for name in names if new.get(name) != old.get(name)]
