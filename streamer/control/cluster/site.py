"""The site: what an operator decides about a cluster for all runs, read once from a TOML file.

It has the pieces of ``plan`` under the names of the parts; k8s/examples/site.toml has all of them.  Whatever is wrong
is one sentence that names the key.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import inspect

from streamer.control.cluster.plan import Controllers, NameServer, NotPossible, Opening, Pod, Storage
from streamer.control.cluster.quantity import resources
from streamer.control.cluster.reach import Reach

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """How control planes agree on who leads; all in seconds."""

    name: str = ""
    """The installation's if empty."""
    namespace: str = ""
    """That of the runs if empty."""
    duration_s: float = 15.0
    """So long after its last sign the leader is taken to be gone."""
    renew_s: float = 10.0
    """A leader that could not renew for so long stops leading."""
    retry_s: float = 2.0
    doubt_s: float = 300.0
    """So long a leader that does not know whether it still leads shows what it knows, and changes nothing."""


class Wall(msgspec.Struct, frozen=True, kw_only=True):
    """How walls are shown."""

    namespace: str = ""
    """Where runs on a wall are: with X servers one that allows Pod Security ``privileged``.  Empty: as others."""
    screen: Literal["x", "none"] = "x"
    x_authority: str = ""
    tile: Pod | None = None
    """As renderers if not given; so is the conductor."""
    conductor: Pod | None = None


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster as its operator wants it used."""

    namespace: str
    """Where runs are."""
    other_namespaces: tuple[str, ...] = ()
    """Where runs may be as well, such as those that were begun when ``namespace`` was another one."""
    installation: str = "cavecast"
    """Tells the runs of this control plane from those of others in the same namespace."""
    streamer: Pod
    worker: Pod
    renderer: Pod | None = None
    """Without it runs have no view."""
    archive: Pod | None = None
    """As the streamer if not given; so are relays."""
    relay: Pod | None = None
    copy: str = "20Gi"
    """Of a relay."""
    retries: int = 6
    """Failures of one worker's index before it is given up."""
    storage: Storage = Storage()
    controllers: Controllers | None = None
    """The control plane's pods; in the runs' namespace, by the chart's labels, if not given."""
    data: tuple[Opening, ...] = ()
    """What pods that read volumes and write stores may reach; if empty the ports of the run's own addresses."""
    name_server: NameServer = NameServer()
    product_label: str = "nvidia.com/gpu.product"
    """The nodes' label that says which GPUs they have."""
    most_gpus: int = 8
    """That a worker may ask for."""
    pull_secrets: tuple[str, ...] = ()
    wall: Wall = Wall()
    reach: Reach = Reach()
    lease: Lease = Lease()
    away_s: int = 60
    ttl_s: int = 86_400
    grace_s: int = 30
    idle_s: float = 120.0
    """So long after the last viewer has gone a run's renderers stay."""
    finish_s: float = 20.0
    """So long a cancelled run waits for what is committed to be written."""
    kept_s: float = 7 * 86_400.0
    """So long the log of a run that is over is kept, if nobody removes it before."""
    orphans_s: float = 600.0
    """So long objects of ours of which no run is known are left alone."""
    resync_s: float = 600.0

    @property
    def namespaces(self) -> tuple[str, ...]:
        """All in which there may be runs."""
        return tuple(dict.fromkeys((self.namespace, self.wall.namespace or self.namespace, *self.other_namespaces)))

    @property
    def pods(self) -> dict[str, Pod]:
        """The pods by the names of their tables, as far as they are given."""
        every = {
            "streamer": self.streamer, "worker": self.worker, "renderer": self.renderer, "archive": self.archive,
            "relay": self.relay, "wall.tile": self.wall.tile, "wall.conductor": self.wall.conductor,
        }  # fmt: skip
        return {name: pod for name, pod in every.items() if pod is not None}


def load(path: Path) -> Site:
    """The site in a file.  Raises NotPossible, with the key that is wrong."""
    try:
        raw = path.read_bytes()
    except OSError as why:
        raise NotPossible(f"the site's file {path} (cluster) cannot be read: {why.strerror}") from None
    try:
        return parse(raw)
    except NotPossible as why:
        raise NotPossible(f"the site's file {path}: {why}") from None


def parse(raw: bytes) -> Site:
    """The site in a TOML document.  Raises NotPossible."""
    try:
        found = tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as why:
        raise NotPossible(f"it is no TOML: {why}") from None
    _known(found, inspect.type_info(Site), "")
    try:
        site = msgspec.convert(found, Site)
    except msgspec.ValidationError as why:
        raise NotPossible(_told(str(why))) from None
    _check(site)
    return site


def _told(why: str) -> str:
    """msgspec's complaint with the key first."""
    said, _, place = why.partition(" - at `$.")
    if (missing := re.search(r"missing required field `(\w+)`", said)) is not None:
        where = place.rstrip("`")
        return f"{f'{where}.' * bool(where)}{missing[1]} is missing"
    return f"{place.rstrip('`')}: {said[:1].lower()}{said[1:]}" if place else f"{said[:1].lower()}{said[1:]}"


def _known(found: Any, kind: inspect.Type, place: str) -> None:
    """Raises NotPossible for a key that there is not: what is misspelt would else be left out without a word."""
    match kind:
        case inspect.UnionType():
            for one in kind.types:
                if isinstance(one, inspect.StructType):
                    _known(found, one, place)
        case inspect.VarTupleType() if isinstance(found, list):
            for number, one in enumerate(found):
                _known(one, kind.item_type, f"{place}[{number}]")
        case inspect.StructType() if isinstance(found, dict):
            fields = {field.encode_name: field.type for field in kind.fields}
            for key, value in found.items():
                whole = f"{place}.{key}" if place else key
                if key not in fields:
                    raise NotPossible(f"{whole} is no key of a site; there are {', '.join(fields)}")
                _known(value, fields[key], whole)
        case _:
            return


def _check(site: Site) -> None:
    for name, label in (("installation", site.installation), ("lease.name", site.lease.name or "x")):
        if not _LABEL.fullmatch(label):
            raise NotPossible(f"{name} is {label!r}: take at most 63 letters, digits, -, _ and .")
    for name, space in (
        ("namespace", site.namespace), ("wall.namespace", site.wall.namespace or "x"),
        ("lease.namespace", site.lease.namespace or "x"), *(("other_namespaces", one) for one in site.other_namespaces),
    ):  # fmt: skip
        if not _NAMESPACE.fullmatch(space):
            raise NotPossible(f"{name} is {space!r}, which no namespace can be called")
    for name, pod in site.pods.items():
        try:
            resources(f"the {name}", pod.needs, pod.gpu)
        except NotPossible as why:
            raise NotPossible(f"{name}.needs: {why}") from None
    if not 0 < site.lease.retry_s < site.lease.renew_s < site.lease.duration_s:
        raise NotPossible("lease: retry_s is to be less than renew_s, and that less than duration_s")
    for name in ("idle_s", "finish_s", "kept_s", "orphans_s", "away_s", "ttl_s", "grace_s", "resync_s"):
        if getattr(site, name) < 0:
            raise NotPossible(f"{name} is {getattr(site, name)}: give 0 or more seconds")
    site.reach.check()
