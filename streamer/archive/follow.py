"""How the archive follows the log (``streamer.wire.follow``): what it wants of it, and when it gives up.

Unlike other subscribers it has an end, so it does not wait for ever: a refusal, an entry that cannot be read
three times in a row, or a long silence end it in words.  And what it wants changes: after a restart the chunks
that are in the store already come without their labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streamer.wire import follow
from streamer.wire.batch import BATCH_BYTES
from streamer.wire.block import PARTS
from streamer.wire.codec import Buffer
from streamer.wire.follow import LARGEST_WINDOW, Step, Take, Wants
from streamer.wire.messages import Known, Refuse

WINDOW_BYTES, WINDOW_MESSAGES = 64 << 20, 4096
TELL_S = 0.5
"""How far the archive has read is told at least so often while it reads."""


class Lost(Exception):
    """The feed cannot be followed any further: why, in a sentence."""


class NotHeard(Lost):
    """Nothing came from the streamer for longer than there is patience."""


class Follower(follow.Follower):
    """The archive's subscription; gives up after ``give_up_s`` of silence.  All but ``ask`` may raise Lost."""

    def __init__(self, name: str, give_up_s: float, now: float) -> None:
        super().__init__(Wants("archive", name, PARTS, WINDOW_BYTES, WINDOW_MESSAGES, batch=BATCH_BYTES), now)
        self._give_up_s = give_up_s
        self._signed_at = self._told_at = now
        self._told = 0
        self._bad = 0

    def ask(self, parts: tuple[str, ...], now: float) -> list[Step]:
        """From the next entry on other parts are needed: asks for these, if they are others."""
        if parts == self._wants.parts:
            return []
        self._wants = self._wants._replace(parts=parts)
        return [self.hello(now)]

    def back(self, number: int, later: Iterable[Step]) -> None:
        """Entries from this one on that have come are not used: ``later`` are the steps that are left out."""
        for step in later:
            if isinstance(step, Take):
                self.dropped(step.nbytes)
        self.next = number

    def receive(self, message: Known, payloads: Sequence[Buffer], now: float) -> list[Step]:
        self._signed_at = now
        if isinstance(message, Refuse) and (not self._welcome or self._window >= LARGEST_WINDOW):
            raise Lost(f"the streamer refuses the archive: {message.reason}")
        return super().receive(message, payloads, now)

    def damaged(self, entry: Take, why: str, now: float) -> list[Step]:
        self._bad += 1
        if self._bad >= 3:
            raise Lost(f"entry {entry.entry.number} of the log arrived damaged three times: {why}")
        return super().damaged(entry, why, now)

    def intact(self) -> None:
        self._bad = 0
        super().intact()

    def busy(self, now: float) -> None:
        """It had other things to do, and could not listen: the silence until now tells nothing."""
        self._heard_at = self._asked_at = self._moved_at = self._signed_at = now

    def tick(self, now: float) -> list[Step]:
        """What the time brings; may be called at any time, and wants to be at ``deadline``."""
        silent = now - self._signed_at
        if silent >= self._give_up_s:
            raise NotHeard(f"nothing was heard from the streamer for {silent:.0f} s")
        if self._welcome and self.next != self._told and now - self._told_at >= TELL_S:
            self._told_at = now
            return self._credit(eager=True)
        return super().tick(now)

    def deadline(self) -> float:
        tell = (
            self._told_at + TELL_S if self._welcome and self.next != self._told else self._signed_at + self._give_up_s
        )
        return min(super().deadline(), tell, self._signed_at + self._give_up_s)

    def told(self) -> list[Step]:
        """How far it has read, at the end."""
        return self._credit(eager=True)

    def _credit(self, *, eager: bool) -> list[Step]:
        steps = super()._credit(eager=eager)
        if steps:
            self._told = self.next
        return steps
