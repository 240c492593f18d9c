"""What is wrong with a run in a cluster, in sentences that a scientist can act on.  Pure.

Many pods with one trouble are one sentence.  What the cluster says is quoted where it is exact and left out where it
only is long; what to do comes last.  Silence of the API server is not looked at here: it means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from streamer.control.cluster.names import name, slug
from streamer.control.cluster.observed import (
    Observed,
    called,
    condition,
    dig,
    items,
    line,
    lost_nodes,
    of_run,
    role,
    text,
)
from streamer.control.cluster.plan import Object
from streamer.control.cluster.refusals import refused

Code = Literal[
    "image", "configuration", "crash", "memory", "evicted", "unschedulable", "held", "quota", "refused", "node-lost",
    "wall-nodes", "given-up",
]  # fmt: skip
_NO_IMAGE = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
}
_NO_START = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_INSUFFICIENT = re.compile(r"Insufficient ([\w./-]+[\w])")
_TAINT = re.compile(r"untolerated taint(?:\(s\))? ?\{([^{}:]+)(?::[^{}]*)?\}")
_BY_KUBERNETES = "node.kubernetes.io/"


class Finding(NamedTuple):
    """One thing that is wrong."""

    code: Code
    sentence: str


class _Trouble(NamedTuple):
    """What one pod suffers from; equal for all that suffer from the same."""

    code: Code
    role: str
    what: str
    """What follows "a worker pod" or "3 worker pods"."""


def findings(observed: Observed, run_id: str, namespace: str, walls: Iterable[str] = ()) -> list[Finding]:
    """All that is wrong with a run, the same in each call for the same facts.

    ``walls``: what ``seating.seat`` says of each wall of the run.
    """
    pods = of_run(observed.pods, slug(run_id))
    lost = lost_nodes(observed)
    counts: dict[_Trouble, int] = {}
    for pod in pods:
        for trouble in _troubles(pod, lost, namespace, run_id):
            counts[trouble] = counts.get(trouble, 0) + 1
    found = [Finding(trouble.code, _sentence(trouble, number)) for trouble, number in counts.items()]
    found += [Finding(code, said) for code, said in refused(observed, run_id, namespace)]
    found += [Finding("wall-nodes", said) for said in walls]
    found += _jobs(of_run(observed.jobs, slug(run_id)))
    return list(dict.fromkeys(found))


def _sentence(trouble: _Trouble, number: int) -> str:
    who = f"{number} {trouble.role} pods" if number > 1 else f"a {trouble.role} pod"
    if number == 1 and trouble.role in ("streamer", "archive", "conductor"):
        who = f"the {trouble.role}"
    return f"{who} {trouble.what}"


def _troubles(pod: Object, lost: dict[str, str], namespace: str, run_id: str) -> list[_Trouble]:
    whose, node = role(pod), text(pod, "spec", "nodeName")
    if node in lost and text(pod, "status", "phase") not in ("Succeeded", "Failed"):
        return [_Trouble("node-lost", whose, _lost(whose, node, lost[node], run_id))]
    if text(pod, "status", "reason") == "Evicted":
        why = text(pod, "status", "message") or "no reason was given"
        todo = "look at the node's disk and memory, or request more"
        return [_Trouble("evicted", whose, f"had to leave {node or 'a node'}: {why}; {todo}")]
    if condition(pod, "DisruptionTarget").get("status") == "True" or dig(pod, "metadata", "deletionTimestamp"):
        return []  # it was told to go, and how it went says nothing
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        match text(scheduled, "reason"):
            case "SchedulingGated":
                return [_Trouble("held", whose, "cannot start before the cluster's queue (Kueue) admits the run: wait")]
            case "Unschedulable":
                return [_Trouble("unschedulable", whose, unschedulable(text(scheduled, "message")))]
    states = [*items(pod, "status", "initContainerStatuses"), *items(pod, "status", "containerStatuses")]
    return [trouble for state in states if (trouble := _container(state, whose, namespace))]


def _container(state: Object, whose: str, namespace: str) -> _Trouble | None:
    why, said = text(state, "state", "waiting", "reason"), text(state, "state", "waiting", "message")
    if why in _NO_IMAGE:
        image = text(state, "image") or "its image"
        words = f" ({said})" if said and not said.startswith("Back-off") else ""
        todo = f"check its name and tag, and that namespace {namespace} has the imagePullSecret for it"
        return _Trouble("image", whose, f"cannot get the image {image}{words}: {todo}")
    if why in _NO_START:
        return _Trouble(
            "configuration", whose, f"cannot be started: {said or why}; see that namespace {namespace} has it"
        )
    ended = dig(state, "state", "terminated") or dig(state, "lastState", "terminated")
    code = dig(ended, "exitCode")
    if text(ended, "reason") == "OOMKilled":
        return _Trouble("memory", whose, "took more memory than the limit allows: request more, or take smaller chunks")
    if isinstance(code, int) and code and (why == "CrashLoopBackOff" or text(state, "state", "terminated", "reason")):
        return _Trouble("crash", whose, f"ended with exit code {code}: {_last_words(dig(ended, 'message'))}")
    return None


def _last_words(message: object) -> str:
    """The sentence with which a command of ours ends, if the log's tail has one."""
    lines = message[-8192:].strip().splitlines() if isinstance(message, str) else []
    ours = [each.removeprefix("cavecast: ") for each in map(line, lines) if each.startswith("cavecast: ")]
    return ours[-1] if ours else "see its log with kubectl logs --previous"


