"""How a run stands: what has been done, how fast, and how long the rest will take."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from streamer.leases import Leases
from streamer.record import Record
from streamer.wire.status import Part, RunStatus


class Rate:
    """How much per second, over the last ten; keeps at most one number for each quarter of a second."""

    WINDOW_S = 10.0
    STEP_S = 0.25

    def __init__(self, start: float) -> None:
        self._start = start
        self._steps: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def add(self, amount: float, now: float) -> None:
        """So much more has been done."""
        self._forget(now)
        if self._steps and now - self._steps[-1][0] < self.STEP_S:
            at, before = self._steps[-1]
            self._steps[-1] = at, before + amount
        else:
            self._steps.append((now, amount))
        self._sum += amount

    def per_s(self, now: float) -> float:
        """The rate; 0 before anything has been done."""
        self._forget(now)
        if not self._steps:
            return 0.0
        return max(self._sum, 0.0) / min(max(now - self._start, self.STEP_S), self.WINDOW_S)

    def _forget(self, now: float) -> None:
        while self._steps and self._steps[0][0] < now - self.WINDOW_S:
            self._sum -= self._steps.popleft()[1]


class Progress:
    """When a run started and ended, how fast it goes, and why chunks failed."""

    KEPT = 100
    """Reasons that are kept."""

    def __init__(self, now: float, before_s: float = 0.0) -> None:
        """``before_s``: so long the run went before the streamer was started again."""
        self.start, self.stop, self._paused_at = now - before_s, None, None
        self._rate = Rate(now)
        self._voxels, self._all = 0, before_s > 0
        self.failures: dict[int, str] = {}

    start: float
    stop: float | None
    _paused_at: float | None

    def begin(self, now: float) -> None:
        """The run starts now."""
        self.start, self._rate = now, Rate(now)

    def end(self, now: float) -> None:
        """The run has ended."""
        self.stop = now

    def pause(self, now: float) -> None:
        """The run stands still from now on."""
        self._paused_at = now

    def resume(self, now: float) -> None:
        """It goes on: the time in between does not count."""
        if self._paused_at is not None:
            self.start += now - self._paused_at
            self._paused_at, self._rate = None, Rate(now)

    def done(self, voxels: int, now: float) -> None:
        """So many voxels have been committed."""
        self._rate.add(voxels, now)
        self._voxels += voxels

    def worked_s(self, now: float) -> float:
        """Seconds since the start; stands still during a pause and once the run has ended."""
        stop = self._paused_at if self.stop is None else self.stop
        return (now if stop is None else stop) - self.start

    def gave_up(self, chunk: int, reason: str) -> None:
        """A chunk has failed for good."""
        if len(self.failures) < self.KEPT:
            self.failures[chunk] = reason

    def status(
        self, run_id: str, state: str, record: Record, leases: Leases, parts: Iterable[Part], note: str, now: float
    ) -> RunStatus:
        """The whole of it."""
        waiting = state == "waiting"
        rate = 0.0 if waiting or state == "paused" or self.stop is not None else self._rate.per_s(now)
        voxels = record.grid.voxels
        left = voxels - record.voxels_done
        seconds = 0.0 if waiting else self.worked_s(now)
        if self.stop is not None and seconds > 0:
            # If it is not known how long it went before, only what was done since counts.
            rate = (record.voxels_done if self._all else self._voxels) / seconds
        return RunStatus(
            run_id=run_id,
            state=state,
            chunks=record.grid.size,
            committed=leases.committed,
            leased=leases.leased,
            failed=leases.failed,
            voxels=voxels,
            voxels_done=record.voxels_done,
            labelled_voxels=record.labelled,
            objects=record.assembly.objects,
            seconds=seconds,
            voxels_per_second=rate,
            eta_s=None if self.stop is not None or rate <= 0 else left / rate,
            log_position=record.log.head,
            log_bytes=record.log.nbytes,
            parts=tuple(parts),
            failures=dict(self.failures),
            note=note,
        )
