"""Lists: selectors, pages from one moment, versions."""

from __future__ import annotations

import base64
import json

import pytest

from tests.k8s.server.asking import MERGE, Api, config_map, pod
from tests.k8s.server.indexes import indexes, intervals


@pytest.fixture
def some(api: Api) -> Api:
    api.done("DELETE", "configmaps")  # the one that every namespace has
    for name, labels in (
        ("a", {"app": "x", "size": "1"}),
        ("b", {"app": "y", "size": "20"}),
        ("c", {"app": "x"}),
        ("d", {}),
    ):
        api.create("configmaps", config_map(name, labels))
    return api


@pytest.mark.parametrize(("selector", "names"), [
    ("app=x", "ac"), ("app==x", "ac"), ("app!=x", "bd"), ("app in (x,y)", "abc"), ("app in (y)", "b"),
    ("app notin (x)", "bd"), ("app", "abc"), ("!app", "d"), ("app=x,size", "a"), ("size>5", "b"), ("size<5", "a"),
    ("", "abcd"), ("app=x,app=y", ""), ("app in (x), size notin (1)", "c"),
])  # fmt: skip
def test_label_selectors(some: Api, selector: str, names: str) -> None:
    # No list but by a label that all have would do for `kube-root-ca.crt`, which comes back by itself.
    assert [one for one in some.names("configmaps", labelSelector=selector) if len(one) == 1] == list(names)


@pytest.mark.parametrize("selector", ["app=x y", "=x", "a in x", "a=b=c", "a in (", "UP/a=b"])
def test_a_label_selector_that_is_none_is_400(api: Api, selector: str) -> None:
    status = api.refused("GET", "configmaps", labelSelector=selector)
    assert (status["code"], status["reason"]) == (400, "BadRequest")
    assert "unable to parse requirement" in status["message"]


def test_field_selectors(api: Api) -> None:
    for name in ("one", "two"):
        api.create("pods", pod(name))
    assert api.names("pods", fieldSelector="metadata.name=one") == ["one"]
    assert api.names("pods", fieldSelector="metadata.name!=one,status.phase=Pending") == ["two"]
    assert api.names("pods", fieldSelector="spec.nodeName=") == ["one", "two"]
    assert api.names("pods", fieldSelector="spec.nodeName=x") == []
    status = api.refused("GET", "pods", fieldSelector="spec.image=x")
    assert status["code"] == 400
    assert status["message"].endswith('field selector "spec.image=x": field label not supported: spec.image')


def test_a_list_names_its_kind_once(some: Api) -> None:
    found = some.done("GET", "configmaps")
    assert (found["kind"], found["apiVersion"]) == ("ConfigMapList", "v1")
    assert not [one for one in found["items"] if "kind" in one or "apiVersion" in one]
    assert int(found["metadata"]["resourceVersion"]) >= int(found["items"][-1]["metadata"]["resourceVersion"])


def test_pages_are_of_one_moment(some: Api) -> None:
    first = some.done("GET", "configmaps", limit=2, labelSelector="")
    assert [one["metadata"]["name"] for one in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] >= 2
    some.create("configmaps", config_map("bb"))
    some.done("DELETE", "configmaps", "c")
    some.done("PATCH", "configmaps", "d", {"data": {"a": "new"}}, content_type=MERGE)
    second = some.done("GET", "configmaps", limit=500, **{"continue": first["metadata"]["continue"]})
    assert [one["metadata"]["name"] for one in second["items"] if len(one["metadata"]["name"]) < 3] == ["c", "d"]
    assert second["items"][1]["data"] == {"a": "1"}
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert "continue" not in second["metadata"]


def test_with_a_selector_nobody_counts_what_remains(some: Api) -> None:
    found = some.done("GET", "configmaps", limit=1, labelSelector="app")
    assert "continue" in found["metadata"]
    assert "remainingItemCount" not in found["metadata"]


def test_a_page_whose_moment_is_forgotten_is_410_with_a_token_for_now(some: Api) -> None:
    first = some.done("GET", "configmaps", limit=2)
    some.create("configmaps", config_map("bb"))
    some.served.cluster.compact()
    status = some.refused("GET", "configmaps", limit=2, **{"continue": first["metadata"]["continue"]})
    assert (status["code"], status["reason"]) == (410, "Expired")
    assert status["message"].startswith(
        "The provided continue parameter is too old to display a consistent list result."
    )
    rest = some.done("GET", "configmaps", **{"continue": status["metadata"]["continue"]})
    assert [one["metadata"]["name"] for one in rest["items"]][:2] == ["bb", "c"]


def test_a_token_of_ones_own_making_is_400(api: Api) -> None:
    token = base64.urlsafe_b64encode(json.dumps({"v": "x"}).encode()).decode()
    for wrong in ("nonsense", token):
        assert "continue key is not valid" in api.refused("GET", "configmaps", **{"continue": wrong})["message"]


def test_lists_at_a_version(some: Api) -> None:
    then = some.done("GET", "configmaps")["metadata"]["resourceVersion"]
    some.create("configmaps", config_map("e"))
    assert "e" in some.names("configmaps", resourceVersion="0")
    assert "e" in some.names("configmaps", resourceVersion=then)
    assert "e" not in some.names("configmaps", resourceVersion=then, resourceVersionMatch="Exact")
    future = some.refused("GET", "configmaps", resourceVersion="99999999")
    assert (future["code"], future["reason"]) == (504, "Timeout")
    assert "Too large resource version: 99999999" in future["message"]
    assert some.refused("GET", "configmaps", resourceVersion="x")["code"] == 422
    assert some.refused("GET", "configmaps", resourceVersionMatch="Exact")["code"] == 422
    some.served.cluster.compact()
    some.create("configmaps", config_map("f"))
    old = some.refused("GET", "configmaps", resourceVersion=then, resourceVersionMatch="Exact")
    assert (old["code"], old["message"]) == (410, "The resourceVersion for the provided list is too old.")


def test_all_namespaces_are_listed_at_once(api: Api) -> None:
    api.create("secrets", {"metadata": {"name": "one"}})
    found = api.ask("GET", "/api/v1/secrets").json()["items"]
    assert (api.namespace, "one") in {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in found}


def test_indexes_are_written_as_jobs_write_them() -> None:
    for text in ("", "0", "0,1", "0-2,5,7-9", "1,3,5-8"):
        assert intervals(indexes(text)) == text
