"""What is there already is adopted or left alone; what is refused is said in a sentence."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from streamer.control.cluster.troubles import Changed, NotAllowed, NotThere, OverQuota, Refused, Taken, Unanswered
from tests.k8s.contract.site import Site, closing, config_map, job, owned_by, taken
from tests.k8s.server.registry import Registry


def test_the_second_attempt_adopts_what_the_first_has_made(site: Site) -> None:
    with closing(site.engine()) as engine:
        made, new = engine.create(config_map("root"), taken)
        again, newer = engine.create(config_map("root"), taken)
        assert (new, newer) == (True, False)
        assert made["metadata"]["uid"] == again["metadata"]["uid"]


@pytest.mark.parametrize(("other", "words"), [
    (config_map("root", run="run-2"), "belongs to run run-2"),
    (config_map("root", spec="other"), "another specification"),
    ({**config_map("root"), "metadata": {"name": "root"}}, "belongs to nobody that CaveCast knows"),
])  # fmt: skip
def test_what_is_not_ours_is_left_as_it_is(site: Site, other: dict[str, Any], words: str) -> None:
    with closing(site.engine()) as engine:
        engine.create(other, lambda *_: "not asked")
        with pytest.raises(Taken, match=words):
            engine.create(config_map("root"), taken)
        found = engine.get("ConfigMap", "root")
        assert found is not None
        assert found["metadata"].get("annotations") == other["metadata"].get("annotations")


def test_what_is_on_its_way_out_is_not_adopted(site: Site) -> None:
    with closing(site.engine()) as engine:
        held = config_map("root", finalizers=["example.com/held"])
        engine.create(held, taken)
        engine.delete("ConfigMap", "root", {"propagationPolicy": "Foreground"})
        with pytest.raises(Taken, match="still being deleted"):
            engine.create(config_map("root"), taken)
        engine.patch("ConfigMap", "root", {"metadata": {"finalizers": None}})
        site.settle()
        engine.create(config_map("root"), taken)


def test_a_creation_whose_answer_was_lost_is_found_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The object is made, and the connection breaks before the answer."""
    if site.cluster is None:
        pytest.skip("the moment between a real API server's deed and its answer cannot be met")
    create = Registry.create

    def made_and_cut(*arguments: Any, **more: Any) -> Any:
        kept = create(*arguments, **more)
        site.line.drop()
        return kept

    with closing(site.engine()) as engine:
        monkeypatch.setattr(Registry, "create", made_and_cut)
        found, _ = engine.create(config_map("root"), taken)
        assert found["metadata"]["name"] == "root"
        # And where it is somebody else's that is there, it is not taken for the one that was to be made.
        with pytest.raises(Taken):
            engine.create(config_map("root", spec="new"), taken)


