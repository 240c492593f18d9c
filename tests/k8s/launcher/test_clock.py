"""The clock of a control plane in a cluster is set by hours: the same one leads, and no log goes before its time."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.control.clock import Clock, needed
from tests.control.parts import volume
from tests.control.postgresql import postgresql
from tests.k8s.launcher.test_leftovers import left_behind
from tests.k8s.launcher.test_lives import begin, workers
from tests.k8s.launcher.world import NAMESPACE, Killed, World, state, until


@needed
@pytest.mark.long
def test_who_leads_leads_on_and_nothing_is_made_or_removed_because_a_clock_jumped(shell: World) -> None:
    clocks = [Clock(shell.folder, name) for name in ("one", "other")]
    source, site = volume(shell.folder / "a.npy"), shell.site(orphans_s=2, kept_s=20 * 3600)
    with ExitStack() as stack:
        url = stack.enter_context(postgresql())
        planes = [
            Killed(shell, site, f"plane-{number}", CAVECAST_DATABASE=url, **clock.environment)
            for number, clock in enumerate(clocks)
        ]
        for plane in planes:
            stack.callback(plane.kill)
        first, second = planes
        until(lambda: "leading" in (standing(first), standing(second)), "one leads")
        if standing(first) != "leading":
            first, second, clocks = second, first, clocks[::-1]
        over, run_id = begin(first.client, source), begin(first.client, source)
        until(lambda: len(workers(shell, run_id)) == len(workers(shell, over)) == 2, "both run")
        first.client.post(f"/api/v1/runs/{over}/cancel").raise_for_status()
        until(lambda: workers(shell, over) == [], "the one has ended")
        until(lambda: "cavecast/ended-at" in shell.must("configmaps", over, "run")["metadata"]["annotations"], "noted")
        # No further than the certificate of the tests' API server holds, and further than a log is kept.
        pods = sorted(one["metadata"]["uid"] for one in shell.cluster.pods(NAMESPACE))
        for number, jumps in enumerate(((40, -20), (-20, 40), (0, 0))):
            for clock, hours in zip(clocks, jumps, strict=True):
                clock.jump(hours)
            transitions = lease(shell)
            # When this has gone, the leader has looked at all that is left, by its new time.
            left_behind(shell, f"lost{number}-1a2b3c4d", "lab")
            until(lambda: not [one for one in shell.objects() if "lost" in one], "what nobody knows is removed")
            assert shell.get("persistentvolumeclaims", over, "log") is not None, "a log went before its time"
            assert lease(shell) == transitions, "somebody else leads"
            assert (standing(first), standing(second)) == ("leading", "standby")
            run = state(first.client, run_id)
            assert (run["state"], run["remarks"], run["restarts"]) == ("starting", run["remarks"][:1], {})
            assert sorted(one["metadata"]["uid"] for one in shell.cluster.pods(NAMESPACE)) == pods
        first.kill()
        second.leads()
        until(lambda: len(state(second.client, run_id)["parts"]) == 3, "it is looked after")
        assert sorted(one["metadata"]["uid"] for one in shell.cluster.pods(NAMESPACE)) == pods
        second.kill()


def standing(plane: Killed) -> str:
    return str(plane.client.get("/healthz").json()["state"])


def lease(shell: World) -> tuple[str, int]:
    """Who leads, and how often somebody else has taken the lead."""
    (found,) = shell.cluster.every("leases.coordination.k8s.io", NAMESPACE)
    return found["spec"]["holderIdentity"], found["spec"]["leaseTransitions"]
