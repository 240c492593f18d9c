"""A collection is listed and watched, and heard again after all that can go wrong with that."""

from __future__ import annotations

import time

import pytest

from streamer.control.cluster.engine import Engine
from streamer.control.cluster.following import ClusterLine, Follower
from streamer.control.cluster.hearing import Gone, Rules, Seen, Unknown
from streamer.control.cluster.troubles import Expired
from tests.k8s.contract.site import IMPATIENT, Site, SteppedClock, closing, config_map, story, taken

SELECTOR = "cavecast/run=run-1"
FOREGROUND = {"propagationPolicy": "Foreground"}


def _names(follower: Follower) -> set[str]:
    return {found["metadata"]["name"] for found in follower.objects()}


async def _following(site: Site, line: ClusterLine, *names: str) -> Follower:
    """A follower of config maps that has heard of these."""
    for name in names:
        await line.ask(line.engine.create, config_map(name), taken)
    follower = line.follow("ConfigMap", SELECTOR)
    await site.until(lambda: follower.in_touch() and set(names) <= _names(follower), "the collection is heard", line)
    return follower


def test_what_is_made_changed_and_deleted_is_heard(site: Site) -> None:
    async def told(line: ClusterLine) -> None:
        follower = await _following(site, line, "one")
        assert isinstance(follower.state("two"), Gone)
        await line.ask(line.engine.create, config_map("two"), taken)
        await line.ask(line.engine.create, config_map("other", run="run-2"), taken)
        await site.until(lambda: isinstance(follower.state("two"), Seen), "two is heard", line)
        await line.ask(line.engine.patch, "ConfigMap", "two", {"data": {"more": "yes"}})

        def changed() -> bool:
            state = follower.state("two")
            return isinstance(state, Seen) and "more" in state.object["data"]

        await site.until(changed, "the change is heard", line)
        await line.ask(line.engine.delete, "ConfigMap", "one", FOREGROUND)
        await site.until(lambda: isinstance(follower.state("one"), Gone), "the end is heard", line)
        assert _names(follower) == {"two"}

    story(site, told)


def test_a_collection_larger_than_a_page_is_read_whole(site: Site) -> None:
    with closing(site.engine()) as engine:
        wanted = {f"map-{number}" for number in range(8)}
        for name in wanted:
            engine.create(config_map(name), taken)
        found, version = engine.list_all("ConfigMap", SELECTOR)
        assert {one["metadata"]["name"] for one in found} == wanted
        assert all(one["kind"] == "ConfigMap" and one["apiVersion"] == "v1" for one in found)
        assert version


def test_a_watch_that_is_over_goes_on_where_it_was(site: Site) -> None:
    """The server ends a watch after a second; nothing is listed again for it, and nothing is missed."""

    async def told(line: ClusterLine) -> None:
        follower = await _following(site, line, "one")
        if site.cluster is not None:
            await site.until(follower.watching, "it watches", line)
            site.cluster.requests.clear()
            site.cluster.advance(2)  # the time of a watch passes on the server
            await site.until(
                lambda: any("watch=true" in asked for asked in site.cluster.requests) if site.cluster else True,
                "it watches again", line,
            )  # fmt: skip
            assert not [asked for asked in site.cluster.requests if "limit=" in asked]
        await line.ask(line.engine.create, config_map("two"), taken)
        await site.until(lambda: isinstance(follower.state("two"), Seen), "it is heard", line)

    story(site, told, Rules(watch_s=1, silence_s=20))


def test_a_watch_that_is_cut_is_heard_anew(site: Site) -> None:
    clock = SteppedClock()

    async def told(line: ClusterLine) -> None:
        follower = await _following(site, line, "one", "two")
        await site.until(follower.watching, "it watches", line)
        site.line.drop()
        await site.until(lambda: not follower.in_touch(), "the loss is noticed", line)
        assert isinstance(follower.state("one"), Unknown)
        assert "does not answer" in follower.words()
        clock.allow(60)
        await site.until(follower.in_touch, "it is heard again", line)
        assert isinstance(follower.state("one"), Seen)
        assert follower.words() == ""

    story(site, told, clock=clock)


def test_a_watch_that_is_silent_is_given_up(site: Site) -> None:
    """kubespawner#209: a connection that looks open and brings nothing."""

    async def told(line: ClusterLine) -> None:
        follower = await _following(site, line, "one", "two")
        with closing(site.engine(through_line=False)) as beside, site.line.silent():
            beside.delete("ConfigMap", "one", FOREGROUND)
            site.settle()
            await site.until(lambda: not follower.in_touch(), "the silence is noticed", line)
            assert isinstance(follower.state("one"), Unknown)
        await site.until(lambda: isinstance(follower.state("one"), Gone), "the end is heard", line)
        assert isinstance(follower.state("two"), Seen)

    story(site, told, Rules(watch_s=1, silence_s=1.5, first_wait_s=0.05), limits=IMPATIENT)