def test_a_field_that_kubernetes_does_not_know_is_named_before_anything_is_sent(site: Site) -> None:
    wrong = job("workers")
    wrong["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Always"
    with closing(site.engine()) as engine:
        with pytest.raises(
            Refused,
            match=r"create Job workers: spec\.template\.spec\.containers\.0\.imagePolicy: there is no such field",
        ):
            engine.create(wrong, taken)
        assert engine.get("Job", "workers") is None


def test_what_the_server_finds_wrong_is_said_in_its_words(site: Site) -> None:
    with closing(site.engine()) as engine:
        with pytest.raises(
            Refused, match=r"create ConfigMap Root: the API server refuses it \(422\): .*RFC 1123 subdomain"
        ):
            engine.create(config_map("Root"), taken)
        wrong = job("workers")
        wrong["spec"]["template"]["spec"]["restartPolicy"] = "Always"
        with pytest.raises(Refused, match='supported values: "OnFailure", "Never"'):
            engine.create(wrong, taken)


def test_a_dry_run_makes_nothing(site: Site) -> None:
    with closing(site.engine()) as engine:
        engine.create(config_map("root"), taken, dry=True)
        assert engine.get("ConfigMap", "root") is None


def test_a_namespace_that_is_not_there_is_said_so(site: Site) -> None:
    with closing(site.engine()) as engine:
        elsewhere = copy.deepcopy(config_map("root", namespace="nowhere-at-all"))
        with pytest.raises(NotThere, match='namespaces "nowhere-at-all" not found'):
            engine.create(elsewhere, taken)


def test_a_patch_is_a_merge_patch_whose_lists_replace(site: Site) -> None:
    with closing(site.engine()) as engine:
        engine.create(config_map("root", finalizers=["example.com/a"]), taken)
        found = engine.patch("ConfigMap", "root", {"metadata": {"finalizers": ["example.com/b"]}})
        assert found["metadata"]["finalizers"] == ["example.com/b"]
        engine.patch("ConfigMap", "root", {"metadata": {"finalizers": None}})


def test_a_change_of_an_old_version_is_refused(site: Site) -> None:
    with closing(site.engine()) as engine:
        old, _ = engine.create(config_map("root"), taken)
        engine.patch("ConfigMap", "root", {"data": {"a": "1"}})
        version = {"resourceVersion": old["metadata"]["resourceVersion"]}
        with pytest.raises(Changed, match="the object has been modified"):
            engine.patch("ConfigMap", "root", {"metadata": version, "data": {"a": "2"}})


def test_a_quota_is_told_with_its_figures(site: Site) -> None:
    with closing(site.engine()) as engine:
        quota = {
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"},
            "spec": {"hard": {"count/configmaps": "2"}},
        }  # fmt: skip
        engine.create(quota, taken)

        def counted() -> bool:
            found = engine.get("ResourceQuota", "small")
            return found is not None and found.get("status", {}).get("used", {}).get("count/configmaps") == "1"

        asyncio.run(site.until(counted, "the quota is counted"))
        engine.create(config_map("first"), taken)  # beside the one that every namespace has
        words = r"the quota small refuses it: it asks for count/configmaps=1, count/configmaps=2 is used of count/confi"
        with pytest.raises(OverQuota, match=words):
            engine.create(config_map("second"), taken)


RULES = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create"]}]


def test_what_we_may_not_do_is_said_with_who_and_where(site: Site) -> None:
    token = site.account("limited", RULES)
    who = f"system:serviceaccount:{site.namespace}:limited"
    with closing(site.engine(token)) as engine:
        engine.create(config_map("root"), taken)
        with pytest.raises(NotAllowed, match=f"{who} may not list pods in namespace {site.namespace}; ask"):
            engine.list_all("Pod")
        with pytest.raises(NotAllowed, match=rf"{who} may not create jobs\.batch in namespace"):
            engine.create(job("workers"), taken)
        with pytest.raises(NotAllowed, match="may not list nodes in the whole cluster"):
            engine.list_all("Node")
        with pytest.raises(NotAllowed, match="may not delete configmaps"):
            engine.delete("ConfigMap", "root", {})
        assert engine.get("ConfigMap", "root") is not None


def test_what_we_may_can_be_asked_beforehand(site: Site) -> None:
    with closing(site.engine(site.account("asking", RULES))) as engine:
        assert engine.may("create", "", "configmaps")
        assert not engine.may("delete", "", "configmaps")
        assert not engine.may("list", "", "nodes", "*")


def test_a_token_that_nobody_knows_is_said_so(site: Site) -> None:
    with closing(site.engine("no-such-token")) as engine, pytest.raises(NotAllowed, match=r"does not know us \(401\)"):
        engine.get("ConfigMap", "root")


def test_an_engine_that_was_closed_asks_nothing(site: Site) -> None:
    engine = site.engine()
    engine.close()
    with pytest.raises(Unanswered, match="it was ended"):
        engine.get("ConfigMap", "root")


def test_an_owner_is_kept_as_it_was_given(site: Site) -> None:
    with closing(site.engine()) as engine:
        root, _ = engine.create(config_map("root"), taken)
        child, _ = engine.create(config_map("child", ownerReferences=owned_by(root)), taken)
        assert child["metadata"]["ownerReferences"][0]["uid"] == root["metadata"]["uid"]
