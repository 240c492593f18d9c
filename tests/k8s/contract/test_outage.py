"""While the API server does not answer nothing has gone; when it answers again, what has gone is known for certain."""

from __future__ import annotations

import asyncio
import time

import pytest

from streamer.control.cluster.following import ClusterLine
from streamer.control.cluster.hearing import Gone, Rules, Seen, Unknown
from streamer.control.cluster.troubles import Unanswered
from tests.k8s.contract.site import IMPATIENT, USUAL, Site, SteppedClock, closing, config_map, story, taken
from tests.k8s.server.cluster import BROKEN, OVERLOADED, UNAVAILABLE
from tests.k8s.server.refusals import Refused

SELECTOR = "cavecast/run=run-1"
FOREGROUND = {"propagationPolicy": "Foreground"}


@pytest.mark.parametrize("outage_s", [5, 60])
def test_an_outage_of_the_api_means_nothing_for_the_objects(site: Site, outage_s: float) -> None:
    clock = SteppedClock()

    async def told(line: ClusterLine) -> None:
        for name in ("stays", "goes", "goes-and-comes"):
            await line.ask(line.engine.create, config_map(name), taken)
        follower = line.follow("ConfigMap", SELECTOR)
        await site.until(follower.in_touch, "it is heard", line)
        before = follower.state("goes-and-comes")
        assert isinstance(before, Seen)
        with closing(site.engine(through_line=False)) as beside, site.line.out():
            began = clock.now()
            await site.until(lambda: not follower.in_touch(), "the outage is noticed", line)
            beside.delete("ConfigMap", "goes", FOREGROUND)
            beside.delete("ConfigMap", "goes-and-comes", FOREGROUND)
            site.settle()
            await site.until(lambda: beside.get("ConfigMap", "goes-and-comes") is None, "it is gone")
            beside.create(config_map("goes-and-comes"), taken)
            beside.create(config_map("new"), taken)
            # Each second of the outage is lived through, and in none of them anything has gone.
            while clock.now() < began + outage_s:
                clock.pass_by(1)
                for name in ("stays", "goes", "goes-and-comes", "new"):
                    state = follower.state(name)
                    assert isinstance(state, Unknown), state
                    assert state.since == began
                assert len(follower.objects()) == 3
                await line.news(0.001)
            assert f"as it was {outage_s} s ago" in follower.words()
            with pytest.raises(Unanswered, match="does not answer"):
                await line.ask(line.engine.get, "ConfigMap", "stays")
        clock.allow(60)
        await site.until(follower.in_touch, "it is heard again", line)
        assert isinstance(follower.state("stays"), Seen)
        assert isinstance(follower.state("goes"), Gone)
        assert isinstance(follower.state("new"), Seen)
        after = follower.state("goes-and-comes")
        assert isinstance(after, Seen)
        assert after.object["metadata"]["uid"] != before.object["metadata"]["uid"]

    story(site, told, Rules(silence_s=1000), clock)


@pytest.mark.parametrize("refused", [UNAVAILABLE, OVERLOADED, BROKEN], ids=lambda refused: str(refused.code))
def test_an_api_server_that_only_apologises_means_nothing_either(site: Site, refused: Refused) -> None:
    if site.cluster is None:
        pytest.skip("a real API server cannot be told to fail")
    cluster, clock = site.cluster, SteppedClock()

    async def told(line: ClusterLine) -> None:
        await line.ask(line.engine.create, config_map("one"), taken)
        follower = line.follow("ConfigMap", SELECTOR)
        await site.until(follower.in_touch, "it is heard", line)
        cluster.requests.clear()
        with cluster.answering(refused):
            site.line.drop()
            clock.allow(60)
            await site.until(lambda: str(refused.code) in follower.words(), "it is noticed", line)
            assert isinstance(follower.state("one"), Unknown)
            with pytest.raises(Unanswered, match=str(refused.code)):
                await line.ask(line.engine.delete, "ConfigMap", "one", FOREGROUND)
            # Whoever asked decides on trying again: what the client repeats by itself has no deadline.
            assert len([asked for asked in cluster.requests if asked.startswith("DELETE")]) == 1
        clock.allow(60)
        await site.until(follower.in_touch, "it is heard again", line)
        assert isinstance(follower.state("one"), Seen)

    story(site, told, clock=clock)


def test_a_page_that_is_no_api_servers_does_not_mean_that_anything_has_gone(site: Site) -> None:
    """What a gateway answers whose back end has gone: 404, and not the API server's."""
    if site.cluster is None:
        pytest.skip("a real API server cannot be told to answer so")
    with closing(site.engine()) as engine:
        engine.create(config_map("one"), taken)
        with (
            site.cluster.answering(Refused(404, None, "page not found")),
            pytest.raises(Exception, match="404") as told,
        ):
            engine.get("ConfigMap", "one")
        assert type(told.value).__name__ == "Refused"


def test_a_server_that_takes_a_request_and_is_silent_is_waited_for_no_longer_than_said(site: Site) -> None:
    with closing(site.engine(limits=IMPATIENT)) as engine, site.line.silent():
        began = time.monotonic()
        with pytest.raises(Unanswered, match="does not answer"):
            engine.get("ConfigMap", "one")
        assert time.monotonic() - began < 5


def test_closing_ends_what_is_under_way_within_two_seconds(site: Site) -> None:
    """A watch, a request whose answer does not come, and one that is not even connected."""

    async def told(line: ClusterLine) -> None:
        follower = line.follow("ConfigMap", SELECTOR)
        await site.until(follower.in_touch, "it is heard", line)
        await line.ask(line.engine.get, "ConfigMap", "one")
        site.line.hold()
        asked = [asyncio.ensure_future(line.ask(line.engine.get, "ConfigMap", "one")) for _ in range(3)]
        await line.news(0.1)
        began = time.monotonic()
        await line.close()
        assert time.monotonic() - began < 2
        for one in asked:
            with pytest.raises(Unanswered):
                await one

    story(site, told, limits=USUAL._replace(connect_s=1.5, read_s=60.0))
