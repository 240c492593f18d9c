"""Who leads, by a Lease of ``coordination.k8s.io/v1``.  Pure; as client-go does it.

Nobody compares clocks: a Lease that has not changed for its duration, by one's own clock, has no holder any more.  The
holder counts from before it asked for the renewal, and stops ``renew_s`` after that, which is less; so whoever
takes over begins later than the other one has stopped.  A Lease that somebody deletes keeps its holder for so long,
who makes it again and leads on.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from streamer.control.cluster.observed import dig, text
from streamer.control.cluster.plan import Object


class Terms(NamedTuple):
    """How long; in seconds."""

    duration_s: float = 15.0
    renew_s: float = 10.0
    retry_s: float = 2.0


class Candidate(msgspec.Struct, frozen=True):
    """One who would lead, and what it has seen of the Lease."""

    me: str
    terms: Terms = Terms()
    version: str = ""
    """Of the Lease, when it was seen to change last; empty if there was none."""
    since: float = 0.0
    """When that was, by the own clock."""
    renewed: float | None = None
    """When the renewal that came to pass last was asked for."""
    holder: str = ""
    """Of the Lease, or of the one that was deleted."""

    def leads(self, now: float) -> bool:
        """Whether it may act."""
        return self.renewed is not None and now - self.renewed < self.terms.renew_s


class Claim(NamedTuple):
    """What is to be written; with ``version`` as a precondition, or as a new object if that is empty."""

    spec: Object
    version: str = ""


def seen(one: Candidate, lease: Object | None, now: float) -> Candidate:
    """The Lease was read."""
    version = text(lease, "metadata", "resourceVersion")
    holder = one.holder if lease is None else text(lease, "spec", "holderIdentity")
    if version == one.version:
        return msgspec.structs.replace(one, holder=holder)
    return msgspec.structs.replace(one, version=version, since=now, holder=holder)


def claim(one: Candidate, lease: Object | None, now: float, stamp: str) -> Claim | None:
    """What to write so as to lead, or to go on leading; None while somebody else does.

    ``lease`` was just ``seen``; ``stamp`` is the time for people, RFC 3339 with microseconds.
    """
    spec = {
        "holderIdentity": one.me, "leaseDurationSeconds": max(1, round(one.terms.duration_s)), "renewTime": stamp,
    }  # fmt: skip
    if lease is None:
        if one.holder not in ("", one.me) and now - one.since < one.terms.duration_s:
            return None
        return Claim({**spec, "acquireTime": stamp, "leaseTransitions": 0})
    if one.holder == one.me:
        return Claim(spec, one.version)
    theirs = dig(lease, "spec", "leaseDurationSeconds")
    patience_s = max(one.terms.duration_s, float(theirs) if isinstance(theirs, int) else 0.0)
    if one.holder and now - one.since < patience_s:
        return None
    times = dig(lease, "spec", "leaseTransitions")
    return Claim(
        {**spec, "acquireTime": stamp, "leaseTransitions": (times if isinstance(times, int) else 0) + 1}, one.version
    )


def taken(one: Candidate, lease: Object, asked: float) -> Candidate:
    """What was to be written, is; ``asked``: when that was begun."""
    found = seen(one, lease, asked)
    return msgspec.structs.replace(found, renewed=asked if found.holder == one.me else one.renewed)


def freed(one: Candidate) -> Claim:
    """What to write so that the next one may lead at once."""
    return Claim({"holderIdentity": None, "leaseDurationSeconds": 1}, one.version)
