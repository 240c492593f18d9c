"""Who leads by a Lease, and all objects of a run made, met again and deleted: what a launcher asks of a cluster."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from streamer.control.cluster import objects, planning
from streamer.control.cluster.facts import key_of
from streamer.control.cluster.following import ClusterLine
from streamer.control.cluster.hand import Hand
from streamer.control.cluster.leadership import LeaseLeadership
from streamer.control.cluster.lease import Terms
from streamer.control.cluster.plan import NotPossible, Pod
from streamer.control.cluster.root import fixed, read
from streamer.control.cluster.troubles import Taken, Unanswered
from tests.k8s.contract.site import DEADLINE_S, IMAGE, IMPATIENT, Site, closing, story
from tests.k8s.manifests.plans import KEYS, smallest, spec_of

TERMS = Terms(3.0, 2.0, 0.2)
RUN = "rivers-1a2b3c4d"


def candidate(site: Site, me: str, **more: float) -> LeaseLeadership:
    return LeaseLeadership(site.engine(limits=IMPATIENT), site.namespace, "lab", me, TERMS, **more)  # type: ignore[arg-type]


def test_one_leads_and_who_lets_go_is_followed_at_once(site: Site) -> None:
    async def told() -> None:
        first, second = candidate(site, "first"), candidate(site, "second")
        try:
            async with asyncio.timeout(DEADLINE_S):
                await first.won()
                assert first.leads()
                waiting = asyncio.create_task(second.won())
                done, _ = await asyncio.wait([waiting], timeout=2 * TERMS.duration_s)
                assert not done, "it is renewed"
                assert "first leads" in second.standing
                await first.release()
                assert not first.leads()
                await waiting
                assert second.leads()
        finally:
            await first.release()
            await second.release()

    asyncio.run(told())


def test_a_lease_that_somebody_deletes_is_made_again_and_who_leads_leads_on(site: Site) -> None:
    async def told() -> None:
        one, other = candidate(site, "one"), candidate(site, "other")
        try:
            async with asyncio.timeout(DEADLINE_S):
                await one.won()
                waiting = asyncio.create_task(other.won())
                await site.until(lambda: "one leads" in other.standing, "the other one knows who leads")
                with closing(site.engine(through_line=False)) as beside:
                    for _ in range(3):
                        assert beside.delete("Lease", "lab", {})

                        def again() -> bool:
                            found = beside.get("Lease", "lab")
                            return found is not None and found["spec"].get("holderIdentity") == "one"

                        await site.until(again, "it is there again")
                assert (one.leads(), one.lost.is_set(), waiting.done()) == (True, False, False)
                # Nothing is made anew by who lets go, and the next one leads.
                await one.release()
                await waiting
        finally:
            await one.release()
            await other.release()

    asyncio.run(told())


def test_an_outage_puts_the_leader_in_doubt_and_does_not_end_it(site: Site) -> None:
    async def told() -> None:
        one = candidate(site, "one")
        try:
            async with asyncio.timeout(DEADLINE_S):
                await one.won()
                with site.line.out():
                    await site.until(lambda: not one.leads(), "it is in doubt")
                    assert not one.lost.is_set()
                    assert "nothing can be changed" in one.standing
                await site.until(one.leads, "it leads again")
                assert not one.lost.is_set()
        finally:
            await one.release()
        hasty = candidate(site, "hasty", doubt_s=0.0)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await hasty.won()
                with site.line.out():
                    await hasty.lost.wait()
        finally:
            await hasty.release()

    asyncio.run(told())


def test_a_run_is_made_met_again_read_and_deleted_and_nothing_is_changed_by_who_does_not_lead(site: Site) -> None:
    pod = Pod(image=IMAGE)
    plan = msgspec.structs.replace(
        smallest(RUN), namespace=site.namespace, installation="lab", streamer=pod,
        workers=msgspec.structs.replace(smallest().workers, pod=pod),
    )  # fmt: skip
    spec = spec_of(RUN)

    async def told(line: ClusterLine) -> None:
        leads = [True]
        hand = Hand(line, lambda: leads[0])
        root = await hand.create(objects.first(spec, plan))
        assert read(root, spec) == fixed(plan)
        with pytest.raises(NotPossible, match="another specification"):
            read(root, msgspec.structs.replace(spec, segmenter="other"))
        every = objects.rest(plan, root, KEYS)
        uids = {key_of(one): (await hand.create(one))["metadata"]["uid"] for one in every}
        for one in every:  # the second time it is met again
            assert (await hand.create(one))["metadata"]["uid"] == uids[key_of(one)]
        with pytest.raises(Taken, match="with another specification"):
            await hand.create(objects.first(spec, msgspec.structs.replace(plan, pace_s=5.0)))
        assert {key_of(one) for one in every} | {key_of(root)} == {
            key_of(one) for one in planning.manifests_of(spec, plan)
        }  # fmt: skip
        leads[0] = False
        with pytest.raises(Unanswered, match="it is not sure that this control plane leads"):
            await hand.drop(root)
        leads[0] = True
        await hand.drop(root)
        engine, kind = line.engine, "ConfigMap"
        for _ in range(int(DEADLINE_S / 0.2)):
            site.settle()
            if await line.ask(engine.get, kind, root["metadata"]["name"]) is None:
                break
            await line.news(0.2)
        for kind, name in uids:
            assert await line.ask(engine.get, kind, name) is None, f"{kind} {name} is left"

    story(site, told)
