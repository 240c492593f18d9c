"""The figures of runs as Prometheus reads them; ``docs/metrics.md`` says what each is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from streamer.figures import BOUNDS_S, Latency, RunFigures, SubscriberFigures
from streamer.relay_figures import RelayFigures


class _Figure(NamedTuple):
    name: str
    help: str
    value: Callable[[RunFigures], float]


class _OfRelay(NamedTuple):
    name: str
    help: str
    value: Callable[[RelayFigures], float]


class _OfSubscriber(NamedTuple):
    name: str
    help: str
    value: Callable[[SubscriberFigures], float]


COUNTERS = (
    _Figure("committed_bytes", "Payload bytes of acknowledged commits.", lambda f: f.committed_bytes),
    _Figure("lease_retries", "Leases of chunks that had been leased before.", lambda f: f.retries),
    _Figure("chunk_fails", "Times that a worker could not do a chunk.", lambda f: f.fails),
    _Figure("commits_put_off", "Commits asked for again, for want of room on the disk.", lambda f: f.put_off),
    _Figure("commit_conflicts", "Second commits of a chunk that differed from the first.", lambda f: f.conflicts),
)
GAUGES = (
    _Figure("committed_chunks", "Chunks in the log.", lambda f: f.committed_chunks),
    _Figure("failed_chunks", "Chunks that were given up.", lambda f: f.failed_chunks),
    _Figure("leased_chunks", "Chunks that are leased now.", lambda f: f.leases),
    _Figure("oldest_lease_seconds", "Age of the oldest lease.", lambda f: f.oldest_lease_s),
    _Figure("workers", "Workers that take part.", lambda f: f.workers),
    _Figure("log_position_entries", "Entries of the log.", lambda f: f.log_position),
    _Figure("log_size_bytes", "Size of the log.", lambda f: f.log_bytes),
    _Figure("archive_position_entries", "Entries that the archive has read; -1: none.", lambda f: f.archive_position),
    _Figure("archived_entries", "Entries that are in the store, durable.", lambda f: f.archived_entries),
    _Figure("archive_lag_seconds", "Age of the first entry that is not.", lambda f: f.archive_lag_s),
    _Figure("archive_stands_still", "1 while the store cannot be written.", lambda f: f.archive_stands_still),
)
LATENCIES: tuple[tuple[str, str, Callable[[RunFigures], Latency]], ...] = (
    ("lease_to_commit_seconds", "From a lease to its commit's arrival.", lambda f: f.commit_seconds),
    ("commit_to_ack_seconds", "From a commit's arrival to its acknowledgement.", lambda f: f.ack_seconds),
)
SUBSCRIBERS = (
    _OfSubscriber("subscriber_lag_entries", "Entries not read yet.", lambda s: s.lag_entries),
    _OfSubscriber("subscriber_lag_bytes", "Bytes of the log not read yet.", lambda s: s.lag_bytes),
    _OfSubscriber("subscriber_lag_seconds", "Age of the first entry not read.", lambda s: s.lag_s),
    _OfSubscriber("subscriber_credit_bytes", "Bytes asked for and not sent.", lambda s: s.credit_bytes),
    _OfSubscriber("subscriber_credit_messages", "Entries asked for and not sent.", lambda s: s.credit_messages),
)
RELAY_COUNTERS = (
    _OfRelay("copies_begun", "Times that the copy began anew: the source's log was another.", lambda r: r.begun),
    _OfRelay("damaged_entries", "Entries that came damaged and were asked for again.", lambda r: r.damaged),
)
RELAY_GAUGES = (
    _OfRelay("position_entries", "Entries of its log.", lambda r: r.position),
    _OfRelay("kept_position_entries", "Entries as durable as its policy asks for.", lambda r: r.kept),
    _OfRelay("log_size_bytes", "Size of its log.", lambda r: r.log_bytes),
    _OfRelay("lag_entries", "Entries of the streamer's log not copied yet.", lambda r: r.lag_entries),
    _OfRelay("lag_bytes", "Bytes of the streamer's log not copied yet.", lambda r: r.lag_bytes),
    _OfRelay("lag_seconds", "Since the first entry not copied yet is known.", lambda r: r.lag_s),
    _OfRelay("source_silent_seconds", "Since anything was heard of its source; -1: nothing yet.", lambda r: r.silent_s),
    _OfRelay("credit_bytes", "Room given to its source and not filled.", lambda r: r.credit_bytes),
    _OfRelay("credit_messages", "Entries asked of its source and not come.", lambda r: r.credit_messages),
    _OfRelay("disk_full", "1 while it waits for its disk.", lambda r: r.full),
    _OfRelay("subscribers", "Who reads it.", lambda r: len(r.subscribers)),
)
PREFIX, RELAY_PREFIX = "cavecast_streamer_", "cavecast_relay_"


def families(runs: Sequence[RunFigures]) -> Iterable[Metric]:
    """One family per metric, a sample per run (and per subscriber, reason or bound)."""
    for one in (*COUNTERS, *GAUGES):
        kind = CounterMetricFamily if one in COUNTERS else GaugeMetricFamily
        family = kind(PREFIX + one.name, one.help, labels=["run"])
        for run in runs:
            family.add_metric([run.run_id], one.value(run))
        yield family
    for name, help, value in LATENCIES:
        latency = HistogramMetricFamily(PREFIX + name, help, labels=["run"])
        for run in runs:
            counts = value(run).counts
            buckets = [(str(bound), sum(counts[: n + 1])) for n, bound in enumerate((*BOUNDS_S, "+Inf"))]
            latency.add_metric([run.run_id], buckets, value(run).sum_s)
        yield latency
    doors = CounterMetricFamily(PREFIX + "refused_messages", "What was not taken, by reason.", labels=["run", "reason"])
    for run in runs:
        for reason, times in sorted(run.doors.items()):
            doors.add_metric([run.run_id, reason], times)
    yield doors
    yield from _subscribers(PREFIX, ["run"], [([run.run_id], run.subscribers) for run in runs])


def relay_families(relays: Sequence[RelayFigures]) -> Iterable[Metric]:
    """One family per metric, a sample per relay (and per subscriber or reason)."""
    for one in (*RELAY_COUNTERS, *RELAY_GAUGES):
        kind = CounterMetricFamily if one in RELAY_COUNTERS else GaugeMetricFamily
        family = kind(RELAY_PREFIX + one.name, one.help, labels=["run", "relay"])
        for relay in relays:
            family.add_metric([relay.run_id, relay.relay], one.value(relay))
        yield family
    doors = CounterMetricFamily(
        RELAY_PREFIX + "refused_messages", "What was not taken, by reason.", labels=["run", "relay", "reason"]
    )
    for relay in relays:
        for reason, times in sorted(relay.doors.items()):
            doors.add_metric([relay.run_id, relay.relay, reason], times)
    yield doors
    yield from _subscribers(
        RELAY_PREFIX, ["run", "relay"], [([one.run_id, one.relay], one.subscribers) for one in relays]
    )  # fmt: skip


def _subscribers(
    prefix: str, labels: list[str], all_of: Sequence[tuple[list[str], Sequence[SubscriberFigures]]]
) -> Iterable[Metric]:
    for each in SUBSCRIBERS:
        gauge = GaugeMetricFamily(prefix + each.name, each.help, labels=[*labels, "role", "subscriber"])
        for values, subscribers in all_of:
            worst: dict[tuple[str, str], float] = {}  # two may have one name; a sample may not come twice
            for subscriber in subscribers:
                key, number = (subscriber.role, subscriber.name), each.value(subscriber)
                worst[key] = max(worst.get(key, number), number)
            for (role, name), number in worst.items():
                gauge.add_metric([*values, role, name], number)
        yield gauge


class Endpoint(Collector):
    """An HTTP address on loopback, in a thread, that serves the figures last ``shown``."""

    def __init__(self, port: int) -> None:
        """Raises OSError if the port is taken."""
        self._figures: RunFigures | RelayFigures | None = None
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        self._server, self._thread = start_http_server(port, "127.0.0.1", registry)
        self.port = int(self._server.server_address[1])

    def show(self, figures: RunFigures | RelayFigures) -> None:
        """What is served from now on."""
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """Called by the server's thread."""
        figures = self._figures
        if isinstance(figures, RelayFigures):
            return relay_families([figures])
        return families([figures] if figures is not None else [])

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()
        if isinstance(self._thread, threading.Thread):
            self._thread.join()
