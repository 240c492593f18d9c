"""What must hold for a pod and for the pod template in a workload."""

from __future__ import annotations

from typing import Any

from tests.k8s.server import validation_meta as meta
from tests.k8s.server.kinds import Obj
from tests.k8s.server.quantities import NATIVE, quantity
from tests.k8s.server.refusals import Cause, prohibited, required, unsupported, wrong

POLICIES = ("Always", "OnFailure", "Never")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
QUANTITY_WORDS = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def pod_spec(spec: Obj, path: str) -> list[Cause]:
    causes: list[Cause] = []
    if spec.get("restartPolicy") not in POLICIES:
        causes.append(unsupported(f"{path}.restartPolicy", spec.get("restartPolicy"), POLICIES))
    volumes: set[str] = set()
    for number, volume in enumerate(spec.get("volumes", [])):
        inner = f"{path}.volumes[{number}]"
        name = volume.get("name", "")
        if not name:
            continue
        if why := meta.name_complaint(name, label=True):
            causes.append(wrong(f"{inner}.name", name, why))
        if name in volumes:
            causes.append(Cause("FieldValueDuplicate", f"{inner}.name", f'Duplicate value: "{name}"'))
        volumes.add(name)
        if len(volume) > 2:
            causes.append(prohibited(f"{inner}.{sorted(volume)[-1]}", "may not specify more than 1 volume type"))
    names: set[str] = set()
    for group in ("initContainers", "containers"):
        for number, container in enumerate(spec.get(group, [])):
            causes += _container(container, f"{path}.{group}[{number}]", names, volumes)
    for number, toleration in enumerate(spec.get("tolerations", [])):
        causes += _toleration(toleration, f"{path}.tolerations[{number}]")
    causes += meta.labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    causes += _affinity(spec.get("affinity", {}), f"{path}.affinity")
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        value = spec["terminationGracePeriodSeconds"]
        causes.append(wrong(f"{path}.terminationGracePeriodSeconds", value, "must be greater than or equal to 0"))
    return causes


