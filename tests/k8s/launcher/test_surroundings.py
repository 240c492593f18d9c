"""What is known of a run between two looks: nothing is missing that was only not put in order yet."""

from __future__ import annotations

import asyncio

import msgspec

from streamer.control.cluster import objects, standing
from streamer.control.cluster.engine import Access, Engine
from streamer.control.cluster.facts import FOLLOWED
from streamer.control.cluster.following import ClusterLine
from streamer.control.cluster.hearing import Rules
from streamer.control.cluster.surroundings import Surroundings
from tests.control.parts import DEADLINE_S
from tests.k8s.launcher.test_standing import RUN, record
from tests.k8s.launcher.world import NAMESPACE, World, until
from tests.k8s.manifests.plans import smallest, spec_of

ROOT, NONE = ("ConfigMap", f"cc-{RUN}-run"), ("ConfigMap", "cc-other-run")


def watched(shell: World) -> set[str]:
    """The collections that are watched."""
    return {one.partition("?")[0] for one in list(shell.cluster.requests) if "watch=true" in one}


def test_a_run_that_was_listed_since_the_last_look_is_not_missing(shell: World) -> None:
    """A control plane that takes over: the lists come between the first look and a run's first question."""
    plan = msgspec.structs.replace(smallest(RUN), namespace=NAMESPACE, installation="lab")
    shell.cluster.create(objects.first(spec_of(RUN), plan))
    wanted = record(state="running")

    async def told() -> None:
        kubeconfig = shell.server.kubeconfig("", NAMESPACE, shell.line.port, "kubeconfig-mine")
        line = ClusterLine(Engine.connect(Access(str(kubeconfig))), Rules(first_wait_s=0.05))
        try:
            with shell.line.out():  # at the first look nobody has heard anything
                around = Surroundings(line, "lab", [NAMESPACE])
            # Whoever watches has listed before: the nodes, and in the namespace all kinds of a run, and events.
            until(lambda: len(watched(shell)) == len(FOLLOWED) + 2, "all is listed")
            facts = around.facts(NAMESPACE, RUN)
            assert not facts.missing(ROOT), "it is there, and has only not been put in order"
            assert standing.root_gone(wanted, facts, was_there=False) == ""
            assert not around.heard("ConfigMap")
            async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
                keeping = tasks.create_task(around.keep())
                await around.known(*FOLLOWED)
                facts = around.facts(NAMESPACE, RUN)
                assert (ROOT in facts.objects, facts.missing(NONE)) == (True, True)
                keeping.cancel()
            with shell.line.out():
                until(lambda: not around.heard("ConfigMap"), "it is not in touch any more")
                assert not around.facts(NAMESPACE, RUN).missing(NONE), "what was in touch a moment ago may be there"
        finally:
            await line.close()

    asyncio.run(told())
