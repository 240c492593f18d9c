"""Workers as an elastic Indexed Job, and the archive as a Job.

A worker that was lost with its node, was evicted, or heard nothing from its streamer for a minute does not count as
failed, so that workers outlast a streamer that is away for an hour; one that is refused for wrong use
(exit code 2: no such segmenter, a model that cannot be loaded) would be refused again, so its index fails at once.  A
pod is replaced only when it has really ended, so two never hold one GPU.  ``suspend`` and the label of the queue are
not set here: they are Kueue's, where it is used.
"""

from __future__ import annotations

from streamer.control.cluster.commands import of_part
from streamer.control.cluster.plan import ClusterPlan, NotPossible, Object
from streamer.control.cluster.pods import Part, template
from streamer.control.cluster.root import metadata
from streamer.control.lives import WRONG_USE
from streamer.wire.line import NOT_HEARD

MOST_WORKERS = 1024
"""What a streamer takes (docs/protocol.md)."""


def workers(plan: ClusterPlan) -> Object:
    """The workers.  Raises NotPossible."""
    count = checked(plan.workers.count)
    part = Part("workers", "worker", "worker", of_part(plan, "workers", "worker"), restart="Never")
    spec = {
        "completionMode": "Indexed",
        "completions": count,
        "parallelism": count,
        "backoffLimitPerIndex": plan.workers.retries,
        **_common(plan, template(plan, plan.workers.pod, part), "worker", "FailIndex"),
    }
    return _job(plan, "workers", "worker", plan.workers.pod.labels, spec)


def archive(plan: ClusterPlan) -> list[Object]:
    """Who writes the store, if the run has one."""
    if plan.archive is None:
        return []
    part = Part("archive", "archive", "archive", of_part(plan, "archive", "archive"), restart="Never")
    spec = {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": plan.archive.retries,
        **_common(plan, template(plan, plan.archive.pod, part), "archive", "FailJob"),
    }
    return [_job(plan, "archive", "archive", plan.archive.pod.labels, spec)]


def checked(count: int) -> int:
    """A number of workers.  Raises NotPossible.

    A Job of none is complete at once, for good, and could not grow again.
    """
    if not 1 <= count <= MOST_WORKERS:
        raise NotPossible(
            f"{count} workers are not possible: give 1 to {MOST_WORKERS}; to stop the work, cancel the run"
        )
    return count


def _common(plan: ClusterPlan, pods: Object, container: str, refused: str) -> Object:
    wrong, silent = (
        {"containerName": container, "operator": "In", "values": [code]} for code in (WRONG_USE, NOT_HEARD)
    )
    disrupted = [{"type": "DisruptionTarget", "status": "True"}]
    return {
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": disrupted},
                {"action": "Ignore", "onExitCodes": silent},
                {"action": refused, "onExitCodes": wrong},
            ]
        },
        "ttlSecondsAfterFinished": plan.ttl_s,
        "template": pods,
    }


def _job(plan: ClusterPlan, part: str, role: str, labels: dict[str, str], spec: Object) -> Object:
    about = metadata(plan, part, role, labels)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": spec}
