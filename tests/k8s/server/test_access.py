"""Who may what, and how much: tokens, RBAC, quotas."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.k8s.server.access import User
from tests.k8s.server.asking import Api, config_map, job, pod
from tests.k8s.server.kinds import Obj

_RBAC = "rbac.authorization.k8s.io"


def _grant(api: Api, account: str, rules: list[Obj], whole: bool = False) -> str:
    """A token of a service account with a role of its own."""
    kind = "ClusterRole" if whole else "Role"
    roles = f"/apis/{_RBAC}/v1" + ("/clusterroles" if whole else f"/namespaces/{api.namespace}/roles")
    name = f"{api.namespace}-{account}"
    api.create("serviceaccounts", {"metadata": {"name": account}})
    assert api.ask("POST", roles, {"metadata": {"name": name}, "rules": rules}).status_code == 201
    binding = {
        "metadata": {"name": name}, "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": api.namespace}],
    }  # fmt: skip
    assert api.ask("POST", roles.replace("roles", "rolebindings"), binding).status_code == 201
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
    return str(api.done("POST", "serviceaccounts", account, asked, sub="token")["status"]["token"])


@pytest.fixture
def limited(api: Api) -> Iterator[Api]:
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"], "verbs": ["get", "watch"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["*"], "verbs": ["*"]},
    ]  # fmt: skip
    with Api(api.served, api.namespace, _grant(api, "limited", rules)) as found:
        yield found


def test_no_token_is_anonymous_and_a_wrong_one_401(api: Api) -> None:
    with httpx.Client(base_url=api.served.url, verify=False) as nobody:  # noqa: S501  the subject is the token
        answer = nobody.get("/api/v1/nodes")
        assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
        assert answer.json()["message"] == (
            'nodes is forbidden: User "system:anonymous" cannot list resource "nodes" in API group "" at the '
            "cluster scope"
        )
        assert nobody.get("/healthz").text == "ok"
        assert nobody.get("/apis").status_code == 403
    with Api(api.served, api.namespace, "wrong") as wrong:
        status = wrong.refused("GET", "pods")
        assert (status["code"], status["reason"], status["message"]) == (401, "Unauthorized", "Unauthorized")


def test_what_no_role_allows_is_403_in_words(limited: Api) -> None:
    who = f"system:serviceaccount:{limited.namespace}:limited"
    status = limited.refused("GET", "pods")
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    assert status["message"] == (
        f'pods is forbidden: User "{who}" cannot list resource "pods" in API group "" in the namespace '
        f'"{limited.namespace}"'
    )
    status = limited.refused("DELETE", "configmaps", "one")
    assert status["message"].startswith(
        f'configmaps "one" is forbidden: User "{who}" cannot delete resource "configmaps"'
    )
    assert status["details"] == {"name": "one", "kind": "configmaps"}


def test_verbs_groups_names_and_subresources_are_told_apart(limited: Api) -> None:
    limited.create("configmaps", config_map("one"))
    assert limited.refused("GET", "configmaps", watch="true")["code"] == 403
    assert limited.refused("DELETE", "configmaps")["message"].count("cannot deletecollection resource") == 1
    assert limited.refused("PATCH", "configmaps", "one", {})["message"].count("cannot patch") == 1
    assert limited.refused("GET", "secrets", "mine")["code"] == 404
    assert limited.refused("GET", "secrets", "other")["code"] == 403
    assert limited.refused("GET", "secrets")["code"] == 403
    with limited.watch("secrets", fieldSelector="metadata.name=mine", timeoutSeconds=1) as events:
        assert list(events) == []
    assert limited.refused("GET", "pods", "x", sub="log")["code"] == 404
    assert limited.refused("GET", "pods", "x", sub="status")["message"].count('resource "pods/status"') == 1
    limited.create("jobs.batch", job("one"))
    limited.done("GET", "jobs.batch", "one", sub="status")
    assert limited.ask("GET", "/api/v1/namespaces/default/configmaps").status_code == 403


def test_a_cluster_role_holds_everywhere(api: Api) -> None:
    token = _grant(api, "watcher", [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}], whole=True)
    with Api(api.served, api.namespace, token) as watcher:
        watcher.names("nodes")
        assert watcher.refused("GET", "nodes", "x")["code"] == 403


def test_groups_and_users_may_be_meant(api: Api) -> None:
    binding = {
        "metadata": {"name": api.namespace}, "roleRef": {"kind": "ClusterRole", "name": api.namespace},
        "subjects": [{"kind": "Group", "name": api.namespace}, {"kind": "User", "name": "anna"}],
    }  # fmt: skip
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}]
    api.ask("POST", f"/apis/{_RBAC}/v1/clusterroles", {"metadata": {"name": api.namespace}, "rules": rules})
    api.ask("POST", f"/apis/{_RBAC}/v1/clusterrolebindings", binding)
    for user, code in ((User("anna"), 200), (User("bert", (api.namespace,)), 200), (User("carl"), 403)):
        with Api(api.served, api.namespace, api.served.cluster.token(user)) as one:
            assert one.ask("GET", "/api/v1/nodes").status_code == code


def test_nobody_grants_more_than_they_have(api: Api) -> None:
    rules = [
        {"apiGroups": [_RBAC], "resources": ["roles", "rolebindings"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
    ]
    with Api(api.served, api.namespace, _grant(api, "granter", rules)) as granter:
        able = {"metadata": {"name": "able"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
        granter.create(f"roles.{_RBAC}", able)
        more = {
            "metadata": {"name": "more"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}],
        }
        status = granter.refused("POST", f"roles.{_RBAC}", body=more)
        assert (status["code"], "is attempting to grant RBAC permissions not currently held" in status["message"]) == (
            403,
            True,
        )


def test_access_reviews_say_the_same(limited: Api) -> None:
    def may(verb: str, group: str, resource: str) -> bool:
        attributes = {"verb": verb, "group": group, "resource": resource, "namespace": limited.namespace}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = limited.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
        assert answer.status_code == 201
        return bool(answer.json()["status"]["allowed"])

    assert (may("create", "", "configmaps"), may("delete", "", "configmaps"), may("delete", "batch", "jobs")) == (
        True,
        False,
        True,
    )
    assert limited.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {}}).status_code == 403


def test_a_quota_refuses_what_exceeds_it_with_its_figures(api: Api) -> None:
    api.create(
        "resourcequotas",
        {"metadata": {"name": "small"}, "spec": {"hard": {"requests.nvidia.com/gpu": "2", "count/jobs.batch": "1"}}},
    )
    gpu: Obj = {"container": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}}
    assert "status unknown for quota: small" in api.refused("POST", "pods", body=pod("one", **gpu))["message"]
    api.served.cluster.tick()
    for name in ("one", "two"):
        api.create("pods", pod(name, **gpu))
    status = api.refused("POST", "pods", body=pod("three", **gpu))
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    assert status["message"] == (
        'pods "three" is forbidden: exceeded quota: small, requested: requests.nvidia.com/gpu=1, used: '
        "requests.nvidia.com/gpu=2, limited: requests.nvidia.com/gpu=2"
    )
    api.create("jobs.batch", job("one"))
    assert (
        "exceeded quota: small, requested: count/jobs.batch=1"
        in api.refused("POST", "jobs.batch", body=job("two"))["message"]
    )
    api.served.cluster.tick()
    found = api.get("resourcequotas", "small")
    assert found is not None
    assert found["status"]["used"] == {"requests.nvidia.com/gpu": "2", "count/jobs.batch": "1"}
    api.done("DELETE", "pods", "one")
    api.create("pods", pod("three", **gpu))


def test_a_quota_of_memory_wants_every_container_to_say_how_much(api: Api) -> None:
    api.create(
        "resourcequotas",
        {"metadata": {"name": "small"}, "spec": {"hard": {"limits.memory": "1Gi", "requests.cpu": "1"}}},
    )
    api.served.cluster.tick()
    assert api.refused("POST", "pods", body=pod("one"))["message"].endswith(
        "failed quota: small: must specify limits.memory for: main; requests.cpu for: main"
    )
    given: Obj = {"container": {"resources": {"limits": {"memory": "600Mi", "cpu": "500m"}}}}
    api.create("pods", pod("one", **given))
    assert (
        "requested: limits.memory=629145600, used: limits.memory=629145600"
        in api.refused("POST", "pods", body=pod("two", **given))["message"]
    )
