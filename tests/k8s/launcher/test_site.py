"""The site's file: the example, what is wrong with others, and the plan that follows from a booking and a site."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streamer.control.booking import Booking
from streamer.control.cluster.plan import ClusterPlan, NotPossible, Object
from streamer.control.cluster.planning import cluster_plan, manifests
from streamer.control.cluster.reach import Reach, address
from streamer.control.cluster.site import Lease, Site, load, parse
from streamer.control.launchers import CannotLaunch, chosen
from streamer.settings import Settings
from tests.k8s.manifests.plans import spec_of, wall

EXAMPLE = Path(__file__).parents[3] / "k8s" / "examples" / "site.toml"
LEAST = 'namespace = "rivers"\n[streamer]\nimage = "a"\n[worker]\nimage = "b"\n'


def booked(**asked: object) -> Booking:
    return Booking(spec_of("rivers-1a2b3c4d"), {"input": "/data/a.nc", **asked}, workers=3, title="Rivers")


def site(text: str = "") -> Site:
    head, _, tables = text.partition("\n[")
    return parse(f"{head}\n{LEAST}{'[' + tables if tables else ''}".encode())


def test_the_example_has_every_key_and_makes_a_plan() -> None:
    found = load(EXAMPLE)
    assert found.namespaces == ("rivers", "rivers-wall")
    text = EXAMPLE.read_text()
    for key in Site.__struct_fields__:
        assert f"\n{key} = " in text or f"[{key}]" in text or f"([{key}])" in text, f"{key} is not in the example"
    for key in Lease.__struct_fields__:
        assert f"\n{key} = " in text[text.index("[lease]") : text.index("[storage]")], f"lease.{key} is not in it"
    plan = cluster_plan(booked(out="s3://results/a.zarr", view=True, gpus=2, gpu_product="NVIDIA-A10"), found)
    gpu = plan.workers.pod.gpu
    assert (gpu.count, gpu.product) == (2, {"nvidia.com/gpu.product": "NVIDIA-A10"})
    assert (plan.workers.count, plan.installation, plan.pull_secrets) == (3, "cavecast", ("registry",))
    for one in manifests(booked(), plan):
        assert one["metadata"]["labels"]["cavecast/installation"] == "cavecast"
        template: Object = one.get("spec", {}).get("template", {})
        if template:
            assert template["metadata"]["labels"]["cavecast/installation"] == "cavecast"


@pytest.mark.parametrize(("text", "sentence"), [
    ('imag = "a"', "imag is no key of a site; there are namespace"),
    ("\n[renderer]\nimage = \"c\"\nneds = {}", "renderer.neds is no key of a site"),
    ("\n[renderer]\nuser = 5", "renderer.image is missing"),
    ("data = [{ cidr = \"10.0.0.0/8\", prt = 5 }]", r"data[0].prt is no key of a site"),
    ("most_gpus = \"two\"", "most_gpus: expected `int`, got `str`"),
    ("\n[storage]\nsize = 5", "storage.size: expected `str`, got `int`"),
    ("installation = \"-x\"", "installation is '-x': take at most 63"),
    ("other_namespaces = [\"A\"]", "other_namespaces is 'A', which no namespace can be called"),
    ("\n[archive]\nimage = \"a\"\nneeds = { requests = { cpu = \"1\" } }", "archive.needs: the archive has a request"),
    ("\n[lease]\nrenew_s = 20.0", "lease: retry_s is to be less than renew_s"),
    ("idle_s = -1", "idle_s is -1.0: give 0 or more seconds"),
    ("\n[reach]\nfeed = \"tcp://{host}\"", "reach.feed is 'tcp://{host}': write an address with {service}"),
    ("namespace = \"twice\"", "it is no TOML: Cannot overwrite a value"),
])  # fmt: skip
def test_what_is_wrong_with_a_site_is_said_with_its_key(text: str, sentence: str) -> None:
    with pytest.raises(NotPossible) as told:
        site(text)
    assert str(told.value).startswith(sentence)


def test_a_site_with_a_namespace_for_which_there_are_no_rights_is_refused_at_the_start(tmp_path: Path) -> None:
    given = Settings(launcher="kubernetes", cluster=EXAMPLE, dir=tmp_path, run_namespaces="rivers, storms")
    words = "the site's file or a project has runs in rivers-wall, teaching, where nobody has given us the rights"
    with pytest.raises(CannotLaunch, match=words):
        chosen(given, {"storms": "storms", "teaching": "teaching"})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match=r"the site's file .*none.toml \(cluster\) cannot be read: No such file"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize(("asked", "sentence"), [
    ({}, "this site has no renderers"),
    ({"view": False, "gpus": 9}, "9 GPUs for each worker; this site allows 8 (most_gpus)"),
    ({"view": False, "gpu_product": "A10"}, "gpu_product is 'A10', but workers have no GPU"),
    ({"view": False, "out": "/data/a.zarr"}, "/data/a.zarr is on no volume of this site: its archive has no volumes"),
    ({"view": False, "walls": ["cave"]}, "this site shows no walls ([wall.tile] or [renderer] in its file)"),
    ({"view": False, "relays": [{"name": "far", "listen": "tcp://127.0.0.1:5"}]}, "relay far is to listen at"),
])  # fmt: skip
def test_what_a_cluster_could_not_have_is_refused_before_anything_is_made(
    asked: dict[str, object], sentence: str
) -> None:
    with pytest.raises(NotPossible) as told:
        cluster_plan(booked(**asked), site())
    assert str(told.value).startswith(sentence)


def test_a_run_on_a_wall_is_where_walls_may_be() -> None:
    found = site('\n[renderer]\nimage = "c"\n[wall]\nnamespace = "caves"')

    def plan(*walls: str) -> ClusterPlan:
        return cluster_plan(booked(view=False, walls=walls), found, durability="group")

    assert (plan().namespace, plan("cave").namespace) == ("rivers", "caves")
    assert plan("cave").kept.durability == "group"
    hung = msgspec.structs.replace(plan("cave"), walls=(wall(),))
    assert {one["kind"] for one in manifests(booked(), hung)} >= {"DaemonSet"}


def test_no_manifest_that_is_shown_has_a_secret() -> None:
    (secret,) = [
        one for one in manifests(booked(), cluster_plan(booked(view=False), site())) if one["kind"] == "Secret"
    ]
    assert set(secret["data"].values()) == {""}


def test_an_address_is_known_only_when_all_of_it_is() -> None:
    facts = {"service": "cc-x-streamer", "namespace": "lab", "port": "7002", "ip": ""}
    assert address(Reach().feed, facts) == "tcp://cc-x-streamer.lab.svc:7002"
    assert address(Reach().views, facts) == ""
    assert address(Reach().views, {**facts, "ip": "fd00::1"}) == "tcp://[fd00::1]:7002"
