"""A wall's ears: its trackers, what is recorded of them, and a word when one of them falls silent or lies."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import structlog

from renderers.wall.track.listen import Listener
from renderers.wall.track.sensed import Record, SourceState
from renderers.wall.track.tape import Tape


class Senses:
    """What comes from a listener, and a tape that keeps it; either may be missing.  For one thread."""

    def __init__(self, listener: Listener | None, tape: Tape | None) -> None:
        self.listener, self._tape = listener, tape
        self._log = structlog.get_logger("conductor")
        self._troubles: dict[int, str] = {}
        self._lost_said = 0
        self._trouble_said = ""

    @property
    def unrecorded(self) -> int:
        """Records that should have been recorded and were not."""
        return self._tape.lost if self._tape is not None else 0

    def states(self) -> tuple[SourceState, ...]:
        """How each source is doing."""
        return tuple(self.listener.states()) if self.listener is not None else ()

    def read(self, now: float) -> list[Record]:
        """What has come.  Never waits."""
        return self.listener.read(now) if self.listener is not None else []

    def keep(self, records: Sequence[Record], now: float) -> None:
        """Has records recorded, if the session is.  Never waits."""
        if self._tape is not None:
            self._tape.put(records, now)

    def deadline(self) -> float:
        """When ``read`` wants to be called."""
        return self.listener.deadline() if self.listener is not None else inf

    def tell(self) -> None:
        """Says in the log what has changed for the worse or for the better; to be called now and then."""
        for number, state in enumerate(self.states()):
            before = self._troubles.get(number, "")
            if state.trouble != before:
                self._troubles[number] = state.trouble
                if state.trouble:
                    self._log.warning("tracker", source=number, address=state.address, why=state.trouble)
                else:
                    self._log.info("tracker is heard", source=number, address=state.address)
        if self._tape is None:
            return
        if self._tape.trouble != self._trouble_said:
            self._trouble_said = self._tape.trouble
            self._log.warning("the session is recorded no further", why=self._tape.trouble)
        elif self._tape.lost > self._lost_said and not self._tape.trouble:
            self._lost_said = self._tape.lost
            self._log.warning("the disk is too slow to record the session", lost=self._tape.lost)