def unschedulable(message: str) -> str:
    """What the scheduler's message comes to: what the nodes lack, and what can be done about it."""
    lacks = sorted(set(_INSUFFICIENT.findall(message)))
    taints = sorted({found.strip() for found in _TAINT.findall(message)})
    ours = [taint for taint in taints if not taint.startswith(_BY_KUBERNETES)]
    reasons: dict[str, str] = {}
    if lacks:
        reasons[f"no node has enough {' and '.join(lacks)} left"] = "wait, request less or scale down"
    if "affinity/selector" in message or "node selector" in message:
        reasons["nodes lack the labels that are asked for"] = "check nodeSelector and affinity"
    if ours:
        reasons[f"nodes have the taint {' and '.join(ours)}"] = "add a toleration if they may be used"
    if len(taints) > len(ours):
        reasons["nodes are down"] = "wait for them"
    if "volume node affinity" in message or "persistentvolumeclaim" in message.lower():
        reasons["a volume is not there or belongs to another zone"] = "look at it with kubectl describe pvc"
    if "anti-affinity" in message:
        reasons["nodes have such a pod already"] = "loosen the anti-affinity"
    if not reasons:
        return f"cannot be placed: {message or 'the scheduler gives no reason'}; look at it with kubectl describe pod"
    return f"cannot be placed: {', '.join(reasons)}; {', or '.join(reasons.values())}"


def _lost(whose: str, node: str, since: str, run_id: str) -> str:
    gone = f"ran on {node}, which does not answer ({since})"
    match whose:
        case "streamer":
            return (
                f"{gone}: neither it nor its volume is set free before the cluster knows that the node is off; if so, "
                f"let an administrator say kubectl taint node {node} "
                "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute, and the run goes on from its log in "
                f"{name(run_id, 'log')}"
            )
        case "worker":
            return f"{gone}: the chunks go to other workers and others take its place; nothing is to be done"
        case "tile":
            return f"{gone}: its screens are dark until it is back, the others go on; switch it on again"
        case _:
            return f"{gone}: another one is started elsewhere within minutes; nothing is to be done"


def _jobs(jobs: list[Object]) -> list[Finding]:
    found = []
    for job in jobs:
        which, failed = f"the job {called(job)}", condition(job, "Failed")
        indexes = text(job, "status", "failedIndexes")
        if failed.get("status") == "True":
            said = text(failed, "message") or text(failed, "reason") or "no reason was given"
            todo = "see the logs of its pods, then start the run anew"
            found.append(Finding("given-up", f"the cluster gave up {which}: {said}; {todo}"))
        elif indexes:
            todo = "others go on; see the logs of its pods"
            found.append(Finding("given-up", f"the cluster gave up index {indexes} of {which}: {todo}"))
    return found
