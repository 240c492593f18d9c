"""The figures of a wall as Prometheus reads them; ``docs/metrics.md`` says what each is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from renderers.wall.figures import Spread, WallFigures

PREFIX = "cavecast_wall_"
COUNTERS: tuple[tuple[str, str, Callable[[WallFigures], float]], ...] = (
    ("frames", "Frames shown.", lambda f: f.frames),
    ("deaths", "Processes that were not heard any more.", lambda f: f.deaths),
    ("rejoins", "Times that a process came back after an eviction.", lambda f: f.rejoins),
    ("unrecorded_records", "Records of trackers that were not recorded.", lambda f: f.heard.unrecorded),
    ("missed_shows", "Tiles that did not report that they showed a frame.", lambda f: f.missed_shows),
)
GAUGES: tuple[tuple[str, str, Callable[[WallFigures], float]], ...] = (
    ("frame_rate_hertz", "Frames shown in the last second.", lambda f: f.rate_hz),
    ("position_entries", "Entries of the log that are shown.", lambda f: f.position),
    ("live_seats", "Processes that are frame-locked.", lambda f: f.live),
    ("stale_tiles", "Tiles that do not show what the wall shows.", lambda f: len(f.stale)),
)
SPREADS: tuple[tuple[str, str, Callable[[WallFigures], Spread]], ...] = (
    ("draw_to_show_seconds", "From Draw to Show.", lambda f: f.draw_to_show),
    ("ready_spread_seconds", "From a frame's first Ready to its last.", lambda f: f.ready_spread),
    ("skew_seconds", "From the first tile that shows a frame to the last.", lambda f: f.skew),
    ("sensor_to_draw_seconds", "From a tracker's packet to the Draw that uses it.", lambda f: f.sensor_to_draw),
    ("sensor_to_show_seconds", "From a tracker's packet to the picture on all tiles.", lambda f: f.sensor_to_show),
    ("chunk_to_show_seconds", "From an entry's arrival at a tile to its picture.", lambda f: f.chunk_to_show),
)


def families(figures: Iterable[WallFigures]) -> Iterable[Metric]:
    """One family per metric, a sample per wall (and tile, quantile or reason)."""
    walls = tuple(figures)
    for kind, rows in ((CounterMetricFamily, COUNTERS), (GaugeMetricFamily, GAUGES)):
        for name, words, value in rows:
            family = kind(PREFIX + name, words, labels=["wall"])
            for wall in walls:
                family.add_metric([wall.wall], value(wall))
            yield family
    evictions = CounterMetricFamily(PREFIX + "evictions", "Processes that were left out.", labels=["wall", "reason"])
    for wall in walls:
        evictions.add_metric([wall.wall, "late"], wall.evictions_late)
        evictions.add_metric([wall.wall, "stale"], wall.evictions_stale)
    yield evictions
    for name, words, spread in SPREADS:
        gauge = GaugeMetricFamily(PREFIX + name, words, labels=["wall", "quantile"])
        for wall in walls:
            gauge.add_metric([wall.wall, "0.5"], spread(wall).p50_s)
            gauge.add_metric([wall.wall, "0.99"], spread(wall).p99_s)
        yield gauge
    skew = GaugeMetricFamily(
        PREFIX + "show_skew_seconds", "Behind the first tile that shows a frame.", labels=["wall", "tile", "quantile"]
    )
    for wall in walls:
        for tile, one in wall.show_skew.items():
            skew.add_metric([wall.wall, tile, "0.5"], one.p50_s)
            skew.add_metric([wall.wall, tile, "0.99"], one.p99_s)
    yield skew
    yield from _heard(walls)


def _heard(walls: Iterable[WallFigures]) -> Iterable[Metric]:
    """What comes of the trackers, a sample per source of the wall file."""
    of_source = ["wall", "source", "kind"]
    packets = CounterMetricFamily(PREFIX + "tracker_packets", "Datagrams, messages or events.", labels=of_source)
    garbage = CounterMetricFamily(PREFIX + "tracker_garbage", "Those of no use.", labels=[*of_source, "reason"])
    silent = GaugeMetricFamily(PREFIX + "tracker_trouble", "1 while nothing can come from it.", labels=of_source)
    rejected = CounterMetricFamily(PREFIX + "rejected_poses", "Not believed.", labels=["wall", "reason"])
    age = GaugeMetricFamily(PREFIX + "head_age_seconds", "Since the last pose of the head.", labels=["wall"])
    lost = GaugeMetricFamily(PREFIX + "head_lost_seconds", "Since the head was lost.", labels=["wall"])
    for wall in walls:
        for number, one in enumerate(wall.heard.sources):
            which = [wall.wall, str(number), one.kind]
            packets.add_metric(which, one.packets)
            silent.add_metric(which, bool(one.trouble))
            for reason, count in one.garbage.items():
                garbage.add_metric([*which, reason], count)
        if (head := wall.heard.head) is not None:
            for reason, count in head.rejected.items():
                rejected.add_metric([wall.wall, reason], count)
            age.add_metric([wall.wall], -1.0 if head.head_age_s is None else head.head_age_s)
            lost.add_metric([wall.wall], head.lost_s)
    return packets, garbage, silent, rejected, age, lost


class Endpoint(Collector):
    """An HTTP address on loopback, in a thread, that serves the figures last ``shown``."""

    def __init__(self, port: int) -> None:
        """Raises OSError if the port is taken."""
        self._figures: tuple[WallFigures, ...] = ()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        self._server, self._thread = start_http_server(port, "127.0.0.1", registry)
        self.port = int(self._server.server_address[1])

    def show(self, figures: WallFigures) -> None:
        """What is served from now on."""
        self._figures = (figures,)

    def collect(self) -> Iterable[Metric]:
        """Called by the server's thread."""
        return families(self._figures)

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()
        if isinstance(self._thread, threading.Thread):
            self._thread.join()
