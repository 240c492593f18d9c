"""What of a shared view is written down, and when its viewers' changes are to be.  Pure.

A view that the control plane keeps has a revision.  What its viewers make of it goes there at most once a second and
one at a time; until the echo of that has come, what they do next waits, so that the last of it is always written.
"""

from __future__ import annotations

from math import inf

from streamer.wire.camera import Camera
from streamer.wire.keeping import Stored
from streamer.wire.viewing import View

EVERY_S = 1.0
AGAIN_S = 5.0
"""What has had no echo for so long is sent again."""
State = tuple[Camera | None, View]


class Keeping:
    """What is known of one view."""

    def __init__(self) -> None:
        self.revision = 0
        """0: nobody keeps it."""
        self._kept: State | None = None
        self._sent: State | None = None
        self._sent_at = -inf
        self._under_way = False

    def heard(self, stored: Stored) -> bool:
        """The control plane says what it keeps; whether that is to be shown."""
        if stored.revision == 0:
            self.revision, self._kept, self._under_way = 0, None, False
            return False
        if stored.revision <= self.revision:
            return False  # several relays say the same
        # Of an echo what was sent is taken: were it ever spelled otherwise on the way, it would be sent without end.
        ours = self._sent if stored.echo and self._under_way else None
        self.revision, self._under_way = stored.revision, False
        self._kept = ours or (stored.camera, stored.view)
        return not stored.echo

    def at(self, state: State) -> float:
        """When a state is to be sent; infinity if it is not."""
        if self.revision == 0 or state[0] is None or state == self._kept:
            return inf
        return self._sent_at + (AGAIN_S if self._under_way else EVERY_S)

    def unsaid(self, state: State) -> bool:
        """Whether a state is to be sent at once if it is the last that there will be."""
        return self.at(state) < inf and not self._under_way

    def sent(self, state: State, now: float) -> None:
        """It has been sent."""
        self._sent, self._sent_at, self._under_way = state, now, True
