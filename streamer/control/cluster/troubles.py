"""What goes wrong between us and an API server, each kind with one sentence that says what to do.  Pure.

The server's own words (a Status object) are read where they are known, and quoted in one line where they are not.
"""

from __future__ import annotations

import json
import re
from typing import Any

_LONGEST = 400
_MAY_NOT = re.compile(
    r'User "(?P<who>[^"]*)" cannot (?P<verb>\S+) resource "(?P<what>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)"| at the cluster scope)'
)
_QUOTA = re.compile(r"exceeded quota: ([^,]+), requested: (.+?), used: (.+?), limited: (.+)$")


class Trouble(Exception):
    """Something with the API server; its text is a sentence."""

    retry_after_s = 0.0


class NotThere(Trouble):
    """404: it is gone for certain, or never was."""


class AlreadyThere(Trouble):
    """409: something of that name is there."""


class Taken(Trouble):
    """Something of that name is there and is not ours, or not what was to be made."""


class Changed(Trouble):
    """409: it is not any more what it was when it was looked at."""


class NotAllowed(Trouble):
    """401 or 403: who we are, or what we may."""


class OverQuota(Trouble):
    """403: a quota."""


class Refused(Trouble):
    """400, 405, 413, 415, 422, or our own check: the object cannot be so."""


class Expired(Trouble):
    """410: that version is too old to go on from."""


class Unanswered(Trouble):
    """No answer, or one that is none: nothing follows from it for any object."""


def one_line(raw: object) -> str:
    """A text in one line, cut where it is long."""
    found = " ".join("".join(c if c.isprintable() else " " for c in str(raw)[: 4 * _LONGEST]).split())
    return found if len(found) <= _LONGEST else found[: _LONGEST - 1] + "…"


def of_answer(what: str, server: str, code: int, body: bytes, retry_after: str | None = None) -> Trouble:
    """The trouble that an answer other than 2xx means.  ``what``: what we were about (``create Job lab/cc-1``)."""
    status = _status(body)
    found = of_status(what, server, {**status, "code": code})
    if retry_after is not None and retry_after.isdecimal():
        found.retry_after_s = float(retry_after)
    return found


def _status(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {"message": body[:_LONGEST].decode("utf-8", "replace")}
    return found if isinstance(found, dict) else {"message": str(found)}


def of_status(what: str, server: str, status: dict[str, Any]) -> Trouble:
    """The trouble that a Status object means, be it an answer or an ERROR of a watch."""
    code, reason, said = status.get("code"), status.get("reason"), one_line(status.get("message") or "")
    match code:
        case 401:
            return NotAllowed(
                f"the API server {server} does not know us (401): log in again, or renew the token in the kubeconfig"
            )
        case 403:
            return _forbidden(what, said)
        case 404 if reason == "NotFound":
            return NotThere(f"{what}: {said}")
        case 409:
            kind = AlreadyThere if reason == "AlreadyExists" else Changed
            return kind(f"{what}: {said}")
        case 410:
            return Expired(f"{what}: {said}")
        case 429:
            return Unanswered(f"{what}: the API server {server} is overloaded (429): {said}; it is tried again")
        case int() if 400 <= code < 500:
            return Refused(f"{what}: the API server refuses it ({code}): {said}")
    return Unanswered(
        f"{what}: the API server {server} failed ({code}): {said or 'it does not say why'}; it is tried again"
    )


def _forbidden(what: str, said: str) -> Trouble:
    if over := _QUOTA.search(said):
        name, asked, used, limit = over.groups()
        return OverQuota(
            f"{what}: the quota {name} refuses it: it asks for {asked}, {used} is used of {limit}; end other runs, ask "
            "for less, or ask the administrator for more"
        )
    if denied := _MAY_NOT.search(said):
        what_of = denied["what"] + f".{denied['group']}" * bool(denied["group"])
        where = f"in namespace {denied['namespace']}" if denied["namespace"] else "in the whole cluster"
        return NotAllowed(
            f"{what}: {denied['who']} may not {denied['verb']} {what_of} {where}; ask the administrator for a "
            "role that allows it"
        )
    return NotAllowed(f"{what}: the API server forbids it: {said}")


def of_silence(what: str, server: str, why: object) -> Unanswered:
    """No answer came: refused, reset, timed out, not found by name, no TLS."""
    return Unanswered(f"{what}: the API server {server} does not answer ({one_line(why)}); it is tried again")
