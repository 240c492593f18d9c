"""What is wanted of a cluster for a run: frozen records, without defaults that only one site would want.

What a site decides (nodes, priorities, secrets for images, quotas, networks) passes through as it is written: a
``Pod`` has the pieces of a pod's specification that CaveCast has no opinion about.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from streamer.control.parts import Kept

Object = dict[str, Any]
"""A Kubernetes object, or a piece of one, as JSON has it."""


class NotPossible(ValueError):
    """What is wanted cannot be had from a cluster: what, and what to do, in a sentence."""

    exit_code = 2


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod uses.  ``quantity.check`` says whether requests and limits go together."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """GPUs of a pod."""

    count: int = 0
    resource: str = "nvidia.com/gpu"
    """What the cluster calls them: also ``nvidia.com/a100``, ``nvidia.com/mig-1g.5gb``."""
    product: dict[str, str] = {}
    """Labels of the nodes that have the right ones, such as ``nvidia.com/gpu.product``."""


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """The pods of a part, in so far as a site decides about them."""

    image: str
    pull_policy: str = ""
    needs: Needs = Needs()
    gpu: Gpu = Gpu()
    node_selector: dict[str, str] = {}
    affinity: Object = {}
    """The run is put into every pod (anti-)affinity, so that old runs do not block new ones."""
    spread: tuple[Object, ...] = ()
    """topologySpreadConstraints; the run is put into their selectors as well."""
    tolerations: tuple[Object, ...] = ()
    runtime_class: str = ""
    priority_class: str = ""
    service_account: str = ""
    env: dict[str, str] = {}
    """No secrets: the plan can be read in the run's root."""
    env_from: tuple[Object, ...] = ()
    """Whole Secrets or ConfigMaps as environment: credentials of a bucket."""
    volumes: tuple[Object, ...] = ()
    mounts: tuple[Object, ...] = ()
    labels: dict[str, str] = {}
    """Further labels of the pods and of what makes them; CaveCast's own have precedence."""
    annotations: dict[str, str] = {}
    """Of the pods, such as ``k8s.v1.cni.cncf.io/networks`` for a fast network."""
    user: int | None = 10001
    """Whose processes they are; None: whom the cluster chooses (OpenShift)."""
    tmp: str = "1Gi"
    """Size of the only folder that can be written besides volumes, /tmp."""


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """The volume of the streamer's log."""

    size: str = "20Gi"
    storage_class: str = ""
    """The cluster's default if empty."""
    access: str = "ReadWriteOnce"


class Workers(msgspec.Struct, frozen=True, kw_only=True):
    """The workers, an elastic Indexed Job."""

    pod: Pod
    count: int = 2
    retries: int = 6
    """Failures of one index before it is given up."""


class Renderers(msgspec.Struct, frozen=True, kw_only=True):
    """Renderers that serve browsers."""

    pod: Pod
    count: int = 1


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes the store."""

    pod: Pod
    out: str
    """``s3://…``, or a path under one of the pod's mounts."""
    retries: int = 20


class Relay(msgspec.Struct, frozen=True, kw_only=True):
    """A relay; its copy can be had again, so it lies in an emptyDir."""

    name: str
    pod: Pod
    of: str = ""
    durability: str | None = None
    copy: str = "20Gi"


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """An address beyond the run that some of its pods may reach, or be reached from."""

    cidr: str
    port: int | None = None
    """All ports if None."""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"


class Seat(msgspec.Struct, frozen=True):
    """A node as the wall's file has it."""

    name: str
    host: str = ""
    """Empty: any node that the selector finds."""


class WallPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A wall that shows the run: one pod on each of its display nodes."""

    name: str
    number: int = 1
    """Among the walls that the run is shown on; names of objects end with it, since walls may be called anyhow."""
    text: str
    """The wall's file, TOML."""
    seats: tuple[Seat, ...]
    """The nodes that drive tiles, in the file's order."""
    pod: Pod
    """Of the tile processes; ``node_selector`` and ``tolerations`` of the wall are added to its own."""
    conductor: Pod
    selector: dict[str, str] = {}
    """Labels that all nodes of the wall carry."""
    tolerations: tuple[str, ...] = ()
    """``key=value`` of taints."""
    expected_nodes: int = 0
    """0: as many as there are seats."""
    screen: Literal["x", "none"] = "x"
    """``x``: windows of the node's own X server, through its socket; ``none``: pictures stay in memory."""
    x_authority: str = ""
    """The file on the node that lets its owner use the X server, if one is needed."""
    behind: str = ""
    """The relay that the tiles follow; the streamer if empty."""
    follows: bool = True
    """Whether they follow a run at all: a test pattern does not."""
    trackers: tuple[Opening, ...] = ()
    """Where the packets of trackers come from, and to which ports of the conductor."""
    deadline_ms: float = 250.0

    @property
    def expected(self) -> int:
        """How many nodes there should be."""
        return self.expected_nodes or len(self.seats)


class Controllers(msgspec.Struct, frozen=True, kw_only=True):
    """Where the control plane's own pods are: they follow the feed and pass pictures on."""

    namespace: str
    labels: dict[str, str] = msgspec.field(
        default_factory=lambda: {"app.kubernetes.io/name": "cavecast", "app.kubernetes.io/component": "control"}
    )


class NameServer(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers DNS.  OpenShift: namespace ``openshift-dns``, port 5353."""

    namespace: str = "kube-system"
    labels: dict[str, str] = msgspec.field(default_factory=lambda: {"k8s-app": "kube-dns"})
    port: int = 53
    local: str = "169.254.20.10/32"
    """A cache on each node (NodeLocal DNSCache); empty: none."""


class ClusterPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A run in a cluster."""

    run_id: str
    namespace: str
    installation: str = ""
    """Whose run it is, as a label of all its objects."""
    streamer: Pod
    workers: Workers
    controllers: Controllers
    storage: Storage = Storage()
    renderers: Renderers | None = None
    archive: Archive | None = None
    relays: tuple[Relay, ...] = ()
    """Each after the one that it is a relay of."""
    behind: str = ""
    """The relay whose feed the renderers follow; the streamer's if empty."""
    walls: tuple[WallPlan, ...] = ()
    """Those that it is shown on now: they come and go."""
    kept: Kept = Kept()
    hold: bool = False
    pace_s: float = 0.0
    pull_secrets: tuple[str, ...] = ()
    data: tuple[Opening, ...] = ()
    """Where volumes are read and stores written, beyond what is mounted."""
    name_server: NameServer = NameServer()
    away_s: int = 60
    """So long after a node was lost, pods on it that may run elsewhere are given up."""
    ttl_s: int = 86_400
    """So long finished Jobs are kept, should nobody delete the run."""
    grace_s: int = 30
    """What pods have between SIGTERM and the end."""
