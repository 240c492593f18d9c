"""Objects one by one: created, read, changed, refused."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pytest

from tests.k8s.server.asking import JSON_PATCH, MERGE, STRATEGIC, Api, config_map, job, pod, pod_spec, workload
from tests.k8s.server.kinds import Obj


def _causes(status: Obj) -> list[tuple[str, str]]:
    return [(one["field"], one["message"]) for one in status["details"]["causes"]]


def test_a_new_object_has_what_the_server_gives_it(api: Api) -> None:
    answer = api.ask("POST", api.path("configmaps"), config_map("one"))
    assert answer.status_code == 201
    data = answer.json()["metadata"]
    assert data["namespace"] == api.namespace
    assert data["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert len(data["uid"]) == 36
    assert data["resourceVersion"].isdecimal()
    assert "generation" not in data
    assert api.create("jobs.batch", job("one"))["metadata"]["generation"] == 1


def test_versions_of_all_objects_come_from_one_rising_counter(api: Api) -> None:
    made = [
        api.create("configmaps", config_map("a")),
        api.create("jobs.batch", job("b")),
        api.create("configmaps", config_map("c")),
    ]
    versions = [int(one["metadata"]["resourceVersion"]) for one in made]
    assert versions == sorted(set(versions))


def test_what_is_there_already_is_409_already_exists(api: Api) -> None:
    api.create("jobs.batch", job("one"))
    status = api.refused("POST", "jobs.batch", body=job("one"))
    assert (status["code"], status["reason"]) == (409, "AlreadyExists")
    assert status["message"] == 'jobs.batch "one" already exists'
    assert status["details"] == {"name": "one", "group": "batch", "kind": "jobs"}


def test_only_one_of_many_creations_at_once_succeeds(api: Api) -> None:
    codes: list[int] = []

    def create() -> None:
        with Api(api.served, api.namespace) as other:
            codes.append(other.ask("POST", other.path("configmaps"), config_map("one")).status_code)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(codes) == [201, *[409] * 7]


def test_what_is_not_there_is_404(api: Api) -> None:
    for method in ("GET", "DELETE"):
        status = api.refused(method, "pods", "none")
        assert (status["code"], status["reason"], status["message"]) == (404, "NotFound", 'pods "none" not found')
        assert status["details"] == {"name": "none", "kind": "pods"}
    assert api.refused("PUT", "configmaps", "none", config_map("none"))["code"] == 404
    assert api.refused("PATCH", "configmaps", "none", {}, content_type=MERGE)["code"] == 404


def test_a_path_that_is_none_is_404_in_plain_text(api: Api) -> None:
    for path in ("/apis/batch/v1/namespaces/x/gobs", "/apis/none/v1/things", "/api/v1/namespaces/x/pods/y/z/w"):
        answer = api.ask("GET", path)
        assert (answer.status_code, answer.text) == (404, "404 page not found\n")


def test_a_namespace_that_is_not_there_is_404_for_what_is_put_there(api: Api) -> None:
    answer = api.ask("POST", "/api/v1/namespaces/none/configmaps", config_map("one"))
    assert (answer.status_code, answer.json()["message"]) == (404, 'namespaces "none" not found')


def test_generate_name_makes_names(api: Api) -> None:
    body = {"metadata": {"generateName": "some-"}}
    names = {api.create("configmaps", body)["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("some-") and len(name) == 10 for name in names)


def test_an_object_to_be_created_must_have_no_version(api: Api) -> None:
    status = api.refused("POST", "configmaps", body=config_map("one", resourceVersion="5"))
    assert status["code"] == 500
    assert "reason" not in status
    assert status["message"] == "resourceVersion should not be set on objects to be created"


@pytest.mark.parametrize(("body", "message"), [
    ({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}}, 'Pod in version "v1" cannot be handled as '
        'a ConfigMap'),
    ({"kind": "ConfigMap", "apiVersion": "v2", "metadata": {"name": "x"}}, "the API version in the data (v2) does "
        "not match the expected API version (v1)"),
    (config_map("x", namespace="other"), "the namespace of the provided object does not match the namespace sent on "
                                         "the request"),
    ({**config_map("x"), "data": {"a": 1}}, 'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: '
                                            'cannot unmarshal number into Go struct field ConfigMap.data.a of '
                                            'type string'),
    ([1, 2], "the object provided is unrecognized (must be of type ConfigMap)"),
])  # fmt: skip
def test_a_body_that_is_none_of_that_kind_is_400(api: Api, body: Any, message: str) -> None:
    status = api.refused("POST", "configmaps", body=body)
    assert (status["code"], status["reason"], status["message"]) == (400, "BadRequest", message)


def test_a_body_that_is_no_json_is_400_and_one_of_another_format_415(api: Api) -> None:
    assert api.ask("POST", api.path("configmaps"), b"{").status_code == 400
    assert api.ask("POST", api.path("configmaps"), b"k8s\x00", "application/vnd.kubernetes.protobuf").status_code == 415
    assert api.ask("PATCH", api.path("configmaps", "x"), {}, "application/apply-patch+yaml").status_code in (404, 415)


def test_a_body_of_more_than_three_megabytes_is_413(api: Api) -> None:
    answer = api.ask("POST", api.path("configmaps"), b'"' + b"x" * (3 * 1024 * 1024) + b'"')
    assert answer.status_code == 413


def test_unknown_fields_are_dropped_with_a_warning_or_refused_when_strict(api: Api) -> None:
    body = job("one")
    body["spec"]["completionz"] = 3
    strict = api.refused("POST", "jobs.batch", body=body, fieldValidation="Strict")
    assert strict["message"] == (
        'Job in version "v1" cannot be handled as a Job: strict decoding error: unknown field "spec.completionz"'
    )
    answer = api.ask("POST", api.path("jobs.batch"), body)
    assert answer.headers["warning"] == '299 - "unknown field \\"spec.completionz\\""'
    assert "completionz" not in answer.json()["spec"]
    assert (
        "warning"
        not in api.ask(
            "POST", api.path("jobs.batch"), {**body, "metadata": {"name": "two"}}, fieldValidation="Ignore"
        ).headers
    )


@pytest.mark.parametrize(("resource", "name", "words"), [
    ("configmaps", "Upper", "a lowercase RFC 1123 subdomain must consist of"),
    ("configmaps", "x" * 254, "must be no more than 253 bytes"),
    ("namespaces", "a.b", "a lowercase RFC 1123 label must consist of"),
    ("configmaps", "", "name or generateName is required"),
])  # fmt: skip
def test_names_are_checked(api: Api, resource: str, name: str, words: str) -> None:
    status = api.refused("POST", resource, body={"metadata": {"name": name}})
    assert (status["code"], status["reason"]) == (422, "Invalid")
    field, message = _causes(status)[0]
    assert field == "metadata.name"
    assert words in message


@pytest.mark.parametrize(("labels", "words"), [
    ({"a b": "x"}, "name part must consist of"), ({"a": "x y"}, "a valid label must be an empty string or"),
    ({"a": "x" * 64}, "must be no more than 63 bytes"), ({"UP/a": "x"}, "prefix part a lowercase RFC 1123 subdomain"),
    ({"a": "-x"}, "a valid label must be"),
])  # fmt: skip
def test_labels_are_checked(api: Api, labels: dict[str, str], words: str) -> None:
    status = api.refused("POST", "configmaps", body=config_map("one", labels))
    assert [field for field, _ in _causes(status)] == ["metadata.labels"]
    assert words in status["message"]


def test_annotations_and_data_have_a_largest_size(api: Api) -> None:
    large = config_map("one", annotations={"a": "x" * 300_000})
    assert "may not be more than 262144 bytes" in api.refused("POST", "configmaps", body=large)["message"]
    assert (
        "may not be more than 1048576 bytes"
        in api.refused("POST", "configmaps", body={**config_map("one"), "data": {"a": "x" * 1_100_000}})["message"]
    )


def test_secrets_are_base64_and_keys_are_checked(api: Api) -> None:
    body = {"metadata": {"name": "one"}, "data": {"k": "***"}}
    assert "illegal base64 data" in api.refused("POST", "secrets", body=body)["message"]
    found = api.create("secrets", {"metadata": {"name": "one"}, "data": {"k": base64.b64encode(b"v").decode()}})
    assert found["type"] == "Opaque"
    assert (
        "a valid config key must consist of"
        in api.refused("POST", "secrets", body={"metadata": {"name": "x"}, "data": {"a/b": ""}})["message"]
    )
    assert api.refused("PATCH", "secrets", "one", {"type": "other"}, content_type=MERGE)["message"].endswith(
        'type: Invalid value: "other": field is immutable'
    )
    text = api.create("secrets", {"metadata": {"name": "two"}, "stringData": {"k": "v"}})
    assert (text["data"], "stringData" in text) == ({"k": "dg=="}, False)


def test_an_immutable_config_map_stays_as_it_is(api: Api) -> None:
    api.create("configmaps", {**config_map("one"), "immutable": True})
    status = api.refused("PATCH", "configmaps", "one", {"data": {"a": "2"}}, content_type=MERGE)
    assert _causes(status) == [("data", "Forbidden: field is immutable when `immutable` is set")]


def test_an_update_of_an_old_version_is_409_conflict(api: Api) -> None:
    old = api.create("configmaps", config_map("one"))
    new = api.done("PUT", "configmaps", "one", {**old, "data": {"a": "2"}})
    assert new["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]
    status = api.refused("PUT", "configmaps", "one", {**old, "data": {"a": "3"}})
    assert (status["code"], status["reason"]) == (409, "Conflict")
    assert status["message"] == (
        'Operation cannot be fulfilled on configmaps "one": the object has been modified; please apply your changes to '
        "the latest version and try again"
    )
    patch = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "data": {"a": "4"}}
    assert api.refused("PATCH", "configmaps", "one", patch, content_type=MERGE)["code"] == 409
    other = {**new, "metadata": {**new["metadata"], "uid": "11111111-1111-1111-1111-111111111111"}}
    assert "Precondition failed: UID in precondition" in api.refused("PUT", "configmaps", "one", other)["message"]


def test_an_update_without_a_version_goes_through_except_for_leases(api: Api) -> None:
    api.create("configmaps", config_map("one"))
    assert api.done("PUT", "configmaps", "one", {**config_map("one"), "data": {"a": "2"}})["data"] == {"a": "2"}
    lease = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}
    api.create("leases.coordination.k8s.io", lease)
    status = api.refused("PUT", "leases.coordination.k8s.io", "leader", lease)
    assert _causes(status) == [("metadata.resourceVersion", "Invalid value: 0x0: must be specified for an update")]


def test_two_that_update_one_lease_at_once_do_not_both_succeed(api: Api) -> None:
    found = api.create("leases.coordination.k8s.io", {"metadata": {"name": "leader"}, "spec": {"holderIdentity": ""}})
    answers = [
        api.ask("PUT", api.path("leases.coordination.k8s.io", "leader"), {**found, "spec": {"holderIdentity": who}})
        for who in ("a", "b")
    ]  # fmt: skip
    assert [one.status_code for one in answers] == [200, 409]


def test_an_update_that_changes_nothing_is_no_new_version(api: Api) -> None:
    old = api.create("configmaps", config_map("one"))
    assert (
        api.done("PUT", "configmaps", "one", old)["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"]
    )
    same = api.done("PATCH", "configmaps", "one", {"data": {"a": "1"}}, content_type=MERGE)
    assert same["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"]


def test_a_name_that_is_not_the_urls_is_400(api: Api) -> None:
    api.create("configmaps", config_map("one"))
    status = api.refused("PUT", "configmaps", "one", config_map("two"))
    assert status["message"] == "the name of the object (two) does not match the name on the URL (one)"


def test_the_generation_counts_changes_of_the_spec_alone(api: Api) -> None:
    api.create("jobs.batch", job("one"))
    labelled = api.done("PATCH", "jobs.batch", "one", {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
    assert labelled["metadata"]["generation"] == 1
    scaled = api.done("PATCH", "jobs.batch", "one", {"spec": {"parallelism": 1}}, content_type=MERGE)
    assert scaled["metadata"]["generation"] == 2


def test_the_status_is_changed_by_its_own_path_alone(api: Api) -> None:
    found = api.create("jobs.batch", job("one"))
    both = {**found, "status": {"active": 7}, "metadata": {**found["metadata"], "labels": {"a": "b"}}}
    del both["metadata"]["resourceVersion"]
    assert api.done("PUT", "jobs.batch", "one", both).get("status") == {}
    both["spec"] = {**found["spec"], "parallelism": 9}
    after = api.done("PUT", "jobs.batch", "one", both, sub="status")
    assert after["status"] == {"active": 7}
    assert after["spec"]["parallelism"] == 2
    assert api.done("GET", "jobs.batch", "one", sub="status")["status"] == {"active": 7}


def test_what_the_server_gave_cannot_be_changed(api: Api) -> None:
    old = api.create("configmaps", config_map("one"))
    changed = {**old, "metadata": {**old["metadata"], "creationTimestamp": "2000-01-01T00:00:00Z", "selfLink": "/x"}}
    assert api.done("PUT", "configmaps", "one", changed)["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"


def test_a_dry_run_answers_as_if_and_keeps_nothing(api: Api) -> None:
    assert api.create("configmaps", config_map("one"), dryRun="All")["metadata"]["uid"]
    assert api.get("configmaps", "one") is None
    api.create("configmaps", config_map("one"))
    api.done("DELETE", "configmaps", "one", dryRun="All")
    assert api.get("configmaps", "one") is not None


# ---------------------------------------------------------------- patches


def test_a_merge_patch_removes_with_null_and_replaces_lists(api: Api) -> None:
    api.create(
        "configmaps", {**config_map("one", finalizers=["example.com/a", "example.com/b"]), "data": {"a": "1", "b": "2"}}
    )
    patch = {"data": {"a": None, "c": "3"}, "metadata": {"finalizers": ["example.com/c"]}}
    found = api.done("PATCH", "configmaps", "one", patch, content_type=MERGE)
    assert found["data"] == {"b": "2", "c": "3"}
    assert found["metadata"]["finalizers"] == ["example.com/c"]


def test_a_json_patch_tests_adds_and_removes(api: Api) -> None:
    api.create("configmaps", config_map("one"))
    good = [
        {"op": "test", "path": "/data/a", "value": "1"}, {"op": "add", "path": "/metadata/labels", "value": {}},
        {"op": "add", "path": "/metadata/labels/x~1y", "value": "z"}, {"op": "remove", "path": "/data/a"},
    ]  # fmt: skip
    found = api.done("PATCH", "configmaps", "one", good, content_type=JSON_PATCH)
    assert found["metadata"]["labels"] == {"x/y": "z"}
    assert not found.get("data")
    for bad in ({"op": "test", "path": "/data/a", "value": "2"}, {"op": "remove", "path": "/data/none"}):
        status = api.refused("PATCH", "configmaps", "one", [bad], content_type=JSON_PATCH)
        assert (status["code"], status["reason"]) == (422, "Invalid")
        assert status["message"] == "the server rejected our request due to an error in our request"
    assert api.refused("PATCH", "configmaps", "one", {"a": 1}, content_type=JSON_PATCH)["code"] == 400


def test_a_strategic_patch_merges_lists_by_their_key(api: Api) -> None:
    body = workload("Deployment", "one")
    body["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "registry.test/side:1"})
    body["spec"]["template"]["spec"]["tolerations"] = [{"key": "a", "operator": "Exists"}]
    api.create("deployments.apps", body)
    containers = [
        {"name": "main", "image": "registry.test/it:2"},
        {"name": "side", "$patch": "delete"},
        {"name": "new", "image": "registry.test/new:1"},
    ]
    patch = {
        "spec": {"template": {"spec": {"containers": containers, "tolerations": [{"key": "b", "operator": "Exists"}]}}}
    }
    spec = api.done("PATCH", "deployments.apps", "one", patch, content_type=STRATEGIC)["spec"]["template"]["spec"]
    assert [(one["name"], one["image"]) for one in spec["containers"]] == [
        ("main", "registry.test/it:2"),
        ("new", "registry.test/new:1"),
    ]
    assert [one["key"] for one in spec["tolerations"]] == ["b"], "an atomic list is replaced"


def test_a_patch_of_another_type_is_415_and_one_that_breaks_the_shape_422(api: Api) -> None:
    api.create("jobs.batch", job("one"))
    assert api.refused("PATCH", "jobs.batch", "one", {}, content_type="application/json")["code"] == 415
    assert api.refused("PATCH", "jobs.batch", "one", {}, content_type="application/apply-patch+yaml")["code"] == 415
    status = api.refused("PATCH", "jobs.batch", "one", {"spec": {"parallelism": "x"}}, content_type=MERGE)
    assert status["code"] == 422
    assert "json: cannot unmarshal string into Go struct field JobSpec.spec.parallelism" in status["message"]


def test_a_method_that_a_path_does_not_have_is_405(api: Api) -> None:
    for method, path in (
        ("PUT", api.path("configmaps")),
        ("POST", api.path("configmaps", "x")),
        ("PATCH", api.path("jobs.batch")),
    ):
        answer = api.ask(method, path, {})
        assert (answer.status_code, answer.json()["reason"]) == (405, "MethodNotAllowed")


# ---------------------------------------------------------------- the rules of kinds


@pytest.mark.parametrize(("change", "message"), [
    ({"completions": 3}, 'spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism'),
    ({"completions": 3, "parallelism": 2}, 'spec.completions: Invalid value: 3: can only be modified in tandem with '
                                           'spec.parallelism'),
    ({"backoffLimitPerIndex": 3}, "spec.backoffLimitPerIndex: Invalid value: 3: field is immutable"),
    ({"template": {"spec": {"hostNetwork": True}}}, "spec.template: Invalid value:"),
    ({"selector": {"matchLabels": {"a": "b"}}}, "spec.selector: Invalid value:"),
    ({"parallelism": -1}, "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
])  # fmt: skip
def test_what_a_job_may_not_change_is_422(api: Api, change: Obj, message: str) -> None:
    api.create("jobs.batch", job("one"))
    status = api.refused("PATCH", "jobs.batch", "one", {"spec": change}, content_type=MERGE)
    assert status["code"] == 422
    assert message in status["message"]
    assert status["message"].startswith('Job.batch "one" is invalid: ')


def test_an_indexed_job_is_scaled_by_both_numbers_in_one_patch(api: Api) -> None:
    api.create("jobs.batch", job("one"))
    found = api.done("PATCH", "jobs.batch", "one", {"spec": {"parallelism": 5, "completions": 5}}, content_type=MERGE)
    assert (found["spec"]["parallelism"], found["spec"]["completions"]) == (5, 5)
    plain = job("plain", completionMode="NonIndexed")
    api.create("jobs.batch", plain)
    patch = {"spec": {"parallelism": 5, "completions": 5}}
    assert "field is immutable" in api.refused("PATCH", "jobs.batch", "plain", patch, content_type=MERGE)["message"]


_RULE = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}


@pytest.mark.parametrize(("spec", "message"), [
    ({"completions": None}, "spec.completions: Required value: when completion mode is Indexed"),
    ({"completionMode": "NonIndexed", "backoffLimitPerIndex": 1}, "spec.backoffLimitPerIndex: Invalid value: 1: "
        "requires indexed completion mode"),
    ({"maxFailedIndexes": 1}, "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"),
    ({"podFailurePolicy": {"rules": [_RULE]}, "podReplacementPolicy": "TerminatingOrFailed"},
        'spec.podReplacementPolicy: Unsupported value: '
        '"TerminatingOrFailed": supported values: "Failed"'),
    ({"podFailurePolicy": {"rules": [{**_RULE, "action": "FailIndex"}]}}, 'rules[0].action: Invalid value: '
        '"FailIndex": requires the backoffLimitPerIndex'),
    ({"podFailurePolicy": {"rules": [{"action": "Ignore"}]}}, "specifying one of OnExitCodes and OnPodConditions "
        "is required"),
    ({"podFailurePolicy": {"rules": [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [0]}}]}},
        "must not be 0 for the In operator"),
    ({"podFailurePolicy": {"rules": [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [4, 3]}}]}},
        "must be ordered"),
    ({"selector": {"matchLabels": {"a": "b"}}}, "`selector` not auto-generated"),
    ({"template": {"spec": {**pod_spec(), "restartPolicy": "Always"}}}, 'spec.template.spec.restartPolicy: '
        'Unsupported value: "Always": supported values: "OnFailure", "Never"'),
    ({"backoffLimitPerIndex": 1, "template": {"spec": {**pod_spec(), "restartPolicy": "OnFailure"}}},
        'only "Never" is supported when '
        'backoffLimitPerIndex is specified'),
    ({"template": {"spec": {"restartPolicy": "Never", "containers": []}}}, "spec.template.spec.containers: "
        "Required value"),
])  # fmt: skip
def test_a_job_that_cannot_be_is_422(api: Api, spec: Obj, message: str) -> None:
    status = api.refused("POST", "jobs.batch", body=job("one", **spec))
    assert status["code"] == 422
    assert message in status["message"]


def test_a_job_whose_pods_could_have_no_name_is_422(api: Api) -> None:
    assert (
        "will not able to create pod with invalid DNS label"
        in api.refused("POST", "jobs.batch", body=job("x" * 62))["message"]
    )


def test_a_job_gets_its_selector_and_its_defaults(api: Api) -> None:
    spec = api.create("jobs.batch", job("one", backoffLimitPerIndex=1))["spec"]
    uid = api.done("GET", "jobs.batch", "one")["metadata"]["uid"]
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert spec["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "one"
    assert (spec["backoffLimit"], spec["podReplacementPolicy"], spec["suspend"]) == (
        2**31 - 1,
        "TerminatingOrFailed",
        False,
    )
    assert api.create("jobs.batch", job("two"))["spec"]["backoffLimit"] == 6


@pytest.mark.parametrize("kind", ["DaemonSet", "StatefulSet", "Deployment"])
def test_a_workload_selects_its_own_pods_and_never_others(api: Api, kind: str) -> None:
    resource = f"{kind.lower()}s.apps"
    wrong = workload(kind, "one")
    wrong["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    assert "`selector` does not match template `labels`" in api.refused("POST", resource, body=wrong)["message"]
    api.create(resource, workload(kind, "one"))
    both = {"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": {"metadata": {"labels": {"app": "x"}}}}}
    words = api.refused("PATCH", resource, "one", both, content_type=MERGE)["message"]
    assert (
        "field is immutable"
        if kind != "StatefulSet"
        else "updates to statefulset spec for fields other than 'replicas'"
    ) in words
    never = workload(kind, "two")
    never["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    assert (
        'Unsupported value: "Never": supported values: "Always"' in api.refused("POST", resource, body=never)["message"]
    )


@pytest.mark.parametrize(("spec", "message"), [
    ({"container": {"resources": {"limits": {"nvidia.com/gpu": "0.5"}}}}, "must be an integer"),
    ({"container": {"resources": {"requests": {"nvidia.com/gpu": "1"}}}}, "Limit must be set for non "
        "overcommitable resources"),
    ({"container": {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}}, 'Invalid value: "2": must be '
        'less than or equal to cpu limit of 1'),
    ({"container": {"resources": {"limits": {"cpu": "two"}}}}, "quantities must match the regular expression"),
    ({"container": {"resources": {"limits": {"gpus": "1"}}}}, "must be a standard resource for containers"),
    ({"container": {"volumeMounts": [{"name": "none", "mountPath": "/x"}]}},
        'spec.containers[0].volumeMounts[0].name: Not found: "none"'),
    ({"container": {"image": ""}}, "spec.containers[0].image: Required value"),
    ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "value must be empty when `operator` "
        "is 'Exists'"),
    ({"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 5}]}, "effect must be 'NoExecute' when "
        "`tolerationSeconds` is set"),
    ({"nodeSelector": {"a": "b c"}}, "spec.nodeSelector: Invalid value"),
    ({"restartPolicy": "Sometimes"}, 'spec.restartPolicy: Unsupported value: "Sometimes"'),
])  # fmt: skip
def test_a_pod_that_cannot_be_is_422(api: Api, spec: Obj, message: str) -> None:
    status = api.refused("POST", "pods", body=pod("one", **spec))
    assert status["code"] == 422
    assert message in status["message"]


def test_a_pod_changes_in_few_places_only(api: Api) -> None:
    api.create("pods", pod("one"))
    words = api.refused("PATCH", "pods", "one", {"spec": {"nodeSelector": {"a": "b"}}}, content_type=MERGE)["message"]
    assert "pod updates may not change fields other than" in words
    images = {"spec": {"containers": [{"name": "main", "image": "registry.test/it:2"}]}}
    found = api.done("PATCH", "pods", "one", images, content_type=STRATEGIC)
    assert found["spec"]["containers"][0]["image"] == "registry.test/it:2"


def test_a_pod_gets_what_admission_gives_it(api: Api) -> None:
    spec = api.create("pods", pod("one"))["spec"]
    assert (spec["serviceAccountName"], spec["priority"], spec["schedulerName"]) == ("default", 0, "default-scheduler")
    assert {(one["key"], one["tolerationSeconds"]) for one in spec["tolerations"]} == {
        ("node.kubernetes.io/not-ready", 300), ("node.kubernetes.io/unreachable", 300),
    }  # fmt: skip
    status = api.refused("POST", "pods", body=pod("two", serviceAccountName="none"))
    assert status["message"].endswith(
        f'error looking up service account {api.namespace}/none: serviceaccount "none" not found'
    )
    status = api.refused("POST", "pods", body=pod("two", priorityClassName="none"))
    assert (status["code"], "no PriorityClass with name none was found" in status["message"]) == (403, True)


def test_a_service_keeps_the_address_it_was_given(api: Api) -> None:
    body = {"metadata": {"name": "one"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}
    found = api.create("services", body)
    assert found["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    kept = api.done("PUT", "services", "one", body)
    assert kept["spec"]["clusterIP"] == found["spec"]["clusterIP"]
    assert (
        "may not change once set"
        in api.refused("PATCH", "services", "one", {"spec": {"clusterIP": "10.0.0.9"}}, content_type=MERGE)["message"]
    )
    assert (
        api.create("services", {"metadata": {"name": "two"}, "spec": {"clusterIP": "None"}})["spec"]["clusterIP"]
        == "None"
    )


def test_replicas_are_read_and_set_by_the_scale(api: Api) -> None:
    api.create("deployments.apps", workload("Deployment", "one", replicas=2))
    found = api.done("GET", "deployments.apps", "one", sub="scale")
    assert (found["kind"], found["apiVersion"], found["spec"], found["status"]["selector"]) == (
        "Scale",
        "autoscaling/v1",
        {"replicas": 2},
        "app=one",
    )
    api.done("PATCH", "deployments.apps", "one", {"spec": {"replicas": 4}}, sub="scale", content_type=MERGE)
    api.done(
        "PUT", "deployments.apps", "one", {**found, "metadata": {"name": "one"}, "spec": {"replicas": 0}}, sub="scale"
    )
    assert api.done("GET", "deployments.apps", "one")["spec"]["replicas"] == 0
    assert api.refused("PUT", "deployments.apps", "one", found, sub="scale")["code"] == 409
