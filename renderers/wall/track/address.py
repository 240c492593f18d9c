"""Where trackers are: the addresses of a wall file in their parts.  Pure."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from renderers.wall.records import TrackerSource
from renderers.wall.track.vrpn import parse_address


def udp_address(address: str) -> tuple[str, int, str]:
    """Host, port and the sender that is listened to (empty: any) of ``udp://0.0.0.0:5000?from=HOST``.
    Raises ValueError."""
    try:
        parts = urlsplit(address)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    if scheme != "udp" or not host or port is None:
        raise ValueError(f"tracker address {address!r}: write it as in 'udp://0.0.0.0:5000'")
    return host, port, parse_qs(parts.query).get("from", [""])[0]


def address_flaw(source: TrackerSource) -> str:
    """Why nothing can come from a source's address, whatever runs there; empty if something may."""
    try:
        if source.kind in ("dtrack", "osc"):
            udp_address(source.address)
        elif source.kind == "vrpn":
            parse_address(source.address)
    except ValueError as why:
        return str(why)
    if source.kind in ("gamepad", "replay") and not source.address:
        example = "/dev/input/js0" if source.kind == "gamepad" else "walk.session"
        return f"a {source.kind} without an address: name its file, such as {example!r}"
    return ""
