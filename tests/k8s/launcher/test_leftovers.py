"""What is left in a cluster of runs that are not known or over is removed, and nothing else."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
import zmq.asyncio

from streamer.control.cluster import objects
from streamer.control.cluster.engine import Access, Engine
from streamer.control.cluster.following import ClusterLine
from streamer.control.cluster.launcher import ClusterLauncher
from streamer.control.cluster.plan import ClusterPlan, Object
from streamer.control.cluster.site import load
from streamer.control.cluster.tidying import orphans, outlived
from streamer.control.runs import Run
from streamer.settings import Settings
from tests.control.parts import DEADLINE_S, volume
from tests.k8s.launcher.test_lives import begin, workers
from tests.k8s.launcher.test_standing import record
from tests.k8s.launcher.world import NAMESPACE, World, serving, state, until
from tests.k8s.manifests.plans import KEYS, smallest, spec_of
from tests.k8s.server.kinds import BY_RESOURCE


def plan(run_id: str, installation: str) -> ClusterPlan:
    return msgspec.structs.replace(smallest(run_id), namespace=NAMESPACE, installation=installation)


def left_behind(shell: World, run_id: str, installation: str) -> None:
    """A run that no control plane knows."""
    its = plan(run_id, installation)
    root = shell.cluster.create(objects.first(spec_of(run_id), its))
    for one in objects.rest(its, root, KEYS):
        shell.cluster.create(one)


@pytest.mark.long
def test_what_no_run_is_known_of_is_removed_after_a_while_and_of_other_installations_nothing(shell: World) -> None:
    for run_id, installation in (("lost-1a2b3c4d", "lab"), ("theirs-1a2b3c4d", "other")):
        left_behind(shell, run_id, installation)
    shell.cluster.create({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "cc-mine-run", "namespace": NAMESPACE, "labels": {"cavecast/run": "mine"}},
    })  # fmt: skip
    with serving(shell, shell.site(orphans_s=6)) as (client, _):
        run_id = begin(client, volume(shell.folder / "a.npy"))
        until(lambda: len(workers(shell, run_id)) == 2, "both run")
        assert shell.get("configmaps", "lost-1a2b3c4d", "run") is not None, "it was removed at once"
        until(lambda: not [one for one in shell.objects() if "lost" in one], "it is removed")
        assert shell.get("configmaps", "theirs-1a2b3c4d", "run") is not None
        assert shell.get("configmaps", "mine", "run") is not None
        assert state(client, run_id)["state"] == "starting"
        assert len(workers(shell, run_id)) == 2
    # The other one has the same run's objects as its own, and leaves ours alone.
    with serving(shell, shell.site("theirs", installation="other", orphans_s=1), name="theirs"):
        until(lambda: not [one for one in shell.objects() if "theirs" in one], "it is removed")
        assert len(workers(shell, run_id)) == 2


@pytest.mark.long
def test_the_log_of_a_run_that_is_over_is_kept_for_so_long(shell: World) -> None:
    with serving(shell, shell.site(orphans_s=2, kept_s=30)) as (client, _):
        run_id = begin(client, volume(shell.folder / "a.npy"))
        until(lambda: len(workers(shell, run_id)) == 2, "both run")
        client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
        until(
            lambda: "cavecast/ended-at" in shell.must("configmaps", run_id, "run")["metadata"]["annotations"], "noted"
        )
        assert shell.get("persistentvolumeclaims", run_id, "log") is not None
        root = shell.cluster.get("configmaps", NAMESPACE, f"cc-{run_id}-run")
        assert root is not None
        before = msgspec.json.decode(msgspec.json.encode(root))
        before["metadata"]["annotations"]["cavecast/ended-at"] = "2026-01-01T00:00:00+00:00"
        with shell.cluster.lock:
            shell.cluster.keep(BY_RESOURCE["configmaps"], before)
        until(lambda: shell.objects() == [], "its time is over")
        answer = client.get(f"/api/v1/runs/{run_id}")
        assert answer.json()["state"] == "cancelled"


def test_what_cannot_be_tidied_away_keeps_nothing_else_from_it(shell: World) -> None:
    """It may not mark the run that is over, nor remove the first one that is lost."""
    roots = {run: f"cc-{run}-1a2b3c4d-run" for run in ("over", "lost-a", "lost-b")}
    for run in roots:
        its = plan(f"{run}-1a2b3c4d", "lab")
        shell.cluster.create(objects.first(spec_of(its.run_id), its))
    about = {"name": "tidy", "namespace": NAMESPACE}
    shell.cluster.create({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": about,
        "rules": [
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["list", "watch"]},
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [roots["lost-b"]], "verbs": ["delete"]},
        ],
    })  # fmt: skip
    shell.cluster.create({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": about,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tidy"},
        "subjects": [{"kind": "ServiceAccount", "name": "tidy", "namespace": NAMESPACE}],
    })  # fmt: skip
    kubeconfig = shell.server.kubeconfig(shell.cluster.account_token(NAMESPACE, "tidy"), NAMESPACE, name="tidy")

    async def in_books(run_id: str) -> Run | None:
        return record(state="cancelled") if run_id.startswith("over") else None

    async def told() -> None:
        context = zmq.asyncio.Context()
        line = ClusterLine(Engine.connect(Access(str(kubeconfig))))
        site = load(shell.site(orphans_s=0))
        launcher = ClusterLauncher(Settings(), site, line, lambda: True, in_books, context)
        tending = asyncio.create_task(launcher.tend())
        try:
            async with asyncio.timeout(DEADLINE_S):
                while shell.cluster.get("configmaps", NAMESPACE, roots["lost-b"]) is not None:
                    assert not tending.done()
                    await line.news(0.05)
        finally:
            tending.cancel()
            await launcher.close()
            context.destroy(linger=0)

    asyncio.run(told())
    assert shell.objects("configmaps") == [f"configmaps {roots[one]}" for one in ("lost-a", "over")]


def thing(run_id: str, part: str, uid: str, owned: bool = True) -> Object:
    return {
        "kind": "ConfigMap",
        "metadata": {
            "name": uid, "uid": uid, "labels": {"cavecast/run": run_id, "cavecast/part": part},
            "annotations": {"cavecast/run-id": run_id}, "ownerReferences": [{"uid": "r"}] if owned else [],
        },
    }  # fmt: skip


def test_what_the_books_did_not_say_is_left_alone() -> None:
    every = [thing("a", "run", "1", False), thing("b", "run", "2", False), thing("c", "run", "3", False)]
    known = {"a": True, "b": False}  # of c they have not said anything
    first = orphans(every, known, {}, 100.0, 60.0)
    assert (first.due, dict(first.since)) == ((), {"2": 100.0})
    assert orphans(every, known, first.since, 159.9, 60.0).due == ()
    assert orphans(every, known, first.since, 160.0, 60.0).due == (every[1],)
    # It was written down meanwhile: the time begins anew should it be lost again.
    again = orphans(every, {"a": True, "b": True}, first.since, 150.0, 60.0)
    assert dict(again.since) == {}


def test_what_is_owned_goes_with_its_owner_and_what_is_not_goes_by_itself() -> None:
    owned, loose = thing("a", "workers", "1"), thing("a", "workers", "2", owned=False)
    rooted = [thing("b", "run", "3", False), thing("b", "workers", "4", owned=False)]
    found = orphans([owned, loose, *rooted], {"a": False, "b": False}, {}, 0.0, 0.0)
    assert [one["metadata"]["uid"] for one in found.due] == ["2", "3"]
    going = thing("a", "run", "5", owned=False)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert orphans([going], {"a": False}, {}, 0.0, 0.0).due == ()


def test_an_end_that_cannot_be_read_is_none() -> None:
    root = thing("a", "run", "1", False)
    for said, over in (
        ("", False),
        ("soon", False),
        ("2026-01-01T00:00:00", True),
        ("2026-01-01T00:00:00+00:00", True),
    ):
        root["metadata"]["annotations"]["cavecast/ended-at"] = said
        assert outlived(root, 1_767_225_600.0 + 60, 60.0) is over
        assert outlived(root, 1_767_225_600.0 + 59, 60.0) is False
