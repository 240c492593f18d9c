"""What Prometheus may know: counted from the runs' records at the moment of asking, so nothing can drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamer.control.runs import STATES, Role, Run
from streamer.exposition import families, relay_families
from streamer.figures import RunFigures
from streamer.relay_figures import RelayFigures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Totals(NamedTuple):
    """What runs have done that are not listed any more, so that no counter falls when they are forgotten."""

    committed: int = 0
    failed: int = 0
    voxels: int = 0
    log_bytes: int = 0
    restarts: Mapping[str, int] = {}
    """By role."""

    def and_(self, run: Run) -> Totals:
        """With one more run."""
        if run.state == "queued":
            return self
        status, restarts = run.status, self.restarts
        if run.restarts:
            restarts = Counter(restarts)
            for part, times in run.restarts.items():
                restarts[part.partition("-")[0]] += times
        return Totals(
            self.committed + status.committed, self.failed + status.failed, self.voxels + status.voxels_done,
            self.log_bytes + status.log_bytes, restarts,
        )  # fmt: skip


NOTHING_PAST = Totals()


class RunCollector(Collector):
    """Metrics of all runs; ``past`` is what those have done that ``records`` does not give any more."""

    def __init__(
        self,
        records: Callable[[], list[Run]],
        figures: Sequence[RunFigures],
        relays: Sequence[RelayFigures],
        past: Totals,
    ) -> None:
        self._records, self._figures, self._relays, self._past = records, figures, relays, past

    def collect(self) -> Iterable[Metric]:
        """One family per metric."""
        runs = self._records()
        standing = Counter(run.state for run in runs)
        states = GaugeMetricFamily("cavecast_runs", "Runs, by state.", labels=["state"])
        for state in STATES:
            states.add_metric([state], standing[state])
        yield states
        viewers = GaugeMetricFamily("cavecast_viewers", "Browsers that look at a run now.")
        viewers.add_metric([], sum(run.viewers for run in runs))
        yield viewers
        totals = self._past
        for run in runs:
            totals = totals.and_(run)
        for name, help, value in (
            ("cavecast_chunks_committed", "Chunks committed.", totals.committed),
            ("cavecast_chunks_failed", "Chunks that could not be segmented.", totals.failed),
            ("cavecast_voxels_segmented", "Voxels in committed chunks.", totals.voxels),
            ("cavecast_log_bytes", "Bytes appended to the runs' logs.", totals.log_bytes),
        ):
            total = CounterMetricFamily(name, help)
            total.add_metric([], value)
            yield total
        restarts = {**dict.fromkeys(get_args(Role), 0), **totals.restarts}
        family = CounterMetricFamily("cavecast_part_restarts", "Parts that were started again.", labels=["role"])
        for role, times in sorted(restarts.items()):
            family.add_metric([role], times)
        yield family
        yield from families(self._figures)
        yield from relay_families(self._relays)


def exposition(
    records: Callable[[], list[Run]],
    figures: Sequence[RunFigures] = (),
    relays: Sequence[RelayFigures] = (),
    past: Totals = NOTHING_PAST,
) -> bytes:
    """The text that Prometheus reads: of all runs' records, and of the streamers and relays that answered."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RunCollector(records, figures, relays, past))
    return generate_latest(registry)
