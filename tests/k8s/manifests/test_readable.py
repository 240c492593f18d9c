"""What a cluster reports about a run, in sentences.

The messages are the words of Kubernetes' own components, as their sources format them: kube-scheduler (FitError and
the plugins' reasons), kubelet (image manager, kuberuntime), ResourceQuota, LimitRanger and PodSecurity admission.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.control.cluster.names import labels, name
from streamer.control.cluster.observed import LONGEST, Observed
from streamer.control.cluster.plan import Object
from streamer.control.cluster.readable import Finding, findings, unschedulable

RUN = "rivers-1a2b3c4d"


def pod(role: str = "worker", part: str = "workers", node: str = "", run: str = RUN, **status: Any) -> Object:
    return {
        "metadata": {"name": name(run, part) + "-0-x", "labels": labels(run, role, part)},
        "spec": {"nodeName": node} if node else {},
        "status": status,
    }


def waiting(reason: str, message: str = "", **more: Any) -> Object:
    state = {"image": "registry.example.org/w:1", "state": {"waiting": {"reason": reason, "message": message}}, **more}
    return {"containerStatuses": [state]}


def node(called: str, ready: str = "True") -> Object:
    conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T10:00:00Z"}]
    return {"metadata": {"name": called}, "status": {"conditions": conditions}}


def refusal(message: str, about: str = "workers", at: str = "2026-01-01T10:00:00Z", run: str = RUN) -> Object:
    return {
        "type": "Warning", "reason": "FailedCreate", "message": message, "lastTimestamp": at,
        "involvedObject": {"kind": "Job", "name": f"cc-{run}-{about}"},
    }  # fmt: skip


def said(observed: Observed) -> list[Finding]:
    return findings(observed, RUN, "rivers")


def test_a_run_that_goes_well_has_nothing_to_say() -> None:
    fine = pod(node="n1", phase="Running", containerStatuses=[{"state": {"running": {}}}])
    assert said(Observed(pods=[fine], nodes=[node("n1")], jobs=[{"status": {"active": 1}}])) == []


def test_an_image_that_cannot_be_pulled() -> None:
    back_off = pod(**waiting("ImagePullBackOff", 'Back-off pulling image "registry.example.org/w:1"'))
    assert said(Observed(pods=[back_off, back_off])) == [
        Finding(
            "image",
            "2 worker pods cannot get the image registry.example.org/w:1: check its name and tag, and that namespace "
            "rivers has the imagePullSecret for it",
        )
    ]
    denied = pod("streamer", "streamer", **waiting("ErrImagePull", "pull access denied"))
    assert said(Observed(pods=[denied]))[0].sentence.startswith(
        "the streamer cannot get the image registry.example.org/w:1 (pull access denied): check"
    )


@pytest.mark.parametrize(("message", "sentence"), [
    (
        "0/5 nodes are available: 2 Insufficient nvidia.com/gpu, 3 Insufficient memory. no new claims to deallocate, "
        "preemption: 0/5 nodes are available: 5 No preemption victims found for incoming pod.",
        "cannot be placed: no node has enough memory and nvidia.com/gpu left; wait, request less or scale down",
    ),
    (
        "0/3 nodes are available: 3 node(s) had untolerated taint {nautilus.io/reservation: suncave}.",
        "cannot be placed: nodes have the taint nautilus.io/reservation; add a toleration if they may be used",
    ),
    (
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 node(s) didn't match Pod's node "
        "affinity/selector.",
        "cannot be placed: nodes lack the labels that are asked for; check nodeSelector and affinity",
    ),
    (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }",
        "cannot be placed: no node has enough cpu left, nodes are down; wait, request less or scale down, or wait for "
        "them",
    ),
    (
        "0/2 nodes are available: 2 node(s) had volume node affinity conflict.",
        "cannot be placed: a volume is not there or belongs to another zone; look at it with kubectl describe pvc",
    ),
    (
        "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.",
        "cannot be placed: nodes have such a pod already; loosen the anti-affinity",
    ),
    (
        "no nodes available to schedule pods",
        "cannot be placed: no nodes available to schedule pods; look at it with kubectl describe pod",
    ),
])  # fmt: skip
def test_why_a_pod_cannot_be_placed(message: str, sentence: str) -> None:
    assert unschedulable(message) == sentence
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    found = said(Observed(pods=[pod(phase="Pending", conditions=[condition])] * 3))
    assert found == [Finding("unschedulable", f"3 worker pods {sentence}")]


def test_a_pod_that_the_queue_holds_back_is_in_no_trouble_but_told_of() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "…"}
    assert [one.code for one in said(Observed(pods=[pod(conditions=[condition])]))] == ["held"]


def test_a_quota_that_refuses() -> None:
    words = (
        'Error creating: pods "cc-rivers-1a2b3c4d-workers-3-x7k2p" is forbidden: exceeded quota: gpus, requested: '
        "requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=8, limited: requests.nvidia.com/gpu=8"
    )
    wanted = Finding(
        "quota",
        "the quota gpus of namespace rivers refuses a pod of workers: it asks for requests.nvidia.com/gpu=1, "
        "requests.nvidia.com/gpu=8 is used of requests.nvidia.com/gpu=8; scale down, end other runs, or ask the "
        "administrator for more",
    )
    at = 1767261600.0  # 2026-01-01T10:00:00Z
    assert said(Observed(events=[refusal(words)] * 2, now=at + 60)) == [wanted]
    assert said(Observed(events=[refusal(words)])) == [wanted]
    assert said(Observed(events=[refusal(words)], now=at + 3600)) == []
    assert said(Observed(events=[refusal(words, "renderers-7d9f8b6c54")]))[0].code == "quota"


@pytest.mark.parametrize("about", ["workers-streamer", "x-workers", "", "workersx"])
def test_an_event_of_another_run_whose_name_begins_alike_is_not_this_runs(about: str) -> None:
    assert said(Observed(events=[refusal("exceeded quota: q, requested: a, used: b, limited: c", about)])) == []


def test_a_namespace_that_enforces_too_much_for_a_wall() -> None:
    words = (
        'Error creating: pods "cc-rivers-1a2b3c4d-wall-1-x" is forbidden: violates PodSecurity "restricted:latest": '
        'restricted volume types (volume "x" uses restricted volume type "hostPath")'
    )
    assert said(Observed(events=[refusal(words, "wall-1")])) == [
        Finding(
            "refused",
            "namespace rivers enforces the Pod Security level restricted and refuses wall-1: restricted volume types "
            '(volume "x" uses restricted volume type "hostPath"); tiles use the X server of their node, so a wall\'s '
            "run needs a namespace that enforces only privileged",
        )
    ]


def test_limits_of_a_namespace_and_other_refusals() -> None:
    range_ = 'pods "x" is forbidden: [maximum memory usage per Container is 8Gi, but limit is 16Gi]'
    assert (
        "maximum memory usage per Container is 8Gi, but limit is 16Gi; change"
        in said(Observed(events=[refusal(range_)]))[0].sentence
    )
    assert said(Observed(events=[refusal("admission webhook denied it")])) == [
        Finding("refused", "the cluster refuses to create workers: admission webhook denied it; ask its administrator")
    ]


def test_a_lost_node_means_another_thing_for_each_part() -> None:
    pods = [
        pod("streamer", "streamer", "n1", phase="Running"),
        *[pod(node="n1", phase="Running")] * 2,
        pod("tile", "wall-1", "n1", phase="Running"),
        pod("renderer", "renderers", "n1", phase="Running"),
        pod(node="n1", phase="Succeeded"),
        pod(node="n2", phase="Running"),
    ]
    found = said(Observed(pods=pods, nodes=[node("n1", "Unknown"), node("n2")]))
    assert {one.code for one in found} == {"node-lost"}
    streamer, workers, tile, renderer = (one.sentence for one in found)
    assert streamer.startswith("the streamer ran on n1, which does not answer (since 2026-01-01T10:00:00Z): neither it")
    assert "kubectl taint node n1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute" in streamer
    assert "cc-rivers-1a2b3c4d-log" in streamer
    assert workers.startswith("2 worker pods ran on n1")
    assert "screens are dark until it is back" in tile
    assert "another one is started elsewhere" in renderer
    assert said(Observed(pods=pods, nodes=None)) == []


def test_the_last_sentence_of_a_command_is_why_its_pod_ended() -> None:
    message = '{"event": "ready"}\ncavecast: there is no segmenter \'conect\'; installed are: connect, ffn\n'
    ended = {"state": {"terminated": {"exitCode": 2, "reason": "Error", "message": message}}}
    assert said(Observed(pods=[pod(containerStatuses=[ended])])) == [
        Finding(
            "crash", "a worker pod ended with exit code 2: there is no segmenter 'conect'; installed are: connect, ffn"
        )
    ]
    again = waiting("CrashLoopBackOff", "back-off 5m0s", lastState={"terminated": {"exitCode": 1, "message": "Killed"}})
    assert said(Observed(pods=[pod("renderer", "renderers", **again)]))[0].sentence == (
        "a renderer pod ended with exit code 1: see its log with kubectl logs --previous"
    )


def test_how_a_pod_ends_that_was_told_to_go_says_nothing() -> None:
    ended = [{"state": {"terminated": {"exitCode": 137, "reason": "Error"}}}]
    target = [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]
    preempted = pod(phase="Failed", conditions=target, containerStatuses=ended)
    deleted = pod(containerStatuses=ended)
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T10:00:00Z"
    assert said(Observed(pods=[preempted, deleted])) == []
    assert said(Observed(pods=[pod(containerStatuses=ended)])) != []


def test_memory_eviction_and_what_cannot_be_mounted() -> None:
    killed = {"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    assert said(Observed(pods=[pod(containerStatuses=[killed])]))[0].code == "memory"
    evicted = pod(
        node="n1", phase="Failed", reason="Evicted", message="The node was low on resource: ephemeral-storage."
    )
    assert said(Observed(pods=[evicted]))[0].sentence.startswith("a worker pod had to leave n1: The node was low on")
    unknown = pod(**waiting("CreateContainerConfigError", 'secret "bucket" not found'))
    assert said(Observed(pods=[unknown]))[0].sentence == (
        'a worker pod cannot be started: secret "bucket" not found; see that namespace rivers has it'
    )


def test_jobs_that_the_cluster_gave_up() -> None:
    about = {"name": f"cc-{RUN}-workers", "labels": labels(RUN, "worker", "workers")}
    failed = {"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": "Container worker failed"}
    assert said(Observed(jobs=[{"metadata": about, "status": {"conditions": [failed]}}])) == [
        Finding(
            "given-up",
            f"the cluster gave up the job cc-{RUN}-workers: Container worker failed; see the logs of its pods, "
            "then start the run anew",
        )
    ]
    some = {"metadata": about, "status": {"failedIndexes": "1,3-5"}}
    assert said(Observed(jobs=[some]))[0].sentence.startswith("the cluster gave up index 1,3-5 of the job")


def test_what_is_said_of_walls_is_passed_on_and_other_runs_pods_are_not() -> None:
    assert findings(Observed(), RUN, "rivers", ["wall x expects 3 nodes"]) == [
        Finding("wall-nodes", "wall x expects 3 nodes")
    ]
    assert said(Observed(pods=[pod(run="other", **waiting("ErrImagePull"))])) == []


KEYS_OF_PODS = st.sampled_from([
    "metadata", "spec", "status", "conditions", "containerStatuses", "state", "waiting", "terminated", "lastState",
    "reason", "message", "exitCode", "nodeName", "phase", "type", "name", "image", "involvedObject", "lastTimestamp",
    "failedIndexes",
])  # fmt: skip
WORDS = st.one_of(
    st.text(max_size=40),
    st.sampled_from([
        "ErrImagePull", "Unschedulable", "PodScheduled", "False", "Ready", "Evicted", "CrashLoopBackOff",
        "FailedCreate", "Failed", "True", f"cc-{RUN}-workers", "cavecast: \x1b[31m",
        "exceeded quota: \n, requested: , used: x, limited: \n",
    ]),
)  # fmt: skip
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS_OF_PODS, inner, max_size=6)),
    max_leaves=25,
)
OBJECTS = st.lists(st.dictionaries(KEYS_OF_PODS, JSON, max_size=6), max_size=3)


@given(OBJECTS, OBJECTS, OBJECTS, st.none() | st.just(0.0))
def test_whatever_a_cluster_says_each_finding_is_one_line_of_bounded_length(
    pods: list[Any], nodes: list[Any], events: list[Any], now: float | None
) -> None:
    mine = [{**each, "metadata": {"name": "x", "labels": labels(RUN, "worker", "workers")}} for each in pods]
    observed = Observed(pods=mine, jobs=mine, nodes=nodes, events=events, now=now)
    found = said(observed)
    assert found == said(observed)
    for one in found:
        assert one.sentence.isprintable()
        assert len(one.sentence) < 5 * LONGEST
    assert len(found) == len(set(found))
