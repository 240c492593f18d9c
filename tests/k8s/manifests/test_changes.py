"""What is said to the API server after a run was created."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.control.cluster.changes import delete, scale_renderers, scale_workers, taken
from streamer.control.cluster.plan import NotPossible, Object
from tests.k8s.manifests.plans import UID, everything, made, smallest


@given(st.integers(1, 1024))
def test_workers_are_scaled_by_both_numbers_at_once_and_nothing_else_is_touched(count: int) -> None:
    patch = scale_workers("rivers-1a2b3c4d", count)
    job = next(each for each in made(smallest()) if each["kind"] == "Job")
    assert (patch.kind, patch.name) == (job["kind"], job["metadata"]["name"])
    assert patch.body == {"spec": {"parallelism": count, "completions": count}}


def test_renderers_go_down_to_none_and_workers_do_not() -> None:
    patch = scale_renderers("rivers-1a2b3c4d", 0)
    assert patch.body == {"spec": {"replicas": 0}}
    deployments = [each["metadata"]["name"] for each in made(everything()) if each["kind"] == "Deployment"]
    assert patch.name in deployments
    with pytest.raises(NotPossible, match="to stop the work, cancel the run"):
        scale_workers("rivers-1a2b3c4d", 0)
    with pytest.raises(NotPossible, match="give 0 to 64"):
        scale_renderers("rivers-1a2b3c4d", 65)


def test_a_delete_takes_what_is_owned_first_and_means_one_very_root() -> None:
    root = {"metadata": {"uid": UID}}
    body = delete(root)
    assert body["propagationPolicy"] == "Foreground"
    assert body["preconditions"] == {"uid": UID}
    with pytest.raises(KeyError):
        delete({"metadata": {}})


def changed(thing: Object, **metadata: Any) -> Object:
    return {**thing, "metadata": {**thing["metadata"], **metadata}}


def test_what_is_there_is_adopted_if_it_is_the_same_run_of_the_same_specification_under_the_same_root() -> None:
    root, *others = made(everything())
    job = next(each for each in others if each["kind"] == "Job")
    for wanted in (root, job):
        found = changed(wanted, resourceVersion="7", uid=UID)
        assert taken(found, wanted) == ""
        here = wanted["metadata"]["annotations"]
        other_run = changed(found, annotations={**here, "cavecast/run-id": "x"})
        assert "belongs to run x: delete it, or take another namespace" in taken(other_run, wanted)
        assert "belongs to nobody that CaveCast knows" in taken(changed(found, annotations=None), wanted)
        other_spec = changed(found, annotations={**here, "cavecast/spec-hash": "0"})
        assert "with another specification" in taken(other_spec, wanted)
        ending = changed(found, deletionTimestamp="2026-01-01T00:00:00Z")
        assert "is still being deleted" in taken(ending, wanted)
    orphan = changed(job, ownerReferences=[{"uid": "another"}])
    assert "belongs to an earlier root of this run" in taken(orphan, job)


def test_the_body_of_a_delete_has_the_fields_of_the_api() -> None:
    # DeleteOptions is no object by itself, so it is looked at as part of one that the schema knows.
    kubernetes_validate.validate(
        {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": "x"},
            "deleteOptions": delete({"metadata": {"uid": UID}}),
        },
        "1.37",
        strict=True,
    )