def test_watches_that_the_server_keeps_silent_are_given_up(site: Site) -> None:
    if site.cluster is None:
        pytest.skip("a real API server cannot be told to keep its watches silent")
    cluster = site.cluster

    async def told(line: ClusterLine) -> None:
        follower = await _following(site, line, "one")
        with cluster.watches_silent():
            await line.ask(line.engine.create, config_map("two"), taken)
            await site.until(
                lambda: isinstance(follower.state("two"), Seen), "a list tells what the watch does not", line
            )

    story(site, told, Rules(watch_s=1, silence_s=0.5, first_wait_s=0.05))


def test_a_watch_that_the_server_breaks_off_is_heard_anew(site: Site) -> None:
    if site.cluster is None:
        pytest.skip("a real API server cannot be told to break off its watches")
    cluster = site.cluster

    async def told(line: ClusterLine) -> None:
        follower = await _following(site, line, "one")
        await site.until(follower.watching, "it watches", line)
        cluster.requests.clear()
        cluster.drop_watches()
        await line.ask(line.engine.create, config_map("two"), taken)
        await site.until(lambda: isinstance(follower.state("two"), Seen), "it is heard", line)
        assert [asked for asked in cluster.requests if "limit=" in asked], "it was not listed again"

    story(site, told, Rules(first_wait_s=0.05))


def _too_old(site: Site, engine: Engine) -> str:
    """A version that the server does not know any more."""
    _, version = engine.list_all("ConfigMap", SELECTOR)
    for name in ("one", "two"):
        engine.create(config_map(name), taken)
    if site.cluster is not None:
        site.cluster.compact()
        return version
    return "1"


def test_a_version_that_is_too_old_is_an_expired_one(site: Site) -> None:
    with closing(site.engine()) as engine:
        version = _too_old(site, engine)
        with pytest.raises(Expired, match="too old"):
            list(engine.watch("ConfigMap", version, 1, 20.0, SELECTOR))


def test_a_follower_whose_version_became_too_old_lists_again_at_once(site: Site) -> None:
    """No time passes for it: a version that is too old is no reason to wait, nor to say that nothing is known."""
    if site.cluster is None:
        pytest.skip("the history of a real API server cannot be made to be forgotten")
    cluster = site.cluster

    async def told(line: ClusterLine) -> None:
        follower = await _following(site, line, "one")
        await site.until(follower.watching, "it watches", line)
        with cluster.lock:  # what happens is forgotten before the watch can tell it
            late = config_map("two", namespace=site.namespace)
            cluster.requests.clear()
            cluster.create(late)
            cluster.compact()
            cluster.ring()
        await site.until(lambda: isinstance(follower.state("two"), Seen), "it is heard", line)
        assert [asked for asked in cluster.requests if "limit=" in asked], "it was not listed again"

    story(site, told, clock=SteppedClock())


def test_a_follower_is_ended_while_others_go_on(site: Site) -> None:
    async def told(line: ClusterLine) -> None:
        first = await _following(site, line, "one")
        second = line.follow("Secret")
        await site.until(lambda: first.watching() and second.watching(), "both watch", line)
        began = time.monotonic()
        await line.unfollow(first)
        assert time.monotonic() - began < 2
        assert not first.thread.is_alive()
        assert second.watching()
        assert second.in_touch()

    story(site, told)


def test_events_whose_version_became_too_old_are_listed_again(site: Site) -> None:
    """Their watch ends without a word, which is no reason to begin it again and again."""
    if site.cluster is None:
        pytest.skip("the history of a real API server cannot be made to be forgotten")
    cluster = site.cluster

    async def told(line: ClusterLine) -> None:
        follower = line.follow("Event")
        await site.until(follower.in_touch, "events are heard", line)
        await site.until(follower.watching, "it watches", line)
        with cluster.lock:
            cluster.drops += 1
            cluster.namespace(f"{site.namespace}-2")
            cluster.compact()
            cluster.requests.clear()
            cluster.ring()
        about = {"kind": "Job", "name": "late", "namespace": site.namespace}
        late = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "late"}, "involvedObject": about}
        await line.ask(line.engine.create, late, taken)
        await site.until(lambda: isinstance(follower.state("late"), Seen), "a new one is heard", line)
        assert len([asked for asked in cluster.requests if "watch=true" in asked]) < 5

    story(site, told, Rules(first_wait_s=0.05))


def test_everything_is_listed_anew_from_time_to_time(site: Site) -> None:
    if site.cluster is None:
        pytest.skip("what a real API server was asked is not known")
    cluster = site.cluster

    async def told(line: ClusterLine) -> None:
        await _following(site, line, "one")
        cluster.requests.clear()
        await site.until(lambda: [a for a in cluster.requests if "limit=" in a], "it is listed again", line)

    story(site, told, Rules(watch_s=1, resync_s=0.5))
