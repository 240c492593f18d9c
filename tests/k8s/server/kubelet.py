"""The kubelets: pods on nodes that live are started, end as they were made to, and stop when they are deleted.

A container's command says what it does, where it says it: ``sleep 5; exit 3`` ends with 3 five seconds after its start
(of the time that is given), ``echo word`` is its log.  All others run until a test ends them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.k8s.server.kinds import Obj
from tests.k8s.server.podlife import PODS, Exit, finished, leaving, set_condition
from tests.k8s.server.registry import seconds

if TYPE_CHECKING:
    from tests.k8s.server.cluster import Cluster

_EXIT = re.compile(r"\bexit (\d+)")
_ECHO = re.compile(r"\becho (\w+)")
_SLEEP = re.compile(r"\bsleep (\d+)")
BACKOFF_S, LONGEST_BACKOFF_S = 10.0, 300.0


def kubelets(cluster: Cluster) -> None:
    nodes = {node["metadata"]["name"] for node in cluster.store.every("nodes")} - cluster.dead_nodes
    for pod in cluster.store.every("pods"):
        if pod["spec"].get("nodeName") not in nodes:
            continue
        if leaving(pod):
            _stop(cluster, pod)
        elif not finished(pod):
            _run(cluster, pod)


def _stop(cluster: Cluster, pod: Obj) -> None:
    data = pod["metadata"]
    if data["name"] in cluster.stubborn and cluster.now < seconds(data["deletionTimestamp"]):
        return
    if not finished(pod):
        how = cluster.exits.pop(data["uid"], cluster.exit_on_term)
        started = pod["status"]["phase"] == "Running"
        pod["status"]["phase"] = "Succeeded" if started and how.code == 0 else "Failed"
        _statuses(cluster, pod, terminated=how)
        _ready(cluster, pod, False, "PodFailed")
        pod = cluster.keep(PODS, pod)
    if data.get("deletionGracePeriodSeconds"):
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": data["uid"]}}
        cluster.registry.delete(PODS, data["namespace"], data["name"], options)


def _run(cluster: Cluster, pod: Obj) -> None:
    if pod["status"]["phase"] == "Pending":
        missing = [c["image"] for c in pod["spec"]["containers"] if cluster.missing_images.search(c["image"])]
        if missing:
            _cannot_pull(cluster, pod, missing[0])
            return
        _start(cluster, pod)
    how = _ending(cluster, pod)
    if how is not None:
        _ended(cluster, pod, how)
    elif _waiting(pod) == "CrashLoopBackOff" and cluster.now >= _again_at(pod):
        _start(cluster, pod)


def _cannot_pull(cluster: Cluster, pod: Obj, image: str) -> None:
    again = _waiting(pod) in ("ErrImagePull", "ImagePullBackOff")
    if again and _waiting(pod) == "ImagePullBackOff":
        return
    reason = "ImagePullBackOff" if again else "ErrImagePull"
    said = f'Back-off pulling image "{image}"' if again else f'failed to pull and unpack image "{image}": not found'
    pod["status"]["containerStatuses"] = [
        {**_bare(c, pod), "state": {"waiting": {"reason": reason, "message": said}}} for c in pod["spec"]["containers"]
    ]
    _place(cluster, pod)
    _ready(cluster, pod, False, "ContainersNotReady")
    pod = cluster.keep(PODS, pod)
    words = f'Failed to pull image "{image}": not found'
    cluster.registry.event(pod, "Warning", "Failed", words, "kubelet")


def _bare(container: Obj, pod: Obj) -> Obj:
    old: Obj = next((s for s in pod["status"].get("containerStatuses", []) if s["name"] == container["name"]), {})
    return {
        "name": container["name"], "image": container["image"], "imageID": "", "ready": False, "started": False,
        "restartCount": old.get("restartCount", 0), "lastState": old.get("lastState", {}),
    }  # fmt: skip


def _place(cluster: Cluster, pod: Obj) -> None:
    pod["status"].setdefault("startTime", cluster.registry.now())
    pod["status"].setdefault("hostIP", "10.0.0.1")
    pod["status"].setdefault("podIP", cluster.address(pod["metadata"]["namespace"], pod["metadata"]["name"]))
    pod["status"].setdefault("podIPs", [{"ip": pod["status"]["podIP"]}])


def _start(cluster: Cluster, pod: Obj) -> None:
    first = pod["status"]["phase"] == "Pending"
    pod["status"]["phase"] = "Running"
    _place(cluster, pod)
    pod["status"]["containerStatuses"] = [
        {
            **_bare(c, pod), "ready": True, "started": True, "containerID": f"containerd://{pod['metadata']['uid']}",
            "state": {"running": {"startedAt": cluster.registry.now()}},
        } for c in pod["spec"]["containers"]
    ]  # fmt: skip
    _ready(cluster, pod, True, "")
    cluster.keep(PODS, pod)
    if first:
        said = _ECHO.findall(" ".join(pod["spec"]["containers"][0].get("command") or []))
        cluster.logs[pod["metadata"]["namespace"], pod["metadata"]["name"]] = "".join(f"{one}\n" for one in said)
        cluster.registry.event(
            pod, "Normal", "Started", f"Started container {pod['spec']['containers'][0]['name']}", "kubelet"
        )


def _ready(cluster: Cluster, pod: Obj, is_ready: bool, reason: str) -> None:
    conditions = pod["status"].setdefault("conditions", [])
    now, said = cluster.registry.now(), "True" if is_ready else "False"
    set_condition(conditions, "Initialized", "True", "", "", now)
    for kind in ("ContainersReady", "Ready"):
        set_condition(conditions, kind, said, reason, "", now)


def _waiting(pod: Obj) -> str:
    statuses = pod["status"].get("containerStatuses") or [{}]
    return str(statuses[0].get("state", {}).get("waiting", {}).get("reason", ""))


def _ending(cluster: Cluster, pod: Obj) -> Exit | None:
    """How a running pod ends now, if it does."""
    if _waiting(pod):
        return None
    if (given := cluster.exits.pop(pod["metadata"]["uid"], None)) is not None:
        return given
    container = pod["spec"]["containers"][0]
    words = " ".join([*(container.get("command") or []), *(container.get("args") or [])])
    code = _EXIT.search(words)
    if code is None:
        return None
    running = pod["status"]["containerStatuses"][0]["state"].get("running", {})
    slept = _SLEEP.search(words)
    if slept and cluster.now < seconds(running["startedAt"]) + int(slept[1]):
        return None
    return Exit(int(code[1]), "Completed" if code[1] == "0" else "Error")


def _ended(cluster: Cluster, pod: Obj, how: Exit) -> None:
    policy = pod["spec"]["restartPolicy"]
    if policy == "Never" or (policy == "OnFailure" and how.code == 0):
        pod["status"]["phase"] = "Succeeded" if how.code == 0 else "Failed"
        _statuses(cluster, pod, terminated=how)
        _ready(cluster, pod, False, "PodCompleted" if how.code == 0 else "PodFailed")
    else:
        for status in pod["status"]["containerStatuses"]:
            ended = _terminated(cluster, status, how)
            words = "back-off restarting failed container"
            status |= {
                "ready": False, "started": False, "restartCount": status["restartCount"] + 1,
                "lastState": {"terminated": ended},
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": words}},
            }  # fmt: skip
        _ready(cluster, pod, False, "ContainersNotReady")
        name = pod["spec"]["containers"][0]["name"]
        cluster.registry.event(pod, "Warning", "BackOff", f"Back-off restarting failed container {name}", "kubelet")
    cluster.keep(PODS, pod)


def _terminated(cluster: Cluster, status: Obj, how: Exit) -> Obj:
    started = status.get("state", {}).get("running", {}).get("startedAt", cluster.registry.now())
    reason = how.reason or ("Completed" if how.code == 0 else "Error")
    words = {"message": how.message} if how.message else {}
    return {"exitCode": how.code, "reason": reason, "startedAt": started, "finishedAt": cluster.registry.now(), **words}


def _statuses(cluster: Cluster, pod: Obj, terminated: Exit) -> None:
    found = pod["status"].get("containerStatuses") or [_bare(c, pod) for c in pod["spec"]["containers"]]
    for status in found:
        ended = _terminated(cluster, status, terminated)
        status |= {"ready": False, "started": False, "state": {"terminated": ended}}
    pod["status"]["containerStatuses"] = found


def _again_at(pod: Obj) -> float:
    status = pod["status"]["containerStatuses"][0]
    wait_s: float = min(BACKOFF_S * 2 ** (status["restartCount"] - 1), LONGEST_BACKOFF_S)
    return seconds(status["lastState"]["terminated"]["finishedAt"]) + wait_s
