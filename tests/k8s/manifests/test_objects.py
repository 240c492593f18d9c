"""The objects of a run: valid, owned, closed to strangers, and calling the commands that there are."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import kubernetes_validate
import msgspec
import pytest

from streamer.cli import load
from streamer.control.cluster import objects
from streamer.control.cluster.jobs import workers
from streamer.control.cluster.names import LONGEST, RUN_LABEL, name
from streamer.control.cluster.plan import ClusterPlan, Gpu, Needs, NotPossible, Object, Opening, Relay
from streamer.control.cluster.policies import data_openings, ways
from streamer.control.cluster.root import owned, root, spec_hash
from streamer.control.cluster.serving import doors, keys
from streamer.control.cluster.walls import tiles
from streamer.wire.keys import DOORS
from streamer.wire.volume import RunSpec
from tests.k8s.manifests.plans import KEYS, UID, everything, made, pods, smallest, spec_of, wall
from tests.k8s.manifests.restricted import violations

VERSIONS = ("1.31", "1.37")
BOTH = pytest.mark.parametrize("plan", [smallest(), everything()], ids=["smallest", "everything"])


def walk(thing: Any, key: str) -> Iterator[Any]:
    """All values that stand under a key, at any depth."""
    if isinstance(thing, dict):
        for name_, value in thing.items():
            if name_ == key:
                yield value
            yield from walk(value, key)
    elif isinstance(thing, list):
        for each in thing:
            yield from walk(each, key)


def one(things: list[Object], kind: str, part: str) -> Object:
    """The object of a kind and part."""
    (found,) = [
        each for each in things if (each["kind"], each["metadata"]["name"]) == (kind, name("rivers-1a2b3c4d", part))
    ]
    return found


# ------------------------------------------------------------ valid


@BOTH
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_one_by_the_clusters_own_schema(plan: ClusterPlan, version: str) -> None:
    for each in made(plan):
        kubernetes_validate.validate(each, version, strict=True)


def test_a_field_that_is_none_is_found_by_that_schema() -> None:
    job = workers(smallest())
    job["spec"]["backoffLimitPerIndexes"] = 6
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, VERSIONS[-1], strict=True)


@BOTH
def test_objects_are_plain_json_and_have_names_and_labels_that_a_cluster_takes(plan: ClusterPlan) -> None:
    things = made(plan)
    assert msgspec.json.decode(msgspec.json.encode(things)) == things
    assert len({(each["kind"], each["metadata"]["name"]) for each in things}) == len(things)
    for each in things:
        assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", each["metadata"]["name"])
        assert len(each["metadata"]["name"]) <= LONGEST
        assert each["metadata"]["namespace"] == plan.namespace
        for labels in (*walk(each, "labels"), *walk(each, "matchLabels")):
            for value in labels.values():
                assert re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", value)
    assert set(objects.KINDS) >= {each["kind"] for each in things}


def test_everything_has_every_kind_and_each_container_is_called_by_a_command_that_takes_its_arguments() -> None:
    things = made(everything())
    assert {each["kind"] for each in things} == set(objects.KINDS)
    called = {}
    for part, template in pods(things):
        (container,) = template["spec"]["containers"]
        command, *arguments = container["args"]
        env = {entry["name"] for entry in container["env"]}
        for variable in re.findall(r"\$\((\w+)\)", " ".join(arguments)):
            assert variable in env, f"{part} is told {variable} by nobody"
        # Parsed as the real command does it; an argument that it does not know raises.
        called[part.removeprefix("cc-rivers-1a2b3c4d-")] = load(command).make_context(command, list(arguments)).params
    assert called["workers"]["ingest"] == "tcp://cc-rivers-1a2b3c4d-streamer:7001"
    assert called["workers"]["name"] == "$(POD_NAME)"
    assert called["workers"]["one_of"] == 1
    assert called["relay-2"]["relay_of"] == "tcp://cc-rivers-1a2b3c4d-relay-1:7002"
    assert called["relay-2"]["feed"] == "tcp://0.0.0.0:7002"
    assert called["relay-2"]["name"] == "far_away"
    assert called["renderers"]["feed"] == called["relay-2"]["relay_of"]
    assert called["archive"]["feed"] == "tcp://cc-rivers-1a2b3c4d-streamer:7002"
    assert called["streamer"]["hold"] is True
    assert called["wall-1"]["conductor"] == "tcp://cc-rivers-1a2b3c4d-conductor-1:7004"
    assert called["conductor-1"]["listen"] == "tcp://0.0.0.0:7004"
    assert (called["wall-1"]["offscreen"], called["wall-2"]["offscreen"]) == (False, True)
    for part in ("workers", "renderers", "archive", "wall-1"):
        assert called[part]["patience"] == 60, part


@BOTH
def test_files_that_a_command_names_are_mounted_and_those_it_writes_are_on_a_volume(plan: ClusterPlan) -> None:
    for part, template in pods(made(plan)):
        (container,) = template["spec"]["containers"]
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        volumes = {volume["name"] for volume in template["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes, part
        assert len(set(mounts)) == len(mounts), part
        for argument in container["args"]:
            if argument.startswith("/"):
                found = PurePosixPath(argument)
                assert {str(found), *map(str, found.parents)} & set(mounts), f"{part}: nothing is at {argument}"


@BOTH
def test_what_a_pod_mounts_is_an_object_of_the_run_and_so_is_each_service_that_it_calls(plan: ClusterPlan) -> None:
    things = made(plan)
    there = {(each["kind"], each["metadata"]["name"]): each for each in things}
    for _, template in pods(things):
        for volume in template["spec"]["volumes"]:
            if "secret" in volume:
                secret = there["Secret", volume["secret"]["secretName"]]
                assert {item["key"] for item in volume["secret"]["items"]} <= set(secret["data"])
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in there
        for argument in template["spec"]["containers"][0]["args"]:
            if (found := re.fullmatch(r"tcp://(cc-[^:]+):(\d+)", argument)) is not None:
                ports = [port["port"] for port in there["Service", found[1]]["spec"]["ports"]]
                assert int(found[2]) in ports
    for (kind, _), service in there.items():
        if kind == "Service":
            matched = [
                t for _, t in pods(things) if service["spec"]["selector"].items() <= t["metadata"]["labels"].items()
            ]
            (template,) = matched
            named = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


@pytest.mark.parametrize(("names", "behind", "sentence"), [
    ([("a/b", "")], "", "a relay cannot be called 'a/b'"),
    ([("a", ""), ("a", "")], "", "each name once"),
    ([("a", "b"), ("b", "")], "", "relay a is to be one of 'b', which does not stand before it"),
    ([("a", "")], "c", "there is no relay 'c' in this run"),
])  # fmt: skip
def test_relays_that_cannot_be_are_refused_in_words(names: list[tuple[str, str]], behind: str, sentence: str) -> None:
    plan = smallest()
    relays = tuple(Relay(name=called, of=of, pod=plan.streamer) for called, of in names)
    with pytest.raises(NotPossible, match=sentence):
        made(msgspec.structs.replace(plan, relays=relays, behind=behind))


# ------------------------------------------------------------ owned


@BOTH
def test_all_but_the_root_is_owned_by_the_root_alone(plan: ClusterPlan) -> None:
    first, *others = made(plan)
    assert "ownerReferences" not in first["metadata"]
    assert first["immutable"] is True
    for each in others:
        (owner,) = each["metadata"]["ownerReferences"]
        assert owner == {
            "apiVersion": "v1", "kind": "ConfigMap", "name": first["metadata"]["name"], "uid": UID,
            "controller": True, "blockOwnerDeletion": True,
        }  # fmt: skip
        assert each["metadata"]["annotations"]["cavecast/spec-hash"] == spec_hash(spec_of(plan.run_id), plan)


def test_nothing_is_owned_by_a_root_that_does_not_exist_yet() -> None:
    plan = smallest()
    with pytest.raises(NotPossible, match=r"cc-rivers-1a2b3c4d-run has no uid yet"):
        owned([workers(plan)], root(spec_of(plan.run_id), plan))


def test_the_root_holds_the_specification_as_the_streamer_reads_it() -> None:
    plan, spec = everything(), spec_of("rivers-1a2b3c4d")
    data = root(spec, plan)["data"]
    assert msgspec.json.decode(data["RUN.json"], type=RunSpec) == spec
    fixed = msgspec.structs.replace(objects.with_counts(plan, 1, 1), walls=())  # walls come and go
    assert msgspec.json.decode(data["plan.json"], type=ClusterPlan) == fixed


def test_the_hash_changes_with_the_run_and_not_with_how_many_work_on_it() -> None:
    plan, spec = everything(), spec_of("rivers-1a2b3c4d")
    here = spec_hash(spec, plan)
    assert spec_hash(spec, objects.with_counts(plan, 7, 0)) == here
    assert spec_hash(spec_of("rivers-1a2b3c4d", steps=6), plan) != here
    assert spec_hash(spec, msgspec.structs.replace(plan, pace_s=31.0)) != here


def test_a_specification_that_no_config_map_holds_is_refused_with_a_sentence() -> None:
    with pytest.raises(NotPossible, match=r"has [\d,]+ bytes and a ConfigMap holds 1,000,000"):
        root(spec_of("rivers-1a2b3c4d", steps=60_000), smallest())


# ------------------------------------------------------------ placed


def test_a_node_is_never_named_in_a_specification() -> None:
    for each in made(everything()):
        assert not list(walk(each, "nodeName"))


def test_the_run_is_in_every_rule_about_pods_together() -> None:
    things = made(everything())
    seen = 0
    for _, template in pods(things):
        spec = template["spec"]
        terms = list(walk(spec.get("affinity", {}), "podAffinityTerm"))
        terms += [
            term
            for found in walk(
                spec.get("affinity", {}).get("podAntiAffinity", {}), "requiredDuringSchedulingIgnoredDuringExecution"
            )
            for term in found
        ]
        for term in (*terms, *spec.get("topologySpreadConstraints", ())):
            seen += 1
            assert term["labelSelector"]["matchLabels"][RUN_LABEL] == "rivers-1a2b3c4d"
    assert seen == 3


def test_a_wall_is_shown_by_its_own_nodes_and_stays_there_while_others_move_on_after_a_minute() -> None:
    things = made(everything())
    shown = one(things, "DaemonSet", "wall-1")["spec"]["template"]["spec"]
    assert shown["nodeSelector"] == {"topology.kubernetes.io/zone": "ucsd-suncave"}
    assert shown["tolerations"] == [{"key": "nautilus.io/reservation", "operator": "Equal", "value": "suncave"}]
    assert "resources" in shown["containers"][0]
    assert not [key for key in shown["containers"][0]["resources"]["limits"] if "/" in key]
    streamer = one(things, "StatefulSet", "streamer")["spec"]["template"]["spec"]
    assert {(t["key"], t["tolerationSeconds"]) for t in streamer["tolerations"]} == {
        ("node.kubernetes.io/not-ready", 60),
        ("node.kubernetes.io/unreachable", 60),
    }
    assert one(things, "ConfigMap", "seats-1")["data"] == {
        "calit2-1.example.org": "column-0", "calit2-2.example.org": "column-1",
    }  # fmt: skip


def test_a_wall_without_labels_would_be_everywhere_and_is_refused() -> None:
    bare = msgspec.structs.replace(wall(), selector={})
    with pytest.raises(NotPossible, match="would be shown by every node of the cluster"):
        tiles(msgspec.structs.replace(smallest(), walls=(bare,)), bare)


def test_what_a_site_decides_passes_through() -> None:
    spec = one(made(everything()), "Job", "workers")["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"pool": "science", "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]
    assert (spec["runtimeClassName"], spec["priorityClassName"]) == ("nvidia", "inference")
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["serviceAccountName"] == "data-reader"
    assert spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (container,) = spec["containers"]
    assert (
        container["resources"]["limits"]["nvidia.com/a100"]
        == container["resources"]["requests"]["nvidia.com/a100"]
        == "1"
    )
    assert container["envFrom"] == [{"secretRef": {"name": "bucket"}}]


def test_workers_are_an_elastic_job_that_leaves_kueues_fields_alone() -> None:
    job = one(made(everything()), "Job", "workers")
    spec = job["spec"]
    assert (spec["completionMode"], spec["parallelism"], spec["completions"]) == ("Indexed", 50, 50)
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["podFailurePolicy"]["rules"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "Ignore", "onExitCodes": {"containerName": "worker", "operator": "In", "values": [75]}},
        {"action": "FailIndex", "onExitCodes": {"containerName": "worker", "operator": "In", "values": [2]}},
    ]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert "suspend" not in spec
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "science"  # as the site gave it
    assert "kueue.x-k8s.io/queue-name" not in one(made(smallest()), "Job", "workers")["metadata"]["labels"]


@pytest.mark.parametrize("count", [0, -1, 1025])
def test_a_job_of_no_worker_would_be_complete_for_good_and_is_refused(count: int) -> None:
    plan = objects.with_counts(smallest(), count, 1)
    with pytest.raises(NotPossible, match="give 1 to 1024"):
        workers(plan)


def test_needs_that_do_not_go_together_are_refused_for_the_pod_that_has_them() -> None:
    plan = smallest()
    pod = msgspec.structs.replace(plan.workers.pod, needs=Needs(requests={"cpu": "1"}, limits={"cpu": "2"}))
    bad = msgspec.structs.replace(plan, workers=msgspec.structs.replace(plan.workers, pod=pod))
    with pytest.raises(NotPossible, match=r"the worker requests 1 of cpu and is limited to 2: the limit is to be"):
        workers(bad)
    twice = msgspec.structs.replace(
        plan.workers.pod,
        needs=Needs(requests={"nvidia.com/gpu": "1"}, limits={"nvidia.com/gpu": "1"}), gpu=Gpu(count=1),
    )  # fmt: skip
    with pytest.raises(NotPossible, match="once is enough"):
        workers(msgspec.structs.replace(plan, workers=msgspec.structs.replace(plan.workers, pod=twice)))


# ------------------------------------------------------------ closed


def test_all_pods_are_restricted_but_those_that_need_the_hosts_x_server() -> None:
    for part, template in pods(made(everything())):
        excused = ["hostPath", "hostPath"] if part.endswith("-wall-1") else []  # the socket, and its cookie
        assert violations(template) == excused, part
        (container,) = template["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert template["spec"]["automountServiceAccountToken"] is False
        assert template["spec"]["enableServiceLinks"] is False


def test_each_pod_has_the_keys_of_its_own_role_and_they_are_not_for_everybody_to_read() -> None:
    for part, template in pods(made(everything())):
        (container,) = template["spec"]["containers"]
        (volume,) = [each for each in template["spec"]["volumes"] if "secret" in each]
        (item,) = volume["secret"]["items"]
        assert f"/etc/cavecast/keys/{item['path']}" in container["args"], part
        assert volume["secret"]["defaultMode"] & 0o007 == 0
        key = {"conductor": "renderer", "tile": "renderer"}.get(container["name"], container["name"])
        assert item["key"] == f"{key}.toml"


def test_the_secret_holds_a_file_for_each_role_or_is_not_made() -> None:
    secret = keys(smallest(), KEYS)
    assert {key: base64.b64decode(value).decode() for key, value in secret["data"].items()} == {
        f"{role}.toml": text for role, text in KEYS.items()
    }
    with pytest.raises(NotPossible, match=r"\['relay'\] do not fit"):
        keys(smallest(), {role: text for role, text in KEYS.items() if role != "relay"})


@BOTH
def test_every_way_that_is_open_leads_to_a_door_that_the_walkers_key_opens(plan: ClusterPlan) -> None:
    roles = {part: role for part, (role, _) in doors(plan).items()}
    ports = {(role, door): port for role, found in doors(plan).values() for door, port in found.items()}
    for way in ways(plan):
        key = {"tile": "renderer"}.get(way.source, way.source)
        assert key in DOORS[way.door], way
        assert ports[way.target, way.door] == way.port
        assert way.target in roles.values()


@BOTH
def test_the_network_lets_through_what_the_arguments_call_and_nothing_else(plan: ClusterPlan) -> None:
    things = made(plan)
    role_of = {part: template["spec"]["containers"][0]["name"] for part, template in pods(things)}
    called = set()
    for part, template in pods(things):
        for argument in template["spec"]["containers"][0]["args"]:
            if (found := re.fullmatch(r"tcp://(cc-[^:]+):(\d+)", argument)) is not None:
                called.add((role_of[part], role_of[found[1]], int(found[2])))
    # A conductor only names the feed to its tiles, which then follow it.
    called = {
        ("tile" if (source, port) == ("conductor", 7002) else source, target, port) for source, target, port in called
    }
    into: set[tuple[str, str, int]] = set()
    out: set[tuple[str, str, int]] = set()
    for policy in (each for each in things if each["kind"] == "NetworkPolicy"):
        whom = policy["spec"]["podSelector"]["matchLabels"].get("app.kubernetes.io/component", "")
        for key, side, seen in (("ingress", "from", into), ("egress", "to", out)):
            for rule in policy["spec"].get(key, ()):
                for peer in rule[side]:
                    if "podSelector" in peer and "namespaceSelector" not in peer:
                        other = peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
                        assert peer["podSelector"]["matchLabels"][RUN_LABEL] == "rivers-1a2b3c4d"
                        way = (other, whom) if key == "ingress" else (whom, other)
                        seen.add((*way, rule["ports"][0]["port"]))
    assert into == out
    assert called <= into
    unused = {
        ("relay", "streamer", 7002),
        ("relay", "relay", 7002),
        ("renderer", "streamer", 7002),
        ("renderer", "relay", 7002),
        ("tile", "streamer", 7002),
        ("tile", "relay", 7002),
    }
    assert into - called <= unused  # whom a renderer, tile or relay follows may be either


def test_without_a_rule_nothing_gets_in_or_out() -> None:
    deny = one(made(smallest()), "NetworkPolicy", "netdeny")
    assert deny["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(deny["spec"])
    assert deny["spec"]["podSelector"]["matchLabels"][RUN_LABEL] == "rivers-1a2b3c4d"


def test_only_those_who_read_volumes_or_stores_get_out_to_them() -> None:
    things = made(everything())
    open_to_all = {
        each["spec"]["podSelector"]["matchLabels"].get("app.kubernetes.io/component")
        for each in things
        if each["kind"] == "NetworkPolicy" and "0.0.0.0/0" in list(walk(each["spec"].get("egress", []), "cidr"))
    }
    assert open_to_all == {"worker", "archive", "renderer", "tile"}
    assert "0.0.0.0/0" not in list(walk(made(smallest()), "cidr"))


@pytest.mark.parametrize(("address", "port"), [
    ("https://data.example.org/x.zarr", 443),
    ("http://data.example.org/x", 80),
    ("https://user@data.example.org:8443/x", 8443),
    ("s3://bucket/x.zarr", 443),
    ("https://[2001:db8::1]/x", 443),
    ("https://[2001:db8::1]:9000/x", 9000),
    ("https://data.example.org:0/x", 443),
    ("https://data.example.org:" + "9" * 5000 + "/x", 443),
    ("/data/x.nc", None),
    ("file:///data/x.nc", None),
    ("sample:rivers", None),
])  # fmt: skip
def test_an_address_opens_its_port(address: str, port: int | None) -> None:
    wanted = () if port is None else tuple(Opening(cidr=cidr, port=port) for cidr in ("0.0.0.0/0", "::/0"))
    assert data_openings([address, address]) == wanted


def test_the_page_names_every_object_and_no_other() -> None:
    page = (Path(__file__).parents[3] / "docs" / "cluster.md").read_text()
    told = re.findall(r"^\| (\w+) `cc-RUN-([\w-]+)` \| (root|nobody) \|", page, re.MULTILINE)
    there = {
        (each["kind"], re.sub(r"-\d+$", "-N", each["metadata"]["name"].removeprefix("cc-rivers-1a2b3c4d-")))
        for each in made(everything())
    }
    assert {(kind, part) for kind, part, _ in told} == there
    assert [(kind, part) for kind, part, owner in told if owner == "nobody"] == [("ConfigMap", "run")]
    for part, (_, ports) in doors(everything()).items():
        row = next(line for line in page.splitlines() if f"Service `cc-RUN-{re.sub(r'[0-9]+$', 'N', part)}`" in line)
        assert all(f"*{door}* {port}" in row for door, port in ports.items())
