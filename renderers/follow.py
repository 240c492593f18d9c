"""How the renderer follows the log (``streamer.wire.follow``): what it wants, and how much may wait here."""

from __future__ import annotations

from streamer.wire import follow
from streamer.wire.follow import ANEW_S, ASK_S, SLOWEST_S, Anew, Ask, Begin, Elsewhere, Stand, Step, Take, Tell

__all__ = [
    "ANEW_S",
    "ASK_S",
    "LAYERS",
    "PARTS",
    "SLOWEST_S",
    "WINDOW_BYTES",
    "WINDOW_MESSAGES",
    "Anew",
    "Ask",
    "Begin",
    "Elsewhere",
    "Follower",
    "Stand",
    "Step",
    "Take",
    "Tell",
]

PARTS = ("labels", "seam", "ids")
LAYERS = ("field",)
"""What it wants besides, where the run's chunks carry it."""
WINDOW_BYTES, WINDOW_MESSAGES = 32 << 20, 12


class Follower(follow.Follower):
    """One subscription of a renderer; one that comes ``late`` draws what is there first,
    all of it at half the resolution and then whole, each nearest to the view."""

    def __init__(self, name: str, now: float, *, late: bool = False) -> None:
        wants = follow.Wants(
            "renderer", name, (*PARTS, *LAYERS), WINDOW_BYTES, WINDOW_MESSAGES, late=late, coarse_first=late
        )
        super().__init__(wants, now)
