"""How often something may be tried: a bucket of tries for each address or account, in bounded memory.  Pure.

A bucket holds ``burst`` tries and fills up again with one every ``every_s``.  Only buckets that are not full are kept,
and no more than ``most`` of them: beyond that the ones that are fullest go, so that a flood of addresses takes no
memory and forgives those first who have tried least.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


class Rate(NamedTuple):
    """So many tries at once, and one more after each so many seconds."""

    burst: int
    every_s: float


class Limit:
    """The tries of everybody, by key."""

    def __init__(self, rate: Rate, most: int = 4096) -> None:
        self.rate, self.most = rate, most
        self._empty_until: dict[str, float] = {}
        """When each bucket is full again: now + (tries that are missing) × every_s."""

    def wait(self, key: str, now: float) -> float:
        """Seconds until a try of ``key`` is allowed; 0 if it is now.  Takes nothing."""
        return max(0.0, self._full(key, now) - now - (self.rate.burst - 1) * self.rate.every_s)

    def count(self, key: str, now: float) -> None:
        """Takes a try from the bucket of ``key``; an empty one gets no emptier."""
        full = max(now, self._full(key, now)) + self.rate.every_s
        self._empty_until.pop(key, None)
        self._empty_until[key] = min(full, now + self._longest_s)
        if len(self._empty_until) > self.most:
            self._forget(now)

    @property
    def _longest_s(self) -> float:
        return self.rate.burst * self.rate.every_s

    def _full(self, key: str, now: float) -> float:
        """When a bucket is full again; one that would be emptier than empty is from before a clock was put back."""
        found = self._empty_until.get(key, now)
        return found if found <= now + self._longest_s else now

    def __len__(self) -> int:
        return len(self._empty_until)

    def _forget(self, now: float) -> None:
        """Lets full buckets go, and of the others the fullest until a quarter of the room is free."""
        left = sorted((at, key) for key, at in self._empty_until.items() if at > now)
        keep = left[-(3 * self.most // 4) :]
        self._empty_until = {key: at for at, key in keep}


def neighbourhood(address: str) -> str:
    """The key of an address: itself, or of IPv6 the /64 that one customer has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
