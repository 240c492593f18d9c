"""Where the control plane meets a run's parts.  Pure.

As a pod it uses the names of Services and the addresses of pods; whoever comes through a port-forward, or from beside
the cluster, has other ways, which a site may write down.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from streamer.control.cluster.plan import NotPossible

_FIELD = re.compile(r"\{([^{}]*)\}")
FIELDS = ("service", "namespace", "pod", "ip", "port")


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Patterns of addresses, with the names of FIELDS in braces; ``pod`` and ``ip`` are of one that is ready."""

    feed: str = "tcp://{service}.{namespace}.svc:{port}"
    """Of the streamer, and of relays."""
    wall: str = "tcp://{service}.{namespace}.svc:{port}"
    """Of a wall's conductor."""
    views: str = "tcp://{ip}:{port}"
    """Of a renderer: there may be several, so it is not the Service that is asked."""

    def check(self) -> None:
        """Raises NotPossible if a pattern cannot be used."""
        for name, pattern in (("feed", self.feed), ("wall", self.wall), ("views", self.views)):
            wrong = [found for found in _FIELD.findall(pattern) if found not in FIELDS]
            if wrong or not pattern.startswith(("tcp://", "ipc://")):
                raise NotPossible(
                    f"reach.{name} is {pattern!r}: write an address with {', '.join(f'{{{one}}}' for one in FIELDS)}"
                )


def address(pattern: str, facts: Mapping[str, str]) -> str:
    """The address that a pattern comes to; empty if it needs what is not known yet."""
    if any(not facts.get(name) for name in _FIELD.findall(pattern)):
        return ""
    ip = facts.get("ip", "")
    bracketed = {**facts, "ip": f"[{ip}]" if ":" in ip else ip}
    return _FIELD.sub(lambda found: bracketed[found[1]], pattern)
