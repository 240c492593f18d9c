"""The Job controller: pods by index, their failures counted, forgiven or fatal, and the end of the Job."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.k8s.server import podlife
from tests.k8s.server.indexes import indexes, intervals
from tests.k8s.server.kinds import BY_RESOURCE, Obj
from tests.k8s.server.podlife import PODS, condition, finished, leaving, set_condition
from tests.k8s.server.registry import seconds, suffix

if TYPE_CHECKING:
    from tests.k8s.server.cluster import Cluster

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
BACKOFF_S, LONGEST_BACKOFF_S = 10.0, 600.0
_JOBS = BY_RESOURCE["jobs.batch"]
_COMPONENT = "job-controller"


def jobs(cluster: Cluster) -> None:
    _let_orphans_go(cluster)
    for job in cluster.store.every(_JOBS.resource):
        if job["spec"].get("managedBy", "kubernetes.io/job-controller") == "kubernetes.io/job-controller":
            _sync(cluster, job)


def _let_orphans_go(cluster: Cluster) -> None:
    """Pods whose Job has gone are no longer held."""
    alive = {job["metadata"]["uid"] for job in cluster.store.every(_JOBS.resource)}
    for pod in cluster.store.every("pods"):
        owners = {one["uid"] for one in pod["metadata"].get("ownerReferences") or [] if one.get("controller")}
        if TRACKING in (pod["metadata"].get("finalizers") or []) and not owners & alive:
            _release(cluster, pod)


def _release(cluster: Cluster, pod: Obj) -> None:
    left = [one for one in pod["metadata"]["finalizers"] if one != TRACKING]
    del pod["metadata"]["finalizers"]
    if left:
        pod["metadata"]["finalizers"] = left
    cluster.keep(PODS, pod)


def _done(job: Obj) -> Obj | None:
    conditions = job.get("status", {}).get("conditions") or []
    return next((one for one in conditions if one["type"] in ("Complete", "Failed") and one["status"] == "True"), None)


class _Verdict(NamedTuple):
    action: str
    words: str = ""


def _sync(cluster: Cluster, job: Obj) -> None:
    spec, status = job["spec"], job.setdefault("status", {})
    pods = podlife.owned(cluster, job)
    if (end := _done(job)) is not None or leaving(job):
        for pod in pods:
            if TRACKING in (pod["metadata"].get("finalizers") or []) and finished(pod):
                _release(cluster, pod)
        ttl = spec.get("ttlSecondsAfterFinished")
        over = end is not None and ttl is not None and cluster.now >= seconds(end["lastTransitionTime"]) + ttl
        if over and not leaving(job):
            data = job["metadata"]
            options = {"propagationPolicy": "Foreground", "preconditions": {"uid": data["uid"]}}
            cluster.registry.delete(_JOBS, data["namespace"], data["name"], options)
        return
    if not spec.get("suspend"):
        status.setdefault("startTime", cluster.registry.now())
    failing = _count(cluster, job, pods) or _failing(job)
    limit = spec.get("activeDeadlineSeconds")
    if (
        not failing
        and limit is not None
        and "startTime" in status
        and cluster.now >= seconds(status["startTime"]) + limit
    ):
        failing = ("DeadlineExceeded", "Job was active longer than specified deadline")
    if not failing and status.get("failed", 0) > spec["backoffLimit"]:
        failing = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    indexed = spec["completionMode"] == "Indexed"
    completed = {one for one in indexes(status.get("completedIndexes", "")) if one < (spec.get("completions") or 0)}
    failed = {one for one in indexes(status.get("failedIndexes", "")) if one < (spec.get("completions") or 0)}
    if not failing and indexed:
        failing = _indexes_failed(spec, completed, failed)
    complete = not failing and _complete(spec, status, completed, pods)
    if failing or complete or spec.get("suspend"):
        for pod in pods:
            if not finished(pod):
                podlife.delete(cluster, pod)
    else:
        _manage(cluster, job, pods, completed | failed)
    _finish(cluster, job, failing, complete)


def _failing(job: Obj) -> tuple[str, str] | None:
    found = condition(job, "FailureTarget")
    return (found["reason"], found["message"]) if found else None


def _indexes_failed(spec: Obj, completed: set[int], failed: set[int]) -> tuple[str, str] | None:
    most = spec.get("maxFailedIndexes")
    if most is not None and len(failed) > most:
        return "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
    if failed and len(completed) + len(failed) >= spec["completions"]:
        return "FailedIndexes", "Job has failed indexes"
    return None


def _complete(spec: Obj, status: Obj, completed: set[int], pods: list[Obj]) -> bool:
    if spec["completionMode"] == "Indexed":
        return bool(len(completed) >= spec["completions"])
    wanted = spec.get("completions")
    if wanted is None:
        return bool(status.get("succeeded", 0)) and not any(not finished(pod) for pod in pods)
    return bool(status.get("succeeded", 0) >= wanted)


def _finish(cluster: Cluster, job: Obj, failing: tuple[str, str] | None, complete: bool) -> None:
    """Brings the status up to date, and ends the Job once its last pod has stopped."""
    spec, status = job["spec"], job["status"]
    pods = podlife.owned(cluster, job)
    running = [pod for pod in pods if not finished(pod) and not leaving(pod)]
    status["active"] = len(running)
    status["ready"] = sum(map(podlife.ready, running))
    status["terminating"] = sum(leaving(pod) and not finished(pod) for pod in pods)
    status["uncountedTerminatedPods"] = {}
    for key in ("active", "succeeded", "failed"):
        if not status.get(key):
            status.pop(key, None)
    conditions, now = status.setdefault("conditions", []), cluster.registry.now()
    over = not running and not status["terminating"]
    if failing:
        set_condition(conditions, "FailureTarget", "True", *failing, now)
        if over:
            set_condition(conditions, "Failed", "True", *failing, now)
    elif complete:
        words = ("CompletionsReached", "Reached expected number of succeeded pods")
        set_condition(conditions, "SuccessCriteriaMet", "True", *words, now)
        if over:
            set_condition(conditions, "Complete", "True", *words, now)
            status["completionTime"] = now
    suspended = condition(job, "Suspended")
    if spec.get("suspend"):
        set_condition(conditions, "Suspended", "True", "JobSuspended", "Job suspended", now)
        status.pop("startTime", None)
    elif suspended and suspended["status"] == "True":
        set_condition(conditions, "Suspended", "False", "JobResumed", "Job resumed", now)
    if not conditions:
        del status["conditions"]
    cluster.keep(_JOBS, job)
    if failing and over:
        cluster.registry.event(job, "Warning", failing[0], failing[1], _COMPONENT)
    elif complete and over:
        cluster.registry.event(job, "Normal", "Completed", "Job completed", _COMPONENT)


# ---------------------------------------------------------------- counting


def _count(cluster: Cluster, job: Obj, pods: list[Obj]) -> tuple[str, str] | None:
    """Counts pods that have ended, once each, and lets them go; returns why the whole Job fails, if it does."""
    spec, status = job["spec"], job["status"]
    completed, failed = indexes(status.get("completedIndexes", "")), indexes(status.get("failedIndexes", ""))
    fatal = None
    for pod in pods:
        if not finished(pod) or TRACKING not in (pod["metadata"].get("finalizers") or []):
            continue
        index = _index(pod)
        if pod["status"]["phase"] == "Succeeded":
            if index is None:
                status["succeeded"] = status.get("succeeded", 0) + 1
            elif index < spec["completions"]:
                completed.add(index)
        else:
            verdict = _verdict(spec, pod)
            if verdict.action == "FailJob":
                fatal = ("PodFailurePolicy", verdict.words)
            if verdict.action != "Ignore":
                status["failed"] = status.get("failed", 0) + 1
            if index is not None and "backoffLimitPerIndex" in spec:
                counted = int(pod["metadata"]["annotations"].get(FAILURES, 0)) + (verdict.action != "Ignore")
                if verdict.action == "FailIndex" or counted > spec["backoffLimitPerIndex"]:
                    failed.add(index)
        _release(cluster, pod)
    if spec["completionMode"] == "Indexed":
        completed = {one for one in completed if one < spec["completions"]}
        status["succeeded"] = len(completed)
        status["completedIndexes"] = intervals(completed)
        if "backoffLimitPerIndex" in spec:
            status["failedIndexes"] = intervals(one for one in failed if one < spec["completions"])
        for key in ("completedIndexes",):
            if not status[key]:
                del status[key]
    return fatal


def _index(pod: Obj) -> int | None:
    text = (pod["metadata"].get("annotations") or {}).get(INDEX)
    return None if text is None else int(text)


def _verdict(spec: Obj, pod: Obj) -> _Verdict:
    """What the pod failure policy says of a failed pod; the first rule that matches speaks."""
    data = pod["metadata"]
    for number, rule in enumerate(spec.get("podFailurePolicy", {}).get("rules", [])):
        if (codes := rule.get("onExitCodes")) is not None:
            for state in pod["status"].get("containerStatuses", []):
                code = state.get("state", {}).get("terminated", {}).get("exitCode", 0)
                if code == 0 or codes.get("containerName", state["name"]) != state["name"]:
                    continue
                if (code in codes["values"]) is (codes["operator"] == "In"):
                    words = (
                        f"Container {state['name']} for pod {data['namespace']}/{data['name']} failed with exit code "
                        f"{code} matching {rule['action']} rule at index {number}"
                    )
                    return _Verdict(rule["action"], words)
        for wanted in rule.get("onPodConditions") or []:
            found = condition(pod, wanted["type"])
            if found is not None and found["status"] == wanted["status"]:
                words = (
                    f"Pod {data['namespace']}/{data['name']} has condition {wanted['type']} matching {rule['action']} "
                    f"rule at index {number}"
                )
                return _Verdict(rule["action"], words)
    return _Verdict("Count")


# ---------------------------------------------------------------- making and ending pods


def _manage(cluster: Cluster, job: Obj, pods: list[Obj], over: set[int]) -> None:
    spec = job["spec"]
    active = [pod for pod in pods if not finished(pod) and not leaving(pod)]
    # With the policy Failed a pod that is still stopping keeps its place.
    stopping = (
        [pod for pod in pods if not finished(pod) and leaving(pod)] if spec["podReplacementPolicy"] == "Failed" else []
    )
    if spec["completionMode"] == "Indexed":
        for pod in [pod for pod in active if (_index(pod) or 0) >= spec["completions"] or _index(pod) in over]:
            podlife.delete(cluster, pod)
            active.remove(pod)
    wanted = spec["parallelism"]
    if spec["completionMode"] != "Indexed" and spec.get("completions") is not None:
        wanted = min(wanted, spec["completions"] - job["status"].get("succeeded", 0))
    for pod in sorted(active, key=lambda one: (_index(one) or 0, one["metadata"]["name"]))[max(wanted, 0) :]:
        podlife.delete(cluster, pod)
        active.remove(pod)
    room = wanted - len(active) - len(stopping)
    if spec["completionMode"] != "Indexed":
        if room > 0 and cluster.now >= _backed_off_until([pod for pod in pods if _failed(pod)]):
            for _ in range(room):
                if not _create(cluster, job, None, []):
                    return
        return
    taken = {_index(pod) for pod in (*active, *stopping)} | over
    for index in (one for one in range(spec["completions"]) if one not in taken):
        if room <= 0:
            return
        mine = [pod for pod in pods if _index(pod) == index and _failed(pod)]
        per_index = "backoffLimitPerIndex" in spec
        if cluster.now < _backed_off_until(mine if per_index else [pod for pod in pods if _failed(pod)]):
            continue
        if not _create(cluster, job, index, mine):
            return
        room -= 1


def _failed(pod: Obj) -> bool:
    return bool(pod["status"].get("phase") == "Failed")


def _backed_off_until(failed: list[Obj]) -> float:
    """Ten seconds after the last failure, doubled with each."""
    ends = []
    for pod in failed:
        states = [s.get("state", {}).get("terminated") for s in pod["status"].get("containerStatuses", [])]
        ends += [seconds(one["finishedAt"]) for one in states if one]
    if not ends:
        return 0.0
    return max(ends) + min(BACKOFF_S * 2.0 ** (len(failed) - 1), LONGEST_BACKOFF_S)


def _create(cluster: Cluster, job: Obj, index: int | None, earlier: list[Obj]) -> bool:
    pod, name = podlife.from_template(job), job["metadata"]["name"]
    data = pod["metadata"]
    data["finalizers"] = [TRACKING]
    data["name"] = f"{name}-{suffix()}" if index is None else f"{name}-{index}-{suffix()}"
    data["generateName"] = f"{name}-" if index is None else f"{name}-{index}-"
    if index is not None:
        data.setdefault("annotations", {})[INDEX] = str(index)
        data.setdefault("labels", {})[INDEX] = str(index)
        pod["spec"].setdefault("hostname", f"{name}-{index}")
        for container in pod["spec"]["containers"]:
            source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
            container.setdefault("env", []).append({"name": "JOB_COMPLETION_INDEX", "valueFrom": source})
        if "backoffLimitPerIndex" in job["spec"]:
            counts = [0]
            for old in earlier:
                ignored = _verdict(job["spec"], old).action == "Ignore"
                counts.append(int(old["metadata"]["annotations"].get(FAILURES, 0)) + (not ignored))
            data["annotations"][FAILURES] = str(max(counts))
    return podlife.create(cluster, job, pod, _COMPONENT)
