"""The resources that the server knows: where each lies in the API, and which manners it has."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Obj = dict[str, Any]
"""An API object as JSON."""


class Kind(NamedTuple):
    """One resource."""

    kind: str
    plural: str
    group: str
    version: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    generation: bool = False
    unconditional: bool = True
    """Whether an update may leave the resource version out."""
    default_propagation: Literal["Background", "Orphan"] = "Background"
    definition: str = ""

    @property
    def resource(self) -> str:
        """As messages name it: ``jobs.batch``, ``pods``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def kind_name(self) -> str:
        """As messages of invalid objects name it: ``Job.batch``, ``Pod``."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def schema(self) -> str:
        """The name of its definition in the OpenAPI document."""
        group = {"": "core", "rbac.authorization.k8s.io": "rbac"}.get(self.group, self.group.partition(".")[0])
        return f"io.k8s.api.{group}.{self.version}.{self.kind}"


_RBAC, _APPS, _STATUS, _SCALE = "rbac.authorization.k8s.io", "apps", ("status",), ("status", "scale")
KINDS = (
    Kind("ConfigMap", "configmaps", "", "v1", short=("cm",)),
    Kind("Secret", "secrets", "", "v1"),
    Kind("Service", "services", "", "v1", short=("svc",), subresources=_STATUS),
    Kind("Pod", "pods", "", "v1", short=("po",), subresources=("status", "log"), generation=True),
    Kind("Node", "nodes", "", "v1", namespaced=False, short=("no",), subresources=_STATUS),
    Kind("Event", "events", "", "v1", short=("ev",)),
    Kind("PersistentVolumeClaim", "persistentvolumeclaims", "", "v1", short=("pvc",), subresources=_STATUS),
    Kind("Namespace", "namespaces", "", "v1", namespaced=False, short=("ns",), subresources=("status", "finalize")),
    Kind("ResourceQuota", "resourcequotas", "", "v1", short=("quota",), subresources=_STATUS),
    Kind("ServiceAccount", "serviceaccounts", "", "v1", short=("sa",), subresources=("token",)),
    Kind("DaemonSet", "daemonsets", _APPS, "v1", short=("ds",), subresources=_STATUS, generation=True),
    Kind("StatefulSet", "statefulsets", _APPS, "v1", short=("sts",), subresources=_SCALE, generation=True),
    Kind("Deployment", "deployments", _APPS, "v1", short=("deploy",), subresources=_SCALE, generation=True),
    Kind("ReplicaSet", "replicasets", _APPS, "v1", short=("rs",), subresources=_SCALE, generation=True),
    Kind("Job", "jobs", "batch", "v1", subresources=_STATUS, generation=True, default_propagation="Orphan"),
    Kind("NetworkPolicy", "networkpolicies", "networking.k8s.io", "v1", short=("netpol",), generation=True),
    Kind("Lease", "leases", "coordination.k8s.io", "v1", unconditional=False),
    Kind("PriorityClass", "priorityclasses", "scheduling.k8s.io", "v1", namespaced=False, short=("pc",)),
    Kind("Role", "roles", _RBAC, "v1"),
    Kind("RoleBinding", "rolebindings", _RBAC, "v1"),
    Kind("ClusterRole", "clusterroles", _RBAC, "v1", namespaced=False),
    Kind("ClusterRoleBinding", "clusterrolebindings", _RBAC, "v1", namespaced=False),
)
BY_PLURAL = {(kind.group, kind.plural): kind for kind in KINDS}
BY_KIND = {(kind.api_version, kind.kind): kind for kind in KINDS}
BY_RESOURCE = {kind.resource: kind for kind in KINDS}
REVIEWS = ("selfsubjectaccessreviews", "subjectaccessreviews")
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def meta(found: Obj) -> Obj:
    """The metadata of an object."""
    metadata: Obj = found.setdefault("metadata", {})
    return metadata


def discovery(group: str) -> Obj:
    """The APIResourceList of a group."""
    resources: list[Obj] = []
    for kind in (kind for kind in KINDS if kind.group == group):
        resources.append({
            "name": kind.plural, "singularName": kind.kind.lower(), "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": VERBS, **({"shortNames": list(kind.short)} if kind.short else {}),
        })  # fmt: skip
        for sub in kind.subresources:
            of = {
                "scale": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
                "token": {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"},
            }.get(sub, {"kind": kind.kind})  # fmt: skip
            verbs = {"log": ["get"], "finalize": ["update"], "token": ["create"]}.get(sub, ["get", "patch", "update"])
            resources.append({
                "name": f"{kind.plural}/{sub}", "singularName": "", "namespaced": kind.namespaced, **of, "verbs": verbs,
            })  # fmt: skip
    if group == "authorization.k8s.io":
        for name, review in zip(REVIEWS, ("SelfSubjectAccessReview", "SubjectAccessReview"), strict=True):
            resources.append(
                {"name": name, "singularName": "", "namespaced": False, "kind": review, "verbs": ["create"]}
            )
    return {
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/v1" if group else "v1",
        "resources": resources,
    }  # fmt: skip


GROUPS = [*dict.fromkeys(kind.group for kind in KINDS if kind.group), "authorization.k8s.io"]


def group_list() -> Obj:
    """The APIGroupList."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [api_group(name) for name in GROUPS]}


def api_group(name: str) -> Obj:
    """One group with its versions."""
    version = {"groupVersion": f"{name}/v1", "version": "v1"}
    return {"name": name, "versions": [version], "preferredVersion": version}
