"""What the processes of a run use, as this machine tells it when somebody asks."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from streamer.control import proc
from streamer.control.crew import Crew
from streamer.control.usage import Meter, Reading, Usage

GPUS_S = 10.0
"""So old may be what is known of GPUs."""


class Gauge:
    """Reads what one run's processes use."""

    def __init__(self) -> None:
        self._meter = Meter()
        self._gpus: proc.Gpus | None = None
        self._gpus_at = -math.inf

    async def read(self, crew: Crew) -> Sequence[Usage]:
        """What the processes of each role use now, and have used so far."""
        if not proc.measurable():
            return ()
        now = time.monotonic()
        if now - self._gpus_at > GPUS_S:
            self._gpus, self._gpus_at = await proc.gpus(), now
        found: dict[tuple[str, str], Reading] = {}
        for role, pid in crew.at_work:
            found.update({(role, one): read for one, read in proc.readings(pid, self._gpus).items()})
        busy = None if self._gpus is None else self._gpus.busy
        return self._meter.read(found, list(crew.plan.parts.values()), busy)
