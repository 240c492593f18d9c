"""The Job controller, with the time given: indexes, failures, policies, ends."""

from __future__ import annotations

import pytest

from tests.k8s.server.asking import job
from tests.k8s.server.cluster import Cluster
from tests.k8s.server.kinds import BY_RESOURCE, Obj
from tests.k8s.server.podlife import OOM, Exit, condition

_JOBS = BY_RESOURCE["jobs.batch"]


def _create(cluster: Cluster, body: Obj) -> None:
    cluster.registry.create(_JOBS, "lab", body)
    cluster.tick()


def _job(cluster: Cluster, name: str = "one") -> Obj:
    found = cluster.get("jobs.batch", "lab", name)
    assert found is not None
    return found


def _patch(cluster: Cluster, patch: Obj) -> None:
    cluster.registry.patch(_JOBS, "lab", "one", patch, "application/merge-patch+json")
    cluster.tick()


def _alive(cluster: Cluster) -> dict[int, Obj]:
    """The pods that run or wait, by index."""
    found = {}
    for pod in cluster.pods("lab"):
        if pod["status"]["phase"] in ("Pending", "Running") and "deletionTimestamp" not in pod["metadata"]:
            found[int(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"])] = pod
    return found


def _end(cluster: Cluster, index: int, how: Exit) -> None:
    cluster.end("lab", _alive(cluster)[index]["metadata"]["name"], how)
    cluster.tick()


def test_each_index_has_a_pod_that_knows_it(cluster: Cluster) -> None:
    _create(cluster, job("one", 3))
    pods = _alive(cluster)
    assert set(pods) == {0, 1, 2}
    data, spec = pods[1]["metadata"], pods[1]["spec"]
    assert data["name"].startswith("one-1-")
    assert data["labels"]["batch.kubernetes.io/job-completion-index"] == "1"
    assert data["finalizers"] == ["batch.kubernetes.io/job-tracking"]
    assert spec["hostname"] == "one-1"
    assert spec["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    (owner,) = data["ownerReferences"]
    assert (owner["kind"], owner["controller"], owner["blockOwnerDeletion"]) == ("Job", True, True)
    assert _job(cluster)["status"]["active"] == 3


def test_a_job_is_complete_when_every_index_has_succeeded(cluster: Cluster) -> None:
    _create(cluster, job("one", 2))
    _end(cluster, 1, Exit(0))
    status = _job(cluster)["status"]
    assert (status["succeeded"], status["completedIndexes"], status["active"]) == (1, "1", 1)
    _end(cluster, 0, Exit(0))
    found = _job(cluster)
    complete = condition(found, "Complete")
    assert complete is not None
    assert complete["reason"] == "CompletionsReached"
    assert condition(found, "SuccessCriteriaMet") is not None
    assert found["status"]["completedIndexes"] == "0,1"
    assert found["status"]["completionTime"]
    assert not [pod for pod in cluster.pods("lab") if "finalizers" in pod["metadata"]]


def test_scaling_adds_and_takes_the_highest_indexes(cluster: Cluster) -> None:
    _create(cluster, job("one", 2))
    _patch(cluster, {"spec": {"completions": 4, "parallelism": 4}})
    assert set(_alive(cluster)) == {0, 1, 2, 3}
    _end(cluster, 3, Exit(0))
    _patch(cluster, {"spec": {"completions": 1, "parallelism": 1}})
    assert set(_alive(cluster)) == {0}
    assert "completedIndexes" not in _job(cluster)["status"], "an index that is no more is not completed"


def test_parallelism_alone_is_how_many_run_at_once(cluster: Cluster) -> None:
    _create(cluster, job("one", 4, parallelism=2))
    assert set(_alive(cluster)) == {0, 1}
    _end(cluster, 0, Exit(0))
    assert set(_alive(cluster)) == {1, 2}


def test_a_failed_pod_is_replaced_after_ten_seconds_then_twenty(cluster: Cluster) -> None:
    _create(cluster, job("one", 1, backoffLimitPerIndex=5))
    for wait in (10, 20):
        _end(cluster, 0, Exit(1))
        assert _alive(cluster) == {}
        cluster.tick(cluster.now + wait - 1)
        assert _alive(cluster) == {}
        cluster.tick(cluster.now + 1)
        assert set(_alive(cluster)) == {0}
    assert _alive(cluster)[0]["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] == "2"
    assert _job(cluster)["status"]["failed"] == 2


def test_an_index_that_failed_too_often_fails_and_the_others_go_on(cluster: Cluster) -> None:
    _create(cluster, job("one", 2, backoffLimitPerIndex=1))
    _end(cluster, 0, Exit(1))
    cluster.advance(20)
    _end(cluster, 0, OOM)
    status = _job(cluster)["status"]
    assert status["failedIndexes"] == "0"
    assert set(_alive(cluster)) == {1}
    _end(cluster, 1, Exit(0))
    failed = condition(_job(cluster), "Failed")
    assert failed is not None
    assert (failed["reason"], failed["message"]) == ("FailedIndexes", "Job has failed indexes")


def test_more_failed_indexes_than_allowed_end_the_job(cluster: Cluster) -> None:
    _create(cluster, job("one", 3, backoffLimitPerIndex=0, maxFailedIndexes=1))
    _end(cluster, 0, Exit(1))
    assert condition(_job(cluster), "Failed") is None
    _end(cluster, 1, Exit(1))
    failed = condition(_job(cluster), "Failed")
    assert failed is not None
    assert failed["reason"] == "MaxFailedIndexesExceeded"
    assert _alive(cluster) == {}


def test_more_failures_than_the_backoff_limit_end_the_job(cluster: Cluster) -> None:
    _create(cluster, job("one", 2, backoffLimit=1))
    for _ in range(2):
        _end(cluster, 0, Exit(1))
        cluster.advance(60)
    failed = condition(_job(cluster), "Failed")
    assert failed is not None
    assert failed["reason"] == "BackoffLimitExceeded"


_POLICY = {"rules": [
    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
    {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
    {"action": "FailIndex", "onExitCodes": {"containerName": "main", "operator": "In", "values": [7]}},
]}  # fmt: skip


def test_an_exit_code_can_fail_the_index_or_the_whole_job(cluster: Cluster) -> None:
    _create(cluster, job("one", 3, backoffLimitPerIndex=5, podFailurePolicy=_POLICY))
    _end(cluster, 0, Exit(7))
    assert _job(cluster)["status"]["failedIndexes"] == "0"
    assert set(_alive(cluster)) == {1, 2}
    name = _alive(cluster)[1]["metadata"]["name"]
    _end(cluster, 1, Exit(42))
    failed = condition(_job(cluster), "Failed")
    assert failed is not None
    assert failed["reason"] == "PodFailurePolicy"
    assert (
        failed["message"]
        == f"Container main for pod lab/{name} failed with exit code 42 matching FailJob rule at index 1"
    )
    assert _alive(cluster) == {}


def test_a_disruption_can_be_ignored(cluster: Cluster) -> None:
    """The node is lost; the pod's end there is not counted, and another takes its place once it has ended."""
    pods = {
        "tolerations": [
            {
                "key": "node.kubernetes.io/unreachable",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 0,
            }
        ]
    }
    _create(cluster, job("one", 1, pods=pods, backoffLimitPerIndex=0, podFailurePolicy=_POLICY))
    node = _alive(cluster)[0]["spec"]["nodeName"]
    cluster.lose_node(node)
    cluster.advance(70)
    assert _alive(cluster) == {}, "with a pod failure policy the place is kept until the pod has ended"
    cluster.return_node(node)
    cluster.advance(60)
    assert set(_alive(cluster)) == {0}
    assert "failed" not in _job(cluster)["status"]


@pytest.mark.parametrize(("policy", "count"), [("Failed", 0), ("TerminatingOrFailed", 1)])
def test_a_pod_that_is_stopping_keeps_its_place_or_not(cluster: Cluster, policy: str, count: int) -> None:
    _create(cluster, job("one", 1, podReplacementPolicy=policy))
    pod = _alive(cluster)[0]
    cluster.stubborn.add(pod["metadata"]["name"])
    cluster.registry.delete(BY_RESOURCE["pods"], "lab", pod["metadata"]["name"])
    cluster.tick()
    assert len(_alive(cluster)) == count
    assert _job(cluster)["status"]["terminating"] == 1
    cluster.advance(60)
    assert len(_alive(cluster)) == 1


def test_a_finished_job_goes_after_its_time_to_live(cluster: Cluster) -> None:
    _create(cluster, job("one", 1, "exit 0", ttlSecondsAfterFinished=100))
    cluster.advance(99)
    assert condition(_job(cluster), "Complete") is not None
    cluster.advance(2)
    assert cluster.get("jobs.batch", "lab", "one") is None
    assert cluster.pods("lab") == []


def test_a_deadline_ends_a_job(cluster: Cluster) -> None:
    _create(cluster, job("one", 1, activeDeadlineSeconds=30))
    cluster.advance(31)
    failed = condition(_job(cluster), "Failed")
    assert failed is not None
    assert failed["reason"] == "DeadlineExceeded"


def test_a_suspended_job_has_no_pods(cluster: Cluster) -> None:
    _create(cluster, job("one", 2))
    _patch(cluster, {"spec": {"suspend": True}})
    assert _alive(cluster) == {}
    suspended = condition(_job(cluster), "Suspended")
    assert suspended is not None
    assert suspended["status"] == "True"
    _patch(cluster, {"spec": {"suspend": False}})
    cluster.advance(30)
    assert set(_alive(cluster)) == {0, 1}


def test_what_a_quota_refuses_is_an_event_of_the_job(cluster: Cluster) -> None:
    quota = {"metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}}
    cluster.registry.create(BY_RESOURCE["resourcequotas"], "lab", quota)
    cluster.tick()
    _create(cluster, job("one", 2))
    assert len(_alive(cluster)) == 1
    refused = [one for one in cluster.every("events", "lab") if one["reason"] == "FailedCreate"]
    assert "exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1" in refused[0]["message"]
    assert refused[0]["involvedObject"]["name"] == "one"
