"""From what was asked for to what is wanted of the cluster: a booking and a site make a plan."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from streamer.control.booking import Booking
from streamer.control.cluster import objects, policies, serving
from streamer.control.cluster.commands import WALL_FILE
from streamer.control.cluster.names import SPEC_HASH
from streamer.control.cluster.plan import (
    Archive,
    ClusterPlan,
    Controllers,
    NotPossible,
    Object,
    Pod,
    Relay,
    Renderers,
    WallPlan,
    Workers,
)
from streamer.control.cluster.policies import data_openings
from streamer.control.cluster.root import config_map, hash_of, owned
from streamer.control.cluster.site import Site
from streamer.control.parts import Kept
from streamer.wire.keys import ROLES
from streamer.wire.volume import RunSpec


def cluster_plan(booked: Booking, site: Site, *, durability: str | None = None, namespace: str = "") -> ClusterPlan:
    """The plan of a run, without its walls, which come and go.

    ``durability`` is the setting; ``namespace`` is the site's if empty.  Raises NotPossible.
    """
    request = booked.request
    if request.walls and (site.wall.tile or site.renderer) is None:
        raise NotPossible("this site shows no walls ([wall.tile] or [renderer] in its file): ask for none")
    if request.view and site.renderer is None:
        raise NotPossible("this site has no renderers (renderer in its file): start the run without a view")
    for one in request.relays:
        if one.listen:
            raise NotPossible(
                f"relay {one.name} is to listen at {one.listen}; in a cluster a relay is met at its Service: "
                "leave listen out"
            )
    if request.out is not None and "://" not in request.out:
        _mounted(site.archive or site.streamer, request.out)
    addresses = [booked.spec.source.address, *([request.out] if request.out is not None else [])]
    relay = site.relay or site.streamer
    return ClusterPlan(
        run_id=booked.run_id,
        namespace=namespace or (site.wall.namespace if request.walls else "") or site.namespace,
        installation=site.installation,
        streamer=site.streamer,
        workers=Workers(pod=_worker(booked, site), count=booked.workers, retries=site.retries),
        controllers=site.controllers or Controllers(namespace=site.namespace),
        storage=site.storage,
        renderers=Renderers(pod=site.renderer) if request.view and site.renderer is not None else None,
        archive=Archive(pod=site.archive or site.streamer, out=request.out) if request.out is not None else None,
        relays=tuple(
            Relay(
                name=one.name, pod=relay, of=one.of or "", copy=site.copy,
                durability=one.durability or request.durability or durability,
            ) for one in request.relays
        ),
        behind=request.behind or "",
        kept=Kept(request.durability or durability, request.retain_gb, request.shard),
        hold=request.start == "first_viewer",
        pace_s=request.pace_s,
        pull_secrets=site.pull_secrets,
        data=site.data or data_openings(addresses),
        name_server=site.name_server,
        away_s=site.away_s,
        ttl_s=site.ttl_s,
        grace_s=site.grace_s,
    )  # fmt: skip


def manifests(booked: Booking, plan: ClusterPlan) -> list[Object]:
    """All objects of a run as they would be created, with no secret's value.  Raises NotPossible."""
    return manifests_of(booked.spec, plan)


def manifests_of(spec: RunSpec, plan: ClusterPlan) -> list[Object]:
    """The same for a specification."""
    root = objects.first(spec, plan)
    made = {**root, "metadata": {**root["metadata"], "uid": "00000000-0000-0000-0000-000000000000"}}
    rest = objects.rest(plan, made, dict.fromkeys(ROLES, ""), [None] * len(plan.walls))
    return [root, *rest]


def pattern_plan(run_id: str, wall: WallPlan, site: Site) -> ClusterPlan:
    """The plan of a test pattern: one wall, and nothing to compute."""
    return ClusterPlan(
        run_id=run_id, namespace=site.wall.namespace or site.namespace, installation=site.installation,
        streamer=site.streamer, workers=Workers(pod=site.worker),
        controllers=site.controllers or Controllers(namespace=site.namespace), walls=(wall,),
        pull_secrets=site.pull_secrets, name_server=site.name_server, away_s=site.away_s, ttl_s=site.ttl_s,
        grace_s=site.grace_s,
    )  # fmt: skip


def pattern_root(plan: ClusterPlan) -> Object:
    """What owns all else of a test pattern."""
    wall = plan.walls[0]
    found = config_map(plan, "run", "run", {WALL_FILE: wall.text})
    found["metadata"]["annotations"][SPEC_HASH] = hash_of(wall.name, wall.text)
    return found


def pattern_rest(plan: ClusterPlan, made: Object, keys: Mapping[str, str], seats: Mapping[str, str]) -> list[Object]:
    """All else, owned by the root as it was ``made`` (see ``objects.rest``): only what a wall takes.

    Raises NotPossible.
    """
    closed = ("netdeny", "netdns")
    shut = [one for one in policies.policies(plan) if one["metadata"]["name"].endswith(closed)]
    return [*owned([serving.keys(plan, keys), *shut], made), *objects.for_walls(plan, made, [seats])]


def _worker(booked: Booking, site: Site) -> Pod:
    """A worker's pod with the GPUs that were asked for; those of the site if nothing was said."""
    request, pod = booked.request, site.worker
    gpu = pod.gpu
    if request.gpus is not None:
        if request.gpus > site.most_gpus:
            raise NotPossible(f"{request.gpus} GPUs for each worker; this site allows {site.most_gpus} (most_gpus)")
        gpu = msgspec.structs.replace(gpu, count=request.gpus)
    if request.gpu_product is not None:
        if not gpu.count:
            raise NotPossible(f"gpu_product is {request.gpu_product!r}, but workers have no GPU: give gpus as well")
        gpu = msgspec.structs.replace(gpu, product={site.product_label: request.gpu_product})
    return msgspec.structs.replace(pod, gpu=gpu)


def _mounted(pod: Pod, out: str) -> None:
    """Raises NotPossible for a store that would be lost with its pod."""
    places = [str(one.get("mountPath", "")).rstrip("/") for one in pod.mounts]
    if not any(place and out.startswith(f"{place}/") for place in places):
        there = f"the archive's volumes are at {', '.join(places)}" if places else "its archive has no volumes"
        raise NotPossible(f"{out} is on no volume of this site: {there}; write to one of them, or to s3://…")
