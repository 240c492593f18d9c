"""kubectl 1.37, a client that nobody here wrote, finds in the server what it expects of one."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from tests.k8s.server.asking import Api, config_map, job, workload
from tests.k8s.server.conftest import Kubectl


@pytest.fixture
def busy(api: Api) -> Api:
    if api.get("nodes", "node-a") is None:
        api.served.cluster.add_node("node-a", gpus=4)
    return api


def _good(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_discovers_the_resources(kubectl: Kubectl) -> None:
    found = _good(kubectl("api-resources", "-o", "name")).split()
    assert {
        "pods",
        "jobs.batch",
        "daemonsets.apps",
        "leases.coordination.k8s.io",
        "roles.rbac.authorization.k8s.io",
    } <= set(found)
    assert "v1.37.0" in _good(kubectl("version"))


def test_it_applies_changes_and_says_when_there_are_none(busy: Api, kubectl: Kubectl) -> None:
    body = yaml.safe_dump(job("one"))
    assert _good(kubectl("apply", "-f", "-", given=body)) == "job.batch/one created\n"
    assert _good(kubectl("apply", "-f", "-", given=body)) == "job.batch/one unchanged\n"
    more = job("one")
    more["spec"] |= {"parallelism": 3, "completions": 3}
    assert _good(kubectl("apply", "-f", "-", given=yaml.safe_dump(more))) == "job.batch/one configured\n"
    busy.served.cluster.tick()
    found = json.loads(_good(kubectl("get", "pods", "-l", "app=one", "-o", "json")))
    assert len(found["items"]) == 3
    more["spec"]["completions"] = 9
    refused = kubectl("apply", "-f", "-", given=yaml.safe_dump(more))
    assert refused.returncode == 1
    assert (
        'The Job "one" is invalid: spec.completions: Invalid value: 9: can only be modified in tandem with '
        "spec.parallelism" in refused.stderr
    )
    more["spec"]["completionz"] = 3
    assert 'unknown field "spec.completionz"' in kubectl("apply", "-f", "-", given=yaml.safe_dump(more)).stderr


def test_it_waits_for_a_deletion_in_the_foreground(busy: Api, kubectl: Kubectl) -> None:
    cluster = busy.served.cluster
    busy.create("deployments.apps", workload("Deployment", "one", replicas=2))
    cluster.tick()
    assert _good(kubectl("delete", "deployment", "one", "--cascade=foreground", "--wait=false"))
    cluster.tick()
    assert _good(kubectl("wait", "--for=delete", "deployment/one", "--timeout=10s")) == ""
    assert _good(kubectl("get", "pods,replicasets", "-o", "name")) == ""


def test_it_orphans_and_scales(busy: Api, kubectl: Kubectl) -> None:
    cluster = busy.served.cluster
    busy.create("deployments.apps", workload("Deployment", "one", replicas=1))
    cluster.tick()
    assert _good(kubectl("scale", "deployment/one", "--replicas=3")) == "deployment.apps/one scaled\n"
    cluster.tick()
    assert len(busy.names("pods")) == 3
    _good(kubectl("delete", "deployment", "one", "--cascade=orphan", "--wait=false"))
    cluster.tick()
    assert len(busy.names("pods")) == 3
    assert busy.names("deployments.apps") == []


def test_it_watches(api: Api, kubectl: Kubectl) -> None:
    api.create("configmaps", config_map("one"))
    found = kubectl(
        "get", "configmaps", "--field-selector", "metadata.name=one", "--watch", "-o", "name", "--request-timeout=1s"
    )  # fmt: skip
    assert found.stdout.splitlines()[0] == "configmap/one"


def test_it_waits_for_a_condition(busy: Api, kubectl: Kubectl) -> None:
    busy.create("jobs.batch", job("one", 1, "exit 0"))
    busy.served.cluster.tick()
    assert (
        _good(kubectl("wait", "--for=condition=Complete", "job/one", "--timeout=10s"))
        == "job.batch/one condition met\n"
    )


def test_it_reads_logs_and_describes(busy: Api, kubectl: Kubectl) -> None:
    cluster = busy.served.cluster
    busy.create("jobs.batch", job("one", 1))
    cluster.tick()
    (name,) = busy.names("pods")
    cluster.logs[busy.namespace, name] = "first\nlast\n"
    assert _good(kubectl("logs", name, "--tail=1")) == "last\n"
    described = _good(kubectl("describe", "pod", name))
    assert "Controlled By:  Job/one" in described
    assert "Successfully assigned" in described


def test_it_says_what_a_token_may_not_do(api: Api, kubectl: Kubectl) -> None:
    api.create("serviceaccounts", {"metadata": {"name": "nobody"}})
    token = api.served.cluster.account_token(api.namespace, "nobody")
    refused = kubectl("get", "pods", token=token)
    assert refused.returncode == 1
    assert "Error from server (Forbidden): pods is forbidden: User" in refused.stderr


def test_it_edits_by_patches_of_each_type(api: Api, kubectl: Kubectl) -> None:
    api.create("deployments.apps", workload("Deployment", "one", replicas=1))
    for kind, patch in (
        ("merge", '{"metadata":{"labels":{"a":"1"}}}'), ("strategic", '{"metadata":{"labels":{"b":"2"}}}'),
        ("json", '[{"op":"add","path":"/metadata/labels/c","value":"3"}]'),
    ):  # fmt: skip
        _good(kubectl("patch", "deployment", "one", "--type", kind, "-p", patch))
    found = api.get("deployments.apps", "one")
    assert found is not None
    assert found["metadata"]["labels"] == {"a": "1", "b": "2", "c": "3"}
