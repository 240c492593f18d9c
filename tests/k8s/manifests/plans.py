"""Runs in a cluster: the smallest one, and one with everything that there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from streamer.control.cluster import objects
from streamer.control.cluster.plan import (
    Archive,
    ClusterPlan,
    Controllers,
    Gpu,
    Needs,
    Object,
    Opening,
    Pod,
    Relay,
    Renderers,
    Seat,
    Storage,
    WallPlan,
    Workers,
)
from streamer.control.cluster.policies import data_openings
from streamer.control.cluster.seating import DisplayNode, seat
from streamer.control.parts import Kept
from streamer.wire.grid import Grid
from streamer.wire.keys import ROLES
from streamer.wire.volume import Axis, RunSpec, Source, Volume, floats

NEEDS = Needs(requests={"cpu": "2", "memory": "4Gi"}, limits={"cpu": "2", "memory": "4800Mi"})
UID = "0e2f6a54-9a4b-4a6f-8f0e-1d3a1c8b7a10"
CONTROLLERS = Controllers(namespace="cavecast-system")


def spec_of(run_id: str, steps: int = 4) -> RunSpec:
    """A small run."""
    axes = [
        Axis(name, "other", floats([float(i) for i in range(n)]), floats([1.0] * n))
        for name, n in zip("zyx", (steps, 6, 8), strict=True)
    ]
    volume = Volume("field", (axes[0], axes[1], axes[2]))
    source = Source("https://data.example.org/rivers.zarr", "field")
    return RunSpec(run_id, source, volume, Grid(volume.shape, (2, 3, 4)), "connect", {"threshold": 0.5})


def smallest(run_id: str = "rivers-1a2b3c4d") -> ClusterPlan:
    """A streamer and two workers."""
    worker = Pod(image="registry.example.org/cavecast-worker:0.1.0", needs=NEEDS)
    streamer = Pod(image="registry.example.org/cavecast-control:0.1.0", needs=NEEDS)
    return ClusterPlan(
        run_id=run_id, namespace="rivers", streamer=streamer, workers=Workers(pod=worker), controllers=CONTROLLERS
    )


def wall(name: str = "suncave", screen: Any = "x", hosts: tuple[str, ...] = ("", "")) -> WallPlan:
    """A wall of a few nodes in a zone of its own, whose nodes are kept for it by a taint."""
    renderer = "registry.example.org/cavecast-renderer:0.1.0"
    return WallPlan(
        name=name,
        text='name = "suncave"\n',
        seats=tuple(Seat(f"column-{i}", host) for i, host in enumerate(hosts)),
        pod=Pod(image=renderer, needs=NEEDS, runtime_class="nvidia", env={"NVIDIA_VISIBLE_DEVICES": "all"}),
        conductor=Pod(image=renderer, needs=NEEDS),
        selector={"topology.kubernetes.io/zone": "ucsd-suncave"},
        tolerations=("nautilus.io/reservation=suncave",),
        screen=screen,
        x_authority="/var/lib/x/cookie" if screen == "x" else "",
        trackers=(Opening(cidr="10.1.2.3/32", port=5000, protocol="UDP"),),
    )


def everything(run_id: str = "rivers-1a2b3c4d") -> ClusterPlan:
    """All parts and all that a site may pass through."""
    apart: Object = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"cavecast/part": "workers"}},
                }
            ],
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 5, "podAffinityTerm": {"topologyKey": "topology.kubernetes.io/zone"}}
            ],
        },
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]
            }
        },
    }
    worker = Pod(
        image="registry.example.org/cavecast-worker@sha256:" + "0" * 64,
        pull_policy="IfNotPresent",
        needs=NEEDS,
        gpu=Gpu(count=1, resource="nvidia.com/a100", product={"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}),
        node_selector={"pool": "science"},
        affinity=apart,
        spread=({"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"},),
        tolerations=({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},),
        runtime_class="nvidia",
        priority_class="inference",
        service_account="data-reader",
        env={"CAVECAST_THREADS": "2"},
        env_from=({"secretRef": {"name": "bucket"}},),
        volumes=({"name": "data", "persistentVolumeClaim": {"claimName": "merra2", "readOnly": True}},),
        mounts=({"name": "data", "mountPath": "/data", "readOnly": True},),
        labels={"kueue.x-k8s.io/queue-name": "science"},
        annotations={"k8s.v1.cni.cncf.io/networks": "fast"},
    )
    renderer = Pod(image="registry.example.org/cavecast-renderer:0.1.0", needs=NEEDS, user=None)
    control = Pod(image="registry.example.org/cavecast-control:0.1.0", needs=NEEDS)
    return ClusterPlan(
        run_id=run_id,
        namespace="rivers",
        streamer=control,
        workers=Workers(pod=worker, count=50),
        controllers=CONTROLLERS,
        storage=Storage(size="200Gi", storage_class="fast"),
        renderers=Renderers(pod=renderer, count=2),
        archive=Archive(pod=control, out="s3://results/rivers.zarr"),
        relays=(
            Relay(name="wall", pod=control, durability="group"),
            Relay(name="far_away", pod=control, of="wall"),
        ),
        behind="wall",
        walls=(wall(), msgspec.structs.replace(wall("desk", "none", ("desk-1", "desk-2.example.org")), number=2)),
        kept=Kept(durability="group", retain_gb=20.0, shard=(4, 2, 2)),
        hold=True,
        pace_s=30.0,
        pull_secrets=("registry",),
        data=data_openings(["https://data.example.org/rivers.zarr", "s3://results/rivers.zarr", "/data/x.nc"]),
    )


KEYS: dict[str, str] = {role: f'role = "{role}"\n' for role in ROLES}


def made(plan: ClusterPlan) -> list[Object]:
    """All objects of a run, the root first, as if the API server had given that a uid."""
    root = objects.first(spec_of(plan.run_id), plan)
    there = {**root, "metadata": {**root["metadata"], "uid": UID}}
    nodes = [DisplayNode("calit2-1.example.org"), DisplayNode("calit2-2.example.org")]
    seats = [seat(one, nodes if not one.seats[0].host else None).seats for one in plan.walls]
    return [root, *objects.rest(plan, there, KEYS, seats)]


def pods(things: list[Object]) -> Iterator[tuple[str, Object]]:
    """The name of each object that makes pods, and their template."""
    for one in things:
        if "template" in one.get("spec", {}):
            yield one["metadata"]["name"], one["spec"]["template"]
