"""What a wall counts, and how it is served and documented."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from renderers.wall.exposition import Endpoint
from renderers.wall.figures import Heard, Spread, WallFigures, WallTally
from renderers.wall.track.poses import Figures
from renderers.wall.track.sensed import SourceState

NOTHING = Spread()
FIGURES = WallFigures(
    "w", 5, 60.0, 9, 2, 1, ("b",), 1, 2, 1, 3, 0, NOTHING, NOTHING, {"a": Spread(1, 0.001, 0.002)}, NOTHING, NOTHING,
    NOTHING, NOTHING,
    Heard(
        (SourceState("dtrack", "udp://0.0.0.0:5000", 9, {"line": 2}, 1.0, "nothing comes"),),
        Figures({"pose": 7}, {"jump": 1}, None, 0.5, False), 3,
    ),
)  # fmt: skip


def test_skew_is_behind_the_first_tile_and_latency_counts_to_the_last() -> None:
    tally = WallTally()
    tally.show(7, 2, 0.95, 1.0)
    tally.shown(7, [("a", 1.001)], -1.0)
    tally.shown(7, [("b", 1.004)], 0.05)
    assert tally.skew.spread().p50_s == pytest.approx(0.003)
    assert tally.tiles["a"].spread().p99_s == 0
    assert tally.sensor_to_show.spread().p50_s == pytest.approx(0.054)
    assert tally.chunk_to_show.spread() == Spread(1, 0.05, 0.05, 0.05)
    assert tally.rate_hz(1.5) == 1


def test_a_tile_that_never_reports_is_counted_and_memory_is_bounded() -> None:
    tally = WallTally()
    for frame in range(100):
        tally.show(frame, 2, 0.0, float(frame))
        tally.shown(frame, [("a", float(frame))], -1.0)
    assert tally.missed_shows == 92
    assert len(tally._frames) == len(tally._expected) == 8


def test_every_metric_of_a_wall_is_served_and_documented() -> None:
    with closing(Endpoint(0)) as endpoint:
        endpoint.show(FIGURES)
        with urlopen(f"http://127.0.0.1:{endpoint.port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
    families = list(text_string_to_metric_families(text))
    served = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    lines = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text().splitlines()
    assert served == {line.split("`")[1] for line in lines if line.startswith("| `cavecast_wall_")}
    assert 'cavecast_wall_show_skew_seconds{quantile="0.99",tile="a",wall="w"} 0.002' in text
    assert 'cavecast_wall_evictions_total{reason="stale",wall="w"} 2.0' in text
    for line in (
        'cavecast_wall_tracker_packets_total{kind="dtrack",source="0",wall="w"} 9.0',
        'cavecast_wall_tracker_garbage_total{kind="dtrack",reason="line",source="0",wall="w"} 2.0',
        'cavecast_wall_tracker_trouble{kind="dtrack",source="0",wall="w"} 1.0',
        'cavecast_wall_rejected_poses_total{reason="jump",wall="w"} 1.0',
        'cavecast_wall_head_age_seconds{wall="w"} -1.0',
        'cavecast_wall_head_lost_seconds{wall="w"} 0.5',
        'cavecast_wall_unrecorded_records_total{wall="w"} 3.0',
    ):
        assert f"{line}\n" in text
