"""Where a request comes from and what it was sent to: addresses, proxies, origins.  Pure.

Headers that a proxy sets (``X-Forwarded-For``, ``X-Forwarded-Proto``) are believed from trusted proxies alone: of the
addresses in ``X-Forwarded-For`` the last one that is no trusted proxy's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_loopback(host: str) -> bool:
    """Whether a host, by name or number, is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Whence(NamedTuple):
    """Where a request comes from."""

    address: str
    secure: bool
    """Whether it came over HTTPS, as far as we or a trusted proxy can see."""


class WrongPlace(ValueError):
    """An address of ours that cannot be used: which, and why."""

    exit_code = 2


def networks(text: str | None) -> tuple[Network, ...]:
    """The networks that a list, divided by commas, names.  Raises WrongPlace."""
    found = []
    for one in filter(None, (part.strip() for part in (text or "").split(","))):
        try:
            found.append(ipaddress.ip_network(one))
        except ValueError as why:
            raise WrongPlace(
                f"trusted_proxies has {one!r}, which is no address or network (10.0.0.0/8): {why}"
            ) from None
    return tuple(found)


def whence(
    peer: str, scheme: str, forwarded_for: Sequence[str], forwarded_proto: str | None, trusted: Sequence[Network]
) -> Whence:
    """Where a request comes from: ``peer`` is who has connected, ``forwarded_for`` all such headers in order."""
    secure = scheme in ("https", "wss")
    if not _among(peer, trusted):
        return Whence(peer, secure)
    if forwarded_proto is not None:
        secure = forwarded_proto.split(",")[-1].strip().lower() in ("https", "wss")
    hops = [hop.strip() for hop in ",".join(forwarded_for).split(",") if hop.strip()]
    for hop in reversed(hops):
        if not _is_address(hop):
            return Whence(peer, secure)
        if not _among(hop, trusted):
            return Whence(hop, secure)
    return Whence(hops[0] if hops else peer, secure)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _among(address: str, trusted: Sequence[Network]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in trusted)


class Public(NamedTuple):
    """The address by which people know the server."""

    scheme: str
    netloc: str
    """Host, and port where it is not the scheme's own; in small letters."""
    path: str = ""
    """A prefix that a proxy puts before all paths, without a slash at its end."""

    @property
    def url(self) -> str:
        """The whole of it, without a slash at its end."""
        return f"{self.scheme}://{self.netloc}{self.path}"


def public(url: str) -> Public:
    """The parts of a public address.  Raises WrongPlace."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as why:
        raise WrongPlace(f"public_url is {url!r}, which is no address: {why}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WrongPlace(f"public_url is {url!r}: it must be such as https://cavecast.example.org")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise WrongPlace(f"public_url is {url!r}: it may have a path, and nothing behind or before it")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    own = {"http": 80, "https": 443}[parts.scheme]
    return Public(parts.scheme, host if port in (None, own) else f"{host}:{port}", parts.path.rstrip("/"))


def same_netloc(host: str, public: Public) -> bool:
    """Whether a ``Host`` (or the host of an ``Origin``) is the public one."""
    own = {"http": ":80", "https": ":443"}[public.scheme]
    return host.lower().removesuffix(own) == public.netloc.lower().removesuffix(own)


def way_back(next: str) -> str:
    """Where to go after a login: a relative path of this server, or its first page for all that is none.

    The page's address below the prefix, without a slash at its beginning: ``view/run-1``.
    """
    safe = (
        len(next) <= 1024
        and next.isascii()
        and next.isprintable()
        and not any(sign in next for sign in "\\ @:")
        and not next.startswith("/")
        and ".." not in next
        and "//" not in next
    )
    return next if safe else ""
