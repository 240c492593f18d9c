"""The figures of a run: counted as things happen, with time as an argument, and served by a real streamer."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from streamer.figures import BOUNDS_S, MOST_MARKS, Latency, Marks
from streamer.wire.messages import Ack, Ask, Credit, Drain, Entry, Hello, Lease, Refuse, Welcome
from tests.security.parties import Peer, opened, streamer
from tests.streamer.runs import made, spec_of, under

SPEC = spec_of((4, 6, 6), (2, 3, 3))
MADE = made(SPEC)


def test_how_far_a_reader_is_behind_is_known_in_bytes_and_seconds() -> None:
    marks = Marks(0, 64, 0)
    for now in range(1, 11):
        marks.mark(now, 64 + 100 * now, now)
    assert marks.behind(10, 50) == (0, 0.0)
    assert marks.behind(7, 50) == (300, 42.0)
    assert marks.behind(0, 50) == (1000, 49.0)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 10_000)), min_size=1, max_size=50))
def test_lag_is_never_negative_and_falls_as_the_reader_goes_on(steps: list[tuple[int, int]]) -> None:
    marks, head, nbytes = Marks(0, 64, 0), 0, 64
    for now, (entries, more) in enumerate(steps, 1):
        head, nbytes = head + entries, nbytes + more
        marks.mark(head, nbytes, now)
    lags = [marks.behind(position, 100) for position in range(head + 1)]
    assert lags == sorted(lags, reverse=True)
    assert lags[-1] == (0, 0.0)


def test_the_memory_of_a_long_run_is_bounded_and_its_ends_stay_true() -> None:
    marks = Marks(0, 0, 0)
    for number in range(1, 3 * MOST_MARKS):
        marks.mark(number, 10 * number, number)
        assert len(marks._heads) == len(marks._bytes) == len(marks._times) <= MOST_MARKS
    assert marks.behind(3 * MOST_MARKS - 2, 3 * MOST_MARKS) == (10, 1.0)
    assert marks.behind(1000, 0)[0] == 10 * (3 * MOST_MARKS - 1001)


def test_a_latency_falls_into_its_bucket() -> None:
    found = Latency().and_(0.0).and_(0.001).and_(0.3).and_(1e6)
    assert (found.counts[0], found.counts[BOUNDS_S.index(0.5)], found.counts[-1], sum(found.counts)) == (2, 1, 1, 4)


def test_a_streamer_serves_its_figures_and_they_are_right(tmp_path: Path) -> None:
    served = streamer(tmp_path, SPEC, None, "--metrics-port", "0")
    try:
        at = served.ready()
        with opened() as sockets:
            hostile = Peer(sockets, at["ingest"], None, "worker")
            for _ in range(5):
                hostile.socket.send(b"\xff" * 30)
            for _ in range(3):
                hostile.wait_for(Refuse)
            worker = Peer(sockets, at["ingest"], None, "worker")
            worker.say(Hello(1, "worker", "w"))
            worker.wait_for(Welcome)
            slow = Peer(sockets, at["feed"], None, "archive")
            slow.say(Hello(1, "archive", 'a "slow" one'))
            slow.wait_for(Welcome)
            slow.say(Credit(1 << 20, 2))
            worker.say(Ask(1))
            sent = 0
            while True:
                message, _ = worker.wait_for(Lease, Ack, Drain)
                if isinstance(message, Drain):
                    break
                if isinstance(message, Lease):
                    commit, payloads = under(MADE[message.chunk], message.lease)
                    sent += sum(map(len, payloads))
                    worker.say(commit, [bytes(raw) for raw in payloads])
            slow.wait_for(Entry)
            slow.wait_for(Entry)
            found: dict[str, float] = {}
            while found.get("cavecast_streamer_committed_chunks") != SPEC.grid.size:
                text = httpx.get(at["metrics"], trust_env=False).text
                samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
                found = {
                    one.name + one.labels.get("reason", "") + one.labels.get("le", ""): one.value for one in samples
                }
        one = "cavecast_streamer_"
        assert found[one + "committed_bytes_total"] == sent
        assert found[one + "lease_to_commit_seconds_count"] == SPEC.grid.size
        assert found[one + "commit_to_ack_seconds_bucket+Inf"] == SPEC.grid.size
        assert found[one + "refused_messages_totalundecodable"] == 3
        assert found[one + "refused_messages_totalput_aside"] == 1
        assert found[one + "refused_messages_totalignored"] == 2
        assert found[one + "subscriber_lag_entries"] == found[one + "log_position_entries"] > SPEC.grid.size
        assert found[one + "subscriber_lag_bytes"] > sent
        assert found[one + "subscriber_credit_messages"] == 0
        assert found[one + "archive_position_entries"] == 0
        page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
        reasons = {labels["reason"] for sample in samples if "reason" in (labels := sample.labels)}
        assert (
            set(re.findall(r"^\| `([a-z_]+)` \|", page.split("| reason |")[1].split("\n\n")[0], re.MULTILINE))
            == reasons
        )
    finally:
        served.end()
