"""What Prometheus may know: counted from the runs' records at the moment of asking, so nothing can drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamer.control.runs import STATES, Run
from streamer.exposition import families
from streamer.figures import RunFigures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class RunCollector(Collector):
    """Metrics of all runs."""

    def __init__(self, records: Callable[[], list[Run]], figures: Sequence[RunFigures]) -> None:
        self._records, self._figures = records, figures

    def collect(self) -> Iterable[Metric]:
        """One family per metric."""
        runs = self._records()
        states = GaugeMetricFamily("cavecast_runs", "Runs, by state.", labels=["state"])
        for state in STATES:
            states.add_metric([state], sum(run.state == state for run in runs))
        yield states
        viewers = GaugeMetricFamily("cavecast_viewers", "Browsers that look at a run now.")
        viewers.add_metric([], sum(run.viewers for run in runs))
        yield viewers
        for name, help, values in (
            ("cavecast_chunks_committed", "Chunks committed.", [run.status.committed for run in runs]),
            ("cavecast_chunks_failed", "Chunks that could not be segmented.", [run.status.failed for run in runs]),
            ("cavecast_voxels_segmented", "Voxels in committed chunks.", [run.status.voxels_done for run in runs]),
            ("cavecast_log_bytes", "Bytes appended to the runs' logs.", [run.status.log_bytes for run in runs]),
        ):
            total = CounterMetricFamily(name, help)
            total.add_metric([], sum(values))
            yield total
        restarts: Counter[str] = Counter(streamer=0, worker=0, renderer=0, archive=0)
        for run in runs:
            for part, times in run.restarts.items():
                restarts[part.partition("-")[0]] += times
        family = CounterMetricFamily("cavecast_part_restarts", "Parts that were started again.", labels=["role"])
        for role, times in sorted(restarts.items()):
            family.add_metric([role], times)
        yield family
        yield from families(self._figures)


def exposition(records: Callable[[], list[Run]], figures: Sequence[RunFigures] = ()) -> bytes:
    """The text that Prometheus reads: of all runs' records, and of the streamers that answered."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RunCollector(records, figures))
    return generate_latest(registry)