def _container(container: Obj, path: str, names: set[str], volumes: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    name = container.get("name", "")
    if name and (why := meta.name_complaint(name, label=True)):
        causes.append(wrong(f"{path}.name", name, why))
    if name in names:
        causes.append(Cause("FieldValueDuplicate", f"{path}.name", f'Duplicate value: "{name}"'))
    names.add(name)
    image = container.get("image", "")
    if not image:
        causes.append(required(f"{path}.image"))
    elif image != image.strip():
        causes.append(wrong(f"{path}.image", image, "must not have leading or trailing whitespace"))
    for number, port in enumerate(container.get("ports", [])):
        if not 0 < port.get("containerPort", 0) < 65536:
            value = port.get("containerPort")
            causes.append(
                wrong(f"{path}.ports[{number}].containerPort", value, "must be between 1 and 65535, inclusive")
            )
        if why := _port_name_complaint(port.get("name", "")):
            causes.append(wrong(f"{path}.ports[{number}].name", port["name"], why))
    mounts: set[str] = set()
    for number, mount in enumerate(container.get("volumeMounts", [])):
        if mount.get("name") not in volumes:
            causes.append(
                Cause("FieldValueNotFound", f"{path}.volumeMounts[{number}].name", f'Not found: "{mount.get("name")}"')
            )
        if mount.get("mountPath") in mounts:
            where = f"{path}.volumeMounts[{number}].mountPath"
            causes.append(wrong(where, mount["mountPath"], "must be unique"))
        mounts.add(mount.get("mountPath", ""))
    for number, env in enumerate(container.get("env", [])):
        if env.get("value") and env.get("valueFrom"):
            where = f"{path}.env[{number}].valueFrom"
            causes.append(wrong(where, "", "may not be specified when `value` is not empty"))
    return causes + resources(container.get("resources", {}), f"{path}.resources")


def _port_name_complaint(name: str) -> str:
    if name and (len(name) > 15 or name != name.lower() or not name.replace("-", "").isalnum()):
        return "must be no more than 15 characters" if len(name) > 15 else "must contain only alphanumeric characters"
    return ""


def resources(found: Obj, path: str) -> list[Cause]:
    causes: list[Cause] = []
    limits, requests = found.get("limits", {}), found.get("requests", {})
    for which, values in (("limits", limits), ("requests", requests)):
        for name, value in values.items():
            where = f"{path}.{which}[{name}]"
            try:
                amount = quantity(value)
            except ValueError:
                causes.append(wrong(f"{path}.{which}", value, QUANTITY_WORDS))
                continue
            if name not in NATIVE and not name.startswith("hugepages-") and "/" not in name:
                causes.append(wrong(where, name, "must be a standard resource for containers"))
            if amount < 0:
                causes.append(wrong(where, value, "must be greater than or equal to 0"))
            if "/" in name and amount != int(amount):
                causes.append(wrong(where, value, "must be an integer"))
    if causes:
        return causes
    for name, value in requests.items():
        where = f"{path}.requests"
        if name not in limits:
            if "/" in name:
                causes.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
        elif "/" in name and quantity(value) != quantity(limits[name]):
            causes.append(wrong(where, value, f"must be equal to {name} limit of {limits[name]}"))
        elif quantity(value) > quantity(limits[name]):
            causes.append(wrong(where, value, f"must be less than or equal to {name} limit of {limits[name]}"))
    return causes


def _toleration(found: Obj, path: str) -> list[Cause]:
    causes: list[Cause] = []
    key, operator, effect = found.get("key", ""), found.get("operator", "Equal") or "Equal", found.get("effect", "")
    if key and (why := meta.key_complaint(key)):
        causes.append(wrong(f"{path}.key", key, why))
    if not key and operator != "Exists":
        causes.append(
            wrong(
                f"{path}.operator",
                operator,
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        )
    if operator not in ("Equal", "Exists"):
        causes.append(unsupported(f"{path}.operator", operator, ("Equal", "Exists")))
    if operator == "Exists" and found.get("value"):
        causes.append(wrong(f"{path}.operator", found, "value must be empty when `operator` is 'Exists'"))
    if effect and effect not in EFFECTS:
        causes.append(unsupported(f"{path}.effect", effect, EFFECTS))
    if "tolerationSeconds" in found and effect != "NoExecute":
        causes.append(wrong(f"{path}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
    return causes


_NODE_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")


def _affinity(found: Obj, path: str) -> list[Cause]:
    causes: list[Cause] = []
    node = found.get("nodeAffinity", {})
    where = f"{path}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    needed = node.get("requiredDuringSchedulingIgnoredDuringExecution")
    if needed is not None and not needed.get("nodeSelectorTerms"):
        causes.append(required(where, "must have at least one node selector term"))
    for number, term in enumerate((needed or {}).get("nodeSelectorTerms") or []):
        for count, one in enumerate(term.get("matchExpressions") or []):
            causes += _expression(one, f"{where}[{number}].matchExpressions[{count}]", _NODE_OPERATORS)
    for which in ("podAffinity", "podAntiAffinity"):
        terms = found.get(which, {}).get("requiredDuringSchedulingIgnoredDuringExecution") or []
        for number, term in enumerate(terms):
            if not term.get("topologyKey"):
                causes.append(
                    required(
                        f"{path}.{which}.requiredDuringSchedulingIgnoredDuringExecution[{number}].topologyKey",
                        "can not be empty",
                    )
                )
    return causes


def _expression(found: Obj, path: str, operators: tuple[str, ...]) -> list[Cause]:
    operator, values = found.get("operator"), found.get("values") or []
    if operator not in operators:
        return [wrong(f"{path}.operator", operator, "not a valid selector operator")]
    if operator in ("In", "NotIn") and not values:
        return [required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")]
    if operator in ("Exists", "DoesNotExist") and values:
        return [prohibited(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")]
    if operator in ("Gt", "Lt") and len(values) != 1:
        return [required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")]
    why = meta.key_complaint(found.get("key", ""))
    return [wrong(f"{path}.key", found.get("key", ""), why)] if why else []


def label_selector(found: Obj | None, path: str) -> list[Cause]:
    causes = meta.labels((found or {}).get("matchLabels"), f"{path}.matchLabels")
    for number, one in enumerate((found or {}).get("matchExpressions") or []):
        causes += _expression(one, f"{path}.matchExpressions[{number}]", ("In", "NotIn", "Exists", "DoesNotExist"))
    return causes


def template(found: Obj, path: str) -> list[Cause]:
    metadata = found.get("metadata", {})
    causes = meta.labels(metadata.get("labels"), f"{path}.labels")
    causes += meta.notes(metadata.get("annotations"), f"{path}.annotations")
    return causes + pod_spec(found.get("spec", {}), f"{path}.spec")


_MAY_CHANGE = ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "schedulingGates")


def pod_update(new: Obj, old: Obj) -> list[Cause]:
    def compared(spec: Obj) -> Any:
        kept = {key: value for key, value in spec.items() if key not in (*_MAY_CHANGE, "nodeName")}
        for group in ("containers", "initContainers"):
            kept[group] = [{**c, "image": ""} for c in spec.get(group, [])]
        return kept

    said = (
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
    )
    node = old["spec"].get("nodeName")
    changed = compared(new["spec"]) != compared(old["spec"]) or (node and new["spec"].get("nodeName") != node)
    lost = [one for one in old["spec"].get("tolerations", []) if one not in new["spec"].get("tolerations", [])]
    return [prohibited("spec", said)] if changed or lost else []


def integer(found: Obj, name: str, path: str, least: int = 0) -> list[Cause]:
    value = found.get(name)
    if value is None or value >= least:
        return []
    return [wrong(f"{path}.{name}", value, f"must be greater than or equal to {least}")]
