"""Who may do what: tokens stand for users, and RBAC's objects say what a user may."""

from __future__ import annotations

from typing import NamedTuple

from tests.k8s.server.kinds import Kind, Obj
from tests.k8s.server.refusals import Refused, forbidden
from tests.k8s.server.store import Key, Store

_GROUP = "rbac.authorization.k8s.io"


class User(NamedTuple):
    name: str
    groups: tuple[str, ...] = ()


ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
SYSTEM = User("system:kube-controller-manager", ("system:masters", "system:authenticated"))


def service_account(namespace: str, name: str) -> User:
    return User(
        f"system:serviceaccount:{namespace}:{name}",
        ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"),
    )


class Request(NamedTuple):
    """What RBAC looks at."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


def allowed(store: Store, user: User, request: Request) -> bool:
    return "system:masters" in user.groups or any(
        _covers(rule, request) for rule in _rules(store, user, request.namespace)
    )


def _rules(store: Store, user: User, namespace: str) -> list[Obj]:
    """All rules that hold for a user, cluster-wide and in a namespace."""
    bindings = store.every(f"clusterrolebindings.{_GROUP}")
    if namespace:
        bindings += store.every(f"rolebindings.{_GROUP}", namespace)
    found: list[Obj] = []
    for binding in bindings:
        if any(_means(subject, user, namespace) for subject in binding.get("subjects") or []):
            found += role_rules(store, binding["roleRef"], binding["metadata"].get("namespace", ""))
    return found


def role_rules(store: Store, reference: Obj, namespace: str) -> list[Obj]:
    """The rules of the role that a binding names."""
    plural = "roles" if reference["kind"] == "Role" else "clusterroles"
    role = store.get(Key(f"{plural}.{_GROUP}", namespace if plural == "roles" else "", reference["name"]))
    rules: list[Obj] = (role or {}).get("rules") or []
    return rules


def _means(subject: Obj, user: User, namespace: str) -> bool:
    match subject["kind"]:
        case "ServiceAccount":
            return user.name == f"system:serviceaccount:{subject.get('namespace', namespace)}:{subject['name']}"
        case "Group":
            return subject["name"] in user.groups
    return bool(subject["name"] == user.name)


def _covers(rule: Obj, request: Request) -> bool:
    def one_of(key: str, value: str) -> bool:
        return value in (rule.get(key) or ()) or "*" in (rule.get(key) or ())

    names = rule.get("resourceNames") or []
    sub = request.resource.partition("/")[2]
    resource = one_of("resources", request.resource) or (sub and f"*/{sub}" in (rule.get("resources") or ()))
    return bool(
        one_of("verbs", request.verb)
        and one_of("apiGroups", request.group)
        and resource
        and (not names or request.name in names)
    )


def refusal(user: User, request: Request, kind: Kind | None) -> Refused:
    """The 403 in kube-apiserver's words."""
    where = f'in the namespace "{request.namespace}"' if request.namespace else "at the cluster scope"
    why = (
        f'User "{user.name}" cannot {request.verb} resource "{request.resource}" in API group "{request.group}" {where}'
    )
    if kind is None:
        return Refused(403, "Forbidden", f"{request.resource}.{request.group} is forbidden: {why}", {})
    return forbidden(kind, request.name, why)


def escalation(store: Store, user: User, kind: Kind, found: Obj) -> Refused | None:
    """Nobody grants more than they have (unless they may ``escalate`` or ``bind``)."""
    namespace = found["metadata"].get("namespace", "")
    name = found["metadata"].get("name", "")
    if kind.plural.endswith("roles"):
        rules, verb, reference = found.get("rules") or [], "escalate", kind.plural
    elif kind.plural.endswith("rolebindings"):
        rules = role_rules(store, found["roleRef"], namespace)
        verb, reference = "bind", "roles" if found["roleRef"]["kind"] == "Role" else "clusterroles"
        name = found["roleRef"]["name"]
    else:
        return None
    if "system:masters" in user.groups or allowed(store, user, Request(verb, _GROUP, reference, namespace, name)):
        return None
    for rule in rules:
        for verb in rule.get("verbs") or []:
            for group in rule.get("apiGroups") or []:
                for resource in rule.get("resources") or []:
                    for one in rule.get("resourceNames") or [""]:
                        if not allowed(store, user, Request(verb, group, resource, namespace, one)):
                            lacks = f'{{APIGroups:["{group}"], Resources:["{resource}"], Verbs:["{verb}"]}}'
                            why = (
                                f'user "{user.name}" (groups={list(user.groups)}) is attempting to grant RBAC '
                                f"permissions not currently held:\n{lacks}"
                            )
                            return forbidden(kind, found["metadata"].get("name", ""), why)
    return None
