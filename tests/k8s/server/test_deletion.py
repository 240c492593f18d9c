"""How objects end: at once, later, with what they own or without it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.k8s.server.asking import MERGE, Api, config_map, job, pod, workload
from tests.k8s.server.kinds import Obj


@pytest.fixture
def busy(api: Api) -> Api:
    """A namespace that pods can run in."""
    if api.get("nodes", "node-a") is None:
        api.served.cluster.add_node("node-a")
    return api


def _owned(owner: Obj, kind: str, block: bool = True) -> list[Obj]:
    return [{
        "apiVersion": "v1", "kind": kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": block, "controller": True,
    }]  # fmt: skip


def _delete(api: Api, resource: str, name: str, policy: str = "", **more: Any) -> Obj:
    body = {"kind": "DeleteOptions", "apiVersion": "v1", **({"propagationPolicy": policy} if policy else {}), **more}
    return api.done("DELETE", resource, name, body)


def test_what_nothing_holds_is_gone_at_once_and_told_with_a_status(api: Api) -> None:
    made = api.create("configmaps", config_map("one"))
    found = _delete(api, "configmaps", "one")
    assert (found["kind"], found["status"]) == ("Status", "Success")
    assert found["details"] == {"name": "one", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert api.get("configmaps", "one") is None


def test_a_finalizer_holds_an_object_until_it_is_taken_away(api: Api) -> None:
    api.create("jobs.batch", {**job("one"), "metadata": {"name": "one", "finalizers": ["example.com/held"]}})
    found = _delete(api, "jobs.batch", "one", "Background")
    assert found["metadata"]["deletionTimestamp"]
    assert found["metadata"]["deletionGracePeriodSeconds"] == 0
    assert found["metadata"]["generation"] == 2
    again = _delete(api, "jobs.batch", "one", "Background")
    assert again["metadata"]["deletionTimestamp"] == found["metadata"]["deletionTimestamp"]
    more = {"metadata": {"finalizers": ["example.com/held", "example.com/more"]}}
    words = api.refused("PATCH", "jobs.batch", "one", more, content_type=MERGE)["message"]
    assert (
        "no new finalizers can be added if the object is being deleted, found new finalizers "
        '[]string{"example.com/more"}' in words
    )
    api.done("PATCH", "jobs.batch", "one", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert api.get("jobs.batch", "one") is None


def test_preconditions_are_met_or_409(api: Api) -> None:
    made = api.create("configmaps", config_map("one"))
    status = api.refused("DELETE", "configmaps", "one", {"preconditions": {"uid": "other"}})
    assert (status["code"], status["reason"]) == (409, "Conflict")
    assert (
        "Precondition failed: UID in precondition: other, UID in object meta: " + made["metadata"]["uid"]
        in status["message"]
    )
    assert api.refused("DELETE", "configmaps", "one", {"preconditions": {"resourceVersion": "1"}})["code"] == 409
    _delete(api, "configmaps", "one", preconditions={"uid": made["metadata"]["uid"]})


def test_a_policy_that_is_none_is_422(api: Api) -> None:
    api.create("configmaps", config_map("one"))
    assert (
        'Unsupported value: "Sideways"'
        in api.refused("DELETE", "configmaps", "one", {"propagationPolicy": "Sideways"})["message"]
    )


def test_in_the_background_the_owner_goes_first(api: Api) -> None:
    root = api.create("configmaps", config_map("root"))
    api.create("configmaps", config_map("child", ownerReferences=_owned(root, "ConfigMap")))
    _delete(api, "configmaps", "root")
    assert (api.get("configmaps", "root"), api.get("configmaps", "child") is None) == (None, False)
    api.served.cluster.tick()
    assert api.get("configmaps", "child") is None


def test_in_the_foreground_the_owner_goes_last_even_over_generations(busy: Api) -> None:
    cluster = busy.served.cluster
    root = busy.create("configmaps", config_map("root"))
    owned = {"name": "workers", "ownerReferences": _owned(root, "ConfigMap")}
    busy.create("jobs.batch", {**job("workers"), "metadata": owned})
    cluster.tick()
    cluster.lose_node("node-a")  # the pods cannot end
    found = _delete(busy, "configmaps", "root", "Foreground")
    assert found["metadata"]["finalizers"] == ["foregroundDeletion"]
    cluster.tick()
    workers = busy.get("jobs.batch", "workers")
    assert workers is not None
    assert workers["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert all("deletionTimestamp" in one["metadata"] for one in busy.done("GET", "pods")["items"])
    assert busy.get("configmaps", "root") is not None
    cluster.return_node("node-a")
    for resource in ("configmaps", "jobs.batch", "pods"):
        assert [one for one in busy.names(resource) if one != "kube-root-ca.crt"] == []


def test_a_dependent_that_does_not_block_is_not_waited_for(api: Api) -> None:
    root = api.create("configmaps", config_map("root"))
    api.create(
        "configmaps",
        config_map("child", ownerReferences=_owned(root, "ConfigMap", False), finalizers=["example.com/held"]),
    )
    _delete(api, "configmaps", "root", "Foreground")
    api.served.cluster.tick()
    assert api.get("configmaps", "root") is None
    child = api.get("configmaps", "child")
    assert child is not None
    assert "deletionTimestamp" in child["metadata"]


def test_an_orphan_loses_its_owner_and_stays(api: Api) -> None:
    root = api.create("configmaps", config_map("root"))
    api.create("configmaps", config_map("child", ownerReferences=_owned(root, "ConfigMap")))
    assert _delete(api, "configmaps", "root", "Orphan")["metadata"]["finalizers"] == ["orphan"]
    api.served.cluster.tick()
    assert api.get("configmaps", "root") is None
    child = api.get("configmaps", "child")
    assert child is not None
    assert "ownerReferences" not in child["metadata"]


def test_a_job_deleted_without_a_policy_orphans_its_pods_with_a_warning(busy: Api) -> None:
    busy.create("jobs.batch", job("one"))
    busy.served.cluster.tick()
    answer = busy.ask("DELETE", busy.path("jobs.batch", "one"))
    assert answer.headers["warning"].startswith(
        '299 - "child pods are preserved by default when jobs are deleted; set propagation'
    )
    busy.served.cluster.tick()
    assert busy.get("jobs.batch", "one") is None
    left = busy.done("GET", "pods")["items"]
    assert [("ownerReferences" in one["metadata"], "finalizers" in one["metadata"]) for one in left] == [
        (False, False)
    ] * 2


@pytest.mark.parametrize("kind", ["DaemonSet", "StatefulSet", "Deployment"])
def test_other_workloads_deleted_without_a_policy_take_their_pods_along(busy: Api, kind: str) -> None:
    busy.create(f"{kind.lower()}s.apps", workload(kind, "one"))
    busy.served.cluster.tick()
    assert busy.names("pods")
    _delete(busy, f"{kind.lower()}s.apps", "one")
    busy.served.cluster.tick()
    assert (busy.names("pods"), busy.names("replicasets.apps")) == ([], [])


def test_what_has_another_owner_besides_stays(api: Api) -> None:
    first, second = (api.create("configmaps", config_map(name)) for name in ("first", "second"))
    owners = [*_owned(first, "ConfigMap"), {**_owned(second, "ConfigMap")[0], "controller": False}]
    api.create("configmaps", config_map("child", ownerReferences=owners))
    _delete(api, "configmaps", "first")
    api.served.cluster.tick()
    child = api.get("configmaps", "child")
    assert child is not None
    assert [one["name"] for one in child["metadata"]["ownerReferences"]] == ["second"]


def test_an_owner_of_that_name_made_since_is_no_owner(api: Api) -> None:
    root = api.create("configmaps", config_map("root"))
    _delete(api, "configmaps", "root")
    api.create("configmaps", config_map("root"))
    api.create("configmaps", config_map("child", ownerReferences=_owned(root, "ConfigMap")))
    api.served.cluster.tick()
    assert api.get("configmaps", "child") is None
    assert api.get("configmaps", "root") is not None


def test_two_controllers_of_one_object_are_422(api: Api) -> None:
    first, second = (api.create("configmaps", config_map(name)) for name in ("first", "second"))
    body = config_map("child", ownerReferences=_owned(first, "ConfigMap") + _owned(second, "ConfigMap"))
    assert (
        "Only one reference can have Controller set to true" in api.refused("POST", "configmaps", body=body)["message"]
    )


def test_a_pod_without_a_node_is_gone_at_once(api: Api) -> None:
    api.create("pods", pod("one"))
    assert _delete(api, "pods", "one")["kind"] == "Pod"
    assert api.get("pods", "one") is None


def test_a_running_pod_has_its_grace_period(busy: Api) -> None:
    cluster = busy.served.cluster
    busy.create("pods", pod("one"))
    cluster.tick()
    cluster.stubborn.add("one")
    found = _delete(busy, "pods", "one")
    assert found["metadata"]["deletionGracePeriodSeconds"] == 30
    shorter = _delete(busy, "pods", "one", gracePeriodSeconds=10)
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 10
    assert shorter["metadata"]["deletionTimestamp"] < found["metadata"]["deletionTimestamp"]
    longer = _delete(busy, "pods", "one", gracePeriodSeconds=60)
    assert longer["metadata"]["deletionGracePeriodSeconds"] == 10
    cluster.tick(cluster.now + 9)
    assert busy.get("pods", "one") is not None
    cluster.tick(cluster.now + 2)
    assert busy.get("pods", "one") is None


def test_no_grace_removes_a_pod_by_force(busy: Api) -> None:
    cluster = busy.served.cluster
    busy.create("pods", pod("one"))
    cluster.tick()
    cluster.lose_node("node-a")
    _delete(busy, "pods", "one")
    cluster.tick()
    assert busy.get("pods", "one") is not None, "nobody confirms its end"
    _delete(busy, "pods", "one", gracePeriodSeconds=0)
    assert busy.get("pods", "one") is None
    cluster.return_node("node-a")


def test_a_collection_is_deleted_by_its_selector(api: Api) -> None:
    for name, app in (("a", "x"), ("b", "y"), ("c", "x")):
        api.create("secrets", {"metadata": {"name": name, "labels": {"app": app}}})
    found = api.done("DELETE", "secrets", labelSelector="app=x")
    assert (found["kind"], len(found["items"])) == ("SecretList", 2)
    assert api.names("secrets") == ["b"]


def test_a_namespace_goes_with_all_that_is_in_it(busy: Api) -> None:
    cluster = busy.served.cluster
    busy.create("jobs.batch", job("one"))
    busy.create("configmaps", config_map("held", finalizers=["example.com/held"]))
    cluster.tick()
    found = _delete(busy, "namespaces", busy.namespace)
    assert found["status"]["phase"] == "Terminating"
    status = busy.refused("POST", "configmaps", body=config_map("late"))
    assert (status["code"], status["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    assert "because it is being terminated" in status["message"]
    cluster.tick()
    assert busy.get("namespaces", busy.namespace) is not None
    busy.done("PATCH", "configmaps", "held", {"metadata": {"finalizers": None}}, content_type=MERGE)
    cluster.tick()
    assert busy.get("namespaces", busy.namespace) is None
    assert not [key for key in cluster.store.objects if key.namespace == busy.namespace]
